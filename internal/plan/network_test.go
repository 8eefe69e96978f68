package plan

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"muster/internal/node"
	"muster/internal/spec"
)

// TestInterfaceWithTheNodesAddress: the node's own address is on the interface that network.interface names, beside
// what that interface has of its own, and what lies below it is brought up without an address. What DHCP gives a further
// card comes after what that interface has.
func TestInterfaceWithTheNodesAddress(t *testing.T) {
	const wide = "prefixLength: 24, gateway: 10.0.0.254, mtu: 1450, nameservers: [10.0.0.53], routes: [{to: 10.2.0.0/16, via: 10.0.0.3}], "
	prefix, address := netip.MustParsePrefix, netip.MustParseAddr
	own := func(name string) node.Link {
		return node.Link{
			Name: name, MTU: 1450, Addresses: []netip.Prefix{prefix("10.0.0.1/24")}, Gateway: address("10.0.0.254"), Nameservers: []netip.Addr{address("10.0.0.53")},
			Routes: []node.Route{{To: prefix("10.2.0.0/16"), Via: address("10.0.0.3")}},
		}
	}
	more := own("vlan5")
	more.MTU, more.Addresses = 1400, append(more.Addresses, prefix("10.1.0.1/24"))
	more.Routes = append(more.Routes, node.Route{To: prefix("10.3.0.0/16"), Via: address("10.1.0.3")})
	bare := func(names ...string) (out []node.Ethernet) {
		for _, name := range names {
			out = append(out, node.Ethernet{Link: node.Link{Name: name}})
		}
		return out
	}
	bond := node.Bond{Link: node.Link{Name: "bond0"}, Interfaces: []string{"eth0", "eth1"}, Mode: "active-backup"}
	ownBond := node.Bond{Link: own("bond0"), Interfaces: bond.Interfaces, Mode: bond.Mode}
	asks := func(name string, withoutDNS bool) node.Ethernet {
		return node.Ethernet{Link: node.Link{Name: name, DHCP4: true, DHCPMetric: 2000, DHCPWithoutDNS: withoutDNS}}
	}
	storage := node.Ethernet{MAC: "52:54:00:00:00:09", Link: node.Link{Name: "lan1", MTU: 9000, Optional: true, Addresses: []netip.Prefix{prefix("10.1.0.1/24")},
		Routes: []node.Route{{To: prefix("10.3.0.0/16"), Via: address("10.1.0.3"), Metric: 5}, {To: prefix("10.4.0.0/16"), Via: address("10.9.0.3"), OnLink: true}}}}
	dhcp := node.Link{Name: "vlan5", MTU: 1450, DHCP4: true}
	for said, want := range map[string]node.Network{
		wide + "interface: eth0": {Ethernets: []node.Ethernet{{Link: own("eth0")}}},
		wide + "interface: vlan5, vlans: {vlan5: {id: 5, link: eth0}}": {Ethernets: bare("eth0"), VLANs: []node.VLAN{{Link: own("vlan5"), ID: 5, Parent: "eth0"}}},
		wide + "interface: vlan5, vlans: {vlan5: {id: 5, link: eth0, mtu: 1400, addresses: [10.1.0.1/24], routes: [{to: 10.3.0.0/16, via: 10.1.0.3}]}}": {
			Ethernets: bare("eth0"), VLANs: []node.VLAN{{Link: more, ID: 5, Parent: "eth0"}}},
		wide + "interface: vlan5, bonds: {bond0: {interfaces: [eth0, eth1], parameters: {mode: active-backup}}}, vlans: {vlan5: {id: 5, link: bond0}}": {
			Ethernets: bare("eth0", "eth1"), Bonds: []node.Bond{bond}, VLANs: []node.VLAN{{Link: own("vlan5"), ID: 5, Parent: "bond0"}}},
		wide + "interface: eth0, vlans: {vlan5: {id: 5, link: eth0}, vlan6: {id: 6, link: eth1}}": {
			Ethernets: append([]node.Ethernet{{Link: own("eth0")}}, bare("eth1")...),
			VLANs:     []node.VLAN{{Link: node.Link{Name: "vlan5"}, ID: 5, Parent: "eth0"}, {Link: node.Link{Name: "vlan6"}, ID: 6, Parent: "eth1"}}},
		wide + "interface: bond0, bonds: {bond0: {interfaces: [eth0, eth1], parameters: {mode: active-backup}}}, vlans: {vlan5: {id: 5, link: eth2}}": {
			Ethernets: bare("eth0", "eth1", "eth2"), Bonds: []node.Bond{ownBond}, VLANs: []node.VLAN{{Link: node.Link{Name: "vlan5"}, ID: 5, Parent: "eth2"}}},
		wide + "interface: vlan5, vlans: {vlan5: {id: 5, link: eth0}, vlan6: {id: 6, link: eth1}}": {
			Ethernets: bare("eth0", "eth1"), VLANs: []node.VLAN{{Link: own("vlan5"), ID: 5, Parent: "eth0"}, {Link: node.Link{Name: "vlan6"}, ID: 6, Parent: "eth1"}}},
		wide + `interface: eth0, ethernets: {lan1: {match: {macaddress: "52:54:00:00:00:09"}, mtu: 9000, optional: true, addresses: [10.1.0.1/24],
          routes: [{to: 10.3.0.0/16, via: 10.1.0.3, metric: 5}, {to: 10.4.0.0/16, via: 10.9.0.3, on-link: true}]}}`: {Ethernets: []node.Ethernet{{Link: own("eth0")}, storage}},
		wide + "interface: eth0, ethernets: {eth1: {dhcp4: true}}": {Ethernets: []node.Ethernet{{Link: own("eth0")}, asks("eth1", true)}},
		"interface: eth1, prefixLength: 24, ethernets: {eth0: {dhcp4: true}}": {
			Ethernets: []node.Ethernet{{Link: node.Link{Name: "eth1", Addresses: []netip.Prefix{prefix("10.0.0.1/24")}}}, asks("eth0", false)}},
		"interface: eth0, ethernets: {eth1: {dhcp4: true}}": {Ethernets: []node.Ethernet{{Link: node.Link{Name: "eth0", DHCP4: true}}, asks("eth1", true)}},
		wide + "interface: bond0, bonds: {bond0: {interfaces: [eth0, eth1], parameters: {mode: active-backup}}}, ethernets: {eth1: {mtu: 9000}}": {
			Ethernets: []node.Ethernet{{Link: node.Link{Name: "eth1", MTU: 9000}}, bare("eth0")[0]}, Bonds: []node.Bond{ownBond}},
		wide + "interface: eth0, ethernets: {eth1: {dhcp4: true}}, vlans: {vlan5: {id: 5, link: eth1}}": {
			Ethernets: []node.Ethernet{{Link: own("eth0")}, asks("eth1", true)}, VLANs: []node.VLAN{{Link: node.Link{Name: "vlan5"}, ID: 5, Parent: "eth1"}}},
		"interface: vlan5, mtu: 1450, vlans: {vlan5: {id: 5, link: eth0}}": {Ethernets: bare("eth0"), VLANs: []node.VLAN{{Link: dhcp, ID: 5, Parent: "eth0"}}},
		"interface: vlan5, vlans: {vlan5: {id: 5, link: eth0, addresses: [10.1.0.1/24]}}": {
			Ethernets: bare("eth0"), VLANs: []node.VLAN{{Link: node.Link{Name: "vlan5", Addresses: []netip.Prefix{prefix("10.1.0.1/24")}}, ID: 5, Parent: "eth0"}}},
	} {
		machines, problems := planned(t, small+"      network: {"+said+"}\n")
		if len(problems) > 0 {
			t.Fatalf("%s: problems are %v", said, problems)
		}
		places, addresses := cmpopts.IgnoreTypes(spec.At{}), cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{})
		if diff := cmp.Diff(&want, machines[0].Config.Network, places, addresses, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s: the network differs (-want +got):\n%s", said, diff)
		}
	}
}
