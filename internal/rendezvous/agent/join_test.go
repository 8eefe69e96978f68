package agent_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"muster/internal/rendezvous"
	"muster/internal/rendezvous/agent"
)

// joining is a control plane, and a rendezvous in which another one's init is committed. What a test says nothing of
// succeeds.
type joining struct {
	agent.API // nil: Join calls nothing else
	acquire   func() error
	enrol     func() error
	released  int

	state  agent.State
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

func (j *joining) AcquireJoin(context.Context, rendezvous.Ask) (rendezvous.Lease, error) {
	return rendezvous.Lease{Epoch: 1, Holder: "cp1"}, maybe(j.acquire)
}

func (j *joining) RenewJoin(context.Context, rendezvous.Held) (rendezvous.Lease, error) {
	return rendezvous.Lease{}, nil
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

func (j *joining) Done(context.Context, rendezvous.Claim) error      { return nil }
func (j *joining) Progress(context.Context, rendezvous.Report) error { return nil }

func (j *joining) Load() (agent.State, error) { return j.state, nil }

func (j *joining) Save(s agent.State) error {
	j.state = s
	return nil
}

func (j *joining) Reset(context.Context) error {
	j.resets++
	return nil
}

func (j *joining) Run(context.Context) error { return nil }

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
