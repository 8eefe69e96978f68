package generate

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"regexp"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"muster/internal/consumer"
	"muster/internal/decode"
	"muster/internal/node"
	"muster/internal/plan"
	"muster/internal/problem"
	"muster/internal/spec"
	"muster/profiles"
)

// words are strings that YAML readers take for something else than a string.
var words = []string{"yes", "no", "on", "~", "null", "true", "0123", "1e3", "1.5", "12:30", "0x1f", "=", "<<", "-rf", "../a"}

// marks are strings that a YAML reader, a shell, systemd or a configuration file takes for the end of a value, for a command
// or for a comment, and characters that some reader does not take at all.
var marks = []string{
	"\n", "a\nb", "\nwrite_files: []\n", "a\r\nb", "a\rb", "a\u0085b", "a\u2028b", "a\tb", " leading", "trailing ", "a b", "a: b", "a #b", "#a", "- a", "'", "\"", "'; id; '", "\\", "$(id)", "`id`",
	"${x}", "%s", "%", "{{ x }}", "{% x %}", "*a", "|", ",", ";", "\x00", "a\x00b", "\x1b[0m", "\ufeff", "\u202e", "é", "😀", "a\xffb",
}

// endings are strings that change what stands behind a value.
var endings = []string{"\n", " ", "\\", "'", "\"", ":", " #", "%", "$", "\x00"}

// long are as long as no name is, and longer than a reader's buffers.
var long = []string{strings.Repeat("a", 100<<10), strings.Repeat("a b\n", 25<<10)}

// hostile are the values to try in place of a good one: hostile strings alone, inside it, where no look at the ends finds them, and behind it.
func hostile(good string) []string {
	all := slices.Concat(words, marks, long)
	for _, bad := range marks {
		all = append(all, good[:len(good)/2]+bad+good[len(good)/2:])
	}
	for _, bad := range endings {
		all = append(all, good+bad)
	}
	return all
}

// base is a spec that is good, and the tree of its YAML.
type base struct {
	name   string // the file, for messages
	folder string // a copy of what lies beside it
	root   *yaml.Node
	loaded map[string]*profiles.Profile
	slots  []slot
}

// slot is one string of a base, a value's or a key's.
type slot struct {
	// field names the field of the spec's types, such as User.Groups[] or Scope.Labels{key}.
	field string
	// path is what problems call it.
	path string
	node *yaml.Node
}

// bases are the specs of all golden cases, and those of the test's own for what they do not say.
func bases(t *testing.T) []*base {
	t.Helper()
	files, err := filepath.Glob("../../test/golden/*/cluster.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden specs: %v", err)
	}
	var all []*base
	own, err := filepath.Glob("testdata/hostile/*.yaml")
	if err != nil || len(own) == 0 {
		t.Fatalf("no specs of the test's own: %v", err)
	}
	for _, file := range append(files, own...) {
		b := &base{name: file, folder: t.TempDir()}
		beside(t, filepath.Dir(file), b.folder)
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var document yaml.Node
		if err := yaml.Unmarshal(data, &document); err != nil {
			t.Fatal(err)
		}
		b.root = document.Content[0]
		b.find(t, reflect.TypeFor[spec.Cluster](), b.root, "", "")
		text, _ := b.text(nil)
		g := b.checked(text, nil)
		if g.problems.Failed() {
			t.Fatalf("%s: %v", file, g.problems.Sorted())
		}
		b.loaded = g.Input.Profiles
		all = append(all, b)
	}
	return all
}

// beside copies the files that a spec names.
func beside(t *testing.T, from, to string) {
	t.Helper()
	entries, err := os.ReadDir(from)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.IsDir() {
			continue
		}
		data, err := os.ReadFile(filepath.Join(from, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(to, e.Name()), data)
	}
}

// find collects the strings of a part of the spec, walking its type and its YAML side by side.
func (b *base) find(t *testing.T, typ reflect.Type, n *yaml.Node, field, path string) {
	t.Helper()
	switch kindOf(t, typ) {
	case "string":
		b.slots = append(b.slots, slot{field, path, n})
	case "free":
		b.findFree(n, field, path)
	case "list":
		for i, item := range n.Content {
			b.find(t, inside(typ), item, field+"[]", fmt.Sprintf("%s[%d]", path, i))
		}
	case "map":
		for i := 0; i+1 < len(n.Content); i += 2 {
			below := join(path, n.Content[i].Value)
			b.slots = append(b.slots, slot{field + "{key}", below, n.Content[i]})
			b.find(t, inside(typ), n.Content[i+1], field+"{}", below)
		}
	case "struct":
		for i := 0; i+1 < len(n.Content); i += 2 {
			f, owner := fieldOf(t, typ, n.Content[i].Value)
			b.find(t, f.Type, n.Content[i+1], owner+"."+f.Name, join(path, n.Content[i].Value))
		}
	}
}

// findFree collects the keys and strings of a part whose shape is not ours.
func (b *base) findFree(n *yaml.Node, field, path string) {
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			below := join(path, n.Content[i].Value)
			b.slots = append(b.slots, slot{field + "{free key}", below, n.Content[i]})
			b.findFree(n.Content[i+1], field, below)
		}
	case yaml.SequenceNode:
		for i, item := range n.Content {
			b.findFree(item, field, fmt.Sprintf("%s[%d]", path, i))
		}
	case yaml.ScalarNode:
		if n.ShortTag() == "!!str" {
			b.slots = append(b.slots, slot{field + "{free}", path, n})
		}
	}
}

// kindOf sorts the types that a spec is made of; a new one has to be added here, or its strings would not be tried.
func kindOf(t *testing.T, typ reflect.Type) string {
	t.Helper()
	name, _, _ := strings.Cut(typ.Name(), "[")
	switch {
	case typ == reflect.TypeFor[decode.Value[string]](), typ == reflect.TypeFor[decode.Value[decode.Secret]]():
		return "string"
	case typ == reflect.TypeFor[decode.Value[int]](), typ == reflect.TypeFor[decode.Value[bool]]():
		return "other"
	case typ == reflect.TypeFor[decode.Free]():
		return "free"
	case typ.PkgPath() == "muster/internal/decode" && name == "List":
		return "list"
	case typ.PkgPath() == "muster/internal/decode" && name == "Map":
		return "map"
	case typ.PkgPath() == "muster/internal/spec" && typ.Kind() == reflect.Struct:
		return "struct"
	}
	t.Fatalf("the test does not know what the type %s of the spec holds", typ)
	return ""
}

// inside is the type of what a list or a map holds.
func inside(typ reflect.Type) reflect.Type {
	if items, ok := typ.FieldByName("Items"); ok {
		return items.Type.Elem()
	}
	entries, _ := typ.FieldByName("Entries")
	value, _ := entries.Type.Elem().FieldByName("Value")
	return value.Type
}

// fieldOf finds the field of a key and the name of the struct that declares it.
func fieldOf(t *testing.T, typ reflect.Type, key string) (reflect.StructField, string) {
	t.Helper()
	for _, f := range reflect.VisibleFields(typ) {
		if name, _, _ := strings.Cut(f.Tag.Get("yaml"), ","); name == key {
			owner := typ
			for _, i := range f.Index[:len(f.Index)-1] {
				owner = owner.Field(i).Type
			}
			return f, owner.Name()
		}
	}
	t.Fatalf("%s has no key %s", typ, key)
	return reflect.StructField{}, ""
}

// stringFields lists the string fields of a type and of all that it holds, by the names that slots have.
func stringFields(t *testing.T, typ reflect.Type, field string, all map[string]bool) {
	t.Helper()
	switch kindOf(t, typ) {
	case "string":
		all[field] = true
	case "free":
		all[field+"{free}"], all[field+"{free key}"] = true, true
	case "list":
		stringFields(t, inside(typ), field+"[]", all)
	case "map":
		all[field+"{key}"] = true
		stringFields(t, inside(typ), field+"{}", all)
	case "struct":
		for _, f := range reflect.VisibleFields(typ) {
			if name, _, _ := strings.Cut(f.Tag.Get("yaml"), ","); name != "" {
				_, owner := fieldOf(t, typ, name)
				stringFields(t, f.Type, owner+"."+f.Name, all)
			}
		}
	}
}

var plainKey = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// join writes paths as problems have them.
func join(path, key string) string {
	switch {
	case !plainKey.MatchString(key):
		return path + "[" + strconv.Quote(key) + "]"
	case path == "":
		return key
	default:
		return path + "." + key
	}
}

// text writes a base with some of its strings replaced, one value a line, every string in double quotes. It tells the line of each string.
func (b *base) text(replaced map[*yaml.Node]string) (string, map[*yaml.Node]int) {
	w := writer{replaced: replaced, lines: map[*yaml.Node]int{}, line: 1}
	w.value(b.root)
	return w.String() + "\n", w.lines
}

// writer is a text that is being written.
type writer struct {
	strings.Builder
	replaced map[*yaml.Node]string
	lines    map[*yaml.Node]int
	line     int
}

func (w *writer) value(n *yaml.Node) {
	switch n.Kind {
	case yaml.MappingNode:
		w.end("{")
		for i := 0; i+1 < len(n.Content); i += 2 {
			w.WriteString("? ") // a key may be longer than YAML takes without
			w.scalar(n.Content[i])
			w.WriteString(" : ")
			w.value(n.Content[i+1])
			w.end(",")
		}
		w.WriteString("}")
	case yaml.SequenceNode:
		w.end("[")
		for _, item := range n.Content {
			w.value(item)
			w.end(",")
		}
		w.WriteString("]")
	default:
		w.scalar(n)
	}
}

func (w *writer) end(mark string) {
	w.WriteString(mark + "\n")
	w.line++
}

func (w *writer) scalar(n *yaml.Node) {
	w.lines[n] = w.line
	switch value, ok := w.replaced[n]; {
	case ok:
		w.WriteString(quoted(value))
	case n.ShortTag() == "!!str":
		w.WriteString(quoted(n.Value))
	default:
		w.WriteString(n.Value)
	}
}

// quoted is a string of YAML in double quotes. What is no UTF-8 stands there as it is: YAML cannot say it otherwise.
func quoted(text string) string {
	var w strings.Builder
	w.WriteByte('"')
	for i, r := range text {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(text[i:], "\ufffd"):
			w.WriteByte(text[i])
		case r == '"' || r == '\\':
			w.WriteString("\\" + string(r))
		case r < ' ' || r >= 0x7f && r < 0xa1 || r >= 0x2000 && r < 0x2100 || r == 0xfeff:
			fmt.Fprintf(&w, "\\u%04x", r)
		default:
			w.WriteRune(r)
		}
	}
	w.WriteByte('"')
	return w.String()
}

// checked reads and validates a text as FromFile does. Profiles that are known already are not read again.
func (b *base) checked(text string, loaded map[string]*profiles.Profile) *generator {
	problems := &problem.List{File: filepath.Join(b.folder, "cluster.yaml")}
	g := &generator{
		path: problems.File, problems: problems, options: ForTests(), programs: map[string]node.Program{},
		Result: Result{Cluster: &spec.Cluster{}, Sources: map[string][]byte{}},
	}
	decode.Into(g.Cluster, []byte(text), problems)
	if loaded == nil {
		loaded = g.profiles()
	}
	facts := factsOf(loaded)
	g.Cluster.Default(facts)
	g.Cluster.Validate(facts, problems)
	g.Input = plan.Input{Cluster: g.Cluster, Profiles: loaded, ReadFile: g.readFile}
	return g
}

// planned reads, validates and plans a text. What is served for a network boot is made of the documents, and they are made only then.
func (b *base) planned(text string, loaded map[string]*profiles.Profile) (*generator, error) {
	g := b.checked(text, loaded)
	if g.problems.Failed() {
		return g, nil
	}
	var err error
	if g.Input.Rendezvous, err = g.rendezvous(); err != nil {
		return g, err
	}
	g.Machines = plan.Build(g.Input, g.problems)
	if g.problems.Failed() || !g.Cluster.Spec.PXE.BaseURL.Set {
		return g, nil
	}
	return g, g.documents()
}

// TestEveryFieldIsTried: the bases set every string field that the spec's types have, so that a new one is tried by itself.
func TestEveryFieldIsTried(t *testing.T) {
	wanted := map[string]bool{}
	stringFields(t, reflect.TypeFor[spec.Cluster](), "", wanted)
	if len(wanted) < 100 {
		t.Errorf("only %d string fields found: %q", len(wanted), slices.Sorted(maps.Keys(wanted)))
	}
	for _, b := range bases(t) {
		for _, s := range b.slots {
			delete(wanted, s.field)
		}
	}
	for _, field := range slices.Sorted(maps.Keys(wanted)) {
		t.Errorf("no base sets %s: set it in a golden case, or in testdata/hostile", field)
	}
}

// scope is where in a spec a path lies: the same field is merged in another way for the cluster, a role, a node and a pool.
func scope(path string) string {
	for _, s := range []string{"spec.controlPlane.", "spec.worker.", "spec.nodes[", "spec.pools["} {
		if strings.HasPrefix(path, s) {
			return s
		}
	}
	return ""
}

// chosen are the slots to try, by base: all fields of the test's own bases for apt and yum, and of the others each field of each scope that
// these do not have.
func chosen(all []*base) map[*base][]slot {
	out := map[*base][]slot{}
	seen := map[string]bool{}
	for _, b := range slices.Backward(all) {
		whole := b.is("apt.yaml") || b.is("yum.yaml")
		for _, s := range b.slots {
			own, id := b.name+s.field+scope(s.path), s.field+scope(s.path)
			if whole && !seen[own] || !seen[id] {
				out[b] = append(out[b], s)
			}
			seen[own], seen[id] = true, true
		}
	}
	return out
}

func (b *base) is(file string) bool { return b.name == "testdata/hostile/"+file }

// linked are fields that name each other: one is changed with the others, as a user would.
var linked = map[string]string{"Network.Bonds{key}": "link", "Network.VLANs{key}": "link", "VLAN.Link": "link", "Network.Interface": "link"}

// replacing are the strings that a new value of a slot replaces: its own, and equal ones that name the same thing.
func (b *base) replacing(s slot, value string) map[*yaml.Node]string {
	kind := func(field string) string {
		if k, ok := linked[field]; ok {
			return k
		}
		return field
	}
	if s.node == nil { // nothing is replaced
		return nil
	}
	out := map[*yaml.Node]string{s.node: value}
	for _, other := range b.slots {
		if other.node.Value == s.node.Value && kind(other.field) == kind(s.field) {
			out[other.node] = value
		}
	}
	return out
}

// trial is one hostile value in one slot.
type trial struct {
	*base
	slot
	// which tells the value among the hostile ones.
	which    int
	old, bad string
	// local is true where the value names a file beside the spec: what comes out is what it holds, and its last name.
	local bool
	// atoms and confs are what the plan says with it.
	atoms atoms
	confs [][]byte
}

func (c trial) String() string {
	return fmt.Sprintf("%s: %s (%s) is %.60q", c.name, c.path, c.field, c.bad)
}

// TestHostileValues puts every hostile string into every string field of the spec. Each is refused where it stands, or comes out of the plan as it
// went in and changes nothing else. That documents carry what is planned is proved by the encoders, and here by their consumers for a sample.
func TestHostileValues(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // tens of thousands of small specs: a third of the time goes into collecting them
	all := bases(t)
	var accepted []*trial
	good := map[*base]*trial{}
	for b, slots := range chosen(all) {
		good[b] = b.good(t)
		for _, s := range slots {
			for i, bad := range hostile(s.node.Value) {
				c := &trial{base: b, slot: s, which: i, old: s.node.Value, bad: bad}
				if c.taken(t) {
					accepted = append(accepted, c)
				}
			}
		}
	}
	addConfs(t, append(slices.Collect(maps.Values(good)), accepted...))
	worst := map[string]*trial{}
	for _, c := range accepted {
		c.cameOut(t, good[c.base])
		if w := worst[c.field]; w == nil || oddness(c.bad) > oddness(w.bad) {
			worst[c.field] = c
		}
	}
	if len(worst) < 50 {
		t.Errorf("only %d fields take any hostile value: the test proves little of the others", len(worst))
	}
	for _, b := range all {
		if strings.HasPrefix(b.name, "testdata/") {
			t.Run(filepath.Base(b.name), func(t *testing.T) { consumed(t, b, worst) })
		}
	}
}

// good is the plan of a base as it is.
func (b *base) good(t *testing.T) *trial {
	t.Helper()
	c := &trial{base: b}
	if !c.taken(t) {
		t.Fatalf("%s is no good spec", b.name)
	}
	return c
}

// taken plans the spec with the value, and fails when it is refused elsewhere than where it stands.
func (c *trial) taken(t *testing.T) bool {
	t.Helper()
	loaded := c.loaded
	if strings.HasSuffix(c.field, ".Profile") {
		loaded = nil
	}
	c.rename(t)
	replaced := c.replacing(c.slot, c.bad)
	text, lines := c.text(replaced)
	g, err := c.planned(text, loaded)
	switch {
	case err != nil:
		t.Errorf("%v: %v", c, err)
		return false
	case g.problems.Failed():
		if len(blamed(g.problems, replaced, lines)) == 0 {
			t.Errorf("%v: nothing is said at line %d, but %.300v", c, lines[c.node], g.problems.Sorted())
		}
		return false
	}
	if c.atoms, c.confs, err = plannedAtoms(g.Machines); err == nil {
		err = c.atoms.netAtoms(g.Tree)
	}
	if err != nil {
		t.Errorf("%v: %v", c, err)
	}
	return err == nil
}

// rename gives a file beside the spec the hostile name as well, where the value names one and a file can have that name.
func (c *trial) rename(t *testing.T) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(c.folder, c.old))
	c.local = err == nil && c.old != ""
	if c.local && filepath.IsLocal(c.bad) && !strings.Contains(c.bad, "\x00") && len(c.bad) < 200 {
		write(t, filepath.Join(c.folder, c.bad), data)
	}
}

// blamed are the replaced strings at whose line an error stands.
func blamed(problems *problem.List, replaced map[*yaml.Node]string, lines map[*yaml.Node]int) []*yaml.Node {
	var out []*yaml.Node
	for n := range replaced {
		if slices.ContainsFunc(problems.Sorted(), func(p problem.Problem) bool { return p.Severity == problem.Error && p.Line == lines[n] }) {
			out = append(out, n)
		}
	}
	return out
}

// addConfs has bash read each node.conf that the trials have, each text once.
func addConfs(t *testing.T, trials []*trial) {
	t.Helper()
	places := map[string]int{}
	var texts [][]byte
	for _, c := range trials {
		for _, conf := range c.confs {
			if _, known := places[string(conf)]; !known {
				places[string(conf)] = len(texts)
				texts = append(texts, conf)
			}
		}
	}
	read := bashAtoms(t, texts)
	for _, c := range trials {
		for _, conf := range c.confs {
			for atom, n := range read[places[string(conf)]] {
				c.atoms[atom] += n
			}
		}
	}
}

// cameOut fails unless the plan differs from that of the good value by the hostile one in its place, and by nothing else.
func (c *trial) cameOut(t *testing.T, good *trial) {
	t.Helper()
	old, bad := c.old, c.bad
	if c.local {
		old, bad = path.Base(old), path.Base(bad)
	}
	odd := explain(good.atoms, c.atoms, old, bad)
	if len(odd) > 0 {
		t.Errorf("%v: the plan differs by more than that:\n\t%.1000s", c, strings.Join(odd, "\n\t"))
	}
	if len(c.atoms.without(good.atoms)) == 0 && !c.local {
		t.Errorf("%v: it is taken and comes out nowhere", c)
	}
}

// oddness is how many different characters of a value are in no plain word. Values that are long are none of the sample: they fit no document.
func oddness(text string) int {
	if len(text) > 1000 {
		return -1
	}
	odd := map[rune]bool{}
	for _, r := range text {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			odd[r] = true
		}
	}
	return len(odd)
}

// consumed hands the documents of a base, with the worst value that each of its fields takes, to their real consumers.
func consumed(t *testing.T, b *base, worst map[string]*trial) {
	text, changed := b.withAll(t, worst)
	file := filepath.Join(b.folder, "cluster.yaml")
	write(t, file, []byte(text))
	var problems problem.List
	result, err := FromFile(file, ForTests(), &problems)
	if err != nil || problems.Failed() {
		t.Fatalf("%v %v", err, problems.Sorted())
	}
	if changed < len(b.slots)/3 {
		t.Errorf("of %d values only %d are hostile ones", len(b.slots), changed)
	}
	nodes := slices.DeleteFunc(slices.Clone(result.Machines), func(m plan.Machine) bool { return m.Config.Pool })
	m := nodes[len(nodes)-1]
	tree := map[string][]byte{}
	for _, f := range result.Tree {
		tree[f.Path] = f.Bytes()
	}
	folder := "nodes/" + m.Config.Name + "/"
	root := t.TempDir()
	if m.Profile.Format.V == "ignition" {
		consumer.IgnitionValidate(t, tree[folder+"config.ign"])
		consumer.IgnitionApply(t, tree[folder+"config.ign"], root)
	} else {
		consumer.CloudInitSchema(t, tree[folder+"user-data"])
		consumer.CloudInitApply(t, tree[folder+"user-data"], root)
	}
	if init := tree[folder+"files/etc/muster/kubeadm-init.yaml"]; init != nil {
		consumer.KubeadmValidate(t, result.Cluster.Spec.Kubernetes.Version.V, init)
	}
	onDisk(t, m.Config, root)
}

// existing are fields that name what the machine has to have already: a consumer fails without it.
var existing = []string{"User.Groups[]", "File.Owner"}

// withAll is a base with the worst value of each field. Values that only do not go together (a name twice) are left as they were.
func (b *base) withAll(t *testing.T, worst map[string]*trial) (text string, changed int) {
	t.Helper()
	values := map[*yaml.Node]string{}
	given := map[string]bool{}
	for _, s := range b.slots {
		w := worst[s.field]
		_, names := linked[s.field]
		if w == nil || names || slices.Contains(existing, s.field) {
			continue
		}
		value := hostile(s.node.Value)[w.which]
		if name := oddness(value) == 0; !name || !given[value] {
			given[value] = name
			maps.Copy(values, b.replacing(s, value))
		}
	}
	for {
		text, lines := b.text(values)
		g, err := b.planned(text, b.loaded)
		if err == nil && !g.problems.Failed() {
			err = g.documents()
		}
		if err != nil {
			t.Fatal(err)
		}
		if !g.problems.Failed() {
			return text, len(values)
		}
		wrong := blamed(g.problems, values, lines)
		if len(wrong) == 0 {
			t.Fatalf("problems where nothing was changed: %v", g.problems.Sorted())
		}
		for _, n := range wrong {
			t.Logf("left as it was: %q, line %d", values[n], lines[n])
			delete(values, n)
		}
	}
}

// onDisk compares what a consumer wrote with the plan: files, units, and who may log in by which key and password.
func onDisk(t *testing.T, c node.Config, root string) {
	t.Helper()
	wanted := map[string]string{}
	for _, f := range c.Files {
		wanted[f.Path] = string(f.Contents)
	}
	for _, u := range c.Units {
		for _, d := range u.DropIns {
			wanted["/etc/systemd/system/"+u.Name+".d/"+d.Name] = d.Contents
		}
		if u.Contents != "" {
			wanted["/etc/systemd/system/"+u.Name] = u.Contents
		}
	}
	for name, contents := range wanted {
		if got, err := os.ReadFile(filepath.Join(root, name)); err != nil || string(got) != contents {
			t.Errorf("%s is %.300q, %v, want %.300q", name, got, err, contents)
		}
	}
	shadow, err := os.ReadFile(filepath.Join(root, "etc/shadow"))
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range c.Users {
		var keys []string
		for _, file := range []string{"authorized_keys", "authorized_keys.d/ignition"} {
			text, err := os.ReadFile(filepath.Join(root, "home", u.Name, ".ssh", file))
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Error(err)
			}
			keys = append(keys, strings.Split(string(text), "\n")...)
		}
		for _, key := range u.SSHAuthorizedKeys {
			if !slices.Contains(keys, key) {
				t.Errorf("the key %q of %s is not among %q", key, u.Name, keys)
			}
		}
		if u.PasswordHash != "" && !strings.Contains("\n"+string(shadow), "\n"+u.Name+":"+u.PasswordHash+":") {
			t.Errorf("the password of %s is not what was meant", u.Name)
		}
	}
}
