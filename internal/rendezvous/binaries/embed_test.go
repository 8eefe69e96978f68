package binaries

import (
	"bytes"
	"compress/gzip"
	"debug/elf"
	"errors"
	"io"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
)

func TestGetReturnsTheFileOfTheArchitecture(t *testing.T) {
	folder := fstest.MapFS{
		"builds/rendezvous-amd64.gz": {Data: []byte("for amd64")},
		"builds/rendezvous-arm64.gz": {Data: []byte("for arm64")},
	}
	for _, architecture := range architectures {
		got, err := get(folder, architecture)
		if err != nil || string(got) != "for "+architecture {
			t.Errorf("get(%s) = %q, %v", architecture, got, err)
		}
	}
}

func TestGetFromACleanCloneSaysWhatToRun(t *testing.T) {
	_, err := get(fstest.MapFS{"builds/README": {}}, "arm64")
	if !errors.Is(err, ErrNotBuilt) || !strings.Contains(err.Error(), "arm64: run make rendezvous") {
		t.Errorf("error = %v", err)
	}
}

func TestGetRefusesAnArchitectureThatIsNeverBuilt(t *testing.T) {
	for _, architecture := range []string{"", "386", "x86_64", "../builds/rendezvous-amd64"} {
		if got, err := Get(architecture); err == nil || errors.Is(err, ErrNotBuilt) || got != nil {
			t.Errorf("Get(%q) = %d bytes, %v", architecture, len(got), err)
		}
	}
}

// The folder holds the README and builds that were made here, or the README alone: what is embedded has to be one of
// the two, whole.
func TestEmbeddedFolder(t *testing.T) {
	if _, err := fs.Stat(builds, "builds/README"); err != nil {
		t.Errorf("the placeholder that keeps the folder in git is gone: %v", err)
	}
	machines := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}
	for _, architecture := range architectures {
		compressed, err := Get(architecture)
		if errors.Is(err, ErrNotBuilt) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if got := machineOf(t, compressed); got != machines[architecture] {
			t.Errorf("rendezvous-%s.gz is built for %v", architecture, got)
		}
	}
}

func machineOf(t *testing.T, compressed []byte) elf.Machine {
	t.Helper()
	stream, err := gzip.NewReader(bytes.NewReader(compressed))
	if err != nil {
		t.Fatal(err)
	}
	binary, err := io.ReadAll(stream)
	if err != nil {
		t.Fatal(err)
	}
	file, err := elf.NewFile(bytes.NewReader(binary))
	if err != nil {
		t.Fatal(err)
	}
	return file.Machine
}
