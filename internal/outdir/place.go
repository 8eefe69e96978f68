package outdir

import (
	"errors"
	"os"
	"syscall"
)

// place puts the finished staging tree at the folder's place. When it returns nil the new tree is there,
// durably, and the old one is left under the name ready or aside; after an error the old one is there.
func (t *target) place(exists bool) error {
	// The new name says that the tree is complete, which a later run relies on.
	if err := t.rename(t.staging, t.ready); err != nil {
		return err
	}
	if !exists {
		return t.moveIn()
	}
	swap := func() error {
		return t.do("exchange", t.path, func() error { return exchange(t.ready, t.path) })
	}
	err := swap()
	if err != nil && exchangeUnsupported(err) {
		return t.placeByRenames()
	}
	if err != nil {
		return err
	}
	return t.settle(swap)
}

// placeByRenames is the exchange for systems that have none. Between the two renames nothing is at the
// folder's place; recover puts the old tree back if the run is killed there.
func (t *target) placeByRenames() error {
	if err := t.rename(t.path, t.aside); err != nil {
		return err
	}
	back := func() error { return t.rename(t.aside, t.path) }
	// The first rename has to be on the disk before the second, or a power cut could show the new tree
	// and no old one, or neither.
	if err := t.settle(back); err != nil {
		return err
	}
	if err := t.moveIn(); err != nil {
		return errors.Join(err, back())
	}
	return nil
}

// moveIn gives the ready tree the folder's place, where nothing is.
func (t *target) moveIn() error {
	if err := t.rename(t.ready, t.path); err != nil {
		return err
	}
	return t.settle(func() error { return t.rename(t.path, t.ready) })
}

// settle has the renames beside the folder on the disk, or undoes the last one.
func (t *target) settle(undo func() error) error {
	if err := t.do("sync", t.parent, func() error { return syncFolder(t.parent) }); err != nil {
		return errors.Join(err, undo())
	}
	return nil
}

func (t *target) rename(from, to string) error {
	return t.do("rename", from, func() error { return os.Rename(from, to) })
}

// exchangeUnsupported tells "this system or file system cannot exchange" from a failed exchange. The kernel
// reports EINVAL for a file system that does not know the flag.
func exchangeUnsupported(err error) bool {
	return errors.Is(err, errors.ErrUnsupported) || errors.Is(err, syscall.EINVAL)
}
