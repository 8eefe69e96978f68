package plan

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"muster/internal/decode"
	"muster/internal/node"
	"muster/internal/problem"
	"muster/internal/spec"
)

// planNetwork plans the static network; without a network block the machine asks DHCP.
func (m *machine) planNetwork() {
	n := m.Network
	if !n.Known() || m.Node == nil {
		return
	}
	link := node.Link{Name: linkName(m.Target), MTU: n.MTU.V, At: n.At}
	if prefix, static := m.StaticAddress(); static {
		link.Addresses = append(link.Addresses, prefix)
		link.Gateway = address(n.Gateway.V)
	} else {
		link.DHCP4 = true
	}
	link.Addresses = append(link.Addresses, prefixes(n.Addresses)...)
	link.Nameservers = addresses(n.Nameservers)
	link.Search = decode.Strings(n.Search)
	link.Routes = m.routes(n.Routes)
	network := &node.Network{Ethernets: m.ethernets(n), Bonds: m.bonds(n), VLANs: m.vlans(n)}
	m.placeLink(network, link)
	m.config.Network = network
}

// linkName is the name of the interface that has a machine's own address, and "" where nothing is said of it. One that
// is found by its MAC is given a name, since cloud-init's older renderers want one.
func linkName(t spec.Target) string {
	if t.Node == nil || !t.Network.Known() {
		return ""
	}
	return cmp.Or(t.Network.Interface.V, "lan0")
}

// placeLink gives the machine's own address to the interface that carries it: a bond or VLAN of that name if there is
// one, else an Ethernet interface. The interfaces below bonds and VLANs get no address.
func (m *machine) placeLink(network *node.Network, link node.Link) {
	for i := range network.Bonds {
		for _, name := range network.Bonds[i].Interfaces {
			addCard(network, name, network.Bonds[i].At)
		}
	}
	if virtual := virtualLink(network, link.Name); virtual != nil {
		*virtual = mergeLinks(*virtual, link)
	} else {
		network.Ethernets = append([]node.Ethernet{{Link: link, MAC: strings.ToLower(m.Node.MAC.V)}}, network.Ethernets...)
	}
	for _, v := range network.VLANs {
		if virtualLink(network, v.Parent) == nil {
			addCard(network, v.Parent, m.Network.At)
		}
	}
}

// virtualLink is the bond or VLAN of a name, if there is one.
func virtualLink(network *node.Network, name string) *node.Link {
	for i := range network.Bonds {
		if network.Bonds[i].Name == name {
			return &network.Bonds[i].Link
		}
	}
	for i := range network.VLANs {
		if network.VLANs[i].Name == name {
			return &network.VLANs[i].Link
		}
	}
	return nil
}

// addCard makes sure that a card below a bond or a VLAN is brought up, whether or not the spec says more of it.
func addCard(network *node.Network, name string, at problem.At) {
	if !slices.ContainsFunc(network.Ethernets, func(e node.Ethernet) bool { return e.Name == name }) {
		network.Ethernets = append(network.Ethernets, node.Ethernet{Link: node.Link{Name: name, At: at}})
	}
}

func mergeLinks(own, machine node.Link) node.Link {
	machine.Addresses = append(machine.Addresses, own.Addresses...)
	machine.Routes = append(machine.Routes, own.Routes...)
	if own.MTU != 0 {
		machine.MTU = own.MTU
	}
	machine.DHCP4 = machine.DHCP4 && len(own.Addresses) == 0
	return machine
}

// furtherMetric is the metric of what DHCP gives a further card. The default routes of network.interface come before it:
// that of a gateway has 0, and one of DHCP's 100 with netplan, 1024 with systemd-networkd alone.
const furtherMetric = 2000

// ethernets are the further cards. With two nameservers for everything, either may be asked, so those that DHCP gives one
// of these are used only where there are no others.
func (m *machine) ethernets(n spec.Network) []node.Ethernet {
	_, static := m.StaticAddress()
	others := !static || len(n.Nameservers.Items) > 0
	var out []node.Ethernet
	for _, e := range n.Ethernets.Entries {
		c := e.Value
		link := node.Link{Name: e.Key, DHCP4: c.DHCP4.V, Optional: c.Optional.V, Addresses: prefixes(c.Addresses), Routes: m.routes(c.Routes), MTU: c.MTU.V, At: e.At}
		if c.DHCP4.V {
			link.DHCPMetric, link.DHCPWithoutDNS = furtherMetric, others
		}
		out = append(out, node.Ethernet{Link: link, MAC: strings.ToLower(c.Match.MACAddress.V)})
	}
	return out
}

func (m *machine) bonds(n spec.Network) []node.Bond {
	var out []node.Bond
	for _, e := range n.Bonds.Entries {
		p := e.Value.Parameters
		out = append(out, node.Bond{
			Link:       node.Link{Name: e.Key, Addresses: prefixes(e.Value.Addresses), Routes: m.routes(e.Value.Routes), MTU: e.Value.MTU.V, At: e.At},
			Interfaces: decode.Strings(e.Value.Interfaces), Mode: p.Mode.V, MIIMonitorMillis: p.MIIMonitorInterval.V, LACPRate: p.LACPRate.V, TransmitHash: p.TransmitHashPolicy.V,
		})
	}
	return out
}

func (m *machine) vlans(n spec.Network) []node.VLAN {
	var out []node.VLAN
	for _, e := range n.VLANs.Entries {
		out = append(out, node.VLAN{
			Link: node.Link{Name: e.Key, Addresses: prefixes(e.Value.Addresses), Routes: m.routes(e.Value.Routes), MTU: e.Value.MTU.V, At: e.At},
			ID:   e.Value.ID.V, Parent: e.Value.Link.V,
		})
	}
	return out
}

// The spec's validator has parsed every address before a plan is made, so what does not parse here is the zero address
// and never reaches a document.

func address(text string) netip.Addr {
	a, _ := netip.ParseAddr(text)
	return a
}

func addresses(l spec.List[spec.Value[string]]) []netip.Addr {
	var out []netip.Addr
	for _, v := range l.Items {
		out = append(out, address(v.V))
	}
	return out
}

func prefixes(l spec.List[spec.Value[string]]) []netip.Prefix {
	var out []netip.Prefix
	for _, v := range l.Items {
		p, _ := netip.ParsePrefix(v.V)
		out = append(out, p)
	}
	return out
}

func (m *machine) routes(l spec.List[spec.Route]) []node.Route {
	var out []node.Route
	for _, r := range l.Items {
		to, err := netip.ParsePrefix(r.To.V)
		if err != nil { // the word default
			to = netip.PrefixFrom(netip.IPv4Unspecified(), 0)
			if address(r.Via.V).Is6() {
				to = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
			}
		}
		out = append(out, node.Route{To: to, Via: address(r.Via.V), Metric: r.Metric.V, OnLink: r.OnLink.V, At: r.Metric.At.Or(r.OnLink.At)})
	}
	return out
}
