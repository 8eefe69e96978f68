package rendezvous_test

import (
	"slices"
	"testing"

	"muster/internal/rendezvous"
)

func TestDecide(t *testing.T) {
	none := func(name string) rendezvous.Membership { return rendezvous.Membership{Node: name} }
	holds := func(name, uid string, confirmed bool) rendezvous.Membership {
		return rendezvous.Membership{Node: name, Holds: true, UID: uid, Confirmed: confirmed}
	}
	running := func(name string) rendezvous.Membership {
		return rendezvous.Membership{Node: name, InCluster: true}
	}
	type answers = []rendezvous.Membership
	three, five := rendezvous.ControlPlanes{"a", "b", "c"}, rendezvous.ControlPlanes{"a", "b", "c", "d", "e"}
	for _, c := range []struct {
		name    string
		planes  rendezvous.ControlPlanes
		self    rendezvous.Membership
		before  bool
		answers answers
		want    rendezvous.Decision
		from    string
		missing []string
		revoked []string
	}{
		{"one founds alone", rendezvous.ControlPlanes{"a"}, none("a"), false, nil, rendezvous.Found, "", nil, nil},
		{"one founds again: there was never another", rendezvous.ControlPlanes{"a"}, none("a"), true, nil, rendezvous.Found, "", nil, nil},
		{"two: both are needed", rendezvous.ControlPlanes{"a", "b"}, none("a"), false, nil, rendezvous.Wait, "", []string{"b"}, nil},
		{"two: both are there", rendezvous.ControlPlanes{"a", "b"}, none("a"), false, answers{none("b")}, rendezvous.Found, "", nil, nil},
		{"three: alone", three, none("a"), false, nil, rendezvous.Wait, "", []string{"b", "c"}, nil},
		{"three: a majority", three, none("a"), false, answers{none("c")}, rendezvous.Found, "", nil, nil},
		{"three: not the first", three, none("b"), false, answers{none("c")}, rendezvous.Wait, "", []string{"a"}, nil},
		{"three: not the first, though all answer", three, none("b"), false, answers{none("a"), none("c")}, rendezvous.Wait, "", []string{"a"}, nil},
		{"five: two are no majority", five, none("a"), false, answers{none("b")}, rendezvous.Wait, "", []string{"c", "d", "e"}, nil},
		{"five: three are", five, none("a"), false, answers{none("b"), none("e")}, rendezvous.Found, "", nil, nil},
		{"one that holds settles it", three, none("a"), false, answers{none("b"), holds("c", "u", false)}, rendezvous.Join, "c", nil, nil},
		{"the confirmed one before the other", three, none("a"), false, answers{holds("b", "x", false), holds("c", "u", true)}, rendezvous.Join, "c", nil, nil},
		{"a wiped founder with a majority", three, none("a"), true, answers{none("c")}, rendezvous.Wait, "", []string{"b"}, nil},
		{"a wiped founder with all, and no cluster", three, none("a"), true, answers{none("b"), none("c")}, rendezvous.Wait, "", []string{"a"}, nil},
		{"all lost the store of a cluster that runs", three, running("a"), true, answers{running("b"), none("c")}, rendezvous.Found, "", nil, nil},
		{"all but one lost it", three, running("a"), true, answers{running("b")}, rendezvous.Wait, "", []string{"c"}, nil},
		{"a new first machine among ones in the cluster", three, none("a"), false, answers{running("b"), none("c")}, rendezvous.Wait, "", []string{"b"}, nil},
		{"the one in the cluster founds in its place", three, running("b"), false, answers{none("a")}, rendezvous.Found, "", nil, nil},
		{"the second in the cluster does not", three, running("c"), false, answers{none("a"), running("b")}, rendezvous.Wait, "", []string{"b"}, nil},
		{"revoked, and the cluster runs here", three, running("a"), true, answers{none("b")}, rendezvous.Found, "", nil, []string{"c"}},
		{"revoked, and another does not answer", three, running("a"), false, nil, rendezvous.Wait, "", []string{"b"}, []string{"c"}},
		{"revoked, and it may be the only one in the cluster", three, none("a"), false, answers{none("b")}, rendezvous.Wait, "", []string{"a"}, []string{"c"}},
		{"revoked, and it says so", three, none("b"), false, answers{running("a"), none("c")}, rendezvous.Wait, "", []string{"b"}, []string{"a"}},
		{"revoked, and its store is not joined", three, running("a"), false, answers{none("b"), holds("c", "u", true)}, rendezvous.Found, "", nil, []string{"c"}},
		{"two, the other revoked", rendezvous.ControlPlanes{"a", "b"}, running("b"), false, nil, rendezvous.Found, "", nil, []string{"a"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			verdict := c.planes.Decide(c.self, c.before, c.answers, func(name string) bool { return slices.Contains(c.revoked, name) })
			if verdict.Decision != c.want || verdict.From.Node != c.from || c.want == rendezvous.Wait && !slices.Equal(verdict.Missing, c.missing) {
				t.Errorf("%+v, want %d from %q missing %v", verdict, c.want, c.from, c.missing)
			}
		})
	}
}

// Any two numbers of promises that are enough have a machine in common, or one of them is of revoked ones only.
func TestEnough(t *testing.T) {
	planes := rendezvous.ControlPlanes{"a", "b", "c", "d", "e"}
	for revoked, want := range []int{3, 3, 3, 2, 1, 0} {
		if got := planes.Enough(func(name string) bool { return slices.Contains(planes[:revoked], name) }); got != want {
			t.Errorf("%d of 5 revoked: %d promises are enough, want %d", revoked, got, want)
		}
	}
}
