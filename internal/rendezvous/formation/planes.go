package formation

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"muster/internal/rendezvous"
	"muster/internal/rendezvous/durable"
)

// planes are the control planes that this machine knows: those of its document, in the order of the spec, and those that
// were added to the spec since, which it knows from the store. A planes is never changed.
type planes struct {
	order     rendezvous.ControlPlanes
	addressOf map[string]string // of every one's store
	later     map[string]string // addresses of those that the document does not name
	peers     map[string]Peer   // all but this one
}

// newPlanes takes over the ways to peers that were made before.
func newPlanes(cfg Config, later map[string]string, before *planes) (*planes, error) {
	p := &planes{addressOf: map[string]string{}, later: map[string]string{}, peers: map[string]Peer{}}
	all := slices.Clone(cfg.ControlPlanes)
	for _, name := range slices.Sorted(maps.Keys(later)) {
		if !slices.ContainsFunc(all, func(c ControlPlane) bool { return c.Name == name }) {
			all = append(all, ControlPlane{Name: name, Address: later[name]})
			p.later[name] = later[name]
		}
	}
	for _, c := range all {
		p.order = append(p.order, c.Name)
		p.addressOf[c.Name] = c.Address
		if c.Name == cfg.Self {
			continue
		}
		if before != nil && before.peers[c.Name] != nil && before.addressOf[c.Name] == c.Address {
			p.peers[c.Name] = before.peers[c.Name]
			continue
		}
		var err error
		if p.peers[c.Name], err = cfg.Reach(c); err != nil {
			return nil, fmt.Errorf("the way to control plane %s: %w", c.Name, err)
		}
	}
	return p, nil
}

// missing are the other control planes that did not answer.
func (p *planes) missing(answers map[string]rendezvous.Membership) []string {
	return slices.DeleteFunc(slices.Clone(p.order), func(name string) bool {
		_, answered := answers[name]
		return answered || p.peers[name] == nil
	})
}

// at is the name of the control plane whose store listens at an address.
func (p *planes) at(address string) string {
	for _, name := range p.order {
		if p.addressOf[name] == address {
			return name
		}
	}
	return address
}

// addresses are where the stores of the others listen.
func (p *planes) addresses() []string {
	var list []string
	for _, name := range p.order {
		if p.peers[name] != nil {
			list = append(list, p.addressOf[name])
		}
	}
	return list
}

// confirm says whether a control plane promises to keep the store.
func (p *planes) confirm(ctx context.Context, name, uid string) bool {
	peer := p.peers[name]
	return peer != nil && peer.Confirm(ctx, uid) == nil
}

// revoked says that a control plane is neither waited for nor counted, because its credential was taken back. Nobody is
// for one that is revoked itself: of two that are, both would go on alone.
func (f *Formation) revoked(name string) bool {
	return name != f.Self && f.Revoked != nil && f.Revoked(name) && !f.Revoked(f.Self)
}

// missing are the control planes that have to answer and did not.
func (f *Formation) missing(answers map[string]rendezvous.Membership) []string {
	return slices.DeleteFunc(f.known().missing(answers), f.revoked)
}

// unrevoked are the addresses of the control planes that this one knows and does not refuse. A third member is added
// only when the second one has it among them: see otherKnows.
func (f *Formation) unrevoked() map[string]string {
	addresses := maps.Clone(f.known().addressOf)
	maps.DeleteFunc(addresses, func(name, _ string) bool { return f.revoked(name) })
	return addresses
}

func (f *Formation) known() *planes {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.planes
}

// setKnown replaces what is known beside the document; it is on disk before it counts.
func (f *Formation) setKnown(change func(later map[string]string)) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	later := maps.Clone(f.planes.later)
	change(later)
	planes, err := newPlanes(f.Config, later, f.planes)
	if err != nil || maps.Equal(planes.later, f.planes.later) {
		return err
	}
	if err := durable.WriteJSON(f.Known, planes.later); err != nil {
		return err
	}
	f.planes = planes
	return nil
}

func (f *Formation) alsoKnow(planes map[string]string) error {
	return f.setKnown(func(later map[string]string) { maps.Copy(later, planes) })
}

// learn takes from the store which control planes there are beside those of the document. Who is not among the members,
// because it is being reinstalled or because the store was made again without it, is known for as long as the operator
// does not revoke it: then nobody has to wait for it any more, once it is no member.
func (f *Formation) learn(ctx context.Context, s state) error {
	ctx, cancel := context.WithTimeout(ctx, membersTimeout)
	defer cancel()
	noted, err := f.Service.NotedMembers(ctx)
	if err != nil {
		return err
	}
	p := f.known()
	candidates := maps.Clone(p.later)
	for name, address := range noted {
		if _, named := p.addressOf[name]; !named || p.later[name] != "" {
			candidates[name] = address
		}
	}
	gone := map[string]bool{}
	for name, address := range candidates {
		if gone[name], err = f.Service.Revoked(ctx, name); err != nil {
			return err
		}
		gone[name] = gone[name] && !slices.ContainsFunc(s.Members, func(m Member) bool { return m.Address == address })
	}
	return f.setKnown(func(later map[string]string) {
		for name, address := range candidates {
			later[name] = address
			if gone[name] {
				delete(later, name)
			}
		}
	})
}

// otherKnows holds a third member back until the second one, too, knows of it. The two of them are there, or nothing
// could be changed. One that did not know, or took it for revoked, were it alone later with the other's disk lost, would
// take itself for the last one of two. With more members than two nobody goes on alone.
func (f *Formation) otherKnows(ctx context.Context, s state, a rendezvous.Admission) error {
	members, err := f.Engine.Members(ctx)
	if err != nil {
		return unchanged(err)
	}
	others := slices.DeleteFunc(members, func(m Member) bool { return m.ID == s.ID || m.Address == a.Address })
	if len(others) != 1 {
		return nil
	}
	noted, err := f.Service.NotedMembers(ctx)
	if err != nil {
		return err
	}
	planes := f.known()
	for name, address := range noted {
		if address != others[0].Address || planes.peers[name] == nil {
			continue
		}
		ctx, cancel := context.WithTimeout(ctx, probeTimeout)
		defer cancel()
		other, err := planes.peers[name].Membership(ctx)
		if err != nil {
			return unchanged(err)
		}
		if _, knows := other.Known[a.Node]; knows {
			return nil
		}
	}
	return rendezvous.Errorf(rendezvous.CodeUnavailable, "the member at %s has to know of %s first: ask again", others[0].Address, a.Node)
}
