//go:build libsqlite3

package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync"

	"muster/internal/rendezvous"
	"muster/internal/rendezvous/config"
	"muster/internal/rendezvous/dqlite"
	"muster/internal/rendezvous/formation"
)

// dqliteEngine is formation.Engine on package dqlite.
type dqliteEngine struct {
	cfg  dqlite.Config
	mu   sync.Mutex
	node *dqlite.Node
}

func newEngine(cfg config.Config, creds credentials, refuse func(string) bool, log *slog.Logger) (engine, error) {
	e := &dqliteEngine{cfg: dqlite.Config{
		Dir: filepath.Join(cfg.DataDir, "store"), Address: cfg.Raft(cfg.Self()), Cluster: cfg.Cluster, Certificate: creds.pair, CA: creds.ca, Refuse: refuse, Log: log,
	}}
	return e, nil
}

// FounderID is formation.Engine's.
func (e *dqliteEngine) FounderID() uint64 { return dqlite.FounderID }

// NewID is formation.Engine's.
func (e *dqliteEngine) NewID() (uint64, error) { return dqlite.NewID() }

// Exists is formation.Engine's.
func (e *dqliteEngine) Exists() (bool, error) { return dqlite.Exists(e.cfg.Dir) }

// Start is formation.Engine's.
func (e *dqliteEngine) Start(id uint64, uid string, peers []string) (rendezvous.Store, error) {
	cfg := e.cfg
	cfg.ID, cfg.UID, cfg.Peers = id, uid, peers
	n, err := dqlite.Start(cfg)
	if err != nil {
		return nil, err
	}
	e.mu.Lock()
	e.node = n
	e.mu.Unlock()
	return n.Store(), nil
}

// running is the member, or an error of the kind that asking again helps against.
func (e *dqliteEngine) running() (*dqlite.Node, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.node == nil {
		return nil, errors.New("the store does not run here yet")
	}
	return e.node, nil
}

// Close is formation.Engine's.
func (e *dqliteEngine) Close(ctx context.Context) error {
	n, err := e.running()
	if err != nil {
		return err
	}
	e.mu.Lock()
	e.node = nil
	e.mu.Unlock()
	return n.Close(ctx)
}

// Members is formation.Engine's.
func (e *dqliteEngine) Members(ctx context.Context) ([]formation.Member, error) {
	n, err := e.running()
	if err != nil {
		return nil, err
	}
	members, err := n.Members(ctx)
	var list []formation.Member
	for _, m := range members {
		list = append(list, formation.Member{ID: m.ID, Address: m.Address})
	}
	return list, err
}

// Add is formation.Engine's.
func (e *dqliteEngine) Add(ctx context.Context, id uint64, address string) error {
	n, err := e.running()
	if err != nil {
		return err
	}
	return n.Add(ctx, id, address)
}

// Remove is formation.Engine's.
func (e *dqliteEngine) Remove(ctx context.Context, address string) error {
	n, err := e.running()
	if err != nil {
		return err
	}
	return n.Remove(ctx, address)
}

// Recover is formation.Engine's.
func (e *dqliteEngine) Recover(id uint64) error { return dqlite.Recover(e.cfg.Dir, id, e.cfg.Address) }

// SetAside keeps the last store that was given up, for whoever wants to know why.
func (e *dqliteEngine) SetAside() error {
	aside := e.cfg.Dir + ".given-up"
	if err := os.RemoveAll(aside); err != nil {
		return err
	}
	err := os.Rename(e.cfg.Dir, aside)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// DropRefused cuts the connections of members whose credential was taken back.
func (e *dqliteEngine) DropRefused() {
	if n, err := e.running(); err == nil {
		n.DropRefused()
	}
}
