package rendezvous

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"muster/internal/secrets/credential"
)

// Service is the protocol on one control plane: it applies the state machine to the store that all of them share, and
// asks the Kubernetes cluster for what the state machine decided. Its methods may be called from many goroutines.
type Service struct {
	// Name is the cluster's; credentials of another are refused before they come here.
	Name string
	// ControlPlanes are the spec's. No machine of a pool may have one of their names: names in a pool are not signed.
	ControlPlanes ControlPlanes
	// Store is shared by the control planes.
	Store Store
	// Cluster is this machine's view of the Kubernetes cluster.
	Cluster Cluster
	// Members is the store's membership.
	Members Members
	// Log receives one line per decision; it never sees a secret.
	Log *slog.Logger
	// Now is the clock, time.Now when nil. Leases use the monotonic part only.
	Now func() time.Time
	// TokenTTL is the life of minted tokens, MaxTokenTTL at most (and by default).
	TokenTTL time.Duration

	mu        sync.Mutex
	seen      map[string]sighting
	committed bool // see KnowCommitted
	trouble   string
}

// sighting is when this process first saw a record in the version it still has.
type sighting struct {
	version int64
	since   time.Time
}

func (s *Service) now() time.Time {
	if s.Now != nil {
		return s.Now()
	}
	return time.Now()
}

func (s *Service) tokenTTL() time.Duration {
	if s.TokenTTL <= 0 || s.TokenTTL > MaxTokenTTL {
		return MaxTokenTTL
	}
	return s.TokenTTL
}

// silent is for how long this process knows that key was not written: versions never come back, so two reads of one
// version say that nothing was written between them, however long this process slept in between. The read is a lower
// bound even when stale, because the write that uses it is conditional on the version.
func (s *Service) silent(key string, version int64) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen == nil {
		s.seen = map[string]sighting{}
	}
	now := s.now()
	if last, ok := s.seen[key]; ok && last.version == version {
		return now.Sub(last.since)
	}
	s.seen[key] = sighting{version: version, since: now}
	return 0
}

// watchEvery is how late the time of a silent lease may begin to run, which is little beside LeaseTTL.
const watchEvery = 15 * time.Second

// Watch looks at the leases again and again until ctx ends, so that the time of a lease that went silent runs from then
// on and not from the first ask of another node.
func (s *Service) Watch(ctx context.Context) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		for _, key := range []string{keyInit, keyJoin} {
			if record, err := s.Store.Get(ctx, key); err == nil {
				s.silent(key, record.Version)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// StoreRecord is the founding record of the store: before it is written, nothing is decided.
type StoreRecord struct {
	// UID tells this store from any other that the cluster may have had.
	UID string `json:"uid"`
	// Founder is the node that founded it.
	Founder string `json:"founder"`
}

// Formed returns the founding record, a CodeWaiting error while there is none.
func (s *Service) Formed(ctx context.Context) (StoreRecord, error) {
	record, _, err := load[StoreRecord](ctx, s.Store, keyCluster)
	if err == nil && record.UID == "" {
		err = waiting(retryStore, "the control planes are still forming their store")
	}
	return record, err
}

// Form writes the founding record, once: a second call with the same uid changes nothing. The record of the init lease is
// there before it, so that a store without one is known for one that has lost everything.
func (s *Service) Form(ctx context.Context, uid, founder string) error {
	_, err := update(ctx, s.Store, keyInit, func(_ *Lease, version int64) (bool, error) { return version == 0, nil })
	if err != nil {
		return err
	}
	_, err = update(ctx, s.Store, keyCluster, func(r *StoreRecord, _ int64) (bool, error) {
		if r.UID != "" && r.UID != uid {
			return false, Errorf(CodeForbidden, "the store is founded as another one")
		}
		write := r.UID == ""
		*r = StoreRecord{UID: uid, Founder: founder}
		return write, nil
	})
	return err
}

// Rebuild is for a store that is made again while its cluster runs, on a control plane of that cluster and before the
// founding record: every node of the cluster counts as joined, so that no spent credential comes back to life, and then
// the init as committed. Asked again it goes on where it failed.
func (s *Service) Rebuild(ctx context.Context, commit Commit) error {
	nodes, err := s.Cluster.Nodes(ctx)
	if err != nil {
		return clusterError(err)
	}
	for name, role := range nodes {
		if _, err := update(ctx, s.Store, nodePrefix+name, func(n *Node, version int64) (bool, error) {
			n.Name, n.Role = name, role
			n.Close(s.now())
			return version == 0, nil
		}); err != nil {
			return err
		}
	}
	_, err = update(ctx, s.Store, keyInit, func(l *Lease, _ int64) (bool, error) {
		write := l.Committed == nil
		if write {
			l.Committed = &commit
		}
		return write, nil
	})
	return err
}

// ready is the gate before every decision.
func (s *Service) ready(ctx context.Context) error {
	s.mu.Lock()
	trouble := s.trouble
	s.mu.Unlock()
	if trouble != "" {
		return Errorf(CodeUnavailable, "%s", trouble).retryAfter(retryStore)
	}
	return s.Whole(ctx)
}

// Whole returns a CodeWaiting error for a store that is not formed, and for one that has lost the committed init that
// this machine knows of. It reads each time: a member whose disk was damaged starts with what it can read of it, without
// a word, and may take itself for the only one and lead.
func (s *Service) Whole(ctx context.Context) error {
	if _, err := s.Formed(ctx); err != nil || !s.knowsCommitted() {
		return err
	}
	_, err := s.Committed(ctx)
	if CodeOf(err) == CodeWaiting {
		return errLost()
	}
	return err
}

func errLost() error { return waiting(retryStore, "the store has lost what was decided in it") }

// KnowCommitted says that an init is committed, as this machine knows for good.
func (s *Service) KnowCommitted() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.committed = true
}

func (s *Service) knowsCommitted() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.committed
}

// Trouble says what is wrong with the store here: nothing is decided in it any more, and the status says so. An empty
// text says that nothing is.
func (s *Service) Trouble(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trouble = text
}

// Committed returns the committed init, a CodeWaiting error while there is none.
func (s *Service) Committed(ctx context.Context) (*Commit, error) {
	lease, _, err := load[Lease](ctx, s.Store, keyInit)
	if err != nil {
		return nil, err
	}
	if lease.Committed == nil {
		if lease.Holder == "" {
			return nil, waiting(retryKubeadm, "no control plane has begun kubeadm init yet")
		}
		return nil, waiting(retryKubeadm, "kubeadm init is running on %s", lease.Holder)
	}
	s.KnowCommitted()
	return lease.Committed, nil
}

// NoteMember writes down where a member of the store listens. A machine that was given another name has its address with
// that one from then on: whoever revokes the old name must not remove it.
func (s *Service) NoteMember(ctx context.Context, name, address string) error {
	noted, err := s.NotedMembers(ctx)
	if err != nil {
		return err
	}
	for other, at := range noted {
		if other == name || at != address {
			continue
		}
		if _, err := update(ctx, s.Store, memberPrefix+other, func(have *string, _ int64) (bool, error) {
			write := *have == address
			*have = ""
			return write, nil
		}); err != nil {
			return err
		}
	}
	_, err = update(ctx, s.Store, memberPrefix+name, func(have *string, _ int64) (bool, error) {
		write := *have != address
		*have = address
		return write, nil
	})
	return err
}

// MemberAddress is where a member of the store listens, empty when there is none of that name.
func (s *Service) MemberAddress(ctx context.Context, name string) (string, error) {
	address, _, err := load[string](ctx, s.Store, memberPrefix+name)
	return address, err
}

// NotedMembers are all that NoteMember wrote down, by name. Some may be members no more.
func (s *Service) NotedMembers(ctx context.Context) (map[string]string, error) {
	records, err := s.Store.List(ctx, memberPrefix)
	if err != nil {
		return nil, storeError(err)
	}
	noted := map[string]string{}
	for _, r := range records {
		var address string
		if err := json.Unmarshal(r.Value, &address); err != nil {
			return nil, Errorf(CodeInternal, "the record %s cannot be read: %w", r.Key, err)
		}
		if address != "" {
			noted[strings.TrimPrefix(r.Key, memberPrefix)] = address
		}
	}
	return noted, nil
}

// Revoked says whether the credential of a node was taken back. It reads, so it may be late; every decision looks again
// in the record that it writes.
func (s *Service) Revoked(ctx context.Context, name string) (bool, error) {
	node, _, err := load[Node](ctx, s.Store, nodePrefix+name)
	return node.Revoked, err
}

// RevokedNodes are the names of all revoked nodes.
func (s *Service) RevokedNodes(ctx context.Context) ([]string, error) {
	nodes, err := s.nodes(ctx)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, n := range nodes {
		if n.Revoked {
			names = append(names, n.Name)
		}
	}
	return names, nil
}

func (s *Service) nodes(ctx context.Context) ([]Node, error) {
	return list[Node](ctx, s.Store, nodePrefix)
}

func list[T any](ctx context.Context, store Store, prefix string) ([]T, error) {
	records, err := store.List(ctx, prefix)
	if err != nil {
		return nil, storeError(err)
	}
	values := make([]T, 0, len(records))
	for _, r := range records {
		var v T
		if err := json.Unmarshal(r.Value, &v); err != nil {
			return nil, Errorf(CodeInternal, "the record %s cannot be read: %w", r.Key, err)
		}
		values = append(values, v)
	}
	return values, nil
}

// nodeName is the name of the node that an identity may speak for: its own, or in a pool the one that it asks for.
func (s *Service) nodeName(id Identity, asked string) (string, error) {
	switch {
	case id.Role != credential.Worker && id.Role != credential.ControlPlane:
		return "", Errorf(CodeForbidden, "this call is for nodes")
	case id.Pool == nil && asked != "" && asked != id.Name:
		return "", Errorf(CodeForbidden, "the credential is for %s only", id.Name)
	case id.Pool == nil:
		return id.Name, checkName(id.Name)
	case asked == "":
		return "", Errorf(CodeInvalid, "name: a machine of a pool has to say its host name")
	case slices.Contains(s.ControlPlanes, asked):
		return "", Errorf(CodeForbidden, "the name %s is a control plane's of the spec; give this machine another host name", asked)
	}
	return asked, checkName(asked)
}

// clusterError turns an error of the Kubernetes cluster into one of the protocol.
func clusterError(err error) error {
	var e *Error
	switch {
	case errors.As(err, &e):
		return e
	case errors.Is(err, ErrNoCluster):
		e = Caused(CodeUnavailable, err, "this control plane has not joined the cluster yet: ask another one")
	default:
		e = Caused(CodeUnavailable, err, "the Kubernetes API does not answer here: ask again, or another control plane")
	}
	return e.retryAfter(retryCluster)
}

// StatusReport is what the store knows, for people.
type StatusReport struct {
	Cluster string      `json:"cluster"`
	Store   StoreRecord `json:"store"`
	Init    Lease       `json:"init"`
	Join    Lease       `json:"join"`
	Nodes   []Node      `json:"nodes"`
	// Trouble is what is wrong with the store of the control plane that answers.
	Trouble string `json:"trouble,omitempty"`
	// Now is the answering machine's clock, which ages are counted from.
	Now time.Time `json:"now"`
}

// Status reads everything. On a control plane that is cut off it may be old.
func (s *Service) Status(ctx context.Context) (StatusReport, error) {
	report := StatusReport{Cluster: s.Name, Now: s.now()}
	s.mu.Lock()
	report.Trouble = s.trouble
	s.mu.Unlock()
	var err error
	if report.Store, _, err = load[StoreRecord](ctx, s.Store, keyCluster); err != nil {
		return report, err
	}
	if report.Init, _, err = load[Lease](ctx, s.Store, keyInit); err != nil {
		return report, err
	}
	if report.Join, _, err = load[Lease](ctx, s.Store, keyJoin); err != nil {
		return report, err
	}
	report.Nodes, err = s.nodes(ctx)
	slices.SortFunc(report.Nodes, func(a, b Node) int {
		return strings.Compare(string(a.Role)+a.Name, string(b.Role)+b.Name)
	})
	return report, err
}
