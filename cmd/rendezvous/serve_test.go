package main

import (
	"os"
	"path/filepath"
	"testing"
)

// The revoked nodes are known again after a restart, and none that was reopened.
func TestRevocations(t *testing.T) {
	file := filepath.Join(t.TempDir(), "data.revoked")
	load := func() *revocations {
		r := &revocations{}
		if err := r.load(file); err != nil {
			t.Fatal(err)
		}
		return r
	}
	if load().has("cp1") {
		t.Error("without a file, cp1 is revoked")
	}
	for _, names := range [][]string{{"w2", "cp1"}, {"cp1"}, {}} {
		if err := load().set(names); err != nil {
			t.Fatal(err)
		}
		r := load()
		if r.has("w2") != (len(names) == 2) || r.has("cp1") != (len(names) > 0) || r.has("cp2") {
			t.Errorf("of %v there is %v", names, r.names)
		}
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file is %v, %v", info, err)
	}
}

// A list that cannot be written is enforced, and written when it can be. One that cannot be read lets nobody start.
func TestRevocationsOnABadDisk(t *testing.T) {
	file := filepath.Join(t.TempDir(), "data.revoked")
	r := &revocations{}
	if err := r.load(file); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(file, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := r.set([]string{"cp1"}); err == nil || !r.has("cp1") {
		t.Errorf("%v, and cp1 is revoked: %v", err, r.has("cp1"))
	}
	if err := (&revocations{}).load(file); err == nil {
		t.Error("a folder was read")
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := r.set([]string{"cp1"}); err != nil {
		t.Error(err)
	}
	after := &revocations{}
	if err := after.load(file); err != nil || !after.has("cp1") {
		t.Errorf("%v, and cp1 is revoked: %v", err, after.has("cp1"))
	}
}
