package kubernetes_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"muster/internal/rendezvous/kubernetes"
)

// FuzzUnpack looks for a stream of which anything is saved that is not exactly the shared files, and for an error that
// repeats a part of the stream.
func FuzzUnpack(f *testing.F) {
	whole := map[string][]byte{}
	for _, name := range kubernetes.Shared {
		whole[name] = []byte("contents of " + name)
	}
	add := func(change func(files map[string][]byte)) {
		files := maps.Clone(whole)
		change(files)
		text, err := json.Marshal(files)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
		f.Add(text[:len(text)/2])
		f.Add(append(text, text...))
	}
	add(func(map[string][]byte) {})
	add(func(files map[string][]byte) { files["../../etc/passwd"] = []byte("x") })
	add(func(files map[string][]byte) { files["ca.key"] = nil })
	f.Add([]byte(`{"CA.crt":"eA==","ca.crt":""}`))
	f.Add([]byte("null"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		saved := map[string][]byte{}
		save := func(name string, data []byte) error {
			saved[name] = data
			return nil
		}
		if err := kubernetes.Unpack(bytes.NewReader(stream), save); err != nil {
			if len(saved) > 0 {
				t.Errorf("%q: after an error %d files are saved", stream, len(saved))
			}
			if !strings.HasPrefix(err.Error(), "the shared certificates: ") || len(err.Error()) > 100 {
				t.Errorf("%q: %v", stream, err)
			}
			return
		}
		if names := slices.Sorted(maps.Keys(saved)); !slices.Equal(names, slices.Sorted(slices.Values(kubernetes.Shared))) {
			t.Errorf("%q: saved are %q", stream, names)
		}
		for name, data := range saved {
			if len(data) == 0 {
				t.Errorf("%q: %s is empty", stream, name)
			}
		}
		// An error of save ends it, and is the caller's.
		full := errors.New("disk full")
		if err := kubernetes.Unpack(bytes.NewReader(stream), func(string, []byte) error { return full }); !errors.Is(err, full) {
			t.Errorf("the error of save is lost: %v", err)
		}
	})
}
