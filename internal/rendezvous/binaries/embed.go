// Package binaries carries the static builds of cmd/rendezvous inside gen, so that one file is all that an operator
// needs. It owns the folder builds and nothing else: it neither builds nor checks what lies there (mk/rendezvous.mk
// does) and must not import the service, which needs cgo.
package binaries

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

// builds holds rendezvous-<architecture>.gz for each of architectures after `make rendezvous`, and only its README
// before.
//
//go:embed builds
var builds embed.FS

// architectures are Go's names (GOARCH), which for these two are Debian's as well.
var architectures = []string{"amd64", "arm64"}

// ErrNotBuilt says that this gen was compiled without the build that was asked for.
var ErrNotBuilt = errors.New("this gen carries no build of the rendezvous")

// Get returns the rendezvous for one architecture (a GOARCH value) as a gzip stream, always the same bytes for the same
// gen. The error wraps ErrNotBuilt when gen was compiled from a clone in which `make rendezvous` had not run.
func Get(architecture string) ([]byte, error) { return get(builds, architecture) }

func get(folder fs.FS, architecture string) ([]byte, error) {
	if !slices.Contains(architectures, architecture) {
		return nil, fmt.Errorf("architecture %q: want one of %s", architecture, strings.Join(architectures, ", "))
	}
	compressed, err := fs.ReadFile(folder, "builds/rendezvous-"+architecture+".gz")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w for %s: run make rendezvous and build gen again", ErrNotBuilt, architecture)
	}
	return compressed, err
}
