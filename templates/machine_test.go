package templates

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Scripts run for real here, each on a machine of its own: build/chroot-debian12 under an overlay, in namespaces for
// mounts, processes, network and host name. What cannot be real (systemd, kernel modules, kubeadm, a container runtime,
// yum) is played by the stand-ins of testdata/standin, which keep their state where the real ones have it, so that a
// cut run leaves what a real one would. Everything else (bash, coreutils, curl, tar, apt, dpkg, gpg) is Debian's own.

//go:embed testdata/standin
var testdata embed.FS

// machine is one machine's disk, and what lies outside of it (the cluster, package sources, web servers).
type machine struct {
	t    *testing.T
	base string
	boot int
}

// Folders of the machine's scripts and configuration.
const (
	scriptsFolder = "usr/local/lib/muster"
	runner        = "/" + scriptsFolder + "/muster.sh"
)

// newMachine has muster.sh with the named steps (PHASE/NAME), and node.conf.
func newMachine(t *testing.T, steps []string, conf string) *machine {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("machines need mounts and chroot: run the tests as root")
	}
	base, err := os.MkdirTemp("", "machine-")
	must(t, err)
	m := &machine{t: t, base: base}
	t.Cleanup(func() { must(t, os.RemoveAll(base)) })
	for _, dir := range []string{"upper/standin", "work", "merged", "standin/bin"} {
		must(t, os.MkdirAll(filepath.Join(base, dir), 0o755))
	}
	must(t, os.Chmod(base, 0o755)) // users of the machine have to get through
	m.outside("console", "")
	m.outside("log", "")
	m.standIns()
	m.write(scriptsFolder+"/muster.sh", string(script(t, steps)), 0o644)
	m.write("usr/local/lib/muster/ipvs.modules", string(IPVSModules()), 0o755)
	m.write("etc/muster/node.conf", baseConf+conf, 0o600)
	m.write("etc/fstab", "# the machine's disks\nUUID=1 / ext4 defaults 0 1\n", 0o644)
	return m
}

// baseConf has every variable that any node has; a test's own assignments come after it.
const baseConf = `NODE_NAME=node1 ROLE=worker CLUSTER=k8s KUBERNETES_VERSION=v1.34.4 ENDPOINT=api.k8s.muster:6443
RUNTIME=containerd RUNTIME_SERVICE=containerd.service CRI_SOCKET=unix:///run/containerd/containerd.sock BIN_DIR=
MODULES=() IPVS=false IPVS_SCRIPT=/usr/local/lib/muster/ipvs.modules SYSCTL_FILE= SELINUX=disabled FIREWALL_SERVICES=()
FIREWALL_PORTS=() TIMEZONE= TIME_SERVICE=chrony.service NOT_BEFORE= KEY_URLS=() KEY_FINGERPRINTS=() KEY_FILES=()
PACKAGES_BASE=() PACKAGES_RUNTIME=() PACKAGES_KUBERNETES=() PACKAGES_EXTRA=() PACKAGES_HOLD=() HTTP_PROXY= HTTPS_PROXY= NO_PROXY=
BINARY_PATHS=() BINARY_EXTRACT=() BINARY_URLS=() BINARY_SHA256=() ARCHITECTURE=amd64
DOWNLOAD_PATHS=() DOWNLOAD_URLS=() DOWNLOAD_SHA256=() DOWNLOAD_MODES=() DOWNLOAD_OWNERS=() IMAGE_PATHS=() IMAGE_URLS=() IMAGE_SHA256=() UNITS_ENABLED=()
COMMANDS_BEFORE=() COMMANDS_AFTER=() KUBEADM_INIT=/etc/muster/kubeadm.yaml KUBEADM_JOIN=/etc/muster/kubeadm.yaml KUBEADM_FLAGS=() MANIFESTS=()
KUBECONFIG_USERS=() NODES=() NGINX_IMAGE= DRY_RUN=false APPLY_FLAGS=() CERTIFICATES_DIR=/etc/kubernetes/pki FIREWALL_SOURCES=() TIME_CONFIG=
RENDEZVOUS=(10.0.0.1:7443 10.0.0.2:7443) CURL_ARGS=() RENDEZVOUS_MEDIUM= RENDEZVOUS_PROGRAM=/usr/local/bin/rendezvous RENDEZVOUS_SHA256= RENDEZVOUS_URL=
`

func script(t *testing.T, names []string) []byte {
	t.Helper()
	var chosen []Step
	for _, name := range names {
		i := slices.IndexFunc(Steps, func(s Step) bool { return s.ID() == name })
		if i < 0 {
			t.Fatalf("there is no step %s", name)
		}
		chosen = append(chosen, Steps[i])
	}
	text, err := Script(chosen)
	must(t, err)
	return text
}

// standIns puts the stand-ins in front of the system's own programs.
func (m *machine) standIns() {
	files, err := testdata.ReadDir("testdata/standin")
	must(m.t, err)
	must(m.t, os.MkdirAll(m.path("usr/local/sbin"), 0o755))
	for _, f := range files {
		text, err := testdata.ReadFile("testdata/standin/" + f.Name())
		must(m.t, err)
		m.outside("bin/"+f.Name(), string(text))
		if f.Name() != "env" {
			must(m.t, os.Symlink("/standin/bin/"+f.Name(), m.path("usr/local/sbin/"+f.Name())))
		}
	}
}

// path is where a file of the machine's disk lies, as far as it is not Debian's own.
func (m *machine) path(name string) string { return filepath.Join(m.base, "upper", name) }

func (m *machine) write(name, text string, mode fs.FileMode) {
	m.t.Helper()
	must(m.t, os.MkdirAll(filepath.Dir(m.path(name)), 0o755))
	must(m.t, os.WriteFile(m.path(name), []byte(text), mode))
	must(m.t, os.Chmod(m.path(name), mode))
}

// outside writes what is not on the machine's disk: state of the cluster, or a behaviour of a stand-in.
func (m *machine) outside(name, text string) {
	m.t.Helper()
	file := filepath.Join(m.base, "standin", name)
	must(m.t, os.MkdirAll(filepath.Dir(file), 0o755))
	must(m.t, os.WriteFile(file, []byte(text), 0o755))
}

func (m *machine) unit(name, reads string) {
	text := "[Service]\nExecStart=/bin/true\n"
	if reads != "" {
		text += "# reads " + reads + "\n"
	}
	m.write("usr/lib/systemd/system/"+name, text, 0o644)
}

func (m *machine) read(name string) string { return m.readAt("upper/" + name) }

func (m *machine) readOutside(name string) string { return m.readAt("standin/" + name) }

func (m *machine) readAt(name string) string {
	m.t.Helper()
	text, err := os.ReadFile(filepath.Join(m.base, name))
	must(m.t, err)
	return string(text)
}

// runFolder is /run of the last boot.
func (m *machine) runFolder() string { return filepath.Join(m.base, fmt.Sprintf("run%d", m.boot)) }

// run is one boot of the machine with one command; the output is that of the command.
func (m *machine) run(env []string, command ...string) (string, error) {
	m.t.Helper()
	r := m.start(env, command...)
	return r.wait()
}

// process is a machine that is up.
type process struct {
	cmd  *exec.Cmd
	done chan struct{}
	out  *output
	err  error
}

// start boots the machine. Retries are immediate and waits short unless env says otherwise.
func (m *machine) start(env []string, command ...string) *process {
	m.t.Helper()
	m.boot++
	must(m.t, os.MkdirAll(m.runFolder(), 0o755))
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	p := &process{
		cmd:  exec.CommandContext(ctx, "/proc/self/exe", append([]string{chrootFolder(m.t), m.runFolder()}, command...)...),
		done: make(chan struct{}), out: &output{},
	}
	p.cmd.Dir = m.base
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.out
	p.cmd.Env = append([]string{
		machineVariable + "=" + m.base, "PATH=/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "MUSTER_RETRY=0", "MUSTER_WAIT=2", "MUSTER_POLL=0.1",
	}, env...)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWNET | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC,
		Pdeathsig:  syscall.SIGKILL,
	}
	p.cmd.WaitDelay = time.Second
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // the machine dies with the thread that started it
		defer close(p.done)
		err := p.cmd.Start()
		started <- err
		if err == nil {
			p.err = p.cmd.Wait()
		}
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			p.err = errors.New("the machine did not finish within four minutes")
		}
	}()
	must(m.t, <-started)
	m.t.Cleanup(func() {
		cancel()
		<-p.done
	})
	return p
}

// write changes the disk of a machine that is up, as somebody who repairs it would.
func (p *process) write(t *testing.T, name, text string, mode fs.FileMode) {
	t.Helper()
	file := filepath.Join("/proc", fmt.Sprint(p.cmd.Process.Pid), "root", name)
	must(t, os.MkdirAll(filepath.Dir(file), 0o755))
	must(t, os.WriteFile(file, []byte(text), mode))
	must(t, os.Chmod(file, mode))
}

func (p *process) remove(t *testing.T, name string) {
	t.Helper()
	must(t, os.Remove(filepath.Join("/proc", fmt.Sprint(p.cmd.Process.Pid), "root", name)))
}

func (p *process) wait() (string, error) {
	<-p.done
	return p.out.String(), p.err
}

// mustRun runs a phase that has to go through without a failed try.
func (m *machine) mustRun(phase string) string {
	m.t.Helper()
	out, err := m.run(nil, "/bin/bash", runner, phase)
	if err != nil || strings.Contains(out, "FAILED") {
		m.t.Fatalf("phase %s: %v\n%s", phase, err, out)
	}
	return out
}

// tree is the machine's disk as far as it differs from Debian's: path to kind, mode and contents.
func (m *machine) tree() map[string]string {
	m.t.Helper()
	return treeOf(m.t, m.path(""))
}

func treeOf(t *testing.T, root string) map[string]string {
	t.Helper()
	out := map[string]string{}
	must(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := "/" + strings.TrimPrefix(strings.TrimPrefix(path, root), "/")
		info, err := d.Info()
		if err != nil {
			return err
		}
		owner := info.Sys().(*syscall.Stat_t)
		text := fmt.Sprintf("%v %d:%d ", info.Mode(), owner.Uid, owner.Gid)
		switch {
		case info.Mode()&fs.ModeSymlink != 0:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			text += target
		case info.Mode().IsRegular():
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			text += string(content)
		}
		out[name] = text
		return nil
	}))
	return out
}

// chrootFolder is the plain Debian 12 that machines are made of.
func chrootFolder(t *testing.T) string {
	t.Helper()
	folder, err := filepath.Abs("../build/chroot-debian12")
	must(t, err)
	if _, err := os.Stat(filepath.Join(folder, "bin/bash")); err != nil {
		t.Fatalf("there is no Debian 12 to run scripts in: run make tools (%v)", err)
	}
	return folder
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// link makes a unit start at boot.
func (m *machine) link(unit string) {
	m.t.Helper()
	dir := m.path("etc/systemd/system/multi-user.target.wants")
	must(m.t, os.MkdirAll(dir, 0o755))
	must(m.t, os.Symlink("/usr/lib/systemd/system/"+unit, filepath.Join(dir, unit)))
}

func (m *machine) wantLink(t *testing.T, name, want string) {
	t.Helper()
	if got, err := os.Readlink(m.path(name)); err != nil || got != want {
		t.Errorf("%s leads to %q (%v), not to %q", name, got, err, want)
	}
}

// readRun reads a file of /run of the last boot.
func (m *machine) readRun(name string) string {
	return m.readAt(fmt.Sprintf("run%d/%s", m.boot, name))
}

// outsideIfThere is empty for a file that is not there.
func (m *machine) outsideIfThere(name string) string {
	text, err := os.ReadFile(filepath.Join(m.base, "standin", name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		m.t.Fatal(err)
	}
	return string(text)
}

func (m *machine) exists(name string) bool { return there(m.t, m.path(name)) }

func (m *machine) runExists(name string) bool { return there(m.t, filepath.Join(m.runFolder(), name)) }

func there(t *testing.T, path string) bool {
	t.Helper()
	_, err := os.Lstat(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return err == nil
}

func (m *machine) mode(name string) fs.FileMode {
	m.t.Helper()
	info, err := os.Stat(m.path(name))
	must(m.t, err)
	return info.Mode().Perm()
}

// owner is the user's number.
func (m *machine) owner(name string) uint32 {
	m.t.Helper()
	info, err := os.Stat(m.path(name))
	must(m.t, err)
	return info.Sys().(*syscall.Stat_t).Uid
}

// waitFor waits until a machine that is up has said all texts.
func (p *process) waitFor(t *testing.T, texts ...string) {
	t.Helper()
	for ended := false; ; {
		out := p.out.String()
		missing := slices.IndexFunc(texts, func(s string) bool { return !strings.Contains(out, s) })
		if missing < 0 {
			return
		}
		if ended {
			t.Fatalf("the machine ended (%v) without saying %q:\n%s", p.err, texts[missing], out)
		}
		select {
		case <-p.done:
			ended = true // and may have said something just before
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// output is what a machine has said so far.
type output struct {
	mu   sync.Mutex
	text strings.Builder
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

func sorted(files map[string]string) []string { return slices.Sorted(maps.Keys(files)) }
