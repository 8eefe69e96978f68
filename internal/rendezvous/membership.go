package rendezvous

// Membership is a control plane's answer about itself while the store is being formed.
type Membership struct {
	// Node is the control plane that answers.
	Node string `json:"node"`
	// Holds: it has data of a store, its own or one that it joined.
	Holds bool `json:"holds"`
	// UID tells which store it holds.
	UID string `json:"uid,omitempty"`
	// Confirmed: it promised, durably, never to give that store up by itself.
	Confirmed bool `json:"confirmed,omitempty"`
	// Known are all control planes that the machine knows, and where the store of each listens: those of its document,
	// and those that were added since.
	Known map[string]string `json:"known,omitempty"`
	// InCluster: the machine is a control plane of a running Kubernetes cluster.
	InCluster bool `json:"inCluster,omitempty"`
}

// Admission is a control plane's wish to become a member of the store that the asked one holds.
type Admission struct {
	Node    string `json:"-"`       // from the credential
	UID     string `json:"uid"`     // of the store it means
	ID      uint64 `json:"id"`      // its own, new with every empty disk
	Address string `json:"address"` // of its raft listener, host:port
}

// Confirmation asks a member to promise to keep its store.
type Confirmation struct {
	UID string `json:"uid"`
}

// ControlPlanes is the set of control planes that a spec names, in its order: the first may found the store.
type ControlPlanes []string

// Majority is the smallest number that is more than half.
func (c ControlPlanes) Majority() int { return len(c)/2 + 1 }

// Enough is how many have to promise to keep a store, of those that are not revoked: a majority of all, or all of them
// where they are fewer. A machine that does not know who is revoked counts the same majority: any two have one in common,
// or the second one is of revoked ones only.
func (c ControlPlanes) Enough(revoked func(name string) bool) int {
	left := 0
	for _, name := range c {
		if !revoked(name) {
			left++
		}
	}
	return min(left, c.Majority())
}

// Decision is what a control plane without a store may do now.
type Decision int

// The decisions.
const (
	Wait  Decision = iota
	Found          // make a new store
	Join           // become a member of the one that Verdict.From holds
)

// Verdict is a decision with its reason.
type Verdict struct {
	Decision Decision
	// From is whom to join.
	From Membership
	// Missing are the control planes that have to answer first.
	Missing []string
}

// Decide decides what a control plane that holds no store may do, by its own Membership and the answers that it got
// over mutual TLS. If one of them holds a store, nobody founds another. Else the founder is the first of the spec. If
// control planes already run in a cluster (whose store was lost), the first of them is the founder instead. It founds
// only after a majority, itself counted, answered that they hold none. One that founded before (foundedBefore) has lost
// its data: it founds again only when every control plane answered that it holds none, and when nothing can be
// forgotten, because the cluster runs here or there never was another control plane.
//
// One that is revoked is neither counted nor waited for, nor is its store joined. So that nothing that it has is
// forgotten, the same holds then as for one that founded before.
func (c ControlPlanes) Decide(self Membership, foundedBefore bool, answers []Membership, revoked func(name string) bool) Verdict {
	heard := map[string]Membership{self.Node: self}
	best := Membership{}
	for _, a := range answers {
		if revoked(a.Node) {
			continue
		}
		heard[a.Node] = a
		if a.Holds && (!best.Holds || a.Confirmed && !best.Confirmed) {
			best = a
		}
	}
	if best.Holds {
		return Verdict{Decision: Join, From: best}
	}
	verdict := Verdict{Decision: Wait}
	founder, running, empty := "", false, 0
	for _, name := range c {
		if revoked(name) {
			foundedBefore = true
			continue
		}
		a, ok := heard[name]
		if ok {
			empty++
		} else {
			verdict.Missing = append(verdict.Missing, name)
		}
		if founder == "" || a.InCluster && !running {
			founder, running = name, a.InCluster
		}
	}
	again := len(verdict.Missing) == 0 && (self.InCluster || len(c) == 1)
	if founder == self.Node && (again || !foundedBefore && empty >= c.Majority()) {
		return Verdict{Decision: Found}
	}
	if len(verdict.Missing) == 0 {
		verdict.Missing = []string{founder}
	}
	return verdict
}
