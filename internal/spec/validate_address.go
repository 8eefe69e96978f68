package spec

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

var (
	addressTargetRules = []func(*validator, Target){ruleAddressSyntax, ruleAddressUsable, ruleControlPlaneAddress, ruleStaticAddress, ruleMaskGiven,
		ruleAddressFromDHCP, ruleInterfaceKnown, ruleDefaultRouteTwice, ruleAddressOfHost, ruleAddressNotGateway, ruleAdvertiseAddress, ruleAdvertiseOnControlPlane}
	addressClusterRules = []func(*validator){ruleAddressInNetwork, ruleGatewayOfHost, ruleSameNetwork, ruleAddressTwice, ruleRouteReachable}
)

// Rule: a node's address is an IPv4 address without a prefix length.
func ruleAddressSyntax(v *validator, t Target) {
	if t.Node == nil || !t.Node.Address.Set {
		return
	}
	address := t.Node.Address
	if _, err := parseIPv4(address.V); err == nil {
		return
	} else if plain, _, cut := strings.Cut(address.V, "/"); cut && ipv4Like(plain) {
		v.errorf(address.At, "write "+plain+"; the prefix length is network.prefixLength", "%v", err)
	} else {
		v.errorf(address.At, "write an IPv4 address such as 192.168.31.130", "%v", err)
	}
}

// Rule: a node's address is one that other machines can reach: no loopback, multicast, link-local or unspecified one.
func ruleAddressUsable(v *validator, t Target) {
	if t.Node == nil {
		return
	}
	if address, err := parseIPv4(t.Node.Address.V); err == nil && !reachable(address) {
		v.errorf(t.Node.Address.At, "write the address that other machines reach it by", "no other machine reaches %s", address)
	}
}

func reachable(a netip.Addr) bool {
	return a.IsGlobalUnicast() && !netip.PrefixFrom(netip.AddrFrom4([4]byte{240}), 4).Contains(a) && a.As4()[0] != 0
}

// Rule: a control plane has an address, with a static network or with DHCP: the others find it by that.
func ruleControlPlaneAddress(v *validator, t Target) {
	if t.Node != nil && t.IsControlPlane() && !t.Node.Address.Known() {
		v.errorf(below(t.Node.At, "address"), "write for example address: 192.168.31.130; with DHCP, the one that the server always gives it", "a control plane needs an address")
	}
}

// Rule: a node with a static network has an address.
func ruleStaticAddress(v *validator, t Target) {
	if t.Node != nil && t.Network.Static() && !t.Node.Address.Known() {
		v.errorf(below(t.Node.At, "address"), "write the node's address, or move network to the nodes that it is for", "a static network needs an address")
	}
}

// Rule: a network with a gateway has a netmask or prefixLength.
func ruleMaskGiven(v *validator, t Target) {
	n := t.Network
	if t.Node != nil && n.Gateway.Known() && !n.Netmask.Known() && !n.PrefixLength.Known() {
		v.errorf(below(n.At, "netmask"), "write netmask: 255.255.255.0 or prefixLength: 24", "a static network needs a mask")
	}
}

// Rule: without mask and gateway a node's address is not set on its interface (a warning).
func ruleAddressFromDHCP(v *validator, t Target) {
	if t.Node != nil && t.Network.Known() && !t.Network.Static() && t.Node.Address.Set {
		v.warnf(below(t.Network.At, "netmask"), "write netmask or prefixLength to set it, or leave network out if DHCP gives it", "without a mask DHCP has to give %s the address %s", t.Name.V, t.Node.Address.V)
	}
}

// Rule: a network block knows its interface by network.interface or by the node's mac.
func ruleInterfaceKnown(v *validator, t Target) {
	n := t.Network
	if t.Node != nil && n.Known() && !n.Interface.Known() && !t.Node.MAC.Known() {
		v.errorf(below(n.At, "interface"), "write interface: ens33 here, or the node's mac", "a network block needs an interface, and %s has no mac to find it by", t.Name.V)
	}
}

// Rule: there is one default route: by gateway, or by a route without a metric.
func ruleDefaultRouteTwice(v *validator, t Target) {
	found, instead := t.Network.Gateway.Set, "leave one out"
	if v.facts.Profiles[t.Profile.V].KeepsRoutes {
		instead = "leave one out, or give this one a metric"
	}
	for _, route := range routes(t.Network) {
		if route.Metric.Set || route.To.V != "default" && route.To.V != "0.0.0.0/0" {
			continue
		}
		if found {
			v.errorf(route.To.At, instead, "the network has a default route already")
		}
		found = true
	}
}

// Rule: a node's address is neither its network's own address nor its broadcast address.
func ruleAddressOfHost(v *validator, t Target) {
	prefix, ok := t.StaticAddress()
	if !ok || prefix.Bits() > maxNodePrefix { // a /31 or /32 has neither
		return
	}
	switch prefix.Addr() {
	case prefix.Masked().Addr():
		v.errorf(t.Node.Address.At, "write an address inside the network", "%s is the address of the network %s itself", prefix.Addr(), prefix.Masked())
	case broadcast(prefix):
		v.errorf(t.Node.Address.At, "write an address inside the network", "%s is the broadcast address of %s", prefix.Addr(), prefix.Masked())
	}
}

// Rule: a node's address is not its gateway's.
func ruleAddressNotGateway(v *validator, t Target) {
	if t.Node != nil && t.Node.Address.Set && t.Network.Gateway.Set && t.Node.Address.V == t.Network.Gateway.V {
		v.errorf(t.Node.Address.At, "write the node's own address, or the gateway's right one", "%s is the gateway", t.Node.Address.V)
	}
}

// Rule: an API server's advertiseAddress is an IPv4 address that other machines can reach.
func ruleAdvertiseAddress(v *validator, t Target) {
	advertised := t.Kubernetes.APIServer.AdvertiseAddress
	v.checkIPv4(advertised)
	if address, err := parseIPv4(advertised.V); err == nil && !reachable(address) {
		v.errorf(advertised.At, "write the address that other machines reach it by", "no other machine reaches %s", address)
	}
}

// Rule: advertiseAddress differs from one control plane to the next, so a cluster of several names it per node.
func ruleAdvertiseOnControlPlane(v *validator, t Target) {
	advertised := t.Kubernetes.APIServer.AdvertiseAddress
	switch own := t.Node != nil && t.Node.Kubernetes.APIServer.AdvertiseAddress.Set; {
	case !advertised.Set:
	case t.Node != nil && t.IsControlPlane() && !own && len(v.ControlPlanes()) > 1:
		v.errorf(advertised.At, "write it at each node, or leave it out: the node's address is the default", "several control planes cannot advertise one address")
	case own && !t.IsControlPlane():
		v.errorf(advertised.At, "leave it out", "a worker runs no API server")
	}
}

// Rule: a node's address lies in the network of its gateway.
func ruleAddressInNetwork(v *validator) {
	for _, group := range v.byGateway() {
		var outside []Target
		for _, t := range group {
			if !networkOf(t).Contains(t.gateway()) {
				outside = append(outside, t)
			}
		}
		if len(outside) == len(group) {
			gateway, prefix := group[0].Network.Gateway, networkOf(group[0])
			v.errorf(gateway.At, v.reachGateway(group[0]), "%s is outside the node network %s of %s", gateway.V, prefix, group[0].Name.V)
			continue
		}
		for _, t := range outside {
			own, _ := t.StaticAddress()
			network := netip.PrefixFrom(t.gateway(), own.Bits()).Masked()
			v.errorf(t.Node.Address.At, "write an address of that network, or give the node a network block of its own", "%s is outside the node network %s", own.Addr(), network)
		}
	}
}

// reachGateway says what to write where a gateway is outside the network of a node.
func (v *validator) reachGateway(t Target) string {
	switch prefix := networkOf(t); {
	case !prefix.IsSingleIP():
		return "write the gateway's address in " + prefix.String()
	case v.facts.Profiles[t.Profile.V].KeepsRoutes:
		return fmt.Sprintf("write routes: [{to: default, via: %s, on-link: true}] in place of gateway", t.Network.Gateway.V)
	default:
		return "write the prefix length of a network that the gateway is in as well"
	}
}

// Rule: a gateway is neither its network's own address nor its broadcast address.
func ruleGatewayOfHost(v *validator) {
	for _, group := range v.byGateway() {
		gateway, network := group[0].gateway(), networkOf(group[0])
		if network.Bits() <= maxNodePrefix && (gateway == network.Addr() || gateway == broadcast(network)) {
			v.errorf(group[0].Network.Gateway.At, "write the address of a router in "+network.String(), "%s is the network or broadcast address of %s", gateway, network)
		}
	}
}

// Rule: without a gateway and routes, all nodes with a static network lie in the same one.
func ruleSameNetwork(v *validator) {
	var first Target
	for _, t := range v.targets {
		prefix, static := t.StaticAddress()
		if !static || t.Network.Gateway.Known() || len(routes(t.Network)) > 0 {
			continue
		}
		switch {
		case first.Node == nil:
			first = t
		case prefix.Masked() != networkOf(first):
			v.errorf(t.Node.Address.At, "write an address of that network, or give network.gateway or routes",
				"%s is outside the network %s of %s, and there is no gateway", prefix.Addr(), networkOf(first), first.Name.V)
		}
	}
}

// byGateway groups the nodes with a whole static network by the line that gives their gateway, in the order of the
// file.
func (v *validator) byGateway() [][]Target {
	var groups [][]Target
	index := map[string]int{}
	for _, t := range v.targets {
		_, static := t.StaticAddress()
		if _, err := parseIPv4(t.Network.Gateway.V); !static || err != nil {
			continue
		}
		at := t.Network.Gateway.Path
		if _, met := index[at]; !met {
			index[at] = len(groups)
			groups = append(groups, nil)
		}
		groups[index[at]] = append(groups[index[at]], t)
	}
	return groups
}

// gateway is the parsed gateway of a target of byGateway.
func (t Target) gateway() netip.Addr {
	address, _ := parseIPv4(t.Network.Gateway.V)
	return address
}

// networkOf is the network of a target's own static address.
func networkOf(t Target) netip.Prefix {
	prefix, _ := t.StaticAddress()
	return prefix.Masked()
}

// Rule: no two machines have one address, further addresses included.
func ruleAddressTwice(v *validator) {
	first := map[netip.Addr]string{}
	claim := func(address netip.Addr, at At) {
		switch by, taken := first[address]; {
		case taken && by == at.Path:
			v.errorf(at, "write it at the one node that has it", "several nodes would have the address %s", address)
			return
		case taken:
			v.errorf(at, "write this node's own address", "%s has the address %s already", by, address)
			return
		}
		first[address] = at.Path
	}
	for _, n := range v.Spec.Nodes.Items {
		if address, err := parseIPv4(n.Address.V); err == nil {
			claim(address, n.Address.At)
		}
	}
	for _, t := range v.targets {
		if t.Node == nil {
			continue
		}
		for _, further := range furtherAddresses(t.Network) {
			if prefix, err := parsePrefix4(further.V); err == nil {
				claim(prefix.Addr(), further.At) // an inherited list is claimed by every node, and so refused
			}
		}
	}
}

// routedLink is an interface with the addresses that it has beside the node's own, and its routes.
type routedLink struct {
	name      string
	addresses []Value[string]
	routes    []Route
	// dhcp is true if it has more addresses, which nobody knows.
	dhcp bool
}

// routedLinks are the interfaces of a network block. The first is the one that carries the node's own address, which a
// bond or VLAN may be.
func routedLinks(n Network) []routedLink {
	all := []routedLink{{name: n.Interface.V, addresses: slices.Clone(n.Addresses.Items), routes: slices.Clone(n.Routes.Items)}}
	add := func(name string, addresses List[Value[string]], routes List[Route]) {
		if name != n.Interface.V {
			all = append(all, routedLink{name: name, addresses: addresses.Items, routes: routes.Items})
			return
		}
		all[0].addresses, all[0].routes = append(all[0].addresses, addresses.Items...), append(all[0].routes, routes.Items...)
	}
	for _, bond := range n.Bonds.Entries {
		add(bond.Key, bond.Value.Addresses, bond.Value.Routes)
	}
	for _, vlan := range n.VLANs.Entries {
		add(vlan.Key, vlan.Value.Addresses, vlan.Value.Routes)
	}
	for _, card := range n.Ethernets.Entries {
		all = append(all, routedLink{card.Key, card.Value.Addresses.Items, card.Value.Routes.Items, card.Value.DHCP4.V})
	}
	return all
}

// Rule: a route's next hop lies in a network of its interface, or is on-link: Linux refuses any other ("Nexthop has invalid gateway").
// What DHCP gives is not known here.
func ruleRouteReachable(v *validator) {
	for _, t := range v.targets {
		if t.Node == nil {
			continue
		}
		own, static := t.StaticAddress()
		known := static && !v.failed[t.Node.Address.Path] && !v.failed[t.Network.Gateway.Path]
		for i, link := range routedLinks(t.Network) {
			if i == 0 {
				link.addresses = append(link.addresses, Value[string]{V: own.String(), Set: true})
			}
			if i > 0 && !link.dhcp || i == 0 && known {
				v.checkNextHops(t, link)
			}
		}
	}
}

func (v *validator) checkNextHops(t Target, link routedLink) {
	var networks []string
	var prefixes []netip.Prefix
	for _, address := range link.addresses {
		prefix, err := parsePrefix4(address.V)
		if err != nil {
			return // refused by ruleFurtherAddress
		}
		networks, prefixes = append(networks, prefix.Masked().String()), append(prefixes, prefix)
	}
	instead := fmt.Sprintf("write a router's address in %s, or other routes at %s", strings.Join(networks, " or "), t.Name.V)
	if len(networks) == 0 {
		instead = fmt.Sprintf("write addresses of %s at %s, one of them in the router's network", link.name, t.Name.V)
	}
	for _, route := range link.routes {
		via, err := parseIPv4(route.Via.V)
		if err == nil && !route.OnLink.V && !slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(via) }) {
			v.errorf(route.Via.At, instead, "%s has no address in the network of %s on this interface", t.Name.V, via)
		}
	}
}
