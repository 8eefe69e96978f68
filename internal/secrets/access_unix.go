//go:build unix

package secrets

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// checkAccess refuses a bundle that somebody else can read, or could have put there.
func checkAccess(path string, info fs.FileInfo) error {
	if !info.Mode().IsRegular() {
		return errors.New("is no regular file: name the bundle's file itself")
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return errors.New("the owner cannot be determined")
	}
	if user := os.Geteuid(); int(stat.Uid) != user {
		return fmt.Errorf("belongs to user %d and gen runs as user %d: run gen as the owner, or chown the file if you trust what is in it", stat.Uid, user)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return fmt.Errorf("mode %04o lets others at the secrets: run chmod 600 %q", mode, path)
	}
	return nil
}

// syncFolder waits until a new name in the folder is on disk.
func syncFolder(folder string) error {
	f, err := os.Open(folder)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
