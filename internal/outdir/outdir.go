// Package outdir owns the output folder of gen: it writes a whole tree of files so that a run which
// fails or is killed leaves the old tree or the new one, never a mixture, and it knows which files of
// the folder are muster's by the manifest that it keeps in the folder's root.
//
// A run works beside the folder, on the same file system, under a lock. For a folder "out" the names are
// fixed, and they are the journal that the next run reads:
//
//	.out.muster-lock   held while a run works
//	.out.muster-new    a tree being built; worthless after a kill
//	.out.muster-swap   a tree that is complete and on the disk: the new one before it is exchanged
//	                   with the folder, the old one after
//	.out.muster-old    the old tree, moved aside where the file system cannot exchange two folders
//
// Files of the folder that are not muster's are hard-linked into the new tree, or copied where that cannot be, and are
// otherwise left alone. Folders are made anew and copies are new files: both have the owner, mode and time of what they
// stand for, but no extended attributes and no access control lists. The package must not know what the files mean, must not print, and must not
// change anything but the folder and the four names above.
package outdir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
)

// File is one file of the tree. It is written with mode 0600 into folders of mode 0700, since documents
// hold credentials.
type File struct {
	Path string // slash-separated and relative, such as "nodes/k8s-master/user-data"
	// Pieces are what the file holds, one behind the other: most of a boot medium is other files.
	Pieces [][]byte
}

// Size is the file's size in bytes.
func (f File) Size() (size int64) {
	for _, p := range f.Pieces {
		size += int64(len(p))
	}
	return size
}

// Bytes returns what the file holds in one piece, which is not to be changed.
func (f File) Bytes() []byte {
	if len(f.Pieces) == 1 {
		return f.Pieces[0]
	}
	return slices.Concat(f.Pieces...)
}

// errEncoded is why a file is not marshalled.
var errEncoded = errors.New("a file of the output folder is written and not encoded: documents hold secrets")

// Format names the file without its bytes under every verb, so that a tree that is printed by accident shows no secret.
func (f File) Format(s fmt.State, _ rune) {
	_, _ = fmt.Fprintf(s, "file %s, %d bytes", f.Path, f.Size())
}

// MarshalJSON fails.
func (File) MarshalJSON() ([]byte, error) { return nil, errEncoded }

// Options are the knobs of a Write.
type Options struct {
	// Context, when set, is looked at until the new tree is complete: when it has ended, Write ends with its error, and the
	// old tree is as it was.
	Context context.Context
	// Op, when set, is called before every operation that changes the file system, with the operation's
	// name (lock, mkdir, create, write, link, symlink, copy, chmod, sync, rename, exchange, remove) and
	// the path that it works on. An error takes the place of the operation's own. It serves tests that
	// inject failures and kills: files are then written one after the other, so that the order of calls
	// is the same in every run.
	Op func(op, path string) error
	// Progress, when set, is told how many of all files of the new tree are in place, from several goroutines.
	Progress func(done, all int)
}

// Result tells what a Write did. All paths are slash-separated, relative to the folder, and sorted.
type Result struct {
	Written bool // false when the folder already was as wanted and nothing in it was touched

	Added        []string // were not there before
	Changed      []string // had other bytes or another mode
	Removed      []string // were muster's and are not part of the tree any more
	Unchanged    []string
	EditedByHand []string // muster's, found with bytes that muster had not written; replaced or removed
	Kept         []string // not muster's, and carried over
}

// Write replaces what an earlier run wrote at dir with files, as a whole. A folder that does not exist is
// made; one that is empty or holds nothing but a .gitignore is taken over; any other folder without a
// manifest of muster's is refused, and so is a file of somebody else's where one of files has to go.
//
// Every error names the path concerned and what to do. Up to the exchange an error leaves the old tree as
// it was. An error after it, from removing the old tree, comes with Result.Written true: the new tree then
// is there in full and the next run removes the rest.
func Write(dir string, files []File, opts Options) (res Result, err error) {
	want, err := newTree(files)
	if err != nil {
		return Result{}, fmt.Errorf("cannot write %s: %w", dir, err)
	}
	t, err := newTarget(dir, opts)
	if err != nil {
		return Result{}, err
	}
	if err := t.checkReplaceable(); err != nil {
		return Result{}, err
	}
	unlock, err := t.acquire()
	if err != nil {
		return Result{}, err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	if err := t.recover(); err != nil {
		return Result{}, err
	}
	return t.write(want)
}

// write does the work of Write once the lock is held and nothing of an earlier run lies around.
func (t *target) write(want *tree) (Result, error) {
	found, err := t.inspect()
	if err != nil {
		return Result{}, err
	}
	if err := t.conflicts(found, want); err != nil {
		return Result{}, err
	}
	res := compare(found, want)
	if upToDate(found, want, res) {
		return res, nil
	}
	if err := t.replace(found, want); err != nil {
		// recover is what a later run would do about the same leftovers.
		return Result{}, errors.Join(err, t.recover())
	}
	res.Written = true
	return res, t.recover()
}

// replace builds the new tree and puts it in the place of the old one, which stays beside it.
func (t *target) replace(found *inventory, want *tree) error {
	if err := t.owners(found); err != nil {
		return err
	}
	if err := t.build(found, want); err != nil {
		return err
	}
	if err := t.place(found.exists); err != nil {
		return err
	}
	t.seen = make(map[string]fs.FileInfo, len(found.foreign))
	for _, f := range found.foreign {
		t.seen[f.path] = f.info
	}
	return nil
}

// Compare reports what a Write of the same files would do, and the errors it would refuse them with,
// without writing. Result.Written is true when there is anything to write.
func Compare(dir string, files []File) (Result, error) {
	want, err := newTree(files)
	if err != nil {
		return Result{}, fmt.Errorf("cannot compare %s: %w", dir, err)
	}
	t, err := newTarget(dir, Options{})
	if err != nil {
		return Result{}, err
	}
	if err := t.undoCutExchange(); err != nil {
		return Result{}, err
	}
	found, err := t.inspect()
	if err != nil {
		return Result{}, err
	}
	if err := t.conflicts(found, want); err != nil {
		return Result{}, err
	}
	res := compare(found, want)
	res.Written = !upToDate(found, want, res)
	return res, nil
}

// Read returns the manifest of the tree at dir: what the last run wrote there, which is not always what
// lies there now. The error wraps fs.ErrNotExist when nothing was written yet: no folder, or one that
// Write would take over. A folder that Write would refuse is refused here too.
func Read(dir string) (Manifest, error) {
	t, err := newTarget(dir, Options{})
	if err != nil {
		return Manifest{}, err
	}
	if err := t.undoCutExchange(); err != nil {
		return Manifest{}, err
	}
	info, err := t.stat()
	if err != nil {
		return Manifest{}, err
	}
	if info == nil {
		return Manifest{}, fmt.Errorf("%s: %w: write it first", dir, fs.ErrNotExist)
	}
	m, raw, err := t.loadManifest(t.path)
	if err != nil {
		return Manifest{}, err
	}
	if raw != nil {
		return m, nil
	}
	if err := t.checkTakeover(); err != nil {
		return Manifest{}, err
	}
	return Manifest{}, fmt.Errorf("%s: no tree of muster's yet (%w): write it first", dir, fs.ErrNotExist)
}

// undoCutExchange repairs, for readers, the one state in which a killed run leaves no tree at the
// folder's place: between the two renames of a file system that cannot exchange. Other leftovers do not
// concern a reader, who then needs no right to write beside the folder.
func (t *target) undoCutExchange() error {
	if _, err := os.Lstat(t.aside); err != nil {
		return nil
	}
	if _, err := os.Lstat(t.path); !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	unlock, err := t.acquire()
	if err != nil {
		return err
	}
	return errors.Join(t.recover(), unlock())
}
