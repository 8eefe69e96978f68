package outdir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestWriteMakesFolder(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	res := mustWrite(t, out, text("nodes/b/user-data", "B"), text("nodes/a/user-data", "A"))
	wantSame(t, "result", Result{Written: true, Added: []string{"nodes/a/user-data", "nodes/b/user-data"}}, res)
	wantSame(t, "tree", map[string]string{
		".": `drwx------ ""`, "nodes": `drwx------ ""`, "nodes/a": `drwx------ ""`, "nodes/b": `drwx------ ""`,
		"nodes/a/user-data": `-rw------- "A"`, "nodes/b/user-data": `-rw------- "B"`,
		"manifest.json": fmt.Sprintf("-rw------- %q", `{
  "generator": "muster",
  "formatVersion": 1,
  "files": [
    {
      "path": "nodes/a/user-data",
      "size": 1,
      "sha256": "559aead08264d5795d3909718cdd05abd49572e84fe55590eef31a88a08fdffd"
    },
    {
      "path": "nodes/b/user-data",
      "size": 1,
      "sha256": "df7e70e5021544f4834bbee64a9e3789febc4be81470df629cad6ddb03320a5c"
    }
  ]
}
`),
	}, snapshot(t, out))
	wantNoLeftovers(t, out)
}

func TestResult(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	mustWrite(t, out, text("same", "1"), text("changes", "1"), text("goes", "1"), text("edited", "1"),
		text("edited-goes", "1"), text("deleted", "1"), text("deleted-goes", "1"), text("mode", "1"))
	put(t, filepath.Join(out, "edited"), "by hand")
	put(t, filepath.Join(out, "edited-goes"), "by hand")
	must(t, os.Remove(filepath.Join(out, "deleted")))
	must(t, os.Remove(filepath.Join(out, "deleted-goes")))
	must(t, os.Chmod(filepath.Join(out, "mode"), 0o644))
	put(t, filepath.Join(out, "z-notes"), "mine")
	put(t, filepath.Join(out, "a-folder/notes"), "mine")

	next := []File{text("same", "1"), text("changes", "2"), text("edited", "1"), text("deleted", "1"), text("mode", "1"), text("new", "1")}
	want := Result{
		Written:      true,
		Added:        []string{"deleted", "new"},
		Changed:      []string{"changes", "edited", "mode"},
		Removed:      []string{"edited-goes", "goes"},
		Unchanged:    []string{"same"},
		EditedByHand: []string{"edited", "edited-goes"},
		Kept:         []string{"a-folder/notes", "z-notes"},
	}
	before := snapshot(t, out)
	foretold, err := Compare(out, next)
	must(t, err)
	wantSame(t, "Compare", want, foretold)
	wantSame(t, "tree after Compare", before, snapshot(t, out))

	wantSame(t, "Write", want, mustWrite(t, out, next...))
	wantSame(t, "tree", map[string]string{
		"same": `-rw------- "1"`, "changes": `-rw------- "2"`, "edited": `-rw------- "1"`, "deleted": `-rw------- "1"`,
		"mode": `-rw------- "1"`, "new": `-rw------- "1"`, "z-notes": `-rw-r--r-- "mine"`,
		"a-folder": `drwxr-xr-x ""`, "a-folder/notes": `-rw-r--r-- "mine"`, ".": `drwx------ ""`,
		"manifest.json": snapshot(t, out)["manifest.json"],
	}, snapshot(t, out))

	again := mustWrite(t, out, next...)
	if again.Written || len(again.EditedByHand) > 0 || len(again.Unchanged) != len(next) {
		t.Errorf("second run of the same files did %+v", again)
	}
	wantNoLeftovers(t, out)
}

// A run that has nothing to do must not even touch times: other tools watch them.
func TestUnchangedRunTouchesNothing(t *testing.T) {
	base := t.TempDir()
	out := filepath.Join(base, "out")
	files := []File{text("nodes/a/user-data", "A"), text("b", "B")}
	mustWrite(t, out, files...)
	put(t, filepath.Join(out, "nodes/a/notes"), "mine")
	before := times(t, out)
	time.Sleep(10 * time.Millisecond) // beyond the granularity of the file system's clock
	var ops []string
	res, err := Write(out, files, Options{Op: func(op, path string) error {
		ops = append(ops, op+" "+filepath.Base(path))
		return nil
	}})
	must(t, err)
	if res.Written {
		t.Error("Written is true")
	}
	wantSame(t, "operations", []string{"lock .out.muster-lock", "remove .out.muster-lock"}, ops)
	wantSame(t, "times", before, times(t, out))
}

func times(t *testing.T, dir string) map[string]time.Time {
	t.Helper()
	seen := make(map[string]time.Time)
	for rel := range snapshot(t, dir) {
		seen[rel] = lstat(t, filepath.Join(dir, rel)).ModTime()
	}
	return seen
}

// Whatever differs from what a run would make is put right, even if no file's bytes differ.
func TestSmallDeviationsAreWritten(t *testing.T) {
	for name, deviate := range map[string]func(t *testing.T, out string){
		"root mode":     func(t *testing.T, out string) { must(t, os.Chmod(out, 0o755)) },
		"folder mode":   func(t *testing.T, out string) { must(t, os.Chmod(filepath.Join(out, "nodes"), 0o750)) },
		"setgid":        func(t *testing.T, out string) { must(t, os.Chmod(filepath.Join(out, "nodes"), 0o700|fs.ModeSetgid)) },
		"file mode":     func(t *testing.T, out string) { must(t, os.Chmod(filepath.Join(out, "nodes/a"), 0o400)) },
		"manifest mode": func(t *testing.T, out string) { must(t, os.Chmod(filepath.Join(out, ManifestName), 0o644)) },
		"manifest format": func(t *testing.T, out string) {
			raw, err := os.ReadFile(filepath.Join(out, ManifestName))
			must(t, err)
			must(t, os.WriteFile(filepath.Join(out, ManifestName), append(raw, '\n'), 0o600))
		},
		"file is a symlink": func(t *testing.T, out string) {
			must(t, os.Rename(filepath.Join(out, "nodes/a"), filepath.Join(out, "../a")))
			must(t, os.Symlink("../../a", filepath.Join(out, "nodes/a")))
		},
	} {
		t.Run(name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "out")
			mustWrite(t, out, text("nodes/a", "A"))
			want := snapshot(t, out)
			deviate(t, out)
			if res := mustWrite(t, out, text("nodes/a", "A")); !res.Written {
				t.Errorf("not written: %+v", res)
			}
			wantSame(t, "tree", want, snapshot(t, out))
			wantNoLeftovers(t, out)
		})
	}
}

// Unchanged files keep their identity, so that their times stay and large images are not written again.
func TestUnchangedFilesAreLinked(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	mustWrite(t, out, text("same", "1"), text("changes", "1"))
	same, changes := lstat(t, filepath.Join(out, "same")), lstat(t, filepath.Join(out, "changes"))
	mustWrite(t, out, text("same", "1"), text("changes", "2"))
	if !os.SameFile(same, lstat(t, filepath.Join(out, "same"))) {
		t.Error("the unchanged file was written again")
	}
	if os.SameFile(changes, lstat(t, filepath.Join(out, "changes"))) {
		t.Error("the changed file was written in place")
	}
}

func TestTakeover(t *testing.T) {
	for name, c := range map[string]struct {
		prepare func(t *testing.T, out string)
		refused string // part of the error; empty if the folder may be taken over
	}{
		"empty":     {func(t *testing.T, out string) { must(t, os.Mkdir(out, 0o755)) }, ""},
		"gitignore": {func(t *testing.T, out string) { put(t, filepath.Join(out, ".gitignore"), "*") }, ""},
		"gitignore and more": {func(t *testing.T, out string) {
			put(t, filepath.Join(out, ".gitignore"), "*")
			put(t, filepath.Join(out, "thesis.tex"), "years")
		}, "holds thesis.tex and no manifest.json, so it was not written by muster: choose another -out or empty it"},
		"gitignore is a folder": {func(t *testing.T, out string) { put(t, filepath.Join(out, ".gitignore/x"), "") },
			"holds .gitignore and no manifest.json"},
		"manifest of another tool": {func(t *testing.T, out string) { put(t, filepath.Join(out, ManifestName), `{"name":"app"}`) },
			"its manifest.json was not written by muster: choose another -out or empty the folder"},
		"manifest of a later form": {func(t *testing.T, out string) {
			put(t, filepath.Join(out, ManifestName), `{"generator":"muster","formatVersion":2,"files":"elsewhere"}`)
		}, "has format version 2, and this gen knows only 1"},
		"manifest cut":       {func(t *testing.T, out string) { put(t, filepath.Join(out, ManifestName), `{"generator":"mus`) }, "is not readable"},
		"manifest is a list": {func(t *testing.T, out string) { put(t, filepath.Join(out, ManifestName), `[]`) }, "is not readable"},
		"manifest leads out": {func(t *testing.T, out string) {
			put(t, filepath.Join(out, ManifestName), `{"generator":"muster","formatVersion":1,"files":[{"path":"../x"}]}`)
		}, "is not readable"},
		"manifest is a folder": {func(t *testing.T, out string) { put(t, filepath.Join(out, ManifestName, "x"), "") }, "its manifest.json is not a file"},
		"file":                 {func(t *testing.T, out string) { put(t, out, "") }, "is not a folder: choose another -out"},
		"symlink": {func(t *testing.T, out string) {
			must(t, os.Mkdir(filepath.Join(out, "../real"), 0o755))
			must(t, os.Symlink("real", out))
		}, "/real, which it leads to"},
		"dangling symlink": {func(t *testing.T, out string) { must(t, os.Symlink("nowhere", out)) }, "is a symlink that leads nowhere"},
	} {
		t.Run(name, func(t *testing.T) {
			base := t.TempDir()
			out := filepath.Join(base, "out")
			c.prepare(t, out)
			before := snapshot(t, base)
			res, err := Write(out, []File{text("a", "A")}, Options{})
			if c.refused != "" {
				wantError(t, err, out, c.refused)
				wantSame(t, "everything", before, snapshot(t, base))
				_, err = Read(out)
				wantError(t, err, out, c.refused)
				if errors.Is(err, fs.ErrNotExist) {
					t.Errorf("Read says that nothing was written yet: %v", err)
				}
				return
			}
			must(t, err)
			wantSame(t, "added", []string{"a"}, res.Added)
			after := snapshot(t, out)
			for _, rel := range []string{".gitignore"} {
				wantSame(t, rel, before["out/"+rel], after[rel])
			}
			wantNoLeftovers(t, out)
		})
	}
}

func TestPlacesThatCannotBeReplaced(t *testing.T) {
	base := t.TempDir()
	out := filepath.Join(base, "out")
	mustWrite(t, out, text("sub/a", "A"))
	put(t, filepath.Join(base, "file"), "")
	must(t, os.Symlink("out/sub", filepath.Join(base, "inside")))
	must(t, os.MkdirAll(filepath.Join(base, "far/away/deep"), 0o755))
	must(t, os.Symlink("far/away", filepath.Join(base, "elsewhere")))
	for _, c := range []struct{ cwd, dir, want string }{
		{base, "", "output folder has no name"},
		{base, "/", "/: is the root of a file system"},
		{base, "missing/out", "its parent folder " + base + "/missing does not exist: make it first"},
		{base, "file/out", "file/out: "},
		{out, ".", ".: the current folder is in it"},
		{filepath.Join(out, "sub"), "../../out", "the current folder is in it"},
		{filepath.Join(out, "sub"), out, "run gen from another folder"},
		{filepath.Join(base, "inside"), out, "the current folder is in it"},
		{base, "elsewhere/../new", "elsewhere/../new: goes up with .. from a symlink, which can be meant in two ways: pass an -out without .."},
		{base, base + "/elsewhere/./../new", "goes up with .. from a symlink"},
		{base, "elsewhere/deep/../..", "goes up with .. from a symlink"},
		{filepath.Join(base, "elsewhere"), "../new", "goes up with .. from a symlink"},
	} {
		t.Run(c.dir, func(t *testing.T) {
			t.Chdir(c.cwd)
			before := snapshot(t, base)
			_, err := Write(c.dir, []File{text("a", "B")}, Options{})
			wantError(t, err, c.want)
			wantSame(t, "everything", before, snapshot(t, base))
		})
	}
	t.Chdir(base)
	for i, dir := range []string{"out/", "far/../out", "elsewhere/deep/../new", "..out", "missing/../out"} {
		if res := mustWrite(t, dir, text("sub/a", fmt.Sprint(i))); !res.Written {
			t.Errorf("%s was not written", dir)
		}
	}
}

func TestPaths(t *testing.T) {
	for _, c := range []struct{ path, want string }{
		{"", "file path is empty"},
		{"/etc/passwd", `file path "/etc/passwd" is absolute`},
		{"../x", `file path "../x" is not a plain relative path`},
		{"a/../x", "not a plain relative path"},
		{".", "not a plain relative path"},
		{"a//b", "not a plain relative path"},
		{"a/", "not a plain relative path"},
		{"a\x00b", "holds a NUL byte"},
		{"a\xffb", "not a plain relative path"},
		{"manifest.json", `file path "manifest.json" is reserved`},
		{"manifest.json/x", "is reserved"},
		{"twice", `file path "twice" is used twice`},
		{"folder", `path "folder" is wanted as a file and as a folder`},
		{"folder/deep", `path "folder/deep" is wanted as a file and as a folder`},
	} {
		t.Run(c.path, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "out")
			_, err := Write(out, []File{text("twice", ""), text("folder/deep/file", ""), text(c.path, "x")}, Options{})
			wantError(t, err, "cannot write "+out, c.want)
			if _, err := os.Lstat(out); !errors.Is(err, fs.ErrNotExist) {
				t.Error("the folder was made")
			}
		})
	}
	t.Run("all at once", func(t *testing.T) {
		_, err := Write(t.TempDir(), []File{text("../a", ""), text("/b", ""), text("c", ""), text("c", "")}, Options{})
		wantError(t, err, `"../a"`, `"/b"`, `"c" is used twice`)
	})
	t.Run("unusual but fine", func(t *testing.T) {
		out := filepath.Join(t.TempDir(), "out")
		mustWrite(t, out, text("nested/manifest.json", "1"), text(`units/var-lib\x2dfoo.mount`, "2"), text("ünïcode <&>", "3"), text("..dots", "4"))
		m, err := Read(out)
		must(t, err)
		wantSame(t, "path", "ünïcode <&>", m.Files[3].Path)
	})
}

func TestForeignContentIsKept(t *testing.T) {
	for name, op := range map[string]func(op, path string) error{
		"linked": nil, "copied": refusing(false, true), "without exchange": refusing(true, false),
	} {
		t.Run(name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "out")
			mustWrite(t, out, text("nodes/a/user-data", "A"), text("nodes/gone/user-data", "G"))
			old := time.Date(2001, 2, 3, 4, 5, 6, 7000, time.UTC)
			in := func(rel string) string { return filepath.Join(out, rel) }
			put(t, in("nodes/a/notes"), "n")
			put(t, in("nodes/gone/notes"), "g")
			put(t, in("mine/deep/script"), "s")
			must(t, os.MkdirAll(in("mine/empty"), 0o755))
			must(t, os.Symlink("../../elsewhere", in("mine/link")))
			must(t, os.Chmod(in("mine/deep/script"), 0o4751))
			must(t, os.Chtimes(in("mine/deep/script"), old, old))
			must(t, os.Chmod(in("mine/deep"), 0o500))
			must(t, os.Chtimes(in("mine/deep"), old, old))
			script, before := lstat(t, in("mine/deep/script")), snapshot(t, out)

			res, err := Write(out, []File{text("nodes/a/user-data", "A2")}, Options{Op: op})
			must(t, err)
			wantSame(t, "kept", []string{"mine/deep/script", "mine/link", "nodes/a/notes", "nodes/gone/notes"}, res.Kept)
			after := snapshot(t, out)
			for _, changed := range []string{"manifest.json", "nodes/a/user-data", "nodes/gone/user-data"} {
				delete(before, changed)
				delete(after, changed)
			}
			wantSame(t, "foreign content", before, after)
			for _, rel := range []string{"mine/deep/script", "mine/deep"} {
				if got := lstat(t, in(rel)).ModTime(); !got.Equal(old) {
					t.Errorf("time of %s is %v, was %v", rel, got, old)
				}
			}
			if linked := os.SameFile(script, lstat(t, in("mine/deep/script"))); linked != (name != "copied") {
				t.Errorf("the file is the same one: %v", linked)
			}
			wantNoLeftovers(t, out)
		})
	}
}

func TestForeignContentInTheWay(t *testing.T) {
	for name, c := range map[string]struct {
		place func(t *testing.T, out string)
		want  string
	}{
		"file at a file":     {func(t *testing.T, out string) { put(t, filepath.Join(out, "nodes/b/user-data"), "") }, "nodes/b, nodes/b/user-data: move"},
		"file at a folder":   {func(t *testing.T, out string) { put(t, filepath.Join(out, "nodes/b"), "") }, "nodes/b: move"},
		"folder at a file":   {func(t *testing.T, out string) { must(t, os.Mkdir(filepath.Join(out, "c"), 0o755)) }, "c: move"},
		"folder at a folder": {func(t *testing.T, out string) { must(t, os.Mkdir(filepath.Join(out, "nodes/b"), 0o755)) }, "nodes/b: move"},
		"symlink at a folder": {func(t *testing.T, out string) {
			must(t, os.Mkdir(filepath.Join(out, "../b"), 0o755))
			must(t, os.Symlink("../../b", filepath.Join(out, "nodes/b")))
		}, "nodes/b: move"},
		"symlink at our folder": {func(t *testing.T, out string) {
			must(t, os.Rename(filepath.Join(out, "nodes"), filepath.Join(out, "../nodes")))
			must(t, os.Symlink("../nodes", filepath.Join(out, "nodes")))
		}, "nodes: move"},
		"file below a file": {func(t *testing.T, out string) { put(t, filepath.Join(out, "turns/notes"), "") }, "turns/notes: move"},
		"many": {func(t *testing.T, out string) {
			for i := range 13 {
				put(t, filepath.Join(out, "turns", fmt.Sprintf("notes-%02d", i)), "")
			}
		}, "turns/notes-09 and 3 more: move"},
	} {
		t.Run(name, func(t *testing.T) {
			base := t.TempDir()
			out := filepath.Join(base, "out")
			mustWrite(t, out, text("nodes/a/user-data", "A"), text("turns/into-a-file", "T"))
			c.place(t, out)
			before := snapshot(t, base)
			next := []File{text("nodes/a/user-data", "A2"), text("nodes/b/user-data", "B"), text("c", "C"), text("turns", "T")}
			_, err := Write(out, next, Options{})
			wantError(t, err, out+": not written by muster and in the way of the new tree: ", c.want)
			wantSame(t, "everything", before, snapshot(t, base))
			_, err = Compare(out, next)
			wantError(t, err, c.want)
		})
	}
}

// Between the look at the folder and the exchange somebody may save a file there.
func TestFileThatAppearsMeanwhile(t *testing.T) {
	for _, noExchange := range []bool{false, true} {
		t.Run(fmt.Sprintf("noExchange=%v", noExchange), func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "out")
			in := func(rel string) string { return filepath.Join(out, rel) }
			mustWrite(t, out, text("nodes/a/user-data", "A"), text("gone/x", "G"))
			put(t, in("saved"), "first")
			past := time.Now().Add(-time.Hour)
			must(t, os.Chtimes(in("saved"), past, past))
			_, err := Write(out, []File{text("nodes/a/user-data", "A2")}, Options{Op: func(op, path string) error {
				if op == "exchange" {
					put(t, in("nodes/a/notes"), "n")
					put(t, in("gone/notes"), "g")
					put(t, in("mine/deep/notes"), "m")
					put(t, in("saved.tmp"), "second")
					must(t, os.Rename(in("saved.tmp"), in("saved"))) // as editors save
				}
				return refusing(noExchange, false)(op, path)
			}})
			must(t, err)
			for rel, want := range map[string]string{
				"nodes/a/user-data": "A2", "nodes/a/notes": "n", "gone/notes": "g", "mine/deep/notes": "m", "saved": "second",
			} {
				got, err := os.ReadFile(in(rel))
				if err != nil || string(got) != want {
					t.Errorf("%s holds %q (%v), want %q", rel, got, err, want)
				}
			}
			wantNoLeftovers(t, out)
		})
	}
}

// replaceBy puts another file in the place of one, with a time long before: as wget, cp -p, tar and mv do.
func replaceBy(t *testing.T, name, data string) {
	t.Helper()
	past := time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)
	put(t, name+".download", data)
	must(t, os.Chtimes(name+".download", past, past))
	must(t, os.Rename(name+".download", name))
}

// The version that somebody put there last stays, whatever its date.
func TestFileThatIsReplacedMeanwhile(t *testing.T) {
	for name, c := range map[string]struct {
		noExchange, noLinks bool
		change              func(t *testing.T, name string)
		want                string
	}{
		"linked":           {change: func(t *testing.T, name string) { replaceBy(t, name, "good") }, want: "good"},
		"copied":           {noLinks: true, change: func(t *testing.T, name string) { replaceBy(t, name, "good") }, want: "good"},
		"without exchange": {noExchange: true, change: func(t *testing.T, name string) { replaceBy(t, name, "good") }, want: "good"},
		"by a file of the same time and size": {noLinks: true, change: func(t *testing.T, name string) {
			info := lstat(t, name)
			replaceBy(t, name, "good!!")
			must(t, os.Chtimes(name, info.ModTime(), info.ModTime()))
		}, want: "good!!"},
		"written to, linked": {change: func(t *testing.T, name string) { put(t, name, "longer than before") }, want: "longer than before"},
		"written to, copied": {noLinks: true, change: func(t *testing.T, name string) { put(t, name, "longer than before") }, want: "longer than before"},
		"left alone, copied": {noLinks: true, change: func(t *testing.T, name string) {}, want: "broken"},
		"symlink": {change: func(t *testing.T, name string) {
			must(t, os.Remove(name))
			must(t, os.Symlink("image.5", name))
		}, want: "image.5"},
	} {
		t.Run(name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "out")
			mustWrite(t, out, text("a", "A"))
			image := filepath.Join(out, "assets/image")
			put(t, image, "broken")
			if name == "symlink" {
				must(t, os.Remove(image))
				must(t, os.Symlink("image.4", image))
			}
			_, err := Write(out, []File{text("a", "A2")}, Options{Op: func(op, path string) error {
				if op == "exchange" {
					c.change(t, image)
				}
				return refusing(c.noExchange, c.noLinks)(op, path)
			}})
			must(t, err)
			if got := snapshot(t, out)["assets/image"]; !strings.HasSuffix(got, fmt.Sprintf("%q", c.want)) {
				t.Errorf("the file is %s, want %q", got, c.want)
			}
			wantNoLeftovers(t, out)
		})
	}
}

// A file that is replaced before the exchange and saved again after it has two versions that nobody has chosen from.
func TestFileThatIsReplacedTwiceMeanwhile(t *testing.T) {
	base := t.TempDir()
	out, left := filepath.Join(base, "out"), filepath.Join(base, ".out.muster-swap/notes")
	mustWrite(t, out, text("a", "A"))
	put(t, filepath.Join(out, "notes"), "first")
	exchanged := false
	res, err := Write(out, []File{text("a", "A2")}, Options{Op: func(op, path string) error {
		switch {
		case op == "exchange":
			replaceBy(t, filepath.Join(out, "notes"), "second")
			exchanged = true
		case exchanged && op == "sync":
			replaceBy(t, filepath.Join(out, "notes"), "third one")
		}
		return nil
	}})
	wantError(t, err, left+" appeared while a run was writing and its place is taken now")
	wantSame(t, "written", true, res.Written)
	wantSame(t, "one version", `-rw-r--r-- "second"`, snapshot(t, filepath.Dir(left))["notes"])
	wantSame(t, "the other version", `-rw-r--r-- "third one"`, snapshot(t, out)["notes"])
}

// Symlinks after a kill: each run makes them anew, and where they lead says nothing about which one is wanted.
func TestSymlinkAfterAKill(t *testing.T) {
	for _, replaced := range []bool{false, true} {
		t.Run(fmt.Sprintf("replaced=%v", replaced), func(t *testing.T) {
			base := t.TempDir()
			out := filepath.Join(base, "out")
			mustWrite(t, out, text("a", "A"))
			put(t, filepath.Join(base, "one"), "same bytes")
			put(t, filepath.Join(base, "two"), "same bytes")
			link := filepath.Join(out, "link")
			must(t, os.Symlink(filepath.Join(base, "one"), link))
			if _, err := Write(out, []File{text("a", "A2")}, Options{Op: deadFrom("exchange", "")}); !errors.Is(err, errInjected) {
				t.Fatalf("not killed: %v", err)
			}
			if !replaced {
				mustWrite(t, out, text("a", "A2"))
				return
			}
			must(t, os.Remove(link))
			must(t, os.Symlink(filepath.Join(base, "two"), link))
			_, err := Write(out, []File{text("a", "A2")}, Options{})
			wantError(t, err, ".out.muster-swap/link appeared while a run was writing and its place is taken now")
		})
	}
}

// With the folder the user has removed what was theirs in it, so that it does not come back.
func TestFolderThatIsRemovedAfterAKill(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	mustWrite(t, out, text("a", "A"))
	put(t, filepath.Join(out, "notes"), "mine")
	if _, err := Write(out, []File{text("a", "A2")}, Options{Op: deadFrom("exchange", "")}); !errors.Is(err, errInjected) {
		t.Fatalf("not killed: %v", err)
	}
	must(t, os.RemoveAll(out))
	wantSame(t, "result", Result{Written: true, Added: []string{"a"}}, mustWrite(t, out, text("a", "A2")))
	wantNoLeftovers(t, out)
}

// After a kill nobody knows which of two versions is wanted: neither is lost, and the next run says where they are.
func TestFileThatIsReplacedAfterAKill(t *testing.T) {
	atExchange, atRemoval := [2]string{"exchange", ""}, [2]string{"remove", "-swap"} // operation, part of the path
	older := func(t *testing.T, name string) { replaceBy(t, name, "another") }
	newer := func(t *testing.T, name string) {
		must(t, os.Remove(name))
		put(t, name, "another")
	}
	same := func(t *testing.T, name string) { replaceBy(t, name, "first") }
	for name, c := range map[string]struct {
		killedAt [2]string
		noLinks  bool
		change   func(t *testing.T, name string)
	}{
		"older, before the exchange":         {atExchange, false, older},
		"older, before the exchange, copied": {atExchange, true, older},
		"older, after the exchange":          {atRemoval, false, older},
		"older, after the exchange, copied":  {atRemoval, true, older},
		"newer, before the exchange":         {atExchange, false, newer},
		"newer, after the exchange, copied":  {atRemoval, true, newer},
		"same bytes, before the exchange":    {atExchange, false, same},
		"same bytes, after the exchange":     {atRemoval, true, same},
	} {
		t.Run(name, func(t *testing.T) {
			base := t.TempDir()
			out, left := filepath.Join(base, "out"), filepath.Join(base, ".out.muster-swap/assets/image")
			mustWrite(t, out, text("a", "A"))
			put(t, filepath.Join(out, "assets/image"), "first")
			dead := deadFrom(c.killedAt[0], c.killedAt[1])
			_, err := Write(out, []File{text("a", "A2")}, Options{Op: func(op, path string) error {
				return errors.Join(dead(op, path), refusing(false, c.noLinks)(op, path))
			}})
			if !errors.Is(err, errInjected) {
				t.Fatalf("not killed: %v", err)
			}
			c.change(t, filepath.Join(out, "assets/image"))
			if !strings.HasPrefix(name, "same") {
				_, err = Write(out, []File{text("a", "A3")}, Options{})
				wantError(t, err, left, "its place is taken now: move it away, then run again")
				wantSame(t, "what was there", "-rw-r--r-- \"first\"", snapshot(t, filepath.Dir(left))["image"])
				wantSame(t, "what was put there", "-rw-r--r-- \"another\"", snapshot(t, out)["assets/image"])
				must(t, os.Rename(left, filepath.Join(base, "saved")))
			}
			now := snapshot(t, out)["assets/image"]
			mustWrite(t, out, text("a", "A3"))
			wantSame(t, "what was put there", now, snapshot(t, out)["assets/image"])
			wantNoLeftovers(t, out)
		})
	}
}

// What takes the place of a folder must not be followed out of the folder, nor be taken for one.
func TestFolderThatIsReplaced(t *testing.T) {
	link := func(t *testing.T, folder, elsewhere string) {
		must(t, os.RemoveAll(folder))
		must(t, os.Symlink(elsewhere, folder))
	}
	file := func(t *testing.T, name, _ string) {
		must(t, os.RemoveAll(name))
		put(t, name, "f")
	}
	folder := func(t *testing.T, name, _ string) {
		must(t, os.Remove(name))
		put(t, name+"/x", "f")
	}
	for name, c := range map[string]struct {
		meanwhile bool   // and not after a kill
		folder    string // what is replaced
		replace   func(t *testing.T, folder, elsewhere string)
		stuck     string
	}{
		"theirs, by a symlink":             {false, "assets/deep", link, "assets/deep"},
		"the one above, by a symlink":      {false, "assets", link, "assets"},
		"one of muster's, by a symlink":    {false, "nodes", link, "nodes/a"},
		"the one below, by a symlink":      {false, "nodes/a", link, "nodes/a/deep"},
		"symlink that leads nowhere":       {false, "assets", func(t *testing.T, folder, _ string) { link(t, folder, "nowhere") }, "assets"},
		"theirs, by a file":                {false, "assets", file, "assets"},
		"one of muster's, by a file":       {false, "nodes", file, "nodes/a"},
		"a file by a folder":               {false, "notes", folder, "notes"},
		"a file by a folder while it runs": {true, "notes", folder, "notes"},
	} {
		t.Run(name, func(t *testing.T) {
			base := t.TempDir()
			out, elsewhere := filepath.Join(base, "out"), filepath.Join(base, "elsewhere")
			mustWrite(t, out, text("nodes/a/user-data", "A"))
			for _, rel := range []string{"assets/deep/image", "nodes/a/deep/notes", "notes"} {
				put(t, filepath.Join(out, rel), "mine")
			}
			for _, rel := range []string{"image", "deep/image", "deep/notes", "a/deep/notes", "notes"} {
				replaceBy(t, filepath.Join(elsewhere, rel), "the only copy")
			}
			before := snapshot(t, elsewhere)
			killed := false
			_, err := Write(out, []File{text("nodes/a/user-data", "A2")}, Options{Op: func(op, path string) error {
				if op == "exchange" && c.meanwhile {
					c.replace(t, filepath.Join(out, c.folder), elsewhere)
				}
				if killed = killed || op == "exchange" && !c.meanwhile; killed {
					return errInjected
				}
				return nil
			}})
			if killed {
				c.replace(t, filepath.Join(out, c.folder), elsewhere)
				_, err = Write(out, nil, Options{})
			}
			for range 2 {
				wantError(t, err, ".out.muster-swap/"+c.stuck+" appeared while a run was writing and its place is taken now: move it away")
				wantSame(t, "what lies outside", before, snapshot(t, elsewhere))
				_, err = Write(out, nil, Options{})
			}
		})
	}
}

func TestFolderThatTurnsIntoFile(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	mustWrite(t, out, text("turns/deep/a", "A"))
	mustWrite(t, out, text("turns", "T"))
	mustWrite(t, out, text("turns/deep/a", "A"))
	wantNoLeftovers(t, out)
}

// Where the newcomer's place is taken by the new tree it cannot be brought over, and must not be lost.
func TestFileThatAppearsWhereOneIsWritten(t *testing.T) {
	base := t.TempDir()
	out, stuck := filepath.Join(base, "out"), filepath.Join(base, ".out.muster-swap/b")
	mustWrite(t, out, text("a", "A"))
	res, err := Write(out, []File{text("a", "A2"), text("b", "B")}, Options{Op: func(op, _ string) error {
		if op == "exchange" {
			put(t, filepath.Join(out, "b"), "mine")
		}
		return nil
	}})
	wantError(t, err, stuck+" appeared while a run was writing", "move it away, then run again")
	if !res.Written {
		t.Error("Written is false, though the new tree stands")
	}
	_, err = Write(out, []File{text("a", "A3")}, Options{})
	wantError(t, err, stuck)
	got, err := os.ReadFile(stuck)
	if err != nil || string(got) != "mine" {
		t.Fatalf("the newcomer holds %q (%v)", got, err)
	}
	must(t, os.Rename(stuck, filepath.Join(base, "saved")))
	mustWrite(t, out, text("a", "A3"))
	wantNoLeftovers(t, out)
}

func TestLeftoversOfOthersAreNotTouched(t *testing.T) {
	for _, name := range []string{".out.muster-new", ".out.muster-swap", ".out.muster-old"} {
		t.Run(name, func(t *testing.T) {
			base := t.TempDir()
			out := filepath.Join(base, "out")
			mustWrite(t, out, text("a", "A"))
			put(t, filepath.Join(base, "elsewhere/x"), "mine")
			must(t, os.Symlink("elsewhere", filepath.Join(base, name)))
			put(t, filepath.Join(base, ".out.muster-news"), "unrelated")
			before := snapshot(t, base)
			_, err := Write(out, []File{text("a", "A2")}, Options{})
			wantError(t, err, name+" is in the way and was not left by a run of this user: move it elsewhere")
			wantSame(t, "everything", before, snapshot(t, base))
		})
	}
}

func TestRead(t *testing.T) {
	base := t.TempDir()
	out := filepath.Join(base, "out")
	_, err := Read(out)
	wantError(t, err, out)
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no folder: %v is not fs.ErrNotExist", err)
	}
	put(t, filepath.Join(out, ".gitignore"), "*")
	if _, err = Read(out); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("folder to take over: %v is not fs.ErrNotExist", err)
	}
	mustWrite(t, out, text("b", "2"), text("a", ""))
	put(t, filepath.Join(out, "b"), "by hand")
	m, err := Read(out)
	must(t, err)
	wantSame(t, "manifest", Manifest{Generator: "muster", FormatVersion: 1, Files: []Entry{
		{Path: "a", Size: 0, SHA256: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
		{Path: "b", Size: 1, SHA256: "d4735e3a265e16eee03f59718b9b5d03019c07d8b6c51f90da3a666eec13ab35"},
	}}, m)
}

func TestCompareWithoutFolder(t *testing.T) {
	base := t.TempDir()
	res, err := Compare(filepath.Join(base, "out"), []File{text("b", ""), text("a", "")})
	must(t, err)
	wantSame(t, "result", Result{Written: true, Added: []string{"a", "b"}}, res)
	wantSame(t, "everything", 1, len(snapshot(t, base)))
}

// The order of the files must not matter, nor the caller's slice be changed.
func TestSameBytesGiveSameTree(t *testing.T) {
	base := t.TempDir()
	files := []File{text("b/c", "1"), text("a", "2"), text("b-c", "3")}
	mustWrite(t, filepath.Join(base, "one"), files...)
	wantSame(t, "caller's order", "b/c a b-c", strings.Join([]string{files[0].Path, files[1].Path, files[2].Path}, " "))
	mustWrite(t, filepath.Join(base, "two"), files[2], files[0], files[1])
	wantSame(t, "tree", snapshot(t, filepath.Join(base, "one")), snapshot(t, filepath.Join(base, "two")))
}

func TestEmptyTree(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	mustWrite(t, out, text("nodes/a", "A"))
	wantSame(t, "removed", []string{"nodes/a"}, mustWrite(t, out).Removed)
	wantSame(t, "left", 2, len(snapshot(t, out))) // the folder and its manifest
	m, err := Read(out)
	must(t, err)
	wantSame(t, "files", 0, len(m.Files))
}
