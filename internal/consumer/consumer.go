// Package consumer is for tests only. It hands what Muster writes to the programs that will read it on a node: kubeadm, cloud-init, Ignition's own engine, butane,
// dockerd, containerd, systemd and shellcheck. Each exported function is one such program; it fails the test with the program's whole output when the
// document is refused, and also when it is taken with a warning: a warning on a node is read by nobody.
//
// The programs come from `make tools` (build/tools, build/chroot-debian12) and `make test-deps`. A missing one fails the test, it never skips it. They run
// as root in namespaces of their own and never change the machine.
//
// The package knows nothing of Muster's own types: bytes and paths go in, so that a wrong idea shared by an encoder and its test cannot hide here.
package consumer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// timeout bounds one run of one program. The slowest, cloud-init's four stages, needs a few seconds on a busy machine.
const timeout = 3 * time.Minute

// projectRoot is the folder of the module muster, found upwards from the folder of the test that runs.
var projectRoot = sync.OnceValues(func() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if mod, err := os.ReadFile(filepath.Join(dir, "go.mod")); err == nil && bytes.Contains(append([]byte("\n"), mod...), []byte("\nmodule muster\n")) {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("no go.mod of the module muster above the working folder")
		}
		dir = filepath.Dir(dir)
	}
})

// built returns the path of something that `make tools` leaves under build/. A pattern must match exactly one path.
func built(tb testing.TB, pattern ...string) string {
	tb.Helper()
	root, err := projectRoot()
	if err != nil {
		tb.Fatalf("find the tools: %v", err)
	}
	full := filepath.Join(append([]string{root, "build"}, pattern...)...)
	found, err := filepath.Glob(full)
	if err != nil || len(found) != 1 {
		tb.Fatalf("%s is missing: run make tools", full)
	}
	return found[0]
}

// installed returns the path of a program of the machine itself.
func installed(tb testing.TB, name string) string {
	tb.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		tb.Fatalf("%s is not installed: run make test-deps", name)
	}
	return path
}

// result is what one run of a program said.
type result struct {
	stdout, stderr string
	err            error
}

// fail reports a refusal with everything the program said.
func (r result) fail(tb testing.TB, what string) {
	tb.Helper()
	reason := "it warned"
	if r.err != nil {
		reason = r.err.Error()
	}
	tb.Fatalf("%s: %s\n--- stdout\n%s\n--- stderr\n%s", what, reason, strings.TrimSpace(r.stdout), strings.TrimSpace(r.stderr))
}

// run starts a program with a bounded life and a fixed, small environment, so that a developer's own settings change nothing.
func run(cmd func(context.Context) *exec.Cmd, stdin []byte) result {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	c := cmd(ctx)
	var stdout, stderr bytes.Buffer
	c.Stdin, c.Stdout, c.Stderr = bytes.NewReader(stdin), &stdout, &stderr
	c.Env = append([]string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", "HOME=/root"}, c.Env...)
	c.WaitDelay = 5 * time.Second
	err := c.Run()
	if ctx.Err() != nil {
		err = fmt.Errorf("no answer within %s: %w", timeout, ctx.Err())
	}
	return result{stdout.String(), stderr.String(), err}
}

// command is a run of a program of the machine itself, with no namespace.
func command(stdin []byte, argv ...string) result {
	return run(func(ctx context.Context) *exec.Cmd { return exec.CommandContext(ctx, argv[0], argv[1:]...) }, stdin)
}
