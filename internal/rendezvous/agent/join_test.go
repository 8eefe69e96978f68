package agent_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"muster/internal/rendezvous"
	"muster/internal/rendezvous/agent"
)

// joining is a control plane with a rendezvous that grants it every lease, and refuses to commit an init. What a test
// says nothing of succeeds.
type joining struct {
	acquire  func() error
	enrol    func() error
	renew    func() error
	done     func() error
	released int

	state  agent.State
	run    func() error
	save   func() error
	runs   int
	resets int
}

func (j *joining) join(ctx context.Context) error {
	a := &agent.Agent{API: j, Machine: j, Node: "cp1", MachineID: "m", Run: "r"}
	return a.Join(ctx)
}

func maybe(do func() error) error {
	if do == nil {
		return nil
	}
	return do()
}

func (j *joining) AcquireInit(context.Context, rendezvous.Ask) (rendezvous.Lease, error) {
	return rendezvous.Lease{Epoch: 1, Holder: "cp1"}, nil
}

func (j *joining) RenewInit(context.Context, rendezvous.Held) (rendezvous.Lease, error) {
	return rendezvous.Lease{}, nil
}

func (j *joining) CommitInit(context.Context, rendezvous.Held) (rendezvous.Lease, error) {
	return rendezvous.Lease{}, rendezvous.Errorf(rendezvous.CodeForbidden, "a machine of pool p has the name cp1")
}

func (j *joining) ReleaseInit(context.Context, rendezvous.Held) (rendezvous.Lease, error) {
	j.released++
	return rendezvous.Lease{}, nil
}

func (j *joining) AcquireJoin(context.Context, rendezvous.Ask) (rendezvous.Lease, error) {
	return rendezvous.Lease{Epoch: 1, Holder: "cp1"}, maybe(j.acquire)
}

func (j *joining) RenewJoin(context.Context, rendezvous.Held) (rendezvous.Lease, error) {
	return rendezvous.Lease{}, maybe(j.renew)
}

func (j *joining) ReleaseJoin(context.Context, rendezvous.Held) (rendezvous.Lease, error) {
	j.released++
	return rendezvous.Lease{}, nil
}

func (j *joining) Certificates(_ context.Context, _ rendezvous.Held, w io.Writer) error {
	_, err := io.Copy(w, strings.NewReader("certificates"))
	return err
}

func (j *joining) Enrol(context.Context, rendezvous.Claim, *rendezvous.Held) ([]byte, error) {
	return nil, maybe(j.enrol)
}

func (j *joining) Done(context.Context, rendezvous.Claim) error      { return maybe(j.done) }
func (j *joining) Progress(context.Context, rendezvous.Report) error { return nil }

func (j *joining) Load() (agent.State, error) { return j.state, nil }

func (j *joining) Save(s agent.State) error {
	if err := maybe(j.save); err != nil {
		return err
	}
	j.state = s
	return nil
}

func (j *joining) Reset(context.Context) error {
	j.resets++
	return nil
}

func (j *joining) Run(context.Context) error {
	j.runs++
	return maybe(j.run)
}

func (j *joining) SaveCertificates(r io.Reader) error {
	_, err := io.Copy(io.Discard, r)
	return err
}

func (j *joining) SaveDiscovery([]byte) error { return nil }
func (j *joining) Say(string)                 {}

// A join whose cluster was lost, and the store made anew, ends, so that init is asked for again. The lost cluster's
// certificates are undone: kubeadm init takes those that it finds for the user's.
func TestJoinGoesBackToInit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := &joining{}
		j.enrol = func() error {
			j.acquire = func() error {
				return rendezvous.Errorf(rendezvous.CodeWaiting, "no control plane has begun kubeadm init yet")
			}
			return rendezvous.Errorf(rendezvous.CodeSuperseded, "epoch 1 is not the lease's")
		}
		begin := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if err := j.join(ctx); !errors.Is(err, agent.ErrNoInit) {
			t.Errorf("the join ended with %v", err)
		}
		if waited := time.Since(begin); waited < 2*time.Minute || waited > 5*time.Minute {
			t.Errorf("it ended after %s", waited)
		}
		if j.resets != 1 || j.state.Began {
			t.Errorf("what was fetched for the join was undone %d times, the state is %+v", j.resets, j.state)
		}
	})
}

// A disk that is full when kubeadm join has ended: the lease is kept until there is room again. The rendezvous must not
// hear of a join that this machine would not know of after a power cut.
func TestDiskIsFullAfterJoin(t *testing.T) {
	type site struct{ full, fenced atomic.Bool }
	for what, test := range map[string]struct {
		then         func(s *site, powerCut func()) // twenty minutes later
		runs, resets int
	}{
		"room":                {func(s *site, _ func()) { s.full.Store(false) }, 1, 0},
		"the lease passes on": {func(s *site, _ func()) { s.fenced.Store(true) }, 2, 2}, // the first is not written down
		"a power cut":         {func(_ *site, powerCut func()) { powerCut() }, 2, 1},
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var s site
				j := &joining{}
				j.run = func() error {
					s.full.Store(j.runs == 1)
					return nil
				}
				j.save = func() error {
					if s.full.Load() {
						return errors.New("no space left on device")
					}
					return nil
				}
				j.renew = func() error {
					if s.fenced.Swap(false) {
						return rendezvous.Errorf(rendezvous.CodeSuperseded, "epoch 1 is not the lease's")
					}
					return nil
				}
				j.done = func() error {
					if !j.state.JoinRan {
						t.Error("the join is reported and not written down")
					}
					return nil
				}
				ctx, powerCut := context.WithCancel(t.Context())
				defer powerCut()
				time.AfterFunc(20*time.Minute-time.Millisecond, func() { test.then(&s, powerCut) })
				err := j.join(ctx)
				if err != nil { // the step is tried again, when there is room
					s.full.Store(false)
					err = j.join(t.Context())
				}
				if err != nil || !j.state.JoinDone || j.runs != test.runs || j.resets != test.resets || j.released != 1 {
					t.Errorf("the join ended with %v, the state is %+v: kubeadm ran %d times, was undone %d times, the lease was given back %d times", err, j.state, j.runs, j.resets, j.released)
				}
			})
		})
	}
}

// Whoever takes a lease and cannot go on gives it back: the others would wait ten minutes for it.
func TestLeaseIsGivenBack(t *testing.T) {
	t.Run("the join is refused", func(t *testing.T) {
		refused := rendezvous.Errorf(rendezvous.CodeClosed, "cp1 has joined and its enrolment is closed")
		j := &joining{enrol: func() error { return refused }}
		if err := j.join(t.Context()); !errors.Is(err, refused) || j.runs != 0 || j.released != 1 {
			t.Errorf("the join ended with %v, kubeadm ran %d times, the lease was given back %d times", err, j.runs, j.released)
		}
	})
	t.Run("the disk is full before init", func(t *testing.T) {
		full := errors.New("no space left on device")
		j := &joining{save: func() error { return full }}
		a := &agent.Agent{API: j, Machine: j, Node: "cp1", MachineID: "m", Run: "r"}
		if _, err := a.Init(t.Context()); !errors.Is(err, full) || j.runs != 0 || j.released != 1 {
			t.Errorf("init ended with %v, kubeadm ran %d times, the lease was given back %d times", err, j.runs, j.released)
		}
	})
	t.Run("the commit is refused", func(t *testing.T) {
		j := &joining{}
		a := &agent.Agent{API: j, Machine: j, Node: "cp1", MachineID: "m", Run: "r"}
		if _, err := a.Init(t.Context()); rendezvous.CodeOf(err) != rendezvous.CodeForbidden || j.runs != 1 || j.released != 1 {
			t.Errorf("init ended with %v, kubeadm ran %d times, the lease was given back %d times", err, j.runs, j.released)
		}
	})
}

// committed is a rendezvous where an init is committed.
type committed struct {
	*joining
	by      rendezvous.Commit
	commits int
}

func (c *committed) AcquireInit(context.Context, rendezvous.Ask) (rendezvous.Lease, error) {
	err := rendezvous.Errorf(rendezvous.CodeCommitted, "kubeadm init is committed by %s", c.by.Node)
	err.Lease = &rendezvous.Lease{Committed: &c.by}
	return rendezvous.Lease{}, err
}

func (c *committed) CommitInit(context.Context, rendezvous.Held) (rendezvous.Lease, error) {
	c.commits++
	return rendezvous.Lease{}, nil
}

// Only the machine that ran kubeadm init takes the commit for its own, also when another one boots a copy of its disk.
func TestWhoseCommitItIs(t *testing.T) {
	mine := rendezvous.Commit{Node: "cp1", Machine: "m", Epoch: 1}
	for what, test := range map[string]struct {
		by    func(c *rendezvous.Commit)
		state agent.State
		want  agent.Outcome
	}{
		"mine":             {func(*rendezvous.Commit) {}, agent.State{InitRun: "r", InitEpoch: 1}, agent.Made},
		"another node's":   {func(c *rendezvous.Commit) { c.Node = "cp2" }, agent.State{InitRun: "r", InitEpoch: 1}, agent.Join},
		"the copied one's": {func(c *rendezvous.Commit) { c.Machine = "original" }, agent.State{InitRun: "r", InitEpoch: 1}, agent.Join},
		"a later one":      {func(c *rendezvous.Commit) { c.Epoch = 2 }, agent.State{InitRun: "r", InitEpoch: 1}, agent.Join},
		"never begun here": {func(c *rendezvous.Commit) { c.Epoch = 0 }, agent.State{}, agent.Join},
	} {
		c := &committed{joining: &joining{state: test.state}, by: mine}
		test.by(&c.by)
		a := &agent.Agent{API: c, Machine: c, Node: "cp1", MachineID: "m", Run: "r2"}
		got, err := a.Init(t.Context())
		made := test.want == agent.Made
		if err != nil || got != test.want || c.state.InitDone != made || (c.commits == 1) != made {
			t.Errorf("%s: outcome %v, %v, committed %d times, state %+v", what, got, err, c.commits, c.state)
		}
	}
}

// fenced is a rendezvous whose init lease passes on while kubeadm runs, on a machine where kubeadm cannot be undone.
type fenced struct {
	*committed
	asks int
	said []string
}

func (f *fenced) AcquireInit(ctx context.Context, ask rendezvous.Ask) (rendezvous.Lease, error) {
	if f.asks++; f.asks == 1 {
		return rendezvous.Lease{Epoch: 1, Holder: "cp1"}, nil
	}
	return f.committed.AcquireInit(ctx, ask)
}

func (f *fenced) RenewInit(context.Context, rendezvous.Held) (rendezvous.Lease, error) {
	return rendezvous.Lease{}, rendezvous.Errorf(rendezvous.CodeSuperseded, "epoch 1 is not the lease's")
}

func (f *fenced) Run(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

func (f *fenced) Reset(context.Context) error { return errors.New("kubeadm reset: exit status 1") }
func (f *fenced) Say(text string)             { f.said = append(f.said, text) }

// What could not be undone is said; it is undone before the next kubeadm.
func TestFencedInitThatCannotBeUndone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fenced{committed: &committed{joining: &joining{}, by: rendezvous.Commit{Node: "cp2", Epoch: 2}}}
		a := &agent.Agent{API: f, Machine: f, Node: "cp1", MachineID: "m", Run: "r"}
		got, err := a.Init(t.Context())
		if err != nil || got != agent.Join || !f.state.Began {
			t.Errorf("outcome %v, %v, state %+v", got, err, f.state)
		}
		if text := strings.Join(f.said, "\n"); !strings.Contains(text, "undoing an unfinished kubeadm: kubeadm reset: exit status 1") {
			t.Errorf("said is\n%s", text)
		}
	})
}
