package secrets

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"muster/internal/secrets/credential"
)

// Authority is the rendezvous CA of one cluster, which makes the credentials of its nodes. It prints as redacted. It
// has nothing to do with the CAs that kubeadm creates, whose keys Muster never sees.
type Authority struct {
	bundle  *Bundle
	cluster string
	// A function for the reason that credential.Secret has one.
	key         func() *ecdsa.PrivateKey
	certificate *x509.Certificate
}

// What every certificate has in common. The clock of a machine at its first boot may be off by decades, so validity
// must not depend on it: 9999-12-31T23:59:59Z is RFC 5280's way to write "no end" (section 4.1.2.5). Credentials end by
// being closed or revoked.
var (
	notBefore = time.Date(2000, time.January, 1, 0, 0, 0, 0, time.UTC)
	notAfter  = time.Date(9999, time.December, 31, 23, 59, 59, 0, time.UTC)
)

const organization = "Muster rendezvous"

// The purposes of derived secrets; part of the promise of derivationSalt.
const (
	purposeCA          = "ca key"
	purposeCertificate = "certificate key"
	purposeSerial      = "serial"
)

// Authority derives the rendezvous CA of a cluster. The error is about a name that no cluster can have.
func (b *Bundle) Authority(cluster string) (*Authority, error) {
	if err := credential.CheckName(cluster); err != nil {
		return nil, fmt.Errorf("cluster %w", err)
	}
	key, err := b.key(cluster, purposeCA)
	if err != nil {
		return nil, err
	}
	a := &Authority{bundle: b, cluster: cluster, key: func() *ecdsa.PrivateKey { return key }}
	keyID, err := subjectKeyID(&key.PublicKey)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          a.serial(purposeCA),
		Subject:               pkix.Name{Organization: []string{organization}, CommonName: commonName(cluster)},
		NotBefore:             notBefore,
		NotAfter:              notAfter,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
		// DigitalSignature is for grants.
		KeyUsage:     x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		SubjectKeyId: keyID,
	}
	der, err := x509.CreateCertificate(nil, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, fmt.Errorf("certificate of the rendezvous CA: %w", err)
	}
	a.certificate, err = x509.ParseCertificate(der)
	return a, err
}

// Certificate returns the CA's certificate as one PEM block. It is public and lies on every node.
func (a *Authority) Certificate() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.certificate.Raw})
}

// ControlPlane makes the certificate by which a control plane serves and calls: the rendezvous' API, the store among
// the control planes. Clients find it under its node name and under its addresses, which may be none where they are not
// known beforehand.
func (a *Authority) ControlPlane(name string, addresses []netip.Addr) (credential.KeyPair, error) {
	if err := credential.CheckName(name); err != nil {
		return credential.KeyPair{}, fmt.Errorf("control plane %w", err)
	}
	template := &x509.Certificate{
		DNSNames:    []string{name},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for _, address := range addresses {
		if !address.IsValid() || address.IsUnspecified() || address.Zone() != "" {
			return credential.KeyPair{}, fmt.Errorf("control plane %s: address %s: want an address without a zone that other nodes reach", name, address)
		}
		template.IPAddresses = append(template.IPAddresses, net.IP(address.Unmap().AsSlice()))
	}
	return a.issue(template, credential.ControlPlane, name)
}

// Operator makes the certificate by which gen calls the rendezvous of a running cluster. It can serve nothing.
func (a *Authority) Operator() (credential.KeyPair, error) {
	template := &x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	return a.issue(template, credential.Operator, credential.OperatorName)
}

// WorkerGrant makes the grant of one worker.
func (a *Authority) WorkerGrant(name string) (credential.Secret, error) {
	return a.grant(credential.Identity{Name: name})
}

// PoolGrant makes the grant that the workers of a pool share. maxNodes is at least 1; a zero joinUntil means that the
// pool has no end, parts of a second are cut off.
func (a *Authority) PoolGrant(name string, maxNodes int, joinUntil time.Time) (credential.Secret, error) {
	return a.grant(credential.Identity{Name: name, Pool: &credential.Pool{MaxNodes: maxNodes, JoinUntil: joinUntil}})
}

func (a *Authority) grant(id credential.Identity) (credential.Secret, error) {
	if err := credential.CheckName(id.Name); err != nil {
		return credential.Secret{}, fmt.Errorf("worker or pool %w", err)
	}
	id.Cluster, id.Role = a.cluster, credential.Worker
	says := []string{string(id.Role), id.Name}
	if id.Pool != nil {
		says = append(says, strconv.Itoa(id.Pool.MaxNodes), id.Pool.JoinUntil.UTC().Format(time.RFC3339))
	}
	id.Serial = hex.EncodeToString(a.serial(says...).FillBytes(make([]byte, serialSize)))
	return credential.SignGrant(a.key(), id)
}

// issue completes the template of a node's or the operator's certificate and signs it. CreateCertificate signs
// deterministically when it gets no source of randomness (RFC 6979).
func (a *Authority) issue(template *x509.Certificate, role credential.Role, name string) (credential.KeyPair, error) {
	key, err := a.bundle.key(a.cluster, purposeCertificate, string(role), name)
	if err != nil {
		return credential.KeyPair{}, err
	}
	says := []string{string(role), name}
	for _, ip := range template.IPAddresses {
		says = append(says, ip.String())
	}
	template.SerialNumber = a.serial(says...)
	// The node's name is among the alternative names only: it may be longer than the 64 characters of a common name.
	template.Subject = pkix.Name{Organization: []string{organization}, CommonName: string(role)}
	template.NotBefore, template.NotAfter = notBefore, notAfter
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.BasicConstraintsValid = true
	template.URIs = []*url.URL{credential.IdentityURI(a.cluster, role, name)}

	der, err := x509.CreateCertificate(nil, template, a.certificate, &key.PublicKey, a.key())
	if err != nil {
		return credential.KeyPair{}, fmt.Errorf("certificate of %s %s: %w", role, name, err)
	}
	encodedKey, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return credential.KeyPair{}, errors.New("private key of " + string(role) + " " + name + ": cannot be encoded")
	}
	return credential.KeyPair{
		Certificate: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		Key:         credential.NewSecret(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encodedKey})),
	}, nil
}

// serialSize is in bytes. RFC 5280 allows 20 (section 4.1.2.2).
const serialSize = 16

// serial derives the serial number of a credential from all that it says, so that no two different ones share it.
func (a *Authority) serial(says ...string) *big.Int {
	bytes := a.bundle.derive(serialSize, a.cluster, purposeSerial, says...)
	// Positive in DER without a leading zero byte, never zero, and always the same length.
	bytes[0] = bytes[0]&0x7f | 0x40
	return new(big.Int).SetBytes(bytes)
}

// subjectKeyID is RFC 7093's first method, written out because what crypto/x509 fills in by itself has changed between
// releases of Go.
func subjectKeyID(key *ecdsa.PublicKey) ([]byte, error) {
	point, err := key.Bytes()
	if err != nil || key.Curve != elliptic.P256() {
		return nil, errors.New("key of the rendezvous CA: want one on P-256")
	}
	sum := sha256.Sum256(point)
	return sum[:20], nil
}

// commonName shortens a cluster's name to what X.520 allows. The identity is in the URI of the certificates below, not
// here.
func commonName(cluster string) string {
	const longest = 64
	return strings.TrimRight(cluster[:min(len(cluster), longest)], "-.")
}

// Format redacts under every verb and flag.
func (a *Authority) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, "rendezvous CA of "+a.cluster+" [redacted]")
}

// MarshalJSON fails with credential.ErrSecret.
func (a *Authority) MarshalJSON() ([]byte, error) { return nil, credential.ErrSecret }
