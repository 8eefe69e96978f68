package rendezvous

import (
	"context"
	"io"
	"log/slog"
	"slices"

	"muster/internal/secrets/credential"
)

// AcquireInit asks for the right to run kubeadm init. The error has CodeCommitted when an init is done, which is to be
// joined, and CodeHeld while another control plane has the right. That the store has lost nothing is judged by the very
// record that is written: the connection that ready read by may have led to another member.
func (s *Service) AcquireInit(ctx context.Context, id Identity, ask Ask) (Lease, error) {
	ask.Node = id.Name
	if err := s.controlPlane(ctx, id, ask.check()); err != nil {
		return Lease{}, err
	}
	lease, err := update(ctx, s.Store, keyInit, func(l *Lease, version int64) (bool, error) {
		if version == 0 || l.Committed == nil && s.knowsCommitted() {
			return false, errLost()
		}
		return true, l.Acquire(ask, s.silent(keyInit, version), s.now())
	})
	s.decided("init lease", id, err, slog.Int64("epoch", lease.Epoch))
	if err == nil {
		s.note(ctx, id, "kubeadm init")
	}
	return lease, err
}

// RenewInit notes that the holder is alive.
func (s *Service) RenewInit(ctx context.Context, id Identity, held Held) (Lease, error) {
	return s.renew(ctx, id, keyInit, held)
}

// ReleaseInit gives the lease back after a kubeadm init that failed, so that another control plane may try.
func (s *Service) ReleaseInit(ctx context.Context, id Identity, held Held) (Lease, error) {
	return s.release(ctx, id, keyInit, held)
}

// CommitInit makes this node's init the cluster's, for ever. From then on nodes are served.
func (s *Service) CommitInit(ctx context.Context, id Identity, held Held) (Lease, error) {
	held.Node = id.Name
	if err := s.controlPlane(ctx, id, nil); err != nil {
		return Lease{}, err
	}
	lease, err := update(ctx, s.Store, keyInit, func(l *Lease, _ int64) (bool, error) { return l.Commit(held, s.now()) })
	s.decided("init commit", id, err, slog.Int64("epoch", held.Epoch))
	if err != nil {
		return lease, err
	}
	s.KnowCommitted()
	// The node that made the cluster has joined it. If this write fails its next report makes it.
	_, err = update(ctx, s.Store, nodePrefix+id.Name, func(n *Node, _ int64) (bool, error) {
		n.Name, n.Role, n.Serial = id.Name, id.Role, id.Serial
		n.Machine = lease.Committed.Machine
		n.Close(s.now())
		return true, nil
	})
	return lease, err
}

// AcquireJoin asks for the right to join as a further control plane, one at a time. Before it is granted, what
// unfinished joins left in the cluster is removed: etcd allows one learner, so a ghost would block all joins.
func (s *Service) AcquireJoin(ctx context.Context, id Identity, ask Ask) (Lease, error) {
	ask.Node = id.Name
	if err := s.controlPlane(ctx, id, ask.check()); err != nil {
		return Lease{}, err
	}
	if _, err := s.Committed(ctx); err != nil {
		return Lease{}, err
	}
	if err := s.open(ctx, id.Name); err != nil {
		return Lease{}, err
	}
	// A control plane outside the cluster could not go on: the lease would be taken, and the ask counted, for nothing.
	if _, err := s.Cluster.EtcdMembers(ctx); err != nil {
		return Lease{}, clusterError(err)
	}
	lease, err := update(ctx, s.Store, keyJoin, func(l *Lease, version int64) (bool, error) {
		return true, l.Acquire(ask, s.silent(keyJoin, version), s.now())
	})
	if err == nil {
		lease, err = s.removeUnfinished(ctx, id, lease)
	}
	s.decided("join lease", id, err, slog.Int64("epoch", lease.Epoch))
	if err == nil {
		s.note(ctx, id, "kubeadm join")
	}
	return lease, err
}

// removeUnfinished removes what unfinished joins left, for the holder of a lease that was just granted.
//
// The order keeps a late or repeated ask from removing a member that is just joining: the ghosts are listed, then a
// conditional write proves that no later ask was answered since, and only then the listed ones go, by ids that neither
// etcd nor Kubernetes uses twice.
func (s *Service) removeUnfinished(ctx context.Context, id Identity, granted Lease) (Lease, error) {
	held := Held{Node: id.Name, Run: granted.Run, Epoch: granted.Epoch}
	ghosts, err := s.ghosts(ctx, id, granted.Leftover)
	if err != nil {
		return granted, err
	}
	lease, err := update(ctx, s.Store, keyJoin, func(l *Lease, _ int64) (bool, error) {
		if err := l.holds(held); err != nil {
			return false, err
		}
		if l.Attempt != granted.Attempt {
			return false, l.refuse(CodeSuperseded, "a later ask of this run was answered")
		}
		l.Renewals++
		return true, nil
	})
	if err != nil {
		return lease, err
	}
	if err := s.removeGhosts(ctx, ghosts); err != nil {
		return lease, err
	}
	if len(granted.Leftover) == 0 {
		return lease, nil
	}
	return s.forgetLeftover(ctx, held, granted.Leftover)
}

// forgetLeftover forgets nodes whose ghosts are gone; a holder of long ago may not: they may have held the lease since.
func (s *Service) forgetLeftover(ctx context.Context, held Held, gone []string) (Lease, error) {
	return update(ctx, s.Store, keyJoin, func(l *Lease, _ int64) (bool, error) {
		if err := l.holds(held); err != nil {
			return false, err
		}
		l.Leftover = slices.DeleteFunc(slices.Clone(l.Leftover), func(name string) bool { return slices.Contains(gone, name) })
		return true, nil
	})
}

// ghostList is what has to go before a join, by ids that are never used twice.
type ghostList struct {
	etcd []EtcdMember
	node string
	uid  string
}

func (s *Service) ghosts(ctx context.Context, id Identity, leftover []string) (ghostList, error) {
	list := ghostList{node: id.Name}
	members, err := s.Cluster.EtcdMembers(ctx)
	if err != nil {
		return list, clusterError(err)
	}
	for _, m := range members {
		own := m.Name == id.Name || m.Name == "" && m.at(id.Addresses)
		// Of others only what never finished goes: one that did finish, and could not report it, is a member in good
		// standing. A member that never started has no name, and while this lease is held nobody else is joining.
		if own || m.unfinished() && (m.Name == "" || slices.Contains(leftover, m.Name)) {
			list.etcd = append(list.etcd, m)
		}
	}
	object, err := s.Cluster.Node(ctx, id.Name)
	if err != nil {
		return list, clusterError(err)
	}
	list.uid = object.UID
	return list, nil
}

func (s *Service) removeGhosts(ctx context.Context, list ghostList) error {
	for _, m := range list.etcd {
		s.Log.Info("removing an unfinished etcd member", "id", m.ID, "member", m.Name, "for", list.node)
		if err := s.Cluster.RemoveEtcdMember(ctx, m.ID); err != nil {
			return clusterError(err)
		}
	}
	if list.uid == "" {
		return nil
	}
	s.Log.Info("removing the Node object of an unfinished join", "node", list.node)
	if err := s.Cluster.DeleteNode(ctx, list.node, list.uid); err != nil {
		return clusterError(err)
	}
	return nil
}

// RenewJoin notes that the holder is alive.
func (s *Service) RenewJoin(ctx context.Context, id Identity, held Held) (Lease, error) {
	return s.renew(ctx, id, keyJoin, held)
}

// ReleaseJoin gives the lease back.
func (s *Service) ReleaseJoin(ctx context.Context, id Identity, held Held) (Lease, error) {
	return s.release(ctx, id, keyJoin, held)
}

// Certificates streams the shared certificates to the holder of the join lease. Renewing is the proof: it is a write.
func (s *Service) Certificates(ctx context.Context, id Identity, held Held, w io.Writer) error {
	if _, err := s.Committed(ctx); err != nil {
		return err
	}
	if _, err := s.RenewJoin(ctx, id, held); err != nil {
		return err
	}
	if err := s.open(ctx, id.Name); err != nil {
		return err
	}
	if err := s.Cluster.Certificates(ctx, w); err != nil {
		return clusterError(err)
	}
	s.decided("certificates sent", id, nil)
	return nil
}

func (s *Service) renew(ctx context.Context, id Identity, key string, held Held) (Lease, error) {
	held.Node = id.Name
	if err := s.controlPlane(ctx, id, nil); err != nil {
		return Lease{}, err
	}
	return update(ctx, s.Store, key, func(l *Lease, _ int64) (bool, error) { return l.Renew(held) })
}

func (s *Service) release(ctx context.Context, id Identity, key string, held Held) (Lease, error) {
	held.Node = id.Name
	if err := s.controlPlane(ctx, id, nil); err != nil {
		return Lease{}, err
	}
	lease, err := update(ctx, s.Store, key, func(l *Lease, _ int64) (bool, error) { return l.Release(held), nil })
	s.decided("lease given back", id, err, slog.String("lease", key), slog.Int64("epoch", held.Epoch))
	return lease, err
}

// controlPlane is the gate of the leases. It lets a control plane pass that is not revoked, when the store is formed.
// No machine of a pool may have its name: what such a machine has in the cluster is not a ghost. early is an error of
// the request itself, returned after the credential was judged.
func (s *Service) controlPlane(ctx context.Context, id Identity, early error) error {
	if id.Role != credential.ControlPlane || id.Pool != nil {
		return Errorf(CodeForbidden, "this call is for control planes")
	}
	if early != nil {
		return early
	}
	if err := s.ready(ctx); err != nil {
		return err
	}
	node, _, err := load[Node](ctx, s.Store, nodePrefix+id.Name)
	switch {
	case err != nil:
		return err
	case node.Revoked:
		return Errorf(CodeRevoked, "the credential of %s is revoked", id.Name)
	case node.Pool != "":
		return Errorf(CodeForbidden, "a machine of pool %s has the name %s; `gen reopen %s` takes it out of the cluster", node.Pool, id.Name, id.Name)
	}
	return nil
}

// open refuses a node whose enrolment is closed or revoked.
func (s *Service) open(ctx context.Context, name string) error {
	node, _, err := load[Node](ctx, s.Store, nodePrefix+name)
	if err != nil {
		return err
	}
	node.Name = name
	return node.refused()
}

// note writes a step of a node as seen from here. It is for people: a failure of it must not fail the call.
func (s *Service) note(ctx context.Context, id Identity, step string) {
	_, err := update(ctx, s.Store, nodePrefix+id.Name, func(n *Node, _ int64) (bool, error) {
		n.Name, n.Role = id.Name, id.Role
		return true, n.Progress(step, "", s.now())
	})
	if err != nil {
		s.Log.Warn("the step of a node was not noted", "node", id.Name, "step", step, "error", err)
	}
}

func (s *Service) decided(what string, id Identity, err error, attrs ...any) {
	attrs = append([]any{"node", id.Name}, attrs...)
	if err == nil {
		s.Log.Info(what, attrs...)
		return
	}
	s.Log.Info(what+" refused", append(attrs, "why", err)...)
}
