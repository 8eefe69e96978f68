// Package formation owns how the control planes come to have one store: who founds it, who joins it, what a machine
// does whose disk was lost. It writes down every step before it takes it, so that a power cut at any point is
// continued.
//
// It must not know how the store replicates (Engine) or how peers are reached (Peer). The rule of rules: nothing is
// decided in a store before a majority of the spec's control planes promised, durably, never to give it up (Confirmed).
package formation

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"muster/internal/rendezvous"
	"muster/internal/rendezvous/durable"
)

// Engine is the replicated store's machinery on this machine; package dqlite has the real one.
type Engine interface {
	// FounderID is the id of the member that makes a new store on an empty disk; NewID draws the id of one that joins.
	FounderID() uint64
	NewID() (uint64, error)
	// Exists says whether this machine's disk holds a store.
	Exists() (bool, error)
	// Start starts the member of the store with this uid, which talks to members of that store only; it looks for them
	// at peers. Close stops it, and hands the leadership on if there is time.
	Start(id uint64, uid string, peers []string) (rendezvous.Store, error)
	Close(ctx context.Context) error
	// Members lists the members as the leader knows them.
	Members(ctx context.Context) ([]Member, error)
	// Add makes a running node a voting member in place of whoever had its address. It and Remove end at ctx's deadline
	// at the latest.
	Add(ctx context.Context, id uint64, address string) error
	// Remove takes the members with an address out.
	Remove(ctx context.Context, address string) error
	// Recover makes the stopped member the only one.
	Recover(id uint64) error
	// SetAside moves the files of the stopped member out of the way.
	SetAside() error
}

// Member is a member of the store.
type Member struct {
	ID      uint64 `json:"id"`
	Address string `json:"address"`
}

// Peer is another control plane; the connection proves that it is the one that is meant.
type Peer interface {
	Membership(ctx context.Context) (rendezvous.Membership, error)
	Admit(ctx context.Context, a rendezvous.Admission) error
	Confirm(ctx context.Context, uid string) error
}

// ControlPlane is a control plane and where its store listens.
type ControlPlane struct {
	Name, Address string
}

// Config is what a Formation needs.
type Config struct {
	// Self is this control plane's name, Address where its store listens.
	Self, Address string
	// ControlPlanes are those that this machine's document names, this one among them, in the order of the spec. The
	// spec may have got more since: see planes.
	ControlPlanes []ControlPlane
	// Reach makes the way to another control plane.
	Reach func(p ControlPlane) (Peer, error)
	// Dir holds the state file. Founded and Known are files outside Dir that outlive it: that this machine founded a
	// store, and the control planes that its document does not name.
	Dir, Founded, Known string
	// Revoked says that the credential of a control plane was taken back, as RevokedFile has it, of which people are told.
	Revoked     func(name string) bool
	RevokedFile string
	Engine      Engine
	// Service is told of the founding.
	Service *rendezvous.Service
	// Store is the store that Service uses; it begins to work when the engine does.
	Store *LateStore
	// InCluster says whether this machine is a control plane of a running Kubernetes cluster, and which init that was.
	InCluster func() (rendezvous.Commit, bool)
	Log       *slog.Logger
	// Say tells people one line.
	Say func(text string)
}

// ErrRestart says that the process has to begin anew: its member of the store is gone.
var ErrRestart = errors.New("the store's member of this machine was set aside: the process has to start again")

const (
	tendEvery      = time.Second
	probeTimeout   = 8 * time.Second
	membersTimeout = 3 * time.Second
	// missedFor is how long the leader must leave this member out, or there must be none, before that counts.
	missedFor = 10 * time.Second
	// changeTimeout ends a change of the membership, for which all others wait, when the leader does not answer any
	// more: the store's driver heeds nothing but a deadline. A new member that has to be sent the whole store takes
	// seconds.
	changeTimeout = time.Minute
	// stopTimeout is for handing the leadership on. Without a leader there is nobody to hand it to, and no use in
	// waiting.
	stopTimeout = 5 * time.Second
)

// Formation forms the store on one control plane.
type Formation struct {
	Config
	admitting sync.Mutex // one change of the membership at a time
	running   bool       // the member was started; used by Run's goroutine only
	empty     time.Time  // since when the store has lost data; zero: it has not; used by Run's goroutine only

	mu     sync.Mutex // guards what follows
	planes *planes
	state  state
	said   string
	missed time.Time // since when; zero: not now
}

// phase is how far this machine's member is.
type phase string

const (
	founding phase = "founding" // it makes a store, which a majority has not confirmed
	joining  phase = "joining"  // it waits to be admitted
	member   phase = "member"
)

// state is what has to survive a power cut.
type state struct {
	Phase     phase    `json:"phase"`
	UID       string   `json:"uid"`
	ID        uint64   `json:"id"`
	Founder   bool     `json:"founder,omitempty"`
	Confirmed bool     `json:"confirmed,omitempty"`
	Formed    bool     `json:"formed,omitempty"` // the founding record is written
	Init      bool     `json:"init,omitempty"`   // an init is committed in it
	Members   []Member `json:"members,omitempty"`
}

// New reads the state. The API may answer from then on.
func New(cfg Config) (*Formation, error) {
	f := &Formation{Config: cfg}
	if err := durable.ReadJSON(f.stateFile(), &f.state); err != nil {
		return nil, err
	}
	var known map[string]string
	if err := durable.ReadJSON(f.Known, &known); err != nil {
		return nil, err
	}
	var err error
	if f.planes, err = newPlanes(cfg, known, nil); err != nil {
		return nil, err
	}
	exists, err := cfg.Engine.Exists()
	if err != nil {
		return nil, err
	}
	// A state without its store is a lost disk, unless the store was only about to be made. It begins anew, like an
	// empty one.
	if lost := f.state.Phase == member || f.state.Confirmed; lost && !exists {
		f.state = state{}
	}
	if exists && f.state.ID == 0 {
		if err := cfg.Engine.SetAside(); err != nil {
			return nil, fmt.Errorf("a store without its state file: %w", err)
		}
	}
	f.knowInit(f.state)
	return f, nil
}

func (f *Formation) stateFile() string { return filepath.Join(f.Dir, "membership.json") }

// change changes the state: what it leaves is on disk when it returns, and two changes never overlap, so that a promise
// given by one is not overwritten by the other.
func (f *Formation) change(do func(s *state) error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.state
	if err := do(&s); err != nil {
		return err
	}
	if err := durable.WriteJSON(f.stateFile(), s); err != nil {
		return err
	}
	f.state = s
	return nil
}

func (f *Formation) current() state {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.state
}

func (f *Formation) say(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	f.mu.Lock()
	again := text == f.said
	f.said = text
	f.mu.Unlock()
	if !again {
		f.Say(text)
	}
}

// Run forms the store and tends it until ctx ends; it stops the member before it returns.
func (f *Formation) Run(ctx context.Context) (err error) {
	for f.current().ID == 0 {
		if err := f.choose(ctx); err != nil {
			return err
		}
		if f.current().ID == 0 && !pause(ctx) {
			return nil
		}
	}
	if err := f.start(f.current()); err != nil {
		return err
	}
	defer func() {
		if f.running {
			err = errors.Join(err, f.stop(context.WithoutCancel(ctx)))
		}
	}()
	for {
		if err := f.tend(ctx); err != nil && ctx.Err() == nil {
			if errors.Is(err, ErrRestart) || !f.running {
				return err // nothing here starts a member again that was stopped: the process has to
			}
			f.Log.Info("the store is being formed", "waiting", err)
		}
		if !pause(ctx) {
			return nil
		}
	}
}

func pause(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(tendEvery):
		return true
	}
}

func (f *Formation) start(s state) error {
	store, err := f.Engine.Start(s.ID, s.UID, f.known().addresses())
	if err != nil {
		return err
	}
	f.running = true
	f.Store.set(store)
	return nil
}

// stop stops the member.
func (f *Formation) stop(ctx context.Context) error {
	f.Store.set(nil)
	f.running = false
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	return f.Engine.Close(ctx)
}

// choose decides once what a machine without a store does.
func (f *Formation) choose(ctx context.Context) error {
	var before bool
	if err := durable.ReadJSON(f.Founded, &before); err != nil {
		return err
	}
	self, err := f.Membership(ctx)
	if err != nil {
		return err
	}
	answers := f.ask(ctx)
	verdict := f.known().order.Decide(self, before, slices.Collect(maps.Values(answers)), f.revoked)
	switch verdict.Decision {
	case rendezvous.Found:
		f.say("founding the store of the control planes")
		uid, err := newUID()
		if err != nil {
			return err
		}
		return f.change(func(s *state) error {
			*s = state{Phase: founding, UID: uid, ID: f.Engine.FounderID(), Founder: true}
			return nil
		})
	case rendezvous.Join:
		f.say("joining the store that %s holds", verdict.From.Node)
		id, err := f.Engine.NewID()
		if err != nil {
			return err
		}
		return f.change(func(s *state) error {
			*s = state{Phase: joining, UID: verdict.From.UID, ID: id}
			return nil
		})
	}
	f.say("the store of the control planes waits for %s", strings.Join(verdict.Missing, ", "))
	return nil
}

// ask asks all peers at once; who does not answer is left out.
func (f *Formation) ask(ctx context.Context) map[string]rendezvous.Membership {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	var group sync.WaitGroup
	var mu sync.Mutex
	answers := map[string]rendezvous.Membership{}
	for name, peer := range f.known().peers {
		group.Go(func() {
			m, err := peer.Membership(ctx)
			if err != nil {
				f.Log.Debug("a control plane does not answer", "peer", name, "why", err)
				return
			}
			m.Node = name // the connection proved it
			mu.Lock()
			defer mu.Unlock()
			answers[name] = m
		})
	}
	group.Wait()
	return answers
}

// tend does what is next; it is called every second.
func (f *Formation) tend(ctx context.Context) error {
	s := f.current()
	if s.Phase == joining {
		return f.join(ctx, s)
	}
	var err error
	if s.Formed {
		var empty bool
		if empty, err = f.emptied(ctx, s); empty {
			return err // nothing that it says about its members is to be believed
		}
	} else {
		if err = f.complete(ctx, s); errors.Is(err, ErrRestart) {
			return err
		}
	}
	return errors.Join(err, f.watch(ctx, f.current()))
}

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

// complete collects the promises of a majority, then writes the founding record. From that record on, decisions are
// made. The founder does it, or, if he is lost, any other who promised. He may be lost before anybody promised: then
// any member does it when every control plane answers, so that none is overlooked which is in the running cluster.
func (f *Formation) complete(ctx context.Context, s state) error {
	if record, err := f.Service.Formed(ctx); err == nil && record.UID == s.UID {
		return f.formed(ctx, s)
	}
	answers := f.ask(ctx)
	if err := f.orphaned(ctx, s, answers); err != nil {
		return err
	}
	if err := f.rebuild(ctx, answers); err != nil {
		return err
	}
	planes := f.known()
	// Here a revoked one counts as well: it may be the only one in the running cluster.
	if !s.Founder && !s.Confirmed && len(planes.missing(answers)) > 0 {
		return nil
	}
	// Before anybody can write the founding record: whoever revokes this control plane from then on has to find its
	// member.
	if err := f.Service.NoteMember(ctx, f.Self, f.Address); err != nil {
		return err
	}
	promised := 1
	for name, a := range answers {
		if a.Holds && a.UID == s.UID && !f.revoked(name) && (a.Confirmed || planes.confirm(ctx, name, s.UID)) {
			promised++
		}
	}
	if enough := planes.order.Enough(f.revoked); promised < enough {
		f.say("the store of the control planes is founded and waits for more of them to join: %d of %d", promised, enough)
		return nil
	}
	if err := f.Confirm(ctx, s.UID); err != nil {
		return err
	}
	if err := f.Service.Form(ctx, s.UID, f.Self); err != nil {
		return err
	}
	f.say("the store of the control planes is formed")
	return f.formed(ctx, s)
}

// rebuild writes into a store that is made again what the running cluster knows, or waits for a control plane that can.
// It comes before the first promise: whoever promised may write the founding record, and need not be in the cluster
// himself.
func (f *Formation) rebuild(ctx context.Context, answers map[string]rendezvous.Membership) error {
	commit, here := f.InCluster()
	order := f.known().order
	other := slices.IndexFunc(order, func(name string) bool { return answers[name].InCluster })
	if !here && other < 0 {
		return nil
	}
	_, err := f.Service.Committed(ctx)
	if err == nil || rendezvous.CodeOf(err) != rendezvous.CodeWaiting {
		return err // it was written, or the store does not answer
	}
	if !here {
		f.say("the store of the control planes is made again, and waits for what %s knows of the running cluster", order[other])
		return err
	}
	if err = f.Service.Rebuild(ctx, commit); err != nil {
		f.say("the store of the control planes is made again from the running cluster, and waits for it: %v", err)
	}
	return err
}

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
// decisions: its member starts with what it can read of a damaged disk, without a word. The only member gives such a
// store up, like a lost one, if another control plane has the store as it was, or if the cluster runs here, from which it
// is made again. Else people have to choose, because nobody knows what had been decided.
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
	members, unknown := f.Engine.Members(brief)
	if unknown != nil {
		return true, err
	}
	if len(members) != 1 {
		f.trouble("the store of the control planes has lost data, as with a damaged disk; to make another one, "+
			"stop muster-rendezvous on all control planes, remove %s on each, and where no cluster runs yet also %s and %s, and start it again", f.Dir, f.Founded, f.RevokedFile)
		return true, err
	}
	if only := members[0]; only.ID != s.ID {
		name := f.known().at(only.Address)
		f.trouble("the store of the control planes has lost data on %s, as with a damaged disk, and nothing is decided before %s has given it up, which it does by itself; "+
			"if it does not, stop muster-rendezvous on %s, remove %s there, and start it again", name, name, name, f.Dir)
		return true, err
	}
	answers := f.ask(ctx)
	for name, a := range answers {
		if a.Confirmed && a.UID == s.UID && !f.revoked(name) {
			f.say("the store of this control plane has lost data, as with a damaged disk; it is set aside, and what %s has is joined", name)
			return true, f.giveUp(ctx, true)
		}
	}
	if _, running := f.InCluster(); running {
		f.say("the store of this control plane has lost data, as with a damaged disk; it is set aside, to be made again from the running cluster")
		return true, f.giveUp(ctx, true)
	}
	waits := ""
	if missing := f.missing(answers); len(missing) > 0 {
		waits = fmt.Sprintf(", and waits for %s, who may have it as it was", strings.Join(missing, ", "))
	}
	f.trouble("the store of this control plane has lost data, as with a damaged disk%s; where nobody has it any more, stop muster-rendezvous here, "+
		"remove %s, and where no cluster runs yet also %s and %s, and start it again", waits, f.Dir, f.Founded, f.RevokedFile)
	return true, err
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

// Membership is this control plane's answer about itself. A member that waits to be admitted holds nothing yet.
func (f *Formation) Membership(context.Context) (rendezvous.Membership, error) {
	s := f.current()
	_, running := f.InCluster()
	holds := s.ID != 0 && s.Phase != joining
	m := rendezvous.Membership{Node: f.Self, Holds: holds, Confirmed: s.Confirmed, InCluster: running, Known: f.unrevoked()}
	if holds {
		m.UID = s.UID
	}
	return m, nil
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

func newUID() (string, error) {
	b := make([]byte, 16)
	if _, err := rand.Read(b); err != nil {
		return "", fmt.Errorf("no randomness for the store's uid: %w", err)
	}
	return hex.EncodeToString(b), nil
}
