package plan

import (
	"net/netip"

	"muster/internal/node"
	"muster/internal/spec"
)

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

// ownPrefix is the node's address with the node network's prefix length.
func (m *machine) ownPrefix() netip.Prefix {
	return netip.PrefixFrom(address(m.Node.Address.V), m.maskBits())
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
		out = append(out, node.Route{To: to, Via: address(r.Via.V), Metric: r.Metric.V})
	}
	return out
}
