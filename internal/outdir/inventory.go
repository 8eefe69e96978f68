package outdir

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// inventory is what a run finds in the folder.
type inventory struct {
	exists   bool
	info     fs.FileInfo
	manifest []byte // manifest.json as it is; nil when there is none
	private  bool   // the root and manifest.json have the modes that this package gives them

	written map[string]Entry       // muster's files by the manifest, there or not
	owned   map[string]ownedFile   // those of them that are there
	folders map[string]fs.FileInfo // folders above written that are there
	foreign []foreign              // everything else, each folder before its content
}

// ownedFile is a file of muster's as it lies in the folder now.
type ownedFile struct {
	info   fs.FileInfo
	sha256 string // empty when it is not a regular file any more
}

// foreign is something in the folder that is not muster's.
type foreign struct {
	path string // slash-separated, relative to the folder
	info fs.FileInfo
}

// pristine reports whether the file is what entry describes, with the mode that this package gives.
func (o ownedFile) pristine(entry Entry) bool {
	return o.sha256 == entry.SHA256 && hasMode(o.info, fileMode)
}

// hasMode reports whether info has exactly the mode, on systems that have modes.
func hasMode(info fs.FileInfo, mode fs.FileMode) bool {
	const all = fs.ModePerm | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky
	return !systemHasModes || info.Mode()&all == mode
}

// inspect reads the folder, and refuses one that is not muster's to replace.
func (t *target) inspect() (*inventory, error) {
	info, err := t.stat()
	if err != nil {
		return nil, err
	}
	inv := &inventory{
		exists: info != nil, info: info,
		written: map[string]Entry{}, owned: map[string]ownedFile{}, folders: map[string]fs.FileInfo{},
	}
	if !inv.exists {
		return inv, nil
	}
	m, raw, err := t.loadManifest(t.path)
	if err != nil {
		return nil, err
	}
	if inv.manifest = raw; raw == nil {
		if err := t.checkTakeover(); err != nil {
			return nil, err
		}
	}
	for _, e := range m.Files {
		inv.written[e.Path] = e
	}
	if err := t.scan(inv, foldersOf(inv.written), ""); err != nil {
		return nil, err
	}
	return inv, t.hashOwned(inv)
}

// scan sorts the content of the folder rel into inv. above holds the folders that muster's files need.
func (t *target) scan(inv *inventory, above map[string]bool, rel string) error {
	names, err := os.ReadDir(t.in(t.path, rel))
	if err != nil {
		return t.fail("read", t.in(t.path, rel), err)
	}
	for _, n := range names {
		p := path.Join(rel, n.Name())
		info, err := n.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // gone since the folder was listed
		}
		if err != nil {
			return t.fail("look at", t.in(t.path, p), err)
		}
		if err := t.refuseMount(p); err != nil {
			return err
		}
		_, written := inv.written[p]
		switch {
		case p == ManifestName:
			inv.private = hasMode(info, fileMode) && hasMode(inv.info, folderMode)
			continue
		case written && !info.IsDir():
			inv.owned[p] = ownedFile{info: info}
			continue
		case above[p] && info.IsDir():
			inv.folders[p] = info
		default:
			inv.foreign = append(inv.foreign, foreign{p, info})
		}
		if info.IsDir() {
			if err := t.scan(inv, above, p); err != nil {
				return err
			}
		}
	}
	return nil
}

// refuseMount: a mount inside the folder would move along with the old tree, and removing that would empty
// what is mounted.
func (t *target) refuseMount(p string) error {
	mounted, err := isMountPoint(t.in(t.path, p))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return t.fail("look at", t.in(t.path, p), err)
	}
	if mounted {
		return fmt.Errorf("%s: %s is a mount point inside the folder, which is replaced as a whole: unmount it or choose another -out", t.name, p)
	}
	return nil
}

// hashOwned fills in the digests of muster's files.
func (t *target) hashOwned(inv *inventory) error {
	paths := slices.Sorted(maps.Keys(inv.owned))
	sums := make([]string, len(paths))
	err := parallel(t.Context, len(paths), maxWorkers, func(i int) (err error) {
		if inv.owned[paths[i]].info.Mode().IsRegular() {
			sums[i], err = hashFile(t.in(t.path, paths[i]))
		}
		if err != nil {
			return t.fail("read", t.in(t.path, paths[i]), err)
		}
		return nil
	})
	for i, p := range paths {
		inv.owned[p] = ownedFile{inv.owned[p].info, sums[i]}
	}
	return err
}

func hashFile(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// in is the path of a tree's entry, rel being slash-separated.
func (t *target) in(root, rel string) string {
	return filepath.Join(root, filepath.FromSlash(rel))
}

// conflicts refuses to write where something of somebody else's is. All of them are named, up to a limit.
func (t *target) conflicts(found *inventory, want *tree) error {
	const shown = 10
	var taken []string
	for _, f := range found.foreign {
		if want.uses(f.path) {
			taken = append(taken, f.path)
		}
	}
	if len(taken) == 0 {
		return nil
	}
	more := ""
	if len(taken) > shown {
		more = fmt.Sprintf(" and %d more", len(taken)-shown)
		taken = taken[:shown]
	}
	return fmt.Errorf("%s: not written by muster and in the way of the new tree: %s%s: move that elsewhere or choose another -out",
		t.name, strings.Join(taken, ", "), more)
}

// owners refuses folders of another user's, unless root asks: what is in them could not be removed with the old tree.
// Files may be anybody's.
func (t *target) owners(found *inventory) error {
	if os.Geteuid() == 0 {
		return nil
	}
	if found.exists && !ownedByUser(found.info) {
		return t.refuseOwner(".")
	}
	for _, p := range slices.Sorted(maps.Keys(found.folders)) {
		if !ownedByUser(found.folders[p]) {
			return t.refuseOwner(p)
		}
	}
	for _, f := range found.foreign {
		if f.info.IsDir() && !ownedByUser(f.info) {
			return t.refuseOwner(f.path)
		}
	}
	return nil
}

// refuseOwner is the error for something of another user's that this one cannot move along with the folder.
func (t *target) refuseOwner(p string) error {
	return fmt.Errorf("%s: %s belongs to another user, so it cannot be moved along: chown -R it to the user who runs gen",
		t.name, filepath.Join(t.name, filepath.FromSlash(p)))
}

// uses reports whether nothing else may be at p: a file or a folder of the tree is to be there, or a file
// is to be where p has a folder.
func (w *tree) uses(p string) bool {
	if w.folders[p] {
		return true
	}
	for ; p != "."; p = path.Dir(p) {
		if _, ok := w.index[p]; ok {
			return true
		}
	}
	return false
}

// compare works out the Result of writing want over what was found.
func compare(found *inventory, want *tree) Result {
	var res Result
	for _, e := range want.entries {
		o, there := found.owned[e.Path]
		switch {
		case !there:
			res.Added = append(res.Added, e.Path)
		case o.pristine(e):
			res.Unchanged = append(res.Unchanged, e.Path)
		default:
			res.Changed = append(res.Changed, e.Path)
		}
	}
	for _, p := range slices.Sorted(maps.Keys(found.owned)) {
		if _, wanted := want.index[p]; !wanted {
			res.Removed = append(res.Removed, p)
		}
		if found.owned[p].sha256 != found.written[p].SHA256 {
			res.EditedByHand = append(res.EditedByHand, p)
		}
	}
	for _, f := range found.foreign {
		if !f.info.IsDir() {
			res.Kept = append(res.Kept, f.path)
		}
	}
	slices.Sort(res.Kept)
	return res
}

// upToDate reports whether the folder is already what a write of want would make of it.
func upToDate(found *inventory, want *tree, res Result) bool {
	if !found.private || string(found.manifest) != string(want.manifest) || len(res.Unchanged) != len(want.files) {
		return false
	}
	for _, info := range found.folders {
		if !hasMode(info, folderMode) {
			return false
		}
	}
	return true
}
