package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"muster/internal/rendezvous"
	"muster/internal/rendezvous/agent"
	"muster/internal/rendezvous/config"
	"muster/internal/rendezvous/durable"
	"muster/internal/rendezvous/formation"
	"muster/internal/rendezvous/kubernetes"
	"muster/internal/rendezvous/server"
)

const (
	// revocationsEvery is how often the list of revoked control planes is read. Decisions look in the store itself.
	revocationsEvery = 3 * time.Second
	// removalPatience is for how long a revoked control plane may hold up that it is removed from the store's members.
	removalPatience = 10 * time.Second
)

// node is the service of one control plane, put together.
type node struct {
	cfg       config.Config
	log       *slog.Logger
	engine    engine
	service   *rendezvous.Service
	formation *formation.Formation
	server    *server.Server
	revoked   revocations
	removals  removals
}

// serve runs until ctx ends, or until the member of the store has to begin anew: then systemd starts the service again.
func serve(ctx context.Context, cfg config.Config, clock clock, stderr io.Writer) error {
	n, err := assemble(cfg, clock, stderr)
	if err != nil {
		return err
	}
	// On every interface: the loopback one is for /healthz and /metrics.
	listener, err := net.Listen("tcp", net.JoinHostPort("", strconv.Itoa(cfg.Port)))
	if err != nil {
		return fmt.Errorf("the rendezvous' port: %w", err)
	}
	return n.run(ctx, listener)
}

// assemble puts the parts of a control plane's rendezvous together; nothing of it runs yet.
func assemble(cfg config.Config, clock clock, stderr io.Writer) (*node, error) {
	creds, err := load(cfg)
	if err != nil {
		return nil, err
	}
	n := &node{cfg: cfg, log: slog.New(slog.NewTextHandler(stderr, nil))}
	machine := newMachine(cfg, nil, stderr)
	// Before anything listens: the list in the store can be read only when its members have found each other.
	if err := n.revoked.load(cfg.DataDir + ".revoked"); err != nil {
		return nil, err
	}
	if n.engine, err = newEngine(cfg, creds, n.revoked.has, n.log); err != nil {
		return nil, err
	}
	var planes []formation.ControlPlane
	var order rendezvous.ControlPlanes
	for _, p := range cfg.ControlPlanes {
		order = append(order, p.Name)
		planes = append(planes, formation.ControlPlane{Name: p.Name, Address: cfg.Raft(p)})
	}
	reach := func(p formation.ControlPlane) (formation.Peer, error) {
		host, _, err := net.SplitHostPort(p.Address)
		if err != nil {
			return nil, err
		}
		return creds.peer(cfg, config.ControlPlane{Name: p.Name, Address: host}) // its ports are those of the cluster
	}
	store := &formation.LateStore{}
	n.service = &rendezvous.Service{
		Name: cfg.Cluster, ControlPlanes: order, Store: store, Log: n.log, TokenTTL: cfg.TTL(), Now: clock.now,
		Cluster: &kubernetes.Cluster{AdminConf: cfg.AdminConf, PKI: cfg.PKI, Etcd: cfg.Etcd, Joined: machine.joined},
	}
	n.formation, err = formation.New(formation.Config{
		Self: cfg.Node, Address: cfg.Raft(cfg.Self()), ControlPlanes: planes, Reach: reach,
		Dir: cfg.DataDir, Founded: cfg.DataDir + ".founded", Known: cfg.DataDir + ".known", Revoked: n.revoked.has, RevokedFile: cfg.DataDir + ".revoked",
		Engine: n.engine, Service: n.service, Store: store, InCluster: machine.inCluster, Log: n.log, Say: machine.Say,
	})
	if err != nil {
		return nil, err
	}
	n.service.Members = n.formation
	n.server = server.New(server.Config{
		Cluster: cfg.Cluster, Service: n.service, Formation: n.formation, Revoked: n.revoked.has, Certificate: creds.pair, CA: creds.ca, Log: n.log,
	})
	return n, nil
}

// run starts all parts and stops them in order: first no more requests, then the store.
func (n *node) run(ctx context.Context, listener net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	storeCtx, stopStore := context.WithCancel(context.WithoutCancel(ctx))
	defer stopStore()
	var requests, store sync.WaitGroup
	var served, formed error
	requests.Go(func() {
		defer cancel()
		served = n.server.Serve(ctx, listener)
	})
	requests.Go(func() { n.service.Watch(ctx) })
	requests.Go(func() { n.watchRevocations(ctx) })
	requests.Go(func() { n.removeRevoked(ctx) })
	store.Go(func() {
		defer cancel()
		formed = n.formation.Run(storeCtx)
	})
	requests.Wait()
	stopStore()
	store.Wait()
	return errors.Join(served, formed)
}

// revocations are the nodes whose credential was taken back, as of a moment ago. A file has them for the next start of
// the service: a member that begins with nobody refused would let a revoked control plane in, which could write into the
// store that it is not revoked.
type revocations struct {
	file string

	mu      sync.Mutex
	names   []string // sorted
	written bool     // names are what the file has
}

func (r *revocations) load(file string) error {
	r.file = file
	err := durable.ReadJSON(file, &r.names)
	slices.Sort(r.names)
	return err
}

func (r *revocations) has(name string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, revoked := slices.BinarySearch(r.names, name)
	return revoked
}

// set takes the list over. A file that cannot be written is an error, and tried again with the next list: until then
// nobody is taken off the list, because after a restart this member would refuse one that the others let vote.
func (r *revocations) set(names []string) error {
	slices.Sort(names)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.written && slices.Equal(names, r.names) {
		return nil
	}
	err := durable.WriteJSON(r.file, names)
	if err != nil {
		names = slices.Concat(names, r.names)
		slices.Sort(names)
		names = slices.Compact(names)
	}
	r.names, r.written = names, err == nil
	return err
}

// removals are the revoked nodes by what is known of their members. A member is refused after it was removed, because of
// two it has to agree, or when it held that up.
type removals struct {
	mu      sync.Mutex
	since   map[string]time.Time // when a node was seen first among the revoked ones
	removed map[string]bool      // it is no member
}

// see takes over who is revoked now.
func (r *removals) see(names []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	since, removed := map[string]time.Time{}, map[string]bool{}
	for _, name := range names {
		since[name], removed[name] = r.since[name], r.removed[name]
		if since[name].IsZero() {
			since[name] = time.Now()
		}
	}
	r.since, r.removed = since, removed
}

// due says whether a revoked node is to be refused.
func (r *removals) due(name string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.removed[name] || time.Since(r.since[name]) >= removalPatience
}

// open are the nodes whose member has to be removed, but for those of this moment: whoever revokes a node does that
// himself.
func (r *removals) open() (names []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for name, since := range r.since {
		if !r.removed[name] && time.Since(since) >= revocationsEvery {
			names = append(names, name)
		}
	}
	return names
}

func (r *removals) end(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, revoked := r.since[name]; revoked {
		r.removed[name] = true
	}
}

// removeRevoked removes from the store's members whoever was revoked by a call that did not come that far.
func (n *node) removeRevoked(ctx context.Context) {
	for {
		for _, name := range n.removals.open() {
			if n.formation.CanRemove(name) != nil {
				continue
			}
			if err := n.formation.Remove(ctx, name); err != nil {
				n.log.Info("a revoked control plane was not removed from the store's members", "node", name, "why", err)
				continue
			}
			n.removals.end(name)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(revocationsEvery):
		}
	}
}

// watchRevocations follows the list in the store. One that is being made again, has lost data, or has no leader has no
// list: what was known before counts, and who had to be removed, which may be why there is no leader, is refused then.
func (n *node) watchRevocations(ctx context.Context) {
	var names []string
	read := false
	for {
		err := n.service.Whole(ctx)
		var list []string
		if err == nil {
			list, err = n.service.RevokedNodes(ctx)
		}
		if err == nil {
			names, read = list, true
			n.removals.see(names)
		}
		if read {
			n.refuse(names)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(revocationsEvery):
		}
	}
}

// refuse refuses those of the revoked nodes that are no members, or had the time to be removed.
func (n *node) refuse(names []string) {
	due := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !n.revoked.has(name) && !n.removals.due(name) })
	if err := n.revoked.set(due); err != nil {
		n.log.Warn("the revoked nodes are not written down: after a restart they are let in for a moment", "error", err)
	}
	n.engine.DropRefused()
}

// engine is formation's, with what the service itself asks.
type engine interface {
	formation.Engine
	DropRefused()
}

var _ agent.Machine = (*machine)(nil)
