//go:build libsqlite3

package dqlite_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"muster/internal/rendezvous"
	"muster/internal/rendezvous/dqlite"
	"muster/internal/rendezvous/storetest"
	"muster/internal/secrets"
)

// cluster is some members in this process, each on an address of its own in 127.0.0.0/8.
type cluster struct {
	t       *testing.T
	a       *secrets.Authority
	ca      *x509.Certificate
	dirs    []string
	ids     []uint64
	uids    []string // of the store that each is a member of
	nodes   []*dqlite.Node
	refused sync.Map
}

var subnet atomic.Int64

func newCluster(t *testing.T, size int) *cluster {
	a, err := secrets.Test().Authority("k8s")
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(a.Certificate())
	ca, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{t: t, a: a, ca: ca, nodes: make([]*dqlite.Node, size)}
	base := t.TempDir()
	for i := range size {
		c.dirs = append(c.dirs, filepath.Join(base, fmt.Sprint(i)))
		c.ids = append(c.ids, dqlite.FounderID)
		c.uids = append(c.uids, "first")
		if i > 0 {
			c.ids[i] = newID(t)
		}
	}
	net := subnet.Add(1)
	t.Setenv("MUSTER_TEST_SUBNET", fmt.Sprint(net))
	t.Cleanup(func() {
		for i := range c.nodes {
			c.stop(i)
		}
	})
	return c
}

func newID(t *testing.T) uint64 {
	id, err := dqlite.NewID()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func (c *cluster) address(i int) string {
	return fmt.Sprintf("127.8.%s.%d:7444", os.Getenv("MUSTER_TEST_SUBNET"), i+1)
}

func (c *cluster) certificate(name string) tls.Certificate {
	p, err := c.a.ControlPlane(name, []netip.Addr{})
	if err != nil {
		c.t.Fatal(err)
	}
	pair, err := p.TLS()
	if err != nil {
		c.t.Fatal(err)
	}
	return pair
}

func (c *cluster) start(i int) *dqlite.Node {
	c.t.Helper()
	var peers []string
	for j := range c.nodes {
		if j != i {
			peers = append(peers, c.address(j))
		}
	}
	n, err := dqlite.Start(dqlite.Config{
		Dir: c.dirs[i], UID: c.uids[i], ID: c.ids[i], Address: c.address(i), Peers: peers, Cluster: "k8s", Certificate: c.certificate(fmt.Sprintf("cp%d", i)), CA: c.ca,
		Refuse: func(name string) bool { _, refused := c.refused.Load(name); return refused }, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		c.t.Fatal(err)
	}
	c.nodes[i] = n
	return n
}

func (c *cluster) stop(i int) {
	if c.nodes[i] == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if err := c.nodes[i].Close(ctx); err != nil {
		c.t.Errorf("member %d: close: %v", i, err)
	}
	c.nodes[i] = nil
}

// form starts all and adds them through the first.
func (c *cluster) form() {
	for i := range c.nodes {
		c.start(i)
		if i > 0 {
			c.add(0, i)
		}
	}
}

func (c *cluster) add(by, i int) {
	c.t.Helper()
	var last error
	for range 100 {
		ctx, cancel := context.WithTimeout(c.t.Context(), 10*time.Second)
		last = c.nodes[by].Add(ctx, c.ids[i], c.address(i))
		cancel()
		if last == nil {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	c.t.Fatalf("member %d was not added: %v", i, last)
}

// write writes until it succeeds, and returns the version.
func write(t *testing.T, s *dqlite.Store, key, value string, version int64) int64 {
	t.Helper()
	deadline := time.Now().Add(60 * time.Second)
	for {
		v, err := s.Put(t.Context(), key, []byte(value), version)
		if err == nil {
			return v
		}
		if time.Now().After(deadline) {
			t.Fatalf("Put(%s): %v", key, err)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func read(t *testing.T, s *dqlite.Store, key string) string {
	t.Helper()
	r, err := s.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	return string(r.Value)
}

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) rendezvous.Store {
		c := newCluster(t, 1)
		return c.start(0).Store()
	})
}

// The same suite through a member that is not the leader.
func TestStoreThroughAFollower(t *testing.T) {
	storetest.Run(t, func(t *testing.T) rendezvous.Store {
		c := newCluster(t, 2)
		c.form()
		return c.nodes[1].Store()
	})
}

func TestMembersVoteAndComeBack(t *testing.T) {
	c := newCluster(t, 3)
	c.form()
	v := write(t, c.nodes[1].Store(), "k", "1", 0)
	members, err := c.nodes[2].Members(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(members) != 3 || slices.ContainsFunc(members, func(m dqlite.Member) bool { return !m.Voter }) {
		t.Fatalf("members: %+v, want three voters", members)
	}
	c.stop(0) // the leader
	v = write(t, c.nodes[2].Store(), "k", "2", v)
	c.start(0)
	c.stop(2)
	v = write(t, c.nodes[0].Store(), "k", "3", v)
	c.start(2)
	if got := read(t, c.nodes[2].Store(), "k"); got != "3" {
		t.Errorf("the value is %q", got)
	}
	_ = v
}

// A member whose disk is empty takes its address over under a new id, and has all that was written.
func TestWipedMemberIsAddedAgain(t *testing.T) {
	c := newCluster(t, 3)
	c.form()
	v := write(t, c.nodes[0].Store(), "k", "before", 0)
	for i := range 3 {
		c.stop(i)
		if err := os.RemoveAll(c.dirs[i]); err != nil {
			t.Fatal(err)
		}
		c.ids[i] = newID(t)
		c.start(i)
		c.add((i+1)%3, i)
		v = write(t, c.nodes[i].Store(), "k", fmt.Sprint("after ", i), v)
	}
	members, err := c.nodes[0].Members(t.Context())
	if err != nil || len(members) != 3 {
		t.Errorf("members: %+v, %v", members, err)
	}
}

// With two voters every acknowledged write is on both disks: when one is lost, the other goes on alone after Recover.
func TestSurvivorOfTwoIsRecovered(t *testing.T) {
	for _, lost := range []int{0, 1} {
		t.Run(fmt.Sprint("disk ", lost), func(t *testing.T) {
			c := newCluster(t, 2)
			c.form()
			for i := range 50 {
				write(t, c.nodes[i%2].Store(), fmt.Sprint("k", i), "v", 0)
			}
			survivor := 1 - lost
			c.stop(0)
			c.stop(1)
			if err := os.RemoveAll(c.dirs[lost]); err != nil {
				t.Fatal(err)
			}
			if err := dqlite.Recover(c.dirs[survivor], c.ids[survivor], c.address(survivor)); err != nil {
				t.Fatal(err)
			}
			s := c.start(survivor).Store()
			write(t, s, "after", "v", 0)
			records, err := s.List(t.Context(), "k")
			if err != nil || len(records) != 50 {
				t.Errorf("%d of 50 records survived, %v", len(records), err)
			}
			c.ids[lost] = newID(t)
			c.start(lost)
			c.add(survivor, lost)
			if got := read(t, c.nodes[lost].Store(), "k49"); got != "v" {
				t.Errorf("the new disk reads %q", got)
			}
		})
	}
}

func TestRevokedMemberIsCutOff(t *testing.T) {
	c := newCluster(t, 3)
	c.form()
	write(t, c.nodes[0].Store(), "k", "1", 0)
	c.refused.Store("cp2", true)
	if err := c.nodes[0].Remove(t.Context(), c.address(2)); err != nil {
		t.Fatal(err)
	}
	c.nodes[0].DropRefused()
	c.nodes[1].DropRefused()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if _, err := c.nodes[2].Store().Put(ctx, "evil", []byte("x"), 0); !errors.Is(err, rendezvous.ErrStore) {
		t.Errorf("a revoked control plane writes: %v", err)
	}
	write(t, c.nodes[1].Store(), "k2", "2", 0)
}

// Two stores with one founder's address and id, as a control plane makes that loses its disk while the only other
// member is off: the member that comes back takes no part in the second store, neither as its client nor, when power
// is lost everywhere and it is up first, as its leader.
func TestStoresKeepApart(t *testing.T) {
	c := newCluster(t, 3)
	c.start(0)
	c.start(1)
	c.add(0, 1)
	for i := range 40 { // its log is longer than the second store's: raft would prefer it
		write(t, c.nodes[1].Store(), "k", "first", int64(i))
	}
	c.stop(1)
	c.stop(0)
	if err := os.RemoveAll(c.dirs[0]); err != nil {
		t.Fatal(err)
	}
	c.uids[0], c.uids[2] = "second", "second"
	c.start(0)
	c.start(2)
	c.add(0, 2)
	write(t, c.nodes[0].Store(), "k", "second", 0)

	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	back := c.start(1)
	if members, err := back.Members(ctx); err == nil {
		t.Errorf("a member of the first store lists the second one's members: %v", members)
	}
	if _, err := back.Store().Put(ctx, "stray", []byte("first"), 0); !errors.Is(err, rendezvous.ErrStore) {
		t.Errorf("a member of the first store writes: %v", err)
	}
	for _, i := range []int{2, 0, 1} {
		c.stop(i)
	}
	c.start(0)
	c.start(1)
	time.Sleep(3 * time.Second) // some elections
	c.start(2)
	write(t, c.nodes[0].Store(), "after", "second", 0)
	for i := range 2 {
		s := c.nodes[2*i].Store()
		if k, stray := read(t, s, "k"), read(t, s, "stray"); k != "second" || stray != "" {
			t.Errorf("member %d of the second store reads k = %q, stray = %q", 2*i, k, stray)
		}
	}
}

// Nobody without a control plane's certificate of this cluster gets through to dqlite, and none who does not name the
// store.
func TestStorePortRefusesStrangers(t *testing.T) {
	c := newCluster(t, 1)
	c.start(0)
	operator, err := c.a.Operator()
	if err != nil {
		t.Fatal(err)
	}
	op, err := operator.TLS()
	if err != nil {
		t.Fatal(err)
	}
	other, err := secrets.Test().Authority("other")
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := other.ControlPlane("cp1", nil)
	if err != nil {
		t.Fatal(err)
	}
	fp, err := foreign.TLS()
	if err != nil {
		t.Fatal(err)
	}
	// dqlite's handshake is its version number; whoever reaches it gets the connection held open, others lose it.
	speaks := func(cfg *tls.Config) bool {
		raw, err := net.Dial("tcp", c.address(0))
		if err != nil {
			t.Fatal(err)
		}
		defer raw.Close()
		var conn net.Conn = raw
		if cfg != nil {
			conn = tls.Client(raw, cfg)
		}
		_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
		request := []byte{1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0} // version 1, Leader
		if _, err := conn.Write(request); err != nil {
			return false
		}
		answer := make([]byte, 8)
		_, err = conn.Read(answer)
		return err == nil
	}
	show := func(certificate *tls.Certificate, store ...string) *tls.Config {
		return &tls.Config{InsecureSkipVerify: true, NextProtos: store, GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return certificate, nil }}
	}
	member := c.certificate("cp7")
	const store = "muster-store/first"
	for what, try := range map[string]struct {
		cfg  *tls.Config
		want bool
	}{
		"plain": {nil, false}, "no certificate": {&tls.Config{InsecureSkipVerify: true, NextProtos: []string{store}}, false},
		"operator": {show(&op, store), false}, "another cluster": {show(&fp, store), false}, "a control plane": {show(&member, store), true},
		"a control plane of another store": {show(&member, "muster-store/second"), false}, "one that names no store": {show(&member), false},
	} {
		if got := speaks(try.cfg); got != try.want {
			t.Errorf("%s: answered is %v, want %v", what, got, try.want)
		}
	}
	// Half-open connections are cut off.
	mute, err := net.Dial("tcp", c.address(0))
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	_ = mute.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := mute.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a mute connection is kept: %v", err)
	}
}

func TestExists(t *testing.T) {
	c := newCluster(t, 1)
	if there, err := dqlite.Exists(c.dirs[0]); there || err != nil {
		t.Errorf("before: %v, %v", there, err)
	}
	write(t, c.start(0).Store(), "k", "v", 0)
	c.stop(0)
	if there, err := dqlite.Exists(c.dirs[0]); !there || err != nil {
		t.Errorf("after: %v, %v", there, err)
	}
}
