package rendezvous

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"time"

	"muster/internal/secrets/credential"
)

// Cluster is what the rendezvous asks of the Kubernetes cluster that this machine is a control plane of. Its calls
// return an error that wraps ErrNoCluster while the machine is not a control plane.
type Cluster interface {
	// Discovery is the kubeconfig a node discovers the cluster with: server, CA and the token, nothing else.
	Discovery(ctx context.Context, token Token) ([]byte, error)
	// CreateToken makes a bootstrap token that lives for ttl.
	CreateToken(ctx context.Context, token Token, ttl time.Duration, node string) error
	// DeleteToken removes a token by its id; a missing one is not an error.
	DeleteToken(ctx context.Context, id string) error
	// Node is the Node object of a name, zero when there is none.
	Node(ctx context.Context, name string) (NodeObject, error)
	// Nodes are all Node objects by name, with the role that their labels say.
	Nodes(ctx context.Context) (map[string]Role, error)
	// DeleteNode removes the Node object with this very UID; a missing or another one is not an error.
	DeleteNode(ctx context.Context, name, uid string) error
	// EtcdMembers lists the members of the cluster's etcd.
	EtcdMembers(ctx context.Context) ([]EtcdMember, error)
	// RemoveEtcdMember removes one by its id, which etcd never uses twice; a missing one is not an error.
	RemoveEtcdMember(ctx context.Context, id string) error
	// Certificates writes the shared certificates and keys of the cluster as one stream.
	Certificates(ctx context.Context, w io.Writer) error
}

// ErrNoCluster says that this machine is not, or not yet, a control plane of a running cluster.
var ErrNoCluster = errors.New("this machine is no control plane of a running cluster yet")

// EtcdMember is a member of etcd.
type EtcdMember struct {
	ID   string
	Name string // empty until it started
	// PeerHosts are the addresses of its peer URLs.
	PeerHosts []netip.Addr
	Learner   bool
}

// unfinished: it never started, or never got a vote.
func (m EtcdMember) unfinished() bool { return m.Name == "" || m.Learner }

// at: a member that never started is known by nothing but its address.
func (m EtcdMember) at(addresses []netip.Addr) bool {
	return slices.ContainsFunc(m.PeerHosts, func(a netip.Addr) bool { return slices.Contains(addresses, a) })
}

// Members is the membership of the replicated store, as far as an operator's call changes it.
type Members interface {
	// CanRemove is an error when this control plane is not the one to remove a node.
	CanRemove(node string) error
	// Remove takes a node out of the store's members; a node that is not a member is not an error.
	Remove(ctx context.Context, node string) error
}

// Token is a kubeadm bootstrap token. It prints as its id only.
type Token struct {
	ID     string
	secret credential.Secret
}

// The alphabet and lengths are those of kubeadm's tokens: [a-z0-9]{6}.[a-z0-9]{16}.
const (
	tokenAlphabet     = "abcdefghijklmnopqrstuvwxyz0123456789"
	tokenIDLength     = 6
	tokenSecretLength = 16
)

// NewToken draws a token from random.
func NewToken(random io.Reader) (Token, error) {
	text := make([]byte, 0, tokenIDLength+tokenSecretLength)
	// 252 is the largest multiple of the alphabet's 36 in a byte: above it a remainder would favour some letters.
	buffer := make([]byte, 1)
	for len(text) < cap(text) {
		if _, err := io.ReadFull(random, buffer); err != nil {
			return Token{}, fmt.Errorf("no randomness for a token: %w", err)
		}
		if buffer[0] < 252 {
			text = append(text, tokenAlphabet[int(buffer[0])%len(tokenAlphabet)])
		}
	}
	return Token{ID: string(text[:tokenIDLength]), secret: credential.NewSecret(text[tokenIDLength:])}, nil
}

func newToken() (Token, error) { return NewToken(rand.Reader) }

// Secret is the secret half; Reveal the whole token as a node needs it.
func (t Token) Secret() string { return string(t.secret.Reveal()) }

// Reveal is the token in kubeadm's form.
func (t Token) Reveal() string { return t.ID + "." + t.Secret() }

// String redacts the secret.
func (t Token) String() string { return t.ID + ".[redacted]" }

// GoString redacts the secret.
func (t Token) GoString() string { return "rendezvous.Token{" + t.String() + "}" }

// Format redacts the secret under every verb.
func (t Token) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, t.String()) }

// MarshalJSON redacts the secret.
func (t Token) MarshalJSON() ([]byte, error) { return []byte(`"` + t.String() + `"`), nil }
