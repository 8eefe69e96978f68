package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	"muster/internal/decode"
	"muster/internal/problem"
	"muster/profiles"
)

// draft is the dialect of the schema. Draft 7 is the newest one that all releases of yaml-language-server read, the
// program behind VS Code's and Neovim's YAML support.
const draft = "http://json-schema.org/draft-07/schema#"

// schema is a JSON Schema, in the keywords that are used here.
type schema struct {
	Draft                string             `json:"$schema,omitempty"`
	Ref                  string             `json:"$ref,omitempty"`
	Title                string             `json:"title,omitempty"`
	Description          string             `json:"description,omitempty"`
	Type                 string             `json:"type,omitempty"`
	Enum                 []string           `json:"enum,omitempty"`
	Pattern              string             `json:"pattern,omitempty"`
	MinLength            int                `json:"minLength,omitempty"`
	Minimum              *int               `json:"minimum,omitempty"`
	Maximum              int                `json:"maximum,omitempty"`
	Default              any                `json:"default,omitempty"`
	Examples             []any              `json:"examples,omitempty"`
	AllOf                []*schema          `json:"allOf,omitempty"`
	OneOf                []*schema          `json:"oneOf,omitempty"`
	Not                  *schema            `json:"not,omitempty"`
	Items                *schema            `json:"items,omitempty"`
	PropertyNames        *schema            `json:"propertyNames,omitempty"`
	Properties           map[string]*schema `json:"properties,omitempty"`
	Required             []string           `json:"required,omitempty"`
	AdditionalProperties any                `json:"additionalProperties,omitempty"`
	Definitions          map[string]*schema `json:"definitions,omitempty"`
}

// jsonSchema describes a spec file to an editor.
func (m *model) jsonSchema() ([]byte, error) {
	definitions := map[string]*schema{}
	for _, b := range m.blocks[1:] {
		if !b.alwaysInlined() {
			s, err := m.blockSchema(b)
			if err != nil {
				return nil, err
			}
			definitions[b.structure.Name()] = s
		}
	}
	root, err := m.blockSchema(m.blocks[0])
	if err != nil {
		return nil, err
	}
	root.Draft, root.Title, root.Description, root.Definitions = draft, "Muster cluster spec", m.blocks[0].doc, definitions
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	err = encoder.Encode(root)
	return out.Bytes(), err
}

// alwaysInlined tells whether no field has the block as its own.
func (b *block) alwaysInlined() bool { return b.structure.Name() == "Machine" }

// blockSchema is the schema of a block with all keys that may be in it. It has no description: an editor would show
// that instead of what the key in front of the block tells.
func (m *model) blockSchema(b *block) (*schema, error) {
	s := &schema{Type: "object", Properties: map[string]*schema{}, AdditionalProperties: false}
	for _, f := range b.allFields() {
		if !m.allowed(b, f) {
			continue
		}
		property, err := m.fieldSchema(b, f)
		if err != nil {
			return nil, err
		}
		s.Properties[f.key] = property
		if f.atOnce {
			s.Required = append(s.Required, f.key)
		}
	}
	c := choices[b.structure.Name()]
	for _, key := range c.oneOf {
		s.OneOf = append(s.OneOf, &schema{Required: []string{key}})
	}
	for i, key := range c.atMostOne {
		for _, other := range c.atMostOne[i+1:] {
			s.AllOf = append(s.AllOf, &schema{Not: &schema{Required: []string{key, other}}})
		}
	}
	return s, nil
}

// allFields are a block's keys, those of inlined blocks first.
func (b *block) allFields() []field {
	var all []field
	for _, inner := range b.inlined {
		all = append(all, inner.allFields()...)
	}
	return append(all, b.fields...)
}

// allowed tells whether a key is refused wherever the block is.
func (m *model) allowed(b *block, f field) bool {
	return slices.ContainsFunc(b.places, func(p place) bool { return m.mayStand(p.child(f.key, "")) })
}

// mayStand tells whether a path may be set in its scope.
func (m *model) mayStand(p place) bool {
	path, s := p.below, p.scope
	if path == "" {
		return true
	}
	return slices.Contains(m.where[path], s)
}

// fieldSchema is the schema of a key, with everything that an editor shows of it.
func (m *model) fieldSchema(b *block, f field) (*schema, error) {
	s := m.shapeSchema(f, f.shape)
	if s.Ref != "" { // in draft 7 nothing beside a $ref counts
		s = &schema{AllOf: []*schema{s}}
	}
	s.Description = f.doc
	if value, ok := m.defaultOf(b, f); ok && !value.computed {
		s.Default = value.value
	}
	example, err := readExample(f)
	s.Examples = []any{example}
	if f.owner == "Machine.Profile" { // an editor offers examples, so it gets all that there are
		s.Examples = nil
		for _, name := range profiles.Names(profiles.Builtin) {
			s.Examples = append(s.Examples, name)
		}
	}
	return s, err
}

// defaultOf is what holds where a key of a block is not written.
func (m *model) defaultOf(b *block, f field) (defaultValue, bool) {
	for _, p := range b.places {
		if value, ok := m.defaults[p.child(f.key, "").full]; ok {
			return value, true
		}
	}
	return defaultValue{}, false
}

// shapeSchema is the schema of a field's type, or of its items.
func (m *model) shapeSchema(f field, s shape) *schema {
	c := constraints[f.owner]
	switch s.kind {
	case list:
		return &schema{Type: "array", Items: m.shapeSchema(f, *s.item)}
	case table:
		out := &schema{Type: "object", AdditionalProperties: m.shapeSchema(f, *s.item)}
		if c.keys != "" {
			out.PropertyNames = &schema{Pattern: m.expression(c.keys)}
		}
		return out
	case number:
		return numberSchema(c)
	case boolean:
		return &schema{Type: "boolean"}
	case blockOf:
		return &schema{Ref: "#/definitions/" + s.structure.Name()}
	case free:
		return &schema{}
	}
	return m.textSchema(f)
}

// textSchema is the schema of a string; of one with no expression of its own it asks what the rules about every string
// ask, as far as an expression can.
func (m *model) textSchema(f field) *schema {
	s := &schema{Type: "string", Enum: f.enum, Pattern: m.expression(constraints[f.owner].pattern)}
	switch {
	case s.Pattern != "" || len(f.enum) > 0:
	case f.freeText && !f.mayBeEmpty:
		s.MinLength = 1
	case f.freeText:
	case f.mayBeEmpty:
		s.Pattern = trimmedOrEmpty
	default:
		s.Pattern = trimmed
	}
	return s
}

// numberSchema bounds a number; no number of a spec is negative.
func numberSchema(c constraint) *schema {
	return &schema{Type: "integer", Minimum: &c.min, Maximum: c.max}
}

// readExample returns a field's example as JSON has it.
func readExample(f field) (any, error) {
	var one struct {
		decode.At
		Value decode.Free `yaml:"example"`
	}
	var problems problem.List
	decode.Into(&one, []byte("example: "+f.example+"\n"), &problems)
	if problems.Failed() {
		return nil, fmt.Errorf("the example of %s cannot be read: %s", f.owner, problems.Sorted()[0])
	}
	return one.Value.V, nil
}
