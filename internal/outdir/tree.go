package outdir

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// tree is what a run wants to stand in the folder.
type tree struct {
	files   []File  // sorted by path
	entries []Entry // of the same order
	index   map[string]int
	folders map[string]bool // every folder that files need, without the root

	manifest []byte // the bytes of manifest.json
}

// newTree checks the paths of files and works out everything that follows from them. All bad paths are
// reported at once.
func newTree(files []File) (*tree, error) {
	w := &tree{files: slices.Clone(files), index: make(map[string]int, len(files))}
	slices.SortStableFunc(w.files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	var problems []error
	for i, f := range w.files {
		if err := checkPath(f.Path); err != nil {
			problems = append(problems, err)
			continue
		}
		if _, twice := w.index[f.Path]; twice {
			problems = append(problems, fmt.Errorf("file path %q is used twice: give each file its own", f.Path))
		}
		w.index[f.Path] = i
	}
	w.folders = foldersOf(w.index)
	for _, f := range w.files {
		if w.folders[f.Path] {
			problems = append(problems, fmt.Errorf("path %q is wanted as a file and as a folder: rename one of them", f.Path))
		}
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	if err := w.digest(); err != nil {
		return nil, err
	}
	return w, nil
}

// digest fills in the entries and the manifest.
func (w *tree) digest() error {
	w.entries = make([]Entry, len(w.files))
	err := parallel(context.Background(), len(w.files), maxWorkers, func(i int) error {
		f := w.files[i]
		sum := sha256.New()
		for _, p := range f.Pieces {
			sum.Write(p)
		}
		w.entries[i] = Entry{Path: f.Path, Size: f.Size(), SHA256: hex.EncodeToString(sum.Sum(nil))}
		return nil
	})
	if err != nil {
		return err
	}
	w.manifest, err = encodeManifest(w.entries)
	return err
}

// checkPath says why p cannot be the path of a file of the tree. A manifest read from disk goes through the
// same check, because its paths decide what is removed.
func checkPath(p string) error {
	first, _, _ := strings.Cut(p, "/")
	switch {
	case p == "":
		return errors.New("file path is empty: name the file")
	case strings.ContainsRune(p, 0):
		return fmt.Errorf("file path %q holds a NUL byte: remove it", p)
	case path.IsAbs(p):
		return fmt.Errorf("file path %q is absolute: make it relative to the folder", p)
	case !fs.ValidPath(p) || p == ".":
		return fmt.Errorf("file path %q is not a plain relative path: use UTF-8 names between single slashes, none of them . or ..", p)
	case first == ManifestName:
		return fmt.Errorf("file path %q is reserved for the manifest: choose another name", p)
	}
	if _, err := filepath.Localize(p); err != nil {
		return fmt.Errorf("file path %q cannot be used on this operating system: choose another name", p)
	}
	return nil
}

// foldersOf returns every folder above the given paths, without the root.
func foldersOf[V any](paths map[string]V) map[string]bool {
	folders := make(map[string]bool)
	for p := range paths {
		for d := path.Dir(p); d != "." && d != "/" && !folders[d]; d = path.Dir(d) {
			folders[d] = true
		}
	}
	return folders
}
