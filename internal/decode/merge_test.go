package decode

import (
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"muster/internal/problem"
)

type scope struct {
	At
	Name   Value[string]       `yaml:"name" example:"a"`
	Port   Value[int]          `yaml:"port" example:"1"`
	On     Value[bool]         `yaml:"on" example:"true"`
	Words  List[Value[string]] `yaml:"words" example:"[a]"`
	Files  List[entry]         `yaml:"files" example:"[]"`
	Labels Map[Value[string]]  `yaml:"labels" example:"{}"`
	Links  Map[link]           `yaml:"links" example:"{}"`
	Patch  Map[Free]           `yaml:"patch" example:"{}"`
	Inner  link                `yaml:"inner" example:"{}"`
	Free   Free                `yaml:"free" example:"{}"`
	Deep   labelled            `yaml:"deep" example:"{}"`
}

type labelled struct {
	At
	Labels Map[Value[string]] `yaml:"labels" example:"{}"`
}

type entry struct {
	At
	Path Value[string] `yaml:"path" example:"/a"`
	Text Value[string] `yaml:"text" example:"x"`
}

func (e entry) MergeKey() string { return e.Path.V }

type link struct {
	At
	ID  Value[int] `yaml:"id" example:"1"`
	MTU Value[int] `yaml:"mtu" example:"1500"`
}

func scopeOf(t *testing.T, text string) scope {
	t.Helper()
	var s scope
	var problems problem.List
	Into(&s, []byte(text), &problems)
	if problems.Failed() {
		t.Fatalf("%q: %v", text, problems.Sorted())
	}
	return s
}

// TestMerge shows for each kind of value what a narrower one does to a wider one.
func TestMerge(t *testing.T) {
	for _, c := range []struct{ name, wide, narrow, want string }{
		{"the narrower value wins", "{name: a, port: 1}", "{name: b}", "{name: b, port: 1}"},
		{"false and 0 are values", "{on: true, port: 1}", "{on: false, port: 0}", "{on: false, port: 0}"},
		{"nothing changes nothing", "{name: a, words: [x], labels: {k: v}, inner: {id: 1}}", "{}", "{name: a, words: [x], labels: {k: v}, inner: {id: 1}}"},
		{"a plain list replaces", "{words: [a, b]}", "{words: [c]}", "{words: [c]}"},
		{"an empty list replaces", "{words: [a, b]}", "{words: []}", "{words: []}"},
		{"a keyed list adds up", "{files: [{path: /a, text: x}, {path: /b}]}", "{files: [{path: /c}]}", "{files: [{path: /a, text: x}, {path: /b}, {path: /c}]}"},
		{"a keyed element replaces whole", "{files: [{path: /a, text: x}, {path: /b}]}", "{files: [{path: /a}]}", "{files: [{path: /b}, {path: /a}]}"},
		{"an empty keyed list takes nothing away", "{files: [{path: /a}]}", "{files: []}", "{files: [{path: /a}]}"},
		{"a map adds up in order", "{labels: {a: x, b: x}}", "{labels: {c: z, a: z}}", "{labels: {a: z, b: x, c: z}}"},
		{"structures in a map merge", "{links: {l: {id: 1, mtu: 9000}}}", "{links: {l: {id: 2}}}", "{links: {l: {id: 2, mtu: 9000}}}"},
		{"structures merge", "{inner: {id: 1}}", "{inner: {mtu: 1500}}", "{inner: {id: 1, mtu: 1500}}"},
		{"free parts merge deep", "{patch: {p: {a: 1, b: {c: 1}}}}", "{patch: {p: {b: {d: 2}}}}", "{patch: {p: {a: 1, b: {c: 1, d: 2}}}}"},
		{"a null of a free part stays", "{patch: {p: {a: 1}}}", "{patch: {p: {a: null}}}", "{patch: {p: {a: null}}}"},
		{"a list of a free part replaces", "{patch: {p: {a: [1, 2]}}}", "{patch: {p: {a: [3]}}}", "{patch: {p: {a: [3]}}}"},
	} {
		t.Run(c.name, func(t *testing.T) {
			wide, narrow := scopeOf(t, c.wide), scopeOf(t, c.narrow)
			got := Merge(wide, narrow)
			if diff := cmp.Diff(plain(scopeOf(t, c.want)), plain(got)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			if !reflect.DeepEqual(wide, scopeOf(t, c.wide)) || !reflect.DeepEqual(narrow, scopeOf(t, c.narrow)) {
				t.Error("an argument was changed")
			}
		})
	}
}

// plain is a scope without the places, as plain Go values.
func plain(s scope) any {
	out := map[string]any{"name": s.Name.V, "port": s.Port.V, "on": s.On.V, "words": []string{}, "files": [][2]string{}, "labels": [][2]string{}, "links": [][3]any{}, "patch": [][2]any{},
		"id": s.Inner.ID.V, "mtu": s.Inner.MTU.V, "set": []bool{s.Name.Set, s.Port.Set, s.On.Set, s.Words.Set, s.Files.Set, s.Labels.Set, s.Links.Set, s.Patch.Set, s.Inner.ID.Set, s.Inner.MTU.Set}}
	for _, w := range s.Words.Items {
		out["words"] = append(out["words"].([]string), w.V)
	}
	for _, f := range s.Files.Items {
		out["files"] = append(out["files"].([][2]string), [2]string{f.Path.V, f.Text.V})
	}
	for _, l := range s.Labels.Entries {
		out["labels"] = append(out["labels"].([][2]string), [2]string{l.Key, l.Value.V})
	}
	for _, l := range s.Links.Entries {
		out["links"] = append(out["links"].([][3]any), [3]any{l.Key, l.Value.ID.V, l.Value.MTU.V})
	}
	for _, p := range s.Patch.Entries {
		out["patch"] = append(out["patch"].([][2]any), [2]any{p.Key, p.Value.V})
	}
	return out
}

// TestMergeKeepsPlaces: a problem with a merged value is reported where that value was written.
func TestMergeKeepsPlaces(t *testing.T) {
	wide := scopeOf(t, "name: a\nport: 1\nlabels: {a: x, b: x}\ninner: {id: 1, mtu: 1}\n")
	narrow := scopeOf(t, "\n\n\n\n\nport: 2\nlabels: {b: z}\ninner: {mtu: 2}\n")
	got := Merge(wide, narrow)
	lines := []int{got.Line, got.Name.Line, got.Port.Line, got.Labels.Line, got.Labels.Entries[0].Line, got.Labels.Entries[1].Value.Line, got.Inner.Line, got.Inner.ID.Line, got.Inner.MTU.Line}
	if want := []int{6, 1, 6, 7, 3, 7, 8, 4, 8}; !reflect.DeepEqual(lines, want) {
		t.Errorf("lines %v, want %v", lines, want)
	}
}

// TestMergeUnread: what could not be read is not missing from what is merged, and takes nothing from what could be.
func TestMergeUnread(t *testing.T) {
	unread := func(text string) scope {
		var s scope
		Into(&s, []byte(text), &problem.List{})
		return s
	}
	wrong := unread("\nlinks: {l: {id: x}}\nwords: a\n")
	got := Merge(scopeOf(t, "links: {l: {mtu: 1}}"), wrong)
	if link, _ := got.Links.Get("l"); link.ID.Set || link.ID.Line != 2 || got.Words.Set || got.Words.Line != 3 {
		t.Errorf("what could not be read counts as missing: %+v", got)
	}
	got = Merge(scopeOf(t, "links: {l: {id: 1}}\nwords: [b]"), wrong)
	if link, _ := got.Links.Get("l"); link.ID.V != 1 || len(got.Words.Items) != 1 {
		t.Errorf("what could not be read took the place of what could: %+v", got)
	}
}

// demanding is a type with keys that are demanded of merged values.
type demanding struct {
	At
	Name  Value[string]       `yaml:"name" required:"merged" example:"a"`
	Words List[Value[string]] `yaml:"words" required:"merged" missing:"write words" example:"[a]"`
	Inner struct {
		At
		Mode Value[string] `yaml:"mode" required:"merged" enum:"x,y" example:"x"`
	} `yaml:"inner" required:"merged" example:"{mode: x}"`
}

// TestMissing names what none of the merged values has, and nothing below a block that is missing as a whole.
func TestMissing(t *testing.T) {
	for _, c := range []struct{ wide, narrow, want string }{
		{"{name: a, words: []}", "{inner: {mode: x}}", ""},
		{"{name: a}", "{name: b}", "inner: write for example inner: {mode: x}|words: write words"},
		{"{name: a, words: [], inner: {}}", "{}", "inner.mode: write for example mode: x; it may be x, y"},
		{"{nam: a, words: [], inner: {mode: z}}", "{}", ""},
	} {
		var wide, narrow demanding
		Into(&wide, []byte(c.wide), &problem.List{})
		Into(&narrow, []byte(c.narrow), &problem.List{})
		var found []string
		for _, lack := range Missing(Merge(wide, narrow)) {
			found = append(found, lack.Key+": "+lack.Instead)
		}
		if got := strings.Join(found, "|"); got != c.want {
			t.Errorf("%s, %s: %q, want %q", c.wide, c.narrow, got, c.want)
		}
	}
}

// TestIdle finds what is empty, adds nothing and takes nothing away.
func TestIdle(t *testing.T) {
	const wide = "{name: a, words: [a], files: [{path: /a}], labels: {a: x}, inner: {id: 1}, free: {a: 1}}"
	for _, c := range []struct{ name, wide, narrow, want string }{
		{"nothing", wide, "{}", ""},
		{"what says something", wide, "{name: b, words: [b], files: [{path: /b}], labels: {b: z}, inner: {mtu: 1}, free: {b: 1}}", ""},
		{"a plain list", wide, "{words: []}", ""},
		{"a keyed list", wide, "{files: []}", "files"},
		{"a map", wide, "{labels: {}}", "labels"},
		{"a block", wide, "{inner: {}}", "inner"},
		{"a map in a block", "{deep: {labels: {a: x}}}", "{deep: {labels: {}}}", "deep.labels"},
		{"a merge patch", wide, "{free: {}}", "free"},
		{"a merge patch of another kind", wide, "{free: []}", ""},
		{"nothing to take away", "{inner: {}, files: []}", "{files: [], labels: {}, inner: {}, free: {}}", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var found []string
			for _, at := range Idle(scopeOf(t, c.wide), scopeOf(t, c.narrow)) {
				found = append(found, at.Path)
			}
			if got := strings.Join(found, " "); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

// randomScope makes a scope by chance, of few names, so that two of them meet often.
func randomScope(r *rand.Rand) scope {
	s := scope{Name: randomText(r), Port: randomNumber(r), Inner: link{ID: randomNumber(r), MTU: randomNumber(r)}}
	s.Words = randomList(r, randomText)
	s.Files = randomList(r, func(r *rand.Rand) entry { return entry{Path: randomText(r), Text: randomText(r)} })
	s.Files.Items = onePerPath(s.Files.Items)
	s.Labels = randomMap(r, randomText)
	s.Links = randomMap(r, func(r *rand.Rand) link { return link{ID: randomNumber(r), MTU: randomNumber(r)} })
	s.Patch = randomMap(r, func(r *rand.Rand) Free { return Free{V: randomPatch(r, 3), Set: true} })
	return s
}

func onePerPath(items []entry) []entry {
	var out []entry
	seen := map[string]bool{}
	for _, e := range items {
		if !seen[e.Path.V] {
			out = append(out, e)
		}
		seen[e.Path.V] = true
	}
	return out
}

func randomText(r *rand.Rand) Value[string] {
	return Value[string]{V: string(rune('a' + r.IntN(4))), Set: r.IntN(2) == 0}
}

func randomNumber(r *rand.Rand) Value[int] { return Value[int]{V: r.IntN(3), Set: r.IntN(2) == 0} }

func randomList[T any](r *rand.Rand, element func(*rand.Rand) T) List[T] {
	l := List[T]{Set: r.IntN(3) > 0}
	for range r.IntN(4) {
		if l.Set {
			l.Items = append(l.Items, element(r))
		}
	}
	return l
}

func randomMap[T any](r *rand.Rand, element func(*rand.Rand) T) Map[T] {
	m := Map[T]{Set: r.IntN(3) > 0}
	for _, key := range []string{"a", "b", "c", "d"} {
		if m.Set && r.IntN(2) == 0 {
			m.Entries = append(m.Entries, Entry[T]{Key: key, Value: element(r)})
		}
	}
	return m
}

// randomPatch makes a merge patch: a tree of few keys with scalars, lists and nulls.
func randomPatch(r *rand.Rand, depth int) any {
	switch n := r.IntN(6); {
	case n < 3 && depth > 0:
		out := map[string]any{}
		for _, key := range []string{"a", "b", "c"} {
			if r.IntN(2) == 0 {
				out[key] = randomPatch(r, depth-1)
			}
		}
		return out
	case n == 3:
		return []any{int64(r.IntN(3))}
	case n == 4:
		return nil
	default:
		return int64(r.IntN(3))
	}
}

// TestMergeProperties: merging changes nothing that was given, nothing is neutral, and the order of grouping does not
// matter, since a spec is merged cluster, role, node.
func TestMergeProperties(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 800 {
		a, b, c := randomScope(r), randomScope(r), randomScope(r)
		before := plain(a)
		ab := Merge(a, b)
		if diff := cmp.Diff(before, plain(a)); diff != "" {
			t.Fatalf("Merge changed its first argument:\n%s", diff)
		}
		if diff := cmp.Diff(before, plain(Merge(a, scope{}))); diff != "" {
			t.Fatalf("nothing is not neutral:\n%s", diff)
		}
		if diff := cmp.Diff(plain(a), plain(Merge(a, a)), ignoreOrderOfFiles()); diff != "" {
			t.Fatalf("merging a scope with itself changes it:\n%s", diff)
		}
		compareGroupings(t, Merge(ab, c), Merge(a, Merge(b, c)))
	}
}

func ignoreOrderOfFiles() cmp.Option {
	return cmp.Transformer("set", func(list [][2]string) map[[2]string]bool {
		set := map[[2]string]bool{}
		for _, f := range list {
			set[f] = true
		}
		return set
	})
}

// compareGroupings compares free parts by what they do to a document, since one patch can be written in two ways.
func compareGroupings(t *testing.T, left, right scope) {
	t.Helper()
	for _, document := range []any{nil, map[string]any{"a": map[string]any{"a": int64(9), "b": int64(9)}, "b": int64(9), "c": []any{"x"}}} {
		for _, e := range left.Patch.Entries {
			other, _ := right.Patch.Get(e.Key)
			if diff := cmp.Diff(Patch(document, e.Value.V), Patch(document, other.V)); diff != "" {
				t.Fatalf("patches differ by grouping:\n%s", diff)
			}
		}
	}
	left.Patch, right.Patch = Map[Free]{}, Map[Free]{}
	if diff := cmp.Diff(plain(left), plain(right), ignoreOrderOfFiles()); diff != "" {
		t.Fatalf("the grouping matters:\n%s", diff)
	}
}

// TestComposedPatches: one composed patch does to any document what the two would do one after the other.
func TestComposedPatches(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 5000 {
		document, first, second := randomPatch(r, 3), randomPatch(r, 3), randomPatch(r, 3)
		want := Patch(Patch(document, first), second)
		if diff := cmp.Diff(want, Patch(document, composePatches(first, second))); diff != "" {
			t.Fatalf("document %v, first %v, second %v (-want +got):\n%s", document, first, second, diff)
		}
	}
}

// TestPatch are the examples of RFC 7396's appendix A that have an object, and what a null inside a list does.
func TestPatch(t *testing.T) {
	type m = map[string]any
	for i, c := range []struct{ document, patch, want any }{
		{m{"a": "b"}, m{"a": "c"}, m{"a": "c"}},
		{m{"a": "b"}, m{"b": "c"}, m{"a": "b", "b": "c"}},
		{m{"a": "b"}, m{"a": nil}, m{}},
		{m{"a": "b", "b": "c"}, m{"a": nil}, m{"b": "c"}},
		{m{"a": []any{"b"}}, m{"a": "c"}, m{"a": "c"}},
		{m{"a": "c"}, m{"a": []any{"b"}}, m{"a": []any{"b"}}},
		{m{"a": m{"b": "c"}}, m{"a": m{"b": "d", "c": nil}}, m{"a": m{"b": "d"}}},
		{m{"a": []any{m{"b": "c"}}}, m{"a": []any{int64(1)}}, m{"a": []any{int64(1)}}},
		{[]any{"a", "b"}, []any{"c", "d"}, []any{"c", "d"}},
		{m{"a": "b"}, []any{"c"}, []any{"c"}},
		{m{"a": "foo"}, nil, nil},
		{m{"e": nil}, m{"a": int64(1)}, m{"e": nil, "a": int64(1)}},
		{[]any{int64(1)}, m{"a": "b", "c": nil}, m{"a": "b"}},
		{m{}, m{"a": m{"bb": m{"ccc": nil}}}, m{"a": m{"bb": m{}}}},
		{m{"a": m{"x": 1}}, m{"a": []any{nil}}, m{"a": []any{nil}}},
	} {
		if diff := cmp.Diff(c.want, Patch(c.document, c.patch)); diff != "" {
			t.Errorf("example %d (-want +got):\n%s", i, diff)
		}
	}
}
