package templates

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Scripts run for real here, each on a machine of its own: build/chroot-debian12 under an overlay, in namespaces for
// mounts, processes, network and host name. What cannot be real (systemd, kernel modules, kubeadm, a container runtime,
// yum) is played by the stand-ins of testdata/standin, which keep their state where the real ones have it, so that a
// cut run leaves what a real one would. Everything else (bash, coreutils, curl, tar, apt, dpkg, gpg) is Debian's own.

//go:embed testdata/machine.sh testdata/standin
var testdata embed.FS

// serveVariable makes the test binary a web server of a folder: it is what machines download from.
const serveVariable = "MUSTER_TEST_SERVE"

func TestMain(m *testing.M) {
	if folder := os.Getenv(serveVariable); folder != "" {
		fmt.Fprintln(os.Stderr, serve(folder))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func serve(folder string) error {
	listener, err := net.Listen("tcp", "127.0.0.1:80")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(folder, ".ready"), nil, 0o644); err != nil {
		return err
	}
	return http.Serve(listener, http.FileServer(http.Dir(folder)))
}

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
	m.standIns()
	m.write(scriptsFolder+"/muster.sh", string(script(t, steps)), 0o644)
	m.write("usr/local/lib/muster/ipvs.modules", string(IPVSModules()), 0o755)
	m.write("etc/muster/node.conf", baseConf+conf, 0o600)
	m.write("etc/fstab", "# the machine's disks\nUUID=1 / ext4 defaults 0 1\n", 0o644)
	return m
}

// baseConf has every variable that any node has; a test's own assignments come after it.
const baseConf = `NODE_NAME=node1 ROLE=worker INIT=false NODE_ADDRESS=10.0.0.1 CLUSTER=k8s KUBERNETES_VERSION=v1.34.4 ENDPOINT=api.k8s.muster:6443
RUNTIME=containerd RUNTIME_SERVICE=containerd.service CRI_SOCKET=unix:///run/containerd/containerd.sock BIN_DIR=
MODULES=() IPVS=false IPVS_SCRIPT=/usr/local/lib/muster/ipvs.modules SYSCTL_FILE= SELINUX=disabled FIREWALL=disabled FIREWALL_SERVICES=()
FIREWALL_PORTS=() SWAP=disabled TIMEZONE= TIME_SERVICE=chrony.service NOT_BEFORE= GPG_CHECK=true KEY_URLS=() KEY_FINGERPRINTS=() KEY_FILES=()
PACKAGES_BASE=() PACKAGES_RUNTIME=() PACKAGES_KUBERNETES=() PACKAGES_EXTRA=() PACKAGES_HOLD=() HTTP_PROXY= HTTPS_PROXY= NO_PROXY=
BINARY_PATHS=() BINARY_EXTRACT=() BINARY_URLS_AMD64=() BINARY_SHA256_AMD64=() BINARY_URLS_ARM64=() BINARY_SHA256_ARM64=()
DOWNLOAD_PATHS=() DOWNLOAD_URLS=() DOWNLOAD_SHA256=() DOWNLOAD_MODES=() DOWNLOAD_OWNERS=() IMAGE_PATHS=() IMAGE_URLS=() IMAGE_SHA256=()
COMMANDS_BEFORE=() COMMANDS_AFTER=() KUBEADM_INIT=/etc/muster/kubeadm.yaml KUBEADM_JOIN=/etc/muster/kubeadm.yaml KUBEADM_FLAGS=() MANIFESTS=()
KUBECONFIG_USERS=() NODES=() NGINX_IMAGE= DRY_RUN=false
`

func script(t *testing.T, names []string) []byte {
	t.Helper()
	var chosen []Step
	for _, name := range names {
		i := slices.IndexFunc(Steps, func(s Step) bool { return s.Phase+"/"+s.Name == name })
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
		if f.Name() != "env" && f.Name() != "boot" {
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
	out  *strings.Builder
	err  error
}

// start boots the machine. Retries are immediate and waits short unless env says otherwise.
func (m *machine) start(env []string, command ...string) *process {
	m.t.Helper()
	m.boot++
	must(m.t, os.MkdirAll(m.runFolder(), 0o755))
	root := chrootFolder(m.t)
	program, err := testdata.ReadFile("testdata/machine.sh")
	must(m.t, err)
	server, err := os.Executable()
	must(m.t, err)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	m.t.Cleanup(cancel)
	args := []string{
		"--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--net", "--uts", "--ipc",
		"sh", "-euc", "hostname node1\n" + string(program), "machine", root, "upper", "work", "merged", m.runFolder(), filepath.Join(m.base, "standin"), server,
	}
	p := &process{cmd: exec.CommandContext(ctx, "unshare", append(args, command...)...), done: make(chan struct{}), out: &strings.Builder{}}
	p.cmd.Dir = m.base
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.out
	p.cmd.Env = append([]string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "MUSTER_RETRY=0", "MUSTER_WAIT=2", "MUSTER_POLL=0.1"}, env...)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // so that the machine is killed as a whole
	p.cmd.WaitDelay = time.Second
	must(m.t, p.cmd.Start())
	go func() {
		defer close(p.done)
		if p.err = p.cmd.Wait(); ctx.Err() != nil {
			p.err = errors.New("the machine did not finish within a minute")
		}
	}()
	m.t.Cleanup(func() {
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) // it may be gone already
		<-p.done
	})
	return p
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
