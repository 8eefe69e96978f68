// Package clustertest owns a Kubernetes cluster in memory for tests of the rendezvous: Node objects, bootstrap tokens
// and etcd members, as far as the rendezvous sees them. It must not be imported by anything but tests.
package clustertest

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"muster/internal/rendezvous"
	"muster/internal/secrets/credential"
)

// Kubernetes is one cluster. All its methods may be called from many goroutines.
type Kubernetes struct {
	mu      sync.Mutex
	up      bool
	id      string
	counter int
	nodes   map[string]rendezvous.NodeObject
	roles   map[string]rendezvous.Role
	tokens  map[string]Token
	etcd    []rendezvous.EtcdMember
	fail    error
	// Minted counts tokens ever made.
	Minted int
	// Gateway is the prefix of etcd's JSON gateway, /v3 when empty; it is set before Handler is called.
	Gateway string
}

// Token is a live bootstrap token.
type Token struct {
	Secret string
	Node   string
	TTL    time.Duration
}

// New returns a cluster that does not exist yet: Init makes it. Its certificates consist of its id.
func New(id string) *Kubernetes {
	return &Kubernetes{id: id, nodes: map[string]rendezvous.NodeObject{}, roles: map[string]rendezvous.Role{}, tokens: map[string]Token{}}
}

// Init is kubeadm init on a node: everything older is gone.
func (k *Kubernetes) Init(node string, hosts ...netip.Addr) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.up, k.nodes, k.roles, k.tokens, k.etcd = true, map[string]rendezvous.NodeObject{}, map[string]rendezvous.Role{}, map[string]Token{}, nil
	k.add(node, credential.ControlPlane)
	k.addMember(node, hosts, false)
}

func (k *Kubernetes) add(node string, role rendezvous.Role) {
	k.counter++
	k.nodes[node] = rendezvous.NodeObject{UID: fmt.Sprintf("uid-%d", k.counter), BootID: fmt.Sprintf("boot-%d", k.counter), Ready: true}
	k.roles[node] = role
}

func (k *Kubernetes) addMember(node string, hosts []netip.Addr, learner bool) string {
	k.counter++
	id := fmt.Sprint(1000 + k.counter)
	k.etcd = append(k.etcd, rendezvous.EtcdMember{ID: id, Name: node, PeerHosts: hosts, Learner: learner})
	return id
}

// JoinWorker is kubeadm join of a worker with a token; the token has to be alive.
func (k *Kubernetes) JoinWorker(node, tokenID, secret string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if live, ok := k.tokens[tokenID]; !ok || live.Secret != secret {
		return fmt.Errorf("the token of %s is not alive", node)
	}
	k.add(node, credential.Worker)
	return nil
}

// AddLearner is the first half of a control plane's join, which a cut leaves behind. Like etcd it allows one learner.
func (k *Kubernetes) AddLearner(node string, hosts ...netip.Addr) (string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, m := range k.etcd {
		if m.Learner || m.Name == "" {
			return "", fmt.Errorf("too many learners: %s (%s) is one already", m.ID, m.Name)
		}
		if m.Name == node {
			return "", fmt.Errorf("%s is a member already", node)
		}
	}
	return k.addMember("", hosts, true), nil
}

// StartLearner is the learner's process coming up under its name.
func (k *Kubernetes) StartLearner(id, node string) error {
	return k.member(id, func(m *rendezvous.EtcdMember) { m.Name = node })
}

// Promote is the second half: the learner becomes a member and the Node object appears. It fails when the learner is
// gone.
func (k *Kubernetes) Promote(id, node string) error {
	if err := k.member(id, func(m *rendezvous.EtcdMember) { m.Name, m.Learner = node, false }); err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.add(node, credential.ControlPlane)
	return nil
}

func (k *Kubernetes) member(id string, change func(*rendezvous.EtcdMember)) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	i := slices.IndexFunc(k.etcd, func(m rendezvous.EtcdMember) bool { return m.ID == id })
	if i < 0 {
		return fmt.Errorf("etcd member %s was removed", id)
	}
	change(&k.etcd[i])
	return nil
}

// SetNode sets a Node object; a zero one removes it.
func (k *Kubernetes) SetNode(name string, object rendezvous.NodeObject) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if object.UID == "" {
		delete(k.nodes, name)
		return
	}
	k.nodes[name] = object
}

// Fail makes every call of the rendezvous fail with err until it is called with nil.
func (k *Kubernetes) Fail(err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.fail = err
}

// Tokens are the live tokens by id.
func (k *Kubernetes) Tokens() map[string]Token {
	k.mu.Lock()
	defer k.mu.Unlock()
	return maps.Clone(k.tokens)
}

// Members are the etcd members as they are.
func (k *Kubernetes) Members() []rendezvous.EtcdMember {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.etcd)
}

// NodeNames are the names of all Node objects.
func (k *Kubernetes) NodeNames() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Sorted(maps.Keys(k.nodes))
}

// View is what a rendezvous on one machine sees of the cluster: nothing until that machine is in it.
type View struct {
	// In is the cluster that the machine is a control plane of, nil when there is none.
	In func() *Kubernetes
}

// Certain is a View of a machine that is in the cluster.
func Certain(k *Kubernetes) View { return View{In: func() *Kubernetes { return k }} }

func (v View) enter(ctx context.Context) (*Kubernetes, error) {
	k := v.In()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if k == nil {
		return nil, rendezvous.ErrNoCluster
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.up {
		return nil, rendezvous.ErrNoCluster
	}
	return k, k.fail
}

// Discovery is rendezvous.Cluster's.
func (v View) Discovery(ctx context.Context, token rendezvous.Token) ([]byte, error) {
	if _, err := v.enter(ctx); err != nil {
		return nil, err
	}
	return []byte("token: " + token.Reveal() + "\n"), nil
}

// CreateToken is rendezvous.Cluster's.
func (v View) CreateToken(ctx context.Context, token rendezvous.Token, ttl time.Duration, node string) error {
	k, err := v.enter(ctx)
	if err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.Minted++
	k.tokens[token.ID] = Token{Secret: token.Secret(), Node: node, TTL: ttl}
	return nil
}

// DeleteToken is rendezvous.Cluster's.
func (v View) DeleteToken(ctx context.Context, id string) error {
	k, err := v.enter(ctx)
	if err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.tokens, id)
	return nil
}

// Node is rendezvous.Cluster's.
func (v View) Node(ctx context.Context, name string) (rendezvous.NodeObject, error) {
	k, err := v.enter(ctx)
	if err != nil {
		return rendezvous.NodeObject{}, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.nodes[name], nil
}

// Nodes is rendezvous.Cluster's.
func (v View) Nodes(ctx context.Context) (map[string]rendezvous.Role, error) {
	k, err := v.enter(ctx)
	if err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return maps.Clone(k.roles), nil
}

// DeleteNode is rendezvous.Cluster's.
func (v View) DeleteNode(ctx context.Context, name, uid string) error {
	k, err := v.enter(ctx)
	if err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.nodes[name].UID == uid {
		delete(k.nodes, name)
		delete(k.roles, name)
	}
	return nil
}

// EtcdMembers is rendezvous.Cluster's.
func (v View) EtcdMembers(ctx context.Context) ([]rendezvous.EtcdMember, error) {
	k, err := v.enter(ctx)
	if err != nil {
		return nil, err
	}
	return k.Members(), nil
}

// RemoveEtcdMember is rendezvous.Cluster's.
func (v View) RemoveEtcdMember(ctx context.Context, id string) error {
	k, err := v.enter(ctx)
	if err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.etcd = slices.DeleteFunc(k.etcd, func(m rendezvous.EtcdMember) bool { return m.ID == id })
	return nil
}

// Certificates is rendezvous.Cluster's.
func (v View) Certificates(ctx context.Context, w io.Writer) error {
	k, err := v.enter(ctx)
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, k.id)
	return err
}
