package consumer

import (
	"context"
	_ "embed"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// sandboxScript is the first program inside the new namespaces; it builds the root and enters it.
//
//go:embed sandbox.sh
var sandboxScript string

// unshareFlags give a program namespaces of its own: what it mounts, its processes, network (no interface but lo, down), host name and System V IPC.
var unshareFlags = []string{"--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--net", "--uts", "--ipc"}

// sandbox is a Debian 12 machine made of build/chroot-debian12 under an overlay: what a program writes lands in Root and nowhere else.
type sandbox struct {
	// Root is the overlay's upper folder: only what differs from the plain Debian 12. Empty: a throw-away.
	Root string
	// Files are there as /run/consumer/<name>.
	Files map[string][]byte
	// Programs of build/tools, there as /run/consumer/bin/<base name>.
	Programs []string
}

// shared is where the sandbox sees Files, and where its programs leave results.
const shared = "/run/consumer"

// run executes argv inside. The folder that is returned is /run/consumer as the programs left it; it lives until the test ends.
func (s sandbox) run(tb testing.TB, argv ...string) (result, string) {
	tb.Helper()
	needRoot(tb)
	base := tempDir(tb, "")
	root := s.Root
	if root == "" {
		root = filepath.Join(base, "upper")
	}
	folder := filepath.Join(base, "shared")
	for _, dir := range []string{filepath.Join(base, "merged"), filepath.Join(base, "upper"), filepath.Join(folder, "bin")} {
		mustDo(tb, os.MkdirAll(dir, 0o755))
	}
	for name, content := range s.Files {
		writeFile(tb, filepath.Join(folder, name), content, 0o644)
	}
	for _, program := range s.Programs {
		// An empty file for the bind mount: copying 100 MB would be slow.
		mustDo(tb, os.WriteFile(filepath.Join(folder, "bin", filepath.Base(program)), nil, 0o755))
	}

	upper, work := overlayDirs(tb, root)
	args := append(append([]string{}, unshareFlags...), "sh", "-euc", sandboxScript, "sandbox",
		built(tb, "chroot-debian12"), upper, work, filepath.Join(base, "merged"), folder, strings.Join(s.Programs, "\n"))
	res := run(func(ctx context.Context) *exec.Cmd {
		c := exec.CommandContext(ctx, installed(tb, "unshare"), append(args, argv...)...)
		// The kernel takes the overlay's folders apart at commas and colons, which test names may hold: relative paths have none.
		c.Dir = filepath.Dir(root)
		return c
	}, nil)
	return res, folder
}

// overlayDirs returns the names, relative to the folder that holds root, of the overlay's upper folder and of a work folder on the same file system.
func overlayDirs(tb testing.TB, root string) (upper, work string) {
	tb.Helper()
	upper = filepath.Base(root)
	if strings.ContainsAny(upper, `,:\`) {
		tb.Fatalf("%s: the folder's name has a comma, colon or backslash: choose another", root)
	}
	info, err := os.Stat(root)
	if err != nil || !info.IsDir() {
		tb.Fatalf("%s: is no folder: create it first", root)
	}
	return upper, filepath.Base(tempDir(tb, filepath.Dir(root)))
}

// tempDir is a folder of ours that is gone after the test; unlike tb.TempDir its name never depends on the test's.
func tempDir(tb testing.TB, parent string) string {
	tb.Helper()
	dir, err := os.MkdirTemp(parent, "consumer-")
	mustDo(tb, err)
	tb.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			tb.Errorf("remove the scratch folder: %v", err)
		}
	})
	return dir
}

func needRoot(tb testing.TB) {
	tb.Helper()
	if os.Geteuid() != 0 {
		tb.Fatal("mounting and chroot need root: run the tests as root")
	}
}

func writeFile(tb testing.TB, path string, content []byte, mode os.FileMode) {
	tb.Helper()
	mustDo(tb, os.MkdirAll(filepath.Dir(path), 0o755))
	mustDo(tb, os.WriteFile(path, content, mode))
}

func mustDo(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}
