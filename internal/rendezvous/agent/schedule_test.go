package agent_test

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
	"testing"
	"testing/synctest"
	"time"

	"muster/internal/rendezvous"
	"muster/internal/rendezvous/agent"
	"muster/internal/rendezvous/clustertest"
	"muster/internal/secrets/credential"
)

// A schedule is one random first boot of a whole cluster: machines lose power, disks are full, kubeadm fails, hangs or
// outlives its lease, answers get lost before or after the call took effect, clients hang up, services restart, control
// planes are cut off, one is switched off for good after a failed join, a pool's machine calls itself like a control
// plane. After two hours the faults stop. In the end exactly one init must be committed and every machine must have
// joined that cluster.

const faultsFor = 2 * time.Hour

type world struct {
	t        *testing.T
	seed     uint64
	mu       sync.Mutex // guards rng and what follows
	rng      *rand.Rand
	begin    time.Time
	store    *checkedStore
	planes   []*machine
	clusters map[string]*clustertest.Kubernetes
	inits    int
	said     []string
}

// machine is a control plane; what a power cut leaves is in its fields.
type machine struct {
	w       *world
	name    string
	service *rendezvous.Service
	state   agent.State
	cluster *clustertest.Kubernetes // the one whose files are on disk
	half    bool                    // kubeadm was at it and has not ended
	certs   string
	token   string
	phase   func(ctx context.Context) error
	cut     time.Time // until then nothing reaches this machine's agent
	full    time.Time // until then its disk is full
	mortal  bool      // it is switched off for good when a join has failed and its lease is given back
	dead    bool
	off     func() // cuts the power
}

func (m *machine) host() netip.Addr {
	return netip.MustParseAddr("192.0.2.10" + strings.TrimPrefix(m.name, "cp"))
}

func (w *world) chance(percent int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Since(w.begin) < faultsFor && w.rng.IntN(100) < percent
}

func (w *world) between(low, high time.Duration) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return low + time.Duration(w.rng.Int64N(int64(high-low)))
}

func (w *world) hex() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return fmt.Sprintf("%016x%016x", w.rng.Uint64(), w.rng.Uint64())
}

// now is the service as it runs at this moment.
func (m *machine) now() *rendezvous.Service {
	m.w.mu.Lock()
	defer m.w.mu.Unlock()
	return m.service
}

func (m *machine) setHalf(half bool) {
	m.w.mu.Lock()
	defer m.w.mu.Unlock()
	m.half = half
}

func (m *machine) perhapsDie() {
	m.w.mu.Lock()
	defer m.w.mu.Unlock()
	if m.mortal && m.half {
		m.dead = true
		m.off()
	}
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// checkedStore proves the invariants of the leases at every write.
type checkedStore struct {
	*rendezvous.MemoryStore
	w *world
}

func (s *checkedStore) Put(ctx context.Context, key string, value []byte, version int64) (int64, error) {
	if s.w.chance(4) {
		return 0, fmt.Errorf("%w: lost before", rendezvous.ErrStore)
	}
	if strings.HasPrefix(key, "lease/") {
		before, err := s.Get(ctx, key)
		if err == nil && before.Version == version {
			checkLease(s.w.t, s.w.seed, key, decode(s.w.t, before.Value), decode(s.w.t, value))
		}
	}
	v, err := s.MemoryStore.Put(ctx, key, value, version)
	if err == nil && s.w.chance(4) {
		return 0, fmt.Errorf("%w: lost after", rendezvous.ErrStore)
	}
	return v, err
}

func checkLease(t *testing.T, seed uint64, key string, before, after rendezvous.Lease) {
	t.Helper()
	if after.Epoch < before.Epoch || after.Epoch > before.Epoch+1 {
		t.Errorf("seed %d: %s: epoch %d after %d", seed, key, after.Epoch, before.Epoch)
	}
	taken := after.Holder != "" && (after.Holder != before.Holder || after.Run != before.Run)
	if taken && after.Epoch == before.Epoch {
		t.Errorf("seed %d: %s: %s took the lease without a new epoch", seed, key, after.Holder)
	}
	if before.Committed != nil && (after.Committed == nil || *after.Committed != *before.Committed) {
		t.Errorf("seed %d: the commit changed from %+v to %+v", seed, before.Committed, after.Committed)
	}
	if before.Committed == nil && after.Committed != nil && (after.Committed.Epoch != before.Epoch || after.Committed.Node != before.Holder) {
		t.Errorf("seed %d: the commit %+v is not the holder's %+v", seed, after.Committed, before)
	}
}

// call is one request of a machine: it may be lost, late, or its answer may be lost.
func call[T any](ctx context.Context, m *machine, do func(ctx context.Context, s *rendezvous.Service) (T, error)) (T, error) {
	w := m.w
	var zero T
	lost := func(what string) (T, error) {
		return zero, rendezvous.Errorf(rendezvous.CodeUnavailable, "%s", what)
	}
	if err := pause(ctx, w.between(time.Millisecond, 300*time.Millisecond)); err != nil {
		return zero, err
	}
	w.mu.Lock()
	cut := time.Until(m.cut)
	target := w.planes[w.rng.IntN(len(w.planes))]
	w.mu.Unlock()
	if cut > 0 {
		if err := pause(ctx, min(cut, 30*time.Second)); err != nil {
			return zero, err
		}
		return lost("cut off")
	}
	if w.chance(5) {
		return lost("lost before")
	}
	if w.chance(3) { // the request stays in a queue and arrives after its client gave up
		go func() {
			time.Sleep(w.between(time.Second, 20*time.Minute))
			_, _ = do(context.Background(), target.now()) // nobody waits for this answer
		}()
		return lost("late")
	}
	request, hangUp := context.WithCancel(context.Background())
	defer hangUp()
	if w.chance(10) {
		time.AfterFunc(w.between(0, 10*time.Second), hangUp)
	}
	value, err := do(request, target.now())
	if request.Err() != nil {
		return lost("hung up")
	}
	if err == nil && w.chance(5) {
		return lost("answer lost")
	}
	return value, err
}

type api struct{ m *machine }

func (a api) id() rendezvous.Identity {
	return rendezvous.Identity{Cluster: "c", Role: credential.ControlPlane, Name: a.m.name, Addresses: []netip.Addr{a.m.host()}}
}

func (a api) lease(ctx context.Context, do func(ctx context.Context, s *rendezvous.Service) (rendezvous.Lease, error)) (rendezvous.Lease, error) {
	return call(ctx, a.m, do)
}

func (a api) AcquireInit(ctx context.Context, ask rendezvous.Ask) (rendezvous.Lease, error) {
	return a.lease(ctx, func(ctx context.Context, s *rendezvous.Service) (rendezvous.Lease, error) {
		return s.AcquireInit(ctx, a.id(), ask)
	})
}
func (a api) RenewInit(ctx context.Context, h rendezvous.Held) (rendezvous.Lease, error) {
	return a.lease(ctx, func(ctx context.Context, s *rendezvous.Service) (rendezvous.Lease, error) {
		return s.RenewInit(ctx, a.id(), h)
	})
}
func (a api) CommitInit(ctx context.Context, h rendezvous.Held) (rendezvous.Lease, error) {
	return a.lease(ctx, func(ctx context.Context, s *rendezvous.Service) (rendezvous.Lease, error) {
		return s.CommitInit(ctx, a.id(), h)
	})
}
func (a api) ReleaseInit(ctx context.Context, h rendezvous.Held) (rendezvous.Lease, error) {
	return a.lease(ctx, func(ctx context.Context, s *rendezvous.Service) (rendezvous.Lease, error) {
		return s.ReleaseInit(ctx, a.id(), h)
	})
}
func (a api) AcquireJoin(ctx context.Context, ask rendezvous.Ask) (rendezvous.Lease, error) {
	return a.lease(ctx, func(ctx context.Context, s *rendezvous.Service) (rendezvous.Lease, error) {
		return s.AcquireJoin(ctx, a.id(), ask)
	})
}
func (a api) RenewJoin(ctx context.Context, h rendezvous.Held) (rendezvous.Lease, error) {
	return a.lease(ctx, func(ctx context.Context, s *rendezvous.Service) (rendezvous.Lease, error) {
		return s.RenewJoin(ctx, a.id(), h)
	})
}
func (a api) ReleaseJoin(ctx context.Context, h rendezvous.Held) (rendezvous.Lease, error) {
	defer a.m.perhapsDie()
	return a.lease(ctx, func(ctx context.Context, s *rendezvous.Service) (rendezvous.Lease, error) {
		return s.ReleaseJoin(ctx, a.id(), h)
	})
}

func (a api) Certificates(ctx context.Context, h rendezvous.Held, w io.Writer) error {
	data, err := call(ctx, a.m, func(ctx context.Context, s *rendezvous.Service) (string, error) {
		var b strings.Builder
		err := s.Certificates(ctx, a.id(), h, &b)
		return b.String(), err
	})
	if err == nil {
		_, err = io.WriteString(w, data)
	}
	return err
}

func (a api) Enrol(ctx context.Context, c rendezvous.Claim, h *rendezvous.Held) ([]byte, error) {
	return call(ctx, a.m, func(ctx context.Context, s *rendezvous.Service) ([]byte, error) { return s.Enrol(ctx, a.id(), c, h) })
}

func (a api) Done(ctx context.Context, c rendezvous.Claim) error {
	_, err := call(ctx, a.m, func(ctx context.Context, s *rendezvous.Service) (int, error) { return 0, s.Done(ctx, a.id(), c) })
	return err
}

func (a api) Progress(ctx context.Context, r rendezvous.Report) error {
	_, err := call(ctx, a.m, func(ctx context.Context, s *rendezvous.Service) (int, error) { return 0, s.Progress(ctx, a.id(), r) })
	return err
}

// The machine of the agent.

func (m *machine) Load() (agent.State, error) {
	m.w.mu.Lock()
	defer m.w.mu.Unlock()
	return m.state, nil
}

var errFull = errors.New("no space left on device")

func (m *machine) Save(s agent.State) error {
	if m.w.chance(2) {
		m.full = time.Now().Add(m.w.between(0, 15*time.Minute))
	}
	if time.Now().Before(m.full) {
		return errFull
	}
	m.w.mu.Lock()
	defer m.w.mu.Unlock()
	m.state = s
	return nil
}

// Say keeps what the agents said, for a schedule that fails.
func (m *machine) Say(text string) {
	m.w.mu.Lock()
	defer m.w.mu.Unlock()
	m.w.said = append(m.w.said, fmt.Sprintf("%s %s: %s", time.Since(m.w.begin).Round(time.Second), m.name, text))
}

func (m *machine) Reset(context.Context) error {
	m.w.mu.Lock()
	defer m.w.mu.Unlock()
	m.half, m.cluster, m.certs, m.token = false, nil, "", ""
	return nil
}

func (m *machine) Run(ctx context.Context) error {
	if m.half || m.cluster != nil {
		return errors.New("preflight: this machine is in use")
	}
	m.setHalf(true)
	if err := m.phase(ctx); err != nil {
		return err
	}
	m.setHalf(false)
	return nil
}

func (m *machine) SaveCertificates(r io.Reader) error {
	data, err := io.ReadAll(r)
	m.certs = string(data)
	return err
}

func (m *machine) SaveDiscovery(data []byte) error {
	m.token = strings.TrimSpace(strings.TrimPrefix(string(data), "token: "))
	return nil
}

func (m *machine) kubeadmInit(ctx context.Context) error {
	long := m.w.between(20*time.Second, 2*time.Minute)
	if m.w.chance(15) {
		long = m.w.between(2*time.Minute, 40*time.Minute)
	}
	if err := pause(ctx, long); err != nil {
		return err
	}
	if m.w.chance(20) {
		return errors.New("kubeadm init failed")
	}
	m.w.mu.Lock()
	defer m.w.mu.Unlock()
	m.w.inits++
	id := fmt.Sprintf("cluster-%d-of-%s", m.w.inits, m.name)
	k := clustertest.New(id)
	k.Init(m.name, m.host())
	m.w.clusters[id], m.cluster = k, k
	return nil
}

func (m *machine) kubeadmJoin(ctx context.Context) error {
	m.w.mu.Lock()
	k := m.w.clusters[m.certs]
	m.w.mu.Unlock()
	if k == nil {
		return fmt.Errorf("certificates of no cluster: %q", m.certs)
	}
	id, secret, _ := strings.Cut(m.token, ".")
	if live := k.Tokens()[id]; live.Secret != secret || secret == "" {
		return errors.New("the token is not alive")
	}
	learner, err := k.AddLearner(m.name, m.host())
	if err != nil {
		return err
	}
	for _, step := range []func() error{
		func() error { return k.StartLearner(learner, m.name) },
		func() error { return k.Promote(learner, m.name) },
	} {
		long := m.w.between(time.Second, 30*time.Second)
		if m.w.chance(10) {
			long = m.w.between(time.Minute, 30*time.Minute)
		}
		if err := pause(ctx, long); err != nil {
			return err
		}
		if m.w.chance(10) || m.mortal && m.w.chance(40) {
			return errors.New("kubeadm join failed")
		}
		if err := step(); err != nil {
			return err
		}
	}
	m.w.mu.Lock()
	defer m.w.mu.Unlock()
	m.cluster = k
	return nil
}

// live boots a control plane again and again until it is done.
func (m *machine) live(ctx context.Context) error {
	machineID := fmt.Sprintf("%032x", len(m.name)*1000+slices.Index(m.w.planes, m))
	for {
		boot, powerCut := context.WithCancel(ctx)
		m.off = powerCut
		if m.w.chance(40) {
			after := m.w.between(time.Second, 8*time.Minute)
			time.AfterFunc(after, powerCut)
		}
		if m.w.chance(20) {
			m.w.mu.Lock()
			m.cut = time.Now().Add(time.Duration(m.w.rng.IntN(25)) * time.Minute)
			m.w.mu.Unlock()
		}
		err := m.boot(boot, machineID)
		powerCut()
		if m.dead {
			return nil
		}
		if ctx.Err() != nil || err == nil {
			return err
		}
		if errors.Is(err, errFull) { // the step is tried again
			if err := pause(ctx, m.w.between(5*time.Second, 5*time.Minute)); err != nil {
				return err
			}
			continue
		}
		if boot.Err() == nil {
			return err
		}
		m.w.mu.Lock()
		m.half = m.half || m.cluster == nil
		m.w.mu.Unlock()
		if err := pause(ctx, m.w.between(5*time.Second, 14*time.Minute)); err != nil {
			return err
		}
		m.restartService()
	}
}

func (m *machine) boot(ctx context.Context, machineID string) error {
	a := &agent.Agent{API: api{m}, Machine: m, Node: m.name, MachineID: machineID, Run: m.w.hex()}
	m.phase = m.kubeadmInit
	outcome, err := a.Init(ctx)
	if err != nil || outcome == agent.Made {
		return err
	}
	m.phase = m.kubeadmJoin
	return a.Join(ctx)
}

// in is the cluster that the service of this machine acts for. As in kubernetes.Cluster the agent's state decides: an
// init that ended and is not committed left a whole cluster behind, and it must not get nodes.
func (m *machine) in() *clustertest.Kubernetes {
	m.w.mu.Lock()
	defer m.w.mu.Unlock()
	if !m.state.InitDone && !m.state.JoinRan {
		return nil
	}
	return m.cluster
}

func (m *machine) restartService() {
	var names rendezvous.ControlPlanes
	for _, p := range m.w.planes {
		names = append(names, p.name)
	}
	view := slow{clustertest.View{In: m.in}, m.w}
	s := &rendezvous.Service{Name: "c", ControlPlanes: names, Store: m.w.store, Cluster: view, Members: noMembers{}, Log: slog.New(slog.DiscardHandler)}
	m.w.mu.Lock()
	m.service = s
	m.w.mu.Unlock()
}

// slow is a cluster that takes its time, before a call takes effect and after, and may lose its answer. A caller that
// hangs up meanwhile does not stop the call.
type slow struct {
	rendezvous.Cluster
	w *world
}

func (s slow) slowly(ctx context.Context, do func(ctx context.Context) error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	done := make(chan error, 1)
	go func() {
		s.pause()
		err := do(context.WithoutCancel(ctx))
		s.pause()
		if err == nil && s.w.chance(3) {
			err = errors.New("the answer was lost")
		}
		done <- err
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s slow) pause() {
	if s.w.chance(20) {
		time.Sleep(s.w.between(0, 15*time.Second))
	}
}

func (s slow) CreateToken(ctx context.Context, token rendezvous.Token, ttl time.Duration, node string) error {
	return s.slowly(ctx, func(ctx context.Context) error { return s.Cluster.CreateToken(ctx, token, ttl, node) })
}

func (s slow) DeleteToken(ctx context.Context, id string) error {
	return s.slowly(ctx, func(ctx context.Context) error { return s.Cluster.DeleteToken(ctx, id) })
}

func (s slow) RemoveEtcdMember(ctx context.Context, id string) error {
	return s.slowly(ctx, func(ctx context.Context) error { return s.Cluster.RemoveEtcdMember(ctx, id) })
}

func (s slow) DeleteNode(ctx context.Context, name, uid string) error {
	return s.slowly(ctx, func(ctx context.Context) error { return s.Cluster.DeleteNode(ctx, name, uid) })
}

func (s slow) EtcdMembers(ctx context.Context) ([]rendezvous.EtcdMember, error) {
	var members []rendezvous.EtcdMember
	err := s.slowly(ctx, func(ctx context.Context) (err error) {
		members, err = s.Cluster.EtcdMembers(ctx)
		return err
	})
	if err != nil {
		return nil, err // members may still be written
	}
	return members, nil
}

type noMembers struct{}

func (noMembers) CanRemove(string) error               { return nil }
func (noMembers) Remove(context.Context, string) error { return nil }

// worker does what the worker's script does, with power cuts between its steps.
func (w *world) worker(ctx context.Context, name string, pool bool) error {
	m := &machine{w: w, name: name}
	id := rendezvous.Identity{Cluster: "c", Role: credential.Worker, Name: name}
	claim := rendezvous.Claim{Machine: w.hex()}
	if pool {
		id.Name, id.Pool, claim.Name = "pool", &credential.Pool{MaxNodes: 1}, name
		if err := m.misnamed(ctx, id, claim); err != nil {
			return err
		}
	}
	joined := false
	for {
		if !joined {
			discovery, err := call(ctx, m, func(ctx context.Context, s *rendezvous.Service) ([]byte, error) { return s.Enrol(ctx, id, claim, nil) })
			if err == nil {
				joined = w.joinWorker(ctx, name, string(discovery))
			} else if code := rendezvous.CodeOf(err); code == rendezvous.CodeForbidden || code == rendezvous.CodeClosed {
				return err
			}
		}
		if joined {
			if _, err := call(ctx, m, func(ctx context.Context, s *rendezvous.Service) (int, error) { return 0, s.Done(ctx, id, claim) }); err == nil {
				return nil
			}
		}
		if err := pause(ctx, w.between(time.Second, 20*time.Second)); err != nil {
			return err
		}
	}
}

// misnamed asks under the name of a control plane until it is refused.
func (m *machine) misnamed(ctx context.Context, id rendezvous.Identity, claim rendezvous.Claim) error {
	claim.Name = m.w.planes[len(m.w.planes)-1].name
	for {
		_, err := call(ctx, m, func(ctx context.Context, s *rendezvous.Service) ([]byte, error) { return s.Enrol(ctx, id, claim, nil) })
		switch {
		case err == nil:
			return fmt.Errorf("it was enrolled as %s", claim.Name)
		case rendezvous.CodeOf(err) == rendezvous.CodeForbidden:
			return nil
		}
		if err := pause(ctx, m.w.between(time.Second, 20*time.Second)); err != nil {
			return err
		}
	}
}

func (w *world) joinWorker(ctx context.Context, name, discovery string) bool {
	if pause(ctx, w.between(time.Second, time.Minute)) != nil || w.chance(20) {
		return false
	}
	id, secret, _ := strings.Cut(strings.TrimSpace(strings.TrimPrefix(discovery, "token: ")), ".")
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, k := range w.clusters {
		if k.JoinWorker(name, id, secret) == nil {
			return true
		}
	}
	return false
}

func run(t *testing.T, seed uint64) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, seed: seed, rng: rand.New(rand.NewPCG(seed, 0)), begin: time.Now(), clusters: map[string]*clustertest.Kubernetes{}}
		w.store = &checkedStore{MemoryStore: rendezvous.NewMemoryStore(), w: w}
		ctx, cancel := context.WithTimeout(t.Context(), 48*time.Hour)
		defer cancel()
		planes := []int{1, 2, 3, 5}[w.rng.IntN(4)]
		workers := w.rng.IntN(4)
		for i := range planes {
			w.planes = append(w.planes, &machine{w: w, name: fmt.Sprintf("cp%d", i)})
		}
		w.planes[planes-1].mortal = planes > 1 && w.rng.IntN(3) == 0
		form(t, ctx, w)
		var group sync.WaitGroup
		for _, m := range w.planes {
			group.Go(func() {
				if err := m.live(ctx); err != nil {
					t.Errorf("seed %d: %s did not join: %v", seed, m.name, err)
				}
			})
		}
		for i := range workers {
			group.Go(func() {
				if err := w.worker(ctx, fmt.Sprintf("w%d", i), i%2 == 1); err != nil {
					t.Errorf("seed %d: w%d did not join: %v", seed, i, err)
				}
			})
		}
		group.Wait()
		time.Sleep(time.Hour) // late requests arrive
		w.check(workers)
		if t.Failed() {
			t.Logf("the last that was said:\n%s", strings.Join(w.said[max(0, len(w.said)-100):], "\n"))
		}
	})
}

func form(t *testing.T, ctx context.Context, w *world) {
	for _, m := range w.planes {
		m.restartService()
	}
	for w.planes[0].now().Form(ctx, "uid", "cp0") != nil {
		if err := pause(ctx, time.Second); err != nil {
			t.Fatal(err)
		}
	}
}

func (w *world) check(workers int) {
	t := w.t
	record, err := w.store.Get(t.Context(), "lease/init")
	if err != nil {
		t.Fatal(err)
	}
	commit := decode(t, record.Value).Committed
	if commit == nil {
		t.Fatalf("seed %d: no init is committed", w.seed)
	}
	var made *clustertest.Kubernetes
	for _, m := range w.planes {
		if m.name == commit.Node {
			made = m.cluster
		}
	}
	alive := slices.DeleteFunc(slices.Clone(w.planes), func(m *machine) bool { return m.dead })
	for _, m := range alive {
		if m.cluster != made || made == nil || m.half {
			t.Errorf("seed %d: %s is not in the committed cluster of %s", w.seed, m.name, commit.Node)
		}
		if m.state.InitDone != (m.name == commit.Node) {
			t.Errorf("seed %d: %s thinks initDone=%v, committed is %s", w.seed, m.name, m.state.InitDone, commit.Node)
		}
	}
	if t.Failed() {
		return
	}
	if n := made.NodeNames(); len(n) != len(alive)+workers {
		t.Errorf("seed %d: the cluster has the nodes %v", w.seed, n)
	}
	w.checkEtcd(made, len(alive))
	for id, k := range w.clusters {
		if k != made && k.Minted > 0 {
			t.Errorf("seed %d: %d tokens were made in %s, whose init was never committed", w.seed, k.Minted, id)
		}
	}
	report, err := w.planes[0].now().Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(report.Nodes) != len(w.planes)+workers {
		t.Errorf("seed %d: %d nodes are known, want %d", w.seed, len(report.Nodes), len(w.planes)+workers)
	}
	tokens := made.Tokens()
	for _, n := range report.Nodes {
		if !n.Closed && !w.isDead(n.Name) {
			t.Errorf("seed %d: the enrolment of %s is open: %+v", w.seed, n.Name, n)
		}
		for _, id := range n.Tokens {
			delete(tokens, id) // of a dead one: it is known
		}
	}
	if len(tokens) != 0 {
		t.Errorf("seed %d: tokens are left, and unknown: %v", w.seed, tokens)
	}
}

// checkEtcd: all who live are members. A learner may be left of a dead one, if nobody joined after it.
func (w *world) checkEtcd(k *clustertest.Kubernetes, alive int) {
	finished := 0
	for _, member := range k.Members() {
		ghost := member.Learner || member.Name == ""
		if ghost && !slices.ContainsFunc(w.planes, func(m *machine) bool { return m.dead && slices.Contains(member.PeerHosts, m.host()) }) {
			w.t.Errorf("seed %d: etcd has the ghost %+v", w.seed, member)
		}
		if !ghost {
			finished++
		}
	}
	if finished != alive {
		w.t.Errorf("seed %d: etcd has %d members, want %d", w.seed, finished, alive)
	}
}

func (w *world) isDead(name string) bool {
	return slices.ContainsFunc(w.planes, func(m *machine) bool { return m.dead && m.name == name })
}
