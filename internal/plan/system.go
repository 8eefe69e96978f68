package plan

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"muster/internal/decode"
	"muster/internal/node"
	"muster/internal/spec"
)

// planSystem notes what the scripts set up in the operating system (S3, S4, S6) and writes what files alone set up.
func (m *machine) planSystem() {
	selinux := or(m.System.SELinux, m.profile.Defaults.SELinux)
	m.conf.set("SELINUX", selinux.V)
	switch m.firewall() {
	case "disabled":
		m.conf.setList("FIREWALL_SERVICES", decode.Strings(m.profile.Firewall.Services))
	case "ports":
		m.conf.setList("FIREWALL_PORTS", m.firewallPorts())
		networking := m.Cluster.Spec.Kubernetes.Networking
		m.conf.setList("FIREWALL_SOURCES", []string{networking.PodSubnet.V, networking.ServiceSubnet.V})
	}
	m.conf.set("TIMEZONE", m.System.Timezone.V)
	m.conf.set("TIME_SERVICE", m.profile.Time.Service.V)
	m.planNTP()
	m.planProxy()
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

// planNTP names the time servers in the file that the system's time service reads.
func (m *machine) planNTP() {
	servers := decode.Strings(m.System.NTP.Servers)
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
	m.addText(m.profile.Time.Config.V, text, m.System.NTP.Servers.At)
}

// planProxy gives the HTTP proxy to the scripts and to the runtime, which pulls the images.
func (m *machine) planProxy() {
	p := m.System.Proxy
	m.conf.set("HTTP_PROXY", p.HTTP.V)
	m.conf.set("HTTPS_PROXY", p.HTTPS.V)
	if !p.HTTP.Set && !p.HTTPS.Set {
		return
	}
	without := m.withoutProxy(m.nodeHosts())
	m.conf.set("NO_PROXY", strings.Join(append(without, m.unlisted(without)...), ","))
	runtime := strings.Join(m.withoutProxy(m.registriesOnNodes()), ",")
	var b strings.Builder
	b.WriteString("[Service]\n")
	for _, e := range []struct{ name, value string }{{"HTTP_PROXY", p.HTTP.V}, {"HTTPS_PROXY", p.HTTPS.V}, {"NO_PROXY", runtime}} {
		if e.value != "" {
			fmt.Fprintf(&b, "Environment=%s\n", unitQuote(e.name+"="+e.value))
		}
	}
	m.config.Units = append(m.config.Units, node.Unit{
		Name:    m.profile.RuntimeService.V,
		DropIns: []node.DropIn{{Name: "20-muster-proxy.conf", Contents: b.String()}}, At: p.At,
	})
}

// withoutProxy is what must be reached directly: the machine itself, the cluster's own names and networks, nodes, and
// what the user adds.
func (m *machine) withoutProxy(nodes []string) []string {
	k := m.Cluster.Spec.Kubernetes
	out := []string{"localhost", "127.0.0.1", m.names.endpointHost, ".svc", "." + k.Networking.DNSDomain.V, k.Networking.PodSubnet.V, k.Networking.ServiceSubnet.V}
	return slices.Concat(out, nodes, decode.Strings(m.System.Proxy.No))
}

// nodeHosts are the names and addresses of the nodes that the machine knows.
func (m *machine) nodeHosts() []string {
	var out []string
	for _, n := range m.knownNodes() {
		out = append(out, n.Name.V)
		if n.Address.Set {
			out = append(out, n.Address.V)
		}
	}
	return out
}

// registriesOnNodes are the nodes, as the spec's registries name them, that the runtime pulls images from. It reaches no
// others, and systemd 219 (CentOS 7) cuts a line of its drop-in after 2048 characters, which those of a hundred nodes
// would pass.
func (m *machine) registriesOnNodes() []string {
	var out []string
	for _, r := range m.registries() {
		network, err := netip.ParsePrefix(r) // Docker's insecureRegistries may be one
		on := func(n *spec.Node) bool {
			if err == nil {
				return n.Address.Set && network.Contains(address(n.Address.V))
			}
			return r == n.Name.V || r == n.Address.V || slices.Contains(decode.Strings(n.Aliases), r)
		}
		if r != "" && !slices.Contains(out, r) && slices.ContainsFunc(m.names.nodes, on) {
			out = append(out, r)
		}
	}
	return out
}

// registries are the hosts, or networks, of all registries that the spec names.
func (m *machine) registries() []string {
	var out []string
	for _, r := range []spec.Registries{m.Docker.Registries, m.Containerd.Registries} {
		for _, mirror := range decode.Strings(r.RegistryMirrors) {
			_, rest, _ := strings.Cut(mirror, "://")
			out = append(out, registryHost(rest))
		}
		for _, insecure := range decode.Strings(r.InsecureRegistries) {
			if _, err := netip.ParsePrefix(insecure); err != nil {
				insecure = registryHost(insecure)
			}
			out = append(out, insecure)
		}
	}
	s := m.Cluster.Spec
	for _, image := range []string{s.Kubernetes.ImageRepository.V, s.CNI.Flannel.Image.V, s.CNI.Flannel.CNIPluginImage.V, s.Check.Nginx.Image.V} {
		out = append(out, registryHost(image))
	}
	return out
}

// registryHost is the host of HOST[:PORT][/PATH].
func registryHost(text string) string {
	host, _, _ := strings.Cut(text, "/")
	host, _, _ = strings.Cut(host, ":")
	return host
}

// unlisted are the kubelets that list leaves out: kubeadm also passes the proxy to the API server, which reaches every
// kubelet by address, so on control planes NO_PROXY also lists these.
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
