package outdir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// text makes a file of the tree.
func text(path, data string) File { return File{Path: path, Pieces: [][]byte{[]byte(data)}} }

func mustWrite(t testing.TB, dir string, files ...File) Result {
	t.Helper()
	res, err := Write(dir, files, Options{})
	if err != nil {
		t.Fatalf("Write: %v", err)
	}
	return res
}

// snapshot describes everything below dir: path, type, mode and content. It is nil if dir does not exist.
func snapshot(t testing.TB, dir string) map[string]string {
	t.Helper()
	if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	seen := make(map[string]string)
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, name)
		if err != nil {
			return err
		}
		content := ""
		switch {
		case info.Mode().IsRegular():
			data, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			content = string(data)
		case info.Mode()&fs.ModeSymlink != 0:
			content, err = os.Readlink(name)
		}
		seen[rel] = fmt.Sprintf("%v %q", info.Mode(), content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return seen
}

// leftovers lists what lies beside dir under the names that runs use.
func leftovers(t testing.TB, dir string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(filepath.Dir(dir), "."+filepath.Base(dir)+".muster-*"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range found {
		found[i] = filepath.Base(found[i])
	}
	return found
}

func wantNoLeftovers(t testing.TB, dir string) {
	t.Helper()
	if left := leftovers(t, dir); len(left) > 0 {
		t.Errorf("left beside the folder: %v", left)
	}
}

func wantSame(t testing.TB, what string, want, got any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// wantError checks that err says every one of the parts.
func wantError(t testing.TB, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one with %q", parts)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q does not say %q", err, part)
		}
	}
}

func put(t testing.TB, name, data string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(data), 0o644); err != nil {
		t.Fatal(err)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func lstat(t testing.TB, name string) fs.FileInfo {
	t.Helper()
	info, err := os.Lstat(name)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

var errInjected = errors.New("injected failure")

// deadFrom is a hook by which nothing works any more from an operation on a path with part in it, as after a kill.
func deadFrom(op, part string) func(op, path string) error {
	dead := false
	return func(o, path string) error {
		if dead = dead || o == op && strings.Contains(path, part); dead {
			return errInjected
		}
		return nil
	}
}

// refusing is a hook that answers like a system without exchange, or without hard links.
func refusing(exchange, links bool) func(op, path string) error {
	return func(op, _ string) error {
		switch {
		case exchange && op == "exchange":
			return syscall.EINVAL
		case links && op == "link":
			return syscall.EPERM
		}
		return nil
	}
}
