package outdir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

const (
	fileMode   fs.FileMode = 0o600
	folderMode fs.FileMode = 0o700
)

// target is the folder and the names beside it that a run uses. All paths but name are absolute.
type target struct {
	name string // the folder as the caller wrote it, for messages

	path, parent                string
	lock, staging, ready, aside string // see the package comment

	// masked is whether the process's umask takes rights away from the owner, so that every mode has to be set.
	masked bool

	// seen is what this run carried over, as it was found, once the new tree is at the folder's place.
	seen map[string]fs.FileInfo

	Options
}

func newTarget(dir string, options Options) (*target, error) {
	if dir == "" {
		return nil, errors.New("output folder has no name: pass -out with one")
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("%s: cannot tell the current folder: %w: pass an absolute -out", dir, cause(err))
	}
	if err := checkDots(dir); err != nil {
		return nil, err
	}
	if options.Context == nil {
		options.Context = context.Background()
	}
	parent, base := filepath.Split(abs)
	beside := func(suffix string) string { return filepath.Join(parent, "."+base+".muster-"+suffix) }
	return &target{
		name: dir, path: abs, parent: filepath.Clean(parent),
		lock: beside("lock"), staging: beside("new"), ready: beside("swap"), aside: beside("old"),
		Options: options,
	}, nil
}

// checkDots refuses a name whose ".." go up from a symlink. filepath takes ".." away together with the name before it, the
// system goes up from where the symlink leads, so that one run could take two folders for the same.
func checkDots(dir string) error {
	slashed := filepath.ToSlash(dir) + "/"
	last := strings.LastIndex("/"+slashed, "/../")
	if last < 0 {
		return nil
	}
	above := slashed[:last+len("..")]
	abs, err := filepath.Abs(above)
	if err != nil {
		return fmt.Errorf("%s: cannot tell the current folder: %w: pass an absolute -out", dir, cause(err))
	}
	byName, errName := os.Stat(abs)
	bySystem, errSystem := os.Stat(above)
	if errName == nil && errSystem == nil && !os.SameFile(byName, bySystem) {
		return fmt.Errorf("%s: goes up with .. from a symlink, which can be meant in two ways: pass an -out without ..", dir)
	}
	return nil
}

// stat returns what is at the folder's place, nil when nothing does, and refuses anything but a folder.
func (t *target) stat() (fs.FileInfo, error) {
	info, err := os.Lstat(t.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, t.fail("look at", t.path, err)
	case info.Mode()&fs.ModeSymlink != 0:
		return nil, t.refuseSymlink()
	case !info.IsDir():
		return nil, fmt.Errorf("%s: is not a folder: choose another -out", t.name)
	}
	return info, nil
}

// refuseSymlink: an exchange would replace the link and leave the folder that it points to behind, with
// its secrets.
func (t *target) refuseSymlink() error {
	real, err := filepath.EvalSymlinks(t.path)
	if err != nil {
		return fmt.Errorf("%s: is a symlink that leads nowhere: remove it or choose another -out", t.name)
	}
	return fmt.Errorf("%s: is a symlink: pass -out %s, which it leads to", t.name, real)
}

// checkReplaceable refuses places where no folder can be exchanged as a whole.
func (t *target) checkReplaceable() error {
	if t.path == t.parent {
		return fmt.Errorf("%s: is the root of a file system and cannot be replaced: choose a folder in it", t.name)
	}
	if info, err := os.Stat(t.parent); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: its parent folder %s does not exist: make it first", t.name, t.parent)
	} else if err != nil {
		return t.fail("look at", t.parent, err)
	} else if !info.IsDir() {
		return fmt.Errorf("%s: %s is not a folder: choose another -out", t.name, t.parent)
	}
	info, err := t.stat()
	if err != nil || info == nil {
		return err
	}
	mounted, err := isMountPoint(t.path)
	if err != nil {
		return t.fail("look at", t.path, err)
	}
	if mounted {
		return fmt.Errorf("%s: is a mount point and cannot be replaced as a whole: choose a folder in it, such as %s",
			t.name, filepath.Join(t.name, "out"))
	}
	return t.checkWorkingFolder(info)
}

// checkWorkingFolder refuses a folder that the process works in: the user's shell would be left in the old
// tree, which is removed. The shell may have gone there by a symlink, whose name os.Getwd gives.
func (t *target) checkWorkingFolder(folder fs.FileInfo) error {
	wd, err := os.Getwd()
	if err == nil {
		wd, err = filepath.EvalSymlinks(wd)
	}
	if err != nil {
		return fmt.Errorf("%s: cannot tell the current folder: %w: change to another one", t.name, cause(err))
	}
	for {
		if info, err := os.Stat(wd); err == nil && os.SameFile(info, folder) {
			return fmt.Errorf("%s: the current folder is in it, and it is replaced as a whole: run gen from another folder, or choose another -out", t.name)
		}
		up := filepath.Dir(wd)
		if up == wd {
			return nil
		}
		wd = up
	}
}

// checkTakeover refuses a folder without a manifest that holds anything of somebody else's.
func (t *target) checkTakeover() error {
	entries, err := os.ReadDir(t.path)
	if err != nil {
		return t.fail("read", t.path, err)
	}
	for _, e := range entries {
		if e.Name() != ".gitignore" || !e.Type().IsRegular() {
			return fmt.Errorf("%s: holds %s and no %s, so it was not written by muster: choose another -out or empty it",
				t.name, e.Name(), ManifestName)
		}
	}
	return nil
}

// do runs one operation that changes the file system, after the hook of the options.
func (t *target) do(op, path string, f func() error) error {
	if t.Op != nil {
		if err := t.Op(op, path); err != nil {
			return t.fail(op, path, err)
		}
	}
	if err := f(); err != nil {
		return t.fail(op, path, err)
	}
	return nil
}

// fail makes the message for a failed operation: the folder, what was tried on which path, why it failed,
// and what to do. The reason stays reachable by errors.Is.
func (t *target) fail(op, path string, err error) error {
	err = cause(err)
	return fmt.Errorf("%s: cannot %s %s: %w: %s", t.name, op, t.shown(path), err, advice(err))
}

// busy is the error for a lock that another run holds.
func (t *target) busy() error {
	return fmt.Errorf("%s: another run is writing it: wait until that has ended", t.name)
}

// shown is path for a message: relative to the folder if it lies there, or will once the new tree is complete. What lies
// in a tree that a run left beside the folder has to be found there, and so is named in full.
func (t *target) shown(path string) string {
	for _, root := range []string{t.path, t.staging} {
		if rel, ok := strings.CutPrefix(path, root+string(filepath.Separator)); ok {
			return filepath.ToSlash(rel)
		}
	}
	return path
}

// cause strips the wrapping that repeats operation and path.
func cause(err error) error {
	var inPath *fs.PathError
	var inLink *os.LinkError
	var inCall *os.SyscallError
	switch {
	case errors.As(err, &inPath):
		return inPath.Err
	case errors.As(err, &inLink):
		return inLink.Err
	case errors.As(err, &inCall):
		return inCall.Err
	}
	return err
}

// advice says what to do about a failed operation.
func advice(err error) string {
	for _, a := range systemAdvice {
		if errors.Is(err, a.err) {
			return a.text
		}
	}
	return "put it right and run again, or choose another -out"
}
