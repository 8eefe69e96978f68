package render_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"muster/internal/node"
	"muster/internal/render"
)

// FuzzReadBack looks for a document that makes the readers panic, and for one whose configuration cannot be written again, though nothing in it is
// refused: readers and encoders would disagree.
func FuzzReadBack(f *testing.F) {
	machines, err := filepath.Glob("../../test/golden/*/out/*/*")
	if err != nil || len(machines) == 0 {
		f.Fatalf("no golden documents: %v", err)
	}
	for _, m := range machines {
		var texts [4][]byte
		for i, name := range []string{render.UserData, render.MetaData, render.NetworkConfig, render.IgnitionConfig} {
			texts[i], _ = os.ReadFile(filepath.Join(m, name)) // each machine has some of them
		}
		if ignition := texts[3] != nil; ignition {
			f.Add(true, texts[3], []byte{}, []byte{})
		} else if texts[0] != nil {
			f.Add(false, texts[0], texts[1], texts[2])
		}
	}
	for _, cfg := range []node.Config{one(), small()} { // all that documents can say, and a start of it, in few bytes
		for _, format := range []string{render.CloudInit, render.Ignition} {
			doc, err := render.Encode(format, flatcar, cfg)
			if err != nil {
				f.Fatal(err)
			}
			var texts [3][]byte
			for i, file := range doc.Files {
				texts[i] = file.Data
			}
			f.Add(format == render.Ignition, texts[0], texts[1], texts[2])
		}
	}
	f.Fuzz(func(t *testing.T, ignition bool, document, metaData, network []byte) {
		format, files := render.CloudInit, []render.File{{Name: render.UserData, Data: document}, {Name: render.MetaData, Data: metaData}}
		if len(network) > 0 {
			files = append(files, render.File{Name: render.NetworkConfig, Data: network})
		}
		if ignition {
			format, files = render.Ignition, []render.File{{Name: render.IgnitionConfig, Data: document}}
		}
		cfg, err := render.ReadBack(format, render.Document{Files: files})
		if err != nil {
			return
		}
		cfg.Name = "fuzz"
		var refused *render.Refused
		if _, err := render.Encode(format, flatcar, cfg); err != nil && !errors.As(err, &refused) {
			t.Errorf("what was read cannot be written: %v", err)
		}
	})
}
