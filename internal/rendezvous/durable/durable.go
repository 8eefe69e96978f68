// Package durable owns how files that have to survive a power cut are written. It must not know what is in them.
package durable

import (
	"errors"
	"os"
	"path/filepath"
)

// Replace writes a 0600 file so that after a power cut the old one is there or the new one, whole; it is on disk when
// Replace returns. The folder is made when it is missing.
func Replace(path string, data []byte) error {
	folder := filepath.Dir(path)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	file, err := os.CreateTemp(folder, "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(file.Name()) }() // after the rename there is nothing to remove
	_, err = file.Write(data)
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := os.Rename(file.Name(), path); err != nil {
		return err
	}
	dir, err := os.Open(folder)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
