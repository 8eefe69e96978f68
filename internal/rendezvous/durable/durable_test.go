package durable_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"muster/internal/rendezvous/durable"
)

func TestReplace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "folder", "below", "state.json")
	for _, content := range []string{"the first, which is longer", "the second"} {
		if err := durable.Replace(path, []byte(content)); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(path)
		if err != nil || string(data) != content {
			t.Errorf("the file holds %q, %v, want %q", data, err, content)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file is %v, %v", info, err)
	}
	if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 1 {
		t.Errorf("the folder holds %v, %v", entries, err)
	}
	if info, err := os.Stat(filepath.Dir(filepath.Dir(path))); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder above is %v, %v", info, err)
	}
	if err := durable.Replace(filepath.Join(path, "x"), nil); err == nil {
		t.Error("a file was taken for a folder")
	}
}

// A file that cannot take its name leaves nothing behind.
func TestReplaceFails(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.json")
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := durable.Replace(path, []byte("x")); err == nil {
		t.Error("a folder was replaced")
	}
	if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 1 {
		t.Errorf("the folder holds %v, %v", entries, err)
	}
}

// TestJSON: what was written is read, no file is no error, and one that is damaged is named.
func TestJSON(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.json")
	value := []string{"unchanged"}
	if err := durable.ReadJSON(path, &value); err != nil || value[0] != "unchanged" {
		t.Errorf("without a file: %v, %v", value, err)
	}
	if err := durable.WriteJSON(path, []string{"a"}); err != nil {
		t.Fatal(err)
	}
	if err := durable.ReadJSON(path, &value); err != nil || len(value) != 1 || value[0] != "a" {
		t.Errorf("read %v, %v", value, err)
	}
	if err := os.WriteFile(path, []byte(`["a`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := durable.ReadJSON(path, &value); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("a damaged file: %v", err)
	}
}
