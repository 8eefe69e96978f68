package outdir

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// ManifestName is the manifest's file, in the root of a tree.
const ManifestName = "manifest.json"

const (
	generatorName   = "muster"
	manifestVersion = 1 // of the manifest's form; a folder with another one is refused
)

// Manifest is the content of manifest.json in the root of a tree: what the run that wrote the tree owns.
// It holds no date and no version of gen, so that the same files give the same bytes.
type Manifest struct {
	Generator     string  `json:"generator"` // always "muster"
	FormatVersion int     `json:"formatVersion"`
	Files         []Entry `json:"files"` // every file but manifest.json itself, sorted by path
}

// Entry is one file of a Manifest.
type Entry struct {
	Path   string `json:"path"` // slash-separated, relative to the folder
	Size   int64  `json:"size"` // in bytes
	SHA256 string `json:"sha256"`
}

func encodeManifest(entries []Entry) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(Manifest{Generator: generatorName, FormatVersion: manifestVersion, Files: entries}); err != nil {
		return nil, fmt.Errorf("cannot encode %s: %w", ManifestName, err)
	}
	return buf.Bytes(), nil
}

// parseManifest decodes a manifest and refuses one that this package would not have written.
func parseManifest(raw []byte) (Manifest, error) {
	var head struct {
		Generator     string `json:"generator"`
		FormatVersion int    `json:"formatVersion"`
	}
	if err := json.Unmarshal(raw, &head); err != nil {
		return Manifest{}, fmt.Errorf("is not readable (%w)", err)
	}
	if head.Generator != generatorName {
		return Manifest{}, errors.New("was not written by muster")
	}
	if head.FormatVersion != manifestVersion {
		return Manifest{}, fmt.Errorf("has format version %d, and this gen knows only %d", head.FormatVersion, manifestVersion)
	}
	var m Manifest
	if err := json.Unmarshal(raw, &m); err != nil {
		return Manifest{}, fmt.Errorf("is not readable (%w)", err)
	}
	for _, e := range m.Files {
		if err := checkPath(e.Path); err != nil {
			return Manifest{}, fmt.Errorf("is not readable (%w)", err)
		}
	}
	return m, nil
}

// loadManifest reads the manifest in the root of the tree at root, which is the folder or one of the names
// beside it. The bytes are nil when there is none.
func (t *target) loadManifest(root string) (Manifest, []byte, error) {
	name := filepath.Join(root, ManifestName)
	info, err := os.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return Manifest{}, nil, nil
	}
	if err != nil {
		return Manifest{}, nil, t.fail("look at", name, err)
	}
	if !info.Mode().IsRegular() {
		return Manifest{}, nil, t.refuseManifest(root, errors.New("is not a file"))
	}
	raw, err := os.ReadFile(name)
	if err != nil {
		return Manifest{}, nil, t.fail("read", name, err)
	}
	m, err := parseManifest(raw)
	if err != nil {
		return Manifest{}, nil, t.refuseManifest(root, err)
	}
	return m, raw, nil
}

func (t *target) refuseManifest(root string, why error) error {
	if root == t.path {
		return fmt.Errorf("%s: its %s %w: choose another -out or empty the folder", t.name, ManifestName, why)
	}
	return fmt.Errorf("%s: %s of the earlier tree at %s %w: save what you need of that folder and remove it",
		t.name, ManifestName, root, why)
}
