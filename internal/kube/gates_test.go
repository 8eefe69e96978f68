package kube

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var helpGate = regexp.MustCompile(`([A-Za-z0-9]+)=true\|false`)

// TestGatesOfRealKubeadm holds the table of feature gates against the help of real kubeadms.
func TestGatesOfRealKubeadm(t *testing.T) {
	binaries, err := filepath.Glob("../../build/tools/kubeadm-v*")
	if err != nil || len(binaries) < 3 {
		t.Fatalf("there are %d kubeadms (%v): run make tools", len(binaries), err)
	}
	for _, binary := range binaries {
		version, err := Parse(strings.TrimPrefix(filepath.Base(binary), "kubeadm-"))
		if err != nil {
			t.Fatal(err)
		}
		help, err := exec.Command(binary, "init", "--help").Output()
		if err != nil {
			t.Fatal(err)
		}
		var listed []string
		for _, m := range helpGate.FindAllStringSubmatch(string(help), -1) {
			listed = append(listed, m[1])
		}
		slices.Sort(listed)
		if diff := cmp.Diff(listed, version.FeatureGates()); diff != "" {
			t.Errorf("%s (-kubeadm +table):\n%s", version, diff)
		}
	}
}
