package consumer

import (
	"context"
	_ "embed"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// kubeadmScript lays the discovery file and starts kubeadm in new namespaces.
//
//go:embed kubeadm.sh
var kubeadmScript string

var (
	kubernetesVersionLine = regexp.MustCompile(`(?m)^(["']?kubernetesVersion["']?: *)["']?v[0-9.]+["']?`)
	kubeConfigPath        = regexp.MustCompile(`(?m)\bkubeConfigPath["']?: *["']?([^"'\s,}]+)`)
)

// KubeadmValidate lets a real kubeadm read a configuration for the Kubernetes version (v1.17.4), of init or of join, with all its documents: `kubeadm config
// validate` where there is one (1.26), before that `kubeadm config migrate`, which parses and validates too. Unknown fields, which 1.17 and 1.22 only warn of, and
// every other warning fail the test.
//
// The kubeadm is the oldest built one that has the config API of that version: 1.17 for v1beta2 (to 1.21), 1.22 for v1beta3 (to 1.30), 1.34 for v1beta4. As a
// kubeadm deploys only versions near its own, it reads the document with its own kubernetesVersion when the minor differs. The file named by
// discovery.file.kubeConfigPath, which validation stats, exists while it runs when it is under /run.
//
// Not checked, because kubeadm leaves it to those programs: the values, as opposed to the field names, of KubeletConfiguration and KubeProxyConfiguration.
func KubeadmValidate(tb testing.TB, version string, doc []byte) {
	tb.Helper()
	needRoot(tb)
	binary := built(tb, "tools", "kubeadm-"+kubeadmRelease(tb, version)+".*")
	own := strings.TrimPrefix(filepath.Base(binary), "kubeadm-")
	if minor(tb, own) != minor(tb, version) {
		doc = kubernetesVersionLine.ReplaceAll(doc, []byte("${1}"+own))
	}
	discovery := ""
	if m := kubeConfigPath.FindSubmatch(doc); m != nil {
		discovery = string(m[1])
		if !strings.HasPrefix(discovery, "/run/") {
			tb.Fatalf("discovery.file.kubeConfigPath %s: only a path under /run can be laid for the check", discovery)
		}
	}
	subcommand := []string{"config", "validate", "--config"}
	if minor(tb, own) < 26 {
		subcommand = []string{"config", "migrate", "--old-config"}
	}
	file := filepath.Join(tempDir(tb, ""), "kubeadm.yaml")
	writeFile(tb, file, doc, 0o600)

	args := append(append([]string{}, unshareFlags...), "sh", "-euc", kubeadmScript, "kubeadm", discovery, binary)
	args = append(append(args, subcommand...), file)
	res := run(func(ctx context.Context) *exec.Cmd {
		return exec.CommandContext(ctx, installed(tb, "unshare"), args...)
	}, nil)
	if res.err != nil || !onlyMissingValidators(res.stderr) {
		res.fail(tb, fmt.Sprintf("kubeadm %s %s", own, strings.Join(subcommand[:2], " ")))
	}
}

// kubeadmRelease is the minor release (v1.17) of the kubeadm that reads a version's config API; see the design's list of config APIs.
func kubeadmRelease(tb testing.TB, version string) string {
	tb.Helper()
	switch m := minor(tb, version); {
	case m <= 21:
		return "v1.17"
	case m <= 30:
		return "v1.22"
	default:
		return "v1.34"
	}
}

func minor(tb testing.TB, version string) int {
	tb.Helper()
	fields := strings.Split(version, ".")
	if len(fields) != 3 || fields[0] != "v1" {
		tb.Fatalf("version %q: write it as v1.34.4", version)
	}
	m, err := strconv.Atoi(fields[1])
	if err != nil {
		tb.Fatalf("version %q: write it as v1.34.4", version)
	}
	return m
}

// onlyMissingValidators tells whether kubeadm warned of nothing but its own lack of a validator for the kubelet's and kube-proxy's configuration, which it does
// for every document before 1.20.
func onlyMissingValidators(stderr string) bool {
	for line := range strings.Lines(stderr) {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasSuffix(line, " config - no validator is available") {
			return false
		}
	}
	return true
}
