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
	modules := decode.Strings(m.profile.Modules)
	for _, v := range m.System.Modules.Items {
		if !slices.Contains(modules, v.V) {
			modules = append(modules, v.V)
		}
	}
	m.addText(modulesFile, strings.Join(modules, "\n")+"\n", m.System.Modules.At)
	m.conf.setList("MODULES", modules)
	m.planIPVS()
	m.planSysctl()
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

// planSysctl writes the profile's settings with the spec's over them, sorted, so that a machine's file does not depend
// on who said what first.
func (m *machine) planSysctl() {
	settings := map[string]string{}
	for _, e := range m.profile.Sysctl.Entries {
		settings[e.Key] = e.Value.V
	}
	for _, e := range m.System.Sysctl.Entries {
		settings[e.Key] = e.Value.V
	}
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
