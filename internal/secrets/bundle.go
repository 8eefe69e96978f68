// Package secrets owns the secrets bundle, a seed in a 0600 file beside the spec, and everything that is derived from
// it: the rendezvous CA of a cluster, the certificates of control planes and operator, and the workers' grants. The
// same bundle gives the same bytes for ever, and what one node gets depends on no other node.
//
// It runs on the operator's machine. Nothing that runs on a node may import it: what a node needs in order to verify is
// in package credential. It must not print, log or put into an error what it holds.
package secrets

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"muster/internal/secrets/credential"
)

// Bundle is the root of all secrets that Muster makes for a cluster. It prints as redacted.
type Bundle struct {
	seed credential.Secret
	// created is in UTC, to the second.
	created time.Time
}

const seedSize = 32

// Created is when the bundle was made, in UTC and to the second. No honest clock of a node that boots with it shows an
// earlier time.
func (b *Bundle) Created() time.Time { return b.created }

// Format redacts under every verb and flag.
func (b *Bundle) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "secrets bundle of %s [redacted]", b.created.Format(time.RFC3339))
}

// MarshalJSON fails with credential.ErrSecret: the only encoding of a bundle is its file.
func (b *Bundle) MarshalJSON() ([]byte, error) { return nil, credential.ErrSecret }

func newBundle(random io.Reader, now time.Time) (*Bundle, error) {
	seed := make([]byte, seedSize)
	if _, err := io.ReadFull(random, seed); err != nil {
		return nil, fmt.Errorf("no randomness for a secrets bundle: %w", err)
	}
	return &Bundle{seed: credential.NewSecret(seed), created: now.UTC().Truncate(time.Second)}, nil
}

// Test returns the bundle of tests and examples, whose seed is in this source: everything derived from it is public.
// Its file says so, and Load refuses that file with ErrTestBundle.
func Test() *Bundle {
	seed := make([]byte, seedSize) // all zero
	return &Bundle{seed: credential.NewSecret(seed), created: time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)}
}

// IsTest tells the bundle of Test, or any with its seed, from one that protects something.
func (b *Bundle) IsTest() bool { return string(b.seed.Reveal()) == string(Test().seed.Reveal()) }

// The errors of a bundle's contents; those of its file are in file.go.
var (
	// ErrTestBundle is Load's error for the test bundle.
	ErrTestBundle = errors.New("this is the public test bundle, it protects nothing: name another file, and gen will create a bundle there")
	errForeign    = errors.New("this is no secrets bundle of this release: restore it from a backup, or name another file")
	errDamaged    = errors.New("the secrets bundle was edited or damaged (its checksum differs): restore it from a backup")
)

// file is the bundle's file: JSON, so that the standard library reads and writes it.
type file struct {
	APIVersion string   `json:"apiVersion"`
	Kind       string   `json:"kind"`
	Note       string   `json:"note"`
	Created    string   `json:"created"`
	Seed       seedText `json:"seed"`
	// Checksum covers created and seed. A seed with a typing error would be as good as any, and give the nodes that are
	// set up from now on another CA than those that run.
	Checksum string `json:"checksum"`
}

// seedText is the one form in which the seed is encoded, base64. It prints as redacted like the Secret that it is.
type seedText struct{ credential.Secret }

// MarshalJSON reveals the seed.
func (s seedText) MarshalJSON() ([]byte, error) { return json.Marshal(s.Reveal()) }

// UnmarshalJSON leaves an empty seed when text is not one: an error would repeat a part of it.
func (s *seedText) UnmarshalJSON(text []byte) error {
	var seed []byte
	if err := json.Unmarshal(text, &seed); err != nil {
		seed = nil
	}
	s.Secret = credential.NewSecret(seed)
	return nil
}

const (
	fileAPIVersion = "muster/v1"
	fileKind       = "SecretsBundle"
	noteReal       = "Every credential of this cluster is derived from this seed. Keep it secret and keep a backup: without it no node can be added."
	noteTest       = "TEST BUNDLE: this seed is public. For tests and examples only; a cluster made with it is open to everybody."
)

// checksumSize is in bytes; it finds accidents, so it need not resist an attacker, who would replace seed and checksum
// together.
const checksumSize = 8

func (b *Bundle) checksum() string {
	return hex.EncodeToString(b.derive(checksumSize, "", "checksum", b.created.Format(time.RFC3339)))
}

func (b *Bundle) encode() ([]byte, error) {
	note := noteReal
	if b.IsTest() {
		note = noteTest
	}
	text, err := json.MarshalIndent(file{
		APIVersion: fileAPIVersion,
		Kind:       fileKind,
		Note:       note,
		Created:    b.created.Format(time.RFC3339),
		Seed:       seedText{b.seed},
		Checksum:   b.checksum(),
	}, "", "  ")
	return append(text, '\n'), err
}

// decode reads a bundle's file; no error of it repeats a part of the file.
func decode(text []byte) (*Bundle, error) {
	var f file
	if err := json.Unmarshal(text, &f); err != nil || len(text) > maxFileSize || f.APIVersion != fileAPIVersion || f.Kind != fileKind {
		return nil, errForeign
	}
	created, err := time.Parse(time.RFC3339, f.Created)
	if err != nil || len(f.Seed.Reveal()) != seedSize {
		return nil, errDamaged
	}
	b := &Bundle{seed: f.Seed.Secret, created: created.UTC()}
	switch {
	case b.IsTest():
		return nil, ErrTestBundle
	case f.Checksum != b.checksum():
		return nil, errDamaged
	}
	return b, nil
}
