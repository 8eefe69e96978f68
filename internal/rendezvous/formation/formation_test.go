package formation_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"muster/internal/rendezvous"
	"muster/internal/rendezvous/clustertest"
	"muster/internal/rendezvous/formation"
	"muster/internal/secrets/credential"
)

// group is one replicated store in memory: it answers whoever reaches a majority of its members.
type group struct {
	store   *rendezvous.MemoryStore
	members map[uint64]string // name by id
}

// world is the machines and what they reach. Everything is guarded by mu.
type world struct {
	t      *testing.T
	base   string
	mu     sync.Mutex
	rng    *rand.Rand
	hosts  []*host
	groups []*group
	said   []string
	k      *clustertest.Kubernetes // the cluster that runs already, if one does
}

type host struct {
	w       *world
	name    string
	dir     string
	group   *group // what is on its disk
	id      uint64
	running uint64 // the member's id, 0 when it does not run
	cut     bool
	in      bool // it is a control plane of the running cluster
	live    *formation.Formation
	service *rendezvous.Service
	names   int                           // how many hosts its document names, all when zero
	revoked map[string]bool               // whom it refuses, which outlives the store's folder
	faulty  func(engine) formation.Engine // an engine that fails, when a test sets it
	cancel  context.CancelFunc
	ended   chan struct{}
}

var errNoQuorum = errors.New("no leader")

// errDisk is what an engine of a test says when its disk fails: the process may end with it.
var errDisk = errors.New("no space left on device")

func (w *world) intN(n int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.rng.IntN(n)
}

// reach says whether two hosts talk.
func (w *world) reach(a, b *host) bool { return a == b || !a.cut && !b.cut }

// quorum is the group that a host can use now.
func (h *host) quorum() (*group, error) {
	g := h.group
	if g == nil || h.running == 0 || g.members[h.running] != h.name {
		return nil, errNoQuorum
	}
	up := 0
	for id, name := range g.members {
		for _, o := range h.w.hosts {
			if o.name == name && o.running == id && o.group == g && h.w.reach(h, o) {
				up++
			}
		}
	}
	if 2*up <= len(g.members) {
		return nil, errNoQuorum
	}
	return g, nil
}

// engine is formation.Engine on the world.
type engine struct{ h *host }

const founderID = 1

func (engine) FounderID() uint64 { return founderID }
func (e engine) NewID() (uint64, error) {
	e.h.w.mu.Lock()
	defer e.h.w.mu.Unlock()
	return 2 + e.h.w.rng.Uint64N(1<<40), nil
}

func (e engine) Exists() (bool, error) {
	e.h.w.mu.Lock()
	defer e.h.w.mu.Unlock()
	return e.h.group != nil, nil
}

func (e engine) Start(id uint64, _ string, _ []string) (rendezvous.Store, error) {
	e.h.w.mu.Lock()
	defer e.h.w.mu.Unlock()
	if e.h.group == nil && id == founderID {
		e.h.group = &group{store: rendezvous.NewMemoryStore(), members: map[uint64]string{founderID: e.h.name}}
		e.h.w.groups = append(e.h.w.groups, e.h.group)
	}
	e.h.id, e.h.running = id, id
	return quorumStore(e), nil
}

func (e engine) Close(context.Context) error {
	e.h.w.mu.Lock()
	defer e.h.w.mu.Unlock()
	if e.h.running == 0 {
		return errors.New("the store does not run here yet")
	}
	e.h.running = 0
	return nil
}

func (e engine) Members(context.Context) ([]formation.Member, error) {
	e.h.w.mu.Lock()
	defer e.h.w.mu.Unlock()
	g, err := e.h.quorum()
	if err != nil {
		return nil, err
	}
	var list []formation.Member
	for id, name := range g.members {
		list = append(list, formation.Member{ID: id, Address: name})
	}
	slices.SortFunc(list, func(a, b formation.Member) int { return int(int64(a.ID) - int64(b.ID)) })
	return list, nil
}

func (e engine) Add(_ context.Context, id uint64, address string) error {
	e.h.w.mu.Lock()
	defer e.h.w.mu.Unlock()
	g, err := e.h.quorum()
	if err != nil {
		return err
	}
	for _, o := range e.h.w.hosts {
		if o.name != address || o.running != id || !e.h.w.reach(e.h, o) {
			continue
		}
		for old, name := range g.members {
			if name == address && old != id {
				delete(g.members, old)
			}
		}
		g.members[id] = address
		if len(g.members) == 2 && e.h.w.rng.IntN(4) == 0 {
			return errors.New("killed when the change was on this disk and not yet on the other's") // who has no store gives no vote
		}
		o.group = g
		return nil
	}
	return errors.New("the node is not running")
}

func (e engine) Remove(_ context.Context, address string) error {
	e.h.w.mu.Lock()
	defer e.h.w.mu.Unlock()
	g, err := e.h.quorum()
	if err != nil {
		return err
	}
	for id, name := range g.members {
		if name == address {
			delete(g.members, id)
		}
	}
	return nil
}

func (e engine) Recover(id uint64) error {
	e.h.w.mu.Lock()
	defer e.h.w.mu.Unlock()
	if len(e.h.group.members) > 2 {
		e.h.w.t.Errorf("%s recovers alone from %v: what others acknowledged may be lost", e.h.name, e.h.group.members)
	}
	for _, o := range e.h.w.hosts {
		if o != e.h && o.group == e.h.group && o.group.members[o.id] == o.name {
			e.h.w.t.Errorf("%s recovers alone while %s holds the store", e.h.name, o.name)
		}
	}
	e.h.group.members = map[uint64]string{id: e.h.name}
	return nil
}

func (e engine) SetAside() error {
	e.h.w.mu.Lock()
	defer e.h.w.mu.Unlock()
	e.h.group = nil
	return nil
}

// quorumStore is the store through one host.
type quorumStore struct{ h *host }

func (q quorumStore) use() (*rendezvous.MemoryStore, error) {
	q.h.w.mu.Lock()
	defer q.h.w.mu.Unlock()
	g, err := q.h.quorum()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", rendezvous.ErrStore, err)
	}
	return g.store, nil
}

func (q quorumStore) Get(ctx context.Context, key string) (rendezvous.Record, error) {
	s, err := q.use()
	if err != nil {
		return rendezvous.Record{}, err
	}
	return s.Get(ctx, key)
}

func (q quorumStore) List(ctx context.Context, prefix string) ([]rendezvous.Record, error) {
	s, err := q.use()
	if err != nil {
		return nil, err
	}
	return s.List(ctx, prefix)
}

func (q quorumStore) Put(ctx context.Context, key string, value []byte, version int64) (int64, error) {
	s, err := q.use()
	if err != nil {
		return 0, err
	}
	return s.Put(ctx, key, value, version)
}

// peer is a host as another one reaches it.
type peer struct{ from, to *host }

func (p peer) get() (*formation.Formation, error) {
	p.from.w.mu.Lock()
	defer p.from.w.mu.Unlock()
	if p.to.live == nil || !p.from.w.reach(p.from, p.to) {
		return nil, errors.New("no answer")
	}
	return p.to.live, nil
}

func (p peer) Membership(ctx context.Context) (rendezvous.Membership, error) {
	f, err := p.get()
	if err != nil {
		return rendezvous.Membership{}, err
	}
	return f.Membership(ctx)
}

func (p peer) Admit(ctx context.Context, a rendezvous.Admission) error {
	f, err := p.get()
	if err != nil {
		return err
	}
	a.Node = p.from.name
	return f.Admit(ctx, a)
}

func (p peer) Confirm(ctx context.Context, uid string) error {
	f, err := p.get()
	if err != nil {
		return err
	}
	return f.Confirm(ctx, uid)
}

// boot runs the host's service, again whenever it has to begin anew, until cancel.
func (h *host) boot() {
	ctx, cancel := context.WithCancel(context.Background())
	h.cancel, h.ended = cancel, make(chan struct{})
	go func() {
		defer close(h.ended)
		for ctx.Err() == nil {
			if err := h.run(ctx); err != nil && !errors.Is(err, formation.ErrRestart) && !errors.Is(err, errDisk) {
				h.w.t.Errorf("%s: %v", h.name, err)
				return
			}
			time.Sleep(time.Second)
		}
	}()
}

func (h *host) run(ctx context.Context) error {
	store := &formation.LateStore{}
	service := &rendezvous.Service{Name: "c", Store: store, Cluster: clustertest.View{In: h.kubernetes}, Log: slog.New(slog.DiscardHandler)}
	cfg := formation.Config{
		Self: h.name, Address: h.name, Reach: h.reach, Dir: filepath.Join(h.dir, "data"), Founded: filepath.Join(h.dir, "founded"), Known: filepath.Join(h.dir, "known"),
		Engine: engine{h}, Service: service, Store: store, InCluster: h.inCluster, Log: slog.New(slog.DiscardHandler), Say: h.say,
		Revoked: h.refuses, RevokedFile: filepath.Join(h.dir, "revoked"),
	}
	for i, o := range h.w.all() {
		if h.names == 0 || i < h.names {
			cfg.ControlPlanes = append(cfg.ControlPlanes, formation.ControlPlane{Name: o.name, Address: o.name})
		}
	}
	if h.faulty != nil {
		cfg.Engine = h.faulty(engine{h})
	}
	f, err := formation.New(cfg)
	if err != nil {
		return err
	}
	service.Members = f
	h.w.mu.Lock()
	h.live, h.service = f, service
	h.w.mu.Unlock()
	err = f.Run(ctx)
	h.w.mu.Lock()
	h.live, h.running = nil, 0
	h.w.mu.Unlock()
	return err
}

func (h *host) reach(p formation.ControlPlane) (formation.Peer, error) {
	for _, o := range h.w.all() {
		if o.name == p.Name {
			return peer{h, o}, nil
		}
	}
	return peer{h, &host{w: h.w, name: p.Name}}, nil // it is no more
}

func (h *host) refuses(name string) bool {
	h.w.mu.Lock()
	defer h.w.mu.Unlock()
	return h.revoked[name]
}

// serving is the service that runs now.
func (h *host) serving() *rendezvous.Service {
	h.w.mu.Lock()
	defer h.w.mu.Unlock()
	return h.service
}

func (h *host) kubernetes() *clustertest.Kubernetes {
	h.w.mu.Lock()
	defer h.w.mu.Unlock()
	if !h.in {
		return nil
	}
	return h.w.k
}

func (h *host) inCluster() (rendezvous.Commit, bool) {
	return rendezvous.Commit{Node: h.name}, h.kubernetes() != nil
}

// say keeps what was said, for a schedule that fails.
func (h *host) say(text string) {
	h.w.mu.Lock()
	defer h.w.mu.Unlock()
	h.w.said = append(h.w.said, fmt.Sprintf("%s %s: %s", time.Now().Format(time.TimeOnly), h.name, text))
}

func (w *world) allSaid() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.said, "\n")
}

func (h *host) stop() {
	h.cancel()
	<-h.ended
}

// holds is the store on the host's disk.
func (h *host) holds() *group {
	h.w.mu.Lock()
	defer h.w.mu.Unlock()
	return h.group
}

// wipe loses the folder of the store; everything loses the mark that it founded too, and the cluster: it is a new
// machine.
func (h *host) wipe(everything bool) {
	h.w.mu.Lock()
	h.group, h.in = nil, h.in && !everything
	h.w.mu.Unlock()
	path := filepath.Join(h.dir, "data")
	if everything {
		path = h.dir
	}
	if err := errors.Join(os.RemoveAll(path), os.MkdirAll(h.dir, 0o700)); err != nil {
		h.w.t.Error(err)
	}
}

func newWorld(t *testing.T, size int, seed uint64) *world {
	w := &world{t: t, rng: rand.New(rand.NewPCG(seed, 2)), base: t.TempDir()}
	for range size {
		w.add()
	}
	return w
}

// all is for other goroutines than the test's, which may add hosts.
func (w *world) all() []*host {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.hosts)
}

func (w *world) add() *host {
	w.mu.Lock()
	defer w.mu.Unlock()
	name := fmt.Sprintf("cp%d", len(w.hosts))
	h := &host{w: w, name: name, dir: filepath.Join(w.base, name)}
	w.hosts = append(w.hosts, h)
	return h
}

// grow boots a control plane that was added to the spec: its document names all, theirs stay as they are.
func (w *world) grow() {
	h := w.add()
	h.names = len(w.hosts)
	h.boot()
}

// cluster says that a cluster runs, and on which hosts.
func (w *world) cluster(hosts ...int) {
	w.k = clustertest.New("k")
	w.k.Init("cp0")
	for _, i := range hosts {
		w.hosts[i].in = true
	}
}

// check looks at every group that ever was: how many decide. None does without knowing of the cluster that runs.
func (w *world) check() (formedGroups int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, g := range w.groups {
		if r, err := g.store.Get(context.Background(), "cluster"); err == nil && r.Version > 0 {
			formedGroups++
			if r, err := g.store.Get(context.Background(), "lease/init"); w.k != nil && (err != nil || !strings.Contains(string(r.Value), `"committed"`)) {
				w.t.Errorf("a store decides, a cluster runs, and the store has no init: another one would be granted (%v)", err)
			}
		}
	}
	return formedGroups
}

// settled says whether all hosts are members of one formed store, which has their addresses, and its founder his mark.
func (w *world) settled() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, h := range w.hosts {
		g, err := h.quorum()
		if err != nil {
			return fmt.Errorf("%s: %w", h.name, err)
		}
		if r, err := g.store.Get(context.Background(), "cluster"); err != nil || r.Version == 0 || g != w.hosts[0].group || len(g.members) != len(w.hosts) {
			return fmt.Errorf("%s: not settled: %v", h.name, g.members)
		}
		if r, err := g.store.Get(context.Background(), "member/"+h.name); err != nil || r.Version == 0 {
			return fmt.Errorf("%s: nobody who revokes it finds its member (%v)", h.name, err)
		}
		state, err := os.ReadFile(filepath.Join(h.dir, "data/membership.json"))
		if err == nil && strings.Contains(string(state), `"founder":true`) {
			_, err = os.Stat(filepath.Join(h.dir, "founded"))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *world) mustSettle(seed uint64) {
	w.t.Helper()
	var err error
	for range 600 {
		if err = w.settled(); err == nil {
			return
		}
		time.Sleep(time.Second)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.t.Errorf("seed %d: %v; the last that was said:\n%s", seed, err, strings.Join(w.said[max(0, len(w.said)-40):], "\n"))
	for _, h := range w.hosts {
		state, _ := os.ReadFile(filepath.Join(h.dir, "data/membership.json")) // missing is news as well
		w.t.Logf("%s: running %d, cut %v, group %p, state %s", h.name, h.running, h.cut, h.group, state)
	}
}

// TestFormation: random restarts, partitions and lost disks (one at a time, and the next only when it is back) never
// make a second store that decides, and in the end all are in the first. In some a cluster runs already, on so many
// control planes that every majority has one of them.
func TestFormation(t *testing.T) {
	schedules := uint64(150)
	if testing.Short() {
		schedules = 50
	}
	for seed := range schedules {
		synctest.Test(t, func(t *testing.T) {
			size := []int{1, 2, 3, 5}[seed%4]
			w := newWorld(t, size, seed)
			if seed/4%2 == 1 {
				w.cluster(w.rng.Perm(size)[:(size+1)/2]...)
			}
			for _, h := range w.hosts {
				h.boot()
				time.Sleep(time.Duration(w.intN(5000)) * time.Millisecond)
			}
			for range 10 {
				w.disturb()
			}
			w.heal()
			w.mustSettle(seed)
			for range 4 {
				h := w.hosts[w.intN(size)]
				if size > 1 {
					h.stop()
					h.wipe(w.intN(2) == 0)
					h.boot()
				}
				w.disturb()
				w.heal()
				w.mustSettle(seed)
			}
			if n := w.check(); n != 1 {
				t.Errorf("seed %d: %d stores decide", seed, n)
			}
			for _, h := range w.hosts {
				h.stop()
			}
		})
		if t.Failed() {
			return
		}
	}
}

// TestGrownFormation: random schedules as TestFormation's, of control planes whose documents name only those that were
// there at first, and of more that were added one after the other. What the first ones keep beside the store's folder
// survives when they lose that.
func TestGrownFormation(t *testing.T) {
	schedules := uint64(60)
	if testing.Short() {
		schedules = 20
	}
	for seed := range schedules {
		synctest.Test(t, func(t *testing.T) {
			first := []int{1, 2, 1, 3}[seed%4]
			w := newWorld(t, first, seed)
			for _, h := range w.hosts {
				h.names = first
				h.boot()
			}
			w.mustSettle(seed)
			for size := first + 1; size <= 3+int(seed%2); size++ {
				w.grow()
				for range 3 {
					w.disturb()
				}
				w.heal()
				w.mustSettle(seed)
			}
			for range 4 {
				h := w.hosts[w.intN(len(w.hosts))]
				h.stop()
				h.wipe(false)
				h.boot()
				w.disturb()
				w.heal()
				w.mustSettle(seed)
			}
			if n := w.check(); n != 1 {
				t.Errorf("seed %d: %d stores decide", seed, n)
			}
			for _, h := range w.hosts {
				h.stop()
			}
		})
		if t.Failed() {
			return
		}
	}
}

// grown is a store of as many control planes, with documents that name only the first ones, and one that came after the
// other. prepare is called with each host before it boots.
func grown(t *testing.T, first, size int, prepare func(h *host)) *world {
	w := newWorld(t, first, 2) // a seed by which no admission is cut in two
	for _, h := range w.hosts {
		h.names = first
		prepare(h)
		h.boot()
	}
	w.mustSettle(2)
	for range size - first {
		h := w.add()
		h.names = len(w.hosts)
		prepare(h)
		h.boot()
		w.mustSettle(2)
	}
	return w
}

// knows is what a running host says that it knows.
func (h *host) knows(name string) bool {
	m, err := peer{h, h}.Membership(context.Background())
	if err != nil {
		h.w.t.Error(err)
	}
	return m.Known[name] != ""
}

func (w *world) revoke(by int, name string) {
	operator := rendezvous.Identity{Cluster: "c", Role: credential.Operator, Name: "operator"}
	if err := w.hosts[by].serving().RevokeNode(context.Background(), operator, name); err != nil {
		w.t.Error(err)
	}
	w.refuse(name)
}

// refuse lets all hosts know who is revoked.
func (w *world) refuse(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, h := range w.hosts {
		h.revoked = map[string]bool{name: true}
	}
}

// TestGrown: what control planes must not believe of a cluster that has more of them than their documents name.
func TestGrown(t *testing.T) {
	for _, c := range []struct {
		name        string
		first, size int
		run         func(w *world)
	}{
		{"the other one reboots", 1, 2, func(w *world) {
			w.hosts[1].stop()
			time.Sleep(time.Minute) // the first one does not go on alone, which its engine would notice
			w.hosts[1].boot()
		}},
		{"of two members that one knows by name, one lost its disk", 2, 3, func(w *world) {
			w.cut(0, true)
			time.Sleep(time.Minute)
			w.hosts[1].stop()
			w.hosts[2].stop()
			w.hosts[1].wipe(true)
			w.cut(0, false)
			w.hosts[1].boot()
			time.Sleep(time.Minute) // the same
			w.hosts[2].boot()
		}},
		{"the founder loses its store", 1, 3, func(w *world) {
			w.hosts[0].stop()
			w.hosts[0].wipe(false)
			w.hosts[0].boot()
		}},
		{"the founder loses its store while nobody answers", 1, 3, func(w *world) {
			for _, h := range w.hosts {
				h.stop()
			}
			w.hosts[0].wipe(false)
			w.hosts[0].boot()
			time.Sleep(time.Minute)
			w.hosts[1].boot()
			w.hosts[2].boot()
		}},
		{"a third one is revoked, and nobody waits for it", 1, 3, func(w *world) {
			w.revoke(0, "cp2")
			time.Sleep(5 * time.Second)
			w.remove(2)
			w.hosts[1].stop()
			w.hosts[1].wipe(true)
			w.hosts[1].names = 2
			w.hosts[1].boot()
		}},
		{"a third one is revoked while the first is off", 1, 3, func(w *world) {
			w.hosts[0].stop()
			w.revoke(1, "cp2")
			w.remove(2)
			w.hosts[0].boot()
			time.Sleep(5 * time.Second)
			if w.hosts[0].knows("cp2") {
				w.t.Error("the one that was off waits for the one that is no more")
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := grown(t, c.first, c.size, func(*host) {})
				c.run(w)
				w.mustSettle(2)
				if n := w.check(); n != 1 {
					t.Errorf("%d stores decide", n)
				}
				for _, h := range w.hosts {
					h.stop()
				}
			})
		})
	}
}

// remove takes the last host away for good.
func (w *world) remove(host int) {
	w.hosts[host].stop()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hosts[host].group = nil
	w.hosts = w.hosts[:host]
}

// A third member is added when both others know of it.
func TestBothKnowTheThirdMember(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		added := 0
		w := grown(t, 2, 3, func(h *host) {
			h.faulty = func(e engine) formation.Engine {
				return adding{e, func(_ context.Context, address string) error {
					for _, o := range h.w.all()[:2] {
						if address == "cp2" && !o.knows("cp2") {
							t.Errorf("%s adds cp2, of which %s does not know", h.name, o.name)
						}
					}
					added++
					return nil
				}}
			}
		})
		if added < 2 {
			t.Errorf("%d members were added", added)
		}
		for _, h := range w.hosts {
			h.stop()
		}
	})
}

// disturb restarts or cuts off a host for a while. The cluster's API stops, or is back, as often.
func (w *world) disturb() {
	if w.k != nil {
		w.k.Fail([]error{nil, errDisk}[w.intN(2)])
	}
	h := w.hosts[w.intN(len(w.hosts))]
	long := time.Duration(w.intN(20_000)) * time.Millisecond
	if w.intN(2) == 0 {
		h.stop()
		time.Sleep(long)
		h.boot()
		return
	}
	w.cut(slices.Index(w.hosts, h), !h.cut)
	time.Sleep(long)
}

func (w *world) cut(host int, off bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hosts[host].cut = off
}

func (w *world) heal() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, h := range w.hosts {
		h.cut = false
	}
	if w.k != nil {
		w.k.Fail(nil)
	}
}

// The founder of two that loses its disk while nothing was served begins anew together with the other; nobody waits for
// ever.
func TestFounderLostBeforeAnythingWasServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 3, 1)
		w.hosts[0].boot()
		w.hosts[1].boot()
		time.Sleep(1500 * time.Millisecond)
		w.hosts[0].stop()
		w.hosts[0].wipe(true)
		w.hosts[0].boot()
		w.hosts[2].boot()
		w.mustSettle(1)
		for _, h := range w.hosts {
			h.stop()
		}
	})
}

// TestTwoStoresAreSaid is the one way known to a second store (DESIGN.md): the founder's disk is lost while the only
// other member is off, and a third control plane that never came answers. The member that comes back keeps what it has
// and says so.
func TestTwoStoresAreSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 3, 2) // a seed by which no admission is cut in two
		w.hosts[0].boot()
		w.hosts[1].boot()
		time.Sleep(time.Minute)
		if n := w.check(); n != 1 {
			t.Errorf("%d stores decide after two of three have come", n)
		}
		w.hosts[1].stop()
		w.hosts[0].stop()
		w.hosts[0].wipe(true)
		w.hosts[0].boot()
		w.hosts[2].boot()
		time.Sleep(time.Minute)
		if n := w.check(); n != 2 {
			t.Errorf("%d stores decide: DESIGN.md and docs/security.md say two", n)
		}
		w.hosts[1].boot()
		time.Sleep(time.Minute)
		said := w.allSaid()
		if !strings.Contains(said, "cp1: there are two clusters") || !strings.Contains(said, "cp0 holds another one") {
			t.Errorf("it was not said:\n%s", said)
		}
		if w.hosts[1].holds() == w.hosts[0].holds() {
			t.Error("the member that came back gave its store up")
		}
		for _, h := range w.hosts {
			h.stop()
		}
	})
}

// A founder that lost its disk founds again, and the member that was off comes back before anybody confirmed that
// store: it gives way to the first one, which nobody has to choose.
func TestUnconfirmedStoreGivesWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 3, 2)
		w.hosts[0].boot()
		w.hosts[1].boot()
		time.Sleep(time.Minute)
		first := w.hosts[1].holds()
		w.hosts[1].stop()
		w.hosts[0].stop()
		w.hosts[0].wipe(true)
		w.hosts[2].boot()
		w.hosts[0].boot()
		for w.stores() < 2 {
			time.Sleep(100 * time.Millisecond)
		}
		w.hosts[2].stop() // before it has joined
		w.hosts[1].boot()
		time.Sleep(time.Minute)
		w.hosts[2].boot()
		w.mustSettle(2)
		if n := w.check(); n != 1 || w.hosts[0].holds() != first {
			t.Errorf("%d stores decide, and the first one stands: %v", n, w.hosts[0].holds() == first)
		}
		for _, h := range w.hosts {
			h.stop()
		}
	})
}

// settleOnce: nothing decides while the cluster's API does not answer, and then one store does, with all in it.
func (w *world) settleOnce() {
	w.t.Helper()
	time.Sleep(time.Minute)
	if n := w.check(); n != 0 {
		w.t.Errorf("%d stores decide before any could know of the running cluster", n)
	}
	w.heal()
	w.mustSettle(2)
	if n := w.check(); n != 1 {
		w.t.Errorf("%d stores decide", n)
	}
	for _, h := range w.hosts {
		h.stop()
	}
}

// closed is an engine that admits nobody until it is opened.
type closed struct {
	engine
	open *atomic.Bool
}

func (c closed) Add(ctx context.Context, id uint64, address string) error {
	if !c.open.Load() {
		return errNoQuorum
	}
	return c.engine.Add(ctx, id, address)
}

// founding starts cp0 and cp2, until cp0 has founded a store and cp2, which it does not admit, waits for that.
func (w *world) founding() (open *atomic.Bool) {
	open = &atomic.Bool{}
	w.hosts[0].faulty = func(e engine) formation.Engine { return closed{e, open} }
	w.hosts[2].boot()
	w.hosts[0].boot()
	time.Sleep(5 * time.Second)
	w.hosts[2].stop()
	return open
}

// TestClusterRuns is how a store is made again while its cluster runs, whose API does not answer at first: no store
// decides before it knows of the init, or a second one would be granted.
func TestClusterRuns(t *testing.T) {
	for _, c := range []struct {
		name string
		in   int // the control plane that is in the cluster
		run  func(w *world)
	}{
		{"on the founder", 0, func(w *world) {
			for _, h := range w.hosts {
				h.boot()
			}
		}},
		{"on the founder, which loses the store before anybody confirmed it", 0, func(w *world) {
			for _, h := range w.hosts {
				h.boot()
			}
			time.Sleep(5 * time.Second)
			w.hosts[0].stop()
			w.hosts[0].wipe(false)
			w.hosts[0].boot()
		}},
		{"on a member that joins", 1, func(w *world) {
			open := w.founding()
			w.hosts[1].boot()
			w.hosts[2].boot()
			open.Store(true)
		}},
		{"on one that founds another store", 1, func(w *world) {
			open := w.founding()
			w.cut(0, true)
			w.hosts[2].boot()
			w.hosts[1].boot()
			time.Sleep(5 * time.Second)
			if n := w.stores(); n != 2 {
				w.t.Errorf("%d stores are founded, want 2", n)
			}
			w.cut(0, false)
			open.Store(true)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 3, 2)
				w.cluster(c.in)
				w.k.Fail(errDisk)
				c.run(w)
				w.settleOnce()
			})
		})
	}
}

// withoutRecord is the engine of a founder that always dies before the founding record: it notes no address before that
// one.
type withoutRecord struct{ engine }

func (w withoutRecord) Start(id uint64, uid string, peers []string) (rendezvous.Store, error) {
	store, err := w.engine.Start(id, uid, peers)
	return recordless{store}, err
}

type recordless struct{ rendezvous.Store }

func (r recordless) Put(ctx context.Context, key string, value []byte, version int64) (int64, error) {
	record, err := r.Get(ctx, "cluster")
	if key == "cluster" || key == "member/cp0" && record.Version == 0 {
		return 0, errors.Join(rendezvous.ErrStore, err)
	}
	return r.Store.Put(ctx, key, value, version)
}

// Another control plane, which is not in the cluster, writes the founding record of a store that the founder made
// again. The founder finds it and notes its own address.
func TestFounderDiesBeforeTheRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 3, 2)
		w.cluster(0)
		w.hosts[0].faulty = func(e engine) formation.Engine { return withoutRecord{e} }
		for _, h := range w.hosts {
			h.boot()
		}
		w.mustSettle(2)
		if n := w.check(); n != 1 {
			t.Errorf("%d stores decide", n)
		}
		for _, h := range w.hosts {
			h.stop()
		}
	})
}

// A founder marks that it founded before it promises, also when another member asks it to, or wrote the record without
// it.
func TestFounderIsMarked(t *testing.T) {
	for name, promise := range map[string]func(w *world, uid string) error{
		"another member asks it": func(w *world, uid string) error { return peer{w.hosts[0], w.hosts[0]}.Confirm(t.Context(), uid) },
		"another member wrote the record": func(w *world, uid string) error {
			_, err := w.groups[0].store.Put(t.Context(), "cluster", fmt.Appendf(nil, `{"uid":%q,"founder":"cp1"}`, uid), 0)
			time.Sleep(2 * time.Second)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 5, 2)
				w.hosts[1].boot()
				w.hosts[2].boot()
				time.Sleep(500 * time.Millisecond)
				w.hosts[0].boot()
				time.Sleep(100 * time.Millisecond)
				w.cut(0, true) // it has founded, and the others have not asked it since
				founder := peer{w.hosts[0], w.hosts[0]}
				m, err := founder.Membership(t.Context())
				if err != nil || m.Confirmed {
					t.Errorf("%+v, %v: want a store that nobody confirmed", m, err)
				}
				if err := promise(w, m.UID); err != nil {
					t.Error(err)
				}
				m, err = founder.Membership(t.Context())
				if _, missing := os.Stat(filepath.Join(w.hosts[0].dir, "founded")); err != nil || !m.Confirmed || missing != nil {
					t.Errorf("%+v, %v, %v: want a promise and its mark", m, err, missing)
				}
				for _, h := range w.hosts[:3] {
					h.stop()
				}
			})
		})
	}
}

// adding lets something happen before a member is added.
type adding struct {
	engine
	before func(ctx context.Context, address string) error
}

func (a adding) Add(ctx context.Context, id uint64, address string) error {
	if err := a.before(ctx, address); err != nil {
		return err
	}
	return a.engine.Add(ctx, id, address)
}

// A control plane that is revoked while it is being admitted is no member in the end, whichever of the two was first.
func TestRevokedWhileAdmitted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 3, 2)
		revoked := false
		w.hosts[0].faulty = func(e engine) formation.Engine {
			return adding{e, func(_ context.Context, address string) error {
				if address == "cp2" {
					revoked = true
					w.revoke(1, "cp2")
				}
				return nil
			}}
		}
		w.hosts[1].boot()
		w.hosts[0].boot()
		time.Sleep(time.Minute)
		w.hosts[2].boot()
		time.Sleep(time.Minute)
		members, err := engine{w.hosts[0]}.Members(t.Context())
		if err != nil || len(members) != 2 || !revoked {
			t.Errorf("members %v, %v, revoked %v: want two and a revoked one", members, err, revoked)
		}
		for _, h := range w.hosts {
			h.stop()
		}
	})
}

// A leader that says nothing any more holds no change of the membership up for ever.
func TestSilentLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 3, 2)
		silent := true
		w.hosts[0].faulty = func(e engine) formation.Engine {
			return adding{e, func(ctx context.Context, address string) error {
				if address == "cp2" && silent {
					silent = false
					deadline, ok := ctx.Deadline()
					if !ok {
						t.Error("no deadline: the driver waits for ever")
					}
					time.Sleep(time.Until(deadline))
				}
				return nil
			}}
		}
		w.hosts[0].boot()
		w.hosts[1].boot()
		time.Sleep(time.Minute)
		w.hosts[2].boot() // alone: who waits for a mutex stops the time of synctest
		w.mustSettle(2)
		if silent {
			t.Error("cp2 was not added by cp0")
		}
		for _, h := range w.hosts {
			h.stop()
		}
	})
}

// brokenOnce fails the first time that the member has to be recovered, or its files set aside.
type brokenOnce struct {
	engine
	failed *bool
}

func (b brokenOnce) fail() error {
	if *b.failed {
		return nil
	}
	*b.failed = true
	return errDisk
}

func (b brokenOnce) Recover(id uint64) error {
	if err := b.fail(); err != nil {
		return err
	}
	return b.engine.Recover(id)
}

func (b brokenOnce) SetAside() error {
	if err := b.fail(); err != nil {
		return err
	}
	return b.engine.SetAside()
}

// A disk that fails while the member is stopped ends the process, which systemd starts again: it must not go on for
// ever without its member.
func TestDiskFailsWhileTheMemberIsStopped(t *testing.T) {
	for _, c := range []struct {
		name  string
		after time.Duration // when the founder's disk is lost
	}{
		{"the store is given up", 700 * time.Millisecond}, // the other has joined, and not been asked to confirm it
		{"the survivor goes on alone", time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 3, 2)
				failed := false
				w.hosts[1].faulty = func(e engine) formation.Engine { return brokenOnce{e, &failed} }
				w.hosts[1].boot()
				time.Sleep(500 * time.Millisecond)
				w.hosts[0].boot()
				time.Sleep(c.after)
				w.hosts[0].stop()
				w.hosts[0].wipe(true)
				w.hosts[0].boot()
				w.hosts[2].boot()
				w.mustSettle(2)
				if !failed {
					t.Error("no disk failed")
				}
				for _, h := range w.hosts {
					h.stop()
				}
			})
		})
	}
}

// empty loses all that the store of a host has, but not the store.
func (h *host) empty() {
	h.w.mu.Lock()
	defer h.w.mu.Unlock()
	h.group.store = rendezvous.NewMemoryStore()
}

// uncommit loses the end of what the store of a host has: from the commit of the init on.
func (h *host) uncommit() {
	store := h.holds().store
	record, err := store.Get(context.Background(), "lease/init")
	if err == nil {
		_, err = store.Put(context.Background(), "lease/init", []byte(`{"epoch":1,"holder":"cp0"}`), record.Version)
	}
	if err != nil {
		h.w.t.Error(err)
	}
	h.w.mu.Lock()
	defer h.w.mu.Unlock()
	h.w.groups = nil // check would take it for one that decides
}

// damage leaves of the store of a host that it once was its only member.
func (h *host) damage() {
	h.w.mu.Lock()
	defer h.w.mu.Unlock()
	h.group = &group{store: rendezvous.NewMemoryStore(), members: map[uint64]string{h.id: h.name}}
	h.w.groups = append(h.w.groups, h.group)
}

// A founder with a damaged disk takes itself for the only member. The others have everything, so it gives its store up
// and is a member of theirs again, whether a cluster runs or not.
func TestDamagedFounder(t *testing.T) {
	for _, size := range []int{2, 3} {
		for _, runs := range []bool{false, true} {
			t.Run(fmt.Sprint(size, " control planes, in the cluster: ", runs), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t, size, 2)
					if runs {
						w.cluster(0)
					}
					for _, h := range w.hosts {
						h.boot()
					}
					w.mustSettle(2)
					first := w.hosts[0].holds()
					w.hosts[0].stop()
					w.hosts[0].damage()
					w.hosts[0].boot()
					time.Sleep(time.Minute)
					w.mustSettle(2)
					if w.hosts[0].holds() != first || w.check() != 1 {
						t.Errorf("another store decides; said:\n%s", w.allSaid())
					}
					for _, h := range w.hosts {
						h.stop()
					}
				})
			})
		}
	}
}

// A store that has lost data is made again by its only member, from the cluster that runs. Else it is kept, nothing is
// decided in it, and people are told.
func TestEmptiedStore(t *testing.T) {
	for _, c := range []struct {
		name    string
		size    int
		runs    bool
		madeNew bool
		lose    func(h *host)
	}{
		{"alone, in the cluster", 1, true, true, (*host).empty}, {"alone, without a cluster", 1, false, false, (*host).empty},
		{"one of three", 3, true, false, (*host).empty}, {"one of three, without a cluster", 3, false, false, (*host).empty},
		{"alone, the init only", 1, true, true, (*host).uncommit}, {"one of three, the init only", 3, true, false, (*host).uncommit},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, c.size, 2)
				if c.runs {
					w.cluster(0)
				}
				for _, h := range w.hosts {
					h.boot()
				}
				w.mustSettle(2)
				time.Sleep(5 * time.Second) // they note the init
				first := w.hosts[0].holds()
				for _, h := range w.hosts {
					h.stop()
				}
				c.lose(w.hosts[0])
				for _, h := range w.hosts {
					h.boot()
				}
				time.Sleep(5 * time.Second)
				worker := rendezvous.Identity{Cluster: "c", Role: credential.Worker, Name: "w1"}
				err := w.hosts[0].serving().Progress(t.Context(), worker, rendezvous.Report{Step: "x"})
				if rendezvous.CodeOf(err) != rendezvous.CodeUnavailable || !strings.Contains(err.Error(), "lost data") {
					t.Errorf("a write is answered with %v", err)
				}
				time.Sleep(time.Minute)
				report, err := w.hosts[0].serving().Status(t.Context())
				if err != nil || (report.Trouble == "") != c.madeNew {
					t.Errorf("the status says %q, %v", report.Trouble, err)
				}
				if said := w.allSaid(); !strings.Contains(said, "has lost data, as with a damaged disk") {
					t.Errorf("it was not said:\n%s", said)
				}
				if now := w.hosts[0].holds(); (now != first) != c.madeNew {
					t.Errorf("the store was given up: %v", now != first)
				}
				if c.madeNew {
					w.mustSettle(2)
					w.check()
				}
				for _, h := range w.hosts {
					h.stop()
				}
				if c.madeNew {
					return
				}
				for _, h := range w.hosts { // as it was said
					h.wipe(false)
					if err := os.RemoveAll(filepath.Join(h.dir, "founded")); err != nil {
						t.Error(err)
					}
				}
				for _, h := range w.hosts {
					h.boot()
				}
				w.mustSettle(2)
				for _, h := range w.hosts {
					h.stop()
				}
			})
		})
	}
}

// stores is how many were ever founded.
func (w *world) stores() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.groups)
}

// inStore says whether the first hosts, and nobody else, are members of one store that decides.
func (w *world) inStore(first int) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, h := range w.hosts[:first] {
		g, err := h.quorum()
		if err != nil {
			return fmt.Errorf("%s: %w", h.name, err)
		}
		if r, err := g.store.Get(context.Background(), "cluster"); err != nil || r.Version == 0 || len(g.members) != first || g != w.hosts[0].group {
			return fmt.Errorf("%s: %v, %v", h.name, g.members, err)
		}
	}
	return nil
}

// A control plane that the documents name is broken for good, and revoked, as docs/operate.md says. Then the others lose
// their stores' folders: nobody waits for the revoked one.
func TestRevokedOfTheDocument(t *testing.T) {
	for _, c := range []struct {
		name string
		size int
		lose []int
		on   bool // the revoked one, with what it has
	}{
		{"one of the two others", 3, []int{1}, false}, {"both others", 3, []int{0, 1}, false}, {"the only other one", 2, []int{0}, false},
		{"one of the two others, and it is on", 3, []int{1}, true}, {"both others, and it is on", 3, []int{0, 1}, true}, {"the only other one, and it is on", 2, []int{0}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, c.size, 2)
				left := c.size - 1
				for i := range left {
					w.cluster(i)
				}
				for _, h := range w.hosts {
					h.boot()
				}
				w.mustSettle(2)
				w.revoke(0, w.hosts[left].name)
				time.Sleep(5 * time.Second)
				if !c.on {
					w.hosts[left].stop()
				}
				for _, i := range c.lose {
					w.hosts[i].stop()
				}
				for _, i := range c.lose {
					w.hosts[i].wipe(false)
					w.hosts[i].boot()
				}
				var err error
				for range 600 {
					if err = w.inStore(left); err == nil {
						break
					}
					time.Sleep(time.Second)
				}
				if err != nil {
					t.Errorf("%v; said:\n%s", err, w.allSaid())
				}
				w.check()
				for _, h := range w.hosts {
					h.stop()
				}
			})
		})
	}
}

// unremoving is an engine by which nobody is removed.
type unremoving struct{ engine }

func (unremoving) Remove(context.Context, string) error { return errNoQuorum }

// Of two, one is revoked, and gone before it was removed. The other goes on with what it has, which is all, also when its
// document does not name the revoked one.
func TestRevokedBeforeItWasRemoved(t *testing.T) {
	for _, first := range []int{1, 2} {
		t.Run(fmt.Sprint(first, " in the document"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := grown(t, first, 2, func(h *host) { h.faulty = func(e engine) formation.Engine { return unremoving{e} } })
				store := w.hosts[0].holds()
				operator := rendezvous.Identity{Cluster: "c", Role: credential.Operator, Name: "operator"}
				if err := w.hosts[0].serving().RevokeNode(t.Context(), operator, "cp1"); err == nil {
					t.Error("it was removed")
				}
				time.Sleep(5 * time.Second)
				w.refuse("cp1")
				w.remove(1)
				w.mustSettle(2)
				if w.hosts[0].holds() != store {
					t.Error("the store was given up")
				}
				w.hosts[0].stop()
			})
		})
	}
}

// A machine that was revoked under one name and came back under another is not removed when the first name is revoked
// once more, or at every start of the service.
func TestRevokedNameOfAMachine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 2, 2)
		for _, h := range w.hosts {
			h.boot()
		}
		w.mustSettle(2)
		for _, name := range []string{"before", "cp1"} {
			if err := w.hosts[0].serving().NoteMember(t.Context(), name, "cp1"); err != nil {
				t.Error(err)
			}
		}
		w.revoke(0, "before")
		members, err := engine{w.hosts[0]}.Members(t.Context())
		if err != nil || len(members) != 2 {
			t.Errorf("members %v, %v", members, err)
		}
		for _, h := range w.hosts {
			h.stop()
		}
	})
}

// Who is being admitted is on the list of members all the time, whatever the leader says meanwhile.
func TestAdmittedIsWrittenDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 3, 2)
		looked := false
		w.hosts[0].faulty = func(e engine) formation.Engine {
			return adding{e, func(_ context.Context, address string) error {
				if address != "cp2" {
					return nil
				}
				looked = true
				time.Sleep(5 * time.Second)
				state, err := os.ReadFile(filepath.Join(e.h.dir, "data/membership.json"))
				if err != nil || !strings.Contains(string(state), `"address":"cp2"`) {
					t.Errorf("while cp2 is added, cp0 knows of %s, %v", state, err)
				}
				return nil
			}}
		}
		w.hosts[0].boot()
		w.hosts[1].boot()
		time.Sleep(time.Minute)
		w.hosts[2].boot()
		w.mustSettle(2)
		if !looked {
			t.Error("cp2 was not added by cp0")
		}
		for _, h := range w.hosts {
			h.stop()
		}
	})
}

// The founder loses its disk before it has admitted the second one, which began to join that store, and the third one
// never came: only that one can say that it has not the store, and is named.
func TestJoinerOfALostStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 3, 2)
		open := &atomic.Bool{}
		w.hosts[0].faulty = func(e engine) formation.Engine { return closed{e, open} }
		w.hosts[1].boot()
		w.hosts[0].boot()
		time.Sleep(5 * time.Second)
		w.hosts[0].stop()
		w.hosts[0].wipe(true)
		open.Store(true)
		w.hosts[0].boot()
		time.Sleep(time.Minute)
		if said := w.allSaid(); !strings.Contains(said, "cp1: the store of the control planes waits for cp2: ") {
			t.Errorf("it was not said:\n%s", said)
		}
		w.hosts[2].boot()
		w.mustSettle(2)
		for _, h := range w.hosts {
			h.stop()
		}
	})
}
