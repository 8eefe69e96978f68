package outdir

import (
	"bytes"
	"encoding/base64"
	"encoding/gob"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// The tests run as root in a mount namespace of their own, with their temporary folders on a tmpfs: it
// makes syncfs(2) cheap, which would otherwise wait for every other writer of the machine, and lets the tests
// mount things that nobody else sees.
const (
	inNamespaceEnv = "OUTDIR_TEST_NAMESPACE" // holds the temporary folder of the real disk
	childEnv       = "OUTDIR_TEST_CHILD"     // holds a childRun
)

func TestMain(m *testing.M) {
	if spec := os.Getenv(childEnv); spec != "" {
		os.Exit(childMain(spec))
	}
	if os.Getenv(inNamespaceEnv) == "" {
		os.Exit(runInNamespace())
	}
	scratch, err := os.MkdirTemp("", "outdir-test-")
	if err == nil {
		err = unix.Mount("tmpfs", scratch, "tmpfs", 0, "mode=0755")
	}
	if err == nil {
		err = os.Setenv("TMPDIR", scratch)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "cannot prepare the tests' tmpfs:", err)
		os.Exit(1)
	}
	code := m.Run()
	_ = unix.Unmount(scratch, unix.MNT_DETACH)
	_ = os.Remove(scratch)
	os.Exit(code)
}

func runInNamespace() int {
	runtime.LockOSThread() // Pdeathsig means the death of the thread that started the child
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), inNamespaceEnv+"="+os.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	err := cmd.Run()
	if cmd.ProcessState == nil {
		fmt.Fprintln(os.Stderr, "these tests need root, for a mount namespace:", err)
		return 1
	}
	return cmd.ProcessState.ExitCode()
}

// childRun is one Write in a process of its own.
type childRun struct {
	Dir    string
	Files  []File
	KillAt int // number of the operation at which the process kills itself; none if negative

	NoExchange bool // the exchange is refused, as by a file system that has none
	NoLinks    bool // hard links are refused

	UID int // user of the process
}

// childResult is what a childRun prints.
type childResult struct {
	Result Result
	Err    string
}

func childMain(spec string) int {
	var run childRun
	if err := gob.NewDecoder(base64.NewDecoder(base64.StdEncoding, strings.NewReader(spec))).Decode(&run); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	opts := Options{}
	if run.KillAt >= 0 || run.NoExchange || run.NoLinks {
		n := 0
		opts.Op = func(op, path string) error {
			if n == run.KillAt {
				_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
				select {}
			}
			n++
			return refusing(run.NoExchange, run.NoLinks)(op, path)
		}
	}
	res, err := Write(run.Dir, run.Files, opts)
	out := childResult{Result: res}
	if err != nil {
		out.Err = err.Error()
	}
	if err := json.NewEncoder(os.Stdout).Encode(out); err != nil {
		return 1
	}
	return 0
}

// start runs the child to its end. killed says whether it killed itself; the result is that of a child
// that did not.
func (run childRun) start(t *testing.T) (res childResult, killed bool) {
	t.Helper()
	var spec bytes.Buffer
	if err := gob.NewEncoder(&spec).Encode(run); err != nil { // JSON refuses a File
		t.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), childEnv+"="+base64.StdEncoding.EncodeToString(spec.Bytes()))
	cmd.Dir = "/"
	cmd.Stderr = os.Stderr
	if run.UID != 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(run.UID), Gid: uint32(run.UID)}}
	}
	out, err := cmd.Output()
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signal() == syscall.SIGKILL {
		return res, true
	}
	if err != nil {
		t.Fatalf("child: %v", err)
	}
	if err := json.Unmarshal(out, &res); err != nil {
		t.Fatalf("child said %q: %v", out, err)
	}
	return res, false
}
