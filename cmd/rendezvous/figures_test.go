//go:build libsqlite3

package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"muster/internal/rendezvous"
	"muster/internal/rendezvous/config"
	"muster/internal/rendezvous/dqlite"
	"muster/internal/secrets/credential"
)

// The benchmarks report what a first boot waits for, each beside a limit of the same run. The processes are those of
// the tests, on one machine: with a network between them, its latency comes on top.

// formed is a cluster of three control planes that all have joined.
func formed(b *testing.B) *site {
	s := newSite(b, 3)
	for _, p := range s.planes {
		p.power()
	}
	s.allJoined()
	s.eventually(patience, "all members", func() error { return s.members(3) })
	return s
}

// quantile of sorted durations, in milliseconds.
func quantile(all []time.Duration, q float64) float64 {
	slices.Sort(all)
	return float64(all[min(len(all)-1, int(q*float64(len(all))))]) / float64(time.Millisecond)
}

// repeat does something several times and returns how long each took.
func repeat(b *testing.B, times int, do func(i int) error) []time.Duration {
	b.Helper()
	var out []time.Duration
	for i := range times {
		begin := time.Now()
		if err := do(i); err != nil {
			b.Fatal(err)
		}
		out = append(out, time.Since(begin))
	}
	return out
}

// BenchmarkLeaseWrite renews the join lease through HTTPS, beside the same write made to dqlite directly.
func BenchmarkLeaseWrite(b *testing.B) {
	s := formed(b)
	w := &writer{s: s, name: "cp9"}
	c, err := w.client()
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	ctx := b.Context()
	held := rendezvous.Held{Node: w.name, Run: strings.Repeat("ab", 16)}
	s.eventually(patience, "the join lease", func() error {
		lease, err := c.AcquireJoin(ctx, rendezvous.Ask{Node: w.name, Machine: strings.Repeat("cd", 16), Run: held.Run, Attempt: time.Now().UnixNano(), Seen: held.Epoch})
		var refused *rendezvous.Error
		if errors.As(err, &refused) && refused.Lease != nil {
			held.Epoch = refused.Lease.Epoch
		} else {
			held.Epoch = lease.Epoch
		}
		return err
	})
	store := bareStore(b, s)
	for b.Loop() {
		leases := repeat(b, 200, func(int) error { _, err := c.RenewJoin(ctx, held); return err })
		version := int64(0)
		bare := repeat(b, 200, func(i int) error {
			var err error
			version, err = store.Put(ctx, "lease", []byte(strconv.Itoa(i)), version)
			return err
		})
		b.ReportMetric(quantile(leases, 0.5), "lease-p50-ms")
		b.ReportMetric(quantile(leases, 0.99), "lease-p99-ms")
		b.ReportMetric(quantile(bare, 0.5), "dqlite-p50-ms")
		b.ReportMetric(quantile(bare, 0.99), "dqlite-p99-ms")
	}
}

// bareStore is dqlite with three members, without a service in front.
func bareStore(b *testing.B, s *site) *dqlite.Store {
	p := s.planes[0]
	creds, err := load(config.Config{CA: p.file("ca.crt"), Certificate: p.file("node.crt"), Key: p.file("node.key")})
	s.must(err)
	var nodes []*dqlite.Node
	address := func(i int) string { return fmt.Sprintf("127.9.0.%d:7444", i+1) }
	for i := range 3 {
		pair, err := s.authority.ControlPlane(fmt.Sprintf("cp%d", i), nil)
		s.must(err)
		cert, err := pair.TLS()
		s.must(err)
		id := uint64(dqlite.FounderID)
		if i > 0 {
			id, err = dqlite.NewID()
			s.must(err)
		}
		n, err := dqlite.Start(dqlite.Config{
			Dir: filepath.Join(s.dir, fmt.Sprint("bare", i)), ID: id, Address: address(i), Peers: []string{address((i + 1) % 3), address((i + 2) % 3)},
			Cluster: "k8s", Certificate: cert, CA: creds.ca, Refuse: func(string) bool { return false }, Log: slog.New(slog.DiscardHandler),
		})
		s.must(err)
		nodes = append(nodes, n)
		if i > 0 {
			s.eventually(patience, "a member", func() error { return nodes[0].Add(b.Context(), id, address(i)) })
		}
	}
	b.Cleanup(func() {
		for _, n := range slices.Backward(nodes) {
			ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
			_ = n.Close(ctx) // the benchmark is over
			cancel()
		}
	})
	return nodes[0].Store()
}

// BenchmarkThousandWorkers has a thousand workers ask at once, beside a thousand that are answered without a look at
// the store.
func BenchmarkThousandWorkers(b *testing.B) {
	s := formed(b)
	const workers = 1000
	// 64 connections an address are allowed, and a control plane that answers slowly is asked by more.
	for i := range 25 {
		s.must(ip(fmt.Sprintf("addr add %s/24 dev %s", s.address(100+i), s.bridge())))
	}
	for b.Loop() {
		asked := s.storm(b, workers, "enrol", http.StatusOK)
		refused := s.storm(b, workers, "nothing", http.StatusNotFound)
		b.ReportMetric(quantile(asked, 0.5), "granted-p50-ms")
		b.ReportMetric(quantile(asked, 0.99), "granted-p99-ms")
		b.ReportMetric(quantile(refused, 0.99), "no-store-p99-ms")
		b.ReportMetric(s.peakMemory(b), "peak-MiB")
	}
}

// storm has workers ask at once until each is answered as wanted, and returns how long each waited.
func (s *site) storm(b *testing.B, workers int, call string, want int) []time.Duration {
	var group sync.WaitGroup
	took := make([]time.Duration, workers)
	begin := time.Now()
	for i := range workers {
		group.Go(func() {
			name := fmt.Sprintf("w%d", i)
			grant, err := s.authority.WorkerGrant(name)
			if err == nil {
				err = s.askAs(grant, name, s.address(100+i%25), call, want)
			}
			if err != nil {
				b.Errorf("worker %d: %v", i, err)
			}
			took[i] = time.Since(begin)
		})
	}
	group.Wait()
	if b.Failed() {
		b.FailNow()
	}
	return took
}

// askAs does what the worker's step does: one control plane after the other, again while the answer is 409 or 5xx.
func (s *site) askAs(grant credential.Secret, name, from, call string, want int) error {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(s.authority.Certificate())
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IP(netip.MustParseAddr(from).AsSlice())}, Timeout: 3 * time.Second}
	c := &http.Client{Timeout: time.Minute, Transport: &http.Transport{DialContext: dialer.DialContext, TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true}}
	body, err := json.Marshal(rendezvous.Claim{Name: name, Machine: strings.Repeat("cd", 16)})
	if err != nil {
		return err
	}
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(time.Second) {
		for _, p := range s.planes {
			status, err := askOnce(c, p, call, string(grant.Reveal()), body)
			if err == nil && status == want {
				return nil
			}
			if err == nil && status < 500 && status != http.StatusConflict {
				return fmt.Errorf("%s answers %d", p.name, status)
			}
		}
	}
	return errors.New("no answer in time")
}

func askOnce(c *http.Client, p *plane, call, grant string, body []byte) (int, error) {
	r, err := http.NewRequest(http.MethodPost, fmt.Sprintf("https://%s/v1/%s", net.JoinHostPort(p.address(), strconv.Itoa(config.DefaultPort)), call), bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	r.Header.Set("Authorization", "Bearer "+grant)
	r.Header.Set("Content-Type", "application/json")
	answer, err := c.Do(r)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	_, err = io.Copy(io.Discard, answer.Body)
	return answer.StatusCode, err
}

// peakMemory is the most that any control plane's service has used, in MiB.
func (s *site) peakMemory(b *testing.B) float64 {
	most := 0.0
	for _, p := range s.planes {
		p.mu.Lock()
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.serve.Process.Pid))
		p.mu.Unlock()
		if err != nil {
			b.Fatal(err)
		}
		for line := range strings.Lines(string(status)) {
			var kib float64
			if n, _ := fmt.Sscanf(line, "VmHWM: %f kB", &kib); n == 1 {
				most = max(most, kib/1024)
			}
		}
	}
	return most
}

// BenchmarkLeaderKilled measures from the kill -9 of each control plane in turn, the leader among them, to the next
// write that is acknowledged, and from the start of a process to the moment when it serves; beside that, a process that
// only prints its usage.
func BenchmarkLeaderKilled(b *testing.B) {
	s := formed(b)
	w := &writer{s: s, name: "cp9"}
	c, err := w.client()
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	write := func(i int) error {
		for {
			ctx, cancel := context.WithTimeout(b.Context(), 5*time.Second)
			err := c.Progress(ctx, rendezvous.Report{Step: strconv.Itoa(i)})
			cancel()
			if err == nil || b.Context().Err() != nil {
				return err
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	for b.Loop() {
		var again, serving []time.Duration
		for round := range 9 {
			p := s.planes[round%3]
			if err := write(round); err != nil {
				b.Fatal(err)
			}
			p.kill(&p.serve)
			again = append(again, repeat(b, 1, func(int) error { return write(round) })...)
			serving = append(serving, repeat(b, 1, func(int) error { return p.serves(b.Context()) })...)
			s.eventually(patience, "all members", func() error { return s.members(3) })
		}
		usage := repeat(b, 9, func(int) error {
			cmd := exec.Command(os.Args[0], "--help")
			cmd.Env = append(os.Environ(), machineVariable+"=1")
			return cmd.Run()
		})
		b.ReportMetric(quantile(again, 0.5), "writes-again-p50-ms")
		b.ReportMetric(quantile(again, 1), "writes-again-worst-ms")
		b.ReportMetric(quantile(serving, 0.5), "serving-p50-ms")
		b.ReportMetric(quantile(usage, 0.5), "bare-process-p50-ms")
	}
}

// serves waits until the control plane answers /healthz on its loopback interface with ok.
func (p *plane) serves(ctx context.Context) error {
	for ctx.Err() == nil {
		out, err := exec.CommandContext(ctx, "ip", "netns", "exec", p.space(), "curl", "-ksS", "-m", "2", fmt.Sprintf("https://127.0.0.1:%d/healthz", config.DefaultPort)).Output()
		if err == nil && string(out) == "ok\n" {
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return ctx.Err()
}
