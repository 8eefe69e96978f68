//go:build e2e

package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
)

const (
	build = "../../build/e2e" // what mk/e2e.mk made
	runs  = build + "/run"    // disks of machines that run
	last  = build + "/last"   // consoles and journals of the last run of each case

	insideVariable = "MUSTER_E2E_INSIDE"
)

// TestMain runs the cases in a child with process, mount and network namespaces of its own: whatever ends the child, a failure or a signal, the kernel
// takes all machines, mounts and interfaces with it. What is left to undo are the control groups and the host's kernel settings.
func TestMain(m *testing.M) {
	if os.Getenv(insideVariable) == "" {
		os.Exit(outside())
	}
	if err := enter(); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func outside() int {
	unlock, err := prepareHost()
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	defer unlock()
	code := runInside()
	if err := restoreHost(); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	return code
}

// prepareHost also undoes what a run left behind that was killed together with its parent.
func prepareHost() (unlock func(), err error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("machines are booted by root: run the tests as root")
	}
	if _, err := os.Stat(groups + "/systemd"); err != nil {
		return nil, fmt.Errorf("the machines' control groups are those of version 1, and %s has none: boot the host with systemd.unified_cgroup_hierarchy=0", groups)
	}
	if err := checkRoom(); err != nil {
		return nil, err
	}
	lock, err := os.OpenFile(build+"/lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, fmt.Errorf("another run of the end-to-end test holds %s: wait until it has ended", lock.Name())
	}
	if err := restoreHost(); err != nil {
		return nil, err
	}
	if err := recordSettings(); err != nil {
		return nil, err
	}
	return func() { lock.Close() }, raiseLimits()
}

// restoreHost leaves the host as it was before the machines.
func restoreHost() error {
	return errors.Join(removeGroups(groupOfAll), restoreSettings(), os.RemoveAll(runs))
}

// runInside runs this program once more, in its namespaces. A signal ends it at once: there is nothing that it would have to tidy up.
func runInside() int {
	runtime.LockOSThread() // the child is killed when the thread that started it ends
	defer runtime.UnlockOSThread()
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)

	child := exec.Command("/proc/self/exe", os.Args[1:]...)
	child.Env = append(os.Environ(), insideVariable+"=1")
	child.Stdout, child.Stderr = os.Stdout, os.Stderr
	child.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWNET | syscall.CLONE_NEWPID | syscall.CLONE_NEWIPC | syscall.CLONE_NEWUTS,
		Pdeathsig:  syscall.SIGKILL,
		Setpgid:    true,
	}
	if err := child.Start(); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	ended := make(chan error, 1)
	go func() { ended <- child.Wait() }()
	select {
	case s := <-signals:
		fmt.Fprintf(os.Stderr, "e2e: %v: killing the machines\n", s)
		_ = child.Process.Kill() // it may have ended by itself
		<-ended
		return 130
	case <-ended:
		return child.ProcessState.ExitCode()
	}
}

// enter finishes the namespaces: nothing mounted here reaches the host, /proc shows them, and machines find a bridge.
func enter() error {
	if err := syscall.Mount("", "/", "", syscall.MS_PRIVATE|syscall.MS_REC, ""); err != nil {
		return fmt.Errorf("cannot make mounts private: %w", err)
	}
	if err := syscall.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("cannot mount /proc: %w", err)
	}
	for _, dir := range []string{runs, last} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	return makeNetwork()
}

// absolute is for programs that get paths handed and stand elsewhere.
func absolute(path string) string {
	full, err := filepath.Abs(path)
	if err != nil {
		panic(err) // the working directory is gone
	}
	return full
}
