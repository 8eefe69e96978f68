package plan

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"muster/internal/decode"
	"muster/internal/node"
	"muster/internal/spec"
	"muster/templates"
)

// planKernel writes what the kernel needs at every boot: modules first, settings after them (S7, S8, S9). systemd
// orders modules-load.d before sysctl.d by itself.
func (m *machine) planKernel() {
	settings := m.sysctl()
	modules := decode.Strings(m.profile.Modules)
	add := func(name string) {
		if !slices.ContainsFunc(modules, func(known string) bool { return plainModule(known) == plainModule(name) }) {
			modules = append(modules, name)
		}
	}
	for _, v := range m.System.Modules.Items {
		add(v.V)
	}
	for _, key := range slices.Sorted(maps.Keys(settings)) {
		if module := moduleOf(key); module != "" {
			add(module)
		}
	}
	m.addText(modulesFile, strings.Join(modules, "\n")+"\n", m.System.Modules.At)
	m.conf.setList("MODULES", modules)
	m.planIPVS()
	m.planSysctl(settings)
}

// plainModule is a module's name as the kernel has it, which takes dashes for underscores.
func plainModule(name string) string { return strings.ReplaceAll(name, "-", "_") }

// moduleOf is the module without which the kernel does not know a setting, where it is one that nothing loads before
// kube-proxy runs.
func moduleOf(key string) string {
	switch {
	case strings.HasPrefix(key, "net.netfilter."), key == "net.nf_conntrack_max":
		return "nf_conntrack"
	case strings.HasPrefix(key, "net.ipv4.vs."):
		return "ip_vs"
	default:
		return ""
	}
}

// planIPVS puts the modules script where the profile wants it, if services are carried by ipvs.
func (m *machine) planIPVS() {
	proxy := m.Cluster.Spec.Kubernetes.Proxy
	m.conf.setBool("IPVS", m.usesIPVS())
	if m.usesIPVS() {
		m.conf.set("IPVS_SCRIPT", m.profile.Paths.IPVSModules.V)
		m.addFile(node.File{Path: m.profile.Paths.IPVSModules.V, Mode: 0o755, Contents: templates.IPVSModules(), Template: "scripts/ipvs.modules", At: proxy.Mode.At})
	}
}

func (m *machine) usesIPVS() bool { return m.Cluster.Spec.Kubernetes.Proxy.Mode.V == "ipvs" }

// sysctl are the profile's settings with the spec's over them.
func (m *machine) sysctl() map[string]string {
	settings := map[string]string{}
	for _, e := range m.profile.Sysctl.Entries {
		settings[e.Key] = e.Value.V
	}
	for _, e := range m.System.Sysctl.Entries {
		settings[e.Key] = e.Value.V
	}
	return settings
}

// planSysctl writes the settings sorted, so that a machine's file does not depend on who said what first.
func (m *machine) planSysctl(settings map[string]string) {
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(settings)) {
		fmt.Fprintf(&b, "%s = %s\n", key, settings[key])
	}
	m.addText(sysctlFile, b.String(), m.System.Sysctl.At)
	m.conf.set("SYSCTL_FILE", sysctlFile)
}

// or returns the first value that somebody set.
func or(candidates ...spec.Value[string]) spec.Value[string] {
	for _, c := range candidates {
		if c.Set {
			return c
		}
	}
	return spec.Value[string]{}
}
