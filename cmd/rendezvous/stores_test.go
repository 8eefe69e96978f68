//go:build libsqlite3

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"testing"
	"time"
)

// joined waits for the control planes that are powered.
func (s *site) joined(planes ...*plane) {
	s.t.Helper()
	for _, p := range planes {
		select {
		case <-p.done:
		case <-time.After(patience):
			s.t.Fatalf("%s has not joined", p.name)
		}
	}
}

// wipe makes a new machine of one that has no power.
func (p *plane) wipe() {
	for _, name := range []string{"kubernetes", "data", "data.agent", "data.founded", "discovery.conf", "log"} {
		p.s.must(os.RemoveAll(p.file(name)))
	}
	p.done = make(chan struct{})
}

// storeUID is the uid of the store that a machine's disk has.
func (p *plane) storeUID() string {
	p.s.t.Helper()
	var state struct{ UID string }
	data, err := os.ReadFile(p.file("data/membership.json"))
	p.s.must(err, json.Unmarshal(data, &state))
	return state.UID
}

// said is nil if the machine has said something since it was set up.
func (p *plane) said(text string) error {
	log, err := os.ReadFile(p.file("log"))
	if err == nil && !bytes.Contains(log, []byte(text)) {
		err = fmt.Errorf("%q is not in its log", text)
	}
	return err
}

// TestTwoStoresKeepApart is the one way known to two clusters (internal/rendezvous/DESIGN.md): the member that comes
// back keeps the store that it has, stays out of the other one and says so. Both founders had one id and one address.
func TestTwoStoresKeepApart(t *testing.T) {
	s := newSite(t, 3)
	founder, back, third := s.planes[0], s.planes[1], s.planes[2]
	founder.power()
	back.power()
	s.joined(founder, back)
	first := back.storeUID()
	back.setDown(true)
	founder.setDown(true)
	founder.wipe()
	founder.setDown(false)
	s.group.Go(founder.bootstrap)
	third.power()
	s.joined(founder, third)
	back.setDown(false)
	s.eventually(patience, "it says what it sees", func() error {
		if uid, other := back.storeUID(), founder.storeUID(); uid != first || other == first {
			t.Fatalf("the member of %s has %q now, the others have %s", first, uid, other)
		}
		return back.said("there are two clusters")
	})
}

// TestGrownFounderLosesStore: the document of the first control plane names no other. When it loses the store's folder
// while the others are off, it waits for them and founds no store.
func TestGrownFounderLosesStore(t *testing.T) {
	s := newSite(t, 3)
	founder := s.planes[0]
	founder.configure(s.planes[:1])
	founder.power()
	s.joined(founder)
	for _, p := range s.planes[1:] {
		p.power()
	}
	s.allJoined()
	s.eventually(patience, "all members", func() error { return s.members(3) })
	first := founder.storeUID()
	for _, p := range s.planes {
		p.setDown(true)
	}
	s.must(os.RemoveAll(founder.file("data")))
	founder.setDown(false)
	s.eventually(patience, "the founder waits", func() error {
		if _, err := os.Stat(founder.file("data/store")); err == nil {
			t.Fatal("the founder made a store while nobody answered")
		}
		return founder.said("waits for cp1, cp2")
	})
	for _, p := range s.planes[1:] {
		p.setDown(false)
	}
	s.eventually(patience, "the founder a member again", founder.isMember)
	if uid := founder.storeUID(); uid != first {
		t.Errorf("the store was %s and is %s", first, uid)
	}
}
