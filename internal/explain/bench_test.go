package explain_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"muster/internal/explain"
)

// BenchmarkOf explains a file that every node stands in, and a line that depends on one. Beside it stands what gen takes
// to make all documents of the cluster, which an explanation does first.
func BenchmarkOf(b *testing.B) {
	for _, nodes := range []int{2, 20, 200} {
		var text strings.Builder
		text.WriteString("apiVersion: muster/v1\nkind: Cluster\nmetadata: {name: bench}\nspec:\n  profile: debian12-containerd\n  nodes:\n")
		for i := range nodes {
			role := "worker"
			if i == 0 {
				role = "control-plane"
			}
			fmt.Fprintf(&text, "    - {name: n%04d, role: %s, address: 10.1.%d.%d}\n", i, role, i/250, i%250+1)
		}
		spec := filepath.Join(b.TempDir(), "cluster.yaml")
		if err := os.WriteFile(spec, []byte(text.String()), 0o600); err != nil {
			b.Fatal(err)
		}
		begin := time.Now()
		in := input(b, spec)
		made := time.Since(begin)
		for _, c := range []struct {
			name, file string
			line       int
		}{{"all nodes", "nodes/n0000/files/etc/muster/node.conf", 0}, {"one line", "nodes/n0001/files/etc/hosts", 7}} {
			b.Run(fmt.Sprintf("%s of %d", c.name, nodes), func(b *testing.B) {
				for b.Loop() {
					if _, err := explain.Of(in, c.file, c.line); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(made.Seconds()*1e9, "ns/gen")
			})
		}
	}
}
