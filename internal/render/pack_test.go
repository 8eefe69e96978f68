package render_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"muster/internal/consumer"
	"muster/internal/node"
	"muster/internal/render"
	"muster/internal/render/payload"
)

// large returns the sample with scripts that make its readable documents too large for EC2.
func large() node.Config {
	rng := rand.New(rand.NewPCG(3, 4))
	cfg := sample()
	for i := range 40 {
		var script strings.Builder
		script.WriteString("#!/bin/bash\n")
		for script.Len() < 780 {
			fmt.Fprintf(&script, "  run_%x --with=\"%x\" || return\n", rng.Uint32(), rng.Uint32())
		}
		cfg.Files = append(cfg.Files, node.File{Path: fmt.Sprintf("/etc/muster/large%d", i), Mode: 0o755, Contents: []byte(script.String())})
	}
	return cfg
}

// TestLargeDocumentsAreCompressed wants documents that are too large for the strictest platform smaller, and still read
// and applied by the real consumers.
func TestLargeDocumentsAreCompressed(t *testing.T) {
	cfg := large()
	want := cfg.Files[len(cfg.Files)-1].Contents
	for _, k := range kinds {
		doc := mustEncode(t, k.format, k.butane, fit(cfg, k.butane.Variant)).Files[0].Data
		if len(doc) > payload.Limit || !bytes.Contains(doc[:250], []byte("gzip")) || bytes.Contains(doc, []byte("muster.target")) {
			t.Errorf("%s: %d bytes begin with %s", k.name, len(doc), doc[:250])
		}
	}
	userData := data(t, mustEncode(t, render.CloudInit, render.Butane{}, cfg), render.UserData)
	if parts := consumer.CloudInitSchema(t, userData); len(parts) != 1 || parts[0].ContentType != "text/cloud-config" || !bytes.HasPrefix(parts[0].Content, []byte("#cloud-config\nwrite_files:\n")) {
		t.Errorf("cloud-init sees %d parts", len(parts))
	}
	cloud, ign := t.TempDir(), t.TempDir()
	consumer.CloudInitApply(t, userData, cloud)
	config := data(t, mustEncode(t, render.Ignition, flatcar, cfg), render.IgnitionConfig)
	consumer.IgnitionValidate(t, config)
	consumer.IgnitionApply(t, config, ign)
	for _, root := range []string{cloud, ign} {
		got, err := os.ReadFile(filepath.Join(root, "etc/muster/large39"))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("the large file arrived with %d bytes, %v", len(got), err)
		}
	}
}

// TestBareGzipWherePackedIsTooLarge: a platform that takes any bytes, but too few for base64, gets compressed bytes, which
// cloud-init unpacks from wherever it has user-data. Nobody else gets them.
func TestBareGzipWherePackedIsTooLarge(t *testing.T) {
	encode := func(change func(*node.Config)) []byte {
		cfg := large()
		change(&cfg)
		return data(t, mustEncode(t, render.CloudInit, render.Butane{}, cfg), render.UserData)
	}
	packed := encode(func(*node.Config) {})
	for name, change := range map[string]func(*node.Config){
		"text only": func(c *node.Config) { c.UserDataLimit = len(packed) - 1 },
		"fits":      func(c *node.Config) { c.UserDataLimit, c.TakesBinary = len(packed), true },
		"with a program": func(c *node.Config) {
			c.UserDataLimit, c.TakesBinary, c.Programs = len(packed)-1, true, []node.Program{pack([]byte("a program"))}
		},
	} {
		if doc := encode(change); !bytes.HasPrefix(doc, []byte("MIME-Version: ")) {
			t.Errorf("%s: user-data begins with %q", name, doc[:20])
		}
	}
	bare := encode(func(c *node.Config) { c.UserDataLimit, c.TakesBinary = len(packed)-1, true })
	if len(bare) > len(packed)*3/4 || !bytes.HasPrefix(bare, []byte("\x1f\x8b")) {
		t.Fatalf("%d bytes in place of %d begin with %q", len(bare), len(packed), bare[:20])
	}
	want, got := consumer.CloudInitSchema(t, packed), consumer.CloudInitSchema(t, bare)
	if len(got) != 1 || len(want) != 1 || !bytes.Equal(got[0].Content, want[0].Content) {
		t.Errorf("cloud-init sees %d parts, or another one", len(got))
	}
	root := t.TempDir()
	consumer.CloudInitApply(t, bare, root)
	file := large().Files[len(large().Files)-1]
	if written, err := os.ReadFile(filepath.Join(root, file.Path)); err != nil || !bytes.Equal(written, file.Contents) {
		t.Errorf("the large file arrived with %d bytes, %v", len(written), err)
	}
	doc := mustEncode(t, render.CloudInit, render.Butane{}, large())
	for _, bad := range [][]byte{bare[:len(bare)/2], append(bytes.Clone(bare), 0), append(bytes.Clone(bare), bare...)} {
		doc.Files[0].Data = bad
		if _, err := render.ReadBack(render.CloudInit, doc); err == nil {
			t.Errorf("%d bytes in place of %d were read", len(bad), len(bare))
		}
	}
}

// TestIncompressibleDocumentStaysReadable guards against compressing what only grows by it.
func TestIncompressibleDocumentStaysReadable(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	noise := make([]byte, 64<<10)
	for i := range noise {
		noise[i] = byte(rng.Uint32())
	}
	cfg := small()
	cfg.Files = []node.File{{Path: "/etc/noise", Mode: 0o644, Contents: noise}}
	for _, format := range []string{render.CloudInit, render.Ignition} {
		doc := mustEncode(t, format, flatcar, cfg).Files[0].Data
		if most := len(payload.Base64(noise)) + 4<<10; len(doc) > most {
			t.Errorf("%s: %d bytes for %d", format, len(doc), len(noise))
		}
	}
}

func TestCutPackedDocumentIsRefused(t *testing.T) {
	for _, format := range []string{render.CloudInit, render.Ignition} {
		doc := mustEncode(t, format, flatcar, large())
		whole := doc.Files[0].Data
		for name, bad := range map[string][]byte{
			"cut":       append(bytes.Clone(whole[:len(whole)/2]), whole[len(whole)-10:]...),
			"changed":   bytes.Replace(whole, whole[len(whole)/2:len(whole)/2+4], []byte("AAAA"), 1),
			"with more": append(bytes.Clone(whole), "\n\n"...),
		} {
			doc.Files[0].Data = bad
			if _, err := render.ReadBack(format, doc); err == nil && !(format == render.Ignition && name == "with more") {
				t.Errorf("%s: a document that was %s was read", format, name)
			}
		}
	}
}

// TestManyMachinesReadBack: what one machine's document says is never taken for another's, whichever files they share, in
// whatever order and however many there are. Encode itself compares what it reads back.
func TestManyMachinesReadBack(t *testing.T) {
	base := large()
	for i := range 12 { // more files of their own than are kept
		t.Run("", func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(5, uint64(i)))
			for machine := range 30 {
				cfg := base
				cfg.Files = slices.Clone(base.Files)
				for k := range cfg.Files {
					if rng.IntN(4) == 0 {
						cfg.Files[k].Contents = fmt.Appendf(bytes.Clone(cfg.Files[k].Contents), "# %d of %d\n", machine, i)
					}
				}
				rng.Shuffle(len(cfg.Files), func(a, b int) { cfg.Files[a], cfg.Files[b] = cfg.Files[b], cfg.Files[a] })
				if _, err := render.Encode(render.CloudInit, render.Butane{}, cfg); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}
