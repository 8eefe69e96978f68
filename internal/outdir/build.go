package outdir

import (
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"sync"
	"sync/atomic"
)

// maxWorkers bounds the goroutines that read or write files. More than a few gain nothing: they wait for
// the file system's journal, not for the processor.
const maxWorkers = 4

// build makes the new tree in the staging folder and has it on the disk when it returns.
func (t *target) build(found *inventory, want *tree) error {
	kept := keptFolders(found, want)
	folders := maps.Clone(want.folders)
	for p := range kept {
		folders[p] = true
	}
	if err := t.makeFolder(t.staging); err != nil {
		return err
	}
	for _, p := range slices.Sorted(maps.Keys(folders)) { // a folder sorts before its content
		if err := t.makeFolder(t.in(t.staging, p)); err != nil {
			return err
		}
	}
	for _, f := range found.foreign {
		if err := t.carry(f); err != nil {
			return err
		}
	}
	workers := maxWorkers
	if t.Op != nil {
		workers = 1
	}
	var done atomic.Int64
	err := parallel(len(want.files), workers, func(i int) error {
		err := t.put(found, want, i)
		if t.Progress != nil {
			t.Progress(int(done.Add(1)), len(want.files))
		}
		return err
	})
	if err != nil {
		return err
	}
	if err := t.writeFile(t.in(t.staging, manifestName), want.manifest); err != nil {
		return err
	}
	// Last, since they may forbid writing into the folder and writing changes the time.
	for _, p := range slices.Sorted(maps.Keys(kept)) {
		if err := t.do("chmod", t.in(t.staging, p), func() error {
			return copyAttributes(t.in(t.staging, p), kept[p])
		}); err != nil {
			return err
		}
	}
	return t.do("sync", t.staging, func() error { return syncTree(t.staging) })
}

// keptFolders returns the folders that stay for the sake of somebody else: their own ones, and those that
// muster needs no more but that hold something of theirs.
func keptFolders(found *inventory, want *tree) map[string]fs.FileInfo {
	kept := make(map[string]fs.FileInfo)
	for _, f := range found.foreign {
		if f.info.IsDir() {
			kept[f.path] = f.info
		}
		for d := path.Dir(f.path); d != "."; d = path.Dir(d) {
			if info, ours := found.folders[d]; ours && !want.folders[d] {
				kept[d] = info
			}
		}
	}
	return kept
}

// makeFolder makes a folder of exactly mode 0700: mkdir(2) alone is subject to the umask and hands down a
// setgid bit.
func (t *target) makeFolder(name string) error {
	return t.do("mkdir", name, func() error {
		if err := os.Mkdir(name, folderMode); err != nil {
			return err
		}
		return os.Chmod(name, folderMode)
	})
}

// put writes file number i of the tree. A file that already has the right bytes is linked, which keeps its
// times and spares writing large images again.
func (t *target) put(found *inventory, want *tree, i int) error {
	f := want.files[i]
	name := t.in(t.staging, f.Path)
	if o, there := found.owned[f.Path]; there && o.pristine(want.entries[i]) {
		err := t.do("link", name, func() error { return os.Link(t.in(t.path, f.Path), name) })
		if err == nil || !linkRefused(err) {
			return err
		}
	}
	return t.writeFile(name, f.Data)
}

func (t *target) writeFile(name string, data []byte) error {
	var f *os.File
	err := t.do("create", name, func() (err error) {
		if f, err = os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode); err != nil {
			return err
		}
		if err = f.Chmod(fileMode); err != nil {
			f.Close()
		}
		return err
	})
	if err != nil {
		return err
	}
	defer f.Close() // for the way out by an error; a second Close does no harm
	return t.do("write", name, func() error {
		if _, err := f.Write(data); err != nil {
			return err
		}
		return f.Close()
	})
}

// carry brings something of somebody else's into the new tree. Folders are made beforehand.
func (t *target) carry(f foreign) error {
	from, to := t.in(t.path, f.path), t.in(t.staging, f.path)
	switch {
	case f.info.IsDir():
		return nil
	case f.info.Mode()&fs.ModeSymlink != 0:
		return t.do("symlink", to, func() error { return copySymlink(from, to, f.info) })
	}
	err := t.do("link", to, func() error { return os.Link(from, to) })
	if err != nil && linkRefused(err) && f.info.Mode().IsRegular() {
		return t.do("copy", to, func() error { return copyFile(from, to, f.info) })
	}
	return err
}

func copySymlink(from, to string, info fs.FileInfo) error {
	dest, err := os.Readlink(from)
	if err != nil {
		return err
	}
	if err := os.Symlink(dest, to); err != nil {
		return err
	}
	return copyOwner(to, info)
}

func copyFile(from, to string, info fs.FileInfo) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return err
	}
	defer out.Close()
	if _, err := io.Copy(out, in); err != nil {
		return err
	}
	if err := out.Close(); err != nil {
		return err
	}
	return copyAttributes(to, info)
}

// copyAttributes gives a copy the owner, mode and modification time of its original. The owner comes first
// because changing it clears setuid and setgid bits.
func copyAttributes(name string, info fs.FileInfo) error {
	if err := copyOwner(name, info); err != nil {
		return err
	}
	if err := os.Chmod(name, info.Mode()); err != nil {
		return err
	}
	return os.Chtimes(name, info.ModTime(), info.ModTime())
}

// parallel calls f for 0 to n-1 from a few goroutines, and returns an error of one of the calls after which
// no further one was started.
func parallel(n, workers int, f func(i int) error) error {
	var (
		next   atomic.Int64
		failed atomic.Bool
		once   sync.Once
		first  error
		wg     sync.WaitGroup
	)
	for range min(n, workers) {
		wg.Go(func() {
			for !failed.Load() {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if err := f(i); err != nil {
					once.Do(func() { first = err })
					failed.Store(true)
				}
			}
		})
	}
	wg.Wait()
	return first
}
