// Package agent owns what a control plane does at its first boot: it takes the lease, keeps it while kubeadm runs,
// stops kubeadm when the lease passed on, and writes down how far it came so that a power cut at any point is
// continued.
//
// It must not know how the rendezvous is reached (API) or how kubeadm is run (Machine).
package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"
	"time"

	"muster/internal/rendezvous"
)

// API is the rendezvous as one control plane sees it; rendezvous/client implements it. Errors carry a rendezvous.Code.
type API interface {
	AcquireInit(ctx context.Context, ask rendezvous.Ask) (rendezvous.Lease, error)
	RenewInit(ctx context.Context, held rendezvous.Held) (rendezvous.Lease, error)
	CommitInit(ctx context.Context, held rendezvous.Held) (rendezvous.Lease, error)
	ReleaseInit(ctx context.Context, held rendezvous.Held) (rendezvous.Lease, error)
	AcquireJoin(ctx context.Context, ask rendezvous.Ask) (rendezvous.Lease, error)
	RenewJoin(ctx context.Context, held rendezvous.Held) (rendezvous.Lease, error)
	ReleaseJoin(ctx context.Context, held rendezvous.Held) (rendezvous.Lease, error)
	Certificates(ctx context.Context, held rendezvous.Held, w io.Writer) error
	Enrol(ctx context.Context, claim rendezvous.Claim, held *rendezvous.Held) ([]byte, error)
	Done(ctx context.Context, claim rendezvous.Claim) error
	Progress(ctx context.Context, report rendezvous.Report) error
}

// Machine is the machine that the agent runs on.
type Machine interface {
	// Load and Save keep the agent's state across power cuts: what Save returned from is what Load finds.
	Load() (State, error)
	Save(State) error
	// Reset undoes a half-done kubeadm (kubeadm reset -f).
	Reset(ctx context.Context) error
	// Run runs kubeadm. When ctx ends, kubeadm and all its children are killed before Run returns.
	Run(ctx context.Context) error
	// SaveCertificates lays the shared certificates of the cluster in place.
	SaveCertificates(r io.Reader) error
	// SaveDiscovery writes the kubeconfig that kubeadm join discovers the cluster with.
	SaveDiscovery(data []byte) error
	// Say tells people one line.
	Say(text string)
}

// State is what has to survive a power cut.
type State struct {
	// InitRun and InitEpoch are the last init lease, written before kubeadm runs under it.
	InitRun   string `json:"initRun,omitempty"`
	InitEpoch int64  `json:"initEpoch,omitempty"`
	// Began: kubeadm was started, or got the certificates of a cluster to join, and that has not been undone. Only then
	// is there anything to undo; before that, what is in kubeadm's folders belongs to the user.
	Began bool `json:"began,omitempty"`
	// InitDone: the init of this machine is committed.
	InitDone bool `json:"initDone,omitempty"`
	// JoinRan: kubeadm join ended well. JoinDone: the rendezvous was told.
	JoinRan  bool `json:"joinRan,omitempty"`
	JoinDone bool `json:"joinDone,omitempty"`
}

// Agent is one run of the agent.
type Agent struct {
	API     API
	Machine Machine
	// Node and MachineID are this machine's name and identity.
	Node, MachineID string
	// Run tells this run from every other: 16 to 64 hexadecimal digits, drawn anew each time.
	Run string
	// Sleep waits, for as long as time.NewTimer would when nil.
	Sleep func(ctx context.Context, d time.Duration) error

	attempt int64
	said    string
}

// Outcome is how Init ended.
type Outcome int

// The outcomes of Init.
const (
	// Made: the init of this machine is committed.
	Made Outcome = iota
	// Join: another machine's init is committed.
	Join
)

// ErrNoInit ends Join when the rendezvous has not known for long of the init that is to be joined, because its store was
// made anew, or is still being formed: Init has to be asked again.
var ErrNoInit = errors.New("the rendezvous has not known of a committed init for minutes: init is asked for again")

// errFenced: the lease passed on while kubeadm ran.
var errFenced = errors.New("the lease passed on to another run")

const (
	pollEvery   = 5 * time.Second  // waiting for another node
	closedEvery = 30 * time.Second // waiting for the operator
	retryEvery  = 15 * time.Second // after kubeadm failed
	// noInitFor is for how long a join waits for the init that it was told of. Asking for init too early does no harm:
	// that lease knows better.
	noInitFor = 3 * time.Minute
)

// Init runs kubeadm init if no control plane's init is committed, and ends when one is. It returns an error only when
// asking again cannot help: the credential is refused, the state cannot be kept, or ctx ended.
func (a *Agent) Init(ctx context.Context) (Outcome, error) {
	state, err := a.Machine.Load()
	if err != nil {
		return Join, err
	}
	if state.InitDone {
		return Made, nil
	}
	for {
		lease, err := a.acquire(ctx, a.API.AcquireInit, forever)
		if committed := committedBy(err); committed != nil {
			return a.recognise(ctx, state, *committed)
		}
		if err != nil {
			return Join, err
		}
		// Before kubeadm, so that a commit whose answer is lost is known for ours after a power cut.
		held := rendezvous.Held{Node: a.Node, Run: a.Run, Epoch: lease.Epoch}
		err = a.change(&state, func(s *State) { s.InitRun, s.InitEpoch = a.Run, lease.Epoch })
		if err != nil {
			a.giveBack(ctx, "init", a.API.ReleaseInit, held)
			return Join, err
		}
		outcome, again, err := a.initUnder(ctx, &state, held)
		if err != nil || !again {
			return outcome, err
		}
	}
}

// recognise tells our own commit, whose answer never came, from another machine's. Ours is committed once more, which
// changes nothing but what the first time may have left undone.
func (a *Agent) recognise(ctx context.Context, state State, c rendezvous.Commit) (Outcome, error) {
	if c.Node != a.Node || c.Machine != a.MachineID || c.Epoch != state.InitEpoch || state.InitRun == "" {
		a.say("kubeadm init is committed by %s; joining it", c.Node)
		return Join, nil
	}
	err := a.retry(ctx, "committing the init", func() error {
		_, err := a.API.CommitInit(ctx, rendezvous.Held{Node: a.Node, Run: state.InitRun, Epoch: state.InitEpoch})
		return err
	})
	if err != nil {
		return Join, err
	}
	return Made, a.change(&state, func(s *State) { s.InitDone = true })
}

// initUnder runs kubeadm init under a lease; again says that the lease is lost and has to be asked for once more.
func (a *Agent) initUnder(ctx context.Context, state *State, held rendezvous.Held) (outcome Outcome, again bool, err error) {
	a.say("this node runs kubeadm init (epoch %d)", held.Epoch)
	err = a.underLease(ctx, func(ctx context.Context) (rendezvous.Lease, error) { return a.API.RenewInit(ctx, held) }, func(ctx context.Context) error {
		if err := a.undo(ctx, state); err != nil {
			return err
		}
		if err := a.begin(state); err != nil {
			return err
		}
		if err := a.Machine.Run(ctx); err != nil {
			return err
		}
		return a.retry(ctx, "committing the init", func() error {
			_, err := a.API.CommitInit(ctx, held)
			return err
		})
	})
	switch {
	case err == nil:
		return Made, false, a.change(state, func(s *State) { s.InitDone = true })
	case ctx.Err() != nil:
		return Join, false, ctx.Err()
	case errors.Is(err, errFenced):
		a.say("the init lease passed on: kubeadm was stopped, asking again")
		a.undoOrSay(ctx, state)
		return Join, true, nil
	case final(err):
		a.giveBack(ctx, "init", a.API.ReleaseInit, held)
		return Join, false, err
	}
	a.reportFailure(ctx, "kubeadm init", err)
	a.undoOrSay(ctx, state)
	a.giveBack(ctx, "init", a.API.ReleaseInit, held)
	return Join, true, a.sleep(ctx, retryEvery)
}

// Join joins the cluster as a further control plane, and ends when it did. Errors are as with Init, and ErrNoInit.
func (a *Agent) Join(ctx context.Context) error {
	state, err := a.Machine.Load()
	if err != nil || state.JoinDone || state.InitDone {
		return err
	}
	for !state.JoinRan {
		lease, err := a.acquire(ctx, a.API.AcquireJoin, noInitFor)
		if rendezvous.CodeOf(err) == rendezvous.CodeClosed {
			a.say("%v", err)
			if err := a.sleep(ctx, closedEvery); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		if err := a.joinUnder(ctx, &state, rendezvous.Held{Node: a.Node, Run: a.Run, Epoch: lease.Epoch}); err != nil {
			return err
		}
	}
	if err := a.report(ctx); err != nil {
		return err
	}
	return a.change(&state, func(s *State) { s.JoinDone = true })
}

// joinUnder runs kubeadm join under a lease and reports. It returns an error only when asking again cannot help;
// state.JoinRan says whether kubeadm ended well.
func (a *Agent) joinUnder(ctx context.Context, state *State, held rendezvous.Held) error {
	a.say("this node joins as a control plane (epoch %d)", held.Epoch)
	err := a.underLease(ctx, func(ctx context.Context) (rendezvous.Lease, error) { return a.API.RenewJoin(ctx, held) }, func(ctx context.Context) error {
		if err := a.undo(ctx, state); err != nil {
			return err
		}
		if err := a.begin(state); err != nil {
			return err
		}
		if err := a.fetchJoinFiles(ctx, held); err != nil {
			return err
		}
		if err := a.Machine.Run(ctx); err != nil {
			return err
		}
		// The rendezvous is told after that: else a power cut would leave a machine that thinks it has to join, and
		// whose enrolment is closed.
		err := a.retry(ctx, "writing down that kubeadm join ended", func() error {
			return a.change(state, func(s *State) { s.JoinRan = true })
		})
		if err != nil {
			return err
		}
		return a.report(ctx)
	})
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err == nil, state.JoinRan:
		a.giveBack(ctx, "join", a.API.ReleaseJoin, held)
		return nil
	case errors.Is(err, errFenced):
		a.say("the join lease passed on: kubeadm was stopped, asking again")
		return a.undo(ctx, state)
	case final(err):
		a.giveBack(ctx, "join", a.API.ReleaseJoin, held)
		return err
	}
	a.reportFailure(ctx, "kubeadm join", err)
	a.giveBack(ctx, "join", a.API.ReleaseJoin, held)
	return a.sleep(ctx, retryEvery)
}

// giveBack gives a lease back, so that nobody waits for one that does not go on. It passes on by itself, later.
func (a *Agent) giveBack(ctx context.Context, name string, release func(context.Context, rendezvous.Held) (rendezvous.Lease, error), held rendezvous.Held) {
	if _, err := release(ctx, held); err != nil {
		a.say("the %s lease could not be given back: %v", name, err)
	}
}

// change changes the state, unless it cannot be kept.
func (a *Agent) change(state *State, do func(s *State)) error {
	next := *state
	do(&next)
	if err := a.Machine.Save(next); err != nil {
		return err
	}
	*state = next
	return nil
}

// begin writes down that from now on there may be something to undo.
func (a *Agent) begin(state *State) error {
	return a.change(state, func(s *State) { s.Began = true })
}

// undo undoes what an unfinished kubeadm left, if one was started.
func (a *Agent) undo(ctx context.Context, state *State) error {
	if !state.Began {
		return nil
	}
	if err := a.Machine.Reset(ctx); err != nil {
		return fmt.Errorf("undoing an unfinished kubeadm: %w", err)
	}
	return a.change(state, func(s *State) { s.Began = false })
}

// undoOrSay is undo for who goes on in any case: it is tried again before the next kubeadm.
func (a *Agent) undoOrSay(ctx context.Context, state *State) {
	if err := a.undo(ctx, state); err != nil {
		a.say("%v", err)
	}
}

func (a *Agent) fetchJoinFiles(ctx context.Context, held rendezvous.Held) error {
	err := a.retry(ctx, "fetching the shared certificates", func() error { return a.certificates(ctx, held) })
	if err != nil {
		return err
	}
	return a.retry(ctx, "fetching the discovery file", func() error {
		discovery, err := a.API.Enrol(ctx, rendezvous.Claim{Machine: a.MachineID}, &held)
		if err != nil {
			return err
		}
		return a.Machine.SaveDiscovery(discovery)
	})
}

// certificates pipes the stream into the machine: the keys are nowhere but in memory and in their files.
func (a *Agent) certificates(ctx context.Context, held rendezvous.Held) error {
	r, w := io.Pipe()
	sent := make(chan error, 1)
	go func() {
		err := a.API.Certificates(ctx, held, w)
		w.CloseWithError(err) // nil means a whole stream
		sent <- err
	}()
	saved := a.Machine.SaveCertificates(r)
	r.CloseWithError(errors.New("the certificates were not taken"))
	if err := <-sent; err != nil {
		return err
	}
	return saved
}

// report tells the rendezvous that this node joined, until it agrees.
func (a *Agent) report(ctx context.Context) error {
	err := a.retry(ctx, "reporting the join", func() error {
		return a.API.Done(ctx, rendezvous.Claim{Machine: a.MachineID})
	})
	if rendezvous.CodeOf(err) == rendezvous.CodeClosed {
		return nil
	}
	return err
}

// forever is the patience of who has nothing else to ask for.
const forever time.Duration = math.MaxInt64

// acquire asks for a lease until it is granted, or an answer that asking again does not change. Told for longer than
// patience that something has to come first, it ends with ErrNoInit.
func (a *Agent) acquire(ctx context.Context, ask func(context.Context, rendezvous.Ask) (rendezvous.Lease, error), patience time.Duration) (rendezvous.Lease, error) {
	var seen int64
	var waited time.Duration
	for {
		a.attempt++
		lease, err := ask(ctx, rendezvous.Ask{Node: a.Node, Machine: a.MachineID, Run: a.Run, Attempt: a.attempt, Seen: seen})
		if err == nil {
			return lease, nil
		}
		pause := wait(err)
		if stands := leaseOf(err); stands != nil {
			if rendezvous.CodeOf(err) == rendezvous.CodeConflict && stands.Epoch > seen {
				pause = 0 // now its epoch is known
			}
			seen = max(seen, stands.Epoch)
		}
		// A superseded ask is one that was overtaken by our own earlier one; the next has a higher number.
		if final(err) && rendezvous.CodeOf(err) != rendezvous.CodeSuperseded {
			return lease, err
		}
		if rendezvous.CodeOf(err) == rendezvous.CodeWaiting {
			if waited += pause; waited > patience {
				return lease, ErrNoInit
			}
		}
		if pause > 0 {
			a.say("waiting: %v", err)
		}
		if err := a.sleep(ctx, pause); err != nil {
			return lease, err
		}
	}
}

// underLease runs work and renews the lease beside it. When the lease passed on, work's context ends, and errFenced is
// returned once work has returned. Renewals that do not come through are tried again: the commit is conditional, so a
// holder that is cut off may as well finish.
func (a *Agent) underLease(ctx context.Context, renew func(context.Context) (rendezvous.Lease, error), work func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var group sync.WaitGroup
	group.Go(func() {
		for a.sleep(ctx, rendezvous.RenewEvery) == nil {
			if _, err := renew(ctx); fenced(err) {
				cancel(errFenced)
				return
			}
		}
	})
	err := work(ctx)
	if fenced(err) || errors.Is(context.Cause(ctx), errFenced) && err != nil {
		err = errFenced
	}
	cancel(nil)
	group.Wait()
	return err
}

// retry repeats do until it succeeds, or fails with what asking again does not change.
func (a *Agent) retry(ctx context.Context, what string, do func() error) error {
	for {
		err := do()
		if err == nil || final(err) {
			return err
		}
		a.say("%s: %v", what, err)
		if err := a.sleep(ctx, wait(err)); err != nil {
			return err
		}
	}
}

func (a *Agent) reportFailure(ctx context.Context, step string, err error) {
	a.say("%s failed: %v", step, err)
	report := rendezvous.Report{Claim: rendezvous.Claim{Machine: a.MachineID}, Step: step + " failed", Error: err.Error()}
	if err := a.API.Progress(ctx, report); err != nil {
		a.say("the failure could not be reported: %v", err)
	}
}

// say tells people a line once, however often its reason comes back.
func (a *Agent) say(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); text != a.said {
		a.said = text
		a.Machine.Say(text)
	}
}

func (a *Agent) sleep(ctx context.Context, d time.Duration) error {
	if a.Sleep != nil {
		return a.Sleep(ctx, d)
	}
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// final says that asking again does not change the answer.
func final(err error) bool {
	var e *rendezvous.Error
	if !errors.As(err, &e) {
		return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
	}
	switch e.Code {
	case rendezvous.CodeUnavailable, rendezvous.CodeWaiting, rendezvous.CodeHeld, rendezvous.CodeConflict, rendezvous.CodeInternal:
		return false
	}
	return true
}

func fenced(err error) bool {
	code := rendezvous.CodeOf(err)
	return err != nil && (code == rendezvous.CodeSuperseded || code == rendezvous.CodeCommitted)
}

// leaseOf is the lease as a refusal shows it, nil when it does not.
func leaseOf(err error) *rendezvous.Lease {
	var e *rendezvous.Error
	if errors.As(err, &e) {
		return e.Lease
	}
	return nil
}

func committedBy(err error) *rendezvous.Commit {
	if l := leaseOf(err); l != nil && rendezvous.CodeOf(err) == rendezvous.CodeCommitted {
		return l.Committed
	}
	return nil
}

func wait(err error) time.Duration {
	var e *rendezvous.Error
	if errors.As(err, &e) && e.RetryAfter > 0 {
		return time.Duration(e.RetryAfter) * time.Second
	}
	return pollEvery
}
