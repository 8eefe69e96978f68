package plan

import (
	"fmt"
	"maps"
	"path"
	"slices"

	"muster/internal/node"
	"muster/templates"
)

// planScripts puts the first-boot work on the machine: one script with the steps that this machine needs, and the units
// that start it. The script holds no values; those are in node.conf.
func (m *machine) planScripts() {
	var steps []templates.Step
	conditions := m.conditions()
	for _, s := range templates.Steps {
		if needed, conditional := conditions[s.ID()]; needed || !conditional {
			steps = append(steps, s)
		}
		delete(conditions, s.ID())
	}
	for _, id := range slices.Sorted(maps.Keys(conditions)) {
		m.problems.Errorf(m.At, "", "the plan has a condition for a step %s that does not exist", id)
	}
	script, err := m.scriptOf(steps)
	if err != nil {
		m.problems.Errorf(m.At, "", "the script cannot be put together: %v", err)
	}
	m.addFile(node.File{Path: m.scriptPath(), Mode: 0o755, Contents: script, Template: "scripts"})
	units, err := templates.Units(m.profile.Paths.Scripts.V, m.programPath())
	if err != nil {
		m.problems.Errorf(m.At, "name a plain path in the profile", "the units cannot be written: %v", err)
	}
	for _, u := range units {
		unit := node.Unit{Name: u.Name, Contents: u.Contents}
		if u.Name == templates.Target { // it brings the others
			unit.Enabled = new(true)
		}
		m.addUnit(unit)
	}
}

// scriptOf puts a script together once for all machines that need the same steps: a thousand workers share one.
func (m *machine) scriptOf(steps []templates.Step) ([]byte, error) {
	key := fmt.Sprint(steps)
	if script, made := m.joined.Load(key); made {
		return script.([]byte), nil
	}
	script, err := templates.Script(steps)
	made, _ := m.joined.LoadOrStore(key, script)
	return made.([]byte), err
}

// scriptPath is where muster.sh lies.
func (m *machine) scriptPath() string { return path.Join(m.profile.Paths.Scripts.V, "muster.sh") }

// conditions are the steps that not every machine has a use for, by phase and name, and whether this one has.
func (m *machine) conditions() map[string]bool {
	manager, installs := m.profile.Packages.Manager.V, !m.Packages.Preinstalled.V
	plane, acts := m.IsControlPlane(), !m.Cluster.Spec.Kubernetes.DryRun.V
	selinux := or(m.System.SELinux, m.profile.Defaults.SELinux).V
	return map[string]bool{
		"prepare/swap":             m.System.Swap.V == "disabled",
		"prepare/firewall":         m.firewall() == "disabled",
		"prepare/firewall-ports":   m.firewall() == "ports",
		"prepare/selinux":          selinux != "enforcing" && selinux != "",
		"prepare/packages-apt":     installs && manager == "apt",
		"prepare/packages-yum":     installs && manager == "yum",
		"prepare/binaries":         installs && m.profile.Binaries.Set,
		"prepare/preinstalled":     !installs,
		"prepare/images":           len(m.Images.Preload.Items) > 0,
		"prepare/downloads":        slices.ContainsFunc(m.fileSources(), isURL),
		"prepare/units":            slices.ContainsFunc(m.Units.Items, m.enabledLater),
		"prepare/commands-before":  len(m.Commands.Before.Items) > 0,
		"bootstrap/commands-after": len(m.Commands.After.Items) > 0,
		"prepare/rendezvous":       acts && plane && m.Cluster.Spec.Rendezvous.Delivery.V != "embed",
		"bootstrap/control-plane":  acts && plane,
		"bootstrap/worker":         acts && !plane,
		"bootstrap/dry-run":        !acts && m.isFirst(),
		"bootstrap/token-cleanup":  acts && plane,
		"bootstrap/cni":            acts && plane && !m.Cluster.Spec.CNI.None.Known(),
		"bootstrap/kubeconfig":     acts && plane,
		"verify/nodes":             acts,
		"verify/nginx":             acts && plane && m.Cluster.Spec.Check.Nginx.Image.Set,
	}
}

// fileSources are the sources of the spec's extra files.
func (m *machine) fileSources() []string {
	var out []string
	for _, f := range m.Files.Items {
		out = append(out, f.Source.V)
	}
	return out
}
