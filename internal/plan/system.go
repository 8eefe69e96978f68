package plan

import (
	"fmt"
	"net"
	"slices"
	"strings"

	"muster/internal/node"
	"muster/internal/spec"
)

// system notes what the scripts set up in the operating system (S3, S4, S6) and writes what files can say.
func (m *machine) system() {
	selinux := or(m.System.SELinux, m.profile.Defaults.SELinux)
	m.conf.set("SELINUX", selinux.V)
	switch m.firewall() {
	case "disabled":
		m.conf.setList("FIREWALL_SERVICES", values(m.profile.Firewall.Services))
	case "ports":
		m.conf.setList("FIREWALL_PORTS", m.firewallPorts())
		networking := m.Cluster.Spec.Kubernetes.Networking
		m.conf.setList("FIREWALL_SOURCES", []string{networking.PodSubnet.V, networking.ServiceSubnet.V})
	}
	m.conf.set("TIMEZONE", m.System.Timezone.V)
	m.conf.set("TIME_SERVICE", m.profile.Time.Service.V)
	m.ntp()
	m.proxy()
}

// firewall is what happens to the firewall: disabled, ports or keep.
func (m *machine) firewall() string { return or(m.System.Firewall, m.profile.Defaults.Firewall).V }

// firewallPorts are the ports that other machines of the cluster reach, as firewalld writes them.
// Source: kubernetes.io, "Ports and Protocols"; flannel's vxlan uses 8472/udp and wireguard 51820/udp.
func (m *machine) firewallPorts() []string {
	ports := []string{"10250/tcp", "10256/tcp", "30000-32767/tcp", "30000-32767/udp"}
	if m.IsControlPlane() {
		r := m.Cluster.Spec.Rendezvous
		ports = append(ports, fmt.Sprintf("%d/tcp", m.Kubernetes.APIServer.BindPort.V), "2379-2380/tcp", "10257/tcp", "10259/tcp",
			fmt.Sprintf("%d/tcp", r.Port.V), fmt.Sprintf("%d/tcp", r.RaftPort.V))
	}
	if f := m.Cluster.Spec.CNI.Flannel; f.Version.Set {
		switch f.Backend.V {
		case "vxlan":
			ports = append(ports, "8472/udp")
		case "wireguard":
			ports = append(ports, "51820/udp", "51821/udp")
		}
	}
	return ports
}

// ntp names the time servers in the file that the system's time service reads.
func (m *machine) ntp() {
	servers := values(m.System.NTP.Servers)
	if len(servers) == 0 {
		return
	}
	var text string
	switch m.profile.Time.Kind.V {
	case "timesyncd":
		text = "[Time]\nNTP=" + strings.Join(servers, " ") + "\n"
	case "chrony":
		for _, s := range servers {
			text += "server " + s + " iburst\n"
		}
		text += "driftfile /var/lib/chrony/drift\nmakestep 1.0 3\nrtcsync\n"
	}
	m.conf.set("TIME_CONFIG", m.profile.Time.Config.V)
	m.text(m.profile.Time.Config.V, text, m.System.NTP.Servers.At)
}

// proxy gives the HTTP proxy to the scripts and to the runtime, which pulls the images.
func (m *machine) proxy() {
	p := m.System.Proxy
	m.conf.set("HTTP_PROXY", p.HTTP.V)
	m.conf.set("HTTPS_PROXY", p.HTTPS.V)
	if !p.HTTP.Set && !p.HTTPS.Set {
		m.conf.set("NO_PROXY", "")
		return
	}
	without := m.withoutProxy()
	m.conf.set("NO_PROXY", strings.Join(append(without, m.unlisted(without)...), ","))
	var b strings.Builder
	b.WriteString("[Service]\n")
	for _, e := range []struct{ name, value string }{{"HTTP_PROXY", p.HTTP.V}, {"HTTPS_PROXY", p.HTTPS.V}, {"NO_PROXY", strings.Join(without, ",")}} {
		if e.value != "" {
			fmt.Fprintf(&b, "Environment=%s\n", unitQuote(e.name+"="+e.value))
		}
	}
	m.config.Units = append(m.config.Units, node.Unit{
		Name:    m.profile.RuntimeService.V,
		DropIns: []node.DropIn{{Name: "20-muster-proxy.conf", Contents: b.String()}}, At: p.At,
	})
}

// withoutProxy is what must be reached directly: the machine itself, the cluster's own names and networks, and what the
// user adds.
func (m *machine) withoutProxy() []string {
	k := m.Cluster.Spec.Kubernetes
	out := []string{"localhost", "127.0.0.1", m.names.endpointHost, ".svc", "." + k.Networking.DNSDomain.V, k.Networking.PodSubnet.V, k.Networking.ServiceSubnet.V}
	for _, n := range m.knownNodes() {
		out = append(out, n.Name.V)
		if n.Address.Set {
			out = append(out, n.Address.V)
		}
	}
	return append(out, values(m.System.Proxy.No)...)
}

// unlisted are the kubelets that a control plane's list leaves out: kubeadm gives the proxy to the API server too, which
// reaches all of them by address. The runtime does not, and older systemd takes no line of more than 2048 characters.
func (m *machine) unlisted(list []string) []string {
	if !m.IsControlPlane() {
		return nil
	}
	listed := func(entry string) bool { return slices.Contains(list, entry) }
	return slices.DeleteFunc(slices.Clone(m.names.kubelets), listed)
}

// unitQuote makes one word of a unit file's setting: systemd reads C escapes in double quotes, and % everywhere.
func unitQuote(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "%", "%%").Replace(text) + `"`
}

// users plans who may log in; sudo rules are files of their own, so that both formats say them alike.
func (m *machine) users() {
	var homes []string
	for _, u := range m.Users.Items {
		m.config.Users = append(m.config.Users, node.User{
			Name: u.Name.V, PasswordHash: u.PasswordHash.V.Reveal(), SSHAuthorizedKeys: values(u.SSHAuthorizedKeys),
			Groups: values(u.Groups), Shell: "/bin/bash", At: u.At,
		})
		if u.Sudo.Set {
			m.file(node.File{Path: "/etc/sudoers.d/muster-" + u.Name.V, Mode: 0o440, Contents: []byte(u.Name.V + " " + u.Sudo.V + "\n"), At: u.Sudo.At})
		}
		if u.Kubeconfig.V && m.IsControlPlane() && u.Name.V != "root" {
			homes = append(homes, u.Name.V)
		}
	}
	m.conf.setList("KUBECONFIG_USERS", homes)
}

// network plans the static network; without a network block the machine asks DHCP.
func (m *machine) network() {
	n := m.Network
	if !n.Known() || m.Node == nil {
		return
	}
	link := node.Link{Name: n.Interface.V, MTU: n.MTU.V, At: n.At}
	if m.Node.Address.Set && m.hasMask() {
		link.Addresses = append(link.Addresses, m.ownPrefix())
		link.Gateway = address(n.Gateway.V)
	} else {
		link.DHCP4 = true
	}
	link.Addresses = append(link.Addresses, prefixes(n.Addresses)...)
	link.Nameservers = addresses(n.Nameservers)
	link.Search = values(n.Search)
	link.Routes = m.routes(n.Routes)
	if link.Name == "" {
		// The interface is found by its MAC; cloud-init's older renderers still want a name to give it.
		link.Name = "lan0"
	}
	network := &node.Network{Bonds: m.bonds(n), VLANs: m.vlans(n)}
	m.placeLink(network, link)
	m.config.Network = network
}

// placeLink gives the machine's own address to the interface that carries it: a bond or VLAN of that name if there is
// one, else an Ethernet interface. The interfaces below bonds get no address.
func (m *machine) placeLink(network *node.Network, link node.Link) {
	for i := range network.Bonds {
		for _, name := range network.Bonds[i].Interfaces {
			network.Ethernets = append(network.Ethernets, node.Ethernet{Link: node.Link{Name: name, At: network.Bonds[i].At}})
		}
	}
	for i := range network.Bonds {
		if network.Bonds[i].Name == link.Name {
			network.Bonds[i].Link = mergeLinks(network.Bonds[i].Link, link)
			return
		}
	}
	for i := range network.VLANs {
		if network.VLANs[i].Name == link.Name {
			network.VLANs[i].Link = mergeLinks(network.VLANs[i].Link, link)
			m.addParent(network, network.VLANs[i].Parent)
			return
		}
	}
	network.Ethernets = append([]node.Ethernet{{Link: link, MAC: strings.ToLower(m.Node.MAC.V)}}, network.Ethernets...)
	for _, v := range network.VLANs {
		m.addParent(network, v.Parent)
	}
}

// addParent makes sure that a VLAN's parent interface is brought up.
func (m *machine) addParent(network *node.Network, parent string) {
	for _, e := range network.Ethernets {
		if e.Name == parent {
			return
		}
	}
	for _, b := range network.Bonds {
		if b.Name == parent {
			return
		}
	}
	network.Ethernets = append(network.Ethernets, node.Ethernet{Link: node.Link{Name: parent, At: m.Network.At}})
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

func (m *machine) bonds(n spec.Network) []node.Bond {
	var out []node.Bond
	for _, e := range n.Bonds.Entries {
		p := e.Value.Parameters
		out = append(out, node.Bond{
			Link:       node.Link{Name: e.Key, Addresses: prefixes(e.Value.Addresses), Routes: m.routes(e.Value.Routes), MTU: e.Value.MTU.V, At: e.At},
			Interfaces: values(e.Value.Interfaces), Mode: p.Mode.V, MIIMonitorMillis: p.MIIMonitorInterval.V, LACPRate: p.LACPRate.V, TransmitHash: p.TransmitHashPolicy.V,
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

// hasMask reports whether the network says how long the node network's prefix is.
func (m *machine) hasMask() bool { return m.Network.Netmask.Set || m.Network.PrefixLength.Set }

// maskBits is the node network's prefix length.
func (m *machine) maskBits() int {
	if m.Network.PrefixLength.Set {
		return m.Network.PrefixLength.V
	}
	ones, _ := net.IPMask(net.ParseIP(m.Network.Netmask.V).To4()).Size() // validated
	return ones
}
