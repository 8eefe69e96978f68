package formation

import (
	"context"
	"errors"
	"slices"

	"muster/internal/rendezvous"
	"muster/internal/rendezvous/durable"
)

// watch keeps the list of members and of control planes, notices when this one is no longer among the members, and
// recovers the survivor of two. A control plane that was taken off the list of control planes is on the list of members
// if it is one still: that one is asked for afterwards.
func (f *Formation) watch(ctx context.Context, s state) error {
	learnt := f.learn(ctx, s)
	brief, cancel := context.WithTimeout(ctx, membersTimeout)
	defer cancel()
	members, err := f.Engine.Members(brief)
	if err != nil || len(members) == 0 {
		if f.missedLong() {
			return f.recover(ctx, s)
		}
		return err
	}
	if !slices.ContainsFunc(members, func(m Member) bool { return m.ID == s.ID }) {
		if !f.missedLong() {
			return nil
		}
		f.say("this control plane was removed from the store; beginning anew")
		return f.giveUp(ctx, true)
	}
	f.clearMissed()
	if slices.Equal(members, s.Members) {
		return learnt
	}
	return errors.Join(learnt, f.noteMembers(brief))
}

// noteMembers writes the members down. It reads them again when nothing changes them: one that Admit wrote down first
// stays there until it is one, or is none.
func (f *Formation) noteMembers(ctx context.Context) error {
	if !f.admitting.TryLock() {
		return nil // a second later
	}
	defer f.admitting.Unlock()
	members, err := f.Engine.Members(ctx)
	if err != nil || len(members) == 0 {
		return err
	}
	return f.change(func(s *state) error {
		s.Members = members
		return nil
	})
}

// Admit makes another control plane a member of the store that this one holds.
func (f *Formation) Admit(ctx context.Context, a rendezvous.Admission) error {
	s := f.current()
	switch {
	case s.ID == 0 || s.Phase == joining || a.UID != s.UID:
		return rendezvous.Errorf(rendezvous.CodeForbidden, "this control plane does not hold that store")
	case a.ID == 0 || a.ID == f.Engine.FounderID() || a.Address == "":
		return rendezvous.Errorf(rendezvous.CodeInvalid, "id and address: those of the member that joins are expected")
	}
	f.admitting.Lock()
	defer f.admitting.Unlock()
	if s.Formed {
		if err := f.Service.Whole(ctx); err != nil {
			return err // the store has lost data, and whoever joined it would keep it from being given up
		}
	}
	if err := f.refuseRevoked(ctx, a.Node); err != nil {
		return err
	}
	ctx, cancel := changing(ctx)
	defer cancel()
	// Written down first: whoever is alone later has to know how many members there may be, and which.
	if err := f.alsoKnow(map[string]string{a.Node: a.Address}); err != nil {
		return err
	}
	err := f.change(func(s *state) error {
		s.Members = slices.DeleteFunc(slices.Clone(s.Members), func(m Member) bool { return m.Address == a.Address })
		s.Members = append(s.Members, Member{ID: a.ID, Address: a.Address})
		return nil
	})
	if err != nil {
		return err
	}
	if err := f.Service.NoteMember(ctx, a.Node, a.Address); err != nil {
		return err
	}
	if err := f.otherKnows(ctx, s, a); err != nil {
		return err
	}
	if err := f.Engine.Add(ctx, a.ID, a.Address); err != nil {
		return unchanged(err)
	}
	// Whoever revoked this node before it was added removed nothing; whoever does from now on finds it.
	if err = f.refuseRevoked(ctx, a.Node); rendezvous.CodeOf(err) == rendezvous.CodeRevoked {
		return errors.Join(err, f.Engine.Remove(ctx, a.Address))
	}
	f.Log.Info("a control plane was admitted to the store", "node", a.Node, "address", a.Address)
	return err
}

func (f *Formation) refuseRevoked(ctx context.Context, node string) error {
	revoked, err := f.Service.Revoked(ctx, node)
	if err == nil && revoked {
		err = rendezvous.Errorf(rendezvous.CodeRevoked, "the credential of %s is revoked", node)
	}
	return err
}

// Confirm promises never to give up the store of this uid by itself. A founder marks first that it founded, whoever
// asks.
func (f *Formation) Confirm(_ context.Context, uid string) error {
	return f.change(func(s *state) error {
		if s.ID == 0 || s.UID != uid || s.Phase == joining {
			return rendezvous.Errorf(rendezvous.CodeForbidden, "this control plane does not hold that store")
		}
		if s.Founder && !s.Confirmed {
			if err := durable.WriteJSON(f.Founded, true); err != nil {
				return err
			}
		}
		s.Confirmed = true
		return nil
	})
}

// CanRemove is rendezvous.Members'.
func (f *Formation) CanRemove(node string) error {
	if node == f.Self {
		return rendezvous.Errorf(rendezvous.CodeUnavailable, "%s does not remove itself: ask another control plane", node)
	}
	return nil
}

// Remove is rendezvous.Members'.
func (f *Formation) Remove(ctx context.Context, node string) error {
	if err := f.CanRemove(node); err != nil {
		return err
	}
	address, err := f.Service.MemberAddress(ctx, node)
	if err != nil || address == "" {
		return err
	}
	f.admitting.Lock()
	defer f.admitting.Unlock()
	ctx, cancel := changing(ctx)
	defer cancel()
	if err := f.Engine.Remove(ctx, address); err != nil {
		return unchanged(err)
	}
	return nil
}

// changing is the context of a change of the membership that has begun: it goes on when who asked for it has gone, so
// that nothing after the change is left out.
func changing(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), changeTimeout)
}

func unchanged(cause error) error {
	return rendezvous.Caused(rendezvous.CodeUnavailable, cause, "the store cannot change its members now: ask again")
}
