package plan

import (
	"slices"
	"strings"
	"testing"

	"muster/profiles"
)

// stepsOf are the steps of a machine's script.
func stepsOf(t *testing.T, m Machine) []string {
	t.Helper()
	_, list, _ := strings.Cut(contentsOf(t, m, m.Profile.Paths.Scripts.V+"/muster.sh"), "\nSTEPS=(")
	list, _, found := strings.Cut(list, ")")
	if !found {
		t.Fatalf("the script of %s has no list of steps", m.Config.Name)
	}
	return strings.Fields(list)
}

// TestConditionsOfSteps: each choice brings and takes away its own steps, on the machines that it is for.
func TestConditionsOfSteps(t *testing.T) {
	const (
		always = "prepare_modules prepare_sysctl prepare_time prepare_clock prepare_runtime prepare_kubelet bootstrap_finish verify_done"
		both   = "prepare_swap prepare_selinux prepare_firewall prepare_packages-apt verify_nodes"
		plane  = "bootstrap_control-plane bootstrap_token-cleanup bootstrap_cni bootstrap_kubeconfig"
		worker = "bootstrap_worker"
	)
	plain := func(*profiles.Profile) {}
	for _, row := range []struct {
		more string
		// What differs from the steps above, with the sign before it: on both machines, on the control plane, on the worker.
		both, plane, worker string
		change              func(*profiles.Profile)
	}{
		{"", "", "", "", plain},
		{"system: {swap: keep}", "-prepare_swap", "", "", plain},
		{"system: {selinux: enforcing}", "-prepare_selinux", "", "", plain},
		{"system: {selinux: permissive}", "", "", "", plain},
		{"", "-prepare_selinux", "", "", func(p *profiles.Profile) { p.Defaults.SELinux.V, p.Defaults.SELinux.Set = "", false }},
		{"system: {firewall: keep}", "-prepare_firewall", "", "", plain},
		{"system: {firewall: ports}", "-prepare_firewall +prepare_firewall-ports", "", "", plain},
		{"packages: {preinstalled: true}", "-prepare_packages-apt +prepare_preinstalled", "", "", plain},
		{"", "-prepare_packages-apt +prepare_packages-yum", "", "", func(p *profiles.Profile) { p.Packages.Manager.V = "yum" }},
		{"profile: flatcar-containerd", "-prepare_packages-apt +prepare_binaries", "", "", plain},
		{"profile: flatcar-containerd\n  packages: {preinstalled: true}", "-prepare_packages-apt +prepare_preinstalled", "", "", plain},
		{"images: {preload: [{path: /opt/a.tar, sha256: \"0\"}]}", "+prepare_images", "", "", plain},
		{"files: [{path: /opt/a, source: \"http://files.example.com/a\", sha256: \"0\"}]", "+prepare_downloads", "", "", plain},
		{"files: [{path: /opt/a, source: ./a}]", "", "", "", plain},
		{"units: [{name: fstrim.timer, enabled: true}]", "+prepare_units", "", "", plain},
		{"units: [{name: fstrim.timer, enabled: false}]", "", "", "", plain},
		{"units: [{name: a.service, enabled: true, contents: \"[Install]\"}]", "", "", "", plain},
		{"units: [{name: fstrim.timer, enabled: true}]\n  profile: flatcar-containerd", "-prepare_packages-apt +prepare_binaries", "", "", plain},
		{"commands: {before: [\"true\"]}", "+prepare_commands-before", "", "", plain},
		{"commands: {after: [\"true\"]}", "+bootstrap_commands-after", "", "", plain},
		{"rendezvous: {delivery: media}", "", "+prepare_rendezvous", "", plain},
		{"rendezvous: {delivery: url, url: \"https://files.example.com/r\", sha256: \"0\"}", "", "+prepare_rendezvous", "", plain},
		{"cni: {none: {}}", "", "-bootstrap_cni", "", plain},
		{"check: {nginx: {image: \"nginx:1.28\"}}", "", "+verify_nginx", "", plain},
		{"kubernetes: {dryRun: true}\n  check: {nginx: {image: \"nginx:1.28\"}}\n  rendezvous: {delivery: media}", "-verify_nodes",
			"+bootstrap_dry-run -bootstrap_control-plane -bootstrap_token-cleanup -bootstrap_cni -bootstrap_kubeconfig", "-bootstrap_worker", plain},
	} {
		text := strings.Replace(small, "  profile: debian12-containerd\n", "", 1) + "    - {name: w1, role: worker, address: 10.0.0.2}\n  " + row.more + "\n"
		if !strings.Contains(row.more, "profile: ") {
			text += "  profile: debian12-containerd\n"
		}
		machines, problems := planned(t, text, row.change)
		if len(problems) > 0 {
			t.Fatalf("%s: problems are %v", row.more, problems)
		}
		for i, want := range [][]string{stepsWith(always, both, plane, row.both, row.plane), stepsWith(always, both, worker, row.both, row.worker)} {
			if got := slices.Sorted(slices.Values(stepsOf(t, machines[i]))); !slices.Equal(got, want) {
				t.Errorf("%q: the steps of %s are\n%s, want\n%s", row.more, machines[i].Config.Name, got, want)
			}
		}
	}
}

// stepsWith adds up lists of steps, sorted; one that a minus stands before is taken away.
func stepsWith(lists ...string) []string {
	steps := map[string]bool{}
	for _, step := range strings.Fields(strings.Join(lists, " ")) {
		steps[strings.TrimLeft(step, "+-")] = !strings.HasPrefix(step, "-")
	}
	var out []string
	for step, there := range steps {
		if there {
			out = append(out, step)
		}
	}
	slices.Sort(out)
	return out
}

// TestOrderOfSteps: what a package may bring, a module and a unit, is waited for after the packages.
func TestOrderOfSteps(t *testing.T) {
	machines, _ := planned(t, small+"  system: {modules: [zfs]}\n  packages: {extra: [zfs-dkms]}\n  units: [{name: zfs.target, enabled: true}]\n")
	steps := stepsOf(t, machines[0])
	for _, step := range []string{"prepare_modules", "prepare_sysctl", "prepare_units"} {
		if slices.Index(steps, step) < slices.Index(steps, "prepare_packages-apt") {
			t.Errorf("%s comes before the packages: %s", step, steps)
		}
	}
}

// TestDryRunOnOneMachine: the other control planes only prepare themselves.
func TestDryRunOnOneMachine(t *testing.T) {
	machines, _ := planned(t, small+"    - {name: cp2, role: control-plane, address: 10.0.0.2}\n  kubernetes: {dryRun: true}\n")
	for i, want := range []bool{true, false} {
		if got := slices.Contains(stepsOf(t, machines[i]), "bootstrap_dry-run"); got != want {
			t.Errorf("%s runs kubeadm init --dry-run: %v, want %v", machines[i].Config.Name, got, want)
		}
	}
}
