package templates

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const initConf = "ROLE=control-plane INIT=true KUBEADM_INIT=/etc/muster/kubeadm.yaml MANIFESTS=(/etc/muster/flannel.yaml) KUBECONFIG_USERS=(admin) NODES=(node1 node2 node3)\n"

// controlPlane is a machine before kubeadm, with a CA of the user's own.
func controlPlane(m *machine) {
	m.unit("kubelet.service", "")
	m.link("kubelet.service")
	m.write("etc/muster/kubeadm.yaml", "kind: InitConfiguration # or that of a control-plane that joins\n", 0o600)
	m.write("etc/muster/flannel.yaml", "kind: DaemonSet\n", 0o644)
	m.write("etc/kubernetes/pki/ca.key", "the user's CA", 0o600)
	m.write("etc/kubernetes/pki/ca.crt", "the user's CA", 0o644)
	passwd, err := os.ReadFile(filepath.Join(chrootFolder(m.t), "etc/passwd"))
	must(m.t, err)
	m.write("etc/passwd", string(passwd)+"admin:x:1000:1000::/home/admin:/bin/bash\n", 0o644)
	m.write("home/admin/.bashrc", "", 0o644)
	must(m.t, os.Chown(m.path("home/admin"), 1000, 1000))
}

func TestInit(t *testing.T) {
	t.Parallel()
	exercise{
		phase: "bootstrap", steps: []string{"init"}, conf: initConf, setup: controlPlane,
		check: func(t *testing.T, m *machine) {
			if !m.exists("var/lib/muster/init.done") || m.exists("var/lib/muster/pki") {
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

// A kubeadm that fails is undone before it is tried again, and the console says what it said.
func TestInitFailsOnce(t *testing.T) {
	t.Parallel()
	m := newMachine(t, []string{"bootstrap/init"}, initConf)
	controlPlane(m)
	m.outside("refuse", "[ERROR ImagePull]: failed to pull image registry.k8s.io/pause:3.10\n")
	out, err := m.run(nil, "/bin/bash", runner, "bootstrap")
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{
		"muster: bootstrap 1/1 init: FAILED at try 1 (exit 1): founding the cluster with kubeadm init\n",
		"muster:   | [ERROR ImagePull]: failed to pull image registry.k8s.io/pause:3.10\n",
		"muster:   what to do: see the output above",
		"muster:   tried again in 0 s",
		"muster: bootstrap 1/1 init: done (",
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

func TestJoin(t *testing.T) {
	t.Parallel()
	for name, conf := range map[string]string{"worker": "", "control plane": "ROLE=control-plane\n"} {
		t.Run(name, func(t *testing.T) {
			exercise{
				phase: "bootstrap", steps: []string{"join"}, conf: conf,
				setup: func(m *machine) {
					controlPlane(m)
					if name == "worker" {
						must(t, os.RemoveAll(m.path("etc/kubernetes")))
						m.write("etc/muster/kubeadm.yaml", "kind: JoinConfiguration\n", 0o600)
					}
					m.outside("discovery.conf", "kind: Config\n")
				},
				check: func(t *testing.T, m *machine) {
					if !m.exists("var/lib/muster/join.done") || m.readOutside("cluster/nodes/node1") != "node1=True\n" {
						t.Error("the node has not joined")
					}
					if name != "worker" && m.read("etc/kubernetes/pki/apiserver.crt") != "signed by: the user's CA\n" {
						t.Error("the shared certificates did not survive")
					}
				},
			}.run(t)
		})
	}
}

// A worker whose join came through, but was cut before that was noted, is a member: it must not join again.
func TestJoinThatLostItsStamp(t *testing.T) {
	t.Parallel()
	m := newMachine(t, []string{"bootstrap/discovery", "bootstrap/join"}, "")
	controlPlane(m)
	m.outside("discovery.conf", "kind: Config\n")
	m.write("var/lib/muster/join.started", "done\n", 0o644)
	m.write("etc/kubernetes/kubelet.conf", "kubelet of node1\n", 0o600)
	m.write("var/lib/kubelet/pki/kubelet-client-current.pem", "pem\n", 0o600)
	m.outside("cluster/nodes/node1", "node1=True\n")
	m.mustRun("bootstrap")
	if log := m.readOutside("log"); strings.Contains(log, "kubeadm !") {
		t.Errorf("kubeadm ran:\n%s", log)
	}
	if !m.exists("var/lib/muster/join.done") {
		t.Error("the join was not noted")
	}
}

// To wait for the cluster is no failure, and the console and the login screen say for what.
func TestDiscovery(t *testing.T) {
	t.Parallel()
	m := newMachine(t, []string{"bootstrap/discovery"}, "")
	p := m.start(nil, "/bin/bash", runner, "bootstrap")
	const text = "waiting for a control plane of k8s to hand out /run/muster/discovery.conf."
	p.waitFor(t, "muster: bootstrap 1/1 discovery: "+text)
	for !strings.Contains(m.issue(), "muster: node1: "+text) {
		select {
		case <-p.done:
			t.Fatal("the machine did not wait")
		default:
		}
	}
	must(t, os.WriteFile(filepath.Join(m.runFolder(), "muster/discovery.conf"), []byte("kind: Config\n"), 0o600))
	out, err := p.wait()
	if err != nil || strings.Contains(out, "FAILED") || strings.Count(out, text) != 1 {
		t.Errorf("%v\n%s", err, out)
	}
	info, err := os.Stat(filepath.Join(m.runFolder(), "muster"))
	must(t, err)
	if info.Mode().Perm() != 0o700 {
		t.Errorf("the folder of discovery.conf has mode %o", info.Mode().Perm())
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
