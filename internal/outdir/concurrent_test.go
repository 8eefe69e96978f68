package outdir

import (
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

func TestSecondRunIsRefusedAtOnce(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	mustWrite(t, out, text("a", "A"))
	tried := false
	_, err := Write(out, []File{text("a", "first")}, Options{Op: func(op, _ string) error {
		if op == "exchange" {
			tried = true
			_, err := Write(out, []File{text("a", "second")}, Options{})
			wantError(t, err, out+": another run is writing it: wait until that has ended")
			if _, err := Read(out); err != nil {
				t.Errorf("Read beside a run: %v", err)
			}
		}
		return nil
	}})
	must(t, err)
	if !tried {
		t.Fatal("the second run was not tried")
	}
	mustWrite(t, out, text("a", "third"))
	wantNoLeftovers(t, out)
}

// While a run has moved the old tree away and not yet the new one in, a reader must neither repair that nor
// say that there is no tree.
func TestReadBetweenTwoRenames(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	mustWrite(t, out, text("a", "A"))
	renames := 0
	_, err := Write(out, []File{text("a", "B")}, Options{Op: func(op, path string) error {
		if op == "rename" {
			renames++
		}
		if renames == 3 { // staging to ready, old away, new in
			renames++
			_, err := Read(out)
			wantError(t, err, "another run is writing it")
		}
		return refusing(true, false)(op, path)
	}})
	must(t, err)
	if renames != 4 {
		t.Fatalf("the moment did not come (%d)", renames)
	}
	wantNoLeftovers(t, out)
}

// Many runs at once: each either writes its tree or is refused because of another, and the lock's file comes
// and goes all the time.
func TestManyRunsAtOnce(t *testing.T) {
	const runs, rounds = 8, 40
	base := t.TempDir()
	out := filepath.Join(base, "out")
	valid := make(map[string]bool)
	for r := range runs {
		alone := filepath.Join(base, fmt.Sprint(r))
		mustWrite(t, alone, treeOfRun(r)...)
		valid[fmt.Sprint(snapshot(t, alone))] = true
	}
	var wg sync.WaitGroup
	var written, working atomic.Int32
	for r := range runs {
		wg.Go(func() {
			for range rounds {
				mine := false
				res, err := Write(out, treeOfRun(r), Options{Op: func(op, path string) error {
					switch {
					case op == "mkdir" && !mine: // only the holder of the lock comes here
						mine = true
						if working.Add(1) > 1 {
							t.Error("two runs work at once")
						}
					case op == "remove" && strings.HasSuffix(path, "-lock") && mine:
						working.Add(-1)
					}
					return nil
				}})
				if err != nil && !strings.Contains(err.Error(), "another run is writing it") {
					t.Error(err)
				}
				if res.Written {
					written.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if written.Load() < 2 {
		t.Errorf("only %d runs wrote anything", written.Load())
	}
	if got := fmt.Sprint(snapshot(t, out)); !valid[got] {
		t.Errorf("the last tree is none of the runs': %s", got)
	}
	wantNoLeftovers(t, out)
}

func treeOfRun(r int) []File {
	var files []File
	for i := range 5 {
		files = append(files, text(fmt.Sprintf("nodes/n%d/f%d", r%3, i), fmt.Sprint(r)))
	}
	return files
}

// The lock's file is removed with every release, so a run can lock a file that has just lost its name.
func TestLockIsHeldByOne(t *testing.T) {
	const runs, rounds = 8, 1000
	out := filepath.Join(t.TempDir(), "out")
	var wg sync.WaitGroup
	var holders, taken atomic.Int32
	for range runs {
		wg.Go(func() {
			target, err := newTarget(out, Options{})
			if err != nil {
				t.Error(err)
				return
			}
			for range rounds {
				release, err := target.acquire()
				if err != nil {
					continue
				}
				taken.Add(1)
				if n := holders.Add(1); n > 1 {
					t.Errorf("%d hold the lock", n)
				}
				runtime.Gosched()
				holders.Add(-1)
				if err := release(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if taken.Load() < rounds/10 {
		t.Errorf("the lock was taken only %d times", taken.Load())
	}
	wantNoLeftovers(t, out)
}

func TestParallel(t *testing.T) {
	const n = 1000
	var calls [n]atomic.Int32
	must(t, parallel(t.Context(), n, 8, func(i int) error { calls[i].Add(1); return nil }))
	for i := range calls {
		if got := calls[i].Load(); got != 1 {
			t.Fatalf("call %d was made %d times", i, got)
		}
	}
	var after atomic.Int32
	err := parallel(t.Context(), n, 1, func(i int) error {
		if i == 10 {
			return errors.New("ten")
		}
		if i > 10 {
			after.Add(1)
		}
		return nil
	})
	wantError(t, err, "ten")
	if after.Load() > 0 {
		t.Errorf("%d calls were made after the error", after.Load())
	}
	must(t, parallel(t.Context(), 0, 8, func(int) error { return errors.New("called for nothing") }))
}
