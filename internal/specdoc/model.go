package main

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"muster/internal/decode"
	"muster/internal/spec"
	"muster/profiles"
)

// scope is one of the places of a spec where the same things may be set, the later winning over the earlier.
type scope string

const (
	ofFile         scope = "file" // beside the cluster: apiVersion, kind, metadata
	ofCluster      scope = "cluster"
	ofControlPlane scope = "controlPlane"
	ofWorker       scope = "worker"
	ofNode         scope = "node"
	ofPool         scope = "pool"
)

// machineScopes are the scopes that a machine gets its settings from.
var machineScopes = []scope{ofCluster, ofControlPlane, ofWorker, ofNode, ofPool}

// scopeOf are the keys of spec that open a scope of their own.
var scopeOf = map[string]scope{
	"spec": ofCluster, "spec.controlPlane": ofControlPlane, "spec.worker": ofWorker, "spec.nodes[]": ofNode, "spec.pools[]": ofPool,
}

// refusedAt are the settings that the types allow in a scope and a rule of the spec refuses there. A test holds the
// table against the rules.
var refusedAt = map[string][]scope{
	"network":              {ofPool},
	"kubernetes.apiServer": {ofWorker, ofPool},
	"users[].kubeconfig":   {ofWorker, ofPool},
}

// place is where something of the spec may be: the whole path in the file, and the path below its scope.
type place struct {
	scope scope
	full  string
	below string
}

// child is the place of a key below a place; suffix leads on to a list's items or a map's values.
func (p place) child(key, suffix string) place {
	c := place{p.scope, joinPath(p.full, key) + suffix, joinPath(p.below, key) + suffix}
	if opened, ok := scopeOf[c.full]; ok {
		return place{opened, c.full, ""}
	}
	return c
}

func joinPath(path, key string) string { return strings.TrimPrefix(path+"."+key, ".") }

// model is the spec as its two descriptions need it.
type model struct {
	*source
	// blocks are the structs of the spec in the order in which a reader meets them.
	blocks []*block
	// where are the scopes in which a path below a scope may be set.
	where    map[string][]scope
	defaults map[string]defaultValue
}

// block is one struct of the spec.
type block struct {
	structure reflect.Type
	doc       string
	// fields are the block's keys; those of an inlined block with a section of its own are not among them.
	fields []field
	// inlined are such blocks: all their keys may be here as well.
	inlined []*block
	places  []place
	// refused are keys that are refused with a reason.
	refused map[string]string
}

// field is one key of a block.
type field struct {
	// owner is the name of the field in Go's source, as STRUCT.FIELD.
	owner    string
	key      string
	doc      string
	shape    shape
	enum     []string
	required bool
	// atOnce tells that each block has to have a required key; else all that are merged may have it together.
	atOnce bool
	// mayBeEmpty and freeText are the tags empty and text of the spec.
	mayBeEmpty, freeText bool
	example              string
}

// shape is the type of a field in the spec's own terms.
type shape struct {
	kind kind
	// item is that of a list's items and a map's values.
	item *shape
	// structure is the struct of a block.
	structure reflect.Type
}

type kind int

const (
	text kind = iota
	number
	boolean
	list
	table
	free
	blockOf
)

// newModel reads the spec's types from Cluster on.
func newModel(s *source) (*model, error) {
	m, err := modelOf[spec.Cluster](s)
	if err != nil {
		return nil, err
	}
	m.defaults, err = readDefaults()
	return m, err
}

// modelOf reads types from Root on.
func modelOf[Root any](s *source) (*model, error) {
	m := &model{source: s, where: map[string][]scope{}}
	return m, m.visit(reflect.TypeFor[Root](), place{scope: ofFile})
}

// block returns the block of a struct, or nil where it has not been met.
func (m *model) block(structure reflect.Type) *block {
	for _, b := range m.blocks {
		if b.structure == structure {
			return b
		}
	}
	return nil
}

// visit notes that a struct may be at a place, and goes on to all that is inside it.
func (m *model) visit(structure reflect.Type, at place) error {
	b := m.block(structure)
	if b == nil {
		var err error
		if b, err = m.newBlock(structure); err != nil {
			return err
		}
	}
	if slices.Contains(b.places, at) {
		return nil
	}
	b.places = append(b.places, at)
	for i := range structure.NumField() {
		f := structure.Field(i)
		if hasOwnSection(f) {
			if err := m.visit(f.Type, at); err != nil {
				return err
			}
			b.inline(m.block(f.Type))
		}
	}
	for _, f := range b.fields {
		if err := m.visitField(f, at); err != nil {
			return err
		}
	}
	return nil
}

func (b *block) inline(other *block) {
	if !slices.Contains(b.inlined, other) {
		b.inlined = append(b.inlined, other)
	}
}

func (m *model) visitField(f field, at place) error {
	m.allow(at.child(f.key, ""), at.scope)
	inner, suffix := f.shape, ""
	for inner.item != nil {
		if suffix += "[]"; inner.kind == table {
			suffix = strings.TrimSuffix(suffix, "[]") + ".NAME"
		}
		inner = *inner.item
	}
	if inner.kind != blockOf {
		return nil
	}
	return m.visit(inner.structure, at.child(f.key, suffix))
}

// allow notes that a path may be set in a scope, unless a rule refuses it there.
func (m *model) allow(p place, s scope) {
	path := p.below
	if path == "" { // the key that opens a scope belongs to the wider one
		path = p.full
	}
	for refused, there := range refusedAt {
		if slices.Contains(there, s) && (path == refused || strings.HasPrefix(path, refused+".")) {
			return
		}
	}
	if !slices.Contains(m.where[path], s) {
		m.where[path] = append(m.where[path], s)
	}
}

func (m *model) newBlock(structure reflect.Type) (*block, error) {
	name := structure.Name()
	doc, named := strings.CutPrefix(m.structs[name], name+" ")
	if !named || !strings.HasSuffix(doc, ".") {
		return nil, fmt.Errorf("%s is not documented: give it a comment that starts with %s and ends with a full stop", name, name)
	}
	b := &block{structure: structure, doc: sentence(doc), refused: map[string]string{}}
	if r, ok := reflect.Zero(structure).Interface().(interface{ Refused() map[string]string }); ok {
		b.refused = r.Refused()
	}
	m.blocks = append(m.blocks, b)
	return b, m.addFields(b, structure)
}

// addFields adds a struct's fields to a block, those of structs inlined into it included unless they have a section of
// their own.
func (m *model) addFields(b *block, structure reflect.Type) error {
	for i := range structure.NumField() {
		f := structure.Field(i)
		switch {
		case f.Type == reflect.TypeFor[spec.At]() || hasOwnSection(f):
		case inlined(f):
			if err := m.addFields(b, f.Type); err != nil {
				return err
			}
		default:
			read, err := m.newField(structure, f)
			if err != nil {
				return err
			}
			b.fields = append(b.fields, read)
		}
	}
	return nil
}

func inlined(f reflect.StructField) bool { return strings.HasSuffix(f.Tag.Get("yaml"), ",inline") }

// hasOwnSection tells whether an inlined struct is described on its own: one that is made of blocks would be repeated
// at length wherever it is inlined.
func hasOwnSection(f reflect.StructField) bool {
	if !inlined(f) {
		return false
	}
	for i := range f.Type.NumField() {
		inner := f.Type.Field(i)
		if inner.Type == reflect.TypeFor[spec.At]() {
			continue
		}
		if inlined(inner) {
			return true
		}
		if s, err := shapeOf(inner.Type); err == nil && s.kind == blockOf {
			return true
		}
	}
	return false
}

func (m *model) newField(structure reflect.Type, f reflect.StructField) (field, error) {
	owner := structure.Name() + "." + f.Name
	s, err := shapeOf(f.Type)
	if err != nil {
		return field{}, fmt.Errorf("%s: %w", owner, err)
	}
	read := field{
		owner: owner, key: f.Tag.Get("yaml"), shape: s, example: f.Tag.Get("example"),
		required: f.Tag.Get("required") != "", atOnce: f.Tag.Get("required") == "true", mayBeEmpty: f.Tag.Get("empty") != "", freeText: f.Tag.Get("text") != "",
	}
	if values := f.Tag.Get("enum"); values != "" {
		read.enum = strings.Split(values, ",")
	}
	doc, named := strings.CutPrefix(m.fields[owner], f.Name+" ")
	switch {
	case read.key == "":
		return field{}, fmt.Errorf("%s has no key: give it a yaml tag", owner)
	case !named || !strings.HasSuffix(doc, "."):
		return field{}, fmt.Errorf("%s is not documented: give it a comment that starts with %s and ends with a full stop", owner, f.Name)
	case read.example == "":
		return field{}, fmt.Errorf("%s has no example: give it an example tag", owner)
	}
	read.doc = sentence(doc)
	return read, nil
}

// sentence makes of a Go comment without its first word, the name, what can be written beside the key: "is the
// gateway." becomes "The gateway."
func sentence(doc string) string {
	for _, verb := range []string{"is ", "are "} {
		doc = strings.TrimPrefix(doc, verb)
	}
	return strings.ToUpper(doc[:1]) + doc[1:]
}

// shapeOf reads a Go type of the spec.
func shapeOf(t reflect.Type) (shape, error) {
	switch t {
	case reflect.TypeFor[spec.Value[string]](), reflect.TypeFor[spec.Value[decode.Secret]]():
		return shape{kind: text}, nil
	case reflect.TypeFor[spec.Value[int]]():
		return shape{kind: number}, nil
	case reflect.TypeFor[spec.Value[bool]]():
		return shape{kind: boolean}, nil
	case reflect.TypeFor[spec.Free]():
		return shape{kind: free}, nil
	}
	if t.Kind() != reflect.Struct {
		return shape{}, fmt.Errorf("%s is no type of a spec", t)
	}
	if t.PkgPath() == reflect.TypeFor[spec.Cluster]().PkgPath() || t.PkgPath() == reflect.TypeFor[profiles.Profile]().PkgPath() {
		return shape{kind: blockOf, structure: t}, nil
	}
	outer, inner := list, reflect.Type(nil)
	if items, ok := t.FieldByName("Items"); ok {
		inner = items.Type.Elem()
	} else if entries, ok := t.FieldByName("Entries"); ok {
		value, _ := entries.Type.Elem().FieldByName("Value") // every decode.Entry has one
		outer, inner = table, value.Type
	} else {
		return shape{}, fmt.Errorf("%s is no type of a spec", t)
	}
	item, err := shapeOf(inner)
	return shape{kind: outer, item: &item}, err
}
