package plan

import (
	"strings"
	"testing"
)

// TestModulesOfSettings: a setting that the kernel knows only with a module has it loaded first, at every boot, in
// whichever mode kube-proxy runs.
func TestModulesOfSettings(t *testing.T) {
	for settings, want := range map[string]string{
		"sysctl: {vm.max_map_count: \"1\"}": "overlay br_netfilter",
		"sysctl: {net.netfilter.nf_conntrack_max: \"1\", net.netfilter.nf_conntrack_buckets: \"1\"}": "overlay br_netfilter nf_conntrack",
		"sysctl: {net.nf_conntrack_max: \"1\"}":                                                      "overlay br_netfilter nf_conntrack",
		"sysctl: {net.ipv4.vs.conn_reuse_mode: \"0\"}":                                               "overlay br_netfilter ip_vs",
		"modules: [nf-conntrack, dummy], sysctl: {net.netfilter.nf_conntrack_max: \"1\"}":            "overlay br_netfilter nf-conntrack dummy",
	} {
		for _, mode := range []string{"iptables", "ipvs"} {
			machines, problems := planned(t, small+"  kubernetes: {proxy: {mode: "+mode+"}}\n  system: {"+settings+"}\n")
			if len(problems) > 0 {
				t.Fatal(problems)
			}
			if got := strings.Join(strings.Fields(contentsOf(t, machines[0], modulesFile)), " "); got != want {
				t.Errorf("%s, %s: %s has %s, want %s", settings, mode, modulesFile, got, want)
			}
			if conf := contentsOf(t, machines[0], ConfFile); !strings.Contains(conf, "\nMODULES=("+want+")\n") {
				t.Errorf("%s, %s: the script does not load %s:\n%s", settings, mode, want, conf)
			}
		}
	}
}
