package render_test

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"muster/internal/consumer"
	"muster/internal/node"
	"muster/internal/render"
)

// TestConsumersAccept shows the documents to the real readers.
func TestConsumersAccept(t *testing.T) {
	for name, cfg := range map[string]node.Config{"full": sample(), "small": small()} {
		doc := mustEncode(t, render.CloudInit, render.Butane{}, cfg)
		consumer.CloudInitSchema(t, data(t, doc, render.UserData))
		seed := consumer.NoCloud(t, writeSeed(t, doc))
		if seed.MetaData["instance-id"] != cfg.InstanceID || (seed.NetworkConfig != nil) != (cfg.Network != nil) {
			t.Errorf("%s: cloud-init reads meta-data %v and network-config %v", name, seed.MetaData, seed.NetworkConfig)
		}
		if hostname, named := seed.MetaData["local-hostname"]; named != (cfg.Hostname != "") || named && hostname != cfg.Hostname {
			t.Errorf("%s: cloud-init reads local-hostname %v", name, hostname)
		}
		for _, k := range kinds {
			if k.format == render.Ignition {
				consumer.IgnitionValidate(t, data(t, mustEncode(t, k.format, k.butane, fit(cfg, k.butane.Variant)), render.IgnitionConfig))
			}
		}
	}
}

// writeSeed writes a document as the folder that the NoCloud data source reads.
func writeSeed(t *testing.T, doc render.Document) string {
	t.Helper()
	folder := t.TempDir()
	for _, f := range doc.Files {
		if err := os.WriteFile(filepath.Join(folder, f.Name), f.Data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

// TestBothFormatsWriteTheSameDisk lets cloud-init and Ignition act on two machines and compares all that they wrote with
// the configuration, and so with each other.
func TestBothFormatsWriteTheSameDisk(t *testing.T) {
	cfg := sample()
	want := map[string]string{}
	for _, f := range cfg.Files {
		owner, group := f.Owner, f.Group
		if owner == "" {
			owner = "root"
		}
		if group == "" {
			group = "root"
		}
		want[f.Path] = describe(f.Mode, owner, group, string(f.Contents))
	}
	want["/etc/hostname"] = describe(0o644, "root", "root", cfg.Hostname+"\n")
	for _, u := range cfg.Units {
		if u.Contents != "" {
			want["/etc/systemd/system/"+u.Name] = describe(0o644, "root", "root", u.Contents)
		}
		for _, d := range u.DropIns {
			want["/etc/systemd/system/"+u.Name+".d/"+d.Name] = describe(0o644, "root", "root", d.Contents)
		}
	}
	for _, u := range cfg.Users {
		want["user "+u.Name] = fmt.Sprintf("shell %s, groups %v, hash %s, keys %v", shell(u.Shell), u.Groups, u.PasswordHash, u.SSHAuthorizedKeys)
	}
	for name, state := range map[string]string{"muster.target": "enabled", "mine.service": "enabled", "fstrim.timer": "disabled", "e2scrub_all.timer": "masked"} {
		want["unit "+name] = state
	}

	cloud := t.TempDir()
	consumer.CloudInitApply(t, data(t, mustEncode(t, render.CloudInit, render.Butane{}, cfg), render.UserData), cloud)
	inRoot(t, cloud, "sh", "/var/lib/cloud/instance/scripts/runcmd")
	if diff := cmp.Diff(want, disk(t, cloud, cfg)); diff != "" {
		t.Errorf("cloud-init: %s", diff)
	}
	ign := t.TempDir()
	consumer.IgnitionApply(t, data(t, mustEncode(t, render.Ignition, flatcar, cfg), render.IgnitionConfig), ign)
	inRoot(t, ign, "systemctl", "preset-all", "--preset-mode=full") // as systemd does at the first boot
	if diff := cmp.Diff(want, disk(t, ign, cfg)); diff != "" {
		t.Errorf("ignition: %s", diff)
	}
	// A second try, as after a cut, ends the same.
	consumer.IgnitionApply(t, data(t, mustEncode(t, render.Ignition, flatcar, cfg), render.IgnitionConfig), ign)
	if diff := cmp.Diff(want, disk(t, ign, cfg)); diff != "" {
		t.Errorf("ignition, again: %s", diff)
	}
}

// TestCloudInitMakesGroups: a user may be in a group that the image does not have, and a file may belong to it; the rules of
// the spec count on that.
func TestCloudInitMakesGroups(t *testing.T) {
	cfg, root := small(), t.TempDir()
	cfg.Users = []node.User{{Name: "first"}, {Name: "second", Groups: []string{"admins", "first"}}}
	cfg.Files = []node.File{{Path: "/etc/example", Mode: 0o640, Owner: "second", Group: "admins"}}
	consumer.CloudInitApply(t, data(t, mustEncode(t, render.CloudInit, render.Butane{}, cfg), render.UserData), root)
	inRoot(t, root, "sh", "/var/lib/cloud/instance/scripts/runcmd")
	made := accountsOf(t, root)
	if got, want := made.file(t, root+"/etc/example"), describe(0o640, "second", "admins", ""); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := made.user(t, root, cfg.Users[1]), "shell default, groups [admins first], hash , keys []"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func shell(of string) string {
	if of == "" {
		return "default"
	}
	return of
}

func describe(mode fs.FileMode, owner, group, contents string) string {
	return fmt.Sprintf("%04o %s:%s %q", mode, owner, group, contents)
}

// disk describes what a machine got that the configuration speaks of: files of the folders in which it writes, users,
// states of units. The files that only one format writes are left out: the network's, the presets', cloud-init's own.
func disk(t *testing.T, root string, cfg node.Config) map[string]string {
	t.Helper()
	got := map[string]string{}
	accounts := accountsOf(t, root)
	for _, folder := range []string{"etc/sysctl.d", "etc/muster", "usr/local", "var/lib/mine", "etc/systemd/system"} {
		err := filepath.WalkDir(filepath.Join(root, folder), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || !entry.Type().IsRegular() {
				return err
			}
			got["/"+strings.TrimPrefix(path, root+"/")] = accounts.file(t, path)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{"/etc/empty", "/etc/hostname"} {
		got[path] = accounts.file(t, root+path)
	}
	for _, u := range cfg.Users {
		got["user "+u.Name] = accounts.user(t, root, u)
	}
	for _, u := range cfg.Units {
		if u.Enabled != nil || u.Mask || u.Name == cfg.Start {
			// It fails for all but enabled.
			got["unit "+u.Name] = strings.TrimSpace(inRoot(t, root, "sh", "-c", "systemctl is-enabled "+u.Name+" || :"))
		}
	}
	return got
}

// accounts are the names of users and groups by number, and the lines of the account files by name.
type accounts struct {
	users, groups         map[string]string
	passwd, shadow, group map[string][]string
}

func accountsOf(t *testing.T, root string) accounts {
	t.Helper()
	read := func(name string) map[string][]string {
		lines, err := os.ReadFile(filepath.Join(root, "etc", name))
		if err != nil {
			t.Fatal(err)
		}
		byName := map[string][]string{}
		for line := range strings.Lines(string(lines)) {
			fields := strings.Split(strings.TrimSpace(line), ":")
			byName[fields[0]] = fields
		}
		return byName
	}
	a := accounts{users: map[string]string{}, groups: map[string]string{}, passwd: read("passwd"), shadow: read("shadow"), group: read("group")}
	for name, fields := range a.passwd {
		a.users[fields[2]] = name
	}
	for name, fields := range a.group {
		a.groups[fields[2]] = name
	}
	return a
}

func (a accounts) file(t *testing.T, path string) string {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	contents, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	owner := info.Sys().(*syscall.Stat_t)
	return describe(info.Mode().Perm(), a.users[fmt.Sprint(owner.Uid)], a.groups[fmt.Sprint(owner.Gid)], string(contents))
}

// user describes a user in the way of the test's expectation. A locked password is * or !.
func (a accounts) user(t *testing.T, root string, u node.User) string {
	t.Helper()
	if a.passwd[u.Name] == nil {
		return "is not there"
	}
	var groups []string
	for name, fields := range a.group {
		if slices.Contains(strings.Split(fields[3], ","), u.Name) {
			groups = append(groups, name)
		}
	}
	slices.Sort(groups)
	hash := a.shadow[u.Name][1]
	if hash == "*" || hash == "!" || hash == "!*" {
		hash = ""
	}
	shell := "default"
	if s := a.passwd[u.Name][6]; u.Shell != "" {
		shell = s
	}
	var keys []string
	for _, file := range []string{".ssh/authorized_keys", ".ssh/authorized_keys.d/ignition"} {
		lines, err := os.ReadFile(filepath.Join(root, "home", u.Name, file))
		for line := range strings.Lines(string(lines)) {
			if line = strings.TrimSpace(line); err == nil && strings.HasPrefix(line, "ssh-") {
				keys = append(keys, line)
			}
		}
	}
	slices.Sort(keys)
	return fmt.Sprintf("shell %s, groups %v, hash %s, keys %v", shell, groups, hash, keys)
}

// chroot is the Debian 12 below the roots that the consumers write.
func chroot(t *testing.T) string {
	t.Helper()
	folder, err := filepath.Abs("../../build/chroot-debian12")
	if err == nil {
		_, err = os.Stat(folder)
	}
	if err != nil {
		t.Fatalf("%v: run make tools", err)
	}
	return folder
}

// inRoot runs a program inside a root over the Debian 12, in namespaces of its own. systemctl works on files there, since
// no systemd runs.
func inRoot(t *testing.T, root string, argv ...string) string {
	t.Helper()
	const script = `mount -t overlay overlay -o "lowerdir=$1,upperdir=$2,workdir=$2.work" "$3"
mount -t proc proc "$3/proc"
mount -t tmpfs tmpfs "$3/run"
root=$3
shift 3
exec chroot "$root" env SYSTEMD_OFFLINE=1 "$@"`
	if err := os.MkdirAll(root+".work", 0o755); err != nil {
		t.Fatal(err)
	}
	args := append([]string{"--mount", "--pid", "--fork", "--kill-child", "--net", "sh", "-ec", script, "sh", chroot(t), root, t.TempDir()}, argv...)
	out, err := exec.Command("unshare", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v\n%s", argv, err, out)
	}
	return string(out)
}
