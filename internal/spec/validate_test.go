package spec

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"muster/internal/decode"
	"muster/internal/problem"
)

var update = flag.Bool("update", false, "rewrite what testdata/rules.txt expects")

// testFacts are profiles of every kind: packages and binaries, Docker and containerd, with a firewall and without.
func testFacts() Facts {
	groups := []string{"adm", "systemd-journal"}
	return Facts{
		Builtin: []string{"centos7-docker", "debian12-containerd", "flatcar-containerd"},
		Profiles: map[string]ProfileFacts{
			"centos7-docker": {Format: "cloud-init", Runtime: "docker", PackageManager: "yum", FirewallManager: "firewalld", Groups: groups,
				ScriptsDir: "/usr/local/lib/muster", DefaultVersion: "v1.17.4", MinMinor: 15, MaxMinor: 23},
			"debian12-containerd": {Format: "cloud-init", KeepsRoutes: true, Runtime: "containerd", PackageManager: "apt", Groups: groups,
				ScriptsDir: "/usr/local/lib/muster", DefaultVersion: "v1.34.4", MinMinor: 24, MaxMinor: 35},
			"flatcar-containerd": {Format: "ignition", KeepsRoutes: true, Runtime: "containerd", Groups: groups,
				ScriptsDir: "/srv/scripts", ReadOnly: []string{"/usr", "/bin"}, DefaultVersion: "v1.34.4", MinMinor: 24, MaxMinor: 37, PinnedVersions: []string{"v1.34.4"}},
		},
		ReadFile: readTestFile,
	}
}

// readTestFile has every file that a test names but those called missing: an object of Kubernetes, unless the name says what else.
func readTestFile(name string) ([]byte, error) {
	switch {
	case strings.Contains(name, "missing"):
		return nil, fmt.Errorf("open %s: no such file or directory", name)
	case strings.Contains(name, "page"):
		return []byte("<!DOCTYPE html>\n<title>404: Not Found</title>\n"), nil
	case strings.Contains(name, "values"):
		return []byte("# of a chart\n\nreplicas: 2\n"), nil
	case strings.Contains(name, "nothing"):
		return nil, nil
	}
	return []byte("apiVersion: v1\nkind: Namespace\n"), nil
}

// check reads, completes and validates a spec.
func check(text string) []problem.Problem {
	problems := &problem.List{File: "c.yaml"}
	var c Cluster
	decode.Into(&c, []byte(text), problems)
	c.Default(testFacts())
	c.Validate(testFacts(), problems)
	return problems.Sorted()
}

// ruleCase is one mistake of testdata/rules.txt.
type ruleCase struct {
	head    string // the lines that are kept when the file is rewritten
	rule    string
	name    string
	several bool
	edits   []edit
	want    []string
}

type edit struct{ old, new []string }

var caseHead = regexp.MustCompile(`^== (rule\w+)( \*)?: (.+)$`)

func readCases(t *testing.T) (intro string, cases []ruleCase) {
	t.Helper()
	data, err := os.ReadFile("testdata/rules.txt")
	if err != nil {
		t.Fatal(err)
	}
	for i, line := range strings.Split(string(data), "\n") {
		if m := caseHead.FindStringSubmatch(line); m != nil {
			cases = append(cases, ruleCase{rule: m[1], several: m[2] != "", name: m[3]})
		}
		if len(cases) == 0 {
			intro += line + "\n"
			continue
		}
		c := &cases[len(cases)-1]
		if line != "" && !strings.HasPrefix(line, "> ") {
			c.head += line + "\n"
		}
		switch sign, rest, _ := strings.Cut(line, " "); sign {
		case "-":
			if last := len(c.edits) - 1; last < 0 || len(c.edits[last].new) > 0 {
				c.edits = append(c.edits, edit{})
			}
			c.edits[len(c.edits)-1].old = append(c.edits[len(c.edits)-1].old, rest)
		case "+":
			c.insert(rest)
		case ">":
			c.want = append(c.want, rest)
		case "", "==":
		default:
			t.Fatalf("rules.txt:%d: what is %q?", i+1, line)
		}
	}
	return intro, cases
}

// insert adds a line to the last edit; one that is on its own, or is indented as a key of spec after a replacement
// that is not, takes the place of "# more".
func (c *ruleCase) insert(line string) {
	own := strings.HasPrefix(line, "  ")
	if last := len(c.edits) - 1; last >= 0 && (!own || strings.HasPrefix(c.edits[last].old[0], "  ")) {
		c.edits[last].new = append(c.edits[last].new, line)
		return
	}
	c.edits = append(c.edits, edit{old: []string{"  # more"}, new: []string{line}})
}

// apply makes the case's spec of the base.
func (c ruleCase) apply(t *testing.T, base string) string {
	t.Helper()
	for _, e := range c.edits {
		old := strings.Join(e.old, "\n")
		if n := strings.Count(base, old); n != 1 {
			t.Fatalf("%s, %s: %q stands %d times in base.yaml", c.rule, c.name, old, n)
		}
		base = strings.Replace(base, old, strings.Join(e.new, "\n"), 1)
	}
	return base
}

func readBase(t *testing.T) string {
	t.Helper()
	base, err := os.ReadFile("testdata/base.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return string(base)
}

// TestRules makes each mistake of testdata/rules.txt and wants exactly what is written there: one mistake, one problem,
// with its path, line, column, message and remedy. Without the rule that the case names nothing of it may be reported.
func TestRules(t *testing.T) {
	base := readBase(t)
	intro, cases := readCases(t)
	out := strings.TrimRight(intro, "\n") + "\n"
	for i, c := range cases {
		text := c.apply(t, base)
		var got []string
		for _, p := range check(text) {
			got = append(got, p.String())
			checkPath(t, p.Path)
		}
		out += "\n" + c.head
		for _, line := range got {
			out += "> " + line + "\n"
		}
		if !*update {
			c.compare(t, i, got)
		}
		c.checkRuleMatters(t, text, got)
	}
	if *update {
		if err := os.WriteFile("testdata/rules.txt", []byte(out), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func (c ruleCase) compare(t *testing.T, number int, got []string) {
	t.Helper()
	if !slices.Equal(got, c.want) {
		t.Errorf("case %d, %s: %s\n got %s\nwant %s", number, c.rule, c.name, strings.Join(got, "\n     "), strings.Join(c.want, "\n     "))
	}
	if len(got) != 1 && !c.several {
		t.Errorf("case %d, %s: %s: one mistake gave %d problems", number, c.rule, c.name, len(got))
	}
}

// checkRuleMatters runs the spec again without the case's rule.
func (c ruleCase) checkRuleMatters(t *testing.T, text string, with []string) {
	t.Helper()
	defer without(c.rule)()
	for _, p := range check(text) {
		if slices.Contains(with, p.String()) {
			t.Errorf("%s: %s: without the rule the same problem is reported: %s", c.rule, c.name, p)
		}
	}
}

// without takes a rule out of the tables and returns what puts it back.
func without(rule string) func() {
	s, a, b, d := stringRules, scopeRules, targetRules, clusterRules
	stringRules, scopeRules, targetRules, clusterRules = drop(s, rule), drop(a, rule), drop(b, rule), drop(d, rule)
	return func() { stringRules, scopeRules, targetRules, clusterRules = s, a, b, d }
}

func drop[T any](rules []T, name string) []T {
	return slices.DeleteFunc(slices.Clone(rules), func(rule T) bool { return functionName(rule) == name })
}

func functionName(f any) string {
	name := runtime.FuncForPC(reflect.ValueOf(f).Pointer()).Name()
	return name[strings.LastIndex(name, ".")+1:]
}

// TestEveryRuleHasACase holds the functions whose comment starts with "Rule:" against the tables and the cases.
func TestEveryRuleHasACase(t *testing.T) {
	var documented []string
	for name, comment := range ruleComments(t) {
		if strings.HasPrefix(comment, "Rule: ") {
			documented = append(documented, name)
		} else if strings.HasPrefix(name, "rule") {
			t.Errorf("the comment of %s does not start with Rule:", name)
		}
	}
	var listed []string
	for _, table := range []any{stringRules, scopeRules, targetRules, clusterRules} {
		for i := range reflect.ValueOf(table).Len() {
			listed = append(listed, functionName(reflect.ValueOf(table).Index(i).Interface()))
		}
	}
	_, cases := readCases(t)
	var tried []string
	for _, c := range cases {
		tried = append(tried, c.rule)
	}
	slices.Sort(documented)
	slices.Sort(listed)
	slices.Sort(tried)
	if !slices.Equal(documented, listed) {
		t.Errorf("rules with a comment and rules in the tables differ:\n%q\n%q", documented, listed)
	}
	if tried = slices.Compact(tried); !slices.Equal(documented, tried) {
		t.Errorf("rules and rules with a case differ:\n%q\n%q", documented, tried)
	}
	if len(documented) < 40 {
		t.Errorf("there are %d rules, at least 40 are promised", len(documented))
	}
}

// TestEveryEntryHasACase: an entry that is lost from a table of names, paths or keys is missed by a case.
func TestEveryEntryHasACase(t *testing.T) {
	_, cases := readCases(t)
	reported := ""
	for _, c := range cases {
		reported += strings.Join(c.want, "\n") + "\n"
	}
	tried := func(format string, entries ...string) {
		for _, entry := range entries {
			if line := fmt.Sprintf(format, entry); !strings.Contains(reported, line) {
				t.Errorf("no case wants %q", line)
			}
		}
	}
	tried(": what lies below %s is gone", volatileTrees...)
	tried("the operating system writes %s;", slices.Collect(maps.Keys(ownedPaths))...)
	tried(": %s is an account of", systemUsers...)
	tried(": %s is a group of", systemGroups...)
	tried("Kubernetes needs %s = 1", slices.Collect(maps.Keys(neededSysctl))...)
	tried("kubelet's flag %s itself", slices.Collect(maps.Keys(kubeletOwned))...)
	for _, c := range (&validator{Cluster: &Cluster{}}).components() {
		tried("muster decides on "+c.name+"'s flag %s;", slices.Collect(maps.Keys(c.owned))...)
	}
	for _, table := range []map[string]string{patchedSecrets, patchedIdentity} {
		for key := range table {
			kind, inside, _ := strings.Cut(key, ".")
			tried("may not set %s of "+kind+";", inside)
		}
	}
	for _, key := range criKeys {
		tried(`.plugins["`+key.plugin+`"].%s: `, key.path)
	}
}

// ruleComments are the comments of this package's functions by name.
func ruleComments(t *testing.T) map[string]string {
	t.Helper()
	comments := map[string]string{}
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if !strings.HasSuffix(entry.Name(), ".go") || strings.HasSuffix(entry.Name(), "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), entry.Name(), nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok {
				comments[f.Name.Name] = f.Doc.Text()
			}
		}
	}
	return comments
}

// checkPath fails unless a path is that of a field of the spec.
func checkPath(t *testing.T, path string) {
	t.Helper()
	if err := pathOf(reflect.TypeFor[Cluster](), path); err != nil {
		t.Errorf("%q is no path of the spec: %v", path, err)
	}
}

var pathStep = regexp.MustCompile(`^(?:\.?([A-Za-z0-9_-]+)|\[(\d+)\]|\[("(?:[^"\\]|\\.)*")\])`)

// pathOf follows a path through the types of the spec.
func pathOf(t reflect.Type, path string) error {
	for path != "" {
		m := pathStep.FindStringSubmatch(path)
		if m == nil {
			return fmt.Errorf("cannot read %q", path)
		}
		path = path[len(m[0]):]
		kind, _, _ := strings.Cut(t.Name(), "[")
		switch key := m[1] + m[3]; {
		case kind == "Free":
			return nil
		case kind == "List" && m[2] != "":
			items, _ := t.FieldByName("Items")
			t = items.Type.Elem()
		case kind == "Map" && key != "":
			entries, _ := t.FieldByName("Entries")
			value, _ := entries.Type.Elem().FieldByName("Value")
			t = value.Type
		default:
			field, ok := fieldOf(t, key)
			if !ok {
				return fmt.Errorf("%s has no field %q", t, m[0])
			}
			t = field.Type
		}
	}
	return nil
}

func fieldOf(t reflect.Type, key string) (reflect.StructField, bool) {
	for _, f := range reflect.VisibleFields(t) {
		if name, _, _ := strings.Cut(f.Tag.Get("yaml"), ","); key != "" && name == key {
			return f, true
		}
	}
	return reflect.StructField{}, false
}
