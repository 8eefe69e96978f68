package render_test

import (
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"

	"muster/internal/consumer"
	"muster/internal/node"
	"muster/internal/render"
)

const (
	runScript = "var/lib/cloud/instances/consumer/scripts/runcmd" // instance is an absolute link, which leads out of a root
	marks     = "var/lib/cloud/instances/consumer/sem"
	wants     = "etc/systemd/system/multi-user.target.wants/muster.target"
)

// repaired are the marks that the repair takes away; the others of an instance have to stay.
var repaired = []string{"config_runcmd", "config_scripts_user", "config_set_hostname", "config_users_groups", "config_write_files"}

// TestRepair damages a machine after its first boot in every way a cut can, and looks at which modules the bootcmd of
// the document makes cloud-init repeat.
func TestRepair(t *testing.T) {
	cfg := sample()
	userData := data(t, mustEncode(t, render.CloudInit, render.Butane{}, cfg), render.UserData)
	booted := t.TempDir()
	consumer.CloudInitApply(t, userData, booted)
	// The consumer runs no scripts; cloud-init marks that module as run before it runs them.
	write(t, booted, marks+"/config_scripts_user", "")
	write(t, booted, marks+"/config_other", "")

	none := func(*testing.T, string) {}
	for name, c := range map[string]struct {
		enabled bool
		damage  func(t *testing.T, root string)
		repairs bool
	}{
		"whole":                   {true, none, false},
		"cut before runcmd ended": {false, none, true},
		"empty file":              {true, func(t *testing.T, root string) { write(t, root, "etc/muster/credential", "") }, true},
		"cut file": {true, func(t *testing.T, root string) {
			check(t, os.Truncate(filepath.Join(root, "usr/local/lib/muster/prepare"), 700))
		}, true},
		"missing file": {true, func(t *testing.T, root string) { check(t, os.Remove(filepath.Join(root, "etc/empty"))) }, true},
		"missing name": {true, func(t *testing.T, root string) {
			check(t, os.Remove(filepath.Join(root, "var/lib/mine/owned by admin")))
		}, true},
		"cut unit": {true, func(t *testing.T, root string) { write(t, root, "etc/systemd/system/mine.service", "[Unit]\n") }, true},
		"missing drop-in": {true, func(t *testing.T, root string) {
			check(t, os.RemoveAll(filepath.Join(root, "etc/systemd/system/getty@tty1.service.d")))
		}, true},
		"mode not yet set": {true, func(t *testing.T, root string) {
			check(t, os.Chmod(filepath.Join(root, "etc/muster/credential"), 0o644))
		}, true},
		"bytes moved between files": {true, func(t *testing.T, root string) {
			write(t, root, "etc/muster/credential", "header = \"Authorization: Bearer abc\"\n#!/bin/bash\n")
		}, true},
		"done and its secrets removed": {true, func(t *testing.T, root string) {
			check(t, os.Remove(filepath.Join(root, "etc/muster/credential")))
			write(t, root, doneFile, "")
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			root := filepath.Join(t.TempDir(), "root")
			if out, err := exec.Command("cp", "-a", booted, root).CombinedOutput(); err != nil {
				t.Fatalf("cp: %v\n%s", err, out)
			}
			if c.enabled {
				inRoot(t, root, "sh", "/"+runScript)
			}
			c.damage(t, root)
			runBootCmd(t, root, userData)
			for _, mark := range append(slices.Clone(repaired), "config_other") {
				_, err := os.Stat(filepath.Join(root, marks, mark))
				if there, want := err == nil, !c.repairs || mark == "config_other"; there != want {
					t.Errorf("mark %s is there: %v, want %v", mark, there, want)
				}
			}
		})
	}
}

// networkApplied is what cloud-init leaves in the boot in which it wrote the network's files.
const networkApplied = "mkdir -p /run/cloud-init/sem\n: >/run/cloud-init/sem/apply_network_config.once\n"

// runBootCmd runs the bootcmd of a machine whose network was set up in this boot.
func runBootCmd(t *testing.T, root string, userData []byte) {
	t.Helper()
	if out := inRoot(t, root, "/bin/sh", "-c", networkApplied+bootScript(t, userData)); out != "" {
		t.Errorf("bootcmd said %s", out)
	}
}

// bootScript is what cloud-init makes of bootcmd: every command with each word in single quotes, in one script.
func bootScript(t *testing.T, userData []byte) string {
	t.Helper()
	var doc struct {
		BootCmd [][]string `yaml:"bootcmd"`
	}
	check(t, yaml.Unmarshal(userData, &doc))
	var script strings.Builder
	for _, command := range doc.BootCmd {
		for _, word := range command {
			script.WriteString("'" + strings.ReplaceAll(word, "'", `'\''`) + "' ")
		}
		script.WriteString("\n")
	}
	return script.String()
}

// TestNetworkLost boots machines whose cloud-init has or has not written the network's files. ip, systemctl and sleep are stand-ins.
func TestNetworkLost(t *testing.T) {
	const (
		record  = "var/lib/cloud/data/instance-id"
		attempt = marks + "/muster_network"
		said    = "muster: this machine has no network of its own: starting again, to have it set up\n"
		own     = "10.0.0.5 192.168.7.5"
	)
	static := small()
	static.Network = &node.Network{Ethernets: []node.Ethernet{
		{Link: node.Link{Name: "eth1", Addresses: []netip.Prefix{netip.MustParsePrefix("192.168.7.5/24")}}},
		{Link: node.Link{Name: "eth0", Addresses: []netip.Prefix{netip.MustParsePrefix("10.0.0.5/24")}}},
		{Link: node.Link{Name: "eth2", Addresses: []netip.Prefix{netip.MustParsePrefix("10.9.0.5/24")}, Optional: true}}, // without a cable
	}}
	static.Netplan = true
	for name, c := range map[string]struct {
		cfg          node.Config
		has, before  string
		done, starts bool
	}{
		"all addresses":                    {cfg: static, has: own},
		"one address of two":               {cfg: static, has: "10.0.0.5", starts: true},
		"another address":                  {cfg: static, has: "10.0.0.50 192.168.7.5", starts: true},
		"none":                             {cfg: static, starts: true},
		"none written in this boot":        {cfg: static, before: networkApplied},
		"none but done":                    {cfg: static, done: true},
		"none for the third time":          {cfg: static, before: "printf '\\n\\n' >/" + attempt + "\n", starts: true},
		"none for the fourth time":         {cfg: static, before: "printf '\\n\\n\\n' >/" + attempt + "\n"},
		"none and no ip program":           {cfg: static, before: "PATH=/only\n"},
		"none until the last second":       {cfg: static, before: "echo 29 >/left\n", has: own},
		"DHCP answered":                    {cfg: small(), has: "10.0.0.77"},
		"DHCP did not answer":              {cfg: small(), starts: true},
		"DHCP did not answer in this boot": {cfg: small(), before: networkApplied},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			userData := data(t, mustEncode(t, render.CloudInit, render.Butane{}, c.cfg), render.UserData)
			write(t, root, record, "consumer\n")
			write(t, root, marks+"/config_other", "")
			check(t, os.Symlink("instances/consumer", filepath.Join(root, "var/lib/cloud/instance")))
			if c.done {
				write(t, root, doneFile, "")
			}
			write(t, root, "addresses", strings.ReplaceAll(c.has, " ", "\n"))
			for program, script := range map[string]string{
				"ip":        `[ ! -s /left ] || exit 1; case "$*" in *' to '*) grep -Fx "${5:-}" /addresses ;; *) cat /addresses ;; esac`,
				"systemctl": `[ "$1" != reboot ] || echo again >>/started`,
				"sleep":     `[ ! -s /left ] || { read -r n </left; [ $n = 1 ] && : >/left || echo $((n - 1)) >/left; }`,
			} {
				write(t, root, "usr/local/bin/"+program, "#!/bin/sh\n"+script+"\n")
				check(t, os.Chmod(filepath.Join(root, "usr/local/bin", program), 0o755))
			}
			check(t, os.Mkdir(filepath.Join(root, "only"), 0o755))
			for _, program := range []string{"sh", "sync", "rm", "stat", "cat", "sha256sum", "seq", "wc"} {
				check(t, os.Symlink("/usr/bin/"+program, filepath.Join(root, "only", program)))
			}
			out := inRoot(t, root, "/bin/sh", "-c", "PATH=/usr/local/bin:/usr/bin:/bin\n"+c.before+bootScript(t, userData))
			started, _ := os.ReadFile(filepath.Join(root, "started"))
			_, err := os.Stat(filepath.Join(root, record))
			wantOut, wantStarted := "", ""
			if c.starts {
				wantOut, wantStarted = said, "again\n"
			}
			if out != wantOut || string(started) != wantStarted || os.IsNotExist(err) != c.starts {
				t.Errorf("bootcmd said %q, started again %q, the record: %v", out, started, err)
			}
		})
	}
}

// TestNetworkOfTheImage: a file of the image by which all interfaces ask DHCP gives way to a static network and to one that takes
// less of DHCP, and to no other.
func TestNetworkOfTheImage(t *testing.T) {
	address := []netip.Prefix{netip.MustParsePrefix("192.168.7.5/24")}
	of := func(l node.Link) *node.Network {
		l.Name = "ens3"
		return &node.Network{Ethernets: []node.Ethernet{{Link: l}}}
	}
	const set, all = "10-netplan-ens3.network\n", "10-netplan-all-en.network\n10-netplan-ens3.network\n"
	for name, c := range map[string]struct {
		network    *node.Network
		ens3, want string
	}{
		"static":       {of(node.Link{Addresses: address}), "addresses: [192.168.7.5/24]", set},
		"optional":     {of(node.Link{Addresses: address, Optional: true}), "addresses: [192.168.7.5/24], optional: true", set},
		"less of DHCP": {of(node.Link{DHCP4: true, DHCPMetric: 2000}), "dhcp4: true, dhcp4-overrides: {route-metric: 2000}", set},
		"DHCP":         {of(node.Link{DHCP4: true}), "dhcp4: true", all},
		"no network":   {nil, "dhcp4: true", all},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			cfg := small()
			cfg.Network, cfg.Netplan = c.network, true
			userData := data(t, mustEncode(t, render.CloudInit, render.Butane{}, cfg), render.UserData)
			write(t, root, marks+"/config_other", "")
			check(t, os.Symlink("instances/consumer", filepath.Join(root, "var/lib/cloud/instance")))
			write(t, root, "etc/netplan/90-default.yaml", "network: {version: 2, ethernets: {all-en: {match: {name: en*}, dhcp4: true}}}\n")
			write(t, root, "etc/netplan/50-cloud-init.yaml", "network: {version: 2, ethernets: {ens3: {"+c.ens3+"}}}\n")
			write(t, root, "usr/local/bin/netplan", "#!/bin/sh\n[ \"$1\" = apply ] && exec /usr/sbin/netplan generate\n")
			check(t, os.Chmod(filepath.Join(root, "usr/local/bin/netplan"), 0o755))
			out := inRoot(t, root, "/bin/sh", "-c", networkApplied+"chmod 600 /etc/netplan/*\n/usr/sbin/netplan generate\n"+bootScript(t, userData)+"cd /run/systemd/network && ls")
			if out != c.want {
				t.Errorf("the machine's networks are %q, not %q", out, c.want)
			}
		})
	}
}

// TestRealCloudInitRepairs boots a machine that was cut inside write_files a second time, with the real cloud-init.
func TestRealCloudInitRepairs(t *testing.T) {
	cfg := sample()
	userData := data(t, mustEncode(t, render.CloudInit, render.Butane{}, cfg), render.UserData)
	root := t.TempDir()
	consumer.CloudInitApply(t, userData, root)
	whole := disk(t, root, cfg)
	check(t, os.Remove(filepath.Join(root, "etc/systemd/system/muster.target")))
	write(t, root, "etc/muster/credential", "")
	check(t, os.Truncate(filepath.Join(root, runScript), 0))
	check(t, os.Remove(filepath.Join(root, "var/lib/cloud/data/set-hostname")))
	write(t, root, "etc/hostname", "localhost\n")

	consumer.CloudInitApply(t, userData, root)
	if diff := cmp.Diff(whole, disk(t, root, cfg)); diff != "" {
		t.Errorf("the second boot leaves another machine than the first: %s", diff)
	}
	inRoot(t, root, "sh", "/"+runScript)
	if _, err := os.Lstat(filepath.Join(root, wants)); err != nil {
		t.Errorf("the first unit is not enabled after the repair: %v", err)
	}
	third := stamp(t, root)
	consumer.CloudInitApply(t, userData, root)
	if stamp(t, root) != third {
		t.Error("a third boot wrote the files of a whole machine again")
	}
}

// stamp tells when write_files ran last.
func stamp(t *testing.T, root string) string {
	t.Helper()
	mark, err := os.ReadFile(filepath.Join(root, marks, "config_write_files"))
	check(t, err)
	return string(mark)
}

// TestFirstUnitIsEnabledLast proves the order that the repair builds on: nothing after a failure is done.
func TestFirstUnitIsEnabledLast(t *testing.T) {
	cfg := small()
	cfg.Files = []node.File{{Path: "/etc/mine", Mode: 0o644, Owner: "nobody-has-this"}}
	root := t.TempDir()
	consumer.CloudInitApply(t, data(t, mustEncode(t, render.CloudInit, render.Butane{}, cfg), render.UserData), root)
	out := inRoot(t, root, "sh", "-c", "sh /"+runScript+"; echo ended with $?")
	if !strings.HasSuffix(out, "ended with 1\n") {
		t.Errorf("runcmd said %s", out)
	}
	if _, err := os.Lstat(filepath.Join(root, wants)); !os.IsNotExist(err) {
		t.Errorf("the first unit is enabled although a file has the wrong owner: %v", err)
	}
}

// TestMaskKeepsFileOfTheImage: a file or a link of the image's in the place of the mask ends no first boot, nor one that was
// cut and begins again.
func TestMaskKeepsFileOfTheImage(t *testing.T) {
	cfg := small()
	const folder, unit = "etc/systemd/system/", "[Service]\nExecStart=/bin/true\n"
	for _, name := range []string{"file.service", "link.service", "nowhere.service", "masked.service", "none.service"} {
		cfg.Units = append(cfg.Units, node.Unit{Name: name, Mask: true})
	}
	root := t.TempDir()
	consumer.CloudInitApply(t, data(t, mustEncode(t, render.CloudInit, render.Butane{}, cfg), render.UserData), root)
	write(t, root, folder+"file.service", unit)
	write(t, root, "usr/lib/systemd/system/other.service", unit)
	check(t, os.Symlink("/usr/lib/systemd/system/other.service", filepath.Join(root, folder, "link.service")))
	check(t, os.Symlink("/gone", filepath.Join(root, folder, "nowhere.service")))
	check(t, os.Symlink("/dev/null", filepath.Join(root, folder, "masked.service")))
	for range 2 {
		inRoot(t, root, "sh", "/"+runScript)
		if _, err := os.Lstat(filepath.Join(root, wants)); err != nil {
			t.Fatalf("the first unit is not enabled: %v", err)
		}
	}
	for _, u := range cfg.Units {
		if to, err := os.Readlink(filepath.Join(root, folder, u.Name)); u.Mask && to != "/dev/null" {
			t.Errorf("%s is not masked: it leads to %q (%v)", u.Name, to, err)
		}
	}
	kept, err := filepath.Glob(filepath.Join(root, folder, "*.muster-off"))
	check(t, err)
	if text, err := os.ReadFile(filepath.Join(root, folder, "file.service.muster-off")); string(text) != unit || len(kept) != 3 {
		t.Errorf("the image's file became %q (%v); kept are %v", text, err, kept)
	}
}

func write(t *testing.T, root, path, contents string) {
	t.Helper()
	path = filepath.Join(root, path)
	check(t, os.MkdirAll(filepath.Dir(path), 0o755))
	check(t, os.WriteFile(path, []byte(contents), 0o644))
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
