package main

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"muster/internal/rendezvous"
	"muster/internal/rendezvous/formation"
	"muster/internal/secrets/credential"
)

// The revoked nodes are known again after a restart, and none that was reopened.
func TestRevocations(t *testing.T) {
	file := filepath.Join(t.TempDir(), "data.revoked")
	load := func() *revocations {
		r := &revocations{}
		if err := r.load(file); err != nil {
			t.Fatal(err)
		}
		return r
	}
	if load().has("cp1") {
		t.Error("without a file, cp1 is revoked")
	}
	for _, names := range [][]string{{"w2", "cp1"}, {"cp1"}, {}} {
		if err := load().set(names); err != nil {
			t.Fatal(err)
		}
		r := load()
		if r.has("w2") != (len(names) == 2) || r.has("cp1") != (len(names) > 0) || r.has("cp2") {
			t.Errorf("of %v there is %v", names, r.names)
		}
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file is %v, %v", info, err)
	}
}

// A list that cannot be written is enforced, and written when it can be. One that cannot be read lets nobody start.
func TestRevocationsOnABadDisk(t *testing.T) {
	file := filepath.Join(t.TempDir(), "data.revoked")
	r := &revocations{}
	if err := r.load(file); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(file, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := r.set([]string{"cp1"}); err == nil || !r.has("cp1") {
		t.Errorf("%v, and cp1 is revoked: %v", err, r.has("cp1"))
	}
	if err := (&revocations{}).load(file); err == nil {
		t.Error("a folder was read")
	}
	// Another plane may let cp1 vote only when this one will know it after a restart.
	for range 2 {
		if err := r.set(nil); err == nil || !slices.Equal(r.names, []string{"cp1"}) {
			t.Errorf("%v, and revoked are %v", err, r.names)
		}
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := r.set([]string{"cp1"}); err != nil {
		t.Error(err)
	}
	after := &revocations{}
	if err := after.load(file); err != nil || !after.has("cp1") {
		t.Errorf("%v, and cp1 is revoked: %v", err, after.has("cp1"))
	}
}

// A revoked control plane is refused when it was removed from the members, or has held that up; and it is removed by
// whoever revoked it, if he can.
func TestRemovals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r removals
		r.see([]string{"cp1", "cp2"})
		if r.due("cp1") || len(r.open()) != 0 {
			t.Errorf("at once cp1 is refused: %v, and %v removed", r.due("cp1"), r.open())
		}
		time.Sleep(revocationsEvery)
		if open := r.open(); len(open) != 2 {
			t.Errorf("then %v are removed", open)
		}
		r.end("cp1")
		if !r.due("cp1") || r.due("cp2") || !slices.Equal(r.open(), []string{"cp2"}) {
			t.Errorf("refused are cp1 %v and cp2 %v, and %v is removed", r.due("cp1"), r.due("cp2"), r.open())
		}
		time.Sleep(removalPatience)
		if !r.due("cp2") {
			t.Error("cp2 holds it up, and is not refused")
		}
		r.see([]string{"cp2"})
		r.see([]string{"cp1", "cp2"})
		if r.due("cp1") {
			t.Error("cp1 was reopened and revoked again, and is refused before it is removed")
		}
	})
}

// led is a store that answers while it has a leader.
type led struct {
	rendezvous.Store
	leader *atomic.Bool
}

func (l led) Get(ctx context.Context, key string) (rendezvous.Record, error) {
	if !l.leader.Load() {
		return rendezvous.Record{}, rendezvous.ErrStore
	}
	return l.Store.Get(ctx, key)
}

type noEngine struct{ formation.Engine }

func (noEngine) DropRefused() {}

type noMembers struct{}

func (noMembers) CanRemove(string) error               { return nil }
func (noMembers) Remove(context.Context, string) error { return nil }

// Of two, one is revoked and goes before it was removed. It is refused all the same, so that the other goes on alone.
func TestRevokedAndGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		leader := &atomic.Bool{}
		leader.Store(true)
		n := &node{engine: noEngine{}, log: slog.New(slog.DiscardHandler)}
		n.service = &rendezvous.Service{Name: "k8s", Store: led{rendezvous.NewMemoryStore(), leader}, Members: noMembers{}, Log: n.log}
		file := filepath.Join(t.TempDir(), "data.revoked")
		if err := n.revoked.load(file); err != nil {
			t.Fatal(err)
		}
		if err := n.service.Form(t.Context(), "uid", "cp0"); err != nil {
			t.Fatal(err)
		}
		operator := rendezvous.Identity{Cluster: "k8s", Role: credential.Operator, Name: "operator"}
		if err := n.service.RevokeNode(t.Context(), operator, "cp1"); err != nil {
			t.Fatal(err)
		}
		go n.watchRevocations(t.Context())
		time.Sleep(time.Second)
		if n.revoked.has("cp1") {
			t.Error("it is refused before it could agree to be removed")
		}
		leader.Store(false)
		time.Sleep(removalPatience + revocationsEvery)
		after := &revocations{}
		if err := after.load(file); err != nil || !after.has("cp1") || !n.revoked.has("cp1") {
			t.Errorf("it is not refused, now %v, after a restart %v (%v)", n.revoked.names, after.names, err)
		}
	})
}
