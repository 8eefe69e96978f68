package formation

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"muster/internal/rendezvous"
)

// formed notes that decisions are made in this store: it is given up no more. Where another one wrote the founding
// record, nobody may have noted this member, and this founder may not have promised.
func (f *Formation) formed(ctx context.Context, s state) error {
	if err := f.Service.NoteMember(ctx, f.Self, f.Address); err != nil {
		return err
	}
	if err := f.Confirm(ctx, s.UID); err != nil {
		return err
	}
	return f.change(func(s *state) error {
		s.Phase, s.Formed = member, true
		return nil
	})
}

// emptied says whether the store has lost the record with which it was formed, or the committed init, and with them
// decisions: its member starts with what it can read of a damaged disk, without a word. What comes of
// it is for handleLoss, once that has lasted.
func (f *Formation) emptied(ctx context.Context, s state) (bool, error) {
	brief, cancel := context.WithTimeout(ctx, membersTimeout)
	defer cancel()
	f.knowInit(s)
	if err := f.Service.Whole(brief); rendezvous.CodeOf(err) != rendezvous.CodeWaiting {
		f.empty = time.Time{}
		if err != nil {
			return false, nil
		}
		f.Service.Trouble("")
		return false, f.noteInit(brief, s)
	}
	f.clearMissed()
	if f.empty.IsZero() {
		f.empty = time.Now()
	}
	err := errors.New("the store was formed, and has lost data")
	f.Service.Trouble(err.Error())
	if time.Since(f.empty) < missedFor {
		return true, err
	}
	if members, unknown := f.Engine.Members(brief); unknown == nil {
		if gone := f.handleLoss(ctx, s, members); gone != nil {
			return true, gone
		}
	}
	return true, err
}

// handleLoss is for a store that has lost data. Its only member gives it up, like a lost one, if another control plane has
// the store as it was, or if the cluster runs here, from which it is made again. Else people have to choose, because
// nobody knows what had been decided.
func (f *Formation) handleLoss(ctx context.Context, s state, members []Member) error {
	if len(members) != 1 {
		f.trouble("the store of the control planes has lost data, as with a damaged disk; to make another one, "+
			"stop muster-rendezvous on all control planes, remove %s on each, and where no cluster runs yet also %s and %s, and start it again", f.Dir, f.Founded, f.RevokedFile)
		return nil
	}
	if only := members[0]; only.ID != s.ID {
		name := f.known().at(only.Address)
		f.trouble("the store of the control planes has lost data on %s, as with a damaged disk, and nothing is decided before %s has given it up, which it does by itself; "+
			"if it does not, stop muster-rendezvous on %s, remove %s there, and start it again", name, name, name, f.Dir)
		return nil
	}
	answers := f.ask(ctx)
	for name, a := range answers {
		if a.Confirmed && a.UID == s.UID && !f.revoked(name) {
			f.say("the store of this control plane has lost data, as with a damaged disk; it is set aside, and what %s has is joined", name)
			return f.giveUp(ctx, true)
		}
	}
	if _, running := f.InCluster(); running {
		f.say("the store of this control plane has lost data, as with a damaged disk; it is set aside, to be made again from the running cluster")
		return f.giveUp(ctx, true)
	}
	waits := ""
	if missing := f.missing(answers); len(missing) > 0 {
		waits = fmt.Sprintf(", and waits for %s, who may have it as it was", strings.Join(missing, ", "))
	}
	f.trouble("the store of this control plane has lost data, as with a damaged disk%s; where nobody has it any more, stop muster-rendezvous here, "+
		"remove %s, and where no cluster runs yet also %s and %s, and start it again", waits, f.Dir, f.Founded, f.RevokedFile)
	return nil
}

// trouble tells people on the console and in the status.
func (f *Formation) trouble(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	f.say("%s", text)
	f.Service.Trouble(text)
}

// knowInit tells the Service that a store without a committed init has lost it: this member has seen it there, or is the
// only one, and in the cluster.
func (f *Formation) knowInit(s state) {
	if _, running := f.InCluster(); s.Init || running && s.Formed && len(s.Members) == 1 {
		f.Service.KnowCommitted()
	}
}

func (f *Formation) noteInit(ctx context.Context, s state) error {
	if s.Init {
		return nil
	}
	_, err := f.Service.Committed(ctx)
	if err == nil {
		return f.change(func(s *state) error { s.Init = true; return nil })
	}
	if rendezvous.CodeOf(err) == rendezvous.CodeWaiting {
		return nil
	}
	return err
}

// missedLong notes that this member is missed, and says whether that has been so for long.
func (f *Formation) missedLong() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.missed.IsZero() {
		f.missed = time.Now()
	}
	return time.Since(f.missed) >= missedFor
}

func (f *Formation) clearMissed() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.missed = time.Time{}
}

// recover goes on alone when this is one of two members and the other lost its disk: the other says so itself, over
// mutual TLS, and every other control plane answered that it holds nothing either. Of two voters each has all that was
// acknowledged. One that is revoked is not asked: its vote is refused from then on, and without this one's it can decide
// nothing.
//
// A founder that nobody has joined yet begins anew instead. It may have been killed after recording a second voter on
// disk and before telling that member. Raft's C library gives no vote for a member that does not know that it has one.
//
// Where another control plane holds another store, people have to choose. To come to that, two control planes have to
// be lost at once, for good or for a while: see DESIGN.md.
func (f *Formation) recover(ctx context.Context, s state) error {
	answers := f.ask(ctx)
	planes := f.known()
	for _, name := range planes.order {
		// One that is not confirmed gives way by itself: see orphaned.
		if a := answers[name]; s.Confirmed && a.Confirmed && a.UID != s.UID && !f.revoked(name) {
			f.say("there are two clusters: this control plane's has no majority any more, and %s holds another one; if that one is to stay, reinstall this machine", name)
			return fmt.Errorf("the store has no leader, and %s holds another one", name)
		}
	}
	if len(s.Members) > len(planes.order) {
		return errors.New("the store has no leader, and more members than this control plane knows of")
	}
	// A machine that has just joined may not have the list of members yet, but knows every control plane: see join.
	two := len(s.Members) == 2 || len(s.Members) < 2 && len(planes.order) == 2
	if s.Confirmed && !two {
		return errors.New("the store has no leader")
	}
	if missing := f.missing(answers); len(missing) > 0 {
		return fmt.Errorf("the store has no leader, and no answer comes from %s", strings.Join(missing, ", "))
	}
	for name, a := range answers {
		if a.Holds && !(s.Confirmed && f.revoked(name)) {
			return fmt.Errorf("the store has no leader, and %s holds data", name)
		}
	}
	if !s.Confirmed {
		f.say("the founded store has no leader, and no other control plane has joined it; beginning anew")
		return f.giveUp(ctx, false)
	}
	f.say("the other member of the store lost its disk, or is revoked; going on with what is here, which is all")
	if err := f.stop(ctx); err != nil {
		return err
	}
	if err := f.Engine.Recover(s.ID); err != nil {
		return err
	}
	err := f.change(func(s *state) error {
		s.Members = []Member{{ID: s.ID, Address: f.Address}}
		return nil
	})
	if err != nil {
		return err
	}
	f.clearMissed()
	return f.start(s)
}
