package templates

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const initConf = "ROLE=control-plane INIT=true KUBEADM_INIT=/etc/muster/kubeadm.yaml MANIFESTS=(/etc/muster/flannel.yaml) KUBECONFIG_USERS=(admin) NODES=(node1 node2 node3)\n"

// usersFiles lie where kubeadm's own files will.
func usersFiles(m *machine) {
	m.write("var/lib/kubelet/config.json", "a registry's login\n", 0o600)
	m.write("var/lib/kubelet/seccomp/profiles/audit.json", "a profile\n", 0o640)
	m.write("etc/kubernetes/manifests/vip.yaml", "a static pod\n", 0o600)
	must(m.t, os.Chmod(m.path("var/lib/kubelet/seccomp"), 0o750))
	must(m.t, os.Chown(m.path("var/lib/kubelet/seccomp/profiles/audit.json"), 7, 7))
}

// controlPlane is a machine before kubeadm, with a CA of the user's own.
func controlPlane(m *machine) {
	m.unit("kubelet.service", "")
	m.link("kubelet.service")
	m.write("etc/muster/kubeadm.yaml", "kind: InitConfiguration # or that of a control-plane that joins\n", 0o600)
	m.write("etc/muster/flannel.yaml", "kind: DaemonSet\n", 0o644)
	m.write("etc/kubernetes/pki/ca.key", "the user's CA", 0o600)
	m.write("etc/kubernetes/pki/ca.crt", "the user's CA", 0o644)
	usersFiles(m)
	passwd, err := os.ReadFile(filepath.Join(chrootFolder(m.t), "etc/passwd"))
	must(m.t, err)
	m.write("etc/passwd", string(passwd)+"admin:x:1000:1000::/home/admin:/bin/bash\n", 0o644)
	m.write("home/admin/.bashrc", "", 0o644)
	must(m.t, os.Chown(m.path("home/admin"), 1000, 1000))
}

// A control plane whose lease is free founds the cluster, with the user's CA.
func TestInit(t *testing.T) {
	t.Parallel()
	exercise{
		phase: "bootstrap", steps: []string{"control-plane"}, conf: initConf, setup: controlPlane,
		check: func(t *testing.T, m *machine) {
			if !m.exists("var/lib/muster/init.done") || m.exists("var/lib/muster/kept") {
				t.Error("the init is not committed, or a copy of the CA's key was left over")
			}
			if got, want := m.read("etc/kubernetes/pki/apiserver.crt"), "signed by: the user's CA\n"; got != want {
				t.Errorf("the API server's certificate is %q, not %q", got, want)
			}
		},
	}.run(t)
}

// What follows the init: the network plugin, kubeconfigs, and no token of kubeadm's own is left.
func TestAfterInit(t *testing.T) {
	t.Parallel()
	exercise{
		phase: "bootstrap", steps: []string{"token-cleanup", "cni", "kubeconfig"}, conf: initConf,
		setup: func(m *machine) {
			controlPlane(m)
			m.write("etc/kubernetes/admin.conf", "admin of the cluster\n", 0o600)
			m.write("etc/kubernetes/manifests/kube-apiserver.yaml", "", 0o600)
			m.outside("cluster/tokens/bootstrap-token-first1", InitTokenDescription+"\n")
			m.outside("cluster/tokens/bootstrap-token-other1", "for node7\n")
		},
		check: func(t *testing.T, m *machine) {
			if there(t, filepath.Join(m.base, "standin/cluster/tokens/bootstrap-token-first1")) {
				t.Error("kubeadm's token is still there")
			}
			if !there(t, filepath.Join(m.base, "standin/cluster/tokens/bootstrap-token-other1")) {
				t.Error("the token of a node that joins was deleted")
			}
			if m.readOutside("cluster/applied/flannel.yaml") != "kind: DaemonSet\n" {
				t.Error("the manifest was not applied")
			}
			for file, owner := range map[string]uint32{"root/.kube/config": 0, "home/admin/.kube/config": 1000} {
				if m.read(file) != "admin of the cluster\n" || m.mode(file) != 0o600 || m.owner(file) != owner {
					t.Errorf("%s is not the admin's kubeconfig with mode 0600 and owner %d", file, owner)
				}
			}
		},
	}.run(t)
}

// To a control plane that comes to a running cluster, its network is none of its business; one that takes over from a founder that died
// brings it.
func TestNetworkOfARunningCluster(t *testing.T) {
	t.Parallel()
	for what, test := range map[string]struct {
		ready, stamp string
		applied      bool
	}{
		"joins a running cluster": {"True", "join.done", false}, "joins one without a network": {"False", "join.done", true}, "founds it": {"True", "init.done", true},
	} {
		m := newMachine(t, []string{"bootstrap/cni"}, initConf)
		controlPlane(m)
		m.write("etc/kubernetes/admin.conf", "admin of the cluster\n", 0o600)
		m.write("etc/kubernetes/manifests/kube-apiserver.yaml", "", 0o600)
		m.write("var/lib/muster/"+test.stamp, "done\n", 0o644)
		m.outside("cluster/nodes/node1", test.ready+"\n")
		m.mustRun("bootstrap")
		if got := there(t, filepath.Join(m.base, "standin/cluster/applied/flannel.yaml")); got != test.applied {
			t.Errorf("one that %s: the manifest was applied: %v, want %v", what, got, test.applied)
		}
	}
}

// A CRD may be larger than what an annotation holds.
func TestLargeManifest(t *testing.T) {
	t.Parallel()
	m := newMachine(t, []string{"bootstrap/cni"}, initConf+"APPLY_FLAGS=(--server-side --force-conflicts)\n")
	controlPlane(m)
	m.write("etc/kubernetes/admin.conf", "admin of the cluster\n", 0o600)
	m.write("etc/kubernetes/manifests/kube-apiserver.yaml", "", 0o600)
	m.write("etc/muster/flannel.yaml", strings.Repeat("# a large CRD\n", 20000), 0o644)
	m.mustRun("bootstrap")
	if !there(t, filepath.Join(m.base, "standin/cluster/applied/flannel.yaml")) {
		t.Error("the manifest was not applied")
	}
}

// A user may lay a link in the way; root must not write through it.
func TestKubeconfigFollowsNoLink(t *testing.T) {
	t.Parallel()
	m := newMachine(t, []string{"bootstrap/kubeconfig"}, initConf)
	controlPlane(m)
	m.write("etc/kubernetes/admin.conf", "admin of the cluster\n", 0o600)
	m.write("etc/important", "untouched", 0o600)
	must(t, os.MkdirAll(m.path("home/admin/.kube"), 0o755))
	must(t, os.Chown(m.path("home/admin/.kube"), 1000, 1000))
	must(t, os.Symlink("/etc/important", m.path("home/admin/.kube/config.muster-new")))
	p := m.start(nil, "/bin/bash", runner, "bootstrap")
	p.waitFor(t, "kubeconfig: FAILED at try 1", "Permission denied")
	if m.read("etc/important") != "untouched" {
		t.Error("root wrote through a user's link")
	}
}

// A control plane that finds another's init committed joins it, with the CA that it was handed.
func TestJoinOfAControlPlane(t *testing.T) {
	t.Parallel()
	exercise{
		phase: "bootstrap", steps: []string{"control-plane"}, conf: initConf,
		setup: func(m *machine) {
			controlPlane(m)
			m.outside("other-init", "")
		},
		check: func(t *testing.T, m *machine) {
			if !m.exists("var/lib/muster/join.done") || m.exists("var/lib/muster/init.done") || m.exists("var/lib/muster/kept") {
				t.Error("the join is not committed, or a copy of a CA's key was left over")
			}
			if got, want := m.read("etc/kubernetes/pki/apiserver.crt"), "signed by: the CA of all\n"; got != want {
				t.Errorf("the API server's certificate is %q, not %q", got, want)
			}
		},
	}.run(t)
}

// A join that fails counts as a failure, and what the user laid beside the CA is there again after it is undone.
func TestJoinOfAControlPlaneFailsOnce(t *testing.T) {
	t.Parallel()
	m := newMachine(t, []string{"bootstrap/control-plane"}, initConf)
	controlPlane(m)
	m.write("etc/kubernetes/pki/sa.pub", "the user's key", 0o644)
	m.outside("other-init", "")
	m.outside("refuse", "[ERROR CRI]: container runtime is not running\n")
	out, err := m.run(nil, "/bin/bash", runner, "bootstrap")
	if err != nil || !strings.Contains(out, "control-plane: FAILED at try 1 (exit 3)") || !strings.Contains(out, "| [ERROR CRI]: container runtime is not running") {
		t.Errorf("the join's failure is not told: %v\n%s", err, out)
	}
	if m.read("etc/kubernetes/pki/sa.pub") != "the user's key" || m.exists("var/lib/muster/kept") {
		t.Error("the user's key did not survive the reset, or a copy was left over")
	}
}

// A rendezvous that gives up says why, on the console and on the login screen; the step is tried again.
func TestControlPlaneWithoutMajority(t *testing.T) {
	t.Parallel()
	m := newMachine(t, []string{"bootstrap/control-plane"}, initConf)
	controlPlane(m)
	m.write("etc/muster/rendezvous/config.json", "{}", 0o600)
	m.outside("no-majority", "")
	p := m.start(nil, "/bin/bash", runner, "bootstrap")
	p.waitFor(t, "control-plane: FAILED at try 2 (exit 3)", "two of three control planes have not answered", "what to do: see rendezvous status")
	if mode := m.mode("var/lib/muster/kept"); mode != 0o600 {
		t.Errorf("what may hold a CA's key has mode %o while kubeadm is not done", mode)
	}
	must(t, os.Remove(filepath.Join(m.base, "standin/no-majority")))
	if out, err := p.wait(); err != nil || !strings.Contains(out, "control-plane: done") {
		t.Errorf("the step did not go on: %v\n%s", err, out)
	}
	if told := m.readOutside("told"); !strings.Contains(told, "bootstrap 1/1 control-plane founding or joining") || !strings.Contains(told, "have not answered") {
		t.Errorf("the rendezvous was told %q", told)
	}
}

// A kubeadm that fails in a dry run is undone before it is tried again, and the console says what it said.
func TestDryRunFailsOnce(t *testing.T) {
	t.Parallel()
	m := newMachine(t, []string{"bootstrap/dry-run"}, initConf)
	controlPlane(m)
	m.outside("refuse", "[ERROR ImagePull]: failed to pull image registry.k8s.io/pause:3.10\n")
	out, err := m.run(nil, "/bin/bash", runner, "bootstrap")
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{
		"muster: bootstrap 1/1 dry-run: FAILED at try 1 (exit 1): trying kubeadm init without founding a cluster\n",
		"muster:   | [ERROR ImagePull]: failed to pull image registry.k8s.io/pause:3.10\n",
		"muster:   what to do: see the output above",
		"muster:   tried again in 0 s",
		"muster: bootstrap 1/1 dry-run: done (",
	} {
		if !strings.Contains(out, want) || strings.HasPrefix(want, "muster:") && !strings.Contains(m.readOutside("console"), strings.TrimSuffix(want, "\n")) {
			t.Errorf("journal or console does not say %q:\n%s", want, out)
		}
	}
	if got, want := strings.Count(m.readOutside("log"), "kubeadm ! reset"), 1; got != want {
		t.Errorf("kubeadm reset ran %d times, not %d:\n%s", got, want, m.readOutside("log"))
	}
	if m.read("etc/kubernetes/pki/ca.key") != "the user's CA" {
		t.Error("the user's CA did not survive the reset")
	}
}

// workerMachine has its grant, and what cloud-init keeps of its document.
func workerMachine(m *machine) {
	m.unit("kubelet.service", "")
	m.link("kubelet.service")
	m.write("etc/machine-id", "0123456789abcdef0123456789abcdef\n", 0o444)
	m.write("etc/muster/kubeadm.yaml", "kind: JoinConfiguration\n", 0o600)
	m.write("etc/muster/rendezvous/ca.crt", "a certificate\n", 0o644)
	usersFiles(m)
	m.write("etc/muster/rendezvous/grant", "header = \"Authorization: Bearer of node1\"\n", 0o600)
	for _, name := range []string{"user-data.txt", "user-data.txt.i", "cloud-config.txt", "obj.pkl"} {
		m.write("var/lib/cloud/instances/k8s.node1/"+name, "Bearer of node1", 0o600)
	}
	m.write("var/lib/cloud/instances/k8s.node1/sem/config_write_files", "", 0o644)
	must(m.t, os.Symlink("/var/lib/cloud/instances/k8s.node1", m.path("var/lib/cloud/instance")))
}

// A worker joins, reports, and forgets what could enrol another machine in its name.
func TestWorker(t *testing.T) {
	t.Parallel()
	exercise{
		phase: "bootstrap", steps: []string{"worker"}, setup: workerMachine,
		check: func(t *testing.T, m *machine) {
			if !m.exists("var/lib/muster/join.done") || m.readOutside("cluster/nodes/node1") != "node1=True\n" {
				t.Error("the node has not joined")
			}
			for path, text := range m.tree() {
				if strings.Contains(text, "Bearer of node1") {
					t.Errorf("%s still holds the credential", path)
				}
			}
			if !m.exists("var/lib/cloud/instances/k8s.node1/sem/config_write_files") {
				t.Error("cloud-init would run again")
			}
		},
	}.run(t)
}

// A join that fails is undone by what empties /var/lib/kubelet: the spec's own files are there again, also where another folder stands for it.
func TestJoinFailsOnce(t *testing.T) {
	t.Parallel()
	m := newMachine(t, []string{"bootstrap/worker"}, "CERTIFICATES_DIR=/etc/none\n")
	workerMachine(m)
	must(t, os.MkdirAll(m.path("srv"), 0o755))
	must(t, os.Rename(m.path("var/lib/kubelet"), m.path("srv/kubelet")))
	must(t, os.Symlink("/srv/kubelet", m.path("var/lib/kubelet")))
	kept := []string{"/srv/kubelet/config.json", "/srv/kubelet/seccomp", "/srv/kubelet/seccomp/profiles/audit.json", "/etc/kubernetes/manifests/vip.yaml", "/var/lib/kubelet", "/var/lib", "/etc"}
	before := m.tree()
	m.outside("refuse", "[ERROR CRI]: container runtime is not running\n")
	out, err := m.run(nil, "/bin/bash", runner, "bootstrap")
	if err != nil || !strings.Contains(out, "worker: FAILED at try 1") || !strings.Contains(m.readOutside("log"), "kubeadm ! reset") {
		t.Errorf("%v\n%s", err, out)
	}
	after := m.tree()
	for _, path := range kept {
		if before[path] != after[path] {
			t.Errorf("%s was %q, and is %q after kubeadm was undone", path, before[path], after[path])
		}
	}
	if m.exists("var/lib/muster/kept") {
		t.Error("a copy was left over")
	}
}

// A worker whose join came through, but was cut before that was noted, is a member: it must not join again.
func TestJoinThatLostItsStamp(t *testing.T) {
	t.Parallel()
	m := newMachine(t, []string{"bootstrap/worker"}, "")
	workerMachine(m)
	m.write("var/lib/muster/join.started", "done\n", 0o644)
	m.write("etc/kubernetes/kubelet.conf", "kubelet of node1\n", 0o600)
	m.write("etc/kubernetes/bootstrap-kubelet.conf", "a token\n", 0o600)
	m.write("var/lib/kubelet/pki/kubelet-client-current.pem", "pem\n", 0o600)
	m.outside("cluster/nodes/node1", "node1=True\n")
	m.outside("closed", "")
	m.mustRun("bootstrap")
	if log := m.readOutside("log"); strings.Contains(log, "kubeadm !") {
		t.Errorf("kubeadm ran:\n%s", log)
	}
	if !m.exists("var/lib/muster/join.done") || m.exists("etc/muster/rendezvous/grant") || m.exists("etc/kubernetes/bootstrap-kubelet.conf") {
		t.Error("the join was not noted, or a credential is left")
	}
}

// To wait for the cluster is no failure, and the console and the login screen say for what; one control plane that answers
// is enough. A spent credential is a failure that names the way out.
func TestWorkerWaits(t *testing.T) {
	t.Parallel()
	m := newMachine(t, []string{"bootstrap/worker"}, "")
	workerMachine(m)
	for _, server := range []string{"10.0.0.1", "10.0.0.2"} {
		m.outside("unreachable/"+server, "")
	}
	m.outside("closed", "")
	p := m.start(nil, "/bin/bash", runner, "bootstrap")
	const text = "waiting for the rendezvous: 10.0.0.2:7443 does not answer"
	p.waitFor(t, "muster: bootstrap 1/1 worker: "+text)
	if strings.Contains(p.out.String(), "FAILED") {
		t.Errorf("to wait counts as a failure:\n%s", p.out.String())
	}
	for !strings.Contains(m.issue(), "muster: node1: "+text) {
		select {
		case <-p.done:
			t.Fatal("the machine did not wait")
		default:
		}
	}
	must(t, os.Remove(filepath.Join(m.base, "standin/unreachable/10.0.0.2")))
	p.waitFor(t, "worker: FAILED at try 1", "the rendezvous refuses enrol (410): node1 has joined and its enrolment is closed")
	must(t, os.Remove(filepath.Join(m.base, "standin/closed"))) // gen reopen
	out, err := p.wait()
	if err != nil || !strings.Contains(out, "worker: done") || strings.Contains(out, "Bearer") {
		t.Errorf("%v\n%s", err, out)
	}
	info, err := os.Stat(filepath.Join(m.runFolder(), "muster"))
	must(t, err)
	if info.Mode().Perm() != 0o700 {
		t.Errorf("the folder of discovery.conf has mode %o", info.Mode().Perm())
	}
	if told := m.readOutside("told"); !strings.Contains(told, `"step":"bootstrap 1/1 worker","error":"joining the cluster through the rendezvous: the rendezvous refuses enrol`) {
		t.Errorf("the rendezvous was told %q", told)
	}
}

// Of several control planes the one that waits for something itself knows why a worker has to wait; those that are not in the
// cluster yet, or do not answer, hide that from nobody.
func TestWorkerSaysTheReasonOfWhoKnows(t *testing.T) {
	t.Parallel()
	m := newMachine(t, []string{"bootstrap/worker"}, "RENDEZVOUS=(10.0.0.1:7443 10.0.0.2:7443 10.0.0.3:7443)\n")
	workerMachine(m)
	m.outside("waiting/10.0.0.1", "")
	m.outside("unavailable/10.0.0.2", "")
	m.outside("unreachable/10.0.0.3", "")
	p := m.start(nil, "/bin/bash", runner, "bootstrap")
	p.waitFor(t, "worker: waiting for the rendezvous: kubeadm init is running on cp1")
	must(t, os.Remove(filepath.Join(m.base, "standin/waiting/10.0.0.1")))
	out, err := p.wait()
	if err != nil || strings.Contains(out, "ask another one") || strings.Contains(out, "does not answer") {
		t.Errorf("%v\n%s", err, out)
	}
}

// issue is the text of the login screen, if there is one.
func (m *machine) issue() string {
	text, err := os.ReadFile(m.path("etc/issue.d/muster.issue"))
	if err != nil && !os.IsNotExist(err) {
		m.t.Fatal(err)
	}
	return string(text)
}
