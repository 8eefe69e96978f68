package spec

import (
	"strings"

	"muster/internal/decode"
)

// Target is one machine, or one pool, with everything that holds for it: what is said of the cluster, of its role and
// of itself, the narrower winning.
type Target struct {
	Scope
	Name Value[string]
	Role Value[string]
	// Node is set for a machine with a name, Pool for a pool.
	Node *Node
	Pool *Pool
}

// IsControlPlane reports whether the target's role is control-plane.
func (t Target) IsControlPlane() bool { return t.Role.V == ControlPlane }

// Targets returns the nodes and then the pools of the spec, each with what holds for it, in the order of the file.
func (c *Cluster) Targets() []Target {
	byRole := c.roles()
	out := make([]Target, 0, len(c.Spec.Nodes.Items)+len(c.Spec.Pools.Items))
	for i := range c.Spec.Nodes.Items {
		out = append(out, byRole.node(&c.Spec.Nodes.Items[i]))
	}
	for i := range c.Spec.Pools.Items {
		p := &c.Spec.Pools.Items[i]
		out = append(out, Target{Scope: byRole.lay(p.Role.V, p.Scope), Name: p.Name, Role: p.Role, Pool: p})
	}
	return out
}

// founder is the first control plane, whose profile and ports hold for the whole cluster where the spec sets nothing.
func (c *Cluster) founder() (Target, bool) {
	for i := range c.Spec.Nodes.Items {
		if n := &c.Spec.Nodes.Items[i]; n.Role.V == ControlPlane {
			byRole := c.roles()
			return byRole.node(n), true
		}
	}
	return Target{}, false
}

// wide is what holds for all machines.
func (c *Cluster) wide() Scope {
	return Scope{At: c.Spec.At, Machine: c.Spec.Machine, Kubernetes: c.Spec.Kubernetes.machine()}
}

// roles are what holds for all machines of each role.
type roles struct{ controlPlane, worker Scope }

func (c *Cluster) roles() roles {
	wide := c.wide()
	return roles{controlPlane: lay(wide, c.Spec.ControlPlane), worker: lay(wide, c.Spec.Worker)}
}

func (r *roles) node(n *Node) Target {
	return Target{Scope: r.lay(n.Role.V, n.Scope), Name: n.Name, Role: n.Role, Node: n}
}

func (r *roles) lay(role string, own Scope) Scope { return lay(r.of(role), own) }

func (r *roles) of(role string) Scope {
	if role == ControlPlane {
		return r.controlPlane
	}
	return r.worker
}

// lay puts a narrower scope over a wider one. A mask that the narrower one sets takes the place of the wider one's in
// either form, since only one of the two forms may hold.
func lay(wide, narrow Scope) Scope {
	if narrow.Network.Netmask.Known() || narrow.Network.PrefixLength.Known() {
		wide.Network.Netmask, wide.Network.PrefixLength = Value[string]{}, Value[int]{}
	}
	return decode.Merge(wide, narrow)
}

// machine is the part of the cluster's kubernetes block that a role or a node may override.
func (k Kubernetes) machine() MachineKubernetes {
	return MachineKubernetes{
		At:                    k.At,
		IgnorePreflightErrors: k.IgnorePreflightErrors,
		CRISocket:             k.CRISocket,
		APIServer:             LocalAPIEndpoint{At: k.APIServer.At, BindPort: k.APIServer.BindPort, AdvertiseAddress: k.APIServer.AdvertiseAddress},
		Kubelet:               k.Kubelet,
		Patches:               k.Patches,
	}
}

// ControlPlanes returns the control planes of the spec in the order of the file; the first one founds the store of the
// rendezvous.
func (c *Cluster) ControlPlanes() []*Node {
	var out []*Node
	for i := range c.Spec.Nodes.Items {
		if n := &c.Spec.Nodes.Items[i]; n.Role.V == ControlPlane {
			out = append(out, n)
		}
	}
	return out
}

// Sources tells where packages come from: from the profile's repositories, from the spec's, or from both. The spec's are added to the
// profile's, unless source: repositories says that they take their place. A role or node that says source: profile, where
// the repositories stand for more machines, has the profile's alone.
func (p Packages) Sources() (ofProfile bool, ofSpec []Repository) {
	switch back := p.Source.Known() && scopeRank(p.Source.Path) > scopeRank(p.Repositories.Path); {
	case p.Source.V == "repositories":
		return false, p.Repositories.Items
	case back:
		return true, nil
	default:
		return true, p.Repositories.Items
	}
}

// scopeRank orders the paths of settings by how narrow their scope is: the cluster, a role, a node or pool.
func scopeRank(path string) int {
	switch {
	case strings.HasPrefix(path, "spec.nodes["), strings.HasPrefix(path, "spec.pools["):
		return 2
	case strings.HasPrefix(path, "spec.controlPlane."), strings.HasPrefix(path, "spec.worker."):
		return 1
	default:
		return 0
	}
}
