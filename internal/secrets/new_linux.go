package secrets

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// writeNew makes a 0600 file that appears at its path whole and on disk, or not at all, and fails with fs.ErrExist
// where something is. Until then it has no name: a run that is killed leaves no copy of the seed behind.
func writeNew(path string, text []byte) error {
	fd, err := unix.Open(filepath.Dir(path), unix.O_TMPFILE|unix.O_WRONLY|unix.O_CLOEXEC, 0o600)
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EISDIR) || errors.Is(err, unix.EINVAL) {
		return writeNamed(path, text) // the file system, or the kernel, cannot do it
	}
	if err != nil {
		return &os.PathError{Op: "open", Path: filepath.Dir(path), Err: err}
	}
	f := os.NewFile(uintptr(fd), path)
	defer f.Close()
	if _, err := f.Write(text); err != nil {
		return err
	}
	if err := f.Chmod(0o600); err != nil { // a umask may take rights from the owner too
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	err = unix.Linkat(unix.AT_FDCWD, fmt.Sprintf("/proc/self/fd/%d", fd), unix.AT_FDCWD, path, unix.AT_SYMLINK_FOLLOW)
	if errors.Is(err, unix.ENOENT) { // no /proc
		return writeNamed(path, text)
	}
	if err != nil {
		return &os.LinkError{Op: "link", Old: "a file without a name", New: path, Err: err}
	}
	return nil
}
