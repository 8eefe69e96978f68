//go:build e2e

package e2e

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// machine is a blank machine with a disk, a console and a power button. It is booted from a folder that gen wrote, as from a medium that is only read.
type machine struct {
	name string
	seed string // the documents
	disk string // the folder of what the machine writes
	kept string // the folder of what is kept for reading

	host    *exec.Cmd
	ended   chan struct{}
	console *os.File
	booted  time.Time // the first time

	mu    sync.Mutex
	steps []step
}

// step is one line of the machine's own account on its console.
type step struct {
	at   time.Duration // since the first boot
	name string
}

// newMachine makes a machine that has never been booted. Its power is cut when the case ends.
func newMachine(t *testing.T, name, seed, disk, kept string) *machine {
	t.Helper()
	m := &machine{name: name, seed: absolute(seed), disk: absolute(disk), kept: absolute(kept)}
	must(t, os.MkdirAll(filepath.Join(m.kept, "journal"), 0o755))
	console, err := os.Create(filepath.Join(m.kept, "console"))
	must(t, err)
	m.console = console
	t.Cleanup(func() {
		m.cut(t)
		m.writeJournal(t)
		m.wipe(t)
		console.Close()
	})
	return m
}

// path is where a file of the machine lies for a reader.
func (m *machine) path(name string) string { return filepath.Join(m.disk, "root", name) }

func (m *machine) has(name string) bool {
	_, err := os.Stat(m.path(name))
	return err == nil
}

// boot switches the machine on, with the disk as it is.
func (m *machine) boot(t *testing.T) {
	t.Helper()
	m.mountDisk(t)
	members, err := makeGroup(groupOfAll + "/" + m.name)
	must(t, err)
	// The shell moves itself into the machine's control groups. It starts a machine again that asks for that, which nspawn says by its exit status.
	enter := `for file; do case $file in --) shift; break ;; esac; echo $$ >"$file" || exit; shift; done
trap : TERM
while "$@"; [ $? = 133 ]; do echo '--- starts again'; done`
	m.host = exec.Command("/bin/sh", append(append([]string{"-c", enter, "machine"}, members...), m.nspawn()...)...)
	m.host.Env = append(os.Environ(), "SYSTEMD_NSPAWN_API_VFS_WRITABLE=1")
	m.host.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	output, err := m.host.StdoutPipe()
	must(t, err)
	m.host.Stderr = m.host.Stdout
	if m.booted.IsZero() {
		m.booted = time.Now()
	}
	must(t, m.host.Start())
	m.ended = make(chan struct{})
	go m.follow(m.host, output, m.ended)
}

// nspawn is the command that runs the machine. The folders of container images, of pods and of etcd lie beside its disk: an overlay cannot be
// the base of the overlays that containers are made of.
func (m *machine) nspawn() []string {
	command := []string{"--", "systemd-nspawn", "--quiet", "--directory=" + m.path(""), "--machine=" + m.name, "--hostname=blank",
		"--register=no", "--keep-unit", "--boot", "--console=read-only", "--network-bridge=" + bridge,
		"--resolv-conf=off", "--timezone=off", "--link-journal=no", "--kill-signal=SIGRTMIN+4",
		"--capability=all", "--system-call-filter=add_key keyctl bpf @keyring @privileged @module",
		"--bind=/dev/kmsg", "--bind=/dev/fuse",
		"--bind-ro=" + m.seed + ":/var/lib/cloud/seed/nocloud",
		"--bind=" + filepath.Join(m.kept, "journal") + ":/var/log/journal"}
	for _, name := range folders {
		command = append(command, "--bind="+filepath.Join(m.disk, name)+":/var/lib/"+name)
	}
	return command
}

var folders = []string{"containerd", "kubelet", "etcd"}

// mountDisk lays what the machine writes over the image that all machines start from.
func (m *machine) mountDisk(t *testing.T) {
	t.Helper()
	for _, name := range append([]string{"upper", "work", "root"}, folders...) {
		must(t, os.MkdirAll(filepath.Join(m.disk, name), 0o755))
	}
	if m.has("etc") {
		return
	}
	options := fmt.Sprintf("lowerdir=%s:%s,upperdir=%s,workdir=%s", absolute(build+"/layer"), absolute(build+"/root"), filepath.Join(m.disk, "upper"), filepath.Join(m.disk, "work"))
	if err := syscall.Mount("overlay", m.path(""), "overlay", 0, options); err != nil {
		t.Fatalf("%s: cannot mount the disk: %v", m.name, err)
	}
}

var stepDone = regexp.MustCompile(`muster: (\S+) [0-9]+/[0-9]+ (\S+): (?:done|nothing to do)`)

// follow keeps the console, with times, and notes the steps that the machine says to have done.
func (m *machine) follow(host *exec.Cmd, output io.Reader, ended chan<- struct{}) {
	lines := bufio.NewScanner(output)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		at := time.Since(m.booted)
		fmt.Fprintf(m.console, "%8.1f %s\n", at.Seconds(), lines.Text())
		if match := stepDone.FindStringSubmatch(lines.Text()); match != nil {
			m.mu.Lock()
			m.steps = append(m.steps, step{at, match[1] + " " + match[2]})
			m.mu.Unlock()
		}
	}
	_, _ = io.Copy(io.Discard, output) // a line longer than the buffer must not block the machine
	_ = host.Wait()                    // a machine whose power was cut has no status to speak of
	fmt.Fprintf(m.console, "%8.1f --- off\n", time.Since(m.booted).Seconds())
	close(ended)
}

// stepsDone are the steps so far, in the order in which they were done.
func (m *machine) stepsDone() []step {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.steps)
}

// running reports whether the machine is on.
func (m *machine) running() bool {
	if m.host == nil {
		return false
	}
	select {
	case <-m.ended:
		return false
	default:
		return true
	}
}

// stop presses the power button and waits until the machine is off.
func (m *machine) stop(t *testing.T) {
	t.Helper()
	if !m.running() {
		return
	}
	must(t, syscall.Kill(-m.host.Process.Pid, syscall.SIGTERM)) // the shell, which waits, and nspawn
	select {
	case <-m.ended:
	case <-time.After(3 * time.Minute):
		t.Fatalf("%s does not shut down; see %s", m.name, m.kept)
	}
	m.cut(t)
}

// cut takes the power away.
func (m *machine) cut(t *testing.T) {
	t.Helper()
	if m.host == nil {
		return
	}
	_ = m.host.Process.Kill() // off already, perhaps
	must(t, killGroup(groupOfAll+"/"+m.name))
	<-m.ended
	must(t, removeGroups(groupOfAll+"/"+m.name))
	m.unplug(t)
	m.host = nil
}

// unplug takes away the cable of a machine that is no more: the next one has the same name. The kernel would do it by itself, but only when
// the machine's last connections have given up on those that they were to.
func (m *machine) unplug(t *testing.T) {
	t.Helper()
	cable := "vb-" + m.name
	all, err := net.Interfaces() // not /sys, which shows the interfaces of the network that it was mounted in
	must(t, err)
	if !slices.ContainsFunc(all, func(i net.Interface) bool { return i.Name == cable }) {
		return
	}
	if out, err := exec.Command("ip", "link", "delete", cable).CombinedOutput(); err != nil && !strings.Contains(string(out), "Cannot find device") {
		t.Fatalf("%s: cannot take the cable away: %v: %s", m.name, err, out)
	}
}

// wipe replaces the disk of a machine that is off by a blank one.
func (m *machine) wipe(t *testing.T) {
	t.Helper()
	if m.running() {
		t.Fatalf("%s is on: its disk cannot be taken out", m.name)
	}
	if err := syscall.Unmount(m.path(""), 0); err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("%s: cannot unmount the disk: %v", m.name, err)
	}
	must(t, os.RemoveAll(m.disk))
}

// writeJournal writes the kept journal as text.
func (m *machine) writeJournal(t *testing.T) {
	t.Helper()
	text, err := os.Create(filepath.Join(m.kept, "journal.txt"))
	must(t, err)
	defer text.Close()
	show := exec.Command("journalctl", "--directory="+filepath.Join(m.kept, "journal"), "--output=short-precise", "--no-pager")
	show.Stdout, show.Stderr = text, text
	if err := show.Run(); err != nil {
		t.Errorf("%s: cannot read the journal: %v; see %s", m.name, err, text.Name())
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
