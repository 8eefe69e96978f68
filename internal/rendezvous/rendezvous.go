// Package rendezvous owns the protocol by which blank machines become one Kubernetes cluster: who runs kubeadm init,
// who joins next, which token a machine gets and when its credential stops being worth anything.
//
// It holds the types of the wire, the state machine (pure functions of a record and how long it has been silent) and
// the Service that applies it to a Store. It must not know HTTP (package server), how the store is replicated (package
// dqlite, the only importer of go-dqlite), or how credentials are made (they are verified by functions passed in). The
// guarantees, and what is lost in which failure, are in DESIGN.md beside this file.
package rendezvous

import (
	"regexp"
	"time"

	"muster/internal/secrets/credential"
)

// Limits that client, server and state machine share.
const (
	// LeaseTTL is how long a lease must have been silent, seen by one observer's monotonic clock, before it passes on.
	LeaseTTL = 10 * time.Minute
	// RenewEvery is how often a holder renews while kubeadm runs: thirty renewals may fail before the lease passes on.
	RenewEvery = 20 * time.Second
	// MaxTokenTTL is the longest life of a kubeadm bootstrap token.
	MaxTokenTTL = 15 * time.Minute
	// MaxBody is the largest request body in bytes; the largest honest one is below 2 KiB.
	MaxBody = 16 << 10
	// MaxText is the largest free text (an error, a step) kept of a node, in bytes.
	MaxText = 1024
	// MaxPool is the largest number of machines one pool may have: a pool is one record of the store.
	MaxPool = 5000
	// casAttempts bounds how often a conditional write is tried again after somebody else's came first.
	casAttempts = 32
	// casPause is how long the pause after the first of them may be.
	casPause = 10 * time.Millisecond
)

// Identity is what a verified credential says about its bearer. Nothing in it comes from the request.
type Identity = credential.Identity

// Role is what the bearer of a credential is.
type Role = credential.Role

var (
	machinePattern = regexp.MustCompile(`^[0-9a-f]{32,64}$`)
	runPattern     = regexp.MustCompile(`^[0-9a-f]{16,64}$`)
)

func checkName(name string) error {
	if err := credential.CheckName(name); err != nil {
		return Errorf(CodeInvalid, "%v", err)
	}
	return nil
}

func checkMachine(machine string) error {
	if !machinePattern.MatchString(machine) {
		return Errorf(CodeInvalid, "machine: 32 to 64 hexadecimal digits are expected, such as /etc/machine-id has them")
	}
	return nil
}

// clip keeps free text that a node sends printable and short: it ends up on consoles and in tables.
func clip(text string) string {
	clean := make([]rune, 0, len(text))
	size := 0
	for _, r := range text {
		if r < ' ' || r == 0x7f || r == 0x2028 || r == 0x2029 || (r >= 0x80 && r < 0xa0) {
			r = ' '
		}
		size += len(string(r))
		if size > MaxText {
			break
		}
		clean = append(clean, r)
	}
	return string(clean)
}
