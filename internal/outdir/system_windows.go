package outdir

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/windows"
)

// systemHasModes: Windows maps only the read-only bit, so modes say nothing about privacy here.
const systemHasModes = false

// systemAdvice is what to do about the errors that operators meet.
var systemAdvice = []struct {
	err  error
	text string
}{
	{windows.ERROR_DISK_FULL, "free some space there or choose another -out"},
	{windows.ERROR_WRITE_PROTECT, "choose another -out, on a volume that can be written"},
	{windows.ERROR_SHARING_VIOLATION, "close the programs that use the folder"},
	{windows.ERROR_ACCESS_DENIED, "close the programs that use the folder, make it writable for this user, or choose another -out"},
}

// acquire takes the lock beside the folder, or says at once that another run holds it. The file is opened for
// one holder only, and Windows removes it with the handle, after a kill too.
func (t *target) acquire() (release func() error, err error) {
	var handle windows.Handle
	err = t.do("lock", t.lock, func() error {
		name, err := windows.UTF16PtrFromString(t.lock)
		if err != nil {
			return err
		}
		handle, err = windows.CreateFile(name, windows.GENERIC_READ|windows.GENERIC_WRITE|windows.DELETE, 0, nil,
			windows.OPEN_ALWAYS, windows.FILE_ATTRIBUTE_NORMAL|windows.FILE_FLAG_DELETE_ON_CLOSE, 0)
		return err
	})
	if errors.Is(err, windows.ERROR_SHARING_VIOLATION) {
		return nil, t.busy()
	}
	if err != nil {
		return nil, err
	}
	return func() error { return windows.CloseHandle(handle) }, nil
}

// exchange is not to be had here; the run then moves the trees one after the other.
func exchange(a, b string) error { return errors.ErrUnsupported }

// create makes a new file.
func create(name string) (*os.File, error) {
	return os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
}

// linkRefused reports whether err means that this file cannot be hard-linked, rather than that the disk failed.
func linkRefused(err error) bool {
	return errors.Is(err, windows.ERROR_INVALID_FUNCTION) || errors.Is(err, windows.ERROR_TOO_MANY_LINKS) ||
		errors.Is(err, windows.ERROR_NOT_SAME_DEVICE) || errors.Is(err, errors.ErrUnsupported)
}

// ownedByUser is not asked of Windows, where folders that strangers write to are not usual.
func ownedByUser(fs.FileInfo) bool { return true }

// copyOwner does nothing: a new file inherits its rights from its folder.
func copyOwner(string, fs.FileInfo) error { return nil }

// isMountPoint is false: a volume mounted on a folder is a reparse point, which Lstat shows as no folder.
func isMountPoint(string) (bool, error) { return false, nil }

// syncFolder does nothing: Windows cannot flush a folder, NTFS journals renames by itself.
func syncFolder(string) error { return nil }

// syncIsCheap: each call of syncTree goes through all files.
const syncIsCheap = false

// syncTree has the files below root on the disk, one after the other.
func syncTree(root *os.File) error {
	return filepath.WalkDir(root.Name(), func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		f, err := os.OpenFile(name, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		return errors.Join(f.Sync(), f.Close())
	})
}
