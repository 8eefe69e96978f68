package render_test

import (
	"bytes"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"muster/internal/consumer"
	"muster/internal/node"
	"muster/internal/render"
)

// TestBothFormatsMeanTheSameNetwork compares the files that Ignition brings for systemd-networkd with those that netplan
// writes for it from the network-config, and, for what that renderer knows, with those that cloud-init writes itself.
func TestBothFormatsMeanTheSameNetwork(t *testing.T) {
	cfg := sample()
	root := t.TempDir()
	consumer.IgnitionApply(t, data(t, mustEncode(t, render.Ignition, flatcar, cfg), render.IgnitionConfig), root)
	ours := meaning(filesOf(t, filepath.Join(root, "etc/systemd/network")))
	config := data(t, mustEncode(t, render.CloudInit, render.Butane{}, cfg), render.NetworkConfig)
	if diff := cmp.Diff(ours, meaning(netplan(t, config))); diff != "" {
		t.Errorf("netplan's files mean something else (- ours, + netplan's): %s", diff)
	}

	// cloud-init's own renderer writes no .netdev files, cloud-init renames interfaces itself, and what it loses of routes is
	// refused where it writes the files.
	cfg.Network.Bonds, cfg.Network.VLANs = nil, nil
	for i := range cfg.Network.Ethernets {
		withoutLosses(&cfg.Network.Ethernets[i].Link)
	}
	root = t.TempDir()
	consumer.IgnitionApply(t, data(t, mustEncode(t, render.Ignition, flatcar, cfg), render.IgnitionConfig), root)
	ours = meaning(filesOf(t, filepath.Join(root, "etc/systemd/network")))
	for name := range ours {
		ours[name] = slices.DeleteFunc(ours[name], func(s string) bool {
			return strings.HasPrefix(s, "rename ") || strings.HasPrefix(s, "Network.Bond ") || strings.HasPrefix(s, "Network.VLAN ")
		})
		if len(ours[name]) == 0 {
			delete(ours, name)
		}
	}
	config = data(t, mustEncode(t, render.CloudInit, render.Butane{}, cfg), render.NetworkConfig)
	if diff := cmp.Diff(ours, meaning(consumer.NetConvert(t, config, "networkd"))); diff != "" {
		t.Errorf("cloud-init's files mean something else (- ours, + cloud-init's): %s", diff)
	}
}

// withoutLosses takes away what only netplan and Ignition carry.
func withoutLosses(l *node.Link) {
	l.Optional = false
	for i := range l.Routes {
		l.Routes[i].Metric, l.Routes[i].OnLink = 0, false
	}
}

// TestOtherRenderersTakeTheNetwork lets cloud-init write the network in the ways of Debian and of CentOS.
func TestOtherRenderersTakeTheNetwork(t *testing.T) {
	cfg := sample()
	config := data(t, mustEncode(t, render.CloudInit, render.Butane{}, cfg), render.NetworkConfig)
	for renderer, want := range map[string][]string{
		"eni": {"iface ens33 inet static", "address 192.168.31.128/24", "gateway 192.168.31.2", "iface ens33.7", "bond-mode 802.3ad", "iface 1e3 inet dhcp\n    metric 2000"},
		"sysconfig": {"DEVICE=ens33\n", "HWADDR=00:11:22:33:44:55", "IPADDR=192.168.31.128", "GATEWAY=192.168.31.2", "DNS1=223.5.5.5", "BONDING_OPTS=\"mode=802.3ad", "DEVICE=ens33.7",
			"BOOTPROTO=dhcp\nDEVICE=1e3\nMETRIC=2000\n"},
	} {
		var all strings.Builder
		for _, text := range consumer.NetConvert(t, config, renderer) {
			all.WriteString(text)
		}
		for _, w := range want {
			if !strings.Contains(all.String(), w) {
				t.Errorf("%s has no %q:\n%s", renderer, w, all.String())
			}
		}
	}
}

// netplan returns the files that Debian 12's netplan writes for systemd-networkd. It runs in the root that make tools makes:
// installed on a machine, netplan would take part in that machine's own next boot.
func netplan(t *testing.T, networkConfig []byte) map[string]string {
	t.Helper()
	debian, err := filepath.Abs("../../build/chroot-debian12")
	check(t, err)
	root, err := os.MkdirTemp(filepath.Join(debian, "tmp"), "netplan-")
	check(t, err)
	t.Cleanup(func() { check(t, os.RemoveAll(root)) })
	write(t, root, "etc/netplan/50-test.yaml", "network:\n  renderer: networkd\n"+string(indent(networkConfig)))
	if out, err := exec.Command("chroot", debian, "netplan", "generate", "--root-dir", "/tmp/"+filepath.Base(root)).CombinedOutput(); err != nil {
		t.Fatalf("netplan (run make tools): %v\n%s", err, out)
	}
	return filesOf(t, filepath.Join(root, "run/systemd/network"))
}

func indent(text []byte) []byte {
	return append([]byte("  "), bytes.ReplaceAll(bytes.TrimSpace(text), []byte("\n"), []byte("\n  "))...)
}

func filesOf(t *testing.T, folder string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(folder)
	check(t, err)
	files := map[string]string{}
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(folder, e.Name()))
		check(t, err)
		files[e.Name()] = string(text)
	}
	return files
}

// meaning reduces files of systemd-networkd to sorted statements for each interface, with one way to say what several
// settings say. A file is told to its interface by the name in its own name.
func meaning(files map[string]string) map[string][]string {
	all := map[string][]string{}
	for file, text := range files {
		name := file[strings.LastIndexByte(file, '-')+1:]
		kind := filepath.Ext(name)
		name = strings.TrimSuffix(name, kind)
		section, route := "", ""
		say := func(s string) {
			if s != "" {
				all[name] = append(all[name], s)
			}
		}
		for line := range strings.Lines(text + "[End]\n") {
			line = strings.TrimSpace(line)
			if strings.HasPrefix(line, "[") {
				say(route)
				section, route = strings.Trim(line, "[]"), ""
				if section == "Route" {
					route = "route"
				}
				continue
			}
			key, value, isSetting := strings.Cut(line, "=")
			if !isSetting || strings.HasPrefix(line, "#") {
				continue
			}
			if section == "Route" {
				route += " " + key + " " + strings.Replace(value, "yes", "true", 1)
				continue
			}
			for _, s := range statements(kind, section, key, value) {
				say(s)
			}
		}
	}
	for name := range all {
		all[name] = canonicalRoutes(all[name])
		slices.Sort(all[name])
		all[name] = slices.Compact(all[name])
	}
	return all
}

// statements are what one setting outside of routes says.
func statements(kind, section, key, value string) []string {
	switch section + "." + key {
	case "Match.MACAddress", "Match.PermanentMACAddress":
		return []string{"mac " + value}
	case "Match.Name", "Match.Kind", "Match.Type", "NetDev.Name", "Link.WakeOnLan", "Network.LinkLocalAddressing", "Network.ConfigureWithoutCarrier", "DHCP.UseMTU":
		return nil // how to find the interface, or what netplan says always
	case "Link.Name":
		return []string{"rename " + value}
	case "Network.DHCP":
		if value == "no" {
			return nil
		}
		return []string{"dhcp " + strings.Replace(value, "yes", "ipv4", 1)}
	case "Link.RequiredForOnline":
		return []string{"optional"}
	case "DHCP.RouteMetric", "DHCPv4.RouteMetric":
		return []string{"dhcp metric " + value}
	case "DHCP.UseDNS", "DHCPv4.UseDNS":
		return []string{"dhcp without DNS " + strings.Replace(strings.ToLower(value), "no", "false", 1)}
	case "Network.Gateway":
		return []string{"route Gateway " + value}
	case "Network.Domains", "Network.DNS":
		var all []string
		for _, v := range strings.Fields(value) {
			all = append(all, key+" "+v)
		}
		return all
	case "NetDev.MTUBytes", "Link.MTUBytes":
		return []string{"MTU " + value}
	}
	if section == "Address" {
		section = "Network" // a section of its own for one address says the same
	}
	return []string{section + "." + key + " " + value}
}

// canonicalRoutes writes a default route without its destination, and destination before gateway.
func canonicalRoutes(all []string) []string {
	for i, s := range all {
		words := strings.Fields(s)
		if words[0] != "route" {
			continue
		}
		to, via, more := "", "", ""
		for j := 1; j+1 < len(words); j += 2 {
			if words[j] == "Gateway" {
				via = words[j+1]
			} else if words[j] != "Destination" {
				more += " " + words[j] + " " + words[j+1]
			} else if p, err := netip.ParsePrefix(words[j+1]); err == nil && p.Bits() > 0 {
				to = " to " + p.String()
			}
		}
		all[i] = "route" + to + " via " + via + more
	}
	return all
}

// TestInterfaceOfOneName guards the plainest network: one interface by its name, one address.
func TestInterfaceOfOneName(t *testing.T) {
	cfg := small()
	cfg.Network = &node.Network{Ethernets: []node.Ethernet{{Link: node.Link{Name: "ens33", Addresses: []netip.Prefix{netip.MustParsePrefix("192.168.31.128/24")},
		Gateway: netip.MustParseAddr("192.168.31.2")}}}}
	got := string(data(t, mustEncode(t, render.CloudInit, render.Butane{}, cfg), render.NetworkConfig))
	want := "version: 2\nethernets:\n  \"ens33\":\n    addresses:\n      - \"192.168.31.128/24\"\n    gateway4: \"192.168.31.2\"\n"
	if got != want {
		t.Errorf("network-config is\n%s\nwant\n%s", got, want)
	}
}
