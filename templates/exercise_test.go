package templates

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// exercise is one or more steps of a phase, run on machines that start alike.
type exercise struct {
	phase string
	// steps are names within the phase.
	steps []string
	conf  string
	setup func(*machine)
	// check looks at a machine that the steps have brought through.
	check func(*testing.T, *machine)
	// differs lists paths that may differ after a cut run, such as times and logs of foreign programs.
	differs []string
	// cutRetries allows the run after a cut to need more than one try.
	cutRetries bool
	// fewCuts is for steps that change one thing at most: there may be no two different machines after a cut.
	fewCuts bool
	// everyStatus also boots what differs only in the status for the login screen: one exercise does, that is enough.
	everyStatus bool
}

func (e exercise) machine(t *testing.T) *machine {
	t.Helper()
	var names []string
	for _, s := range e.steps {
		names = append(names, e.phase+"/"+s)
	}
	m := newMachine(t, names, e.conf)
	if e.setup != nil {
		e.setup(m)
	}
	return m
}

// run runs the steps once, twice, and cut at every point followed by a whole run.
func (e exercise) run(t *testing.T) {
	t.Helper()
	e.cut(t, e.twice(t))
}

// tree is what machines are compared by.
func (e exercise) tree(m *machine) map[string]string {
	tree := m.tree()
	for path := range tree {
		if slices.ContainsFunc(e.differs, func(p string) bool { return strings.HasPrefix(path, p) }) {
			delete(tree, path)
		}
	}
	return tree
}

// twiceScript runs a phase twice in one boot. The second run must leave every file's change time alone.
const twiceScript = `
inventory() { find / -xdev \( -path /tmp -o -path /run -o -path /standin -o -path /sys -o -path /dev \) -prune -o -printf '%p %C@ %s %m\n' | sort >/standin/$1; }
/bin/bash $1 $2 >/standin/first || exit
inventory before; mv /standin/log /standin/first-log; : >/standin/log
/bin/bash $1 $2 >/standin/second || exit
inventory after`

func (e exercise) twice(t *testing.T) map[string]string {
	t.Helper()
	m := e.machine(t)
	if out, err := m.run(nil, "/bin/bash", "-c", twiceScript, "twice", runner, e.phase); err != nil {
		t.Fatalf("twice: %v\n%s%s", err, out, m.readOutside("first"))
	}
	first, second := m.readOutside("first"), m.readOutside("second")
	if strings.Contains(first, "FAILED") {
		t.Fatalf("more than one try was needed:\n%s", first)
	}
	for _, s := range e.steps {
		if done := " " + s + ": done ("; !strings.Contains(first, done) || !strings.Contains(m.readOutside("console"), done) {
			t.Fatalf("step %s did nothing on a fresh machine, or the console does not say so:\n%s", s, first)
		}
	}
	if diff := cmp.Diff(strings.Split(m.readOutside("before"), "\n"), strings.Split(m.readOutside("after"), "\n")); diff != "" {
		t.Errorf("the second run wrote:\n%s", diff)
	}
	if log := m.readOutside("log"); strings.Contains(log, " ! ") {
		t.Errorf("the second run acted:\n%s", log)
	}
	if got := strings.Count(second, "nothing to do"); got != len(e.steps) {
		t.Errorf("%d of %d steps had nothing to do the second time:\n%s", got, len(e.steps), second)
	}
	e.check(t, m)
	return e.tree(m)
}

// cut cuts the power before every command that could change something, in the scripts and in what plays the programs
// they call, and boots what each cut leaves: the machine must end as if nothing had happened.
func (e exercise) cut(t *testing.T, want map[string]string) {
	t.Helper()
	m := e.machine(t)
	must(t, os.MkdirAll(filepath.Join(m.base, "standin/cuts"), 0o755))
	must(t, os.MkdirAll(filepath.Join(m.base, "standin/cluster"), 0o755))
	if out, err := m.run([]string{"CUTS=1"}, "/bin/bash", runner, e.phase); err != nil {
		t.Fatalf("the run that is cut: %v\n%s", err, out)
	}
	cuts := m.cuts(e.everyStatus)
	if len(cuts) < 3 && !e.fewCuts || len(cuts) == 0 {
		t.Fatalf("only %d different machines to boot after a cut", len(cuts))
	}
	t.Logf("%d commands, %d different machines after a cut", len(m.readOutside("count")), len(cuts))
	for _, c := range cuts {
		e.bootAfter(t, c, want)
	}
}

// bootAfter runs the phase on what a cut left.
func (e exercise) bootAfter(t *testing.T, c cut, want map[string]string) {
	t.Helper()
	m := e.machine(t)
	must(t, os.RemoveAll(m.path("")))
	must(t, os.Rename(filepath.Join(c.folder, "upper"), m.path("")))
	must(t, os.RemoveAll(filepath.Join(m.base, "standin/cluster")))
	must(t, os.Rename(filepath.Join(c.folder, "cluster"), filepath.Join(m.base, "standin/cluster")))
	out, err := m.run(nil, "/bin/bash", runner, e.phase)
	if err != nil || !e.cutRetries && strings.Contains(out, "FAILED") {
		t.Fatalf("cut before %s, then: %v\n%s", c.command, err, out)
	}
	e.check(t, m)
	if diff := cmp.Diff(want, e.tree(m)); diff != "" {
		t.Errorf("cut before %s left another machine:\n%s\nthe run after it:\n%s", c.command, diff, out)
	}
	must(t, os.RemoveAll(m.base))
}

// cut is what a power cut before a command left.
type cut struct{ folder, command string }

// cuts are the machines that the run left, those that are alike only once.
func (m *machine) cuts(everyStatus bool) []cut {
	m.t.Helper()
	var out []cut
	seen := map[string]bool{}
	for n := range len(m.readOutside("count")) {
		folder := filepath.Join(m.base, "standin/cuts", fmt.Sprint(n+1))
		if _, err := os.Stat(filepath.Join(folder, "cluster")); err != nil {
			continue // the run ended while the copy was made
		}
		disk := treeOf(m.t, filepath.Join(folder, "upper"))
		if !everyStatus {
			maps.DeleteFunc(disk, func(path, _ string) bool { return strings.HasPrefix(path, "/etc/issue.d") })
		}
		key := fmt.Sprint(disk, treeOf(m.t, filepath.Join(folder, "cluster")))
		if !seen[key] {
			seen[key] = true
			out = append(out, cut{folder, strings.TrimSpace(m.readOutside(fmt.Sprintf("cuts/%d/command", n+1)))})
		}
	}
	return out
}
