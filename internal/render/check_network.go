package render

import (
	"net/netip"
	"regexp"
	"slices"

	"muster/internal/node"
	"muster/internal/problem"
)

var (
	interfaceName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,14}$`) // 15 bytes is the kernel's limit
	macAddress    = regexp.MustCompile(`^[0-9a-f]{2}(:[0-9a-f]{2}){5}$`)
	searchDomain  = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*\.?$`)
)

// The words of the kernel's bonding driver that both netplan and systemd-networkd know. An empty one leaves the default.
var (
	bondModes          = []string{"balance-rr", "active-backup", "balance-xor", "broadcast", "802.3ad", "balance-tlb", "balance-alb"}
	lacpRates          = []string{"", "slow", "fast"}
	transmitHashPolicy = []string{"", "layer2", "layer3+4", "layer2+3", "encap2+3", "encap3+4"}
)

const (
	mtuMin, mtuMax       = 68, 65535 // IPv4's least, and what a link can at most be set to
	vlanIDMin, vlanIDMax = 1, 4094
)

// checkNetwork reports every interface that some format would lose, or set up otherwise than the other one.
func checkNetwork(n node.Network, whole problem.At, refused *problem.List) {
	if len(n.Ethernets) == 0 {
		refused.Errorf(whole, "leave the network out for DHCP", "a network without an ethernet interface reaches nobody")
	}
	c := networkCheck{refused: refused, names: map[string]bool{}, macs: map[string]bool{}, members: map[string]bool{}}
	for _, e := range n.Ethernets {
		c.link(e.Link)
		c.ethernet(e)
	}
	for _, b := range n.Bonds {
		c.link(b.Link)
		c.bond(b, n)
	}
	for _, v := range n.VLANs {
		c.vlan(v)
		c.link(v.Link)
	}
}

type networkCheck struct {
	refused              *problem.List
	names, macs, members map[string]bool
}

// link checks what all interfaces have, and keeps its name for those that come after.
func (c networkCheck) link(l node.Link) {
	fail := func(instead, format string, args ...any) {
		c.refused.Errorf(l.At, instead, "interface %q: "+format, append([]any{l.Name}, args...)...)
	}
	switch {
	case !interfaceName.MatchString(l.Name):
		fail("use letters, digits, dots, hyphens and underscores, 15 at most", "is no name of an interface")
	case c.names[l.Name]:
		fail("write it once", "is there twice")
	}
	c.names[l.Name] = true
	if l.MTU != 0 && (l.MTU < mtuMin || l.MTU > mtuMax) {
		fail("write 68 to 65535", "the MTU %d does not exist", l.MTU)
	}
	if l.DHCPMetric < 0 || !l.DHCP4 && (l.DHCPMetric != 0 || l.DHCPWithoutDNS) {
		fail("leave it out, or ask DHCP", "what it takes of DHCP cannot be said")
	}
	for _, a := range l.Addresses {
		if !plainPrefix(a) {
			fail("write it as 192.0.2.1/24", "%s is no address with a prefix length", a)
		}
	}
	for _, a := range l.Nameservers {
		if !plainAddr(a) {
			fail("write it as 192.0.2.53", "%s is no address of a nameserver", a)
		}
	}
	for _, s := range l.Search {
		if !searchDomain.MatchString(s) {
			fail("write a domain name", "%q is no search domain", s)
		}
	}
	c.routing(l, fail)
}

// routing checks the gateway and the routes. Without an address beside them cloud-init drops both without a word.
func (c networkCheck) routing(l node.Link, fail func(instead, format string, args ...any)) {
	if l.Gateway != (netip.Addr{}) && (!plainAddr(l.Gateway) || !hasFamily(l.Addresses, l.Gateway)) {
		fail("write an address of the same family as well", "the gateway %s is not reached by any of its addresses", l.Gateway)
	}
	for _, r := range l.Routes {
		switch {
		case !plainPrefix(r.To) || r.To != r.To.Masked():
			fail("write it as 192.0.2.0/24", "%s is no destination of a route", r.To)
		case !plainAddr(r.Via) || r.Via.Is4() != r.To.Addr().Is4():
			fail("write an address of the same family", "the route to %s cannot go through %s", r.To, r.Via)
		case !l.DHCP4 && len(l.Addresses) == 0:
			fail("write an address as well", "has the route to %s and no address", r.To)
		case r.Metric < 0:
			fail("write a positive number", "the route to %s has the metric %d", r.To, r.Metric)
		}
	}
}

func (c networkCheck) ethernet(e node.Ethernet) {
	if e.MAC == "" {
		return
	}
	if !macAddress.MatchString(e.MAC) {
		c.refused.Errorf(e.At, "write six lower-case bytes with colons", "interface %q: %q is no MAC address", e.Name, e.MAC)
	}
	if c.macs[e.MAC] {
		c.refused.Errorf(e.At, "write it once", "interface %q: the MAC address %s is there twice", e.Name, e.MAC)
	}
	c.macs[e.MAC] = true
}

func (c networkCheck) bond(b node.Bond, n node.Network) {
	fail := func(instead, format string, args ...any) {
		c.refused.Errorf(b.At, instead, "bond %q: "+format, append([]any{b.Name}, args...)...)
	}
	if len(b.Interfaces) == 0 {
		fail("name them", "has no interfaces")
	}
	for _, name := range b.Interfaces {
		i := slices.IndexFunc(n.Ethernets, func(e node.Ethernet) bool { return e.Name == name })
		switch {
		case i < 0:
			fail("name an ethernet interface", "%q is no ethernet interface", name)
		case c.members[name]:
			fail("name it once", "%s is in a bond already", name)
		case hasTraffic(n.Ethernets[i].Link):
			fail("give them to the bond", "%s has addresses or routes of its own", name)
		}
		c.members[name] = true
	}
	if !slices.Contains(bondModes, b.Mode) {
		fail("use a mode of the kernel's bonding driver", "%q is no mode", b.Mode)
	}
	if !slices.Contains(lacpRates, b.LACPRate) || !slices.Contains(transmitHashPolicy, b.TransmitHash) || b.MIIMonitorMillis < 0 {
		fail("use the words of the kernel's bonding driver", "the LACP rate %q, the transmit hash policy %q or the link check every %d ms does not exist",
			b.LACPRate, b.TransmitHash, b.MIIMonitorMillis)
	}
}

func (c networkCheck) vlan(v node.VLAN) {
	if v.ID < vlanIDMin || v.ID > vlanIDMax {
		c.refused.Errorf(v.At, "write 1 to 4094", "vlan %q: the ID %d does not exist", v.Name, v.ID)
	}
	if !c.names[v.Parent] || c.members[v.Parent] {
		c.refused.Errorf(v.At, "name an ethernet interface or a bond", "vlan %q: cannot lie on %q", v.Name, v.Parent)
	}
}

// hasTraffic reports whether an interface is set up for anything but carrying others.
func hasTraffic(l node.Link) bool {
	return l.DHCP4 || len(l.Addresses) > 0 || len(l.Routes) > 0 || len(l.Nameservers) > 0 || len(l.Search) > 0 || l.Gateway.IsValid()
}

// plainAddr refuses the forms of addresses that some reader does not know: with a zone, and IPv4 inside IPv6.
func plainAddr(a netip.Addr) bool { return a.IsValid() && a.Zone() == "" && !a.Is4In6() }

func plainPrefix(p netip.Prefix) bool { return p.IsValid() && plainAddr(p.Addr()) }

func hasFamily(addresses []netip.Prefix, of netip.Addr) bool {
	return slices.ContainsFunc(addresses, func(a netip.Prefix) bool { return a.Addr().Is4() == of.Is4() })
}
