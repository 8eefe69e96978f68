// Package formation owns how the control planes come to have one store: who founds it, who joins it, what a machine
// does whose disk was lost. It writes down every step before it takes it, so that a power cut at any point is
// continued.
//
// It must not know how the store replicates (Engine) or how peers are reached (Peer). The rule of rules: nothing is
// decided in a store before a majority of the spec's control planes promised, durably, never to give it up (Confirmed).
package formation

import (
	"context"
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
