//go:build libsqlite3

package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	dqlite "github.com/canonical/go-dqlite/v2/client"
	"github.com/canonical/go-dqlite/v2/driver"

	"muster/internal/rendezvous"
	"muster/internal/rendezvous/client"
	"muster/internal/rendezvous/config"
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
	for _, name := range []string{"kubernetes", "data", "data.agent", "data.founded", "data.revoked", "data.known", "discovery.conf", "log"} {
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

// TestRevokedKeyAfterRestart: whoever has the key of a revoked control plane tries all the time to take its revocation
// out of the store, by the ports of the others. It must not get in either when they all start at once, before they can
// read who is revoked.
func TestRevokedKeyAfterRestart(t *testing.T) {
	s := newSite(t, 3)
	for _, p := range s.planes {
		p.power()
	}
	s.allJoined()
	s.eventually(patience, "all members", func() error { return s.members(3) })
	victim, others := s.planes[1], []*plane{s.planes[0], s.planes[2]}
	creds, err := load(config.Config{CA: victim.file("ca.crt"), Certificate: victim.file("node.crt"), Key: victim.file("node.key")})
	s.must(err)
	store := "muster-store/" + victim.storeUID()
	s.eventually(patience, "the revocation", func() error { return s.client(others...).RevokeNode(t.Context(), victim.name) })
	victim.setDown(true)
	for _, p := range others {
		c, err := client.New(client.Config{Servers: []string{net.JoinHostPort(p.address(), strconv.Itoa(config.DefaultPort))}, Cluster: "k8s", CA: creds.ca, Certificate: creds.pair})
		s.must(err)
		defer c.Close()
		s.eventually(patience, p.name+" refuses it", func() error {
			if _, err := c.Status(t.Context()); rendezvous.CodeOf(err) != rendezvous.CodeRevoked {
				return fmt.Errorf("it is answered with %v", err)
			}
			return nil
		})
	}

	nodes := dqlite.NewInmemNodeStore()
	for _, p := range others {
		known, err := nodes.Get(t.Context())
		s.must(err, nodes.Set(t.Context(), append(known, dqlite.NodeInfo{Address: net.JoinHostPort(p.address(), strconv.Itoa(config.DefaultRaftPort))})))
	}
	dial := func(ctx context.Context, address string) (net.Conn, error) {
		d := tls.Dialer{
			NetDialer: &net.Dialer{Timeout: 500 * time.Millisecond},
			Config:    &tls.Config{Certificates: []tls.Certificate{creds.pair}, InsecureSkipVerify: true, NextProtos: []string{store}},
		}
		return d.DialContext(ctx, "tcp", address)
	}
	const short = 20 * time.Millisecond
	d, err := driver.New(nodes, driver.WithDialFunc(dial), driver.WithConnectionTimeout(time.Second), driver.WithAttemptTimeout(time.Second),
		driver.WithConnectionBackoffFactor(short), driver.WithConnectionBackoffCap(short))
	s.must(err)
	connector, err := d.OpenConnector("muster.db")
	s.must(err)
	over, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for over.Err() == nil {
			db := sql.OpenDB(connector)
			ctx, cancel := context.WithTimeout(over, time.Second)
			_, err := db.ExecContext(ctx, `UPDATE records SET value = CAST(replace(CAST(value AS TEXT), '"revoked":true', '"revoked":false') AS BLOB), version = version + 1 WHERE key = 'node/cp1'`)
			cancel()
			_ = db.Close() // the next try has its own
			if err == nil {
				t.Error("a revoked control plane wrote into the store")
				return
			}
			time.Sleep(short / 2)
		}
	}()
	for _, p := range others {
		p.setDown(true)
	}
	for _, p := range others {
		p.setDown(false)
	}
	s.eventually(patience, "an answer after the restart", func() error {
		report, err := s.status()
		for _, n := range report.Nodes {
			if n.Name == victim.name && !n.Revoked {
				t.Errorf("%s is %s", n.Name, n.State())
			}
		}
		return err
	})
	time.Sleep(severalRounds)
	stop()
	<-ended
}

// TestDamagedStore: raft begins with what it can read of a damaged disk, which is nothing here. The only control plane
// makes the store again from the cluster that runs.
func TestDamagedStore(t *testing.T) {
	s := newSite(t, 1)
	p := s.planes[0]
	p.power()
	s.allJoined()
	first := p.storeUID()
	p.setDown(true)
	p.damage("")
	p.setDown(false)
	s.madeAgain(first)
	s.must(p.said("the store of this control plane has lost data"))
}

// damage overwrites the log of the store's member on a machine without power: all but its beginning, or from a text on.
func (p *plane) damage(from string) {
	s := p.s
	s.t.Helper()
	segments, err := filepath.Glob(p.file("data/store/open-*"))
	s.must(err)
	damaged := false
	for _, name := range segments {
		data, err := os.ReadFile(name)
		s.must(err)
		at := 100
		if from != "" {
			at = bytes.Index(data, []byte(from))
		}
		if at >= 0 {
			damaged = true
			copy(data[at:], "damaged damaged damaged")
			s.must(os.WriteFile(name, data, 0o600))
		}
	}
	if !damaged {
		s.t.Fatalf("%q is in none of %v", from, segments)
	}
}

// madeAgain waits for another store than the first one, with the cluster that runs.
func (s *site) madeAgain(first string) {
	s.t.Helper()
	s.eventually(patience, "another store with the same cluster", func() error {
		after, err := s.status()
		if err != nil {
			return err
		}
		if after.Store.UID == first || after.Store.UID == "" {
			return fmt.Errorf("the store is %+v, %s", after.Store, after.Trouble)
		}
		return s.consistent(after)
	})
}

// TestDamagedMiddle: the log of the only control plane ends before the commit of its init. The store is made again from
// the cluster, and a control plane that is added joins that one.
func TestDamagedMiddle(t *testing.T) {
	s := newSite(t, 2)
	p, later := s.planes[0], s.planes[1]
	s.planes = s.planes[:1]
	p.configure(s.planes)
	p.power()
	s.allJoined()
	first := p.storeUID()
	p.setDown(true)
	p.damage(`"committed":`)
	p.setDown(false)
	s.madeAgain(first)
	s.must(p.said("the store of this control plane has lost data"))
	s.planes = append(s.planes, later)
	later.power()
	s.allJoined()
}

// TestDamagedFounder: the other control plane made the cluster when the founder of the store comes back with a damaged
// disk, takes itself for the only member, and asks for init. It joins the cluster, and becomes a member of the store that
// the other one has.
func TestDamagedFounder(t *testing.T) {
	s := newSite(t, 2)
	founder, other := s.planes[0], s.planes[1]
	for _, p := range s.planes {
		s.group.Go(p.service)
	}
	s.eventually(patience, "all members", func() error { return s.members(2) })
	s.group.Go(other.bootstrap)
	s.joined(other)
	s.must(s.client().RevokeNode(t.Context(), "w9"))
	first := founder.storeUID()
	founder.setDown(true)
	founder.damage("")
	s.group.Go(founder.bootstrap)
	founder.setDown(false)
	s.allJoined()
	s.mu.Lock()
	made := len(s.clusters)
	s.mu.Unlock()
	report, err := s.status()
	if err != nil || made != 1 || report.Store.UID != first || founder.storeUID() != first {
		t.Errorf("%d clusters were made, the store was %s and is %s (%v)", made, first, report.Store.UID, err)
	}
	for _, n := range report.Nodes {
		if n.Name == "w9" && n.Revoked {
			return
		}
	}
	t.Errorf("what was revoked is not: %+v", report.Nodes)
}

// TestRevokedOfTwo: gen asks the one first that is revoked, and the other one some time later. It is out of the store
// then, and the other one has it alone.
func TestRevokedOfTwo(t *testing.T) {
	s := newSite(t, 2)
	other, victim := s.planes[0], s.planes[1]
	for _, p := range s.planes {
		p.power()
	}
	s.allJoined()
	s.eventually(patience, "all members", func() error { return s.members(2) })
	if err := s.client(victim).RevokeNode(t.Context(), victim.name); rendezvous.CodeOf(err) != rendezvous.CodeUnavailable {
		t.Errorf("the victim answers with %v", err)
	}
	time.Sleep(severalRounds)
	s.eventually(patience, "revoked", func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		return s.client(other).RevokeNode(ctx, victim.name)
	})
	victim.setDown(true)
	s.eventually(patience, "the other one alone", func() error {
		s.planes = []*plane{other}
		defer func() { s.planes = []*plane{other, victim} }()
		return errors.Join(s.members(1), s.client().RevokeNode(t.Context(), "w9"))
	})
}
