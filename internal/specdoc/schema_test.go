package main

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"muster/internal/consumer"
	"muster/internal/spec"
)

// TestSchemaTakesGoodSpecs: every golden spec, every example spec, what gen init writes, and the example of every field
// at every place where it may be.
func TestSchemaTakesGoodSpecs(t *testing.T) {
	documents := map[string][]byte{}
	for _, pattern := range []string{"test/golden/*/cluster.yaml", "examples/*/cluster.yaml", "cmd/gen/starting-spec.yaml"} {
		names, err := filepath.Glob("../../" + pattern)
		if err != nil || len(names) == 0 {
			t.Fatalf("no file is called %s", pattern)
		}
		for _, name := range names {
			document, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			documents[name] = document
		}
	}
	for _, e := range testModel(t).examples(t) {
		if !e.refused {
			documents[e.path] = e.text(t)
		}
	}
	for name, complaints := range consumer.JSONSchema(t, spec.JSONSchema, documents) {
		if len(complaints) > 0 {
			t.Errorf("%s: %s\n%s", name, strings.Join(complaints, "\n"), documents[name])
		}
	}
}

// TestSchemaRefusesBrokenSpecs breaks every field in every way that its type rules out. The reader of gen refuses the
// same specs: the schema is no stricter than gen, and an editor no laxer about types than gen.
func TestSchemaRefusesBrokenSpecs(t *testing.T) {
	m := testModel(t)
	documents := map[string][]byte{}
	done := map[string]bool{}
	for _, e := range m.examples(t) {
		if done[e.field.owner] || e.refused {
			continue
		}
		done[e.field.owner] = true
		for name, mutate := range mutations(m, e.field) {
			value, written := e.parent[e.field.key]
			mutate(e.parent)
			documents[e.path+": "+name] = e.text(t)
			if e.parent[e.field.key] = value; !written {
				delete(e.parent, e.field.key)
			}
		}
	}
	if len(documents) < 700 {
		t.Fatalf("only %d broken specs were made", len(documents))
	}
	for name, complaints := range consumer.JSONSchema(t, spec.JSONSchema, documents) {
		if len(complaints) == 0 {
			t.Errorf("the schema takes %s\n%s", name, documents[name])
		}
		if len(errorsOf(check(documents[name]))) == 0 {
			t.Errorf("gen takes %s\n%s", name, documents[name])
		}
	}
}

// mutations are ways to break a field, by what they are; each changes the part of a spec that the field is in.
func mutations(m *model, f field) map[string]func(map[string]any) {
	out := map[string]func(map[string]any){}
	replace := func(name string, value any) {
		out[name] = func(parent map[string]any) { parent[f.key] = value }
	}
	for name, value := range wrongValues(f.shape, f) {
		replace(name, value)
	}
	if f.atOnce {
		out["missing"] = func(parent map[string]any) { delete(parent, f.key) }
	}
	if f.shape.kind == blockOf {
		replace("unknown key", map[string]any{"nonsense": "x"})
	}
	return out
}

func wrongValues(s shape, f field) map[string]any {
	mapping, sequence := map[string]any{"nonsense": "x"}, []any{"x"}
	var wrong map[string]any
	switch s.kind {
	case text:
		wrong = map[string]any{"number": 7, "fraction": 1.17, "boolean": true, "nothing": nil, "list": sequence, "mapping": mapping}
		if len(f.enum) > 0 {
			wrong["none of the words"] = "nonsense"
		}
		if !f.mayBeEmpty {
			wrong["empty"] = ""
		}
	case number:
		wrong = map[string]any{"string": "7", "fraction": 1.5, "boolean": true, "nothing": nil, "negative": -1}
	case boolean:
		wrong = map[string]any{"string": "true", "number": 1, "nothing": nil}
	case list:
		wrong = map[string]any{"string": "x", "mapping": mapping, "nothing": nil}
		for name, value := range wrongValues(*s.item, f) {
			wrong["item: "+name] = []any{value}
		}
	case table:
		wrong = map[string]any{"string": "x", "list": sequence, "nothing": nil}
		for name, value := range wrongValues(*s.item, f) {
			wrong["value: "+name] = map[string]any{"a1": value}
		}
	case blockOf:
		wrong = map[string]any{"string": "x", "list": sequence, "nothing": nil}
	}
	return wrong
}

// probes are values of many kinds, right for some field and wrong for others.
var probes = []any{
	"a", "A", "a.b", "a-b", "Ab_c", "a b", "-a", "9", "0", "644", "0644", "1.2.3.4", "999.1.1.1", "10.1.0.0/16", "10.1.0.5/16", "0.0.0.0/0",
	"default", "fe80::1", "/", "/a/b", "/a/../b", "/a b", "/dev/sda", "/dev/disk/by-id/x:1", "./a.yaml", "../a.yaml", "/a.yml", "a.yaml", "a/", "a/b",
	"http://a.example", "HTTPS://a.example:80/x?y=1", "http://a.example/$releasever/", "ftp://a.example/", "http://u:p@a.example/", "http://a.example/#f",
	"v1.34.4", "v1.34", "1.34.4", "v0.28.4", "1h30m", "90s", "1.5m", "a.service", "a@b.timer", "x.conf", "52:54:00:12:34:56", "52-54-00-12-34-56",
	"root:root", "UTC", "Asia/Shanghai", "America/Argentina/Buenos_Aires", "2027-12-31T00:00:00Z", "2027-12-31T00:00:00.5+01:00", "2027-12-31",
	"a=1.2*", "unix:///run/x.sock", "ALL=(ALL) ALL", "eth0.100", "vm.max_map_count", "net.ipv4.conf.eth0/100.rp_filter", "DE15B14486CD377B9E876E1A234654DA9A296436",
	strings.Repeat("0", 64), strings.Repeat("a", 64), "registry.example.com:5000/a/b", "a.example:80",
}

// TestConstraintsAreThoseOfTheRules: what the schema demands beyond types refuses nothing that gen takes, and every
// constraint refuses something.
func TestConstraintsAreThoseOfTheRules(t *testing.T) {
	m := testModel(t)
	documents, owners := map[string][]byte{}, map[string]string{}
	done := map[string]bool{}
	for _, e := range m.examples(t) {
		c, constrained := constraints[e.field.owner]
		if !constrained || done[e.field.owner] || e.refused {
			continue
		}
		done[e.field.owner] = true
		values := probes
		if c.max > 0 {
			values = []any{c.min - 1, c.min, c.max, c.max + 1}
		}
		for _, value := range values {
			e.parent[e.field.key] = e.field.shape.wrap(value, c.keys != "")
			name := fmt.Sprintf("%s: %v", e.path, value)
			documents[name], owners[name] = e.text(t), e.field.owner
		}
	}
	refusing := map[string]bool{}
	for name, complaints := range consumer.JSONSchema(t, spec.JSONSchema, documents) {
		if len(complaints) == 0 {
			continue
		}
		refusing[owners[name]] = true
		if len(errorsOf(check(documents[name]))) == 0 {
			t.Errorf("gen takes %s, the schema says %q", name, complaints)
		}
	}
	for owner := range constraints {
		if !refusing[owner] {
			t.Errorf("the constraint of %s refuses nothing", owner)
		}
	}
}

// wrap puts a value into the list or map that a field holds; inKey makes it the key.
func (s shape) wrap(value any, inKey bool) any {
	switch {
	case s.kind == list:
		return []any{value}
	case s.kind == table && inKey:
		inner := any("x")
		switch {
		case s.item.kind == blockOf && s.item.structure == reflect.TypeFor[spec.VLAN]():
			inner = map[string]any{"id": 7, "link": "ens33"}
		case s.item.kind == blockOf && s.item.structure == reflect.TypeFor[spec.Ethernet]():
			inner = map[string]any{"dhcp4": true}
		case s.item.kind == blockOf:
			inner = map[string]any{"interfaces": []any{"ens34"}}
		}
		return map[string]any{value.(string): inner}
	default:
		return value
	}
}
