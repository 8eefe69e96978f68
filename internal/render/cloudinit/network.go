package cloudinit

import (
	"fmt"
	"net/netip"

	"muster/internal/node"
)

// networkConfig is version 2 of cloud-init's network configuration, at the top level as the NoCloud data source wants
// it: https://docs.cloud-init.io/en/latest/reference/network-config-format-v2.html
type networkConfig struct {
	Version   int               `yaml:"version"`
	Ethernets map[text]ethernet `yaml:"ethernets,omitempty"`
	Bonds     map[text]bond     `yaml:"bonds,omitempty"`
	VLANs     map[text]vlan     `yaml:"vlans,omitempty"`
}

// link has gateway4 and gateway6, which newer releases call deprecated, because the sysconfig and ENI renderers of 19.4
// make nothing of a default route among routes.
type link struct {
	DHCP4       bool         `yaml:"dhcp4,omitempty"`
	Overrides   *overrides   `yaml:"dhcp4-overrides,omitempty"`
	Optional    bool         `yaml:"optional,omitempty"`
	Addresses   []text       `yaml:"addresses,omitempty"`
	Gateway4    text         `yaml:"gateway4,omitempty"`
	Gateway6    text         `yaml:"gateway6,omitempty"`
	Routes      []route      `yaml:"routes,omitempty"`
	Nameservers *nameservers `yaml:"nameservers,omitempty"`
	MTU         int          `yaml:"mtu,omitempty"`
}

// overrides are what is taken of DHCP. cloud-init's own renderers know the metric alone.
type overrides struct {
	RouteMetric int   `yaml:"route-metric,omitempty"`
	UseDNS      *bool `yaml:"use-dns,omitempty"`
}

type ethernet struct {
	Match *match `yaml:"match,omitempty"`
	// SetName makes the name true: the ENI and sysconfig renderers write it into their files whatever the MAC matches.
	SetName text `yaml:"set-name,omitempty"`
	link    `yaml:",inline"`
}

type match struct {
	MACAddress text `yaml:"macaddress"`
}

type route struct {
	To     text `yaml:"to"`
	Via    text `yaml:"via"`
	Metric int  `yaml:"metric,omitempty"`
	OnLink bool `yaml:"on-link,omitempty"`
}

type nameservers struct {
	Addresses []text `yaml:"addresses,omitempty"`
	Search    []text `yaml:"search,omitempty"`
}

type bond struct {
	Interfaces []text `yaml:"interfaces"`
	// Parameters is always there: 19.4 stops with a KeyError without.
	Parameters bondParameters `yaml:"parameters"`
	link       `yaml:",inline"`
}

type bondParameters struct {
	Mode               text `yaml:"mode"`
	MIIMonitorInterval int  `yaml:"mii-monitor-interval,omitempty"` // milliseconds
	LACPRate           text `yaml:"lacp-rate,omitempty"`
	TransmitHashPolicy text `yaml:"transmit-hash-policy,omitempty"`
}

type vlan struct {
	ID   int  `yaml:"id"`
	Link text `yaml:"link"`
	link `yaml:",inline"`
}

func networkConfigOf(n node.Network) networkConfig {
	doc := networkConfig{Version: 2, Ethernets: map[text]ethernet{}, Bonds: map[text]bond{}, VLANs: map[text]vlan{}}
	for _, e := range n.Ethernets {
		out := ethernet{link: linkOf(e.Link)}
		if e.MAC != "" {
			out.Match, out.SetName = &match{MACAddress: text(e.MAC)}, text(e.Name)
		}
		doc.Ethernets[text(e.Name)] = out
	}
	for _, b := range n.Bonds {
		doc.Bonds[text(b.Name)] = bond{Interfaces: texts(b.Interfaces), link: linkOf(b.Link), Parameters: bondParameters{
			Mode: text(b.Mode), MIIMonitorInterval: b.MIIMonitorMillis, LACPRate: text(b.LACPRate), TransmitHashPolicy: text(b.TransmitHash),
		}}
	}
	for _, v := range n.VLANs {
		doc.VLANs[text(v.Name)] = vlan{ID: v.ID, Link: text(v.Parent), link: linkOf(v.Link)}
	}
	return doc
}

func linkOf(l node.Link) link {
	out := link{DHCP4: l.DHCP4, Optional: l.Optional, MTU: l.MTU}
	if l.DHCPMetric != 0 || l.DHCPWithoutDNS {
		out.Overrides = &overrides{RouteMetric: l.DHCPMetric}
	}
	if l.DHCPWithoutDNS {
		out.Overrides.UseDNS = new(false)
	}
	for _, a := range l.Addresses {
		out.Addresses = append(out.Addresses, text(a.String()))
	}
	switch {
	case !l.Gateway.IsValid():
	case l.Gateway.Is4():
		out.Gateway4 = text(l.Gateway.String())
	default:
		out.Gateway6 = text(l.Gateway.String())
	}
	for _, r := range l.Routes {
		out.Routes = append(out.Routes, route{To: text(r.To.String()), Via: text(r.Via.String()), Metric: r.Metric, OnLink: r.OnLink})
	}
	if len(l.Nameservers) > 0 || len(l.Search) > 0 {
		out.Nameservers = &nameservers{Search: texts(l.Search)}
		for _, a := range l.Nameservers {
			out.Nameservers.Addresses = append(out.Nameservers.Addresses, text(a.String()))
		}
	}
	return out
}

// network is the inverse of networkConfigOf; interfaces come back in the order of the map and have to be sorted by
// whoever compares them.
func (doc networkConfig) network() (*node.Network, error) {
	if doc.Version != 2 {
		return nil, fmt.Errorf("network-config has version %d, not 2", doc.Version)
	}
	n := &node.Network{}
	for name, e := range doc.Ethernets {
		l, err := e.read(name)
		if err != nil {
			return nil, err
		}
		out := node.Ethernet{Link: l}
		if e.Match != nil {
			out.MAC = string(e.Match.MACAddress)
			if e.SetName != name {
				return nil, fmt.Errorf("interface %s is renamed to %s", name, e.SetName)
			}
		}
		n.Ethernets = append(n.Ethernets, out)
	}
	for name, b := range doc.Bonds {
		l, err := b.read(name)
		if err != nil {
			return nil, err
		}
		n.Bonds = append(n.Bonds, node.Bond{Link: l, Interfaces: textStrings(b.Interfaces), Mode: string(b.Parameters.Mode),
			MIIMonitorMillis: b.Parameters.MIIMonitorInterval, LACPRate: string(b.Parameters.LACPRate), TransmitHash: string(b.Parameters.TransmitHashPolicy)})
	}
	for name, v := range doc.VLANs {
		l, err := v.read(name)
		if err != nil {
			return nil, err
		}
		n.VLANs = append(n.VLANs, node.VLAN{Link: l, ID: v.ID, Parent: string(v.Link)})
	}
	return n, nil
}

func (l link) read(name text) (node.Link, error) {
	out := node.Link{Name: string(name), DHCP4: l.DHCP4, Optional: l.Optional, MTU: l.MTU}
	if l.Overrides != nil {
		out.DHCPMetric = l.Overrides.RouteMetric
		out.DHCPWithoutDNS = l.Overrides.UseDNS != nil && !*l.Overrides.UseDNS
	}
	p := addressReader{name: string(name)}
	for _, a := range l.Addresses {
		out.Addresses = append(out.Addresses, p.prefix(a))
	}
	for _, gateway := range []text{l.Gateway4, l.Gateway6} {
		if gateway != "" {
			out.Gateway = p.addr(gateway)
		}
	}
	for _, r := range l.Routes {
		out.Routes = append(out.Routes, node.Route{To: p.prefix(r.To), Via: p.addr(r.Via), Metric: r.Metric, OnLink: r.OnLink})
	}
	if l.Nameservers != nil {
		out.Search = textStrings(l.Nameservers.Search)
		for _, a := range l.Nameservers.Addresses {
			out.Nameservers = append(out.Nameservers, p.addr(a))
		}
	}
	return out, p.err
}

// addressReader parses addresses of one interface and keeps the first error.
type addressReader struct {
	name string
	err  error
}

func (p *addressReader) prefix(t text) netip.Prefix {
	v, err := netip.ParsePrefix(string(t))
	p.keep(err)
	return v
}

func (p *addressReader) addr(t text) netip.Addr {
	v, err := netip.ParseAddr(string(t))
	p.keep(err)
	return v
}

func (p *addressReader) keep(err error) {
	if p.err == nil && err != nil {
		p.err = fmt.Errorf("interface %s: %w", p.name, err)
	}
}
