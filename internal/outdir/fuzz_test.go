package outdir

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

// FuzzManifest looks for a manifest that is taken and names a file outside the folder, or that is another one when it is written again.
func FuzzManifest(f *testing.F) {
	files, err := filepath.Glob("../../test/golden/*/out/manifest.json")
	if err != nil || len(files) == 0 {
		f.Fatalf("no golden manifests: %v", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(`{"generator":"muster","formatVersion":1,"files":[{"path":"../x","size":1,"sha256":""}]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := parseManifest(raw)
		if err != nil {
			return
		}
		for _, e := range m.Files {
			if !filepath.IsLocal(filepath.FromSlash(e.Path)) || e.Path == "." {
				t.Errorf("a manifest owns %q", e.Path)
			}
		}
		written, err := encodeManifest(m.Files)
		if err != nil {
			t.Fatal(err)
		}
		again, err := parseManifest(written)
		if err != nil || len(again.Files) != len(m.Files) || len(m.Files) > 0 && !reflect.DeepEqual(again.Files, m.Files) {
			t.Errorf("%+v is %+v, %v when it is read again", m.Files, again.Files, err)
		}
	})
}
