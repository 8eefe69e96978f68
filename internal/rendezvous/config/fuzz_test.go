package config_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"muster/internal/rendezvous/config"
)

// FuzzLoad looks for a file that is taken and has no sense, or is another one when it is written again.
func FuzzLoad(f *testing.F) {
	files, err := filepath.Glob("../../../test/golden/*/out/nodes/*/files" + config.Path)
	if err != nil || len(files) == 0 {
		f.Fatalf("no golden files: %v", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(data))
	}
	f.Add(`{"cluster":"k8s","node":"a","controlPlanes":[{"name":"a","address":"::1%eth0"}],"port":1,"raftPort":65535,"tokenTTL":"1ns","reset":[""]}`)
	f.Fuzz(func(t *testing.T, text string) {
		file := filepath.Join(t.TempDir(), "config.json")
		read := func(text string) (config.Config, error) {
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			return config.Load(file)
		}
		c, err := read(text)
		if err != nil {
			if !strings.Contains(err.Error(), file) {
				t.Errorf("the error does not name the file: %v", err)
			}
			return
		}
		if c.TTL() <= 0 || c.Self().Address == "" || len(c.Servers()) != len(c.ControlPlanes) || len(c.Reset) == 0 {
			t.Errorf("%q is taken as %+v", text, c)
		}
		written, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		again, err := read(string(written))
		if err != nil || !reflect.DeepEqual(again, c) {
			t.Errorf("%+v is %+v, %v when it is read again", c, again, err)
		}
	})
}
