package templates

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Machines that Debian's own cloud-init sets up and that are started again. Its list of datasources ends with None, so that it looks for no
// traces of one before it runs: as on CentOS 7, and as wherever a datasource was found that then does not answer.

const retired = "etc/cloud/cloud-init.disabled"

// cloudInitBoot is a start as far as systemd's generators and the two stages of cloud-init that may change the network and the name.
const cloudInitBoot = `set -e
/bin/mount -t sysfs sys /sys
ip link set lo up
ip link add ens33 type veth peer name other
ip link set ens33 address 52:54:00:12:34:56
/usr/lib/systemd/system-generators/cloud-init-generator /run/normal /run/early /run/late
if [ -e /run/early/multi-user.target.wants/cloud-init.target ]; then
  cloud-init init --local
  cloud-init init
fi`

// seed is what the machine's medium holds, or what an installer copied from it.
func (m *machine) seed() {
	m.write("var/lib/cloud/seed/nocloud/user-data", "#cloud-config\nwrite_files:\n- {path: /etc/muster/rendezvous/grant, permissions: '0600', content: Bearer of node1}\n", 0o644)
	m.write("var/lib/cloud/seed/nocloud/meta-data", "{instance-id: k8s.node1, local-hostname: node1}\n", 0o644)
	m.write("var/lib/cloud/seed/nocloud/network-config", `{version: 2, ethernets: {lan0: {match: {macaddress: "52:54:00:12:34:56"}, set-name: ens33, addresses: [10.9.9.9/24]}}}`+"\n", 0o644)
}

// cloudInitMachine has been set up by cloud-init and joined its cluster.
func cloudInitMachine(t *testing.T, step, conf string, setup func(*machine)) *machine {
	t.Helper()
	m := newMachine(t, []string{"bootstrap/" + step, "bootstrap/finish"}, conf)
	setup(m)
	must(t, os.RemoveAll(m.path("var/lib/cloud")))
	must(t, os.RemoveAll(m.path("etc/muster/rendezvous/grant")))
	m.write("etc/cloud/cloud.cfg.d/99-test.cfg", "datasource_list: [NoCloud, None]\nsystem_info: {network: {renderers: [netplan]}}\n"+
		"cloud_init_modules: [write-files, set_hostname, update_hostname, users-groups]\n", 0o644)
	m.seed()
	m.cloudInitBoot()
	if !strings.Contains(m.read("etc/netplan/50-cloud-init.yaml"), "10.9.9.9/24") || m.read("etc/hostname") != "node1\n" || !m.exists("etc/muster/rendezvous/grant") {
		t.Fatal("cloud-init did not set the machine up")
	}
	m.mustRun("bootstrap")
	return m
}

func (m *machine) cloudInitBoot() {
	m.t.Helper()
	if out, err := m.run(nil, "/bin/sh", "-c", cloudInitBoot); err != nil {
		m.t.Fatalf("%v\n%s", err, out)
	}
}

// kept is the disk without logs.
func (m *machine) kept() map[string]string {
	tree := m.tree()
	maps.DeleteFunc(tree, func(path, _ string) bool { return strings.HasPrefix(path, "/var/log") })
	return tree
}

// A machine that is set up keeps its network, name and identity when it starts without the medium that it was set up from, or when
// its platform's metadata does not answer.
func TestStartWithoutTheMedium(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		conf  string
		setup func(*machine)
	}{"control-plane": {initConf, controlPlane}, "worker": {"", workerMachine}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := cloudInitMachine(t, name, c.conf, c.setup)
			must(t, os.RemoveAll(m.path("var/lib/cloud/seed")))
			before := m.kept()
			m.cloudInitBoot()
			if diff := cmp.Diff(before, m.kept()); diff != "" {
				t.Errorf("a start without the medium changed the machine:\n%s", diff)
			}
		})
	}
}

// A worker's grant is on its disk no more once it has joined, in whatever copy cloud-init or an installer made, and a medium that stays in the
// machine brings no copies back.
func TestGrantIsForgotten(t *testing.T) {
	t.Parallel()
	m := cloudInitMachine(t, "worker", "", workerMachine)
	holders := func() []string {
		var holders []string
		for path, text := range m.tree() {
			if strings.Contains(text, "Bearer of node1") {
				holders = append(holders, path)
			}
		}
		return holders
	}
	if left := holders(); left != nil {
		t.Errorf("after the join these hold the grant: %q", left)
	}
	if m.read("var/lib/cloud/seed/nocloud/user-data") != "" || !m.exists("var/lib/cloud/seed/nocloud/meta-data") {
		t.Error("the seed is none any more: cloud-init, should somebody want it again, would not know this instance")
	}
	m.seed()
	m.cloudInitBoot()
	if diff := cmp.Diff([]string{"/var/lib/cloud/seed/nocloud/user-data"}, holders()); diff != "" {
		t.Errorf("a start with the medium brought copies of the grant back:\n%s", diff)
	}
}

// A seed that is itself a medium cannot be written, and is nothing that a machine could forget.
func TestSeedOnAMedium(t *testing.T) {
	t.Parallel()
	m := newMachine(t, []string{"bootstrap/worker"}, "")
	workerMachine(m)
	m.seed()
	const script = "cd /var/lib/cloud && /bin/mount --bind seed seed && /bin/mount -o remount,ro,bind seed && exec /bin/bash $1 bootstrap"
	p := m.start(nil, "/bin/bash", "-c", script, "medium", runner)
	p.waitFor(t, "worker: done")
	if out, err := p.wait(); err != nil || strings.Contains(out, "FAILED") {
		t.Errorf("%v\n%s", err, out)
	}
}

// cloud-init is off before anything that it needs is deleted and before the machine counts as set up, and only where it has acted.
func TestCloudInitIsRetiredFirst(t *testing.T) {
	t.Parallel()
	m := newMachine(t, []string{"bootstrap/worker", "bootstrap/finish"}, "")
	workerMachine(m)
	for _, folder := range []string{"cuts", "cluster"} {
		must(t, os.MkdirAll(filepath.Join(m.base, "standin", folder), 0o755))
	}
	if out, err := m.run([]string{"CUTS=1"}, "/bin/bash", runner, "bootstrap"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	off := 0
	for _, c := range m.cuts(false) {
		disk := treeOf(t, filepath.Join(c.folder, "upper"))
		_, retired := disk["/"+retired]
		_, known := disk["/var/lib/cloud/instances/k8s.node1/obj.pkl"]
		_, setUp := disk[SetUp]
		switch {
		case retired:
			off++
		case !known || setUp:
			t.Errorf("cut before %s: cloud-init would run, obj.pkl is there: %v, %s: %v", c.command, known, SetUp, setUp)
		}
	}
	if off == 0 || !strings.HasPrefix(m.read(retired), "by Muster, since ") {
		t.Errorf("%d cuts after cloud-init was told not to run", off)
	}

	m = newMachine(t, []string{"bootstrap/worker", "bootstrap/finish"}, "")
	workerMachine(m)
	must(t, os.RemoveAll(m.path("var/lib/cloud")))
	m.mustRun("bootstrap")
	if m.exists(retired) {
		t.Error("a machine that cloud-init did not set up tells it not to run")
	}
}
