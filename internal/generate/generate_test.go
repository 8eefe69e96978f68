package generate

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"muster/internal/problem"
)

const head = `apiVersion: muster/v1
kind: Cluster
metadata: {name: k8s}
spec:
  profile: flatcar-containerd
  platform: openstack
  nodes:
    - name: cp1
      role: control-plane
      address: 10.0.0.1
`

// run writes a spec into a folder of its own and generates it.
func run(t *testing.T, text string) (*Result, []problem.Problem) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "cluster.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var problems problem.List
	result, err := FromFile(file, Public(), &problems)
	if err != nil {
		t.Fatal(err)
	}
	return result, problems.Sorted()
}

// TestLateProblemsStandAtTheLineOfTheSpec: what planning, an encoder, Butane or Ignition complains of is reported where a
// user can mend it.
func TestLateProblemsStandAtTheLineOfTheSpec(t *testing.T) {
	for name, c := range map[string]struct {
		more       string
		line       int
		path, says string
	}{
		"a file that is not there":          {"      files:\n        - path: /opt/x\n          source: ./missing\n", 13, "spec.nodes[0].files[0].source", "cannot be read"},
		"a profile that is not there":       {"    - name: w1\n      role: worker\n      profile: ./missing.yaml\n", 13, "spec.nodes[1].profile", "cannot be read"},
		"a path of muster's":                {"      files:\n        - {path: /etc/hosts, contents: mine}\n", 12, "spec.nodes[0].files[0]", "/etc/hosts"},
		"a mode that Butane refuses":        {"      files:\n        - {path: /opt/x, mode: \"0620\", contents: mine}\n", 12, "spec.nodes[0].files[0]", "mode"},
		"a unit that only a package brings": {"    - name: w1\n      role: worker\n      profile: debian12-containerd\n      units: [{name: x.service, enabled: true}]\n", 14, "spec.nodes[1].units[0].enabled", "systemctl enable --now x.service"},
		"what cloud-init cannot carry":      {"    - name: w1\n      role: worker\n      profile: debian12-containerd\n      files:\n        - {path: /home/x/y, contents: mine}\n", 15, "spec.nodes[1].files[0]", "/home"},
		"a document that is too large":      {"    - name: w1\n      role: worker\n      platform: ec2\n      files:\n        - {path: /opt/x, contents: " + noise(40000) + "}\n", 13, "spec.nodes[1].platform", "ec2 takes 16384"},
	} {
		t.Run(name, func(t *testing.T) {
			_, problems := run(t, head+c.more)
			if len(problems) != 1 {
				t.Fatalf("%d problems, want one: %v", len(problems), problems)
			}
			if p := problems[0]; p.Line != c.line || !strings.HasPrefix(p.Path, c.path) || !strings.Contains(p.String(), c.says) {
				t.Errorf("got %v\nwant line %d, path %s, and %q", p, c.line, c.path, c.says)
			}
		})
	}
}

// noise is text that compression makes little of.
func noise(n int) string {
	var b strings.Builder
	x := uint32(1)
	for range n {
		x = x*1664525 + 1013904223
		b.WriteByte("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"[x>>26])
	}
	return b.String()
}

func TestSpecIn(t *testing.T) {
	dir := t.TempDir()
	r := &Result{Sources: map[string][]byte{filepath.Join(dir, "a/cluster.yaml"): nil}}
	for folder, want := range map[string]bool{"a": true, ".": true, "b": false, "a/out": false} {
		if got := r.SpecIn(filepath.Join(dir, folder)); got != want {
			t.Errorf("SpecIn(%s) = %v, want %v", folder, got, want)
		}
	}
}
