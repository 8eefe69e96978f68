package rendezvous_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"muster/internal/rendezvous"
	"muster/internal/rendezvous/clustertest"
	"muster/internal/rendezvous/storetest"
	"muster/internal/secrets/credential"
)

func TestMemoryStore(t *testing.T) {
	storetest.Run(t, func(*testing.T) rendezvous.Store { return rendezvous.NewMemoryStore() })
}

const (
	machine1 = "11111111111111111111111111111111"
	machine2 = "22222222222222222222222222222222"
	run1     = "aaaaaaaaaaaaaaa1"
	run2     = "aaaaaaaaaaaaaaa2"
)

func plane(name string) rendezvous.Identity {
	return rendezvous.Identity{Cluster: "c", Role: credential.ControlPlane, Name: name, Addresses: []netip.Addr{host(name)}}
}

// host is the address of cp0 to cp9.
func host(name string) netip.Addr {
	return netip.MustParseAddr("192.0.2.10" + strings.TrimPrefix(name, "cp"))
}

func worker(name string) rendezvous.Identity {
	return rendezvous.Identity{Cluster: "c", Role: credential.Worker, Name: name, Serial: "s-" + name}
}

var (
	operator = rendezvous.Identity{Cluster: "c", Role: credential.Operator, Name: "operator"}
	claim1   = rendezvous.Claim{Machine: machine1}
)

// scene is one service over a store of its own, with a clock that the test moves.
type scene struct {
	*rendezvous.Service
	t       *testing.T
	k       *clustertest.Kubernetes
	clock   time.Time
	removed []string
}

func (s *scene) Remove(name string) { s.removed = append(s.removed, name) }

func newScene(t *testing.T) *scene {
	s := &scene{t: t, k: clustertest.New("k"), clock: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	s.Service = &rendezvous.Service{
		Name: "c", ControlPlanes: rendezvous.ControlPlanes{"cp0", "cp1", "cp2"}, Store: rendezvous.NewMemoryStore(),
		Cluster: clustertest.Certain(s.k), Members: removals{s},
		Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return s.clock },
	}
	if err := s.Form(t.Context(), "uid", "cp0"); err != nil {
		t.Fatal(err)
	}
	return s
}

// committed is a scene in which cp0 made the cluster.
func committed(t *testing.T) *scene {
	s := newScene(t)
	lease := s.must(s.AcquireInit(t.Context(), plane("cp0"), ask(machine1, run1, 1)))
	s.k.Init("cp0", host("cp0"))
	s.must(s.CommitInit(t.Context(), plane("cp0"), held(run1, lease.Epoch)))
	return s
}

func (s *scene) must(l rendezvous.Lease, err error) rendezvous.Lease {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
	return l
}

func (s *scene) enrol(id rendezvous.Identity, c rendezvous.Claim) (tokenID, secret string) {
	s.t.Helper()
	data, err := s.Enrol(s.t.Context(), id, c, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	tokenID, secret, _ = strings.Cut(strings.TrimSpace(strings.TrimPrefix(string(data), "token: ")), ".")
	return tokenID, secret
}

// join enrols a worker, joins it and reports it.
func (s *scene) join(id rendezvous.Identity, name string, c rendezvous.Claim) {
	s.t.Helper()
	token, secret := s.enrol(id, c)
	if err := s.k.JoinWorker(name, token, secret); err != nil {
		s.t.Fatal(err)
	}
	if err := s.Done(s.t.Context(), id, c); err != nil {
		s.t.Fatal(err)
	}
}

func (s *scene) node(name string) rendezvous.Node {
	s.t.Helper()
	report, err := s.Status(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	for _, n := range report.Nodes {
		if n.Name == name {
			return n
		}
	}
	return rendezvous.Node{}
}

type removals struct{ s *scene }

func (removals) CanRemove(name string) error {
	if name == "cp9" {
		return rendezvous.Errorf(rendezvous.CodeUnavailable, "cp9 does not remove itself")
	}
	return nil
}

func (r removals) Remove(_ context.Context, name string) error {
	r.s.Remove(name)
	return nil
}

func ask(machine, run string, attempt int64) rendezvous.Ask {
	return rendezvous.Ask{Machine: machine, Run: run, Attempt: attempt}
}

// acquireInit and acquireJoin ask as the agent does: once more when the answer shows an epoch that was not known.
func (s *scene) acquireInit(id rendezvous.Identity, a rendezvous.Ask) (rendezvous.Lease, error) {
	l, err := s.AcquireInit(s.t.Context(), id, a)
	if a.Seen = epochOf(err); rendezvous.CodeOf(err) == rendezvous.CodeConflict {
		return s.AcquireInit(s.t.Context(), id, a)
	}
	return l, err
}

func (s *scene) acquireJoin(id rendezvous.Identity, a rendezvous.Ask) (rendezvous.Lease, error) {
	l, err := s.AcquireJoin(s.t.Context(), id, a)
	if a.Seen = epochOf(err); rendezvous.CodeOf(err) == rendezvous.CodeConflict {
		return s.AcquireJoin(s.t.Context(), id, a)
	}
	return l, err
}

func epochOf(err error) int64 {
	var e *rendezvous.Error
	if errors.As(err, &e) && e.Lease != nil {
		return e.Lease.Epoch
	}
	return 0
}

func held(run string, epoch int64) rendezvous.Held { return rendezvous.Held{Run: run, Epoch: epoch} }

func wantCode(t *testing.T, what string, err error, want rendezvous.Code) {
	t.Helper()
	if err == nil || rendezvous.CodeOf(err) != want {
		t.Errorf("%s: %v, want code %s", what, err, want)
	}
}

func TestHolderThatReturnsAfterTakeover(t *testing.T) {
	s := newScene(t)
	ctx := t.Context()
	first := s.must(s.acquireInit(plane("cp0"), ask(machine1, run1, 1)))
	_, err := s.acquireInit(plane("cp1"), ask(machine2, run2, 1))
	wantCode(t, "a second node", err, rendezvous.CodeHeld)
	s.clock = s.clock.Add(rendezvous.LeaseTTL - time.Second)
	_, err = s.acquireInit(plane("cp1"), ask(machine2, run2, 2))
	wantCode(t, "a second node just before the lease ends", err, rendezvous.CodeHeld)
	s.clock = s.clock.Add(time.Second)
	second := s.must(s.acquireInit(plane("cp1"), ask(machine2, run2, 3)))
	if second.Epoch != first.Epoch+1 {
		t.Errorf("the takeover has epoch %d after %d", second.Epoch, first.Epoch)
	}
	_, err = s.RenewInit(ctx, plane("cp0"), held(run1, first.Epoch))
	wantCode(t, "the old holder renews", err, rendezvous.CodeSuperseded)
	_, err = s.CommitInit(ctx, plane("cp0"), held(run1, first.Epoch))
	wantCode(t, "the old holder commits", err, rendezvous.CodeSuperseded)
	_, err = s.CommitInit(ctx, plane("cp0"), held(run1, second.Epoch))
	wantCode(t, "the old holder commits with the new epoch", err, rendezvous.CodeSuperseded)
	s.must(s.CommitInit(ctx, plane("cp1"), held(run2, second.Epoch)))
	s.must(s.CommitInit(ctx, plane("cp1"), held(run2, second.Epoch))) // the answer was lost
	s.must(s.RenewInit(ctx, plane("cp1"), held(run2, second.Epoch)))
	_, err = s.CommitInit(ctx, plane("cp0"), held(run1, first.Epoch))
	wantCode(t, "the old holder commits after the commit", err, rendezvous.CodeCommitted)
	_, err = s.acquireInit(plane("cp0"), ask(machine1, run1, 2))
	wantCode(t, "the old holder asks again", err, rendezvous.CodeCommitted)
}

func TestRenewalKeepsTheLease(t *testing.T) {
	s := newScene(t)
	l := s.must(s.acquireInit(plane("cp0"), ask(machine1, run1, 1)))
	for i := range 5 {
		_, err := s.acquireInit(plane("cp1"), ask(machine2, run2, int64(i+1)))
		wantCode(t, "another node", err, rendezvous.CodeHeld)
		s.clock = s.clock.Add(rendezvous.LeaseTTL - time.Second)
		s.must(s.RenewInit(t.Context(), plane("cp0"), held(run1, l.Epoch)))
	}
}

// A clock that jumps by years must not end a lease: only a record that stays unwritten between two looks does, and a
// process that slept for long has to look twice all the same.
func TestLeaseSurvivesASleepingObserver(t *testing.T) {
	s := newScene(t)
	l := s.must(s.acquireInit(plane("cp0"), ask(machine1, run1, 1)))
	_, err := s.acquireInit(plane("cp1"), ask(machine2, run2, 1))
	wantCode(t, "first look", err, rendezvous.CodeHeld)
	s.must(s.RenewInit(t.Context(), plane("cp0"), held(run1, l.Epoch)))
	s.clock = s.clock.AddDate(9, 0, 0)
	_, err = s.acquireInit(plane("cp1"), ask(machine2, run2, 2))
	wantCode(t, "a look years later at a record that changed", err, rendezvous.CodeHeld)
}

func TestSameNodeAgain(t *testing.T) {
	s := newScene(t)
	ctx := t.Context()
	first := s.must(s.acquireInit(plane("cp0"), ask(machine1, run1, 1)))
	again := s.must(s.acquireInit(plane("cp0"), ask(machine1, run1, 2)))
	if again.Epoch != first.Epoch {
		t.Errorf("the same run got epoch %d after %d", again.Epoch, first.Epoch)
	}
	_, err := s.acquireInit(plane("cp0"), ask(machine1, run1, 1))
	wantCode(t, "a late first ask", err, rendezvous.CodeSuperseded)
	_, err = s.acquireInit(plane("cp0"), ask(machine2, run2, 1))
	wantCode(t, "a copied disk", err, rendezvous.CodeHeld)
	reboot := s.must(s.acquireInit(plane("cp0"), ask(machine1, run2, 1)))
	if reboot.Epoch != first.Epoch+1 {
		t.Errorf("the rebooted machine got epoch %d after %d", reboot.Epoch, first.Epoch)
	}
	_, err = s.CommitInit(ctx, plane("cp0"), held(run1, first.Epoch))
	wantCode(t, "the run before the reboot", err, rendezvous.CodeSuperseded)
	_, err = s.CommitInit(ctx, plane("cp0"), held(run2, first.Epoch))
	wantCode(t, "the new run with the old epoch", err, rendezvous.CodeSuperseded)
}

// An ask of the run before a power cut that was under way all the time must not take the lease from the run after it.
func TestLateAskOfAnOlderRunTakesNothing(t *testing.T) {
	s := committed(t)
	s.must(s.AcquireJoin(t.Context(), plane("cp1"), ask(machine2, run1, 1)))
	now := s.must(s.acquireJoin(plane("cp1"), ask(machine2, run2, 1)))
	id, err := s.k.AddLearner("cp1", host("cp1"))
	if err != nil {
		t.Fatal(err)
	}
	for seen := range now.Epoch {
		late := ask(machine2, run1, 2)
		late.Seen = seen
		_, err = s.AcquireJoin(t.Context(), plane("cp1"), late)
		wantCode(t, "the late ask", err, rendezvous.CodeConflict)
	}
	if err := s.k.Promote(id, "cp1"); err != nil {
		t.Error(err)
	}
	s.must(s.RenewJoin(t.Context(), plane("cp1"), held(run2, now.Epoch)))
}

func TestReleaseInitPassesOn(t *testing.T) {
	s := newScene(t)
	l := s.must(s.acquireInit(plane("cp0"), ask(machine1, run1, 1)))
	s.must(s.ReleaseInit(t.Context(), plane("cp0"), held(run1, l.Epoch)))
	next := s.must(s.acquireInit(plane("cp1"), ask(machine2, run2, 1)))
	s.must(s.ReleaseInit(t.Context(), plane("cp0"), held(run1, l.Epoch))) // late: must not take cp1's lease
	s.must(s.CommitInit(t.Context(), plane("cp1"), held(run2, next.Epoch)))
	s.must(s.ReleaseInit(t.Context(), plane("cp1"), held(run2, next.Epoch)))
	_, err := s.acquireInit(plane("cp0"), ask(machine1, run1, 2))
	wantCode(t, "an ask after the commit", err, rendezvous.CodeCommitted)
}

func TestNothingIsServedBeforeTheCommit(t *testing.T) {
	s := newScene(t)
	s.k.Init("cp0", host("cp0"))
	s.must(s.acquireInit(plane("cp0"), ask(machine1, run1, 1)))
	_, err := s.Enrol(t.Context(), worker("w"), claim1, nil)
	wantCode(t, "enrolment", err, rendezvous.CodeWaiting)
	_, err = s.acquireJoin(plane("cp1"), ask(machine2, run2, 1))
	wantCode(t, "join lease", err, rendezvous.CodeWaiting)
	err = s.Certificates(t.Context(), plane("cp1"), held(run2, 1), io.Discard)
	wantCode(t, "certificates", err, rendezvous.CodeWaiting)
	if s.k.Minted != 0 {
		t.Errorf("%d tokens were minted", s.k.Minted)
	}
}

func TestNothingIsDecidedBeforeTheStoreIsFounded(t *testing.T) {
	s := newScene(t)
	s.Service = &rendezvous.Service{Name: "c", Store: rendezvous.NewMemoryStore(), Cluster: s.Cluster, Members: removals{s}, Log: s.Log}
	ctx := t.Context()
	_, err := s.acquireInit(plane("cp0"), ask(machine1, run1, 1))
	wantCode(t, "init lease", err, rendezvous.CodeWaiting)
	_, err = s.Enrol(ctx, worker("w"), claim1, nil)
	wantCode(t, "enrolment", err, rendezvous.CodeWaiting)
	wantCode(t, "progress", s.Progress(ctx, worker("w"), rendezvous.Report{Step: "x"}), rendezvous.CodeWaiting)
	wantCode(t, "revoke", s.RevokeNode(ctx, operator, "w"), rendezvous.CodeWaiting)
}

// elsewhere is a store whose founding record is read by a connection that leads to another member.
type elsewhere struct {
	rendezvous.Store
	whole rendezvous.Store
}

func (e elsewhere) Get(ctx context.Context, key string) (rendezvous.Record, error) {
	if key == "cluster" {
		return e.whole.Get(ctx, key)
	}
	return e.Store.Get(ctx, key)
}

// A member with a damaged disk leads a store that has lost everything, or its end, and this service, which had a whole
// one, follows it: nothing is decided there, and no second init is granted.
func TestStoreThatLostData(t *testing.T) {
	s := committed(t)
	ctx, whole := t.Context(), s.Store
	cut := rendezvous.NewMemoryStore()
	before := &rendezvous.Service{Name: "c", Store: cut, Log: s.Log}
	if err := before.Form(ctx, "uid", "cp0"); err != nil {
		t.Fatal(err)
	}
	for name, store := range map[string]rendezvous.Store{
		"all": rendezvous.NewMemoryStore(), "all but the founding record": cut,
	} {
		t.Run(name, func(t *testing.T) {
			s.Store = store
			_, err := s.AcquireInit(ctx, plane("cp1"), ask(machine2, run2, 1))
			wantCode(t, "a second init", err, rendezvous.CodeWaiting)
			wantCode(t, "revoke", s.RevokeNode(ctx, operator, "w"), rendezvous.CodeWaiting)
		})
	}
	s.Store = whole
	if err := s.RevokeNode(ctx, operator, "w"); err != nil {
		t.Error(err)
	}
	s = newScene(t) // which knows of no init yet
	s.Store = elsewhere{rendezvous.NewMemoryStore(), s.Store}
	_, err := s.AcquireInit(ctx, plane("cp1"), ask(machine2, run2, 1))
	wantCode(t, "an init, where the founding record is read elsewhere", err, rendezvous.CodeWaiting)
}

// A control plane does not revoke itself, not even by half: the others would cut it off, and may need it to remove it.
func TestRevokeItself(t *testing.T) {
	s := committed(t)
	wantCode(t, "itself", s.RevokeNode(t.Context(), operator, "cp9"), rendezvous.CodeUnavailable)
	if revoked, err := s.Revoked(t.Context(), "cp9"); revoked || err != nil {
		t.Errorf("it is revoked: %v, %v", revoked, err)
	}
}

func TestFormIsDoneOnce(t *testing.T) {
	s := newScene(t)
	if err := s.Form(t.Context(), "uid", "cp0"); err != nil {
		t.Errorf("the same founder again: %v", err)
	}
	wantCode(t, "another founding", s.Form(t.Context(), "other", "cp1"), rendezvous.CodeForbidden)
}

func TestRebuiltStoreKeepsCredentialsSpent(t *testing.T) {
	s := committed(t)
	s.join(worker("w"), "w", claim1)
	s.Service = &rendezvous.Service{Name: "c", Store: rendezvous.NewMemoryStore(), Cluster: s.Cluster, Members: removals{s}, Log: s.Log}
	if err := s.Rebuild(t.Context(), rendezvous.Commit{Node: "cp0"}); err != nil {
		t.Fatal(err)
	}
	if err := s.Form(t.Context(), "uid2", "cp0"); err != nil {
		t.Fatal(err)
	}
	_, err := s.Enrol(t.Context(), worker("w"), claim1, nil)
	wantCode(t, "a node of the cluster enrols again", err, rendezvous.CodeClosed)
	_, err = s.acquireInit(plane("cp1"), ask(machine2, run2, 1))
	wantCode(t, "a second init", err, rendezvous.CodeCommitted)
	s.join(worker("later"), "later", rendezvous.Claim{Machine: machine2})
}

// Nodes that joined and could not report before the store was lost end well: nothing is handed out for that.
func TestReportAfterTheStoreWasMadeAgain(t *testing.T) {
	s := committed(t)
	ctx := t.Context()
	pooled := rendezvous.Claim{Name: "pooled", Machine: machine2}
	for name, c := range map[string]struct {
		id    rendezvous.Identity
		claim rendezvous.Claim
	}{"w": {worker("w"), claim1}, "revoked": {worker("revoked"), claim1}, "pooled": {pool(1, time.Time{}), pooled}} {
		token, secret := s.enrol(c.id, c.claim)
		if err := s.k.JoinWorker(name, token, secret); err != nil {
			t.Fatal(err)
		}
	}
	s.joinPlane("cp1", machine2, run2)
	s.Service = &rendezvous.Service{Name: "c", Store: rendezvous.NewMemoryStore(), Cluster: s.Cluster, Members: removals{s}, Log: s.Log}
	if err := errors.Join(s.Rebuild(ctx, rendezvous.Commit{Node: "cp0"}), s.Form(ctx, "uid2", "cp0")); err != nil {
		t.Fatal(err)
	}
	for what, err := range map[string]error{
		"a worker": s.Done(ctx, worker("w"), claim1), "a machine of a pool": s.Done(ctx, pool(1, time.Time{}), pooled), "a control plane": s.Done(ctx, plane("cp1"), claim1),
	} {
		if err != nil {
			t.Errorf("%s reports: %v", what, err)
		}
	}
	wantCode(t, "one that is not in the cluster", s.Done(ctx, worker("other"), claim1), rendezvous.CodeForbidden)
	if err := s.RevokeNode(ctx, operator, "revoked"); err != nil {
		t.Fatal(err)
	}
	wantCode(t, "a revoked one", s.Done(ctx, worker("revoked"), claim1), rendezvous.CodeRevoked)
}

// The late ask of a run whose later ask was answered must not remove the member that is just joining.
func TestLateAskRemovesNoJoiningMember(t *testing.T) {
	s := committed(t)
	s.must(s.acquireJoin(plane("cp1"), ask(machine2, run2, 2)))
	id, err := s.k.AddLearner("cp1", host("cp1"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.acquireJoin(plane("cp1"), ask(machine2, run2, 1))
	wantCode(t, "the late ask", err, rendezvous.CodeSuperseded)
	if err := s.k.Promote(id, "cp1"); err != nil {
		t.Error(err)
	}
}

// An ask that slept between its list of ghosts and their removal finds that a later one was answered.
func TestSleepingAskRemovesNoJoiningMember(t *testing.T) {
	s := committed(t)
	var joining string
	looks := 0
	s.Cluster = interrupted{Cluster: s.Cluster, onMembers: func() {
		if looks++; looks != 2 { // the first one is before the lease
			return
		}
		s.must(s.acquireJoin(plane("cp1"), ask(machine2, run2, 2)))
		var err error
		if joining, err = s.k.AddLearner("cp1", host("cp1")); err != nil {
			t.Fatal(err)
		}
	}}
	_, err := s.acquireJoin(plane("cp1"), ask(machine2, run2, 1))
	wantCode(t, "the ask that slept", err, rendezvous.CodeSuperseded)
	if err := s.k.Promote(joining, "cp1"); err != nil {
		t.Error(err)
	}
}

// A control plane outside the cluster grants no lease that it cannot serve: the same ask is good at the next one, and
// who reaches no other does not keep the lease from those who do.
func TestJoinLeaseIsNotTakenOutsideTheCluster(t *testing.T) {
	s := committed(t)
	outside := &rendezvous.Service{Name: "c", Store: s.Store, Cluster: clustertest.View{In: func() *clustertest.Kubernetes { return nil }}, Members: removals{s}, Log: s.Log, Now: s.Now}
	_, err := outside.AcquireJoin(t.Context(), plane("cp1"), ask(machine1, run1, 1))
	wantCode(t, "its own server", err, rendezvous.CodeUnavailable)
	s.must(s.AcquireJoin(t.Context(), plane("cp2"), ask(machine2, run2, 1)))
	l := s.must(s.ReleaseJoin(t.Context(), plane("cp2"), held(run2, 1)))
	again := ask(machine1, run1, 2)
	again.Seen = l.Epoch
	_, err = outside.AcquireJoin(t.Context(), plane("cp1"), again)
	wantCode(t, "its own server, again", err, rendezvous.CodeUnavailable)
	s.must(s.AcquireJoin(t.Context(), plane("cp1"), again))
}

type interrupted struct {
	rendezvous.Cluster
	onMembers func()
}

func (i interrupted) EtcdMembers(ctx context.Context) ([]rendezvous.EtcdMember, error) {
	i.onMembers()
	return i.Cluster.EtcdMembers(ctx)
}

func TestGhostsGoBeforeAJoin(t *testing.T) {
	s := committed(t)
	ctx := t.Context()
	l := s.must(s.acquireJoin(plane("cp1"), ask(machine1, run1, 1)))
	id, err := s.k.AddLearner("cp1", host("cp1"))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.k.StartLearner(id, "cp1"); err != nil { // a learner with a name, of a node that never comes back
		t.Fatal(err)
	}
	_, err = s.acquireJoin(plane("cp2"), ask(machine2, run2, 1))
	wantCode(t, "one at a time", err, rendezvous.CodeHeld)
	s.clock = s.clock.Add(rendezvous.LeaseTTL)
	l2 := s.must(s.acquireJoin(plane("cp2"), ask(machine2, run2, 2)))
	if n := len(s.k.Members()); n != 1 {
		t.Errorf("etcd has %+v, want the first member only", s.k.Members())
	}
	if len(l2.Leftover) != 0 {
		t.Errorf("the leftover %v was not forgotten", l2.Leftover)
	}
	_, err = s.Enrol(ctx, plane("cp1"), claim1, &rendezvous.Held{Run: run1, Epoch: l.Epoch})
	wantCode(t, "the node whose lease passed on enrols", err, rendezvous.CodeSuperseded)
	wantCode(t, "and wants certificates", s.Certificates(ctx, plane("cp1"), held(run1, l.Epoch), io.Discard), rendezvous.CodeSuperseded)
	if id, err = s.k.AddLearner("cp2", host("cp2")); err != nil {
		t.Fatal(err)
	}
	if err := s.k.Promote(id, "cp2"); err != nil {
		t.Fatal(err)
	}
	// cp2 joined and could not say so: it is a member in good standing and stays, whoever takes the lease.
	s.clock = s.clock.Add(rendezvous.LeaseTTL)
	_, err = s.acquireJoin(plane("cp1"), ask(machine1, run1, 1))
	wantCode(t, "first look", err, rendezvous.CodeHeld)
	s.clock = s.clock.Add(rendezvous.LeaseTTL)
	s.must(s.acquireJoin(plane("cp1"), ask(machine1, run1, 2)))
	if n := len(s.k.Members()); n != 2 {
		t.Errorf("etcd has %+v, want cp0 and cp2", s.k.Members())
	}
	// A second power cut: cp1's own leftovers go, Node object included.
	if _, err = s.k.AddLearner("cp1", host("cp1")); err != nil {
		t.Fatal(err)
	}
	s.k.SetNode("cp1", rendezvous.NodeObject{UID: "old"})
	s.must(s.acquireJoin(plane("cp1"), ask(machine1, "bbbbbbbbbbbbbbbb", 1)))
	if n := len(s.k.Members()); n != 2 || slices.Contains(s.k.NodeNames(), "cp1") {
		t.Errorf("etcd has %+v, nodes %v", s.k.Members(), s.k.NodeNames())
	}
}

// A learner that no unfinished join left, such as one that somebody adds by hand, is none of the next join's business.
func TestForeignLearnerStays(t *testing.T) {
	s := committed(t)
	id, err := s.k.AddLearner("backup", host("cp9"))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.k.StartLearner(id, "backup"); err != nil {
		t.Fatal(err)
	}
	s.must(s.acquireJoin(plane("cp1"), ask(machine1, run1, 1)))
	if n := len(s.k.Members()); n != 2 {
		t.Errorf("etcd has %+v, want the first member and the learner", s.k.Members())
	}
}

// joinPlane joins a control plane under the lease, up to the etcd member that has a vote.
func (s *scene) joinPlane(name, machine, run string) rendezvous.Lease {
	s.t.Helper()
	l := s.must(s.acquireJoin(plane(name), ask(machine, run, 1)))
	id, err := s.k.AddLearner(name, host(name))
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.k.Promote(id, name); err != nil {
		s.t.Fatal(err)
	}
	return l
}

// A node whose join failed gives the lease back and never comes again: its learner must not block the others.
func TestLearnerOfAReleasedLeaseGoes(t *testing.T) {
	s := committed(t)
	l := s.must(s.acquireJoin(plane("cp1"), ask(machine1, run1, 1)))
	id, err := s.k.AddLearner("cp1", host("cp1"))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.k.StartLearner(id, "cp1"); err != nil {
		t.Fatal(err)
	}
	s.must(s.ReleaseJoin(t.Context(), plane("cp1"), held(run1, l.Epoch)))
	if l := s.joinPlane("cp2", machine2, run2); len(l.Leftover) != 0 {
		t.Errorf("the leftover %v was not forgotten", l.Leftover)
	}
}

// One that joined and gave the lease back stays, and so does one whose name was left over before and that came back.
func TestReleaseAfterAJoinLeavesTheMember(t *testing.T) {
	s := committed(t)
	l := s.must(s.acquireJoin(plane("cp1"), ask(machine1, run1, 1)))
	s.must(s.ReleaseJoin(t.Context(), plane("cp1"), held(run1, l.Epoch))) // the first try failed before etcd
	l = s.joinPlane("cp1", machine1, run2)
	s.must(s.ReleaseJoin(t.Context(), plane("cp1"), held(run2, l.Epoch)))
	l = s.joinPlane("cp2", machine2, run1)
	if n := len(s.k.Members()); n != 3 || len(l.Leftover) != 0 {
		t.Errorf("etcd has %+v, left over are %v", s.k.Members(), l.Leftover)
	}
}

// A holder of long ago, whose ask slept before its last write, does not forget who has held the lease since.
func TestSleepingAskForgetsNoLeftover(t *testing.T) {
	s := committed(t)
	l := s.must(s.acquireJoin(plane("cp1"), ask(machine1, run1, 1)))
	s.must(s.ReleaseJoin(t.Context(), plane("cp1"), held(run1, l.Epoch)))
	s.k.SetNode("cp2", rendezvous.NodeObject{UID: "old"})
	s.Cluster = &sleeping{Cluster: s.Cluster, onDelete: func() {
		l := s.must(s.acquireJoin(plane("cp2"), ask(machine2, run2, 1))) // rebooted
		s.must(s.ReleaseJoin(t.Context(), plane("cp2"), held(run2, l.Epoch)))
		l = s.must(s.acquireJoin(plane("cp1"), ask(machine1, run1, 2)))
		s.must(s.ReleaseJoin(t.Context(), plane("cp1"), held(run1, l.Epoch)))
	}}
	_, err := s.acquireJoin(plane("cp2"), ask(machine2, run1, 1))
	wantCode(t, "the ask that slept", err, rendezvous.CodeSuperseded)
	report, err := s.Status(t.Context())
	if err != nil || !slices.Contains(report.Join.Leftover, "cp1") {
		t.Errorf("left over are %v, %v", report.Join.Leftover, err)
	}
}

// sleeping does something once, before a Node object is removed.
type sleeping struct {
	rendezvous.Cluster
	onDelete func()
}

func (s *sleeping) DeleteNode(ctx context.Context, name, uid string) error {
	if do := s.onDelete; do != nil {
		s.onDelete = nil
		do()
	}
	return s.Cluster.DeleteNode(ctx, name, uid)
}

func TestWorkerFromClaimToClosed(t *testing.T) {
	s := committed(t)
	ctx := t.Context()
	first, _ := s.enrol(worker("w"), claim1)
	second, secret := s.enrol(worker("w"), claim1)
	live := s.k.Tokens()
	if _, ok := live[first]; ok || len(live) != 1 || live[second].TTL != rendezvous.MaxTokenTTL {
		t.Errorf("after two asks the tokens are %v", live)
	}
	wantCode(t, "done before the node is seen", s.Done(ctx, worker("w"), claim1), rendezvous.CodeWaiting)
	if err := s.k.JoinWorker("w", second, secret); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Enrol(ctx, worker("w"), claim1, nil); err != nil { // a power cut after the join, before the report
		t.Fatal(err)
	}
	for range 2 {
		if err := s.Done(ctx, worker("w"), claim1); err != nil {
			t.Fatal(err)
		}
	}
	if len(s.k.Tokens()) != 0 {
		t.Errorf("tokens are left: %v", s.k.Tokens())
	}
	_, err := s.Enrol(ctx, worker("w"), claim1, nil)
	wantCode(t, "after the join", err, rendezvous.CodeClosed)
	wantCode(t, "a report after the join", s.Progress(ctx, worker("w"), rendezvous.Report{Claim: claim1, Step: "x"}), rendezvous.CodeClosed)
	wantCode(t, "done by another machine", s.Done(ctx, worker("w"), rendezvous.Claim{Machine: machine2}), rendezvous.CodeForbidden)
}

// A node whose Node object is there already (a machine set up again after an operator's reopen, or the name of an old
// one) counts as joined only when the object is another one.
func TestOldNodeObjectIsNoJoin(t *testing.T) {
	s := committed(t)
	s.k.SetNode("w", rendezvous.NodeObject{UID: "u1", BootID: "b1"})
	s.enrol(worker("w"), claim1)
	wantCode(t, "the old object", s.Done(t.Context(), worker("w"), claim1), rendezvous.CodeWaiting)
	s.k.SetNode("w", rendezvous.NodeObject{UID: "u1", BootID: "b2"})
	if err := s.Done(t.Context(), worker("w"), claim1); err != nil {
		t.Errorf("the same object after a reboot into the new system: %v", err)
	}
}

func TestWorkerGetsNothingElse(t *testing.T) {
	s := committed(t)
	ctx := t.Context()
	_, err := s.Enrol(ctx, worker("w"), rendezvous.Claim{Name: "other", Machine: machine1}, nil)
	wantCode(t, "another node's name", err, rendezvous.CodeForbidden)
	_, err = s.Enrol(ctx, worker("cp0"), rendezvous.Claim{Name: "../cp0", Machine: machine1}, nil)
	wantCode(t, "a path for a name", err, rendezvous.CodeForbidden)
	_, err = s.Enrol(ctx, worker("w"), rendezvous.Claim{Machine: "x"}, nil)
	wantCode(t, "no machine", err, rendezvous.CodeInvalid)
	for what, err := range map[string]error{
		"init":     second(s.AcquireInit(ctx, worker("w"), ask(machine1, run1, 1))),
		"renew":    second(s.RenewInit(ctx, worker("w"), held(run1, 1))),
		"commit":   second(s.CommitInit(ctx, worker("w"), held(run1, 1))),
		"release":  second(s.ReleaseInit(ctx, worker("w"), held(run1, 1))),
		"join":     second(s.AcquireJoin(ctx, worker("w"), ask(machine1, run1, 1))),
		"certs":    s.Certificates(ctx, worker("w"), held(run1, 1), io.Discard),
		"reopen":   s.Reopen(ctx, worker("w"), "w"),
		"revoke":   s.RevokeNode(ctx, worker("w"), "cp0"),
		"pool":     s.RevokePool(ctx, worker("w"), "p"),
		"cp opens": s.Reopen(ctx, plane("cp0"), "cp0"),
	} {
		wantCode(t, what, err, rendezvous.CodeForbidden)
	}
	_, err = s.Enrol(ctx, plane("cp1"), claim1, nil)
	wantCode(t, "a control plane without the lease", err, rendezvous.CodeForbidden)
}

func second[T any](_ T, err error) error { return err }

func TestNamedNodeFollowsTheNewestMachine(t *testing.T) {
	s := committed(t)
	old, _ := s.enrol(worker("w"), claim1)
	s.enrol(worker("w"), rendezvous.Claim{Machine: machine2})
	if _, ok := s.k.Tokens()[old]; ok {
		t.Error("the first machine's token lives on")
	}
	if n := s.node("w"); n.Machine != machine2 || n.Refused == "" {
		t.Errorf("the second claim is not shown: %+v", n)
	}
	wantCode(t, "the first machine reports", s.Done(t.Context(), worker("w"), claim1), rendezvous.CodeForbidden)
}

func pool(limit int, until time.Time) rendezvous.Identity {
	return rendezvous.Identity{Cluster: "c", Role: credential.Worker, Name: "p", Pool: &credential.Pool{MaxNodes: limit, JoinUntil: until}}
}

func TestPoolIsBounded(t *testing.T) {
	s := committed(t)
	ctx := t.Context()
	p := pool(2, s.clock.Add(time.Hour))
	in := func(name, machine string) rendezvous.Claim { return rendezvous.Claim{Name: name, Machine: machine} }
	_, err := s.Enrol(ctx, p, claim1, nil)
	wantCode(t, "no name", err, rendezvous.CodeInvalid)
	s.enrol(worker("named"), claim1)
	_, err = s.Enrol(ctx, p, in("named", machine2), nil)
	wantCode(t, "the name of a node of the spec", err, rendezvous.CodeForbidden)
	s.join(p, "a", in("a", machine1))
	s.enrol(p, in("b", machine1))
	_, err = s.Enrol(ctx, p, in("b", machine2), nil)
	wantCode(t, "a second machine with the name", err, rendezvous.CodeForbidden)
	if s.node("b").Refused == "" {
		t.Error("the second claim of a name is not shown")
	}
	_, err = s.Enrol(ctx, p, in("c", machine2), nil)
	wantCode(t, "one too many", err, rendezvous.CodeForbidden)
	if err := s.Reopen(ctx, operator, "a"); err != nil {
		t.Fatal(err)
	}
	s.enrol(p, in("c", machine2))
	s.clock = s.clock.Add(2 * time.Hour)
	s.enrol(p, in("b", machine1)) // it was in before
	_, err = s.Enrol(ctx, pool(9, s.clock.Add(-time.Hour)), in("d", machine2), nil)
	wantCode(t, "too late", err, rendezvous.CodeForbidden)
	if err := s.RevokePool(ctx, operator, "p"); err != nil {
		t.Fatal(err)
	}
	_, err = s.Enrol(ctx, p, in("b", machine1), nil)
	wantCode(t, "after the pool was revoked", err, rendezvous.CodeRevoked)
	for id, token := range s.k.Tokens() {
		if token.Node != "named" {
			t.Errorf("the token %s of %s lives on after the pool was revoked", id, token.Node)
		}
	}
}

// What a machine of a pool calls itself is not signed: it must be nobody else's, and what is refused takes no place.
func TestPoolTakesNoOthersName(t *testing.T) {
	s := committed(t)
	ctx := t.Context()
	p := pool(1, time.Time{})
	s.k.SetNode("by-hand", rendezvous.NodeObject{UID: "u", BootID: "b"})
	s.enrol(worker("w"), claim1)
	for name, what := range map[string]string{"cp0": "a control plane", "cp1": "a control plane that has not come", "by-hand": "a node joined by hand", "w": "a worker"} {
		claim := rendezvous.Claim{Name: name, Machine: machine2}
		_, err := s.Enrol(ctx, p, claim, nil)
		wantCode(t, "the name of "+what, err, rendezvous.CodeForbidden)
		wantCode(t, "a report as "+what, s.Progress(ctx, p, rendezvous.Report{Claim: claim, Step: "x"}), rendezvous.CodeForbidden)
		wantCode(t, "done as "+what, s.Done(ctx, p, claim), rendezvous.CodeForbidden)
	}
	s.join(p, "good", rendezvous.Claim{Name: "good", Machine: machine2})
}

// A control plane that came to the spec after a machine of a pool took its name: that machine's Node object is no
// ghost.
func TestControlPlaneWhoseNameAPoolHas(t *testing.T) {
	s := committed(t)
	claim := rendezvous.Claim{Name: "cp3", Machine: machine1}
	token, secret := s.enrol(pool(1, time.Time{}), claim)
	if err := s.k.JoinWorker("cp3", token, secret); err != nil {
		t.Fatal(err)
	}
	_, err := s.acquireJoin(plane("cp3"), ask(machine2, run2, 1))
	wantCode(t, "the control plane", err, rendezvous.CodeForbidden)
	if err := s.Done(t.Context(), pool(1, time.Time{}), claim); err != nil {
		t.Errorf("the machine of the pool: %v; nodes are %v", err, s.k.NodeNames())
	}
	if err := s.Reopen(t.Context(), operator, "cp3"); err != nil {
		t.Fatal(err)
	}
	s.must(s.acquireJoin(plane("cp3"), ask(machine2, run2, 2)))
}

func TestOperatorTouchesOneNodeOnly(t *testing.T) {
	s := committed(t)
	ctx := t.Context()
	for i := range 3 {
		name := fmt.Sprintf("w%d", i)
		s.join(worker(name), name, claim1)
	}
	before := s.node("w0")
	wantCode(t, "a node nobody knows", s.Reopen(ctx, operator, "nobody"), rendezvous.CodeNotFound)
	if err := s.Reopen(ctx, operator, "w1"); err != nil {
		t.Fatal(err)
	}
	if slices.Contains(s.k.NodeNames(), "w1") {
		t.Error("the old Node object stands")
	}
	s.join(worker("w1"), "w1", rendezvous.Claim{Machine: machine2})
	if err := s.RevokeNode(ctx, operator, "w2"); err != nil {
		t.Fatal(err)
	}
	wantCode(t, "a revoked node reports", s.Progress(ctx, worker("w2"), rendezvous.Report{Claim: claim1, Step: "x"}), rendezvous.CodeRevoked)
	_, err := s.Enrol(ctx, worker("w2"), claim1, nil)
	wantCode(t, "a revoked node enrols", err, rendezvous.CodeRevoked)
	if err := s.RevokeNode(ctx, operator, "never-came"); err != nil {
		t.Fatal(err)
	}
	_, err = s.Enrol(ctx, worker("never-came"), claim1, nil)
	wantCode(t, "a node revoked before it came", err, rendezvous.CodeRevoked)
	if after := s.node("w0"); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("another node changed from %+v to %+v", before, after)
	}
	if !slices.Contains(s.removed, "never-came") || slices.Contains(s.removed, "w2") {
		t.Errorf("the store's members removed are %v: want what may be a control plane, and no worker", s.removed)
	}
}

// A control plane whose document leaked founds nothing and joins nothing, whatever its certificate says.
func TestRevokedControlPlaneHasNoLease(t *testing.T) {
	ctx := t.Context()
	calls := map[string]func(s *scene, epoch int64) error{
		"AcquireInit": func(s *scene, _ int64) error { return second(s.AcquireInit(ctx, plane("cp1"), ask(machine1, run1, 2))) },
		"RenewInit":   func(s *scene, epoch int64) error { return second(s.RenewInit(ctx, plane("cp1"), held(run1, epoch))) },
		"CommitInit":  func(s *scene, epoch int64) error { return second(s.CommitInit(ctx, plane("cp1"), held(run1, epoch))) },
		"ReleaseInit": func(s *scene, epoch int64) error { return second(s.ReleaseInit(ctx, plane("cp1"), held(run1, epoch))) },
	}
	for what, call := range calls {
		s := newScene(t)
		epoch := s.must(s.AcquireInit(ctx, plane("cp1"), ask(machine1, run1, 1))).Epoch
		if err := s.RevokeNode(ctx, operator, "cp1"); err != nil {
			t.Fatal(err)
		}
		wantCode(t, what, call(s, epoch), rendezvous.CodeRevoked)
	}
	calls = map[string]func(s *scene, epoch int64) error{
		"AcquireJoin": func(s *scene, _ int64) error { return second(s.AcquireJoin(ctx, plane("cp1"), ask(machine1, run1, 2))) },
		"RenewJoin":   func(s *scene, epoch int64) error { return second(s.RenewJoin(ctx, plane("cp1"), held(run1, epoch))) },
		"ReleaseJoin": func(s *scene, epoch int64) error { return second(s.ReleaseJoin(ctx, plane("cp1"), held(run1, epoch))) },
		"Certificates": func(s *scene, epoch int64) error {
			return s.Certificates(ctx, plane("cp1"), held(run1, epoch), io.Discard)
		},
	}
	for what, call := range calls {
		s := committed(t)
		epoch := s.must(s.acquireJoin(plane("cp1"), ask(machine1, run1, 1))).Epoch
		if err := s.RevokeNode(ctx, operator, "cp1"); err != nil {
			t.Fatal(err)
		}
		wantCode(t, what, call(s, epoch), rendezvous.CodeRevoked)
	}
}

func TestReopenControlPlane(t *testing.T) {
	s := committed(t)
	ctx := t.Context()
	wantCode(t, "the only etcd member", s.Reopen(ctx, operator, "cp0"), rendezvous.CodeForbidden)
	l := s.must(s.acquireJoin(plane("cp1"), ask(machine2, run2, 1)))
	h := rendezvous.Held{Run: run2, Epoch: l.Epoch}
	var certs strings.Builder
	if err := s.Certificates(ctx, plane("cp1"), h, &certs); err != nil || certs.String() != "k" {
		t.Fatalf("certificates %q, %v", certs.String(), err)
	}
	if _, err := s.Enrol(ctx, plane("cp1"), rendezvous.Claim{Machine: machine2}, &h); err != nil {
		t.Fatal(err)
	}
	id, _ := s.k.AddLearner("cp1", host("cp1"))
	if err := s.k.Promote(id, "cp1"); err != nil {
		t.Fatal(err)
	}
	if err := s.Done(ctx, plane("cp1"), rendezvous.Claim{Machine: machine2}); err != nil {
		t.Fatal(err)
	}
	wantCode(t, "certificates after it joined", s.Certificates(ctx, plane("cp1"), h, io.Discard), rendezvous.CodeClosed)
	s.must(s.ReleaseJoin(ctx, plane("cp1"), h))
	_, err := s.acquireJoin(plane("cp1"), ask(machine2, run2, 5))
	wantCode(t, "a wiped control plane", err, rendezvous.CodeClosed)
	if err := s.Reopen(ctx, operator, "cp1"); err != nil {
		t.Fatal(err)
	}
	if len(s.k.Members()) != 1 || !slices.Equal(s.removed, []string{"cp1"}) {
		t.Errorf("etcd has %+v, the store lost %v", s.k.Members(), s.removed)
	}
	s.must(s.acquireJoin(plane("cp1"), ask(machine1, run1, 1)))
}

// A token that was written down and could not be made, or was made and not deleted, is deleted by the next ask.
func TestTokensAreNeverForgotten(t *testing.T) {
	s := committed(t)
	s.enrol(worker("w"), claim1)
	s.Cluster = failing{s.Cluster}
	for range 3 {
		_, err := s.Enrol(t.Context(), worker("w"), claim1, nil)
		wantCode(t, "no deletion, no token", err, rendezvous.CodeUnavailable)
	}
	if n := len(s.k.Tokens()); n != 1 {
		t.Errorf("%d tokens live while the old ones cannot be deleted", n)
	}
	s.Cluster = clustertest.Certain(s.k)
	last, _ := s.enrol(worker("w"), claim1)
	if live := s.k.Tokens(); len(live) != 1 || live[last].Node != "w" {
		t.Errorf("the tokens are %v, want the last one", live)
	}
}

// An ask that is overtaken while it makes its token: the later ask deletes the token before it is there, and the
// earlier one makes it, and looks whether it is still wanted, before the later one has forgotten it.
func TestTokenMadeWhileItIsForgotten(t *testing.T) {
	for _, c := range []struct {
		name      string
		forgotten func(hangUp func()) error
		fails     bool
	}{
		{"and all goes well", func(func()) error { return nil }, false},
		{"and the later client hangs up", func(hangUp func()) error { hangUp(); return nil }, true},
		{"and the store's answer is lost", func(func()) error { return rendezvous.ErrStore }, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := committed(t)
			store := &afterWrite{Store: s.Store}
			o := &overtaken{Cluster: s.Cluster, deleted: make(chan struct{}), goOn: make(chan struct{})}
			s.Store, s.Cluster = store, o
			ctx, hangUp := context.WithCancel(t.Context())
			defer hangUp()
			later := make(chan error, 1)
			o.onCreate = func() {
				go func() { later <- second(s.Enrol(ctx, worker("w"), claim1, nil)) }()
				<-o.deleted
			}
			if _, err := s.Enrol(t.Context(), worker("w"), claim1, nil); err != nil {
				t.Errorf("the earlier ask: %v", err) // it cannot know yet
			}
			store.do = func() error { return c.forgotten(hangUp) }
			close(o.goOn)
			if err := <-later; (err != nil) != c.fails {
				t.Errorf("the later ask: %v", err)
			}
			s.checkTokensKnown()
		})
	}
}

// checkTokensKnown: no token lives whose id the record of its node has lost.
func (s *scene) checkTokensKnown() {
	s.t.Helper()
	for id, token := range s.k.Tokens() {
		if known := s.node(token.Node).Tokens; !slices.Contains(known, id) {
			s.t.Errorf("the token %s of %s lives, known are %v", id, token.Node, known)
		}
	}
}

// afterWrite does something once, after a write that went well, and answers with its error.
type afterWrite struct {
	rendezvous.Store
	do func() error
}

func (a *afterWrite) Put(ctx context.Context, key string, value []byte, version int64) (int64, error) {
	v, err := a.Store.Put(ctx, key, value, version)
	if do := a.do; err == nil && do != nil {
		a.do = nil
		return v, do()
	}
	return v, err
}

// A client hangs up while its token is made, and another ask forgets that token before it is there.
func TestClientHangsUpWhileItsTokenIsMade(t *testing.T) {
	for name, answer := range map[string]error{"the API server answers": nil, "its answer is lost": errors.New("connection reset")} {
		t.Run(name, func(t *testing.T) {
			s := committed(t)
			ctx, hangUp := context.WithCancel(t.Context())
			s.Cluster = &late{Cluster: s.Cluster, answer: answer, before: func() {
				hangUp()
				s.enrol(worker("w"), claim1)
			}}
			_, err := s.Enrol(ctx, worker("w"), claim1, nil)
			wantCode(t, "the client that is gone", err, rendezvous.CodeConflict)
			s.checkTokensKnown()
		})
	}
}

// A token whose making failed, as it seems, goes with the next ask.
func TestTokenThatMayExist(t *testing.T) {
	s := committed(t)
	s.Cluster = &late{Cluster: s.Cluster, answer: errors.New("connection reset"), before: func() {}}
	_, err := s.Enrol(t.Context(), worker("w"), claim1, nil)
	wantCode(t, "the lost answer", err, rendezvous.CodeUnavailable)
	s.checkTokensKnown()
	if last, _ := s.enrol(worker("w"), claim1); len(s.k.Tokens()) != 1 || s.k.Tokens()[last].Node != "w" {
		t.Errorf("the tokens are %v, want %s", s.k.Tokens(), last)
	}
}

// A control plane that is cut off, and reads what was true before an operator revoked, leaves no token behind.
func TestTokenOfWhoIsRevokedElsewhere(t *testing.T) {
	for what, c := range map[string]struct {
		id     rendezvous.Identity
		revoke func(s *scene) error
	}{
		"a node": {worker("w"), func(s *scene) error { return s.RevokeNode(s.t.Context(), operator, "w") }},
		"a pool, by a call that was cut after its first write": {pool(1, time.Time{}), func(s *scene) error {
			s.Store = &afterWrite{Store: s.Store, do: func() error { return rendezvous.ErrStore }}
			if err := s.RevokePool(s.t.Context(), operator, "p"); rendezvous.CodeOf(err) != rendezvous.CodeUnavailable {
				return fmt.Errorf("the call that was cut: %w", err)
			}
			return nil
		}},
	} {
		t.Run(what, func(t *testing.T) {
			s := committed(t)
			whole := s.Store
			s.Cluster = &late{Cluster: s.Cluster, before: func() {
				before, err := whole.List(t.Context(), "")
				if err := errors.Join(err, c.revoke(s)); err != nil {
					t.Fatal(err)
				}
				s.Store = oldReads{whole, before}
			}}
			_, err := s.Enrol(t.Context(), c.id, rendezvous.Claim{Name: "w", Machine: machine1}, nil)
			wantCode(t, "who reads what is old", err, rendezvous.CodeConflict)
			if tokens := s.k.Tokens(); len(tokens) != 0 {
				t.Errorf("there are tokens: %v", tokens)
			}
		})
	}
}

// oldReads answers reads with what was there before.
type oldReads struct {
	rendezvous.Store
	before []rendezvous.Record
}

func (o oldReads) Get(_ context.Context, key string) (rendezvous.Record, error) {
	for _, r := range o.before {
		if r.Key == key {
			return r, nil
		}
	}
	return rendezvous.Record{}, nil
}

// late makes the first token after something else happened, and then answers with answer.
type late struct {
	rendezvous.Cluster
	before func()
	answer error
}

func (l *late) CreateToken(ctx context.Context, token rendezvous.Token, ttl time.Duration, node string) error {
	before := l.before
	if before == nil {
		return l.Cluster.CreateToken(ctx, token, ttl, node)
	}
	l.before = nil
	before()
	if err := l.Cluster.CreateToken(context.WithoutCancel(ctx), token, ttl, node); err != nil {
		return err
	}
	return l.answer
}

// overtaken lets another ask in before its first token is made, and holds that one after its first deletion.
type overtaken struct {
	rendezvous.Cluster
	onCreate      func()
	create        sync.Once
	delete        sync.Once
	deleted, goOn chan struct{}
}

func (o *overtaken) CreateToken(ctx context.Context, token rendezvous.Token, ttl time.Duration, node string) error {
	o.create.Do(o.onCreate)
	return o.Cluster.CreateToken(ctx, token, ttl, node)
}

func (o *overtaken) DeleteToken(ctx context.Context, id string) error {
	err := o.Cluster.DeleteToken(ctx, id)
	o.delete.Do(func() {
		close(o.deleted)
		<-o.goOn
	})
	return err
}

// A node that asks again while it is reopened: its new token is not forgotten, and goes when it is reopened once more.
func TestTokenMadeWhileItsNodeIsReopened(t *testing.T) {
	s := committed(t)
	s.enrol(worker("w"), claim1)
	s.Cluster = &meanwhile{Cluster: s.Cluster, do: func() { s.enrol(worker("w"), claim1) }}
	wantCode(t, "reopened while it asks", s.Reopen(t.Context(), operator, "w"), rendezvous.CodeConflict)
	s.checkTokensKnown()
	if err := s.Reopen(t.Context(), operator, "w"); err != nil {
		t.Fatal(err)
	}
	if n := s.node("w"); len(s.k.Tokens()) != 0 || n.Machine != "" {
		t.Errorf("after the second call the tokens are %v, the node is %+v", s.k.Tokens(), n)
	}
}

// meanwhile does something once, when a Node object is looked at.
type meanwhile struct {
	rendezvous.Cluster
	do func()
}

func (m *meanwhile) Node(ctx context.Context, name string) (rendezvous.NodeObject, error) {
	if do := m.do; do != nil {
		m.do = nil
		do()
	}
	return m.Cluster.Node(ctx, name)
}

type failing struct{ rendezvous.Cluster }

func (failing) DeleteToken(context.Context, string) error { return errors.New("connection refused") }

func TestTokenRedacts(t *testing.T) {
	token, err := rendezvous.NewToken(strings.NewReader(strings.Repeat("abcdefgh\xff", 9)))
	if err != nil {
		t.Fatal(err)
	}
	if len(token.ID) != 6 || len(token.Secret()) != 16 {
		t.Errorf("the token is %s", token.Reveal())
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		for _, value := range []any{token, &token, struct{ T rendezvous.Token }{token}} {
			if text := fmt.Sprintf(verb, value); strings.Contains(text, token.Secret()) || strings.Contains(text, fmt.Sprintf("%x", token.Secret())) {
				t.Errorf("%s prints the secret: %s", verb, text)
			}
		}
	}
	if data, _ := token.MarshalJSON(); strings.Contains(string(data), token.Secret()) {
		t.Errorf("JSON holds the secret: %s", data)
	}
}

func TestReportedTextIsHarmless(t *testing.T) {
	s := committed(t)
	evil := "a\x1b[2Jb\nc\u0085\u2028" + strings.Repeat("ä", 5000)
	if err := s.Progress(t.Context(), worker("w"), rendezvous.Report{Claim: claim1, Step: "joining", Error: evil}); err != nil {
		t.Fatal(err)
	}
	got := s.node("w").Error
	if strings.ContainsAny(got, "\x1b\n\u0085\u2028") || len(got) > rendezvous.MaxText || !strings.HasPrefix(got, "a [2Jb c") {
		t.Errorf("the error is kept as %q", got)
	}
}

// distant is a store whose calls take some milliseconds, as a replicated one's do.
type distant struct{ rendezvous.Store }

func (d distant) Get(ctx context.Context, key string) (rendezvous.Record, error) {
	time.Sleep(rand.N(8 * time.Millisecond))
	return d.Store.Get(ctx, key)
}

func (d distant) Put(ctx context.Context, key string, value []byte, version int64) (int64, error) {
	time.Sleep(rand.N(8 * time.Millisecond))
	return d.Store.Put(ctx, key, value, version)
}

// Hundreds of machines of a pool that ask at the same moment write one record: most are not sent away for that.
func TestPoolAsksTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := committed(t)
		s.Service.Store = distant{s.Service.Store}
		id := pool(300, time.Time{})
		var group sync.WaitGroup
		var refused atomic.Int64
		for i := range 300 {
			group.Go(func() {
				claim := rendezvous.Claim{Name: fmt.Sprintf("p%d", i), Machine: fmt.Sprintf("%032x", i)}
				if _, err := s.Enrol(t.Context(), id, claim, nil); rendezvous.CodeOf(err) == rendezvous.CodeConflict {
					refused.Add(1)
				} else if err != nil {
					t.Errorf("%s: %v", claim.Name, err)
				}
			})
		}
		group.Wait()
		t.Log(refused.Load(), "of 300 were sent away")
		if refused.Load() > 20 {
			t.Errorf("%d of 300 were sent away", refused.Load())
		}
	})
}
