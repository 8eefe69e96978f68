package plan

import (
	"fmt"
	"net"
	"slices"
	"strings"

	"muster/internal/decode"
	"muster/internal/spec"
)

// MaxHosts is how many nodes /etc/hosts carries; beyond it a machine knows the control planes and itself.
const MaxHosts = 100

// names is who is who in the cluster, the same for every machine.
type names struct {
	nodes, controlPlanes []*spec.Node // pointers, since a node is large
	// kubelets are the networks that the nodes' addresses are from, and the addresses of nodes without a static network.
	kubelets     []string
	endpointHost string
	endpointPort string
	// endpointIsOurs is true where no DNS knows the endpoint and /etc/hosts has to.
	endpointIsOurs bool
}

func clusterNames(c *spec.Cluster, targets []spec.Target) names {
	host, port, _ := net.SplitHostPort(c.Spec.Kubernetes.ControlPlaneEndpoint.V) // defaulted and validated
	var nodes []*spec.Node
	for i := range c.Spec.Nodes.Items {
		nodes = append(nodes, &c.Spec.Nodes.Items[i])
	}
	return names{
		nodes: nodes, controlPlanes: c.ControlPlanes(), kubelets: kubelets(targets), endpointHost: host, endpointPort: port,
		endpointIsOurs: host == spec.OwnEndpointHost(c.Spec.Kubernetes.ClusterName.V),
	}
}

// kubelets are what API servers reach without a proxy: see names.
func kubelets(targets []spec.Target) []string {
	var out []string
	seen := map[string]bool{"": true}
	for _, t := range targets {
		entry := ""
		if prefix, static := t.StaticAddress(); static {
			entry = prefix.Masked().String()
		} else if t.Node != nil {
			entry = t.Node.Address.V
		}
		if !seen[entry] {
			seen[entry] = true
			out = append(out, entry)
		}
	}
	return out
}

// identity notes who the machine is.
func (m *machine) identity() conf {
	var c conf
	c.set("CLUSTER", m.Cluster.Metadata.Name.V)
	c.set("ROLE", m.Role.V)
	if m.Node != nil {
		c.set("NODE_NAME", m.Node.Name.V)
	}
	c.set("KUBERNETES_VERSION", m.version.String())
	c.set("ENDPOINT", net.JoinHostPort(m.names.endpointHost, m.names.endpointPort))
	var nodes []string
	if m.IsControlPlane() { // a worker may not ask for other nodes
		for _, n := range m.names.nodes {
			nodes = append(nodes, n.Name.V)
		}
	}
	c.setList("NODES", nodes)
	return c
}

// isFirst reports whether the machine is the first control plane of the spec.
func (m *machine) isFirst() bool {
	return m.Node != nil && m.Node.Name.V == m.names.controlPlanes[0].Name.V
}

// planHosts writes /etc/hosts (S5): the localhost lines that every distribution has, then the cluster's machines.
func (m *machine) planHosts() {
	if len(m.names.nodes) > MaxHosts {
		m.problems.Noticef(m.Cluster.Spec.Nodes.At, "with more than %d nodes /etc/hosts names the control planes and the machine itself only", MaxHosts)
	}
	var b strings.Builder
	b.WriteString("127.0.0.1 localhost localhost.localdomain\n::1 localhost localhost.localdomain ip6-localhost ip6-loopback\n")
	b.WriteString("fe00::0 ip6-localnet\nff02::1 ip6-allnodes\nff02::2 ip6-allrouters\n\n")
	for _, n := range m.knownNodes() {
		if n.Address.Set {
			fmt.Fprintln(&b, strings.Join(append([]string{n.Address.V, n.Name.V}, decode.Strings(n.Aliases)...), " "))
		}
	}
	if m.names.endpointIsOurs {
		for _, n := range m.endpointOrder() {
			fmt.Fprintln(&b, n.Address.V, m.names.endpointHost)
		}
	}
	m.addText("/etc/hosts", b.String(), m.Cluster.Spec.Nodes.At)
}

// knownNodes are the nodes that the machine's /etc/hosts names.
func (m *machine) knownNodes() []*spec.Node {
	if len(m.names.nodes) <= MaxHosts {
		return m.names.nodes
	}
	if m.Node == nil || m.IsControlPlane() {
		return m.names.controlPlanes
	}
	return append(slices.Clone(m.names.controlPlanes), m.Node)
}

// endpointOrder lists the control planes for the endpoint's name, the machine itself first: clients try the addresses
// in this order.
func (m *machine) endpointOrder() []*spec.Node {
	ordered := slices.Clone(m.names.controlPlanes)
	slices.SortStableFunc(ordered, func(a, b *spec.Node) int {
		switch own := m.Name.V; {
		case a.Name.V == own:
			return -1
		case b.Name.V == own:
			return 1
		default:
			return 0
		}
	})
	return ordered
}
