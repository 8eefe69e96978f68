package credential

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// A grant is the credential of a worker, or of a pool of workers: a text that it sends as a bearer token,
//
//	base64url(JSON) "." base64url(signature)
//
// signed with the key of the rendezvous CA itself. A key of its own, certified by the CA, would be one more file in
// every control plane's document and protect nothing more: both keys come from the same seed and are never on a node.
// What is signed starts with grantContext, which no certificate does (DER starts with byte 0x30), so neither can pass
// for the other.
const grantContext = "muster grant v1\n"

// maxGrantLength is in bytes and bounds what is decoded before the signature is checked. The longest honest grant, with
// two names of 253 characters, is below 1,100.
const maxGrantLength = 2048

// The reasons why VerifyGrant refuses, with ErrOtherCluster. They are constant: nothing of the token is repeated.
var (
	ErrGrantMalformed = errors.New("the bearer token is no grant: send the one in this node's document, whole")
	ErrGrantForged    = errors.New("the grant is not signed by the rendezvous CA of this cluster: use the document that gen wrote with its secrets bundle")
)

// grantText is what a grant says, in the order that it is written.
type grantText struct {
	Cluster string     `json:"cluster"`
	Role    Role       `json:"role"`
	Name    string     `json:"name"`
	Serial  string     `json:"serial"`
	Pool    *grantPool `json:"pool,omitempty"`
}

type grantPool struct {
	MaxNodes  int    `json:"maxNodes"`
	JoinUntil string `json:"joinUntil,omitempty"` // RFC 3339, UTC
}

// grantEncoding is strict, so that a grant has one spelling only.
var grantEncoding = base64.RawURLEncoding.Strict()

// SignGrant writes a worker's identity as a grant, the same bytes for the same key and identity (RFC 6979). It fails
// for other roles and for bounds that cannot be met.
func SignGrant(ca *ecdsa.PrivateKey, id Identity) (Secret, error) {
	if id.Role != Worker {
		return Secret{}, fmt.Errorf("grant for %s: role %s: only a worker is known by a grant; other roles have certificates", id.Name, id.Role)
	}
	payload, err := encodeGrant(id)
	if err != nil {
		return Secret{}, err
	}
	signed := grantEncoding.EncodeToString(payload)
	digest := grantDigest(signed)
	signature, err := ca.Sign(nil, digest[:], crypto.SHA256)
	if err != nil {
		return Secret{}, fmt.Errorf("grant for %s: sign: %w", id.Name, err)
	}
	return NewSecret([]byte(signed + "." + grantEncoding.EncodeToString(signature))), nil
}

func encodeGrant(id Identity) ([]byte, error) {
	text := grantText{Cluster: id.Cluster, Role: id.Role, Name: id.Name, Serial: id.Serial}
	if id.Pool != nil {
		text.Pool = &grantPool{MaxNodes: id.Pool.MaxNodes}
		if !id.Pool.JoinUntil.IsZero() {
			text.Pool.JoinUntil = id.Pool.JoinUntil.UTC().Format(time.RFC3339)
		}
	}
	if _, err := text.identity(); err != nil {
		return nil, fmt.Errorf("grant for %.64s: %w", id.Name, err)
	}
	return json.Marshal(text)
}

// identity checks what a grant says and turns it into the identity that it proves.
func (g grantText) identity() (Identity, error) {
	if err := errors.Join(CheckName(g.Cluster), CheckName(g.Name)); err != nil {
		return Identity{}, err
	}
	if g.Role != Worker {
		return Identity{}, errors.New("role: want worker")
	}
	if len(g.Serial) != serialDigits || strings.Trim(g.Serial, "0123456789abcdef") != "" {
		return Identity{}, fmt.Errorf("serial: want %d hexadecimal digits", serialDigits)
	}
	id := Identity{Cluster: g.Cluster, Role: g.Role, Name: g.Name, Serial: g.Serial}
	if g.Pool == nil {
		return id, nil
	}
	if g.Pool.MaxNodes < 1 {
		return Identity{}, errors.New("maxNodes: want at least 1")
	}
	id.Pool = &Pool{MaxNodes: g.Pool.MaxNodes}
	if g.Pool.JoinUntil != "" {
		until, err := time.Parse(time.RFC3339, g.Pool.JoinUntil)
		if err != nil || until.UTC().Format(time.RFC3339) != g.Pool.JoinUntil {
			return Identity{}, errors.New("joinUntil: want a moment in UTC of the years 0 to 9999")
		}
		id.Pool.JoinUntil = until.UTC()
	}
	return id, nil
}

// serialDigits is 16 bytes in hexadecimal digits.
const serialDigits = 32

// VerifyGrant tells whose grant a bearer token is. ca is the rendezvous CA of the cluster. It looks at no clock:
// joinUntil is for the rendezvous to enforce, which knows the members that a pool has already. The errors are
// ErrGrantMalformed, ErrGrantForged and ErrOtherCluster.
func VerifyGrant(ca *x509.Certificate, cluster, token string) (Identity, error) {
	key, ok := ca.PublicKey.(*ecdsa.PublicKey)
	if !ok {
		return Identity{}, ErrGrantForged
	}
	signed, encoded, found := strings.Cut(token, ".")
	if len(token) > maxGrantLength || !found {
		return Identity{}, ErrGrantMalformed
	}
	signature, err := decodeGrantPart(encoded)
	if err != nil {
		return Identity{}, ErrGrantMalformed
	}
	if digest := grantDigest(signed); !ecdsa.VerifyASN1(key, digest[:], signature) {
		return Identity{}, ErrGrantForged
	}
	payload, err := decodeGrantPart(signed)
	if err != nil {
		return Identity{}, ErrGrantMalformed
	}
	id, err := decodeGrant(payload)
	if err != nil {
		return Identity{}, ErrGrantMalformed
	}
	if id.Cluster != cluster {
		return Identity{}, ErrOtherCluster
	}
	return id, nil
}

func decodeGrant(payload []byte) (Identity, error) {
	decoder := json.NewDecoder(bytes.NewReader(payload))
	// A field that this release does not know may be a bound: refusing is the safe side.
	decoder.DisallowUnknownFields()
	var text grantText
	if err := decoder.Decode(&text); err != nil {
		return Identity{}, err
	}
	if _, err := decoder.Token(); err != io.EOF {
		return Identity{}, errors.New("text after the grant")
	}
	return text.identity()
}

// decodeGrantPart refuses line breaks, which base64's decoder would skip.
func decodeGrantPart(text string) ([]byte, error) {
	if strings.ContainsAny(text, "\r\n") {
		return nil, errors.New("a line break inside a grant")
	}
	return grantEncoding.DecodeString(text)
}

func grantDigest(signed string) [sha256.Size]byte {
	return sha256.Sum256([]byte(grantContext + signed))
}
