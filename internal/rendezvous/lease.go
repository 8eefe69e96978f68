package rendezvous

import (
	"slices"
	"time"
)

// Lease is the record of one lease: who may run kubeadm now. Its functions are pure: they change the value they are
// called on and say whether it has to be written; the conditional write of the store decides between writers.
//
// No wall clock takes part. A lease passes on when its record has not been written for LeaseTTL, measured by whoever
// wants it on a monotonic clock between two reads that saw the same version: clocks of machines at first boot may be
// years apart.
type Lease struct {
	// Epoch grows by one with every grant; a write that carries an older one is refused.
	Epoch int64 `json:"epoch"`
	// Holder is the node that holds the lease, empty when nobody does.
	Holder string `json:"holder,omitempty"`
	// Machine and Run tell the holder's machine, and the run of its agent, from another that uses the same credential.
	Machine string `json:"machine,omitempty"`
	Run     string `json:"run,omitempty"`
	// Attempt is the holder's latest ask; an older ask that arrives late must not count as a new one.
	Attempt int64 `json:"attempt,omitempty"`
	// Renewals counts renewals, so that each is a change of the record.
	Renewals int64 `json:"renewals,omitempty"`
	// Since is when the lease was granted, by the granting machine's clock: for people only.
	Since time.Time `json:"since,omitzero"`
	// Leftover names nodes that held the lease last, until another was granted it: what they did not finish in etcd
	// blocks others.
	Leftover []string `json:"leftover,omitempty"`
	// Committed is the one init that counts, nil until there is one.
	Committed *Commit `json:"committed,omitempty"`
}

// Commit is the end of the one kubeadm init.
type Commit struct {
	Node    string    `json:"node"`
	Machine string    `json:"machine"`
	Epoch   int64     `json:"epoch"`
	At      time.Time `json:"at"` // by the committing machine's clock: for people only
}

// Ask is a node's wish for a lease.
type Ask struct {
	Node    string `json:"-"` // from the credential
	Machine string `json:"machine"`
	Run     string `json:"run"`
	Attempt int64  `json:"attempt"`
	// Seen is the epoch of the lease as the asking run knows it, 0 at first. A grant needs the present one, so that an
	// ask that was under way for long, of a run that has ended, cannot take the lease from the run after it.
	Seen int64 `json:"seen"`
}

func (a Ask) check() error {
	if err := checkMachine(a.Machine); err != nil {
		return err
	}
	if !runPattern.MatchString(a.Run) {
		return Errorf(CodeInvalid, "run: 16 to 64 hexadecimal digits are expected, new for every run of the agent")
	}
	if a.Attempt < 1 {
		return Errorf(CodeInvalid, "attempt: a number from 1 on is expected, higher for every ask of a run")
	}
	return nil
}

// Acquire gives the lease to the asking node, or says why not. silent is for how long the record is known to be
// unwritten. The same run asking again keeps its epoch. Another run of the same machine (it was rebooted) gets a new
// epoch at once, which fences the older run; another machine with the same credential waits like any other node.
func (l *Lease) Acquire(ask Ask, silent time.Duration, now time.Time) error {
	switch {
	case l.Committed != nil:
		return l.refuse(CodeCommitted, "kubeadm init is committed by %s: join it", l.Committed.Node)
	case l.Holder == ask.Node && l.Run == ask.Run:
		if ask.Attempt <= l.Attempt {
			return l.refuse(CodeSuperseded, "a later ask of this run was answered")
		}
		l.Attempt = ask.Attempt
		l.Renewals++
	case ask.Seen != l.Epoch:
		return l.refuse(CodeConflict, "the lease is at epoch %d: ask again with it", l.Epoch)
	case l.Holder == "", l.Holder == ask.Node && l.Machine == ask.Machine:
		l.grant(ask, now)
	case silent >= LeaseTTL:
		if l.Holder != ask.Node {
			l.Leftover = appendNew(l.Leftover, l.Holder)
		}
		l.grant(ask, now)
	case l.Holder == ask.Node:
		return l.refuse(CodeHeld, "another machine holds this lease with the credential of %s: one of the two has the wrong document", ask.Node)
	default:
		return l.refuse(CodeHeld, "%s holds the lease; it passes on when %s has not been heard of for %s", l.Holder, l.Holder, LeaseTTL)
	}
	return nil
}

func (l *Lease) grant(ask Ask, now time.Time) {
	l.Epoch++
	l.Holder, l.Machine, l.Run, l.Attempt = ask.Node, ask.Machine, ask.Run, ask.Attempt
	l.Renewals, l.Since = 0, now
}

// Held is the proof of a holder: its run and the epoch it was granted.
type Held struct {
	Node  string `json:"-"` // from the credential
	Run   string `json:"run"`
	Epoch int64  `json:"epoch"`
}

func (l *Lease) holds(h Held) error {
	if l.Holder != h.Node || l.Run != h.Run || l.Epoch != h.Epoch {
		return l.refuse(CodeSuperseded, "epoch %d is not the lease's: stop kubeadm, reset, ask again", h.Epoch)
	}
	return nil
}

// Renew notes that the holder is alive, and returns whether the record has to be written. A holder whose epoch was
// superseded learns it here. One whose commit is recorded must not be told to stop, even if the answer to its commit
// was lost.
func (l *Lease) Renew(h Held) (bool, error) {
	if l.Committed != nil {
		if l.committedBy(h) {
			return false, nil
		}
		return false, l.refuse(CodeCommitted, "kubeadm init is committed by %s: reset and join it", l.Committed.Node)
	}
	if err := l.holds(h); err != nil {
		return false, err
	}
	l.Renewals++
	return true, nil
}

func (l *Lease) committedBy(h Held) bool {
	return l.Committed.Node == h.Node && l.Committed.Epoch == h.Epoch && l.Run == h.Run
}

// Commit makes the holder's init the one that counts, for ever. The same holder's second Commit changes nothing and
// succeeds: the answer to the first may have been lost. It says whether the record has to be written.
func (l *Lease) Commit(h Held, now time.Time) (bool, error) {
	if l.Committed != nil {
		_, err := l.Renew(h)
		return false, err
	}
	if err := l.holds(h); err != nil {
		return false, err
	}
	l.Committed = &Commit{Node: h.Node, Machine: l.Machine, Epoch: h.Epoch, At: now}
	return true, nil
}

// Release gives the lease back. Giving back what passed on already is not an error: the answer may have been lost. The
// holder may have failed and never come back, so it is Leftover; one that joined has left nothing unfinished.
func (l *Lease) Release(h Held) bool {
	if l.Committed != nil || l.holds(h) != nil {
		return false
	}
	l.Leftover = appendNew(l.Leftover, l.Holder)
	l.Holder, l.Machine, l.Run, l.Attempt, l.Renewals = "", "", "", 0, 0
	return true
}

func (l *Lease) refuse(code Code, format string, args ...any) *Error {
	e := Errorf(code, format, args...)
	seen := *l
	e.Lease = &seen
	if code == CodeHeld {
		return e.retryAfter(retryKubeadm)
	}
	return e
}

func appendNew(list []string, name string) []string {
	if slices.Contains(list, name) {
		return list
	}
	return append(list, name)
}
