package plan

import (
	"strings"
	"testing"
)

// TestInterfaceOfFlannel: flannel is told the interface where all machines have it under one name, one that is found by
// its MAC included. Left to itself it takes that of the default route, and does not start without one.
func TestInterfaceOfFlannel(t *testing.T) {
	const mac, other = "      mac: 52:54:00:00:00:01\n", "    - {name: w1, role: worker, address: 10.0.0.2, mac: \"52:54:00:00:00:02\"}\n"
	for name, c := range map[string]struct{ nodes, more, want string }{
		"by name":            {other, "  network: {interface: eth1, prefixLength: 24}\n", "eth1"},
		"by MAC":             {mac + other, "  network: {prefixLength: 24}\n", "lan0"},
		"by MAC, DHCP":       {mac + other, "  network: {mtu: 1400}\n", "lan0"},
		"one by name":        {mac + "      network: {interface: eth1}\n" + other, "  network: {prefixLength: 24}\n", ""},
		"named lan0":         {"      network: {interface: lan0}\n" + other, "  network: {prefixLength: 24}\n", "lan0"},
		"further cards":      {mac + "      network: {interface: eth1, ethernets: {eth0: {dhcp4: true}}}\n" + other, "  network: {prefixLength: 24}\n", "$(HOST_IP)"},
		"further, one name":  {other, "  network: {interface: eth1, prefixLength: 24, ethernets: {eth0: {dhcp4: true}}}\n", "eth1"},
		"no network":         {mac + other, "", ""},
		"one has no network": {mac + "      network: {prefixLength: 24}\n" + other, "", ""},
		"a pool":             {mac, "  network: {prefixLength: 24}\n  pools: [{name: burst, role: worker, maxNodes: 3}]\n", ""},
	} {
		machines, problems := planned(t, small+c.nodes+c.more+"  cni: {flannel: {version: v0.28.4}}\n")
		if len(problems) > 0 {
			t.Fatalf("%s: %v", name, problems)
		}
		_, got, _ := strings.Cut(contentsOf(t, machines[0], manifests+"/flannel.yaml"), "--iface=")
		if got, _, _ = strings.Cut(got, `"`); got != c.want {
			t.Errorf("%s: flannel is told the interface %q, want %q", name, got, c.want)
		}
	}
}

// TestBackendWithoutModule: a backend that the profile's kernel has no module for is warned of, once for all machines.
func TestBackendWithoutModule(t *testing.T) {
	for _, c := range []struct{ profile, backend, want string }{
		{"centos7-docker", "wireguard", "cluster.yaml:11:28: warning: spec.cni.flannel.backend: the kernel of profile centos7-docker has no wireguard; write vxlan, unless your image has another kernel"},
		{"centos7-docker", "vxlan", ""}, {"debian12-containerd", "wireguard", ""},
	} {
		_, problems := planned(t, strings.Replace(small, "debian12-containerd", c.profile, 1)+"    - {name: w1, role: worker}\n  cni: {flannel: {backend: "+c.backend+"}}\n")
		var got []string
		for _, p := range problems {
			got = append(got, p.String())
		}
		if strings.Join(got, "\n") != c.want {
			t.Errorf("%v: problems are %v", c, got)
		}
	}
}
