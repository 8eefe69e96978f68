//go:build e2e

package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// For this long nothing may happen where nothing should: a machine that is let in needs less from there to its node being Ready.
const silence = 2 * time.Minute

// The tutorial's shape: one control plane, two workers, and nginx at the end.
func TestA_Tutorial(t *testing.T) {
	c := tutorial(t)
	c.nginx(1)
	c.table()
	c.noTokens()
	c.oneInit()
	c.noWarnings()
	t.Logf("gen status:\n%s", c.gen("status"))
}

// tutorial boots the tutorial's three machines and waits until they are a cluster.
func tutorial(t *testing.T) *cluster {
	t.Helper()
	c := newCluster(t, "tutorial.yaml")
	c.boot("k8s-master", "k8s-node1", "k8s-node2")
	c.ready("k8s-master", "k8s-node1", "k8s-node2")
	return c
}

var five = []string{"cp1", "cp2", "cp3", "w1", "w2"}

// Five machines at once, in any order.
func TestB_AllAtOnce(t *testing.T) {
	for seed := range uint64(10) {
		t.Run(fmt.Sprintf("order%d", seed+1), func(t *testing.T) {
			c := newCluster(t, "three-control-planes.yaml")
			order := slices.Clone(five)
			rand.New(rand.NewPCG(seed, 0)).Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
			t.Logf("switched on in this order: %v", order)
			c.boot(order...)
			c.ready(five...)
			c.oneInit()
			c.table()
		})
	}
}

// Workers that are there long before the control plane wait for it.
func TestC_LateControlPlane(t *testing.T) {
	c := newCluster(t, "tutorial.yaml")
	c.boot("k8s-node1", "k8s-node2")
	time.Sleep(5 * time.Minute)
	c.boot("k8s-master")
	c.ready("k8s-master", "k8s-node1", "k8s-node2")
	c.table()
}

// A worker that nobody had thought of when the cluster was made, after every token of that time is gone.
func TestD_LaterWorker(t *testing.T) {
	c := newCluster(t, "tutorial.yaml")
	const later = "    - {name: k8s-node2, role: worker, address: 10.77.0.129, aliases: [node2]}\n"
	c.edit(later, "")
	c.edit("    proxy: {mode: iptables}", "    bootstrapToken: {ttl: 1m}\n    proxy: {mode: iptables}")
	c.boot("k8s-master", "k8s-node1")
	c.ready("k8s-master", "k8s-node1")
	c.noTokens()
	time.Sleep(time.Minute)
	const before = "    - {name: k8s-node1, role: worker, address: 10.77.0.128, aliases: [node1]}\n"
	c.edit(before, before+later)
	c.boot("k8s-node2")
	c.ready("k8s-master", "k8s-node1", "k8s-node2")
	c.noTokens()
	c.table()
}

// Each machine loses its power once at some moment of its first boot.
func TestE_PowerCuts(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprintf("seed%d", seed+1), func(t *testing.T) {
			c := newCluster(t, "tutorial.yaml")
			random := rand.New(rand.NewPCG(seed, 1))
			names := []string{"k8s-master", "k8s-node1", "k8s-node2"}
			cuts := map[string]time.Duration{}
			for _, name := range names {
				// A machine with two cores to itself and two others is done after some three minutes.
				cuts[name] = time.Duration(random.Int64N(int64(3 * time.Minute)))
			}
			t.Logf("cut after: %v", cuts)
			c.boot(names...)
			for len(cuts) > 0 {
				next := ""
				for name := range cuts {
					if next == "" || cuts[name] < cuts[next] {
						next = name
					}
				}
				m := c.machine(next)
				time.Sleep(time.Until(m.booted.Add(cuts[next])))
				m.cut(t)
				m.boot(t)
				delete(cuts, next)
			}
			c.ready(names...)
			c.oneInit()
			c.nginx(1)
		})
	}
}

// A worker loses its power in the moment in which cloud-init has recorded that it knows the machine and not yet written the network's files.
// It never does that again by itself.
func TestE_CutBeforeNetwork(t *testing.T) {
	c := newCluster(t, "tutorial.yaml")
	m := c.machine("k8s-node1")
	for tries := 1; ; tries++ {
		c.boot("k8s-node1")
		for end := time.Now().Add(patience); !m.has("var/lib/cloud/data/instance-id"); time.Sleep(100 * time.Microsecond) {
			if time.Now().After(end) {
				t.Fatal("cloud-init does not record the machine")
			}
		}
		m.cut(t)
		if !m.has("etc/systemd/network/10-cloud-init-host0.network") {
			break
		}
		if tries == 20 {
			t.Fatal("the power never went before the network's files were written")
		}
		m.wipe(t)
	}
	c.boot("k8s-master", "k8s-node1", "k8s-node2")
	c.ready("k8s-master", "k8s-node1", "k8s-node2")
	c.oneInit()
	c.nginx(1)
	console, err := os.ReadFile(filepath.Join(m.kept, "console"))
	must(t, err)
	if !strings.Contains(string(console), "this machine has no network of its own: starting again") {
		t.Fatal("k8s-node1 did not have to start again: the case shows nothing")
	}
}

// A container that runc was about to set up when the power went is frozen, and has to die with its machine.
func TestE_Frozen(t *testing.T) {
	const name = groupOfAll + "/frozen"
	members, err := makeGroup(name)
	must(t, err)
	sleep := exec.Command("sleep", "600")
	must(t, sleep.Start())
	for _, file := range members {
		must(t, os.WriteFile(file, fmt.Append(nil, sleep.Process.Pid), 0))
	}
	must(t, os.WriteFile(filepath.Join(groups, "freezer", name, "freezer.state"), []byte("FROZEN"), 0))
	must(t, killGroup(name))
	_ = sleep.Wait() // it was killed
	must(t, removeGroups(groupOfAll))
}

// The control plane that founded the cluster is lost for good. The others go on, and let a new worker in.
func TestF_FounderLost(t *testing.T) {
	c := newCluster(t, "three-control-planes.yaml")
	const later = "    - {name: w2, role: worker, address: 10.77.0.22}\n"
	c.edit(later, "")
	c.boot("cp1", "cp2", "cp3", "w1")
	c.ready("cp1", "cp2", "cp3", "w1")
	c.oneInit()
	founder := c.initialised()[0]
	c.machine(founder).cut(t)
	left := slices.DeleteFunc([]string{"cp1", "cp2", "cp3", "w1"}, func(name string) bool { return name == founder })
	c.ready(left...)
	const before = "    - {name: w1, role: worker, address: 10.77.0.21}\n"
	c.edit(before, before+later)
	c.boot("w2")
	c.ready(append(left, "w2")...)
	c.table()
}

// A worker whose disk was replaced stays out until the operator lets it in again.
func TestG_WorkerReinstalled(t *testing.T) {
	c := tutorial(t)
	c.reinstalled("k8s-node2", "k8s-master", "k8s-node1", "k8s-node2")
}

// So does a control plane.
func TestH_ControlPlaneReinstalled(t *testing.T) {
	c := newCluster(t, "three-control-planes.yaml")
	c.boot(five...)
	c.ready(five...)
	c.reinstalled("cp2", five...)
}

// reinstalled gives a machine a blank disk, sees that it is shut out, and lets it in.
func (c *cluster) reinstalled(name string, all ...string) {
	c.t.Helper()
	before, err := c.nodes("{.metadata.uid}")
	must(c.t, err)
	m := c.machine(name)
	m.stop(c.t)
	m.wipe(c.t)
	m.boot(c.t)
	c.shutOut(m, before[name])
	c.t.Log(c.gen("reopen", name))
	c.ready(all...)
	after, err := c.nodes("{.metadata.uid}")
	must(c.t, err)
	if after[name] == before[name] {
		c.t.Fatalf("%s is Ready as the Node object of its former life", name)
	}
}

// The documents of a worker that has joined, on another machine: they get nothing.
func TestI_StolenDocument(t *testing.T) {
	c := tutorial(t)
	before, err := c.nodes("{.metadata.uid}")
	must(t, err)
	c.machine("k8s-node2").stop(t)
	thief := newMachine(t, "thief", filepath.Join(c.dir, "out/nodes/k8s-node2"), filepath.Join(c.dir, "thief"), filepath.Join(c.kept, "thief"))
	thief.boot(t)
	c.shutOut(thief, before["k8s-node2"])
	if status := c.enrol("k8s-node2", "10.77.0.130"); status != "410" {
		t.Errorf("the credential of a worker that has joined is answered with %s, not with 410", status)
	}
	thief.cut(t)
	c.boot("k8s-node2")
	c.ready("k8s-master", "k8s-node1", "k8s-node2")
}

// enrol asks a control plane for a token with what lies in a worker's documents, and returns the HTTP status.
func (c *cluster) enrol(name, address string) string {
	c.t.Helper()
	credential := filepath.Join(c.dir, "out/nodes", name, "files/etc/muster/rendezvous")
	ask := exec.Command("curl", "--silent", "--show-error", "--config", credential+"/grant", "--cacert", credential+"/ca.crt", "--max-time", "30",
		"--data", fmt.Sprintf(`{"name":%q,"machine":"00000000000000000000000000000000"}`, name),
		"--output", filepath.Join(c.dir, "answer"), "--write-out", "%{http_code}", "https://"+address+":7443/v1/enrol")
	status, err := ask.CombinedOutput()
	if err != nil {
		c.t.Fatalf("%s: %v: %s", address, err, status)
	}
	return string(status)
}

// shutOut sees that a machine has asked to be let in, that it got nothing, and that the node it claims to be is as it was.
func (c *cluster) shutOut(m *machine, uid string) {
	c.t.Helper()
	c.wait(patience, m.name+" is refused", func() string {
		console, err := os.ReadFile(filepath.Join(m.kept, "console"))
		must(c.t, err)
		if strings.Contains(string(console), "reopen") {
			return ""
		}
		return "nothing on its console says what the operator has to do"
	})
	time.Sleep(silence)
	for _, file := range []string{"etc/kubernetes/kubelet.conf", "etc/kubernetes/bootstrap-kubelet.conf", "etc/kubernetes/pki/ca.key"} {
		if m.has(file) {
			c.t.Fatalf("%s has got /%s", m.name, file)
		}
	}
	nodes, err := c.nodes("{.metadata.uid}")
	must(c.t, err)
	found := false
	for _, is := range nodes {
		found = found || is == uid
	}
	if !found {
		c.t.Fatalf("the node that %s claims to be is not what it was: %v, not %s", m.name, nodes, uid)
	}
}

// nginx on two machines, by the addresses of all three, before and after all machines were switched off and on.
func TestJ_PodNetwork(t *testing.T) {
	c := tutorial(t)
	c.nginx(2)
	c.reboot("k8s-master", "k8s-node1", "k8s-node2")
	c.ready("k8s-master", "k8s-node1", "k8s-node2")
	c.nginxAnswers(2)
	c.table()
}

// noWarnings looks for what cloud-init did not like about the documents.
func (c *cluster) noWarnings() {
	c.t.Helper()
	for _, m := range c.machines {
		console, err := os.ReadFile(filepath.Join(m.kept, "console"))
		must(c.t, err)
		for line := range strings.Lines(string(console)) {
			if strings.Contains(line, "cloud-init[") && (strings.Contains(line, "WARNING") || strings.Contains(line, "ERROR")) {
				c.t.Errorf("%s: %s", m.name, line)
			}
		}
	}
}

// noTokens waits until no bootstrap token is left in the cluster: that of kubeadm init goes, and so does each machine's own.
func (c *cluster) noTokens() {
	c.t.Helper()
	c.wait(2*time.Minute, "no bootstrap token is left", func() string {
		names, err := c.kubectl("-n", "kube-system", "get", "secrets", "--field-selector", "type=bootstrap.kubernetes.io/token", "-o", "name")
		if err != nil {
			return err.Error()
		}
		return strings.TrimSpace(names)
	})
}
