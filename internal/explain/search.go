package explain

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/diff"

	"muster/internal/decode"
	"muster/internal/plan"
	"muster/internal/problem"
	"muster/internal/spec"
	"muster/profiles"
)

// view extracts the explained file from a plan.
type view func(plan.Machine) (data []byte, there bool, err error)

// probe is one value that is tried.
type probe struct {
	kind Kind
	// file is the spec or the profile; none for a default.
	file string
	leaf
}

// finding is what became of the file when one value was changed.
type finding struct {
	gone  bool
	lines map[int]bool
}

// search finds the values that a file depends on. It changes all of them at once, and halves the set as long as that
// touches the file: most values of a spec have nothing to do with most files.
type search struct {
	*explainer
	view view
	// data is the file as it is, and line the line that is asked for, or 0.
	data   []byte
	line   int
	probes []probe
	found  map[int]*finding // by index in probes
	// cluster and profiles are as they were read, but while a plan is made, which changes some of their values.
	cluster  *spec.Cluster
	profiles map[string]*profiles.Profile
}

// trace runs a search for what plays a part in a line of data, or in all of it, and takes over what it finds.
func (e *explainer) trace(base []byte, line int, look view) error {
	s := &search{explainer: e, view: look, data: base, line: line, found: map[int]*finding{}, cluster: &spec.Cluster{}, profiles: map[string]*profiles.Profile{}}
	decode.Into(s.cluster, s.Sources[s.Spec], &problem.List{}) // gen has read the same text without a complaint
	for _, m := range e.Machines {
		if name := m.Target.Profile.V; s.profiles[name] == nil {
			s.profiles[name] = s.profile(name)
		}
	}
	data, there, err := s.planned(nil, 0)
	if err != nil {
		return fmt.Errorf("%s: planning the machine again failed: %w", e.out.File, err)
	}
	if !there || !bytes.Equal(data, base) {
		return fmt.Errorf("%s: planning the machine again gave another file; that is a mistake of gen's, please report it", e.out.File)
	}
	s.list()
	s.rounds()
	s.report()
	return nil
}

// rounds tries each way of changing values in turn. Lists and mappings have rounds of their own: one that is left out as
// a whole would hide what the values inside it do. So have choices: two changed together can cancel out, for example a
// node's role and dryRun.
func (s *search) rounds() {
	most := 0
	for _, p := range s.probes {
		most = max(most, len(p.changes))
	}
	for way := range most {
		values, choices, wholes := []int{}, []int{}, []int{}
		for i, p := range s.probes {
			settled := s.line > 0 && s.found[i] != nil && len(s.found[i].lines) > 0
			switch {
			case settled || way >= len(p.changes):
			case p.whole:
				wholes = append(wholes, i)
			case p.choice:
				choices = append(choices, i)
			default:
				values = append(values, i)
			}
		}
		s.halve(values, way)
		s.choose(choices, way)
		s.halve(wholes, way)
	}
}

// fewChoices is how many choices of machines are tried one by one. More of them are the roles of many nodes.
const fewChoices = 12

// choose tries choices one by one, but those of many machines, which would be as many plans.
func (s *search) choose(choices []int, way int) {
	var machines []int
	for _, i := range choices {
		if strings.HasPrefix(s.probes[i].at.Path, "spec.nodes[") || strings.HasPrefix(s.probes[i].at.Path, "spec.pools[") {
			machines = append(machines, i)
			continue
		}
		s.halve([]int{i}, way)
	}
	if len(machines) > fewChoices {
		s.halve(machines, way)
		return
	}
	for _, i := range machines {
		s.halve([]int{i}, way)
	}
}

// list gathers all values that can be tried: those of the spec, of its defaults, and of the profiles.
func (s *search) list() {
	for _, l := range leavesOf(s.cluster, s.Sources[s.Spec]) {
		s.probes = append(s.probes, probe{FromSpec, s.Spec, l})
	}
	for _, l := range s.defaults(s.defaulted()) {
		s.probes = append(s.probes, probe{FromDefault, "", l})
	}
	for _, name := range slices.Sorted(maps.Keys(s.profiles)) {
		file := spec.ProfileFile(s.Spec, name)
		for _, l := range leavesOf(s.profiles[name], s.Sources[file]) {
			s.probes = append(s.probes, probe{FromProfile, file, l})
		}
	}
}

// defaulted is the cluster with its defaults, which follow from values that may be changed. The nodes are those of the
// cluster itself: none of their values has a default.
func (s *search) defaulted() *spec.Cluster {
	c := *s.cluster
	foundedAgain(&c)
	c.Default(factsOf(s.profiles))
	return &c
}

// defaults are the leaves of a cluster that no line of the spec holds.
func (s *search) defaults(c *spec.Cluster) []leaf {
	nodes, pools := c.Spec.Nodes, c.Spec.Pools
	c.Spec.Nodes, c.Spec.Pools = spec.List[spec.Node]{}, spec.List[spec.Pool]{}
	defer func() { c.Spec.Nodes, c.Spec.Pools = nodes, pools }()
	return slices.DeleteFunc(leavesOf(c, s.Sources[s.Spec]), func(l leaf) bool { return l.at.Known() || l.at.Path == "" })
}

// profile reads a profile.
func (s *search) profile(name string) *profiles.Profile {
	return profiles.Read(s.Sources[spec.ProfileFile(s.Spec, name)], name, &problem.List{})
}

// factsOf are the facts that defaults follow from.
func factsOf(loaded map[string]*profiles.Profile) spec.Facts {
	facts := spec.Facts{Profiles: map[string]spec.ProfileFacts{}}
	for name, p := range loaded {
		facts.Profiles[name] = spec.ProfileFacts{DefaultVersion: p.Kubernetes.Default.V}
	}
	return facts
}

// halve looks for the probes that touch the file when they are changed the given way.
func (s *search) halve(round []int, way int) {
	if len(round) == 0 {
		return
	}
	data, there, err := s.planned(round, way)
	switch touched := s.touched(data, there); {
	case err == nil && len(touched) == 0 && there:
	case len(round) > 1:
		s.halve(round[:len(round)/2], way)
		s.halve(round[len(round)/2:], way)
	case err != nil:
		// A plan that cannot be made with another value tells nothing of it.
	default:
		f := s.found[round[0]]
		if f == nil {
			f = &finding{lines: map[int]bool{}}
			s.found[round[0]] = f
		}
		f.gone = f.gone || !there
		for _, line := range touched {
			f.lines[line] = true
		}
	}
}

// touched are the lines of the file that are asked for and that the other version does not have.
func (s *search) touched(data []byte, there bool) []int {
	if !there {
		return nil
	}
	lines := missing(s.data, data)
	if s.line > 0 {
		lines = slices.DeleteFunc(lines, func(n int) bool { return n != s.line })
	}
	return lines
}

// missing are the lines of a text, from 1, that another one does not have.
func missing(text, other []byte) []int {
	var lines []int
	at, inHunk := 0, false
	for line := range bytes.Lines(diff.Diff("a", text, "b", other)) {
		var ignored int
		if n, _ := fmt.Sscanf(string(line), "@@ -%d,%d +%d", &at, &ignored, &ignored); n == 3 {
			inHunk = true
			continue
		}
		switch {
		case !inHunk:
		case line[0] == '-':
			lines = append(lines, at)
			at++
		case line[0] == ' ':
			at++
		}
	}
	return lines
}

// planned is the file when some probes are changed.
func (s *search) planned(round []int, way int) (data []byte, there bool, err error) {
	defer func() {
		if r := recover(); r != nil { // the plan relies on a validator that the changed spec has not passed
			err = fmt.Errorf("%v", r)
		}
	}()
	for _, i := range round {
		if p := s.probes[i]; p.kind != FromDefault {
			defer p.changes[way]()()
		}
	}
	cluster := s.defaulted()
	s.changeDefaults(cluster, round, way)
	index := s.index
	if s.machine.Config.Pool {
		index += len(cluster.Spec.Nodes.Items) - s.nodes()
	}
	return s.view(s.Replan(cluster, s.profiles, index))
}

// nodes is the number of the machines that are no pools; those come first.
func (s *search) nodes() int {
	return len(slices.DeleteFunc(slices.Clone(s.Machines), func(m plan.Machine) bool { return m.Config.Pool }))
}

// changeDefaults changes defaults, which are known by their path: others may be there when the spec sets something else.
func (s *search) changeDefaults(cluster *spec.Cluster, round []int, way int) {
	wanted := map[string]bool{}
	for _, i := range round {
		if p := s.probes[i]; p.kind == FromDefault {
			wanted[p.at.Path] = true
		}
	}
	if len(wanted) == 0 {
		return
	}
	for _, l := range s.defaults(cluster) {
		if wanted[l.at.Path] && way < len(l.changes) {
			l.changes[way]()
		}
	}
}

// foundedAgain adds a control plane to a cluster that has lost its only one to a changed role, since there is no plan
// without.
func foundedAgain(cluster *spec.Cluster) {
	nodes := &cluster.Spec.Nodes
	if len(nodes.Items) == 0 || len(cluster.ControlPlanes()) > 0 {
		return
	}
	standIn := spec.Node{Scope: nodes.Items[0].Scope}
	standIn.Name.Default("stand-in")
	standIn.Role.Default(spec.ControlPlane)
	standIn.Address.Default("192.0.2.1") // of the network for examples, RFC 5737
	nodes.Items = append(slices.Clip(nodes.Items), standIn)
}

// report turns findings into the explanation. A list or mapping says nothing where a value inside it says the same.
func (s *search) report() {
	var order []int
	for i := range s.found {
		order = append(order, i)
	}
	slices.SortFunc(order, func(a, b int) int {
		p, q := s.probes[a], s.probes[b]
		return cmp.Or(cmp.Compare(p.rank(), q.rank()), strings.Compare(p.file, q.file), cmp.Compare(p.at.Line, q.at.Line), cmp.Compare(p.at.Column, q.at.Column), cmp.Compare(a, b))
	})
	for _, i := range order {
		p, f := s.probes[i], s.found[i]
		switch lines := s.ownLines(i); {
		case len(lines) > 0 && s.line > 0:
			s.out.Values = appendValue(s.out.Values, p.asValue(nil))
		case len(lines) > 0:
			s.out.Values = appendValue(s.out.Values, p.asValue(lines))
		case f.gone && len(f.lines) == 0 && !s.goneWithin(i):
			s.out.Existence = appendValue(s.out.Existence, p.asValue(nil))
		}
	}
}

func (p probe) rank() int { return slices.Index([]Kind{FromSpec, FromDefault, FromProfile}, p.kind) }

func (p probe) asValue(lines []int) Value {
	return Value{Kind: p.kind, Where: placeIn(p.file, p.at), Value: p.value, Lines: lines}
}

// appendValue adds a value. The key and the value of an entry are one, and so are the lines of a text that stands on one
// line of the spec, which have no value in common.
func appendValue(all []Value, v Value) []Value {
	i := slices.IndexFunc(all, func(o Value) bool {
		return o.Where.File == v.Where.File && o.Where.Path == v.Where.Path && o.Where.Line == v.Where.Line
	})
	if i < 0 {
		return append(all, v)
	}
	same := &all[i]
	same.Lines = slices.Compact(slices.Sorted(slices.Values(append(same.Lines, v.Lines...))))
	if same.Value == "" {
		same.Where, same.Value = v.Where, v.Value
	} else if same.Value != v.Value {
		same.Value = ""
	}
	return all
}

// ownLines are the lines that depend on a probe and on none inside it.
func (s *search) ownLines(i int) []int {
	lines := maps.Clone(s.found[i].lines)
	for j, other := range s.found {
		if s.probes[i].holds(s.probes[j]) {
			for line := range other.lines {
				delete(lines, line)
			}
		}
	}
	return slices.Sorted(maps.Keys(lines))
}

// goneWithin reports whether the file also goes with a value inside the probe.
func (s *search) goneWithin(i int) bool {
	for j, other := range s.found {
		if s.probes[i].holds(s.probes[j]) && other.gone {
			return true
		}
	}
	return false
}

// holds reports whether another probe is a part of this one.
func (p probe) holds(other probe) bool {
	rest, below := strings.CutPrefix(other.at.Path, p.at.Path)
	return p.kind == other.kind && p.file == other.file && below && rest != "" && strings.ContainsRune(".[", rune(rest[0]))
}
