package outdir

import (
	"path"
	"sync"
	"sync/atomic"
)

// stage is the new tree while it comes to be in the staging folder.
type stage struct {
	t       *target
	root    func() error // makes the staging folder, once
	folders sync.Map     // the functions that make each folder, by path
	files   atomic.Int64
	syncing sync.WaitGroup

	mu      sync.Mutex // guards what follows
	failed  error      // the first error of a Put
	early   map[string]Entry
	written map[string]bool // the early files that lie in the staging folder
}

func newStage(t *target) *stage {
	return &stage{t: t, root: sync.OnceValue(t.makeStaging), early: map[string]Entry{}, written: map[string]bool{}}
}

// folder makes a folder and those above it, each once, whoever needs it first.
func (s *stage) folder(p string) error {
	if p == "." {
		return s.root()
	}
	made, known := s.folders.Load(p)
	if !known {
		made, _ = s.folders.LoadOrStore(p, sync.OnceValue(func() error {
			if err := s.folder(path.Dir(p)); err != nil {
				return err
			}
			return s.t.makeFolder(s.t.in(s.t.staging, p))
		}))
	}
	return made.(func() error)()
}

// syncEvery is after how many files what was written is brought to the disk in the background, so that the sync at the
// end, which tells whether it is there, has little to wait for.
const syncEvery = 8000

func (s *stage) write(f File) error {
	err := s.t.writeFile(s.t.in(s.t.staging, f.Path), f.Pieces...)
	if s.files.Add(1)%syncEvery == 0 && syncIsCheap && s.t.Op == nil {
		s.syncing.Go(func() { _ = syncTree(s.t.staging) })
	}
	return err
}

// Put writes files where Commit would, while others are still being made. A file that lies in the folder as it is to be is
// left to Commit: when all do, there is nothing to write. Put may be called from several goroutines. Errors come from
// Commit, which also knows of paths that cannot be.
func (r *Run) Put(files []File) {
	s := r.stage
	for _, f := range files {
		if checkPath(f.Path) != nil {
			continue
		}
		entry := entryOf(f)
		o, there := r.found.owned[f.Path]
		write := !there || !o.pristine(entry)
		if write && !s.put(f) {
			return
		}
		s.mu.Lock()
		s.early[f.Path], s.written[f.Path] = entry, write
		s.mu.Unlock()
	}
}

// put writes a file early, unless an earlier one failed.
func (s *stage) put(f File) bool {
	s.mu.Lock()
	failed := s.failed
	s.mu.Unlock()
	if failed == nil {
		failed = s.folder(path.Dir(f.Path))
	}
	if failed == nil {
		failed = s.write(f)
	}
	if failed != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.failed == nil {
			s.failed = failed
		}
	}
	return failed == nil
}
