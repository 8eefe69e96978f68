package templates

import (
	"bufio"
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

// The test binary is three programs. Started by these variables it is the first program of a machine's namespaces, or a
// web server that machines download from.
const (
	machineVariable = "MUSTER_TEST_MACHINE"
	serveVariable   = "MUSTER_TEST_SERVE"
)

// scratch are folders that tests share and that go when all have run.
var scratch []string

func TestMain(m *testing.M) {
	switch {
	case os.Getenv(machineVariable) != "":
		fmt.Fprintln(os.Stderr, bootMachine(os.Getenv(machineVariable), os.Args[1], os.Args[2], os.Args[3:]))
		os.Exit(99)
	case os.Getenv(serveVariable) != "":
		fmt.Fprintln(os.Stderr, serve(os.Getenv(serveVariable)))
		os.Exit(99)
	}
	code := m.Run()
	for _, folder := range scratch {
		if err := os.RemoveAll(folder); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
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

// bootMachine makes a machine of the folder base: Debian 12 (lower) under an overlay with run as its /run. It does what
// kernel and systemd do before muster, and becomes the command.
func bootMachine(base, lower, run string, command []string) error {
	merged, standin := filepath.Join(base, "merged"), filepath.Join(base, "standin")
	if err := mountMachine(base, lower, run); err != nil {
		return err
	}
	if err := startEnabled(merged); err != nil {
		return err
	}
	if err := registerNode(merged, filepath.Join(standin, "cluster/nodes")); err != nil {
		return err
	}
	if err := copyIfThere(filepath.Join(standin, "discovery.conf"), filepath.Join(run, "muster/discovery.conf")); err != nil {
		return err
	}
	if err := startServer(filepath.Join(standin, "www")); err != nil {
		return err
	}
	if err := errors.Join(syscall.Sethostname([]byte("node1")), syscall.Chroot(merged), os.Chdir("/")); err != nil {
		return err
	}
	env := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, machineVariable) })
	return syscall.Exec(command[0], command, append(env, "BASH_ENV=/standin/bin/env"))
}

func mountMachine(base, lower, run string) error {
	merged, standin := filepath.Join(base, "merged"), filepath.Join(base, "standin")
	in := func(name string) string { return filepath.Join(merged, name) }
	var failed []error
	mount := func(source, target, kind string, flags uintptr, data string) {
		if err := syscall.Mount(source, target, kind, flags, data); err != nil {
			failed = append(failed, fmt.Errorf("mount %s on %s: %w", source, target, err))
		}
	}
	bind := func(source, target string) { // a file needs a file to be mounted on
		if _, err := os.Stat(target); errors.Is(err, fs.ErrNotExist) {
			failed = append(failed, os.WriteFile(target, nil, 0o644))
		}
		mount(source, target, "", syscall.MS_BIND, "")
	}
	mount("none", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, "")
	mount("overlay", merged, "overlay", 0, fmt.Sprintf("lowerdir=%s,upperdir=%s/upper,workdir=%s/work", lower, base, base))
	mount(run, in("run"), "", syscall.MS_BIND, "")
	mount("proc", in("proc"), "proc", 0, "")
	for _, name := range []string{"sys", "tmp", "dev"} {
		mount("tmpfs", in(name), "tmpfs", 0, "")
	}
	failed = append(failed, os.Mkdir(in("tmp/upper"), 0o755), os.Symlink("/proc/self/fd", in("dev/fd")))
	mount(filepath.Join(base, "upper"), in("tmp/upper"), "", syscall.MS_BIND, "")
	mount(standin, in("standin"), "", syscall.MS_BIND, "")
	for _, name := range []string{"null", "zero", "urandom"} {
		bind("/dev/"+name, in("dev/"+name))
	}
	bind(filepath.Join(standin, "console"), in("dev/console"))
	for _, name := range []string{"modules", "swaps"} {
		// A kernel without loadable modules has no list of them.
		if _, err := os.Stat(in("proc/" + name)); err == nil {
			failed = append(failed, os.WriteFile(filepath.Join(run, "proc-"+name), nil, 0o644))
			bind(filepath.Join(run, "proc-"+name), in("proc/"+name))
		}
	}
	return errors.Join(failed...)
}

// startEnabled starts what is enabled, and has swap and SELinux as their files say.
func startEnabled(root string) error {
	for _, folder := range []string{"run/active", "sys/fs/selinux", "run/systemd/generator"} {
		if err := os.MkdirAll(filepath.Join(root, folder), 0o755); err != nil {
			return err
		}
	}
	for _, pattern := range []string{"etc/systemd/system/multi-user.target.wants/*.service", "etc/systemd/system/*.swap", "usr/lib/systemd/system/*.swap"} {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			return err
		}
		for _, file := range files {
			if err := startUnit(root, filepath.Base(file)); err != nil {
				return err
			}
		}
	}
	fstab, err := os.ReadFile(filepath.Join(root, "etc/fstab"))
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(fstab)) {
		if words := strings.Fields(line); len(words) > 3 && words[2] == "swap" && !strings.HasPrefix(words[0], "#") {
			unit := strings.ReplaceAll(strings.TrimPrefix(words[0], "/"), "/", "-") + ".swap"
			if err := errors.Join(os.WriteFile(filepath.Join(root, "run/systemd/generator", unit), nil, 0o644), startUnit(root, unit)); err != nil {
				return err
			}
		}
	}
	for mode, enforce := range map[string]string{"enforcing": "1", "permissive": "0"} {
		config, err := os.ReadFile(filepath.Join(root, "etc/selinux/config"))
		if err == nil && strings.Contains("\n"+string(config), "\nSELINUX="+mode+"\n") {
			if err := os.WriteFile(filepath.Join(root, "sys/fs/selinux/enforce"), []byte(enforce), 0o644); err != nil {
				return err
			}
		}
	}
	return nil
}

// startUnit has the unit run with what its file says that it reads, unless it is masked.
func startUnit(root, unit string) error {
	if target, err := os.Readlink(filepath.Join(root, "etc/systemd/system", unit)); err == nil && target == "/dev/null" {
		return nil
	}
	var read []byte
	if file, err := os.Open(filepath.Join(root, "usr/lib/systemd/system", unit)); err == nil {
		defer file.Close()
		for lines := bufio.NewScanner(file); lines.Scan(); {
			if name, found := strings.CutPrefix(lines.Text(), "# reads "); found {
				if read, err = os.ReadFile(filepath.Join(root, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
					return err
				}
			}
		}
	}
	if strings.HasSuffix(unit, ".swap") {
		swaps, err := os.OpenFile(filepath.Join(root, "proc/swaps"), os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		defer swaps.Close()
		if _, err := fmt.Fprintf(swaps, "Filename\n/dev/%s partition 100 0 -2\n", strings.TrimSuffix(unit, ".swap")); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(root, "run/active", unit), read, 0o644)
}

// registerNode does what a kubelet does when it starts with credentials: it makes its node, if that is not there.
func registerNode(root, nodes string) error {
	for _, file := range []string{"run/active/kubelet.service", "etc/kubernetes/kubelet.conf"} {
		if _, err := os.Stat(filepath.Join(root, file)); errors.Is(err, fs.ErrNotExist) {
			return nil
		}
	}
	return errors.Join(os.MkdirAll(nodes, 0o755), os.WriteFile(filepath.Join(nodes, "node1"), []byte("node1=True\n"), 0o644))
}

func copyIfThere(from, to string) error {
	text, err := os.ReadFile(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return errors.Join(err, os.MkdirAll(filepath.Dir(to), 0o755), os.WriteFile(to, text, 0o600))
}

// startServer serves a folder, if it is there, on the machine's loopback interface.
func startServer(folder string) error {
	if _, err := os.Stat(folder); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if out, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		return fmt.Errorf("ip link set lo up: %w: %s", err, out)
	}
	ready := filepath.Join(folder, ".ready")
	if err := os.Remove(ready); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	server := exec.Command("/proc/self/exe")
	server.Env = []string{serveVariable + "=" + folder}
	server.Stderr = os.Stderr
	if err := server.Start(); err != nil {
		return err
	}
	for range 1000 {
		if _, err := os.Stat(ready); err == nil {
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	return errors.New("the web server did not start")
}
