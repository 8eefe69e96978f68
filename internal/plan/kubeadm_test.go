package plan

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"

	"muster/internal/decode"
	"muster/internal/spec"
	"muster/profiles"
)

// objectsOf reads one of kubeadm's documents, by kind.
func objectsOf(t *testing.T, m Machine, path string) map[string]object {
	t.Helper()
	out := map[string]object{}
	d := yaml.NewDecoder(strings.NewReader(contentsOf(t, m, path)))
	for {
		var o object
		if err := d.Decode(&o); errors.Is(err, io.EOF) {
			return out
		} else if err != nil {
			t.Fatal(err)
		}
		out[o["kind"].(string)] = o
	}
}

// TestKeptSwapPassesPreflight: kubeadm of 1.22 and before ends with an error where swap is on, at init and at join.
func TestKeptSwapPassesPreflight(t *testing.T) {
	for spec, want := range map[string]any{
		"{}": nil,
		"{system: {swap: disabled}, kubernetes: {ignorePreflightErrors: [Mem]}}": []any{"Mem"},
		"{system: {swap: keep}}": []any{"Swap"},
		"{system: {swap: keep}, kubernetes: {ignorePreflightErrors: [Mem]}}":       []any{"Mem", "Swap"},
		"{system: {swap: keep}, kubernetes: {ignorePreflightErrors: [swap, Mem]}}": []any{"swap", "Mem"},
		"{system: {swap: keep}, kubernetes: {ignorePreflightErrors: [all]}}":       []any{"all"},
	} {
		machines, problems := planned(t, small+"  controlPlane: "+spec+"\n")
		if len(problems) > 0 {
			t.Fatalf("%s: problems are %v", spec, problems)
		}
		for kind, path := range map[string]string{"InitConfiguration": initFile, "JoinConfiguration": joinFile} {
			registration := objectsOf(t, machines[0], path)[kind]["nodeRegistration"].(object)
			if diff := cmp.Diff(want, registration["ignorePreflightErrors"]); diff != "" {
				t.Errorf("%s: %s ignores other checks (-want +got):\n%s", spec, kind, diff)
			}
		}
	}
}

// TestStaticPodPassesPreflight: kubeadm join of 1.22 and before wants no manifest in the folder of static pods.
func TestStaticPodPassesPreflight(t *testing.T) {
	const pod, check = "{path: /etc/kubernetes/manifests/vip.yaml, contents: x}", "DirAvailable--etc-kubernetes-manifests"
	for _, c := range []struct {
		version, file, ignored string
		want                   any
	}{
		{"v1.22.17", pod, "[]", []any{check}},
		{"v1.22.17", pod, "[NumCPU, diravailable--etc-kubernetes-manifests]", []any{"NumCPU", "diravailable--etc-kubernetes-manifests"}},
		{"v1.22.17", "{path: /etc/kubernetes/other.yaml, contents: x}", "[]", nil},
		{"v1.23.0", pod, "[]", nil},
	} {
		machines, problems := planned(t, small+fmt.Sprintf("  files: [%s]\n  kubernetes: {version: %s, ignorePreflightErrors: %s}\n", c.file, c.version, c.ignored))
		if len(problems) > 0 {
			t.Fatalf("%v: problems are %v", c, problems)
		}
		registration := objectsOf(t, machines[0], joinFile)["JoinConfiguration"]["nodeRegistration"].(object)
		if diff := cmp.Diff(c.want, registration["ignorePreflightErrors"]); diff != "" {
			t.Errorf("%v: kubeadm join ignores other checks (-want +got):\n%s", c, diff)
		}
	}
}

// TestDryRun: kubeadm must not found a cluster in a rehearsal. From 1.31 on its configuration says so, before that a flag.
func TestDryRun(t *testing.T) {
	for version, inConfig := range map[string]any{"v1.24.0": nil, "v1.30.1": nil, "v1.31.0": true, "v1.34.11": true} {
		for _, dry := range []bool{true, false} {
			machines, problems := planned(t, small+fmt.Sprintf("  kubernetes: {version: %s, dryRun: %v}\n", version, dry))
			if len(problems) > 0 {
				t.Fatalf("%s: problems are %v", version, problems)
			}
			var want any
			if dry {
				want = inConfig
			}
			for kind, path := range map[string]string{"InitConfiguration": initFile, "JoinConfiguration": joinFile} {
				if got := objectsOf(t, machines[0], path)[kind]["dryRun"]; got != want {
					t.Errorf("%s, %v: dryRun of %s is %v, want %v", version, dry, kind, got, want)
				}
			}
			flag := strings.Contains(contentsOf(t, machines[0], ConfFile), "\nKUBEADM_FLAGS=('--dry-run')\n")
			if flag != (dry && inConfig == nil) {
				t.Errorf("%s, %v: the flag --dry-run is there: %v", version, dry, flag)
			}
		}
	}
}

// mixed is a cluster whose control planes have different profiles.
const mixed = `apiVersion: muster/v1
kind: Cluster
metadata: {name: k8s}
spec:
  kubernetes: {version: v1.34.11}
  nodes:
    - {name: cp1, role: control-plane, address: 10.0.0.1, profile: debian12-containerd}
    - {name: cp2, role: control-plane, address: 10.0.0.2, profile: flatcar-containerd}
    - {name: cp3, role: control-plane, address: 10.0.0.3, profile: debian12-containerd}
`

// TestOneClusterConfiguration: whichever control plane wins the lease and runs kubeadm init, the cluster is the same.
func TestOneClusterConfiguration(t *testing.T) {
	machines, problems := planned(t, mixed)
	if len(problems) > 0 {
		t.Fatalf("problems are %v", problems)
	}
	first := objectsOf(t, machines[0], initFile)
	manager, _ := first["ClusterConfiguration"]["controllerManager"].(object)
	want := object{"extraArgs": []any{object{"name": "flex-volume-plugin-dir", "value": "/opt/libexec/kubernetes/kubelet-plugins/volume/exec/"}}}
	if diff := cmp.Diff(want, manager); diff != "" {
		t.Errorf("the controller manager of %s differs (-want +got):\n%s", machines[0].Config.Name, diff)
	}
	for _, m := range machines[1:] {
		other := objectsOf(t, m, initFile)
		for _, kind := range []string{"ClusterConfiguration", "KubeletConfiguration", "KubeProxyConfiguration"} {
			if diff := cmp.Diff(first[kind], other[kind]); diff != "" {
				t.Errorf("%s of %s differs from that of %s:\n%s", kind, m.Config.Name, machines[0].Config.Name, diff)
			}
		}
		if diff := cmp.Diff(contentsOf(t, machines[0], manifests+"/flannel.yaml"), contentsOf(t, m, manifests+"/flannel.yaml")); diff != "" {
			t.Errorf("flannel of %s differs:\n%s", m.Config.Name, diff)
		}
	}
}

// TestProfilesThatCannotShareACluster: what holds for the whole cluster can follow one profile only.
func TestProfilesThatCannotShareACluster(t *testing.T) {
	other := func(p *profiles.Profile) {
		p.ControllerManagerArgs.Entries = []decode.Entry[decode.Value[string]]{{Key: "flex-volume-plugin-dir", Value: spec.Value[string]{V: "/elsewhere", Set: true}}}
		p.Paths.CNIBin.V = "/usr/lib/cni"
	}
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"both": {mixed, []string{
			"cluster.yaml:8:68: spec.nodes[1].profile: flex-volume-plugin-dir of kube-controller-manager is one for all control planes; profile flatcar-containerd needs /opt/libexec/kubernetes/kubelet-plugins/volume/exec/, and another profile /elsewhere; take profiles that agree, or set it in kubernetes.controllerManager.extraArgs",
			"cluster.yaml:8:68: spec.nodes[1].profile: profile flatcar-containerd has CNI plugins in /opt/cni/bin, and profile debian12-containerd in /usr/lib/cni; take profiles whose paths.cniBin agree, or another pod network than flannel",
		}},
		"said in the spec": {strings.Replace(mixed, "v1.34.11}", "v1.34.11, controllerManager: {extraArgs: {flex-volume-plugin-dir: /mine}}}\n  cni: {none: {}}", 1), nil},
	} {
		_, problems := planned(t, c.text, other)
		var got []string
		for _, p := range problems {
			got = append(got, p.String())
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: problems differ (-want +got):\n%s", name, diff)
		}
	}
}
