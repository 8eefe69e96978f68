package rendezvous

import (
	"context"
	"slices"
	"time"

	"muster/internal/secrets/credential"
)

// Enrol mints a token for this one request and returns the kubeconfig that the node discovers the cluster with. Tokens
// of the node's earlier asks are deleted. A control plane has to hold the join lease.
func (s *Service) Enrol(ctx context.Context, id Identity, claim Claim, held *Held) ([]byte, error) {
	name, err := s.admitted(ctx, id, claim)
	if err != nil {
		return nil, err
	}
	if _, err := s.Committed(ctx); err != nil {
		return nil, err
	}
	if err := s.mayJoinNow(ctx, id, held); err != nil {
		return nil, err
	}
	before, err := s.Cluster.Node(ctx, name)
	if err != nil {
		return nil, clusterError(err)
	}
	if err := s.admitToPool(ctx, id, name, claim, before); err != nil {
		return nil, s.refusal(ctx, name, err)
	}
	token, err := newToken()
	if err != nil {
		return nil, Errorf(CodeInternal, "%w", err)
	}
	node, err := update(ctx, s.Store, nodePrefix+name, func(n *Node, _ int64) (bool, error) {
		return true, n.Claim(id, name, claim, before, token.ID, s.now())
	})
	if err != nil {
		s.decided("enrolment", Identity{Name: name}, err)
		return nil, s.refusal(ctx, name, err)
	}
	if err := s.dropTokens(ctx, name, slices.DeleteFunc(node.Tokens, func(t string) bool { return t == token.ID })); err != nil {
		return nil, err
	}
	if err := s.mint(ctx, id, name, token); err != nil {
		return nil, err
	}
	s.decided("enrolment: token minted", Identity{Name: name}, nil)
	discovery, err := s.Cluster.Discovery(ctx, token)
	if err != nil {
		return nil, clusterError(err)
	}
	return discovery, nil
}

// mint makes the token of a claim, and deletes it when it is not wanted any more. A token whose making failed may exist
// all the same: as long as its id is written down the next ask deletes it.
func (s *Service) mint(ctx context.Context, id Identity, name string, token Token) error {
	ctx, cancel := detached(ctx)
	defer cancel()
	made := s.Cluster.CreateToken(ctx, token, s.tokenTTL(), name)
	if err := s.stillWanted(ctx, id, name, token.ID); err != nil {
		if dropped := s.Cluster.DeleteToken(ctx, token.ID); dropped != nil {
			s.Log.Warn("a token stays until it expires", "node", name, "token", token.ID, "error", dropped)
		}
		return err
	}
	if made != nil {
		return clusterError(made)
	}
	return nil
}

// detached outlives a client that hangs up: what was begun with a token has to be ended. Each step has a shorter
// timeout of its own.
func detached(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
}

// stillWanted looks again after a token was made: between the claim and the token an operator may have revoked, or
// another ask have closed the enrolment. Then the token, which their deletion may have missed, must not outlive the
// call. It writes what it read, unchanged, because a read may be old.
func (s *Service) stillWanted(ctx context.Context, id Identity, name, token string) error {
	_, err := update(ctx, s.Store, nodePrefix+name, func(n *Node, _ int64) (bool, error) {
		if err := n.refused(); err != nil {
			return false, err
		}
		if !slices.Contains(n.Tokens, token) {
			return false, Errorf(CodeConflict, "the enrolment of %s was changed meanwhile: ask again", name)
		}
		return true, nil
	})
	if err != nil || id.Pool == nil {
		return err
	}
	_, err = update(ctx, s.Store, poolPrefix+id.Name, func(p *PoolRecord, _ int64) (bool, error) { return true, p.refused(id.Name) })
	return err
}

// admitted is the part of an enrolment that does not ask the cluster: whose node it is about, whether the request is
// well formed, the store founded and the node's enrolment open.
func (s *Service) admitted(ctx context.Context, id Identity, claim Claim) (string, error) {
	name, err := s.nodeName(id, claim.Name)
	if err != nil {
		return "", err
	}
	if err := checkMachine(claim.Machine); err != nil {
		return "", err
	}
	if err := s.ready(ctx); err != nil {
		return "", err
	}
	return name, s.open(ctx, name)
}

// mayJoinNow: workers any time, a control plane under the join lease.
func (s *Service) mayJoinNow(ctx context.Context, id Identity, held *Held) error {
	if id.Role == credential.Worker {
		return nil
	}
	if held == nil {
		return Errorf(CodeForbidden, "a control plane enrols under the join lease: say run and epoch")
	}
	_, err := s.RenewJoin(ctx, id, *held)
	return err
}

// admitToPool checks the name before it takes a place in the pool: a place taken for a refused name would never be
// freed.
func (s *Service) admitToPool(ctx context.Context, id Identity, name string, claim Claim, before NodeObject) error {
	if id.Pool == nil {
		return nil
	}
	node, _, err := load[Node](ctx, s.Store, nodePrefix+name)
	if err != nil {
		return err
	}
	if err := node.taken(id, name, claim, before); err != nil {
		return err
	}
	_, err = update(ctx, s.Store, poolPrefix+id.Name, func(p *PoolRecord, _ int64) (bool, error) { return p.Admit(id, name, s.now()) })
	return err
}

// refusal notes on the node's record what an operator should see, and returns the refusal.
func (s *Service) refusal(ctx context.Context, name string, refused error) error {
	if CodeOf(refused) != CodeForbidden {
		return refused
	}
	_, err := update(ctx, s.Store, nodePrefix+name, func(n *Node, version int64) (bool, error) {
		text := clip(refused.Error())
		if version == 0 || n.Refused == text {
			return false, nil // strangers' names do not fill the store
		}
		n.Refused = text
		return true, nil
	})
	if err != nil {
		s.Log.Warn("a refusal was not noted", "node", name, "error", err)
	}
	return refused
}

// dropTokens deletes the tokens, forgets their ids, and deletes again, so that an id is known for as long as its token
// may exist. A request overtaken by this one may have created its token after the first deletion. One created later
// still is found by stillWanted, because its id is forgotten. The second deletion follows a write that failed as well:
// it may have forgotten the ids all the same.
func (s *Service) dropTokens(ctx context.Context, name string, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	if err := s.deleteTokens(ctx, ids); err != nil {
		return err
	}
	ctx, cancel := detached(ctx)
	defer cancel()
	_, forgotten := update(ctx, s.Store, nodePrefix+name, func(n *Node, _ int64) (bool, error) {
		before := len(n.Tokens)
		n.Tokens = slices.DeleteFunc(slices.Clone(n.Tokens), func(t string) bool { return slices.Contains(ids, t) })
		return len(n.Tokens) != before, nil
	})
	if err := s.deleteTokens(ctx, ids); err != nil {
		return err
	}
	return forgotten
}

func (s *Service) deleteTokens(ctx context.Context, ids []string) error {
	for _, id := range ids {
		if err := s.Cluster.DeleteToken(ctx, id); err != nil {
			return clusterError(err)
		}
	}
	return nil
}

// Done closes the enrolment of a node that the cluster has seen: its token is deleted first, then the record is closed,
// and then the node may delete its credential. Asked again it succeeds again.
func (s *Service) Done(ctx context.Context, id Identity, claim Claim) error {
	name, err := s.nodeName(id, claim.Name)
	if err != nil {
		return err
	}
	if err := checkMachine(claim.Machine); err != nil {
		return err
	}
	if err := s.ready(ctx); err != nil {
		return err
	}
	node, _, err := load[Node](ctx, s.Store, nodePrefix+name)
	if err != nil {
		return err
	}
	if node.Closed && !node.Revoked && node.Machine == "" {
		return nil // the store was made again: that the node joined is known, but not by which machine
	}
	if err := speaksFor(node, id, name, claim); err != nil {
		return err
	}
	if node.Closed {
		return nil
	}
	object, err := s.Cluster.Node(ctx, name)
	if err != nil {
		return clusterError(err)
	}
	if !node.Joined(object) {
		return waiting(retryJoined, "the cluster has not seen %s since its claim", name)
	}
	if err := s.dropTokens(ctx, name, node.Tokens); err != nil {
		return err
	}
	_, err = update(ctx, s.Store, nodePrefix+name, func(n *Node, _ int64) (bool, error) {
		if err := speaksFor(*n, id, name, claim); err != nil || n.Closed {
			return false, err
		}
		if len(n.Tokens) > 0 {
			return false, Errorf(CodeConflict, "a token of %s was minted meanwhile: report again", name)
		}
		n.Close(s.now())
		return true, nil
	})
	s.decided("enrolment closed", Identity{Name: name}, err)
	return err
}

// speaksFor: only the machine that claimed the name reports for it.
func speaksFor(n Node, id Identity, name string, claim Claim) error {
	switch {
	case n.Revoked:
		return Errorf(CodeRevoked, "the credential of %s is revoked", name)
	case n.Machine == "":
		return Errorf(CodeForbidden, "%s has not claimed its name: enrol first", name)
	case n.Machine != claim.Machine, (n.Pool != "") != (id.Pool != nil), id.Pool != nil && n.Pool != id.Name:
		return Errorf(CodeForbidden, "%s is another machine's", name)
	}
	return nil
}

// Report is what a node says about itself.
type Report struct {
	Claim
	Step  string `json:"step"`
	Error string `json:"error,omitempty"`
}

// Progress notes a step of a node. A node of the spec may report before it claims; a machine of a pool only after.
func (s *Service) Progress(ctx context.Context, id Identity, report Report) error {
	name, err := s.nodeName(id, report.Name)
	if err != nil {
		return err
	}
	if report.Step == "" {
		return Errorf(CodeInvalid, "step: say what the node does")
	}
	if err := s.ready(ctx); err != nil {
		return err
	}
	_, err = update(ctx, s.Store, nodePrefix+name, func(n *Node, _ int64) (bool, error) {
		if id.Pool != nil || n.Pool != "" {
			if err := speaksFor(*n, id, name, report.Claim); err != nil {
				return false, err
			}
		}
		if n.Closed && id.Role == credential.Worker {
			return false, n.refused() // a credential that leaked after the join must not even write a text
		}
		n.Name, n.Role = name, id.Role
		return true, n.Progress(report.Step, report.Error, s.now())
	})
	return err
}

// Reopen makes the credential of a node worth one more enrolment. The old life of the node goes first: its tokens, its
// Node object and, of a control plane, its etcd and store members; so it needs a control plane that is in the cluster.
func (s *Service) Reopen(ctx context.Context, id Identity, name string) error {
	node, err := s.operated(ctx, id, name)
	if err != nil {
		return err
	}
	if err := s.dropTokens(ctx, name, node.Tokens); err != nil {
		return err
	}
	object, err := s.Cluster.Node(ctx, name)
	if err != nil {
		return clusterError(err)
	}
	if node.Role == credential.ControlPlane {
		if err := s.removeControlPlane(ctx, name); err != nil {
			return err
		}
	}
	if object.UID != "" {
		if err := s.Cluster.DeleteNode(ctx, name, object.UID); err != nil {
			return clusterError(err)
		}
	}
	if node.Pool != "" {
		if _, err := update(ctx, s.Store, poolPrefix+node.Pool, func(p *PoolRecord, _ int64) (bool, error) { return p.Remove(name), nil }); err != nil {
			return err
		}
	}
	_, err = update(ctx, s.Store, nodePrefix+name, func(n *Node, _ int64) (bool, error) {
		if len(n.Tokens) > 0 {
			return false, Errorf(CodeConflict, "a token of %s was minted meanwhile: reopen it again", name)
		}
		n.Reopen(s.now())
		return true, nil
	})
	s.decided("reopened by the operator", Identity{Name: name}, err)
	return err
}

func (s *Service) removeControlPlane(ctx context.Context, name string) error {
	members, err := s.Cluster.EtcdMembers(ctx)
	if err != nil {
		return clusterError(err)
	}
	for _, m := range members {
		if m.Name != name {
			continue
		}
		if len(members) == 1 {
			return Errorf(CodeForbidden, "%s is the only etcd member: removing it would end the cluster", name)
		}
		if err := s.Cluster.RemoveEtcdMember(ctx, m.ID); err != nil {
			return clusterError(err)
		}
	}
	if err := s.Members.Remove(ctx, name); err != nil {
		return storeError(err)
	}
	return nil
}

// RevokeNode takes the credential of a node back. A node that has joined stays in the cluster: taking it
// out is left to kubectl. Nothing is written where the member cannot be removed: the others would refuse the revoked one,
// whose vote they may need to remove it.
func (s *Service) RevokeNode(ctx context.Context, id Identity, name string) error {
	if err := s.operator(ctx, id, name); err != nil {
		return err
	}
	if err := s.Members.CanRemove(name); err != nil {
		return err
	}
	node, err := update(ctx, s.Store, nodePrefix+name, func(n *Node, _ int64) (bool, error) {
		n.Name = name // a node that never came is revoked before it does
		n.Revoke(s.now())
		return true, nil
	})
	s.decided("revoked by the operator", Identity{Name: name}, err)
	if err != nil {
		return err
	}
	if node.Role != credential.Worker {
		if err := s.Members.Remove(ctx, name); err != nil {
			return storeError(err)
		}
	}
	return s.dropTokens(ctx, name, node.Tokens)
}

// RevokePool takes the credential of a pool back. Its nodes that have joined stay in the cluster.
func (s *Service) RevokePool(ctx context.Context, id Identity, pool string) error {
	if err := s.operator(ctx, id, pool); err != nil {
		return err
	}
	_, err := update(ctx, s.Store, poolPrefix+pool, func(p *PoolRecord, _ int64) (bool, error) {
		p.Revoked = true
		return true, nil
	})
	s.decided("pool revoked by the operator", Identity{Name: pool}, err)
	if err != nil {
		return err
	}
	nodes, err := s.nodes(ctx)
	if err != nil {
		return err
	}
	for _, n := range nodes {
		if n.Pool == pool {
			if err := s.dropTokens(ctx, n.Name, n.Tokens); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Service) operator(ctx context.Context, id Identity, name string) error {
	if id.Role != credential.Operator {
		return Errorf(CodeForbidden, "this call is the operator's")
	}
	if err := checkName(name); err != nil {
		return err
	}
	return s.ready(ctx)
}

func (s *Service) operated(ctx context.Context, id Identity, name string) (Node, error) {
	if err := s.operator(ctx, id, name); err != nil {
		return Node{}, err
	}
	node, version, err := load[Node](ctx, s.Store, nodePrefix+name)
	if err == nil && version == 0 {
		err = Errorf(CodeNotFound, "no node %s has come yet: its document is good as it is", name)
	}
	return node, err
}
