package formation

import (
	"context"
	"errors"
	"strings"

	"muster/internal/rendezvous"
)

// join asks to be admitted, by whoever holds the store that this member was made for.
func (f *Formation) join(ctx context.Context, s state) error {
	answers := f.ask(ctx)
	var last error
	planes := f.known()
	for _, name := range planes.order {
		a, ok := answers[name]
		if !ok || !a.Holds || a.UID != s.UID || f.revoked(name) {
			continue
		}
		// Before this machine is a member: whoever is alone later has to know whom to wait for.
		if err := f.alsoKnow(a.Known); err != nil {
			return err
		}
		if last = planes.peers[name].Admit(ctx, rendezvous.Admission{UID: s.UID, ID: s.ID, Address: f.Address}); last == nil {
			f.say("this control plane is a member of the store")
			// A store that others confirmed is in use: this machine may be the only one left with it a moment from now.
			return f.change(func(s *state) error {
				s.Phase, s.Confirmed = member, s.Confirmed || a.Confirmed
				return nil
			})
		}
	}
	if last != nil {
		f.say("the store cannot admit this control plane yet: %v", last)
		return last
	}
	return f.orphaned(ctx, s, answers)
}

// orphaned gives up a store that is not needed. An unconfirmed store is given up when (a) every other control plane
// answered and none has it (never by its founder), (b) another store is confirmed, or (c) only the other store has a
// member in the running cluster: this one would wait for such a member for ever (see rebuild). Who began to join a store
// that nobody has any more says for whom it waits.
func (f *Formation) orphaned(ctx context.Context, s state, answers map[string]rendezvous.Membership) error {
	same, confirmed, theirs := false, false, false
	_, ours := f.InCluster()
	for name, a := range answers {
		switch {
		case !a.Holds, f.revoked(name):
		case a.UID == s.UID:
			same, ours = true, ours || a.InCluster
		default:
			confirmed, theirs = confirmed || a.Confirmed, theirs || a.InCluster
		}
	}
	missing := f.missing(answers)
	alone := !s.Founder && !same && len(missing) == 0
	if s.Confirmed || !alone && !confirmed && (ours || !theirs) {
		if s.Phase == joining && !same {
			f.say("the store of the control planes waits for %s: nobody else has the one that this control plane began to join", strings.Join(missing, ", "))
		}
		return nil
	}
	f.say("the store that this control plane began with is gone; beginning anew")
	return f.giveUp(ctx, false)
}

// giveUp sets this member aside and asks for a new start. The state goes first: New sets a store without it aside.
func (f *Formation) giveUp(ctx context.Context, confirmed bool) error {
	err := f.change(func(s *state) error {
		if s.Confirmed && !confirmed {
			return errors.New("the store was confirmed meanwhile: it is kept")
		}
		*s = state{}
		return nil
	})
	if err != nil {
		return err
	}
	if err := f.stop(ctx); err != nil {
		return err
	}
	if err := f.Engine.SetAside(); err != nil {
		return err
	}
	return ErrRestart
}
