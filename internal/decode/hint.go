package decode

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"muster/internal/problem"
)

// Hints are what is proposed for an unknown key of a structure.
type Hints struct {
	// Meant are keys by other words for them that people write: keys of the structure, or paths of keys that begin in it
	// or in one around it.
	Meant map[string]string
	// Instead is what to write in the place of a word of another tool: of a key, of what stands where the structure is
	// meant, and as "KEY: VALUE" of a value outside an enumeration.
	Instead map[string]string
	// Unfit are keys that are read, for a rule to refuse with its reason, and not proposed.
	Unfit []string
}

func hintsOf(t reflect.Type) Hints {
	if h, ok := reflect.Zero(t).Interface().(interface{ Hints() Hints }); ok {
		return h.Hints()
	}
	return Hints{}
}

// offered are the keys of a structure that may be proposed.
func offered(t reflect.Type) map[string]reflect.StructField {
	fields := maps.Clone(fieldsOf(t))
	for _, key := range hintsOf(t).Unfit {
		delete(fields, key)
	}
	return fields
}

// meant is the path of a key of a structure that is written by another word or at another place.
type meant struct {
	keys []string
	at   At
}

// mark makes a key known that could not be read: neither the reader nor a rule may call it missing.
func (m meant) mark(v reflect.Value, path string) {
	for i, key := range m.keys {
		v = v.FieldByIndex(fieldsOf(v.Type())[key].Index)
		path = join(path, key)
		switch {
		case placeOf(v).Known():
		case i == len(m.keys)-1:
			setAt(v, m.at)
		default:
			setAt(v, At{Path: path, Line: m.at.Line, Column: m.at.Column})
		}
	}
}

// unknown reports a key that the innermost structure does not have, and returns what it probably means there.
func (d *decoder) unknown(key, value *yaml.Node) (m meant) {
	s := d.around[len(d.around)-1]
	hints, keys := hintsOf(s.structure), slices.Sorted(maps.Keys(offered(s.structure)))
	m.at = place(key, join(s.path, key.Value))
	if strings.Contains(key.Value, noBreakSpace) {
		d.problems.Errorf(m.at, plainSpaces, noBreakMessage)
		word, _, _ := strings.Cut(strings.Trim(key.Value, noBreakSpace+" "), ":")
		if slices.Contains(keys, word) {
			m.keys = []string{word}
		}
		return m
	}
	word := cmp.Or(hints.Meant[key.Value], problem.Nearest(key.Value, keys))
	instead := hints.Instead[key.Value]
	if instead == "" {
		found, inside := d.find(cmp.Or(word, key.Value), value)
		if instead = advise(found, inside, word); instead == "" {
			instead = mayStand(keys, s.path)
		}
		if len(found) == 1 && inside && found[0].plain {
			m.keys = found[0].keys
		}
	}
	d.problems.Errorf(m.at, instead, "unknown key")
	return m
}

// mayStand is what to write in the place of a key that means nothing in a structure with these.
func mayStand(keys []string, path string) string {
	if len(keys) == 0 { // a block without keys, which is there or not
		return fmt.Sprintf("leave it out and write %s: {}", path[strings.LastIndex(path, ".")+1:])
	}
	return "here may stand " + strings.Join(keys, ", ")
}

// spot is a place of a key in the types, seen from a structure that is being read.
type spot struct {
	structure reflect.Type
	// path is that of the structure, with [] for any item of a list and NAME for any key of a map.
	path string
	// keys lead to the spot from the structure that is being read; plain tells that they pass through no list or map.
	keys  []string
	plain bool
	// field is that of the last key, where one was looked for; fits tells that the value looks like one of its type.
	field reflect.StructField
	fits  bool
}

// key is the last key.
func (s spot) key() string { return s.keys[len(s.keys)-1] }

// find looks for a key or a path of keys: in the innermost structure and below, which is inside, and then around it. Of
// what is found in one turn it returns the nearest, and only what fits the value if anything does.
func (d *decoder) find(wanted string, value *yaml.Node) (found []spot, inside bool) {
	for i := len(d.around) - 1; i >= 0; i-- {
		found = d.around[i].nearest(strings.Split(wanted, "."))
		for j := range found {
			found[j].fits = takes(found[j].field.Type, value)
		}
		if fit := slices.DeleteFunc(slices.Clone(found), func(s spot) bool { return !s.fits }); len(fit) > 0 {
			found = fit
		}
		if len(found) > 0 {
			return found, i == len(d.around)-1
		}
	}
	return nil, false
}

// The most places that an advice names, and of how many keys that only have the name in common.
const (
	maxPlaces = 4
	maxKinds  = 2
)

// advise says where a key may stand that is written elsewhere, or by another word; "" where there is too much to say.
func advise(found []spot, inside bool, word string) string {
	var places []string
	kinds := map[string]bool{}
	for _, s := range found {
		if s.path != "" {
			places = append(places, s.path)
		}
		kinds[s.field.Name+string(s.field.Tag)] = true
	}
	switch {
	case len(found) == 0 || len(found) > maxPlaces || len(kinds) > maxKinds || len(places) == 0 && word == "":
		return ""
	case word != "" && inside:
		return fmt.Sprintf("did you mean %s?", strings.Join(found[0].keys, "."))
	case word != "":
		return "write it as " + join(found[0].path, found[0].key())
	case !inside:
		return fmt.Sprintf("a key %s may stand under %s", found[0].key(), either(places))
	case !found[0].fits && len(kinds) == 1:
		return fmt.Sprintf("write it under %s, for example %s: %s", either(places), found[0].key(), found[0].field.Tag.Get("example"))
	default:
		return "write it under " + either(places)
	}
}

func either(words []string) string {
	last := len(words) - 1
	if last == 0 {
		return words[0]
	}
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// nearest are the places at which a path of keys may stand in a structure or below it: those with the fewest keys
// before them.
func (s spot) nearest(keys []string) (found []spot) {
	for level := []spot{s}; len(level) > 0 && len(found) == 0; {
		var below []spot
		for _, at := range level {
			if hit, ok := at.follow(keys); ok {
				found = append(found, hit)
			}
			below = append(below, at.below()...)
		}
		level = below
	}
	return found
}

// follow goes along keys of structures, and ends at the structure that has the last one.
func (s spot) follow(keys []string) (spot, bool) {
	f, ok := offered(s.structure)[keys[0]]
	if !ok {
		return s, false
	}
	if len(keys) == 1 {
		s.keys = append(slices.Clone(s.keys), keys[0])
		s.field = f
		return s, true
	}
	inner, ok := s.into(keys[0], f)
	if !ok {
		return s, false
	}
	return inner.follow(keys[1:])
}

// below are the structures that the structure's keys hold.
func (s spot) below() (all []spot) {
	fields := offered(s.structure)
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		if inner, ok := s.into(key, fields[key]); ok {
			all = append(all, inner)
		}
	}
	return all
}

// into enters the structure that a key holds, or holds a list or map of.
func (s spot) into(key string, f reflect.StructField) (spot, bool) {
	in := spot{structure: f.Type, path: join(s.path, key), keys: append(slices.Clone(s.keys), key), plain: s.plain}
	for {
		if items, ok := in.structure.FieldByName("Items"); ok && isValue(in.structure) {
			in.structure, in.path, in.plain = items.Type.Elem(), in.path+"[]", false
		} else if entries, ok := in.structure.FieldByName("Entries"); ok && isValue(in.structure) {
			value, _ := entries.Type.Elem().FieldByName("Value") // every Entry has one
			in.structure, in.path, in.plain = value.Type, in.path+".NAME", false
		} else {
			return in, !isValue(in.structure)
		}
	}
}

// isValue tells values of this package from structures.
func isValue(t reflect.Type) bool {
	return reflect.PointerTo(t).Implements(reflect.TypeFor[decodable]())
}

// takes reports whether a node looks like a value of a type: of its kind, and without keys that it does not have.
func takes(t reflect.Type, n *yaml.Node) bool {
	_, items := t.FieldByName("Items")
	_, entries := t.FieldByName("Entries")
	switch {
	case t == reflect.TypeFor[Free]():
		return true
	case isValue(t) && items:
		return n.Kind == yaml.SequenceNode
	case isValue(t) && entries:
		return n.Kind == yaml.MappingNode
	case isValue(t):
		return n.Kind == yaml.ScalarNode
	case n.Kind != yaml.MappingNode:
		return false
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if _, known := fieldsOf(t)[n.Content[i].Value]; !known {
			return false
		}
	}
	return true
}

// noBreakSpace looks like a space, and is none for YAML: texts that were copied from a web page hold it.
const (
	noBreakSpace   = "\u00a0"
	noBreakMessage = "a no-break space (U+00A0) stands here, which YAML takes for a letter"
	plainSpaces    = "write plain spaces in the place of each"
)
