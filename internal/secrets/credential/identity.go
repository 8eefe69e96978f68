package credential

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// Role is what the bearer of a credential is to the rendezvous.
type Role string

// The roles. ControlPlane and Operator are proved by a certificate, Worker by a grant.
const (
	ControlPlane Role = "control-plane"
	Worker       Role = "worker"
	Operator     Role = "operator"
)

// OperatorName is the name in the operator's certificate: there is one operator per cluster.
const OperatorName = "operator"

// Identity is what a verified credential says about its bearer.
type Identity struct {
	Cluster string
	Role    Role
	// Name is the node's name, or the pool's when Pool is set.
	Name string
	// Serial is in hexadecimal digits. It changes with anything that the credential says.
	Serial string
	// Addresses are a control plane's own, empty for other roles.
	Addresses []netip.Addr
	// Pool is set when any number of machines share the credential.
	Pool *Pool
}

// Pool bounds a credential that several machines share. The rendezvous, which counts them, enforces both bounds: a
// member that returns after JoinUntil, because it was powered off, is not a new machine.
type Pool struct {
	// MaxNodes is how many machines may join, at least 1.
	MaxNodes int
	// JoinUntil is the moment, to the second, after which no further machine may join. Zero: no end.
	JoinUntil time.Time
}

// The errors of a certificate that is of the rendezvous CA and yet no credential. They are constant: what was presented
// is not repeated.
var (
	ErrNoIdentity   = errors.New("the certificate carries no muster:// name: use one that gen made for this cluster")
	ErrOtherCluster = errors.New("the credential is another cluster's: use the documents of this cluster")
)

// uriScheme is of our own making: muster://CLUSTER/ROLE/NAME names the subject of a certificate, as the only URI among
// its alternative names.
const uriScheme = "muster"

// IdentityURI is the name that a certificate carries.
func IdentityURI(cluster string, role Role, name string) *url.URL {
	return &url.URL{Scheme: uriScheme, Host: cluster, Path: "/" + string(role) + "/" + name}
}

// FromCertificate reads the identity in a certificate that crypto/tls or crypto/x509 has verified against the
// rendezvous CA of the cluster already; by itself it proves nothing. The errors are ErrNoIdentity and ErrOtherCluster.
func FromCertificate(certificate *x509.Certificate, cluster string) (Identity, error) {
	if len(certificate.URIs) != 1 {
		return Identity{}, ErrNoIdentity
	}
	uri := certificate.URIs[0]
	role, name, _ := strings.Cut(strings.TrimPrefix(uri.Path, "/"), "/")
	id := Identity{Cluster: uri.Host, Role: Role(role), Name: name, Serial: fmt.Sprintf("%032x", certificate.SerialNumber)}
	// Comparing with what IdentityURI writes refuses every other spelling: user names, ports, queries, escapes,
	// fragments.
	known := id.Role == ControlPlane || id.Role == Operator
	if !known || CheckName(id.Cluster) != nil || CheckName(name) != nil || uri.String() != IdentityURI(id.Cluster, id.Role, name).String() {
		return Identity{}, ErrNoIdentity
	}
	if id.Cluster != cluster {
		return Identity{}, ErrOtherCluster
	}
	for _, ip := range certificate.IPAddresses {
		if address, ok := netip.AddrFromSlice(ip); ok {
			id.Addresses = append(id.Addresses, address.Unmap())
		}
	}
	return id, nil
}

// RFC 1123 section 2.1 and Kubernetes' rule for the names of nodes: labels of letters, digits and '-', joined by dots,
// in lower case.
var namePattern = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$`)

const maxNameLength = 253

// CheckName refuses what cannot be the name of a cluster, node or pool.
func CheckName(name string) error {
	if len(name) > maxNameLength || !namePattern.MatchString(name) {
		return fmt.Errorf("name %.64q: write lower-case letters, digits, '-' and '.', at most %d characters", name, maxNameLength)
	}
	return nil
}
