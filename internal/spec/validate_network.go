package spec

import (
	"cmp"
	"fmt"
	"math/bits"
	"net/netip"
	"regexp"
	"slices"

	"muster/internal/decode"
	"muster/internal/problem"
)

var (
	networkScopeRules = []func(*validator, Scope){ruleInterfaceName, ruleNetmask, ruleMaskTwice, rulePrefixLength, ruleGatewaySyntax,
		ruleNameserver, ruleSearchDomain, ruleMTU, ruleFurtherAddress, ruleRouteTo, ruleRouteVia, ruleRouteMetric, ruleCardMAC, ruleVLANID, ruleVLANLink, ruleBondMembers,
		ruleBondMonitor, ruleLinkName, ruleNameserverCount}
	networkTargetRules  = []func(*validator, Target){ruleLinkWhole, ruleInterfaceInBond, ruleCardTwice, ruleCardInBond, ruleInterfaceDefined, ruleCardDefined, ruleVLANLinkDefined, ruleVLANOnVLAN}
	networkClusterRules = []func(*validator){rulePodSubnet, ruleServiceSubnetSize, ruleServiceSubnet, rulePodSubnetSize, ruleNetworksApart, ruleDNSDomain}
)

var interfaceName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.@-]{0,14}$`)

// maxInterfaceName is IFNAMSIZ of Linux without its final zero.
const maxInterfaceName = 15

// interfaceMistake tells what keeps a text from being the name of a network interface that every renderer can write.
func interfaceMistake(name string) string {
	switch {
	case len(name) > maxInterfaceName:
		return fmt.Sprintf("an interface's name has at most %d characters, this has %d", maxInterfaceName, len(name))
	case name == "." || name == ".." || !interfaceName.MatchString(name):
		return fmt.Sprintf("%q is no interface name", name)
	default:
		return ""
	}
}

// Rule: an interface's name is one that Linux takes, of at most 15 characters.
func ruleInterfaceName(v *validator, s Scope) {
	if name := s.Network.Interface; name.Set {
		if what := interfaceMistake(name.V); what != "" {
			v.errorf(name.At, "write the name that ip link shows, such as ens33", "%s", what)
		}
	}
}

// Rule: a VLAN has an id and a link, and a bond has interfaces and a mode; all that is said of it for the cluster, the
// role and the node counts together.
func ruleLinkWhole(v *validator, t Target) {
	if t.Node != nil {
		checkWhole(v, t, func(n Network) Map[VLAN] { return n.VLANs })
		checkWhole(v, t, func(n Network) Map[Bond] { return n.Bonds })
	}
}

// checkWhole reports what the node's VLANs or bonds lack where they are first spoken of: that is one place for all nodes
// that have them from a wider scope.
func checkWhole[T any](v *validator, t Target, links func(Network) Map[T]) {
	role := v.Spec.Worker
	if t.IsControlPlane() {
		role = v.Spec.ControlPlane
	}
	for _, link := range links(t.Network).Entries {
		first := link.At
		for _, n := range []Network{t.Node.Network, role.Network, v.Spec.Network} {
			for _, said := range links(n).Entries {
				if said.Key == link.Key {
					first = said.At
				}
			}
		}
		for _, lack := range decode.Missing(link.Value) {
			v.errorf(below(first, lack.Key), lack.Instead, "is missing")
		}
	}
}

// Rule: an interface that a bond joins has no address: network.interface is then the bond.
func ruleInterfaceInBond(v *validator, t Target) {
	name := t.Network.Interface
	if t.Node == nil || !name.Set {
		return
	}
	for _, bond := range t.Network.Bonds.Entries {
		joins := func(member Value[string]) bool { return member.V == name.V }
		if !slices.ContainsFunc(bond.Value.Interfaces.Items, joins) {
			continue
		}
		at := name.At
		if block := parentPath(parentPath(parentPath(bond.Value.Interfaces.Path))); scopeRank(block) > scopeRank(at.Path) { // other machines keep the wider one
			at = At{Path: block + ".interface"}
		}
		v.errorf(at, "write interface: "+bond.Key, "the bond %s joins %s and has the node's address in its place", bond.Key, name.V)
	}
}

// Rule: one of ethernets is not network.interface: what that interface has stands in network itself.
func ruleCardTwice(v *validator, t Target) {
	n := t.Network
	own := cmp.Or(n.Interface.V, "lan0") // as plan calls the one that is found by the node's mac
	for _, card := range n.Ethernets.Entries {
		if card.Key == own && t.Node != nil {
			v.errorf(card.At, "write in network itself what it has, and its hardware address as the node's mac", "%s is the interface that network is about", own)
		}
	}
}

// Rule: one of ethernets that a bond joins has no address, DHCP or routes: those are the bond's.
func ruleCardInBond(v *validator, t Target) {
	for _, bond := range t.Network.Bonds.Entries {
		for _, member := range bond.Value.Interfaces.Items {
			card, is := t.Network.Ethernets.Get(member.V)
			if !is || t.Node == nil {
				continue
			}
			at := cmp.Or(card.Addresses.At, card.Routes.At)
			if card.DHCP4.V {
				at = card.DHCP4.At
			}
			if card.DHCP4.V || len(card.Addresses.Items) > 0 || len(card.Routes.Items) > 0 {
				v.errorf(at, "leave it out; the bond's addresses and routes stand in bonds."+bond.Key, "the bond %s joins %s", bond.Key, member.V)
			}
		}
	}
}

// Rule: an interface that is called like a bond or a VLAN is one of bonds or vlans: it would be taken for a card.
func ruleInterfaceDefined(v *validator, t Target) { v.checkDefined(t, t.Network.Interface) }

// Rule: one of ethernets without match is a card: it is not called like a bond or a VLAN.
func ruleCardDefined(v *validator, t Target) {
	for _, card := range t.Network.Ethernets.Entries {
		if !card.Value.Match.MACAddress.Set {
			v.checkDefined(t, Value[string]{At: card.At, V: card.Key, Set: true})
		}
	}
}

// Rule: the interface below a VLAN is one of bonds, if it is called like a bond.
func ruleVLANLinkDefined(v *validator, t Target) {
	for _, vlan := range t.Network.VLANs.Entries {
		if vlan.Value.Link.V != vlan.Key { // otherwise refused by ruleVLANLink
			v.checkDefined(t, vlan.Value.Link)
		}
	}
}

// Rule: the interface below a VLAN is a card or a bond, and not another VLAN.
func ruleVLANOnVLAN(v *validator, t Target) {
	for _, vlan := range t.Network.VLANs.Entries {
		link := vlan.Value.Link
		if _, isVLAN := t.Network.VLANs.Get(link.V); isVLAN && link.V != vlan.Key && t.Node != nil {
			v.errorf(link.At, "write the name of a card or of a bond", "muster makes no VLAN on a VLAN, and %s is one", link.V)
		}
	}
}

var (
	bondName = regexp.MustCompile(`^bond[0-9]+$`)
	vlanName = regexp.MustCompile(`^(.+)\.([1-9][0-9]{0,3})$`)
)

// checkDefined refuses the name of a bond or VLAN that the spec does not have, and says what to define.
func (v *validator) checkDefined(t Target, name Value[string]) {
	n := t.Network
	_, isBond := n.Bonds.Get(name.V)
	_, isVLAN := n.VLANs.Get(name.V)
	if t.Node == nil || !name.Set || isBond || isVLAN {
		return
	}
	bond := func(name string) string {
		return define("bonds", name+": {interfaces: [ens33, ens34], parameters: {mode: active-backup}}", len(n.Bonds.Entries) > 0) + ", with its own cards"
	}
	m := vlanName.FindStringSubmatch(name.V)
	switch {
	case bondName.MatchString(name.V):
		v.errorf(name.At, "write "+bond(name.V), "%s has no bond %s", t.Name.V, name.V)
	case m != nil:
		instead := "write " + define("vlans", fmt.Sprintf("%s: {id: %s, link: %s}", name.V, m[2], m[1]), len(n.VLANs.Entries) > 0)
		if _, is := n.Bonds.Get(m[1]); !is && bondName.MatchString(m[1]) {
			instead += ", and " + bond(m[1])
		}
		v.errorf(name.At, instead, "%s has no VLAN %s", t.Name.V, name.V)
	}
}

// define says where in network an entry of a block is to be written.
func define(block, entry string, exists bool) string {
	if exists {
		return entry + " in network." + block
	}
	return fmt.Sprintf("%s: {%s} in network", block, entry)
}

// Rule: ethernets, vlans and bonds have names that Linux takes and that no other interface of the machine has.
func ruleLinkName(v *validator, s Scope) {
	seen := map[string]string{}
	check := func(at At, name, kind, example string) {
		if what := interfaceMistake(name); what != "" {
			v.errorf(at, "write a name such as "+example, "%s", what)
		} else if seen[name] != "" {
			v.errorf(at, "write another name", "%s has the name %s already", seen[name], name)
		}
		seen[name] = kind
	}
	for _, bond := range s.Network.Bonds.Entries {
		check(bond.At, bond.Key, "a bond", "bond0 or vlan10")
	}
	for _, card := range s.Network.Ethernets.Entries {
		check(card.At, card.Key, "a card", "ens34")
	}
	for _, vlan := range s.Network.VLANs.Entries {
		check(vlan.At, vlan.Key, "a VLAN", "bond0 or vlan10")
	}
}

// Rule: the MAC address that finds one of ethernets is that of a single interface, in lower case with colons.
func ruleCardMAC(v *validator, s Scope) {
	for _, card := range s.Network.Ethernets.Entries {
		v.checkMAC(card.Value.Match.MACAddress)
		v.checkUnicast(card.Value.Match.MACAddress, "write the card's own address, or leave match out")
	}
}

// Rule: a netmask is ones followed by zeros, 30 of them at most.
func ruleNetmask(v *validator, s Scope) {
	mask := s.Network.Netmask
	if !mask.Set {
		return
	}
	address, err := parseIPv4(mask.V)
	if err != nil {
		v.errorf(mask.At, "write it like 255.255.255.0", "%v", err)
		return
	}
	switch length, ok := maskBits(address); {
	case !ok:
		v.errorf(mask.At, "did you mean "+nearestMask(mask.V)+"?", "%s is no netmask: its bits are not ones followed by zeros", mask.V)
	case length > maxNodePrefix:
		v.errorf(mask.At, "write a shorter one, usually 255.255.255.0", "a node network with netmask %s has no room", mask.V)
	}
}

// nearestMask is the netmask that differs least from a text, in characters; among equals the one of the longest prefix
// up to /24, since typing errors hit the common masks.
func nearestMask(text string) string {
	best, bestCost := "", len(text)*4
	for _, length := range []int{24, 16, 8, 23, 22, 21, 20, 25, 26, 27, 28, 29, 30, 19, 18, 17, 15, 14, 13, 12, 11, 10, 9, 31, 32} {
		mask := maskOf(length)
		if cost := problem.Distance(text, mask); cost < bestCost {
			best, bestCost = mask, cost
		}
	}
	return best
}

// maskOf is a prefix length as a netmask.
func maskOf(length int) string {
	word := ^uint32(0) << (32 - length)
	return netip.AddrFrom4([4]byte{byte(word >> 24), byte(word >> 16), byte(word >> 8), byte(word)}).String()
}

// Rule: netmask and prefixLength do not stand together.
func ruleMaskTwice(v *validator, s Scope) {
	if s.Network.Netmask.Set && s.Network.PrefixLength.Set {
		v.errorf(s.Network.PrefixLength.At, "keep one of the two", "netmask says the same")
	}
}

// Rule: prefixLength is 1 to 32. With 32 the machine reaches others by a route whose next hop is on-link.
func rulePrefixLength(v *validator, s Scope) {
	if p := s.Network.PrefixLength; p.Set && (p.V < 1 || p.V > 32) {
		v.errorf(p.At, "write 1 to 32, usually 24", "no network is a /%d", p.V)
	}
}

// Rule: the gateway is an IPv4 address.
func ruleGatewaySyntax(v *validator, s Scope) { v.checkIPv4(s.Network.Gateway) }

// Rule: a nameserver is an IPv4 address.
func ruleNameserver(v *validator, s Scope) {
	for _, server := range s.Network.Nameservers.Items {
		v.checkIPv4(server)
	}
}

func (v *validator) checkIPv4(address Value[string]) {
	if !address.Set {
		return
	}
	if _, err := parseIPv4(address.V); err != nil {
		v.errorf(address.At, "write an IPv4 address such as 192.168.31.2", "%v", err)
	}
}

// Rule: a search domain is a DNS name.
func ruleSearchDomain(v *validator, s Scope) {
	for _, domain := range s.Network.Search.Items {
		if !domain.Set {
			continue
		}
		if what, instead := subdomainMistake(domain.V); what != "" {
			v.errorf(domain.At, instead, "%s", what)
		}
	}
}

// Rule: an MTU is 576 to 9216 bytes: what IPv4 hosts have to take, and what switches pass.
func ruleMTU(v *validator, s Scope) {
	sizes := []Value[int]{s.Network.MTU}
	for _, vlan := range s.Network.VLANs.Entries {
		sizes = append(sizes, vlan.Value.MTU)
	}
	for _, bond := range s.Network.Bonds.Entries {
		sizes = append(sizes, bond.Value.MTU)
	}
	for _, card := range s.Network.Ethernets.Entries {
		sizes = append(sizes, card.Value.MTU)
	}
	for _, mtu := range sizes {
		if mtu.Set && (mtu.V < 576 || mtu.V > 9216) {
			v.errorf(mtu.At, "write 576 to 9216, usually 1500", "an MTU of %d bytes does not work", mtu.V)
		}
	}
}

// furtherAddresses are all addresses with prefix length that a network block gives beside the node's own.
func furtherAddresses(n Network) []Value[string] {
	all := slices.Clone(n.Addresses.Items)
	for _, vlan := range n.VLANs.Entries {
		all = append(all, vlan.Value.Addresses.Items...)
	}
	for _, bond := range n.Bonds.Entries {
		all = append(all, bond.Value.Addresses.Items...)
	}
	for _, card := range n.Ethernets.Entries {
		all = append(all, card.Value.Addresses.Items...)
	}
	return all
}

// Rule: a further address has a prefix length.
func ruleFurtherAddress(v *validator, s Scope) {
	for _, address := range furtherAddresses(s.Network) {
		if !address.Set {
			continue
		}
		if _, err := parsePrefix4(address.V); err != nil {
			v.errorf(address.At, "write an address with its prefix length, such as 10.1.0.5/24", "%v", err)
		}
	}
}

func routes(n Network) []Route {
	all := slices.Clone(n.Routes.Items)
	for _, vlan := range n.VLANs.Entries {
		all = append(all, vlan.Value.Routes.Items...)
	}
	for _, bond := range n.Bonds.Entries {
		all = append(all, bond.Value.Routes.Items...)
	}
	for _, card := range n.Ethernets.Entries {
		all = append(all, card.Value.Routes.Items...)
	}
	return all
}

// Rule: a route leads to "default" or to a network without host bits.
func ruleRouteTo(v *validator, s Scope) {
	for _, route := range routes(s.Network) {
		if to := route.To; to.Set && to.V != "default" && to.V != "0.0.0.0/0" {
			v.checkNetwork(to, "write default, or a network such as 10.2.0.0/16")
		}
	}
}

// Rule: a route's next hop is an IPv4 address.
func ruleRouteVia(v *validator, s Scope) {
	for _, route := range routes(s.Network) {
		v.checkIPv4(route.Via)
	}
}

// Rule: a route's metric is not negative.
func ruleRouteMetric(v *validator, s Scope) {
	for _, route := range routes(s.Network) {
		if m := route.Metric; m.Set && (m.V < 0 || m.V > 1<<32-1) {
			v.errorf(m.At, "write 0 to 4294967295", "a route has no metric %d", m.V)
		}
	}
}

// Rule: a VLAN's tag is 1 to 4094.
func ruleVLANID(v *validator, s Scope) {
	for _, vlan := range s.Network.VLANs.Entries {
		if id := vlan.Value.ID; id.Set && (id.V < 1 || id.V > 4094) {
			v.errorf(id.At, "write 1 to 4094", "a VLAN has no tag %d", id.V)
		}
	}
}

// Rule: the interface below a VLAN has a name that Linux takes, and is not the VLAN itself.
func ruleVLANLink(v *validator, s Scope) {
	for _, vlan := range s.Network.VLANs.Entries {
		link := vlan.Value.Link
		if !link.Set {
			continue
		}
		if what := interfaceMistake(link.V); what != "" {
			v.errorf(link.At, "write the name of the interface below", "%s", what)
		} else if link.V == vlan.Key {
			v.errorf(link.At, "write the name of the interface below", "a VLAN cannot lie on itself")
		}
	}
}

// Rule: a bond joins interfaces that no other bond has, by names that Linux takes.
func ruleBondMembers(v *validator, s Scope) {
	taken := map[string]string{}
	for _, bond := range s.Network.Bonds.Entries {
		members := bond.Value.Interfaces
		if members.Set && len(members.Items) == 0 {
			v.errorf(members.At, "name the interfaces that it joins", "a bond without interfaces carries nothing")
		}
		for _, member := range members.Items {
			if !member.Set {
				continue
			}
			if what := interfaceMistake(member.V); what != "" {
				v.errorf(member.At, "write the name that ip link shows, such as ens33", "%s", what)
			} else if by, twice := taken[member.V]; twice {
				v.errorf(member.At, "keep it in one bond", "%s has the interface %s already", by, member.V)
			}
			taken[member.V] = bond.Key
		}
	}
}

// Rule: a bond's link check interval is not negative.
func ruleBondMonitor(v *validator, s Scope) {
	for _, bond := range s.Network.Bonds.Entries {
		if m := bond.Value.Parameters.MIIMonitorInterval; m.Set && (m.V < 0 || m.V > 60000) {
			v.errorf(m.At, "write milliseconds, usually 100", "a link check every %d ms does not work", m.V)
		}
	}
}

// Rule: the C library asks no more than three nameservers (a warning).
func ruleNameserverCount(v *validator, s Scope) {
	if servers := s.Network.Nameservers; len(servers.Items) > 3 {
		v.warnf(servers.Items[3].At, "write at most three", "nameservers after the third are never asked")
	}
}

// checkNetwork refuses what is not a network, or has host bits.
func (v *validator) checkNetwork(network Value[string], instead string) (netip.Prefix, bool) {
	if !network.Set {
		return netip.Prefix{}, false
	}
	prefix, err := parsePrefix4(network.V)
	switch {
	case err != nil:
		v.errorf(network.At, instead, "%v", err)
		return prefix, false
	case prefix != prefix.Masked():
		v.errorf(network.At, "write "+prefix.Masked().String(), "%s has bits set after its prefix", prefix)
		return prefix, false
	}
	return prefix, true
}

// Rule: podSubnet is an IPv4 network.
func rulePodSubnet(v *validator) {
	v.checkNetwork(v.Spec.Kubernetes.Networking.PodSubnet, "write a network such as "+DefaultPodSubnet)
}

// Rule: serviceSubnet is an IPv4 network.
func ruleServiceSubnet(v *validator) {
	v.checkNetwork(v.Spec.Kubernetes.Networking.ServiceSubnet, "write a network such as "+DefaultServiceSubnet)
}

// nodeMaskSize is the prefix length of the part of podSubnet that the controller-manager gives to each node
// (node-cidr-mask-size).
const nodeMaskSize = 24

// Rule: podSubnet has a /24 for each node of the spec and of its pools.
func rulePodSubnetSize(v *validator) {
	subnet := v.Spec.Kubernetes.Networking.PodSubnet
	prefix, err := parsePrefix4(subnet.V)
	if err != nil || v.nodeMaskChanged() {
		return
	}
	nodes := len(v.Spec.Nodes.Items)
	for _, p := range v.Spec.Pools.Items {
		if p.MaxNodes.V > 0 && p.MaxNodes.V <= maxPoolNodes { // otherwise refused by rulePoolSize
			nodes += p.MaxNodes.V
		}
	}
	room := 0
	if prefix.Bits() <= nodeMaskSize {
		room = 1 << (nodeMaskSize - prefix.Bits())
	}
	if nodes > room {
		need := nodeMaskSize - bits.Len(uint(nodes-1))
		v.errorf(subnet.At, fmt.Sprintf("write a network of at least a /%d, or set controllerManager.extraArgs node-cidr-mask-size", need),
			"at a /%d for each node %s has room for %d, and the spec may have %d", nodeMaskSize, prefix, room, nodes)
	}
}

// nodeMaskChanged reports whether the spec gives nodes parts of another size.
func (v *validator) nodeMaskChanged() bool {
	_, whole := v.Spec.Kubernetes.ControllerManager.ExtraArgs.Get("node-cidr-mask-size")
	_, four := v.Spec.Kubernetes.ControllerManager.ExtraArgs.Get("node-cidr-mask-size-ipv4")
	return whole || four
}

// Rule: serviceSubnet is a /12 to /28: the API server refuses more than 20 bits of addresses, and kubeadm needs the
// first ten for DNS.
func ruleServiceSubnetSize(v *validator) {
	subnet := v.Spec.Kubernetes.Networking.ServiceSubnet
	prefix, err := parsePrefix4(subnet.V)
	if err == nil && (prefix.Bits() < 12 || prefix.Bits() > 28) {
		v.errorf(subnet.At, "write a prefix length from 12 to 28, such as "+DefaultServiceSubnet, "a service network of /%d does not work", prefix.Bits())
	}
}

// block is a network that must not overlap with others, with what it is called.
type block struct {
	At
	name   string
	prefix netip.Prefix
}

// Rule: pod, service and node networks do not overlap.
func ruleNetworksApart(v *validator) {
	n := v.Spec.Kubernetes.Networking
	blocks := v.nodeNetworks()
	for _, inner := range []struct {
		name string
		Value[string]
	}{{"podSubnet", n.PodSubnet}, {"serviceSubnet", n.ServiceSubnet}} {
		prefix, err := parsePrefix4(inner.V)
		if err != nil || v.failed[inner.Path] {
			continue
		}
		own := block{At: inner.At, name: inner.name, prefix: prefix}
		for _, other := range blocks {
			if prefix.Overlaps(other.prefix) {
				v.reportOverlap(own, other)
				break
			}
		}
		blocks = append(blocks, own)
	}
}

// reportOverlap blames the network that is written in the file where one of the two is a default.
func (v *validator) reportOverlap(inner, other block) {
	if !inner.Known() && other.Known() {
		v.errorf(other.At, "write another network here, or set "+inner.Path, "%s %s overlaps with the default %s %s", other.name, other.prefix, inner.name, inner.prefix)
		return
	}
	v.errorf(inner.At, "write a private network that nothing else uses", "%s overlaps with %s %s", inner.prefix, other.name, other.prefix)
}

// nodeNetworks are the networks that nodes have addresses in; a node with DHCP counts with its address alone.
func (v *validator) nodeNetworks() []block {
	var all []block
	seen := map[netip.Prefix]bool{}
	add := func(at At, name string, prefix netip.Prefix) {
		if !seen[prefix] && !v.failed[at.Path] {
			seen[prefix] = true
			all = append(all, block{At: at, name: name, prefix: prefix})
		}
	}
	for _, t := range v.targets {
		if t.Node == nil {
			continue
		}
		if prefix, ok := t.StaticAddress(); ok {
			add(t.Node.Address.At, "the node network", prefix.Masked())
		} else if address, err := parseIPv4(t.Node.Address.V); err == nil {
			add(t.Node.Address.At, "the address of "+t.Name.V, netip.PrefixFrom(address, 32))
		}
		for _, further := range furtherAddresses(t.Network) {
			if prefix, err := parsePrefix4(further.V); err == nil {
				add(further.At, "the node network", prefix.Masked())
			}
		}
	}
	slices.SortStableFunc(all, func(a, b block) int { return cmp.Compare(a.Line, b.Line) })
	return all
}

// Rule: dnsDomain is a DNS name.
func ruleDNSDomain(v *validator) {
	if domain := v.Spec.Kubernetes.Networking.DNSDomain; domain.Set {
		if what, instead := subdomainMistake(domain.V); what != "" {
			v.errorf(domain.At, instead, "%s", what)
		}
	}
}
