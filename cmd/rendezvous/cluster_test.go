//go:build libsqlite3

package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"muster/internal/rendezvous"
	"muster/internal/rendezvous/client"
	"muster/internal/rendezvous/config"
)

// patience is for machines under load; an idle one needs a tenth of it.
const patience = 3 * time.Minute

// severalRounds is for how long nothing has to happen before a test believes that nothing will: there is no event to
// wait for. A control plane asks the others every second, and a machine on which nothing listens refuses connections at
// once.
const severalRounds = 5 * time.Second

// schedules is how many TestSchedules runs; totalKills and finished are over all of them.
var schedules = flag.Int("schedules", 20, "how many random schedules clusters of real processes go through")

var totalKills, finished atomic.Int64

// allJoined waits for all control planes and checks what must be true of the cluster that they made.
func (s *site) allJoined() {
	s.t.Helper()
	for _, p := range s.planes {
		select {
		case <-p.done:
		case <-time.After(patience):
			s.t.Fatalf("%s has not joined", p.name)
		}
	}
	s.check()
}

func (s *site) check() {
	s.t.Helper()
	s.eventually(patience, "a status in which all have joined", func() error {
		report, err := s.status()
		if err != nil {
			return err
		}
		return s.consistent(report)
	})
}

func (s *site) consistent(report rendezvous.StatusReport) error {
	c := report.Init.Committed
	if c == nil {
		return errors.New("no init is committed")
	}
	joined := 0
	for _, n := range report.Nodes {
		if n.Closed {
			joined++
		}
		if n.Closed && len(n.Tokens) > 0 {
			return fmt.Errorf("%s joined and tokens are left: %v", n.Name, n.Tokens)
		}
	}
	s.mu.Lock()
	made := s.of[c.Node]
	for _, p := range s.planes {
		if s.of[p.name] != made {
			s.t.Errorf("%s is in %s, the committed cluster is %s", p.name, s.of[p.name], made)
		}
	}
	k := s.clusters[made]
	s.mu.Unlock()
	if n := len(k.NodeNames()); n != joined {
		return fmt.Errorf("the cluster has %d nodes, %d have joined", n, joined)
	}
	if members := k.Members(); len(members) != len(s.planes) {
		return fmt.Errorf("etcd has %+v", members)
	}
	for _, p := range s.planes {
		data, err := os.ReadFile(p.file("kubernetes/pki/sa.key"))
		if err != nil || string(data) != made {
			s.t.Errorf("%s has the keys of %q (%v), the committed cluster is %s", p.name, data, err, made)
		}
	}
	return nil
}

// writer writes as a node does, and remembers the last write that was acknowledged.
type writer struct {
	s     *site
	name  string
	acked int
	sent  int
}

// writers start reporting steps under credentials of control planes whose machines never bootstrap.
func (s *site) writers(count int) (stop func() []*writer) {
	quit := make(chan struct{})
	var list []*writer
	var group sync.WaitGroup
	for i := range count {
		w := &writer{s: s, name: fmt.Sprintf("writer%d", i)}
		list = append(list, w)
		group.Go(func() { w.run(quit) })
	}
	return func() []*writer {
		close(quit)
		group.Wait()
		return list
	}
}

func (w *writer) run(quit <-chan struct{}) {
	c, err := w.client()
	if err != nil {
		w.s.t.Error(err)
		return
	}
	defer c.Close()
	for {
		select {
		case <-quit:
			return
		case <-time.After(20 * time.Millisecond):
		}
		w.sent++
		ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
		if c.Progress(ctx, rendezvous.Report{Step: strconv.Itoa(w.sent)}) == nil {
			w.acked = w.sent
		}
		cancel()
	}
}

func (w *writer) client() (*client.Client, error) {
	p, err := w.s.authority.ControlPlane(w.name, nil)
	if err != nil {
		return nil, err
	}
	pair, err := p.TLS()
	if err != nil {
		return nil, err
	}
	creds, err := load(config.Config{CA: w.s.planes[0].file("ca.crt"), Certificate: w.s.planes[0].file("node.crt"), Key: w.s.planes[0].file("node.key")})
	if err != nil {
		return nil, err
	}
	var servers []string
	for _, plane := range w.s.planes {
		servers = append(servers, net.JoinHostPort(plane.address(), strconv.Itoa(config.DefaultPort)))
	}
	return client.New(client.Config{Servers: servers, Cluster: "k8s", CA: creds.ca, Certificate: pair})
}

// nothingLost compares what was acknowledged with what is there.
func (s *site) nothingLost(list []*writer) {
	s.t.Helper()
	s.eventually(patience, "reading back all acknowledged writes", func() error {
		report, err := s.status()
		if err != nil {
			return err
		}
		steps := map[string]int{}
		for _, n := range report.Nodes {
			steps[n.Name], _ = strconv.Atoi(n.Step)
		}
		for _, w := range list {
			if got := steps[w.name]; got < w.acked || got > w.sent {
				return fmt.Errorf("%s: write %d was acknowledged, %d is there, %d were sent", w.name, w.acked, got, w.sent)
			}
		}
		return nil
	})
}

// TestFirstBoot brings up clusters of every size without disturbance. A pool's machine then gets no control plane's
// name.
func TestFirstBoot(t *testing.T) {
	for _, size := range []int{1, 2, 3, 5} {
		t.Run(fmt.Sprint(size, " control planes"), func(t *testing.T) {
			s := newSite(t, size)
			for _, p := range s.planes {
				p.power()
			}
			s.allJoined()
			grant, err := s.authority.PoolGrant("p", 1, time.Time{})
			s.must(err, s.askAs(grant, s.planes[0].name, s.address(254), "enrol", http.StatusForbidden))
		})
	}
}

// TestSchedules brings clusters up and keeps writing while processes are killed, stopped, cut off, and disks are lost.
// In the end all is as after an undisturbed boot, and nothing that was acknowledged is lost.
func TestSchedules(t *testing.T) {
	t.Run("schedules", func(t *testing.T) { // returns when all of them have
		for seed := range uint64(*schedules) {
			size := []int{1, 2, 3, 5, 3}[seed%5]
			t.Run(fmt.Sprintf("%d of %d control planes", seed, size), func(t *testing.T) { schedule(t, seed, size) })
		}
	})
	// Not when some were picked by hand.
	if kills := totalKills.Load(); kills < int64(*schedules)*5/2 && finished.Load() == int64(*schedules) {
		t.Errorf("only %d kills in all schedules", kills)
	} else {
		t.Logf("%d kills in all schedules", kills)
	}
}

func schedule(t *testing.T, seed uint64, size int) {
	s := newSite(t, size)
	rng := rand.New(rand.NewPCG(seed, 1))
	for _, p := range s.planes {
		p.power()
		time.Sleep(time.Duration(rng.IntN(500)) * time.Millisecond)
	}
	stop := s.writers(2)
	for range 8 {
		s.disturb(rng)
	}
	s.allRunning()
	for _, p := range s.planes {
		select {
		case <-p.done:
		case <-time.After(patience):
			t.Fatalf("%s has not joined", p.name)
		}
	}
	// And once more on the formed cluster, a lost disk among it.
	for range 4 {
		s.disturb(rng)
	}
	s.loseDisk(rng)
	s.nothingLost(stop())
	s.check()
	totalKills.Add(s.kills.Load())
	finished.Add(1)
}

// disturb does one bad thing and lets some time pass.
func (s *site) disturb(rng *rand.Rand) {
	p := s.planes[rng.IntN(len(s.planes))]
	for_ := time.Duration(200+rng.IntN(1500)) * time.Millisecond
	switch rng.IntN(6) {
	case 0:
		p.kill(&p.serve)
	case 1:
		p.kill(&p.agent)
	case 2:
		p.signal(syscall.SIGSTOP)
		time.Sleep(for_)
		p.signal(syscall.SIGCONT)
	case 3:
		p.isolate(true)
		time.Sleep(for_)
		p.isolate(false)
	case 4:
		p.setDown(true)
		time.Sleep(for_)
		p.setDown(false)
	case 5:
		for _, q := range s.planes {
			q.kill(&q.serve)
		}
	}
	time.Sleep(time.Duration(rng.IntN(800)) * time.Millisecond)
}

// allRunning undoes every disturbance.
func (s *site) allRunning() {
	for _, p := range s.planes {
		p.signal(syscall.SIGCONT)
		p.isolate(false)
		p.setDownQuietly()
	}
}

func (p *plane) setDownQuietly() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = false
}

// loseDisk wipes the store's folder of one control plane, which has to come back with all data.
func (s *site) loseDisk(rng *rand.Rand) {
	s.t.Helper()
	if len(s.planes) == 1 {
		return // the only copy
	}
	p := s.planes[rng.IntN(len(s.planes))]
	s.eventually(patience, "all members before a disk is lost", func() error { return s.members(len(s.planes)) })
	p.setDown(true)
	s.must(os.RemoveAll(p.file("data")))
	p.setDown(false)
	s.eventually(patience, p.name+" a member again", func() error { return p.isMember() })
}

// isMember looks at the state file of the machine.
func (p *plane) isMember() error {
	var state struct{ Phase string }
	data, err := os.ReadFile(p.file("data/membership.json"))
	if err == nil {
		err = json.Unmarshal(data, &state)
	}
	if err == nil && state.Phase != "member" {
		err = fmt.Errorf("%s is %s", p.name, state.Phase)
	}
	return err
}

func (s *site) members(want int) error {
	for _, p := range s.planes {
		var state struct{ Members []struct{ ID uint64 } }
		data, err := os.ReadFile(p.file("data/membership.json"))
		if err == nil {
			err = json.Unmarshal(data, &state)
		}
		if err != nil {
			return err
		}
		if len(state.Members) != want {
			return fmt.Errorf("%s knows of %d members", p.name, len(state.Members))
		}
	}
	return nil
}

// TestFounderIsWiped: the founder that lost everything of the rendezvous joins what is there and founds nothing, also
// when the others are not up; and a cluster whose other control planes never came founds nothing at all.
func TestFounderIsWiped(t *testing.T) {
	for _, size := range []int{2, 3} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			s := newSite(t, size)
			for _, p := range s.planes {
				p.power()
			}
			s.allJoined()
			s.eventually(patience, "all members", func() error { return s.members(size) })
			before, err := s.status()
			s.must(err)
			for _, p := range s.planes {
				p.setDown(true)
			}
			founder := s.planes[0]
			s.must(os.RemoveAll(founder.file("data")))
			founder.setDown(false)
			time.Sleep(severalRounds)
			if _, err := os.Stat(founder.file("data/store")); err == nil {
				t.Error("the founder made a store while nobody answered")
			}
			for _, p := range s.planes[1:] {
				p.setDown(false)
			}
			s.eventually(patience, "the founder a member again", founder.isMember)
			s.eventually(patience, "the same store", func() error {
				after, err := s.status()
				if err == nil && after.Store != before.Store {
					t.Fatalf("the store was %+v and is %+v", before.Store, after.Store)
				}
				return err
			})
			s.check()
		})
	}
}

func TestMinorityFoundsNothing(t *testing.T) {
	s := newSite(t, 3)
	s.planes[0].power()
	time.Sleep(severalRounds)
	if _, err := os.Stat(s.planes[0].file("data/store")); err == nil {
		t.Error("one of three founded a store")
	}
	s.planes[2].power() // two of three: a dead control plane at first boot is no reason to wait
	for _, p := range []*plane{s.planes[0], s.planes[2]} {
		select {
		case <-p.done:
		case <-time.After(patience):
			t.Fatalf("%s has not joined", p.name)
		}
	}
	s.planes[1].power() // hours later
	s.allJoined()
}

// TestControlPlaneComesLater: control planes that were added to the spec join a cluster whose documents do not name
// them.
func TestControlPlaneComesLater(t *testing.T) {
	for _, first := range []int{1, 2} {
		t.Run(fmt.Sprint(first, " of 3"), func(t *testing.T) {
			s := newSite(t, 3)
			for _, p := range s.planes[:first] {
				p.configure(s.planes[:first])
				p.power()
			}
			for _, p := range s.planes[:first] {
				select {
				case <-p.done:
				case <-time.After(patience):
					t.Fatalf("%s has not joined", p.name)
				}
			}
			for _, p := range s.planes[first:] {
				p.power()
			}
			s.allJoined()
			s.eventually(patience, "all members", func() error { return s.members(3) })
		})
	}
}

// TestRebuiltStore: when all control planes lose the store, it is made again from the cluster that runs, with its init
// committed and its nodes' credentials spent.
func TestRebuiltStore(t *testing.T) {
	for _, size := range []int{1, 3} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			s := newSite(t, size)
			for _, p := range s.planes {
				p.power()
			}
			s.allJoined()
			before, err := s.status()
			s.must(err)
			for _, p := range s.planes {
				p.setDown(true)
			}
			for _, p := range s.planes {
				s.must(os.RemoveAll(p.file("data")))
				p.setDown(false)
			}
			s.eventually(patience, "another store with the same cluster", func() error {
				after, err := s.status()
				if err != nil {
					return err
				}
				if after.Store.UID == before.Store.UID || after.Store.UID == "" {
					return fmt.Errorf("the store is %+v", after.Store)
				}
				return s.consistent(after)
			})
		})
	}
}

// TestHolderIsGone: the machine that holds the init lease loses power, or is frozen with its kubeadm running on.
// Another makes the cluster when the lease ends, and the first joins that one when it returns after all.
func TestHolderIsGone(t *testing.T) {
	for name, lose := range map[string]struct{ away, back func(p *plane) }{
		"off":    {func(p *plane) { p.setDown(true) }, func(p *plane) { p.setDown(false) }},
		"frozen": {func(p *plane) { p.signal(syscall.SIGSTOP) }, func(p *plane) { p.signal(syscall.SIGCONT) }},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, 3)
			s.initTakes = 4 * time.Second
			for _, p := range s.planes {
				p.power()
			}
			holder := s.holder()
			lose.away(holder)
			for _, p := range s.planes {
				if p == holder {
					continue
				}
				select {
				case <-p.done:
				case <-time.After(patience):
					t.Fatalf("%s has not joined", p.name)
				}
			}
			lose.back(holder)
			s.allJoined()
			report, err := s.status()
			s.must(err)
			if report.Init.Committed.Node == holder.name || report.Init.Epoch < 2 {
				t.Errorf("the init is %+v, want one of another node than %s", report.Init, holder.name)
			}
		})
	}
}

// holder waits for an init lease that is not committed.
func (s *site) holder() *plane {
	s.t.Helper()
	var holder *plane
	s.eventually(patience, "an init lease", func() error {
		report, err := s.status()
		if err != nil {
			return err
		}
		for _, p := range s.planes {
			if p.name == report.Init.Holder && report.Init.Committed == nil {
				holder = p
				return nil
			}
		}
		return fmt.Errorf("the lease is %+v", report.Init)
	})
	return holder
}

// TestClusterIsLostAtBirth: the control plane that made the cluster is lost for good before another one joined it, and
// may have been revoked. The steps of docs/operate.md let the others and a blank machine in its place begin anew, while
// their first boot goes on.
func TestClusterIsLostAtBirth(t *testing.T) {
	for _, c := range []struct {
		lost    int // the founder of the store, or another one
		revoked bool
	}{{0, false}, {1, false}, {0, true}} {
		t.Run(fmt.Sprintf("cp%d, revoked: %v", c.lost, c.revoked), func(t *testing.T) {
			s := newSite(t, 3)
			lost := s.planes[c.lost]
			for _, p := range s.planes {
				s.group.Go(p.service)
			}
			s.eventually(patience, "all members", func() error { return s.members(3) })
			s.group.Go(lost.bootstrap)
			<-lost.done
			before, err := s.status()
			s.must(err)
			lost.setDown(true)
			if c.revoked {
				s.eventually(patience, "revoked", func() error { return s.client().RevokeNode(t.Context(), lost.name) })
			}
			lost.wipe()
			lost.setDown(false)
			for _, p := range s.planes {
				s.group.Go(p.bootstrap)
			}
			for _, p := range s.planes {
				text := "committed by " + lost.name + "; joining it"
				if p == lost && c.revoked {
					text = "the credential of " + lost.name + " is revoked"
				}
				s.eventually(patience, p.name+" waiting for the lost cluster", func() error { return p.said(text) })
			}
			for _, p := range s.planes {
				p.stopService(true)
			}
			for _, p := range s.planes {
				s.must(os.RemoveAll(p.file("data")), os.RemoveAll(p.file("data.founded")), os.RemoveAll(p.file("data.revoked")))
			}
			for _, p := range s.planes {
				p.stopService(false)
			}
			s.allJoined()
			after, err := s.status()
			s.must(err)
			if after.Store.UID == before.Store.UID {
				t.Error("the store is the old one")
			}
		})
	}
}

// TestOperator: a revoked control plane is out of the store and gets no answer; a reopened one joins again.
func TestOperator(t *testing.T) {
	s := newSite(t, 3)
	for _, p := range s.planes {
		p.power()
	}
	s.allJoined()
	s.eventually(patience, "all members", func() error { return s.members(3) })
	victim := s.planes[1]
	s.must(s.client().Reopen(t.Context(), victim.name))
	s.mu.Lock()
	s.of[victim.name] = ""
	s.mu.Unlock()
	victim.setDown(true)
	s.must(os.RemoveAll(victim.file("kubernetes")), os.RemoveAll(victim.file("data")), os.RemoveAll(victim.file("data.agent")))
	victim.done = make(chan struct{})
	victim.setDown(false)
	s.group.Go(victim.bootstrap)
	s.allJoined()
	s.must(s.client().RevokeNode(t.Context(), victim.name))
	s.eventually(patience, "no answer to the revoked one", func() error {
		creds, err := load(config.Config{CA: victim.file("ca.crt"), Certificate: victim.file("node.crt"), Key: victim.file("node.key")})
		s.must(err)
		c, err := client.New(client.Config{Servers: []string{net.JoinHostPort(s.planes[0].address(), strconv.Itoa(config.DefaultPort))}, Cluster: "k8s", CA: creds.ca, Certificate: creds.pair})
		s.must(err)
		defer c.Close()
		if _, err := c.Status(t.Context()); rendezvous.CodeOf(err) != rendezvous.CodeRevoked {
			return fmt.Errorf("it is answered with %v", err)
		}
		return nil
	})
	s.eventually(patience, "the store without it", func() error {
		var state struct{ Members []struct{ Address string } }
		data, err := os.ReadFile(s.planes[0].file("data/membership.json"))
		if err == nil {
			err = json.Unmarshal(data, &state)
		}
		if err != nil || len(state.Members) != 2 {
			return fmt.Errorf("the members are %s, %v", data, err)
		}
		return nil
	})
}

// TestWorkers: twenty workers join by the script that ships, with curl, while control planes are killed.
func TestWorkers(t *testing.T) {
	s := newSite(t, 3)
	for _, p := range s.planes {
		p.power()
	}
	var group sync.WaitGroup
	for i := range 20 {
		group.Go(func() { s.worker(fmt.Sprintf("w%d", i)) })
	}
	rng := rand.New(rand.NewPCG(7, 7))
	for range 10 {
		p := s.planes[rng.IntN(3)]
		p.kill(&p.serve)
		time.Sleep(time.Duration(rng.IntN(1500)) * time.Millisecond)
	}
	group.Wait()
	s.allJoined()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.clusters {
		if tokens := k.Tokens(); len(tokens) != 0 {
			t.Errorf("tokens are left: %v", tokens)
		}
	}
}

// worker runs the shipped step in a mount namespace of its own until it is done.
func (s *site) worker(name string) {
	dir := filepath.Join(s.dir, name)
	grant, err := s.authority.WorkerGrant(name)
	if err != nil {
		s.t.Error(err)
		return
	}
	var servers []string
	for _, p := range s.planes {
		servers = append(servers, net.JoinHostPort(p.address(), strconv.Itoa(config.DefaultPort)))
	}
	files := map[string]string{
		"etc/rendezvous/grant":  fmt.Sprintf("header = \"Authorization: Bearer %s\"\n", grant.Reveal()),
		"etc/rendezvous/ca.crt": string(s.authority.Certificate()),
		"etc/node.conf": fmt.Sprintf("NODE_NAME=%s ROLE=worker CLUSTER=k8s ENDPOINT=x CRI_SOCKET=x KUBEADM_JOIN=/etc/muster/join.yaml KUBEADM_FLAGS=() CERTIFICATES_DIR=/none\n"+
			"RENDEZVOUS=(%s) CURL_ARGS=(--tlsv1.2 --ciphers ECDHE-ECDSA-AES128-GCM-SHA256 --tls-max 1.2)\n", name, strings.Join(servers, " ")),
		"bin/kubeadm": fmt.Sprintf("#!/bin/bash\n[[ $1 == join ]] || exit 0\n%s=1 exec %s kubeadm worker %s x /none %s:8080 /run/muster/discovery.conf\n", machineVariable, os.Args[0], name, s.address(254)),
		"run.sh": `set -e
mount -t tmpfs tmpfs /run; mount -t tmpfs tmpfs /mnt; mkdir -p /mnt/u /mnt/w /run/muster
mount -t overlay overlay -o lowerdir=/etc,upperdir=/mnt/u,workdir=/mnt/w /etc
mkdir -p /etc/muster; cp -r "$1"/etc/. /etc/muster; mount --bind "$1/var" /var/lib; mkdir -p /var/lib/muster /var/lib/cloud/instances/i-1; echo grant >/var/lib/cloud/instances/i-1/user-data.txt
. "$2/lib.sh"; POLL=0.3; step() { ADVICE=$2; }
. /etc/muster/node.conf; GRANT=/etc/muster/rendezvous/grant PATH=$1/bin:$PATH; exec 3>&1
. "$2/bootstrap/worker.sh"
until done_already; do (set -eE; run_step) || sleep 0.5; done
[[ ! -e /etc/muster/rendezvous/grant && ! -e /var/lib/cloud/instances/i-1/user-data.txt && ! -e /run/muster/discovery.conf ]]
`,
	}
	for file, content := range files {
		path := filepath.Join(dir, file)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.MkdirAll(filepath.Join(dir, "var"), 0o755), os.WriteFile(path, []byte(content), 0o755)); err != nil {
			s.t.Error(err)
			return
		}
	}
	scripts, err := filepath.Abs("../../templates/scripts")
	if err != nil {
		s.t.Error(err)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "unshare", "--mount", "bash", filepath.Join(dir, "run.sh"), dir, scripts)
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.t.Errorf("%s: %v: %s", name, err, out[max(0, len(out)-2000):])
	}
	if strings.Contains(string(out), string(grant.Reveal())) {
		s.t.Errorf("%s: the output holds the grant", name)
	}
}
