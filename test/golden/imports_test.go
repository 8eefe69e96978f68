package golden_test

import (
	"os/exec"
	"strings"
	"testing"
)

// goList is a line of go list for each package.
func goList(t *testing.T, args ...string) []string {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-tags", "libsqlite3"}, args...)...)
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list %q: %v", args, err)
	}
	return strings.Split(strings.TrimSpace(string(out)), "\n")
}

// TestWhoImportsWhat: what may be replaced one day is imported in one place (docs/decisions.md), and gen, which is pure Go, gets nothing of the store.
func TestWhoImportsWhat(t *testing.T) {
	only := map[string]string{
		"github.com/coreos/butane/":         "muster/internal/render/ignition",
		"github.com/coreos/ignition/":       "muster/internal/render/ignition",
		"github.com/canonical/go-dqlite/":   "muster/internal/rendezvous/dqlite",
		"muster/internal/rendezvous/dqlite": "muster/cmd/rendezvous",
	}
	found := map[string]bool{}
	for _, line := range goList(t, "-f", `{{.ImportPath}} {{join .Imports " "}}`, "./...") {
		importer, imports, _ := strings.Cut(line, " ")
		for _, path := range strings.Fields(imports) {
			for prefix, allowed := range only {
				switch {
				case !strings.HasPrefix(path, prefix):
				case importer == allowed:
					found[prefix] = true
				default:
					t.Errorf("%s imports %s, which only %s may", importer, path, allowed)
				}
			}
		}
	}
	if len(found) != len(only) {
		t.Errorf("of %v only %v are imported at all", only, found)
	}
	for _, path := range goList(t, "-deps", "./cmd/gen") {
		if strings.HasPrefix(path, "github.com/canonical/go-dqlite/") || strings.HasPrefix(path, "muster/internal/rendezvous/dqlite") {
			t.Errorf("gen depends on %s", path)
		}
	}
}
