package rendezvous

import (
	"slices"
	"time"
)

// Node is the record of one node: what it claimed, how far it is, and whether its credential is still worth anything.
type Node struct {
	Name string `json:"name"`
	Role Role   `json:"role"`
	// Pool is the pool whose credential the node used, empty for a node of the spec.
	Pool   string `json:"pool,omitempty"`
	Serial string `json:"serial,omitempty"`
	// Machine is the machine that claimed the name; empty: nobody did since the node was (re)opened.
	Machine string `json:"machine,omitempty"`
	// Baseline is the Node object as it was at the claim. Only another one counts as joined.
	Baseline NodeObject `json:"baseline,omitzero"`
	// Tokens are the ids (not the secrets) of bootstrap tokens that may still exist.
	Tokens []string `json:"tokens,omitempty"`
	// Closed: the node has joined, nothing is handed out any more.
	Closed bool `json:"closed,omitempty"`
	// Revoked: the operator took the credential back.
	Revoked bool `json:"revoked,omitempty"`
	// Reopened counts how often the operator opened the node again.
	Reopened int `json:"reopened,omitempty"`
	// Step is what the node does, Since since when (clock of the control plane that was told), Error what failed last.
	Step  string    `json:"step,omitempty"`
	Since time.Time `json:"since,omitzero"`
	Error string    `json:"error,omitempty"`
	// Refused is the last refusal that an operator should see, such as a second machine with the same name.
	Refused string `json:"refused,omitempty"`
}

// NodeObject is what identifies one life of a Kubernetes Node; zero when there is none.
type NodeObject struct {
	UID    string `json:"uid,omitempty"`
	BootID string `json:"bootID,omitempty"`
	Ready  bool   `json:"ready,omitempty"`
}

// Claim is a machine's wish to be a node.
type Claim struct {
	// Name is the host name, needed with a pool's credential; with a node's own it may be left out.
	Name    string `json:"name,omitempty"`
	Machine string `json:"machine"`
}

// Enrolment is a claim, and a control plane's proof that it holds the join lease.
type Enrolment struct {
	Claim
	Held *Held `json:"held,omitempty"`
}

// OperatorRequest names the node, or the pool, that an operator's call is about.
type OperatorRequest struct {
	Node string `json:"node,omitempty"`
	Pool string `json:"pool,omitempty"`
}

// State is open, joined or revoked.
func (n *Node) State() string {
	switch {
	case n.Revoked:
		return "revoked"
	case n.Closed:
		return "joined"
	}
	return "open"
}

// refused is the answer of a node whose credential is spent or taken back, nil otherwise.
func (n *Node) refused() error {
	switch {
	case n.Revoked:
		return Errorf(CodeRevoked, "the credential of %s is revoked", n.Name)
	case n.Closed:
		return Errorf(CodeClosed, "%s has joined and its enrolment is closed; `gen reopen %s` opens it again", n.Name, n.Name)
	}
	return nil
}

// Claim gives the name to a machine. token is the id of the token that will be minted for it: it is written down before
// it exists, so that whatever happens it can be deleted. before is the Node object as it is now.
//
// A node's own credential follows the newest machine (a machine that died half-way is set up again and has another
// machine-id); in a pool, where names are not signed, the first machine keeps the name.
func (n *Node) Claim(id Identity, name string, c Claim, before NodeObject, token string, now time.Time) error {
	n.Name, n.Role = name, id.Role
	if err := n.refused(); err != nil {
		return err
	}
	if err := n.taken(id, name, c, before); err != nil {
		return err
	}
	if n.Machine != "" && n.Machine != c.Machine {
		n.Refused = clip("claimed by a second machine at " + now.UTC().Format(time.RFC3339) + ": if nobody set it up again, its document was copied")
	}
	if n.Machine == "" {
		n.Baseline = before // a later claim of the same enrolment must not take the joined node for the old one
		n.Refused = ""
	}
	n.Pool, n.Serial, n.Machine = poolOf(id), id.Serial, c.Machine
	n.Tokens = appendNew(n.Tokens, token)
	n.at("joining", "", now)
	return nil
}

// taken says who has the name, nil when the machine may have it.
func (n *Node) taken(id Identity, name string, c Claim, before NodeObject) error {
	switch pool := poolOf(id); {
	case n.Machine != "" && n.Pool != pool:
		return Errorf(CodeForbidden, "the name %s is claimed with another credential; give this machine another host name, or free it with `gen reopen %s`", name, name)
	case n.Machine != "" && n.Machine != c.Machine && pool != "":
		return Errorf(CodeForbidden, "the name %s is claimed by another machine; give this one another host name, or free it with `gen reopen %s`", name, name)
	case n.Machine == "" && pool != "" && before.UID != "":
		return Errorf(CodeForbidden, "a node %s is in the cluster already; give this machine another host name", name)
	}
	return nil
}

// poolOf is the pool of an identity, empty for a node of the spec.
func poolOf(id Identity) string {
	if id.Pool == nil {
		return ""
	}
	return id.Name
}

// Progress notes what the node does.
func (n *Node) Progress(step, failure string, now time.Time) error {
	if n.Revoked {
		return n.refused()
	}
	n.at(clip(step), clip(failure), now)
	return nil
}

func (n *Node) at(step, failure string, now time.Time) {
	if n.Step != step || n.Error != failure || n.Since.IsZero() {
		n.Step, n.Error, n.Since = step, failure, now
	}
}

// Joined reports whether object is another one than at the claim.
func (n *Node) Joined(object NodeObject) bool {
	return object.UID != "" && (object.UID != n.Baseline.UID || object.BootID != n.Baseline.BootID)
}

// Close ends the enrolment.
func (n *Node) Close(now time.Time) {
	n.Closed, n.Tokens = true, nil
	n.at("joined", "", now)
}

// Reopen makes the credential worth one more enrolment, by any machine. Its tokens are gone before.
func (n *Node) Reopen(now time.Time) {
	if !n.Closed && !n.Revoked && n.Machine == "" {
		return // asked twice
	}
	n.Closed, n.Revoked, n.Machine, n.Serial, n.Refused = false, false, "", "", ""
	n.Pool, n.Baseline = "", NodeObject{}
	n.Reopened++
	n.at("reopened", "", now)
}

// Revoke takes the credential back.
func (n *Node) Revoke(now time.Time) {
	n.Revoked = true
	n.at("revoked", "", now)
}

// PoolRecord is the record of one pool.
type PoolRecord struct {
	// Members are the names its machines took.
	Members []string `json:"members,omitempty"`
	Revoked bool     `json:"revoked,omitempty"`
}

// refused is the answer of a pool whose credential was taken back, nil otherwise.
func (p *PoolRecord) refused(pool string) error {
	if p.Revoked {
		return Errorf(CodeRevoked, "the credential of pool %s is revoked", pool)
	}
	return nil
}

// Admit lets a name into the pool within its bounds; it says whether the record has to be written. A name that is in
// already is not a new machine: it may come back after joinUntil, as a machine that was powered off does.
func (p *PoolRecord) Admit(id Identity, name string, now time.Time) (bool, error) {
	if err := p.refused(id.Name); err != nil {
		return false, err
	}
	if slices.Contains(p.Members, name) {
		return false, nil
	}
	if !id.Pool.JoinUntil.IsZero() && now.After(id.Pool.JoinUntil) {
		return false, Errorf(CodeForbidden, "pool %s takes machines until %s only", id.Name, id.Pool.JoinUntil.UTC().Format(time.RFC3339))
	}
	if limit := min(id.Pool.MaxNodes, MaxPool); len(p.Members) >= limit {
		return false, Errorf(CodeForbidden, "pool %s is full: maxNodes is %d; `gen reopen NODE` frees the place of a machine that is gone", id.Name, limit)
	}
	p.Members = append(p.Members, name)
	return true, nil
}

// Remove frees the place of a name.
func (p *PoolRecord) Remove(name string) bool {
	before := len(p.Members)
	p.Members = slices.DeleteFunc(p.Members, func(m string) bool { return m == name })
	return len(p.Members) != before
}
