//go:build unix

package outdir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

const systemHasModes = true

// systemAdvice is what to do about the errors that operators meet.
var systemAdvice = []struct {
	err  error
	text string
}{
	{unix.ENOSPC, "free some space there or choose another -out"},
	{unix.EDQUOT, "free some of the quota or choose another -out"},
	{unix.EROFS, "choose another -out, on a file system that can be written"},
	{unix.EACCES, "make the folder and its parent writable for this user, or choose another -out"},
	{unix.EPERM, "run gen as the owner of the folder, or choose another -out"},
	{unix.EBUSY, "unmount what is mounted there or choose another -out"},
	{unix.EXDEV, "the folder is on another file system or image layer than its parent: choose another -out"},
	{unix.ENAMETOOLONG, "choose an -out with a shorter path"},
}

// acquire takes the lock beside the folder, or says at once that another run holds it. The returned function
// gives it back and removes its file.
//
// The file is removed by the holder only. A run that opened it just before locks a file that has no name any
// more; it sees that by comparing and starts again, so two runs can never hold two files. When that happens
// again and again, other runs are at work.
func (t *target) acquire() (release func() error, err error) {
	for range 100 {
		f, err := t.tryLock()
		if err != nil {
			return nil, err
		}
		held, err := f.Stat()
		if err != nil {
			f.Close()
			return nil, t.fail("lock", t.lock, err)
		}
		if named, err := os.Lstat(t.lock); err == nil && os.SameFile(held, named) {
			return func() error {
				defer f.Close()
				return t.do("remove", t.lock, func() error { return os.Remove(t.lock) })
			}, nil
		}
		f.Close()
	}
	return nil, t.busy()
}

func (t *target) tryLock() (f *os.File, err error) {
	err = t.do("lock", t.lock, func() error {
		if f, err = openLock(t.lock); err != nil {
			return err
		}
		if err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
			f.Close()
		}
		return err
	})
	switch {
	case errors.Is(err, unix.EWOULDBLOCK):
		return nil, t.busy()
	case errors.Is(err, unix.EACCES):
		if _, missing := os.Lstat(t.lock); missing == nil {
			return nil, fmt.Errorf("%s: cannot open %s: %w: another user's run holds it or was killed: remove it if no run is at work",
				t.name, t.lock, unix.EACCES)
		}
	}
	return f, err
}

// openLock opens the lock's file, and makes it if need be. NFS locks only a file that is open for writing. One that a
// killed run left before it had set the mode, under a umask that takes that right away, opens for reading alone.
// O_NOFOLLOW: the name is predictable and the parent may be a folder that others write to.
func openLock(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, fileMode)
	if errors.Is(err, unix.EACCES) {
		if left, errLeft := os.OpenFile(name, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0); errLeft == nil {
			f, err = left, nil
		}
	}
	if err == nil {
		_ = f.Chmod(fileMode) // of another user's file it fails, which does not matter to this run
	}
	return f, err
}

// create makes a new file with the mode of files, less the umask. os.OpenFile would try to have the file polled, which
// takes five more system calls to be refused.
func create(name string) (*os.File, error) {
	for {
		fd, err := unix.Open(name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC, uint32(fileMode))
		switch {
		case err == nil:
			return os.NewFile(uintptr(fd), name), nil
		case !errors.Is(err, unix.EINTR):
			return nil, &fs.PathError{Op: "open", Path: name, Err: err}
		}
	}
}

// linkRefused reports whether err means that this file cannot be hard-linked, rather than that the disk failed.
// EPERM is also how Linux refuses links to files of other users (fs.protected_hardlinks).
func linkRefused(err error) bool {
	return errors.Is(err, unix.EPERM) || errors.Is(err, unix.EMLINK) || errors.Is(err, unix.EXDEV) ||
		errors.Is(err, errors.ErrUnsupported)
}

// ownedByUser reports whether info belongs to the user that runs the process.
func ownedByUser(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == os.Geteuid()
}

// copyOwner gives name, not followed if it is a symlink, the owner and group of info.
func copyOwner(name string, info fs.FileInfo) error {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return errors.ErrUnsupported
	}
	return os.Lchown(name, int(st.Uid), int(st.Gid))
}

// syncFolder has the entries of a folder on the disk.
func syncFolder(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// differsFromParent reports whether name is on another file system than the folder that it is in.
func differsFromParent(name string) (bool, error) {
	var own, parent syscall.Stat_t
	if err := syscall.Lstat(name, &own); err != nil {
		return false, err
	}
	if err := syscall.Stat(filepath.Dir(name), &parent); err != nil {
		return false, err
	}
	return own.Dev != parent.Dev, nil
}
