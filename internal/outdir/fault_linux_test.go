package outdir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// scene is a folder before a run and after it, for tests that cut the run at every operation.
type scene struct {
	name string
	old  []File // nil: the folder does not exist yet

	noExchange, noLinks bool
}

var scenes = []scene{
	{name: "exchange", old: oldFiles},
	{name: "two renames", old: oldFiles, noExchange: true},
	{name: "copies", old: oldFiles, noLinks: true},
	{name: "new folder"},
}

var (
	oldFiles = []File{text("nodes/a/user-data", "A"), text("nodes/a/same", "S"), text("nodes/gone/user-data", "G"), text("pxe/boot", "P")}
	newFiles = []File{text("nodes/a/user-data", "A2"), text("nodes/a/same", "S"), text("nodes/b/user-data", "B"), text("pxe/boot", "P2")}
)

// stage makes the folder in base and returns its path.
func (s scene) stage(t *testing.T, base string) string {
	t.Helper()
	must(t, os.MkdirAll(base, 0o755))
	out := filepath.Join(base, "out")
	if s.old == nil {
		return out
	}
	mustWrite(t, out, s.old...)
	past := time.Now().Add(-time.Hour)
	put(t, filepath.Join(out, ".gitignore"), "*")
	put(t, filepath.Join(out, "nodes/gone/notes"), "g")
	put(t, filepath.Join(out, "mine/deep/notes"), "m")
	must(t, os.Symlink("notes", filepath.Join(out, "mine/deep/link")))
	must(t, os.Chmod(filepath.Join(out, "mine/deep"), 0o550))
	must(t, os.Chtimes(filepath.Join(out, "mine/deep/notes"), past, past))
	return out
}

// outcomes returns what the folder looks like before and after an undisturbed run, and the number of operations
// of that run.
func (s scene) outcomes(t *testing.T) (before, after map[string]string, ops int) {
	t.Helper()
	out := s.stage(t, t.TempDir())
	before = snapshot(t, out)
	_, err := Write(out, newFiles, Options{Op: func(op, path string) error {
		ops++
		return refusing(s.noExchange, s.noLinks)(op, path)
	}})
	must(t, err)
	return before, snapshot(t, out), ops
}

// wantOneOf checks that the folder is one of two trees in full.
func wantOneOf(t *testing.T, out string, before, after map[string]string) (isAfter bool) {
	t.Helper()
	got := fmt.Sprint(snapshot(t, out))
	switch got {
	case fmt.Sprint(after):
		return true
	case fmt.Sprint(before):
		return false
	}
	t.Fatalf("a mixture: %s\nbefore:    %v\nafter:     %v", got, before, after)
	return false
}

// A run in which any one operation fails reports it and leaves one tree in full; only the removal of the
// old tree may be left to the next run.
func TestFailureOfEveryOperation(t *testing.T) {
	for _, s := range scenes {
		t.Run(s.name, func(t *testing.T) {
			before, after, ops := s.outcomes(t)
			base := t.TempDir()
			for n := range ops {
				out := s.stage(t, filepath.Join(base, fmt.Sprint(n)))
				i, failed, placed := 0, "", false
				res, err := Write(out, newFiles, Options{Op: func(op, path string) error {
					if i++; i-1 == n {
						failed = op + " " + path
						return errInjected
					}
					return refusing(s.noExchange, s.noLinks)(op, path)
				}})
				if !errors.Is(err, errInjected) || !strings.Contains(err.Error(), out+": cannot ") {
					t.Fatalf("%d, %s: error is %v", n, failed, err)
				}
				placed = wantOneOf(t, out, before, after)
				if placed != res.Written {
					t.Fatalf("%d, %s: Written is %v, the new tree stands: %v", n, failed, res.Written, placed)
				}
				if left := leftovers(t, out); len(left) > 0 && !placed {
					t.Fatalf("%d, %s: left beside: %v", n, failed, left)
				}
				mustWrite(t, out, newFiles...)
				wantSame(t, "tree of the next run", after, snapshot(t, out))
				wantNoLeftovers(t, out)
			}
		})
	}
}

// What is left beside the folder has to be found there.
func TestFailureBesideTheFolderNamesThePath(t *testing.T) {
	base := t.TempDir()
	out := scene{old: oldFiles}.stage(t, base)
	_, err := Write(out, newFiles, Options{Op: func(op, path string) error {
		if op == "remove" && strings.HasSuffix(path, "/notes") {
			return errInjected
		}
		return nil
	}})
	wantError(t, err, out+": cannot remove "+filepath.Join(base, ".out.muster-swap/mine/deep/notes")+": injected failure")
}

// A run that is told to end does so before the exchange, with the old tree in full and nothing beside it, or too late.
func TestEndedAtEveryOperation(t *testing.T) {
	for _, s := range scenes {
		t.Run(s.name, func(t *testing.T) {
			before, after, ops := s.outcomes(t)
			base := t.TempDir()
			for n := range ops {
				out := s.stage(t, filepath.Join(base, fmt.Sprint(n)))
				ctx, end := context.WithCancel(t.Context())
				i, complete := 0, false
				res, err := Write(out, newFiles, Options{Context: ctx, Op: func(op, path string) error {
					complete = complete || op == "rename" && i <= n
					if i++; i-1 == n {
						end()
					}
					return refusing(s.noExchange, s.noLinks)(op, path)
				}})
				if placed := wantOneOf(t, out, before, after); placed != res.Written || placed != (err == nil) || !placed && !errors.Is(err, context.Canceled) {
					t.Fatalf("%d: Written is %v, the new tree stands: %v, error is %v", n, res.Written, placed, err)
				}
				if complete != (err == nil) {
					t.Fatalf("%d: the tree was complete: %v, error is %v", n, complete, err)
				}
				wantNoLeftovers(t, out)
			}
		})
	}
}

// The images that somebody has put there can take minutes to copy.
func TestEndedWhileFilesAreCarriedOver(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	mustWrite(t, out, text("a", "A"))
	put(t, filepath.Join(out, "image1"), "1")
	put(t, filepath.Join(out, "image2"), "2")
	ctx, end := context.WithCancel(t.Context())
	_, err := Write(out, []File{text("a", "A2")}, Options{Context: ctx, Op: func(op, path string) error {
		switch filepath.Base(path) {
		case "image1":
			end()
		case "image2":
			t.Error("the second file was carried over as well")
		}
		return nil
	}})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v", err)
	}
}

// From some operation on nothing works any more, which is what a kill looks like to the file system, and the
// run that repairs is cut in the same way.
func TestCutAtEveryOperationTwice(t *testing.T) {
	for _, s := range scenes {
		t.Run(s.name, func(t *testing.T) {
			before, after, ops := s.outcomes(t)
			base := t.TempDir()
			for n := range ops {
				// Every fifth one, others for each n: all pairs would take half a minute.
				for m, repaired := n%5, false; !repaired; m += 5 {
					out := s.stage(t, filepath.Join(base, fmt.Sprintf("%d-%d", n, m)))
					if _, err := Write(out, newFiles, Options{Op: s.cutAt(n)}); !errors.Is(err, errInjected) {
						t.Fatalf("%d: error is %v", n, err)
					}
					_, err := Write(out, newFiles, Options{Op: s.cutAt(m)})
					repaired = err == nil
					if s.old != nil { // which gives Read something to repair
						if _, err := Read(out); err != nil {
							t.Fatalf("%d, %d: Read: %v", n, m, err)
						}
					}
					wantOneOf(t, out, before, after)
					mustWrite(t, out, newFiles...)
					wantSame(t, "tree of the last run", after, snapshot(t, out))
					wantNoLeftovers(t, out)
					if t.Failed() {
						t.Fatalf("after cuts at %d and %d", n, m)
					}
					must(t, os.RemoveAll(filepath.Dir(out)))
				}
			}
		})
	}
}

// cutAt is a hook by which operation n and all later ones fail.
func (s scene) cutAt(n int) func(op, path string) error {
	i := 0
	return func(op, path string) error {
		if i++; i > n {
			return errInjected
		}
		return refusing(s.noExchange, s.noLinks)(op, path)
	}
}

// After a power cut the folder is one tree in full only if the new one is on the disk before its name says so, and each
// rename before the next step relies on it.
func TestOrderOfSyncs(t *testing.T) {
	const complete = "sync new, rename new, "
	for _, s := range scenes {
		want := complete + "exchange out, sync ., "
		switch {
		case s.noExchange:
			want = complete + "exchange out, rename out, sync ., rename swap, sync ., "
		case s.old == nil:
			want = complete + "rename swap, sync ., "
		}
		t.Run(s.name, func(t *testing.T) {
			base := t.TempDir()
			out := s.stage(t, base)
			order := ""
			_, err := Write(out, newFiles, Options{Op: func(op, path string) error {
				rel, err := filepath.Rel(base, path)
				must(t, err)
				order += op + " " + strings.TrimPrefix(rel, ".out.muster-") + ", "
				return refusing(s.noExchange, s.noLinks)(op, path)
			}})
			must(t, err)
			if !strings.Contains(order, want) {
				t.Errorf("order is %s, want in it %s", order, want)
			}
		})
	}
}

// The real thing: a process that kills itself before each operation.
func TestKillAtEveryOperation(t *testing.T) {
	for _, s := range scenes {
		t.Run(s.name, func(t *testing.T) {
			before, after, ops := s.outcomes(t)
			base := t.TempDir()
			outcomes := map[bool]int{}
			for n := range ops + 1 {
				out := s.stage(t, filepath.Join(base, fmt.Sprint(n)))
				run := childRun{Dir: out, Files: newFiles, KillAt: n, NoExchange: s.noExchange, NoLinks: s.noLinks}
				res, killed := run.start(t)
				if killed != (n < ops) || res.Err != "" {
					t.Fatalf("%d: killed: %v, error: %s", n, killed, res.Err)
				}
				cutBetweenRenames := s.noExchange && snapshot(t, out) == nil
				if !cutBetweenRenames {
					wantOneOf(t, out, before, after)
				}
				if _, err := Read(out); err != nil && !(s.old == nil && errors.Is(err, fs.ErrNotExist)) {
					t.Fatalf("%d: Read: %v", n, err)
				}
				outcomes[wantOneOf(t, out, before, after)]++
				mustWrite(t, out, newFiles...)
				wantSame(t, "tree of the next run", after, snapshot(t, out))
				wantNoLeftovers(t, out)
			}
			if outcomes[true] == 0 || outcomes[false] == 0 {
				t.Errorf("kills left the new tree %d times and the old one %d times; both must occur", outcomes[true], outcomes[false])
			}
		})
	}
}

// A run with other files than the killed one must not end with any of the killed one's.
func TestKilledRunLeavesNothingToAnother(t *testing.T) {
	for _, s := range scenes {
		t.Run(s.name, func(t *testing.T) {
			_, _, ops := s.outcomes(t)
			base := t.TempDir()
			third := []File{text("nodes/c/user-data", "C")}
			clean := s.stage(t, filepath.Join(base, "clean"))
			mustWrite(t, clean, third...)
			want := snapshot(t, clean)
			for n := range ops {
				out := s.stage(t, filepath.Join(base, fmt.Sprint(n)))
				if _, err := Write(out, newFiles, Options{Op: s.cutAt(n)}); err == nil {
					t.Fatalf("%d: not cut", n)
				}
				mustWrite(t, out, third...)
				wantSame(t, fmt.Sprintf("tree after a cut at %d", n), want, snapshot(t, out))
				wantNoLeftovers(t, out)
			}
		})
	}
}
