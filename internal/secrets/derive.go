package secrets

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"slices"
	"strconv"
	"strings"
)

// derivationSalt names the scheme. It and the form of the info string below are a promise: a change of either gives
// every cluster new keys.
const derivationSalt = "muster/v1 secrets bundle"

// derive expands the seed (HKDF with SHA-256, RFC 5869) for one purpose within one cluster. Equal arguments give equal
// bytes, all others independent ones: no part may hold a zero byte, which keeps them apart. Names and times cannot.
func (b *Bundle) derive(size int, cluster, purpose string, parts ...string) []byte {
	info := strings.Join(append([]string{cluster, purpose}, parts...), "\x00")
	derived, err := hkdf.Key(sha256.New, b.seed.Reveal(), []byte(derivationSalt), info, size)
	if err != nil {
		// HKDF gives up to 255 hashes, 8160 bytes; every size here is a constant below.
		panic("secrets: derive " + purpose + ": " + err.Error())
	}
	return derived
}

// maxCandidates bounds key's loop: one candidate fails once in 2^32, so three of them never do.
const maxCandidates = 3

// key derives a P-256 private key. A candidate that is zero or not below the curve's order is rejected and the next one
// taken (the method of testing candidates of FIPS 186-5, A.2.2), so that every key is equally likely.
func (b *Bundle) key(cluster, purpose string, parts ...string) (*ecdsa.PrivateKey, error) {
	return firstKey(func(attempt int) []byte {
		return b.derive(32, cluster, purpose, append(slices.Clone(parts), strconv.Itoa(attempt))...)
	})
}

func firstKey(candidate func(attempt int) []byte) (*ecdsa.PrivateKey, error) {
	for attempt := range maxCandidates {
		if key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), candidate(attempt)); err == nil {
			return key, nil
		}
	}
	return nil, errors.New("no private key can be derived from this secrets bundle: create another one")
}
