package templates

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// founded is a control plane after its init.
func founded(m *machine) {
	controlPlane(m)
	m.write("etc/kubernetes/admin.conf", "admin\n", 0o600)
	m.write("etc/kubernetes/kubelet.conf", "kubelet\n", 0o600)
	m.write("etc/kubernetes/manifests/kube-apiserver.yaml", "", 0o600)
	m.outside("cluster/nodes/node1", "node1=True\n")
	m.outside("cluster/nodes/node2", "node2=True\n")
}

func TestNodesAreWaitedFor(t *testing.T) {
	t.Parallel()
	m := newMachine(t, []string{"verify/nodes"}, initConf)
	founded(m)
	m.outside("cluster/nodes/node2", "node2=Unknown\n")
	p := m.start(nil, "/bin/bash", runner, "verify")
	p.waitFor(t, "muster: verify 1/1 nodes: waiting for these to be ready: node2 node3\n")
	m.outside("cluster/nodes/node3", "node3=True\n")
	p.waitFor(t, "muster: verify 1/1 nodes: waiting for these to be ready: node2\n")
	p.remove(t, "etc/kubernetes/manifests/kube-apiserver.yaml")
	p.waitFor(t, "muster: verify 1/1 nodes: waiting for these to be ready: the API server\n")
	p.write(t, "etc/kubernetes/manifests/kube-apiserver.yaml", "", 0o600)
	m.outside("cluster/nodes/node2", "node2=True\n")
	if out, err := p.wait(); err != nil || strings.Contains(out, "FAILED") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestWorkerLooksAtItself(t *testing.T) {
	t.Parallel()
	m := newMachine(t, []string{"verify/nodes"}, "NODES=(node1 node2 node3)\n")
	m.unit("kubelet.service", "")
	m.link("kubelet.service")
	p := m.start(nil, "/bin/bash", runner, "verify")
	p.waitFor(t, "nodes: FAILED at try 1", "what to do: see journalctl -u kubelet")
	p.write(t, "etc/kubernetes/kubelet.conf", "kubelet\n", 0o600)
	if out, err := p.wait(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestNginx(t *testing.T) {
	t.Parallel()
	const conf = initConf + "NGINX_IMAGE=nginx:1.14-alpine\n"
	exercise{
		phase: "verify", steps: []string{"nginx"}, conf: conf, setup: founded,
		check: func(t *testing.T, m *machine) {
			const want = "node1 http://10.0.0.1:30080/ ok\nnode2 http://10.0.0.2:30080/ ok\nok\n"
			if got := m.read("var/lib/muster/check.txt"); got != want {
				t.Errorf("check.txt says %q, not %q", got, want)
			}
			if there(t, filepath.Join(m.base, "standin/cluster/muster-check")) {
				t.Error("objects of the check were left over")
			}
			checkDeployment(t, m.readOutside("cluster/created"))
		},
	}.run(t)

	m := newMachine(t, []string{"verify/nginx", "verify/done"}, conf)
	founded(m)
	m.write("etc/muster/rendezvous/config.json", "{}", 0o600)
	m.outside("unreachable/10.0.0.2", "")
	p := m.start(nil, "/bin/bash", runner, "verify")
	p.waitFor(t, "nginx: node1 http://10.0.0.1:30080/ ok\n", "nginx: node2 http://10.0.0.2:30080/ failed\n", "FAILED at try 1")
	if got := m.read("var/lib/muster/check.txt"); !strings.HasSuffix(got, "\nfailed\n") {
		t.Errorf("check.txt says %q", got)
	}
	must(t, os.Remove(filepath.Join(m.base, "standin/unreachable/10.0.0.2")))
	if out, err := p.wait(); err != nil || !strings.HasSuffix(m.read("var/lib/muster/check.txt"), "\nok\n") {
		t.Errorf("%v\n%s", err, out)
	}
	told := m.readOutside("told")
	for _, want := range []string{"verify 1/2 nginx checking the cluster with nginx: node2 http://10.0.0.2:30080/ failed", "verify 2/2 done, nginx answers on all nodes"} {
		if !strings.Contains(told, want) {
			t.Errorf("the rendezvous was told %q, not %q", told, want)
		}
	}
}

// A control plane that joined leaves the check to the one that ran kubeadm init.
func TestNginxIsAnothers(t *testing.T) {
	t.Parallel()
	m := newMachine(t, []string{"verify/nginx"}, initConf+"NGINX_IMAGE=nginx:1.14-alpine\n")
	founded(m)
	m.write("var/lib/muster/join.done", "done\n", 0o644)
	if out := m.mustRun("verify"); !strings.Contains(out, "nginx: nothing to do") || m.exists("var/lib/muster/check.txt") {
		t.Errorf("it checked all the same:\n%s", out)
	}
}

var doneLine = regexp.MustCompile(`^node1 \(worker\) is in cluster k8s, Kubernetes v1\.34\.4, \d+ s after its last start\n$`)

// checkDeployment wants pods that run where no ordinary pod does, but that are evicted from a node that is not ready.
func checkDeployment(t *testing.T, text string) {
	t.Helper()
	labels := map[string]any{"app": "muster-check"}
	want := map[string]any{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": map[string]any{"name": "muster-check"}, "spec": map[string]any{
		"selector": map[string]any{"matchLabels": labels},
		"template": map[string]any{"metadata": map[string]any{"labels": labels}, "spec": map[string]any{
			"containers":  []any{map[string]any{"name": "nginx", "image": "nginx:1.14-alpine"}},
			"tolerations": []any{map[string]any{"operator": "Exists", "effect": "NoSchedule"}},
		}},
	}}
	var got map[string]any
	must(t, json.Unmarshal([]byte(text), &got))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the deployment is another one:\n%s", diff)
	}
}

// A control plane may wait for a node of the spec for months, or for ever. What its operator upgrades meanwhile is none of the first boot's
// business: after the next start only verify goes on.
func TestUpgradedWhileItWaits(t *testing.T) {
	t.Parallel()
	m := newMachine(t, []string{"prepare/preinstalled", "prepare/commands-before", "bootstrap/control-plane", "bootstrap/finish", "verify/nodes", "verify/done"},
		initConf+"COMMANDS_BEFORE=('echo ran >>/srv/log')\n")
	controlPlane(m)
	m.write("srv/log", "", 0o644)
	m.unit("containerd.service", "")
	image := func(version string) {
		for _, name := range []string{"kubelet", "containerd"} {
			m.write("usr/local/bin/"+name, "#!/bin/bash\necho Kubernetes "+version+"\n", 0o755)
		}
	}
	image("v1.34.4")
	m.mustRun("prepare")
	m.mustRun("bootstrap")
	if !m.exists(strings.TrimPrefix(SetUp, "/")) {
		t.Fatal("a machine that has founded its cluster does not say that it is set up")
	}
	p := m.start(nil, "/bin/bash", runner, "verify")
	p.waitFor(t, "waiting for these to be ready: node2 node3")
	must(t, p.cmd.Process.Kill())
	_, err := p.wait()
	if err == nil {
		t.Fatal("verify ended although two nodes are missing")
	}

	image("v1.34.9")
	for _, phase := range []string{"prepare", "bootstrap"} {
		if out := m.mustRun(phase); out != "" {
			t.Errorf("phase %s of a machine that is set up says %q", phase, out)
		}
	}
	m.outside("cluster/nodes/node2", "node2=True\n")
	m.outside("cluster/nodes/node3", "node3=True\n")
	m.mustRun("verify")
	if !m.exists("var/lib/muster/done") || m.read("srv/log") != "ran\n" {
		t.Errorf("the machine is not done, or its commands ran again: %q", m.read("srv/log"))
	}
}

// A cut between the end of kubeadm and the stamp, or while it is made, leaves a machine that only makes up for the stamp.
func TestFinish(t *testing.T) {
	t.Parallel()
	e := exercise{
		phase: "bootstrap", steps: []string{"worker", "finish"}, setup: workerMachine,
		check: func(t *testing.T, m *machine) {
			if !m.exists(strings.TrimPrefix(SetUp, "/")) || m.exists("etc/muster/rendezvous/grant") {
				t.Error("the machine is not set up, or keeps its credential")
			}
		},
		differs: []string{"/etc/issue.d"}, // verify has the next word there
	}
	m := e.machine(t)
	m.mustRun("bootstrap")
	e.cut(t, e.tree(m))
}

// A machine that is done does nothing, in any phase.
func TestDone(t *testing.T) {
	t.Parallel()
	m := newMachine(t, []string{"prepare/commands-before", "bootstrap/worker", "verify/done"}, "COMMANDS_BEFORE=('touch /srv/ran')\n")
	m.mustRun("verify")
	result := m.read("var/lib/muster/done")
	if !doneLine.MatchString(result) || !strings.Contains(m.readOutside("console"), "muster: "+result) || m.issue() != "muster: node1: "+result {
		t.Errorf("done says %q, console %q, login screen %q", result, m.readOutside("console"), m.issue())
	}
	before := m.tree()
	for _, phase := range []string{"prepare", "bootstrap", "verify"} {
		if out := m.mustRun(phase); out != "" {
			t.Errorf("phase %s of a machine that is done says %q", phase, out)
		}
	}
	if after := m.tree(); len(after) != len(before) || m.exists("srv/ran") {
		t.Error("a machine that is done did something")
	}
}

func TestDryRun(t *testing.T) {
	t.Parallel()
	m := newMachine(t, []string{"bootstrap/dry-run", "bootstrap/finish", "verify/done"}, initConf+"DRY_RUN=true KUBEADM_FLAGS=(--dry-run)\n")
	controlPlane(m)
	m.mustRun("bootstrap")
	m.mustRun("verify")
	if m.exists("etc/kubernetes/admin.conf") || !strings.Contains(m.issue(), "the dry run of kubeadm went through") {
		t.Errorf("a dry run made a cluster, or said so: %s", m.issue())
	}
	other := newMachine(t, []string{"bootstrap/finish", "verify/done"}, "DRY_RUN=true\n")
	other.mustRun("bootstrap")
	other.mustRun("verify")
	for _, m := range []*machine{m, other} {
		if !m.exists(strings.TrimPrefix(SetUp, "/")) || !m.exists("var/lib/muster/done") {
			t.Error("a dry run does not end")
		}
	}
	if !strings.Contains(other.issue(), "is prepared and joins nothing: kubernetes.dryRun is set") {
		t.Errorf("a machine that joins nothing says %s", other.issue())
	}
}
