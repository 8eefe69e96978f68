package server

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"muster/internal/rendezvous"
	"muster/internal/secrets/credential"
)

// answers counts answers by HTTP status.
type answers struct {
	mu     sync.Mutex
	counts map[int]int64
}

func (a *answers) count(status int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.counts == nil {
		a.counts = map[int]int64{}
	}
	a.counts[status]++
}

func (a *answers) all() map[int]int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return maps.Clone(a.counts)
}

func (s *Server) metrics(r request) (any, error) {
	ctx, cancel := context.WithTimeout(r.Context(), probeTimeout)
	defer cancel()
	report, err := s.Service.Status(ctx)
	var b bytes.Buffer
	writeMetrics(&b, report, err == nil, s.answers.all(), s.limited.Refused.Load())
	return b.Bytes(), nil
}

// writeMetrics writes Prometheus' text format.
func writeMetrics(b *bytes.Buffer, report rendezvous.StatusReport, up bool, answers map[int]int64, refused int64) {
	gauge := func(name, help string) { fmt.Fprintf(b, "# HELP %s %s\n# TYPE %s gauge\n", name, help, name) }
	gauge("muster_rendezvous_store_up", "1 when the store answers on this control plane.")
	fmt.Fprintf(b, "muster_rendezvous_store_up %d\n", gaugeValue(up))
	gauge("muster_rendezvous_init_committed", "1 when a kubeadm init is committed.")
	fmt.Fprintf(b, "muster_rendezvous_init_committed %d\n", gaugeValue(report.Init.Committed != nil))
	gauge("muster_rendezvous_lease_epoch", "Epoch of a lease.")
	fmt.Fprintf(b, "muster_rendezvous_lease_epoch{lease=\"init\"} %d\n", report.Init.Epoch)
	fmt.Fprintf(b, "muster_rendezvous_lease_epoch{lease=\"join\"} %d\n", report.Join.Epoch)
	gauge("muster_rendezvous_nodes", "Nodes by role and state.")
	states := map[string]int{}
	for _, role := range []rendezvous.Role{credential.ControlPlane, credential.Worker} {
		for _, state := range []string{"open", "joined", "revoked"} {
			states[fmt.Sprintf("{role=%q,state=%q}", role, state)] = 0
		}
	}
	for _, n := range report.Nodes {
		states[fmt.Sprintf("{role=%q,state=%q}", n.Role, n.State())]++
	}
	for _, labels := range slices.Sorted(maps.Keys(states)) {
		fmt.Fprintf(b, "muster_rendezvous_nodes%s %d\n", labels, states[labels])
	}
	fmt.Fprintf(b, "# HELP muster_rendezvous_answers_total Answers by HTTP status.\n# TYPE muster_rendezvous_answers_total counter\n")
	for _, status := range slices.Sorted(maps.Keys(answers)) {
		fmt.Fprintf(b, "muster_rendezvous_answers_total{status=\"%d\"} %d\n", status, answers[status])
	}
	fmt.Fprintf(b, "# HELP muster_rendezvous_connections_refused_total Connections beyond the limits.\n# TYPE muster_rendezvous_connections_refused_total counter\n")
	fmt.Fprintf(b, "muster_rendezvous_connections_refused_total %d\n", refused)
}

func gaugeValue(b bool) int {
	if b {
		return 1
	}
	return 0
}
