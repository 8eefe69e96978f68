package outdir

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
)

// maxWorkers bounds the goroutines that read or write files. More than a few gain nothing: they wait for
// the file system's journal, not for the processor.
const maxWorkers = 4

// build makes the new tree in the staging folder and has it on the disk when it returns.
func (t *target) build(found *inventory, want *tree) error {
	root, err := t.makeStaging()
	if err != nil {
		return err
	}
	defer root.Close() // before the folder is renamed, which Windows refuses while it is open
	folders := &folders{t: t}
	if err := t.putAll(root, found, want, folders); err != nil {
		return err
	}
	kept := keptFolders(found, want)
	for _, p := range slices.Sorted(maps.Keys(kept)) {
		if err := folders.make(p); err != nil {
			return err
		}
	}
	for _, f := range found.foreign {
		if err := t.Context.Err(); err != nil {
			return err
		}
		if err := t.carry(f); err != nil {
			return err
		}
	}
	if err := t.writeFile(t.in(t.staging, ManifestName), want.manifest); err != nil {
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
	if err := t.sync(root); err != nil {
		return err
	}
	return t.Context.Err() // the last look: from here on the run is nearly over
}

// sync has the staging folder, open as root, on the disk. All calls of a run use the same open file: Linux reports a
// failed write once to each file that was open then, and nothing of it to one that is opened later.
func (t *target) sync(root *os.File) error {
	return t.do("sync", t.staging, func() error { return syncTree(root) })
}

// blockSize is how many files one goroutine takes at a time. They follow each other by path, so that folders are made just
// before what goes into them: making all folders first takes file systems (ext4) half as long again.
const blockSize = 32

// putAll writes all files of the tree, and the folders that they need. With half of them written it starts to have them
// on the disk, so that the sync at the end has less to wait for.
func (t *target) putAll(root *os.File, found *inventory, want *tree, folders *folders) error {
	workers := maxWorkers
	if t.Op != nil {
		workers = 1
	}
	var done atomic.Int64
	var early errgroup.Group
	put := func(i int) error {
		if err := folders.make(path.Dir(want.files[i].Path)); err != nil {
			return err
		}
		if err := t.put(found, want, i); err != nil {
			return err
		}
		n := int(done.Add(1))
		if t.Progress != nil {
			t.Progress(n, len(want.files))
		}
		if n == len(want.files)/2 && syncIsCheap {
			if t.Op != nil {
				return t.sync(root) // not meanwhile, so that the order of calls stays the same
			}
			early.Go(func() error { return t.sync(root) })
		}
		return nil
	}
	blocks := (len(want.files) + blockSize - 1) / blockSize
	err := parallel(t.Context, blocks, workers, func(block int) error {
		for i := block * blockSize; i < min((block+1)*blockSize, len(want.files)); i++ {
			if err := put(i); err != nil {
				return err
			}
		}
		return nil
	})
	return errors.Join(err, early.Wait())
}

// folders are those of the new tree, each made once, by whoever needs it first.
type folders struct {
	t    *target
	made sync.Map // functions by path
}

// make makes a folder below the staging folder, and those above it.
func (f *folders) make(p string) error {
	if p == "." {
		return nil
	}
	made, known := f.made.Load(p)
	if !known {
		made, _ = f.made.LoadOrStore(p, sync.OnceValue(func() error {
			if err := f.make(path.Dir(p)); err != nil {
				return err
			}
			return f.t.makeFolder(f.t.in(f.t.staging, p))
		}))
	}
	return made.(func() error)()
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

// makeStaging makes the staging folder with exactly mode 0700: mkdir(2) alone is subject to the umask and hands down
// a setgid bit. It also finds out whether the umask takes rights away from the owner. The folder comes back open, before
// anything is written into it.
func (t *target) makeStaging() (root *os.File, err error) {
	err = t.do("mkdir", t.staging, func() error {
		if err := os.Mkdir(t.staging, folderMode); err != nil {
			return err
		}
		info, err := os.Lstat(t.staging)
		if err != nil {
			return err
		}
		t.masked = info.Mode().Perm() != folderMode
		if err := os.Chmod(t.staging, folderMode); err != nil {
			return err
		}
		root, err = os.Open(t.staging)
		return err
	})
	return root, err
}

// makeFolder makes a folder of exactly mode 0700 below the staging folder.
func (t *target) makeFolder(name string) error {
	return t.do("mkdir", name, func() error {
		err := os.Mkdir(name, folderMode)
		if err == nil && t.masked {
			err = os.Chmod(name, folderMode)
		}
		return err
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
	return t.writeFile(name, f.Pieces...)
}

func (t *target) writeFile(name string, pieces ...[]byte) error {
	var f *os.File
	err := t.do("create", name, func() (err error) {
		if f, err = create(name); err != nil {
			return err
		}
		if t.masked {
			if err = f.Chmod(fileMode); err != nil {
				f.Close()
			}
		}
		return err
	})
	if err != nil {
		return err
	}
	defer f.Close() // for the way out by an error; a second Close does no harm
	return t.do("write", name, func() error {
		for _, p := range pieces {
			if _, err := f.Write(p); err != nil {
				return err
			}
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
		err = t.do("copy", to, func() error { return copyFile(from, to, f.info) })
	}
	if errors.Is(err, fs.ErrPermission) && !ownedByUser(f.info) {
		return t.refuseOwner(f.path)
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
	if err := copyOwner(to, info); !errors.Is(err, fs.ErrPermission) {
		return err
	}
	return nil // see copyAttributes
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
// because changing it clears setuid and setgid bits. Only root may give a file to another user or to a group of others:
// a copy that stays with this user has none of these bits, which would lend out this user's rights.
func copyAttributes(name string, info fs.FileInfo) error {
	mode, err := info.Mode(), copyOwner(name, info)
	switch {
	case errors.Is(err, fs.ErrPermission):
		mode &^= fs.ModeSetuid | fs.ModeSetgid
	case err != nil:
		return err
	}
	if err := os.Chmod(name, mode); err != nil {
		return err
	}
	return os.Chtimes(name, info.ModTime(), info.ModTime())
}

// parallel calls f for 0 to n-1 from a few goroutines, and returns an error of one of the calls, or of the context, after
// which no further one was started.
func parallel(ctx context.Context, n, workers int, f func(i int) error) error {
	group, failed := errgroup.WithContext(ctx)
	group.SetLimit(workers)
	for i := 0; i < n && failed.Err() == nil; i++ {
		group.Go(func() error {
			if failed.Err() != nil {
				return nil
			}
			return f(i)
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return ctx.Err()
}
