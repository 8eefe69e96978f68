package outdir

import (
	"fmt"
	"path/filepath"
	"sync"
	"testing"
)

// TestPutFromManyGoroutines wants the same tree as from Write, whoever makes the folders that all need.
func TestPutFromManyGoroutines(t *testing.T) {
	var files []File
	for i := range 400 {
		files = append(files, text(fmt.Sprintf("nodes/%03d/files/etc/name", i/4), fmt.Sprint(i/4)), text(fmt.Sprintf("shared/deep/folder/%d", i), fmt.Sprint(i)))
	}
	once := map[string]bool{}
	var tree []File
	for _, f := range files {
		if !once[f.Path] {
			tree = append(tree, f)
		}
		once[f.Path] = true
	}
	base := t.TempDir()
	at, parts := filepath.Join(base, "at-once"), filepath.Join(base, "in-parts")
	mustWrite(t, at, tree...)
	r, err := Begin(parts, Options{})
	must(t, err)
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			for n := i; n < len(tree)-10; n += 8 { // some are left to Commit
				r.Put(tree[n : n+1])
			}
		})
	}
	group.Wait()
	if got := snapshot(t, parts); got != nil {
		t.Errorf("before the commit there is %v", got)
	}
	res, err := r.Commit(tree)
	must(t, err)
	must(t, r.Close())
	if len(res.Added) != len(tree) || !res.Written {
		t.Errorf("%d of %d added, written: %v", len(res.Added), len(tree), res.Written)
	}
	wantSame(t, "tree", snapshot(t, at), snapshot(t, parts))
	wantNoLeftovers(t, parts)
}

// TestPutTouchesNothingThatIsAsItShouldBe wants a folder that is up to date left alone.
func TestPutTouchesNothingThatIsAsItShouldBe(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	mustWrite(t, out, oldFiles...)
	res, err := writeEarly(out, oldFiles, oldFiles, Options{Op: func(op, path string) error {
		if op != "lock" && op != "remove" {
			return fmt.Errorf("%s %s", op, path)
		}
		return nil
	}})
	must(t, err)
	if res.Written {
		t.Error("it says that it wrote")
	}
}

// TestPutWithoutCommit wants nothing left of a run that came to nothing.
func TestPutWithoutCommit(t *testing.T) {
	for _, old := range [][]File{nil, oldFiles} {
		out := filepath.Join(t.TempDir(), "out")
		if old != nil {
			mustWrite(t, out, old...)
		}
		before := snapshot(t, out)
		r, err := Begin(out, Options{})
		must(t, err)
		r.Put(newFiles)
		must(t, r.Close())
		wantSame(t, "tree", before, snapshot(t, out))
		wantNoLeftovers(t, out)
	}
}

// TestPutsMistakes wants them told by Commit, by their causes and not by what came of them on the disk.
func TestPutsMistakes(t *testing.T) {
	for name, c := range map[string]struct {
		early, files []File
		want         string
	}{
		"not in the tree":    {newFiles, newFiles[:1], `"pxe/boot" was put early and is no part of the tree`},
		"bad path":           {[]File{text("../x", "")}, []File{text("../x", "")}, `file path "../x" is not a plain relative path`},
		"file and folder":    {[]File{text("a", ""), text("a/b", "")}, []File{text("a", ""), text("a/b", "")}, `path "a" is wanted as a file and as a folder`},
		"twice":              {[]File{text("a", "1"), text("a", "2")}, []File{text("a", "1"), text("a", "2")}, `file path "a" is used twice`},
		"somebody else's":    {[]File{text("mine", "")}, []File{text("mine", "")}, "not written by muster and in the way of the new tree: mine"},
		"a file as a folder": {[]File{text("mine/a", "")}, []File{text("mine/a", "")}, "not written by muster and in the way of the new tree: mine"},
	} {
		out := filepath.Join(t.TempDir(), "out")
		mustWrite(t, out, oldFiles...)
		put(t, filepath.Join(out, "mine"), "m")
		before := snapshot(t, out)
		_, err := writeEarly(out, c.early, c.files, Options{})
		t.Run(name, func(t *testing.T) { wantError(t, err, c.want) })
		wantSame(t, "tree", before, snapshot(t, out))
		wantNoLeftovers(t, out)
	}
}
