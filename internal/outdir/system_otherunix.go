//go:build unix && !linux

package outdir

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// exchange is not to be had here; the run then moves the trees one after the other.
func exchange(a, b string) error { return errors.ErrUnsupported }

// syncIsCheap: each call of syncTree goes through all files.
const syncIsCheap = false

// syncTree has everything below root on the disk, one file after the other.
func syncTree(root *os.File) error {
	return filepath.WalkDir(root.Name(), func(name string, d fs.DirEntry, err error) error {
		if err != nil || !(d.IsDir() || d.Type().IsRegular()) {
			return err
		}
		if err := syncFolder(name); !errors.Is(err, fs.ErrPermission) {
			return err
		}
		return nil // not readable, so not written by this run but linked: it was on the disk before
	})
}

// isMountPoint reports whether another file system is mounted at name.
func isMountPoint(name string) (bool, error) { return differsFromParent(name) }
