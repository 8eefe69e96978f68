// Package golden_test pins what gen writes: for each folder here that holds a cluster.yaml, the whole tree of out/ stands
// beside it. Run with -update after a change that is meant, and read the diff: it is what machines will do differently.
package golden_test

import (
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"muster/internal/generate"
	"muster/internal/outdir"
	"muster/internal/plan"
	"muster/internal/problem"
	"muster/internal/spec"
)

var update = flag.Bool("update", false, "rewrite the expected trees")

// cases lists the folders that hold a spec.
func cases(t *testing.T) []string {
	specs, err := filepath.Glob("*/cluster.yaml")
	if err != nil || len(specs) == 0 {
		t.Fatalf("no golden cases: %v", err)
	}
	var out []string
	for _, s := range specs {
		out = append(out, filepath.Dir(s))
	}
	return out
}

// generated runs gen's stages on a case and fails on any error; warnings are part of the golden tree.
func generated(t *testing.T, name string) (*generate.Result, string) {
	t.Helper()
	var problems problem.List
	result, err := generate.FromFile(filepath.Join(name, "cluster.yaml"), generate.ForTests(), &problems)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, p := range problems.Sorted() {
		if p.Severity == problem.Error {
			t.Error(p)
		}
		lines = append(lines, p.String()+"\n")
	}
	if t.Failed() {
		t.FailNow()
	}
	return result, strings.Join(lines, "")
}

func TestGolden(t *testing.T) {
	for _, name := range cases(t) {
		t.Run(name, func(t *testing.T) {
			result, problems := generated(t, name)
			dir := filepath.Join(t.TempDir(), "out")
			if _, err := outdir.Write(dir, result.Tree, outdir.Options{}); err != nil {
				t.Fatal(err)
			}
			got := readTree(t, dir)
			want := filepath.Join(name, "out")
			if *update {
				writeTree(t, want, got)
				if err := os.WriteFile(filepath.Join(name, "problems.txt"), []byte(problems), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			warned, err := os.ReadFile(filepath.Join(name, "problems.txt"))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(warned), problems); diff != "" {
				t.Errorf("the warnings and notices differ (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(readTree(t, want), got); diff != "" {
				t.Errorf("the tree differs; if it is meant, run make golden and read the diff (-want +got):\n%s", diff)
			}
		})
	}
}

// TestWorkersAreSmall: EC2 takes 16 KiB of user data, and workers are what autoscaling makes. A case whose workers carry files
// of the user's own is none of muster's.
func TestWorkersAreSmall(t *testing.T) {
	for _, name := range cases(t) {
		if name == "escape-hatches" {
			continue
		}
		result, _ := generated(t, name)
		for _, m := range result.Machines {
			if m.Target.IsControlPlane() {
				continue
			}
			files := filesOf(result, m)
			if size := len(files["user-data"]) + len(files["config.ign"]); size == 0 || size > 16<<10 {
				t.Errorf("%s: the document of %s has %d bytes", name, m.Config.Name, size)
			}
		}
	}
}

// TestWorkersOfLargeClustersAreSmall: /etc/hosts grows with the cluster, and people log in. For EC2 cloud-init's documents are bare gzip where
// text would be too large; Ignition has no such form, so that its workers fit up to some 90 nodes.
func TestWorkersOfLargeClustersAreSmall(t *testing.T) {
	for name, nodes := range map[string]int{"centos7-docker": plan.MaxHosts, "debian12-containerd": plan.MaxHosts, "flatcar-containerd": 60} {
		var b strings.Builder
		fmt.Fprintf(&b, "apiVersion: muster/v1\nkind: Cluster\nmetadata: {name: k8s}\nspec:\n  profile: %s\n  worker: {platform: ec2}\n", name)
		b.WriteString("  system: {ntp: {servers: [ntp1.example.com, ntp2.example.com]}}\n  users:\n    - name: admin\n      sudo: \"ALL=(ALL) NOPASSWD:ALL\"\n")
		b.WriteString("      sshAuthorizedKeys: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ2gt0y8dpqK5GY5s3XbYwBVcBbzWbV7NRlPZgWQfrJZ admin@example.com]\n  nodes:\n")
		for i := range nodes {
			role := spec.Worker
			if i < 3 {
				role = spec.ControlPlane
			}
			fmt.Fprintf(&b, "    - {name: k8s-node%d, role: %s, address: 192.168.31.%d}\n", i, role, i+10)
		}
		file := filepath.Join(t.TempDir(), "cluster.yaml")
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		problems := problem.List{File: file}
		if _, err := generate.FromFile(file, generate.ForTests(), &problems); err != nil {
			t.Fatal(err)
		}
		for _, p := range problems.Sorted() { // what is too large is an error
			if p.Severity == problem.Error {
				t.Error(p)
			}
		}
	}
}

// readTree reads a tree into memory. Images are left out: the manifest pins their digest, and their parts lie beside them.
func readTree(t *testing.T, root string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(path, ".iso") {
			return err
		}
		data, err := os.ReadFile(path)
		rel, _ := filepath.Rel(root, path) // path is below root
		out[filepath.ToSlash(rel)] = string(data)
		return err
	})
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return out
}

func writeTree(t *testing.T, root string, tree map[string]string) {
	t.Helper()
	if err := os.RemoveAll(root); err != nil {
		t.Fatal(err)
	}
	for name, data := range tree {
		path := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestSameBytesTwice runs each case twice: nothing of a clock, a random source or a map's order may reach the tree.
func TestSameBytesTwice(t *testing.T) {
	for _, name := range cases(t) {
		first, _ := generated(t, name)
		second, _ := generated(t, name)
		if diff := cmp.Diff(first.Tree, second.Tree); diff != "" {
			t.Errorf("%s differs between two runs:\n%s", name, diff)
		}
	}
}
