package plan

import (
	"path"
	"slices"

	"muster/internal/node"
	"muster/templates"
)

// scripts puts the first-boot work on the machine: one script with the steps that this machine needs, and the units that
// start it. The script holds no values; those stand in node.conf.
func (m *machine) scripts() {
	folder := m.profile.Paths.Scripts.V
	var steps []templates.Step
	for _, s := range templates.Steps {
		if m.needs(s) {
			steps = append(steps, s)
		}
	}
	script, err := templates.Script(steps)
	if err != nil {
		m.problems.Errorf(m.At, "", "the script cannot be put together: %v", err)
	}
	m.file(node.File{Path: path.Join(folder, "muster.sh"), Mode: 0o755, Contents: script, Template: "scripts"})
	units, err := templates.Units(folder)
	if err != nil {
		m.problems.Errorf(m.At, "name a plain path in the profile", "the units cannot be written: %v", err)
	}
	for _, u := range units {
		// The target brings the others.
		m.unit(node.Unit{Name: u.Name, Contents: u.Contents, Enabled: enabled(u.Name == templates.Target, true)})
	}
}

// needs reports whether the machine has a use for a step.
func (m *machine) needs(s templates.Step) bool {
	manager, installs := m.profile.Packages.Manager.V, !m.Packages.Preinstalled.V
	acts := !m.Cluster.Spec.Kubernetes.DryRun.V
	selinux := or(m.System.SELinux, m.profile.Defaults.SELinux).V
	conditions := map[string]bool{
		"swap":            m.System.Swap.V == "disabled",
		"firewall":        or(m.System.Firewall, m.profile.Defaults.Firewall).V != "keep",
		"selinux":         selinux != "enforcing" && selinux != "",
		"packages-apt":    installs && manager == "apt",
		"packages-yum":    installs && manager == "yum",
		"binaries":        installs && m.profile.Binaries.Set,
		"preinstalled":    !installs,
		"images":          len(m.Images.Preload.Items) > 0,
		"downloads":       slices.ContainsFunc(m.fileSources(), isURL),
		"commands-before": len(m.Commands.Before.Items) > 0,
		"commands-after":  len(m.Commands.After.Items) > 0,
		"discovery":       !m.isFirst(),
		"join":            !m.isFirst(),
		"init":            m.isFirst(),
		"token-cleanup":   m.isFirst() && acts,
		"cni":             m.isFirst() && acts && !m.Cluster.Spec.CNI.None.Known(),
		"kubeconfig":      m.IsControlPlane() && acts,
		"nodes":           acts,
		"nginx":           m.isFirst() && acts && m.Cluster.Spec.Check.Nginx.Image.Set,
	}
	needed, conditional := conditions[s.Name]
	return needed || !conditional
}

// fileSources are the sources of the spec's extra files.
func (m *machine) fileSources() []string {
	var out []string
	for _, f := range m.Files.Items {
		out = append(out, f.Source.V)
	}
	return out
}
