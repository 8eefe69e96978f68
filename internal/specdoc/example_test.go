package main

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"muster/internal/decode"
	"muster/internal/problem"
	"muster/internal/spec"
)

// facts are profiles of every kind, as the rules see them.
var facts = spec.Facts{
	Builtin: []string{"centos7-docker", "debian12-containerd"},
	Profiles: map[string]spec.ProfileFacts{
		"centos7-docker": {Format: "cloud-init", Runtime: "docker", PackageManager: "yum", FirewallManager: "firewalld",
			ScriptsDir: "/usr/local/lib/muster", DefaultVersion: "v1.17.4", MinMinor: 15, MaxMinor: 23},
		"debian12-containerd": {Format: "cloud-init", KeepsRoutes: true, Runtime: "containerd", PackageManager: "apt", FirewallManager: "firewalld",
			ScriptsDir: "/usr/local/lib/muster", DefaultVersion: "v1.34.4", MinMinor: 24, MaxMinor: 35},
	},
}

// base is what the examples are put into.
const base = `
apiVersion: muster/v1
kind: Cluster
metadata: {name: k8s}
spec:
  profile: debian12-containerd
  kubernetes: {version: v1.34.4}
  nodes:
    - {name: k8s-master, role: control-plane, address: 192.168.31.130, mac: "52:54:00:12:34:56"}
  pools:
    - {name: burst, role: worker, maxNodes: 10}
`

// siblings are what a field needs beside it; nil takes a key away.
var siblings = map[string]map[string]any{
	"Network.PrefixLength":  {"netmask": nil},
	"Network.Gateway":       {"netmask": "255.255.255.0"},
	"File.SHA256":           {"source": "https://files.example.com/motd", "contents": nil},
	"File.Source":           {"contents": nil},
	"Archive.URL":           {"path": nil},
	"VLAN.Routes":           {"addresses": []any{"10.10.0.5/24", "10.1.0.5/24"}},
	"Ethernet.Routes":       {"addresses": []any{"10.20.0.5/24", "10.1.0.5/24"}},
	"Bond.Routes":           {"addresses": []any{"10.10.0.5/24", "10.1.0.5/24"}},
	"Packages.Source":       {"repositories": []any{map[string]any{"name": "a", "baseURL": "https://mirror.example.com/a/"}}, "gpgCheck": false},
	"Packages.Repositories": {"source": "repositories", "gpgCheck": false},
	"Repository.Components": {"suite": "bookworm"},
	"Unit.Name":             {"enabled": true},
	"Rendezvous.URL":        {"delivery": "url", "sha256": strings.Repeat("0", 64)},
	"Rendezvous.SHA256":     {"delivery": "url", "url": "https://files.example.com/rendezvous-amd64"},
}

// example is a spec that holds the example of one key.
type example struct {
	field field
	// path is that of the key in the spec.
	path  string
	scope scope
	// refused tells that a rule keeps the key out of the scope.
	refused bool
	tree    map[string]any
	// parent is the part of the tree that the key is in.
	parent map[string]any
}

func (e example) text(t *testing.T) []byte {
	t.Helper()
	text, err := yaml.Marshal(e.tree)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func testModel(t *testing.T) *model {
	t.Helper()
	s, err := readSource(os.DirFS("../.."), specFolders...)
	if err != nil {
		t.Fatal(err)
	}
	m, err := newModel(s)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// examples puts the example of every key at every place where the key may be by the types.
func (m *model) examples(t *testing.T) []example {
	t.Helper()
	var all []example
	for _, b := range m.blocks {
		for _, p := range b.places {
			for _, f := range b.fields {
				all = append(all, m.example(t, f, p))
			}
		}
	}
	return all
}

func (m *model) example(t *testing.T, f field, at place) example {
	t.Helper()
	e := example{field: f, scope: at.scope, tree: map[string]any{}}
	if err := yaml.Unmarshal([]byte(base), &e.tree); err != nil {
		t.Fatal(err)
	}
	key := at.child(f.key, "")
	below := key.below
	if below == "" {
		below = key.full
	}
	e.refused = !slices.Contains(m.where[below], at.scope)
	if strings.HasPrefix(below, "docker") {
		parsed := e.tree["spec"].(map[string]any)
		parsed["profile"], parsed["kubernetes"] = "centos7-docker", map[string]any{"version": "v1.17.4"}
	}
	e.put(t, m, e.tree, m.blocks[0], strings.Split(key.full, "."), "")
	return e
}

// put writes the example at the end of a path, and what the blocks on the way demand.
func (e *example) put(t *testing.T, m *model, tree map[string]any, b *block, path []string, walked string) {
	t.Helper()
	key, isList := strings.CutSuffix(path[0], "[]")
	index := slices.IndexFunc(b.allFields(), func(f field) bool { return f.key == key })
	if index < 0 {
		t.Fatalf("%s has no %s", b.structure.Name(), key)
	}
	f := b.allFields()[index]
	walked = joinPath(walked, key)
	defer addSiblings(tree, f)
	if len(path) == 1 {
		value, err := readExample(f)
		if err != nil {
			t.Fatal(err)
		}
		tree[key], e.parent, e.path = value, tree, walked
		return
	}
	var child map[string]any
	rest := path[1:]
	switch {
	case isList:
		items, _ := tree[key].([]any)
		if len(items) == 0 {
			items = []any{map[string]any{}}
		}
		tree[key], child, walked = items, items[0].(map[string]any), walked+"[0]"
	case rest[0] == "NAME":
		child = map[string]any{}
		tree[key], rest, walked = map[string]any{"lan9": child}, rest[1:], walked+".lan9"
	default:
		child, _ = tree[key].(map[string]any)
		if child == nil {
			child = map[string]any{}
		}
		tree[key] = child
	}
	inner := m.block(innermost(f.shape).structure)
	inner.complete(t, child)
	e.put(t, m, child, inner, rest, walked)
}

// innermost is the shape of a list's items, a map's values, or of the field itself.
func innermost(s shape) shape {
	for s.item != nil {
		s = *s.item
	}
	return s
}

func addSiblings(tree map[string]any, f field) {
	for name, value := range siblings[f.owner] {
		if tree[name] = value; value == nil {
			delete(tree, name)
		}
	}
}

// complete adds the keys that a block has to have.
func (b *block) complete(t *testing.T, tree map[string]any) {
	t.Helper()
	c := choices[b.structure.Name()]
	chosen := len(c.oneOf) == 0 || slices.ContainsFunc(c.oneOf, func(key string) bool { return tree[key] != nil })
	for _, f := range b.allFields() {
		_, written := tree[f.key]
		if written || !f.required && (chosen || f.key != c.oneOf[0]) {
			continue
		}
		value, err := readExample(f)
		if err != nil {
			t.Fatal(err)
		}
		tree[f.key] = value
	}
}

// check decodes, completes and validates a spec.
func check(text []byte) []problem.Problem {
	problems := &problem.List{File: "c.yaml"}
	var c spec.Cluster
	decode.Into(&c, text, problems)
	c.Default(facts)
	c.Validate(facts, problems)
	return problems.Sorted()
}

func errorsOf(found []problem.Problem) []problem.Problem {
	return slices.DeleteFunc(slices.Clone(found), func(p problem.Problem) bool { return p.Severity != problem.Error })
}

// TestExamplesMeetTheRules: an example that gen refuses teaches a mistake, and a place that docs/spec.md names has to
// be one where gen takes the key.
func TestExamplesMeetTheRules(t *testing.T) {
	m := testModel(t)
	all := m.examples(t)
	if len(all) < 500 {
		t.Fatalf("only %d examples were found", len(all))
	}
	refused := map[string]bool{}
	for _, e := range all {
		found := errorsOf(check(e.text(t)))
		if e.refused {
			refused[e.path] = true
			if len(found) == 0 {
				t.Errorf("%s is taken, though refusedAt says that it is not", e.path)
			}
			continue
		}
		if len(found) > 0 {
			t.Errorf("the example of %s at %s: %s\n%s", e.field.owner, e.path, fmt.Sprint(found), e.text(t))
		}
	}
	for path := range maps.Keys(refusedAt) {
		if !slices.ContainsFunc(slices.Collect(maps.Keys(refused)), func(p string) bool { return strings.Contains(strings.ReplaceAll(p, "[0]", "[]"), path) }) {
			t.Errorf("refusedAt names %s, which stands nowhere", path)
		}
	}
}
