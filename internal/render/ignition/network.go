package ignition

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"muster/internal/node"
)

// networkFolder and filePrefix mark the files of systemd-networkd and udev that are made from the neutral network.
const (
	networkFolder = "/etc/systemd/network/"
	// virtualPrefix sorts bonds and VLANs before ethernets: they inherit the MAC of the interface below, and the first
	// file that matches an interface is the only one that counts.
	virtualPrefix  = networkFolder + "10-muster-"
	ethernetPrefix = networkFolder + "20-muster-"
)

// unitFile is a file in the syntax of systemd's units: sections of keys and values, in order.
type unitFile []section

type section struct {
	name     string
	settings []setting
}

type setting struct{ key, value string }

func (s *section) set(key, value string) {
	if value != "" {
		s.settings = append(s.settings, setting{key, value})
	}
}

// bytes writes the file. Values never need quoting: package render lets only names and addresses into a network.
func (f unitFile) bytes() []byte {
	var b strings.Builder
	for i, s := range f {
		if i > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "[%s]\n", s.name)
		for _, v := range s.settings {
			fmt.Fprintf(&b, "%s=%s\n", v.key, v.value)
		}
	}
	return []byte(b.String())
}

// networkFiles returns the files that make systemd-networkd and udev set up n.
func networkFiles(n node.Network) []node.File {
	var all []node.File
	add := func(path string, f unitFile, l node.Link) {
		all = append(all, node.File{Path: path, Mode: 0o644, Contents: f.bytes(), At: l.At})
	}
	for _, b := range n.Bonds {
		add(virtualPrefix+b.Name+".netdev", bondDevice(b), b.Link)
		add(virtualPrefix+b.Name+".network", network(byName(b.Name), b.Link, nil, n), b.Link)
	}
	for _, v := range n.VLANs {
		add(virtualPrefix+v.Name+".netdev", vlanDevice(v), v.Link)
		add(virtualPrefix+v.Name+".network", network(byName(v.Name), v.Link, nil, n), v.Link)
	}
	for _, e := range n.Ethernets {
		if e.MAC != "" {
			add(ethernetPrefix+e.Name+".link", rename(e), e.Link)
		}
		add(ethernetPrefix+e.Name+".network", network(matchOf(e), e.Link, bondsOver(e.Name, n), n), e.Link)
	}
	return all
}

func byName(name string) section {
	return section{"Match", []setting{{"Name", name}}}
}

// matchOf finds an interface by its permanent MAC (a member of a bond gets the bond's), and then only what is not a virtual
// interface, since VLANs inherit even the permanent one.
func matchOf(e node.Ethernet) section {
	if e.MAC == "" {
		return byName(e.Name)
	}
	return section{"Match", []setting{{"PermanentMACAddress", e.MAC}, {"Kind", "!*"}}}
}

// rename gives an interface that is found by its MAC the name that everything else on the machine may rely on.
func rename(e node.Ethernet) unitFile {
	return unitFile{matchOf(e), {"Link", []setting{{"Name", e.Name}}}}
}

func bondDevice(b node.Bond) unitFile {
	bond := section{name: "Bond"}
	bond.set("Mode", b.Mode)
	if b.MIIMonitorMillis != 0 {
		bond.set("MIIMonitorSec", strconv.Itoa(b.MIIMonitorMillis)+"ms")
	}
	bond.set("LACPTransmitRate", b.LACPRate)
	bond.set("TransmitHashPolicy", b.TransmitHash)
	return unitFile{{"NetDev", []setting{{"Name", b.Name}, {"Kind", "bond"}}}, bond}
}

func vlanDevice(v node.VLAN) unitFile {
	return unitFile{
		{"NetDev", []setting{{"Name", v.Name}, {"Kind", "vlan"}}},
		{"VLAN", []setting{{"Id", strconv.Itoa(v.ID)}}},
	}
}

// bondsOver returns the names of the bonds that an interface is a member of.
func bondsOver(name string, n node.Network) []string {
	var all []string
	for _, b := range n.Bonds {
		if slices.Contains(b.Interfaces, name) {
			all = append(all, b.Name)
		}
	}
	return all
}

// network is the .network file of one interface: what lies on it, its addresses and its routes.
func network(match section, l node.Link, bonds []string, n node.Network) unitFile {
	main := section{name: "Network"}
	for _, b := range bonds {
		main.set("Bond", b)
	}
	for _, v := range n.VLANs {
		if v.Parent == l.Name {
			main.set("VLAN", v.Name)
		}
	}
	main.set("DHCP", map[bool]string{true: "ipv4", false: "no"}[l.DHCP4])
	for _, a := range l.Addresses {
		main.set("Address", a.String())
	}
	if l.Gateway.IsValid() {
		main.set("Gateway", l.Gateway.String())
	}
	for _, a := range l.Nameservers {
		main.set("DNS", a.String())
	}
	main.set("Domains", strings.Join(l.Search, " "))
	f := unitFile{match}
	for _, s := range []section{linkSection(l), main, dhcpSection(l)} {
		if len(s.settings) > 0 {
			f = append(f, s)
		}
	}
	for _, r := range l.Routes {
		s := section{name: "Route"}
		s.set("Destination", r.To.String())
		s.set("Gateway", r.Via.String())
		if r.Metric != 0 {
			s.set("Metric", strconv.Itoa(r.Metric))
		}
		if r.OnLink {
			s.set("GatewayOnLink", "yes")
		}
		f = append(f, s)
	}
	return f
}

// linkSection is what the interface is as a whole.
func linkSection(l node.Link) section {
	s := section{name: "Link"}
	if l.MTU != 0 {
		s.set("MTUBytes", strconv.Itoa(l.MTU))
	}
	if l.Optional {
		s.set("RequiredForOnline", "no")
	}
	return s
}

// dhcpSection is what is taken of DHCP.
func dhcpSection(l node.Link) section {
	s := section{name: "DHCPv4"}
	if l.DHCPMetric != 0 {
		s.set("RouteMetric", strconv.Itoa(l.DHCPMetric))
	}
	if l.DHCPWithoutDNS {
		s.set("UseDNS", "no")
	}
	return s
}

// readNetwork is the inverse of networkFiles. Interfaces come back in the order of their files' names.
func readNetwork(files []node.File) (*node.Network, error) {
	if len(files) == 0 {
		return nil, nil
	}
	r := networkReader{devices: map[string]unitFile{}, parents: map[string]string{}, members: map[string][]string{}}
	slices.SortFunc(files, func(a, b node.File) int { return strings.Compare(a.Path, b.Path) })
	for _, f := range files {
		parsed, err := parseUnitFile(string(f.Contents))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Path, err)
		}
		if err := r.add(f.Path, parsed); err != nil {
			return nil, fmt.Errorf("%s: %w", f.Path, err)
		}
	}
	return r.network()
}

// networkReader collects what the files say of each other: which interface carries a VLAN is written in that interface's
// file.
type networkReader struct {
	devices  map[string]unitFile
	links    []node.Link
	macs     []string
	virtuals []bool
	parents  map[string]string
	members  map[string][]string
}

func (r *networkReader) add(path string, f unitFile) error {
	name, isVirtual := strings.CutPrefix(path, virtualPrefix)
	if !isVirtual {
		name = strings.TrimPrefix(path, ethernetPrefix)
	}
	if device, ok := strings.CutSuffix(name, ".netdev"); ok && isVirtual {
		r.devices[device] = f
		return nil
	}
	if renamed, ok := strings.CutSuffix(name, ".link"); ok && !isVirtual {
		r.devices[renamed] = f
		return nil
	}
	name, ok := strings.CutSuffix(name, ".network")
	if !ok || len(f) == 0 {
		return fmt.Errorf("is none of the files that describe an interface")
	}
	return r.link(name, isVirtual, f)
}

// link reads one .network file.
func (r *networkReader) link(name string, isVirtual bool, f unitFile) error {
	l := node.Link{Name: name}
	mac := ""
	var p parser
	for _, s := range f {
		var route node.Route
		for _, v := range s.settings {
			switch s.name + "." + v.key {
			case "Match.Name":
				p.expect(v, name)
			case "Match.PermanentMACAddress":
				mac = v.value
			case "Match.Kind":
				p.expect(v, "!*")
			case "Link.MTUBytes":
				l.MTU = p.number(v)
			case "Link.RequiredForOnline":
				p.expect(v, "no")
				l.Optional = true
			case "DHCPv4.RouteMetric":
				l.DHCPMetric = p.number(v)
			case "DHCPv4.UseDNS":
				p.expect(v, "no")
				l.DHCPWithoutDNS = true
			case "Network.Bond":
				r.members[v.value] = append(r.members[v.value], name)
			case "Network.VLAN":
				r.parents[v.value] = name
			case "Network.DHCP":
				l.DHCP4 = v.value == "ipv4"
			case "Network.Address":
				l.Addresses = append(l.Addresses, p.prefix(v))
			case "Network.Gateway":
				l.Gateway = p.addr(v)
			case "Network.DNS":
				l.Nameservers = append(l.Nameservers, p.addr(v))
			case "Network.Domains":
				l.Search = strings.Fields(v.value)
			case "Route.Destination":
				route.To = p.prefix(v)
			case "Route.Gateway":
				route.Via = p.addr(v)
			case "Route.Metric":
				route.Metric = p.number(v)
			case "Route.GatewayOnLink":
				p.expect(v, "yes")
				route.OnLink = true
			default:
				p.fail(v, "is unknown in ["+s.name+"]")
			}
		}
		if s.name == "Route" {
			l.Routes = append(l.Routes, route)
		}
	}
	r.links, r.macs, r.virtuals = append(r.links, l), append(r.macs, mac), append(r.virtuals, isVirtual)
	return p.err
}

func (r *networkReader) network() (*node.Network, error) {
	n := &node.Network{}
	for i, l := range r.links {
		device := r.devices[l.Name]
		if !r.virtuals[i] {
			e := node.Ethernet{Link: l, MAC: r.macs[i]}
			if want := rename(e); (e.MAC != "") != (device != nil) || device != nil && string(device.bytes()) != string(want.bytes()) {
				return nil, fmt.Errorf("interface %s is not renamed as its MAC demands", l.Name)
			}
			n.Ethernets = append(n.Ethernets, e)
			continue
		}
		if err := r.virtual(l, device, n); err != nil {
			return nil, fmt.Errorf("interface %s: %w", l.Name, err)
		}
	}
	return n, nil
}

// virtual reads a .netdev file and adds its bond or VLAN to n.
func (r *networkReader) virtual(l node.Link, device unitFile, n *node.Network) error {
	b := node.Bond{Link: l, Interfaces: r.members[l.Name]}
	v := node.VLAN{Link: l, Parent: r.parents[l.Name]}
	kind := ""
	var p parser
	for _, s := range device {
		for _, value := range s.settings {
			switch s.name + "." + value.key {
			case "NetDev.Name":
				p.expect(value, l.Name)
			case "NetDev.Kind":
				kind = value.value
			case "Bond.Mode":
				b.Mode = value.value
			case "Bond.MIIMonitorSec":
				b.MIIMonitorMillis = p.number(setting{value.key, strings.TrimSuffix(value.value, "ms")})
			case "Bond.LACPTransmitRate":
				b.LACPRate = value.value
			case "Bond.TransmitHashPolicy":
				b.TransmitHash = value.value
			case "VLAN.Id":
				v.ID = p.number(value)
			default:
				p.fail(value, "is unknown in ["+s.name+"]")
			}
		}
	}
	switch kind {
	case "bond":
		n.Bonds = append(n.Bonds, b)
	case "vlan":
		n.VLANs = append(n.VLANs, v)
	default:
		return fmt.Errorf("has no .netdev file of a known kind")
	}
	return p.err
}

// parseUnitFile reads what unitFile.bytes writes; comments and continued lines do not occur in it and are errors.
func parseUnitFile(text string) (unitFile, error) {
	var f unitFile
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		switch name, isSection := strings.CutPrefix(line, "["); {
		case line == "":
		case isSection && strings.HasSuffix(name, "]"):
			f = append(f, section{name: strings.TrimSuffix(name, "]")})
		default:
			key, value, ok := strings.Cut(line, "=")
			if !ok || len(f) == 0 {
				return nil, fmt.Errorf("line %q is neither a section nor a setting", line)
			}
			s := &f[len(f)-1]
			s.settings = append(s.settings, setting{key, value})
		}
	}
	return f, nil
}

// parser reads values of settings and keeps the first error.
type parser struct{ err error }

func (p *parser) fail(v setting, what string) {
	if p.err == nil {
		p.err = fmt.Errorf("%s=%s %s", v.key, v.value, what)
	}
}

func (p *parser) expect(v setting, want string) {
	if v.value != want {
		p.fail(v, "should be "+want)
	}
}

func (p *parser) number(v setting) int {
	n, err := strconv.Atoi(v.value)
	if err != nil {
		p.fail(v, "is no number")
	}
	return n
}

func (p *parser) prefix(v setting) netip.Prefix {
	out, err := netip.ParsePrefix(v.value)
	if err != nil {
		p.fail(v, "is no address with a prefix length")
	}
	return out
}

func (p *parser) addr(v setting) netip.Addr {
	out, err := netip.ParseAddr(v.value)
	if err != nil {
		p.fail(v, "is no address")
	}
	return out
}
