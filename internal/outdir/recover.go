package outdir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
)

// recover removes what earlier runs left beside the folder, and takes back an exchange that was cut in two. It
// needs the lock. Afterwards the folder is the old tree or the new one and nothing but the lock lies beside it.
func (t *target) recover() error {
	there := make(map[string]bool)
	for _, name := range []string{t.path, t.staging, t.ready, t.aside} {
		info, err := os.Lstat(name)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return t.fail("look at", name, err)
		}
		if there[name] = err == nil; err == nil && name != t.path && !(info.IsDir() && ownedByUser(info)) {
			return fmt.Errorf("%s: %s is in the way and was not left by a run of this user: move it elsewhere", t.name, name)
		}
	}
	if there[t.staging] {
		if err := t.removeTree(t.staging); err != nil {
			return err
		}
	}
	if !there[t.path] && there[t.aside] { // cut between the two renames
		if err := t.rename(t.aside, t.path); err != nil {
			return err
		}
		there[t.aside], there[t.path] = false, true
	}
	remove := t.clear
	if !there[t.path] { // nothing to bring over: the tree never was in place, or the user removed the folder since
		remove = t.removeTree
	}
	for _, name := range []string{t.ready, t.aside} {
		if !there[name] {
			continue
		}
		if err := remove(name); err != nil {
			return err
		}
	}
	return nil
}

// removeTree removes a tree that holds nothing but what a run put there.
func (t *target) removeTree(root string) error {
	return t.do("remove", root, func() error {
		err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				return os.Chmod(name, folderMode) // a foreign folder may forbid removing its content
			}
			return err
		})
		if err != nil {
			return err
		}
		return os.RemoveAll(root)
	})
}

// clearing removes a tree that stood, or may have stood, at the folder's place. Somebody may have added or
// saved a file there after the run had looked at it, so only muster's own files, and what the folder has as
// well, are removed; the rest moves into the folder. A file that was deleted from the folder after a kill
// at this point can thus come back once, which is better than to lose one. Where the folder has another version of a
// file, only the run that put the folder there knows which one is wanted.
type clearing struct {
	t     *target
	root  string
	own   map[string]bool // muster's files in root
	above map[string]bool // and their folders
}

// clear removes the tree at root in the way that clearing describes. The manifest goes last: a run that is
// killed before leaves the next one able to tell whose the files are.
func (t *target) clear(root string) error {
	m, _, err := t.loadManifest(root)
	if err != nil {
		return err
	}
	c := clearing{t: t, root: root, own: m.paths()}
	c.above = foldersOf(c.own)
	if err := c.folder(""); err != nil {
		return err
	}
	err = c.remove(ManifestName)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return c.remove("")
}

func (m Manifest) paths() map[string]bool {
	paths := make(map[string]bool, len(m.Files))
	for _, e := range m.Files {
		paths[e.Path] = true
	}
	return paths
}

func (c *clearing) remove(rel string) error {
	name := c.t.in(c.root, rel)
	return c.t.do("remove", name, func() error { return os.Remove(name) })
}

// folder empties one folder of the tree, but for the manifest.
func (c *clearing) folder(rel string) error {
	name := c.t.in(c.root, rel)
	if !c.above[rel] && rel != "" { // a foreign folder may forbid removing its content
		if err := c.t.do("chmod", name, func() error { return os.Chmod(name, folderMode) }); err != nil {
			return err
		}
	}
	entries, err := os.ReadDir(name)
	if err != nil {
		return c.t.fail("read", name, err)
	}
	for _, e := range entries {
		p := path.Join(rel, e.Name())
		switch {
		case p == ManifestName:
			continue
		case e.IsDir():
			err = c.subfolder(p)
		case c.own[p]:
			err = c.remove(p)
		default:
			err = c.foreign(p)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *clearing) subfolder(p string) error {
	if !c.above[p] {
		carried, err := c.counterpart(p)
		switch {
		case err != nil:
			return err
		case carried == nil:
			return c.bringOver(p)
		case !carried.IsDir():
			return c.taken(p)
		}
	}
	if err := c.folder(p); err != nil {
		return err
	}
	return c.remove(p)
}

// foreign deals with one file of somebody else's. Which of two versions is wanted does not show in their times: what is
// downloaded, unpacked or moved there keeps an older one.
func (c *clearing) foreign(p string) error {
	from, to := c.t.in(c.root, p), c.t.in(c.t.path, p)
	left, err := os.Lstat(from)
	if err != nil {
		return c.t.fail("look at", from, err)
	}
	carried, err := c.counterpart(p)
	switch {
	case err != nil:
		return err
	case carried == nil:
		return c.bringOver(p)
	case left.Mode().Type() != carried.Mode().Type():
		return c.taken(p)
	case os.SameFile(left, carried) || sameLink(from, to):
		return c.remove(p)
	}
	if seen, known := c.t.seen[p]; known {
		switch {
		case os.SameFile(left, seen) && sameTime(left, seen): // what was carried over is a copy
			return c.remove(p)
		case sameTime(carried, seen) || carried.Mode()&fs.ModeSymlink != 0: // nobody saved it since
			return c.bringOver(p)
		}
	}
	same, err := sameBytes(from, to, left)
	switch {
	case err != nil:
		return c.t.fail("read", from, err)
	case same:
		return c.remove(p)
	}
	return c.taken(p)
}

// counterpart returns what is at p in the folder, nil if nothing does. It refuses a p that has a file or a symlink
// where it needs a folder: by a symlink it would change something outside the folder.
func (c *clearing) counterpart(p string) (fs.FileInfo, error) {
	if dir := path.Dir(p); dir != "." {
		above, err := c.counterpart(dir)
		switch {
		case err != nil || above == nil:
			return nil, err
		case !above.IsDir():
			return nil, c.taken(p)
		}
	}
	name := c.t.in(c.t.path, p)
	info, err := os.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, c.t.fail("look at", name, err)
	}
	return info, nil
}

// taken is the error for something of somebody else's that cannot be brought over.
func (c *clearing) taken(p string) error {
	return fmt.Errorf("%s: %s appeared while a run was writing and its place is taken now: move it away, then run again", c.t.name, c.t.in(c.root, p))
}

// sameTime reports whether a file was not written to between two looks at it, or is a copy of the other.
func sameTime(a, b fs.FileInfo) bool { return a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size() }

// sameLink reports whether both are symlinks to the same place.
func sameLink(a, b string) bool {
	toA, errA := os.Readlink(a)
	toB, errB := os.Readlink(b)
	return errA == nil && errB == nil && toA == toB
}

// sameBytes reports whether two files, of which info describes the first, are copies of each other.
func sameBytes(a, b string, info fs.FileInfo) (bool, error) {
	if !info.Mode().IsRegular() {
		return false, nil
	}
	sumA, errA := hashFile(a)
	sumB, errB := hashFile(b)
	return sumA == sumB, errors.Join(errA, errB)
}

// bringOver moves something of somebody else's into the folder.
func (c *clearing) bringOver(p string) error {
	from, to := c.t.in(c.root, p), c.t.in(c.t.path, p)
	return c.t.do("rename", from, func() error {
		if err := os.MkdirAll(filepath.Dir(to), folderMode); err != nil {
			return err
		}
		return move(from, to)
	})
}

// move moves a file or folder into another folder. A folder has to be writable for that, since its ".." changes.
func move(from, to string) error {
	info, err := os.Lstat(from)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return os.Rename(from, to)
	}
	if err := os.Chmod(from, info.Mode()|folderMode); err != nil {
		return err
	}
	if err := os.Rename(from, to); err != nil {
		return errors.Join(err, os.Chmod(from, info.Mode()))
	}
	return os.Chmod(to, info.Mode())
}
