package outdir

import (
	"os"

	"golang.org/x/sys/unix"
)

// exchange swaps two folders in one step.
func exchange(a, b string) error {
	return unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE)
}

// syncIsCheap: a second call of syncTree has only what is new to write.
const syncIsCheap = true

// syncTree has everything below root on the disk. syncfs(2) does it for the whole file system in one go: an
// fsync for each of a large cluster's tens of thousands of files takes many times as long. It reports the writes that
// failed since root was opened and were not reported to it yet; kernels before 5.8 report none.
func syncTree(root *os.File) error { return unix.Syncfs(int(root.Fd())) }

// isMountPoint reports whether something is mounted at name. statx(2) knows from Linux 5.8 on; before, only
// a mount of another file system is seen, by its device.
func isMountPoint(name string) (bool, error) {
	var stx unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, name, unix.AT_SYMLINK_NOFOLLOW, 0, &stx)
	if err == nil && stx.Attributes_mask&unix.STATX_ATTR_MOUNT_ROOT != 0 {
		return stx.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0, nil
	}
	if err != nil && err != unix.ENOSYS {
		return false, err
	}
	return differsFromParent(name)
}
