package decode

import (
	"maps"
	"reflect"
	"slices"
)

// Keyed is an element that a narrower list adds to a wider one by its key, replacing the element of the same key.
type Keyed interface{ MergeKey() string }

// Merge lays narrow over wide, both structs of one type made of this package's values, and returns the result: what
// narrow sets wins, what it leaves unset stays, and every value keeps the place where it was written. Neither argument
// is changed.
func Merge[T any](wide, narrow T) T {
	mergeStruct(reflect.ValueOf(&wide).Elem(), reflect.ValueOf(narrow))
	return wide
}

// merger is a value that lays a narrower one of its own type over itself.
type merger interface{ merge(narrow any) }

func mergeStruct(wide, narrow reflect.Value) {
	for i := range wide.NumField() {
		w, n := wide.Field(i), narrow.Field(i)
		if m, ok := w.Addr().Interface().(merger); ok {
			m.merge(n.Interface())
			continue
		}
		if at, ok := n.Interface().(At); ok {
			if at.Known() {
				w.Set(n)
			}
			continue
		}
		mergeStruct(w, n)
	}
}

func (v *Value[T]) merge(narrow any) {
	if n := narrow.(Value[T]); n.Set || n.Known() && !v.Set { // one that could not be read is none that is missing
		*v = n
	}
}

func (l *List[T]) merge(narrow any) {
	n := narrow.(List[T])
	if !n.Set {
		if n.Known() && !l.Set { // it could not be read, and is not missing
			*l = n
		}
		return
	}
	if _, keyed := any(*new(T)).(Keyed); !keyed || !l.Set {
		*l = n
		return
	}
	merged := List[T]{At: n.At, Set: true}
	replaced := map[string]bool{}
	for _, item := range n.Items {
		replaced[any(item).(Keyed).MergeKey()] = true
	}
	for _, item := range l.Items {
		if !replaced[any(item).(Keyed).MergeKey()] {
			merged.Items = append(merged.Items, item)
		}
	}
	merged.Items = append(merged.Items, n.Items...)
	*l = merged
}

func (m *Map[T]) merge(narrow any) {
	n := narrow.(Map[T])
	if !n.Set {
		return
	}
	merged := Map[T]{At: n.At, Set: true}
	for _, e := range m.Entries {
		if over, ok := n.entry(e.Key); ok {
			e = mergeEntry(e, over)
		}
		merged.Entries = append(merged.Entries, e)
	}
	for _, e := range n.Entries {
		if _, ok := m.entry(e.Key); !ok {
			merged.Entries = append(merged.Entries, e)
		}
	}
	*m = merged
}

func (m Map[T]) entry(key string) (Entry[T], bool) {
	for _, e := range m.Entries {
		if e.Key == key {
			return e, true
		}
	}
	return Entry[T]{}, false
}

func mergeEntry[T any](wide, narrow Entry[T]) Entry[T] {
	merged := wide.Value
	if m, ok := any(&merged).(merger); ok {
		m.merge(narrow.Value)
	} else {
		mergeStruct(reflect.ValueOf(&merged).Elem(), reflect.ValueOf(narrow.Value))
	}
	return Entry[T]{At: narrow.At, Key: wide.Key, Value: merged}
}

func (f *Free) merge(narrow any) {
	n := narrow.(Free)
	if !n.Set {
		return
	}
	if !f.Set {
		*f = n
		return
	}
	// Both stay merge patches: a null of the narrower one has to survive, to remove what the document has.
	*f = Free{At: n.At, V: composePatches(f.V, n.V), Set: true}
}

// whole is a part of a merge patch that takes the place of what a document has there, instead of being merged with it:
// a merge patch cannot do that with a mapping, and composing two may need it.
type whole struct{ value any }

// composePatches makes one patch that does what first and then second would do.
func composePatches(first, second any) any {
	s, ok := second.(map[string]any)
	if !ok {
		return second
	}
	f, ok := first.(map[string]any)
	if !ok {
		return whole{Patch(Patch(nil, first), second)}
	}
	out := maps.Clone(f)
	for k, v := range s {
		if under, both := f[k]; both {
			v = composePatches(under, v)
		}
		out[k] = v
	}
	return out
}

// Patch applies a merge patch (RFC 7396) to a document of maps, slices and scalars, and returns the result; null
// removes a key. Neither argument is changed.
func Patch(document, patch any) any {
	if w, ok := patch.(whole); ok {
		return w.value
	}
	p, ok := patch.(map[string]any)
	if !ok {
		return patch
	}
	d, _ := document.(map[string]any)
	out := make(map[string]any, len(d)+len(p))
	maps.Copy(out, d)
	for k, v := range p {
		if v == nil {
			delete(out, k)
			continue
		}
		out[k] = Patch(out[k], v)
	}
	return out
}

// Lack is a key that is written nowhere and has to be.
type Lack struct {
	// Key is the path of the key below the value that it was looked for in.
	Key string
	// Instead is what to write.
	Instead string
}

// Missing finds the keys that are demanded of merged values (required:"merged") and that none of those had from which
// this one was merged. A block that is missing as a whole lacks no keys besides.
func Missing[T any](merged T) []Lack { return missing(reflect.ValueOf(merged), "") }

func missing(v reflect.Value, path string) (lacks []Lack) {
	fields := fieldsOf(v.Type())
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		f, value := fields[key], v.FieldByIndex(fields[key].Index)
		_, whole := value.Interface().(holder)
		switch {
		case f.Tag.Get("required") == "merged" && !placeOf(value).Known():
			lacks = append(lacks, Lack{join(path, key), field{f, key, ""}.ifMissing()})
		case !whole:
			lacks = append(lacks, missing(value, join(path, key))...)
		}
	}
	return lacks
}

// Idle finds what looks as if it took something of wide away and does not: blocks, maps, and lists of keyed elements
// that stand empty in narrow while wide holds some.
func Idle[T any](wide, narrow T) []At {
	return idleFields(reflect.ValueOf(wide), reflect.ValueOf(narrow))
}

func idleFields(wide, narrow reflect.Value) (found []At) {
	for i := range narrow.NumField() {
		if narrow.Field(i).Type() != reflect.TypeFor[At]() {
			found = append(found, idle(wide.Field(i), narrow.Field(i))...)
		}
	}
	return found
}

func idle(wide, narrow reflect.Value) (found []At) {
	if _, whole := narrow.Interface().(holder); !whole {
		found = idleFields(wide, narrow)
	}
	if at := placeOf(narrow); len(found) == 0 && at.Known() && holds(wide) && !holds(narrow) {
		found = []At{at}
	}
	return found
}

// placeOf is where a block or a value stands; not known for a struct that is only inlined into others.
func placeOf(v reflect.Value) At {
	if at := v.FieldByName("At"); at.IsValid() {
		return at.Interface().(At)
	}
	return At{}
}

// holder is a value that tells whether it says something in its file. What could not be read may have.
type holder interface{ holds() bool }

// holds reports whether a block or a value says something in its file.
func holds(v reflect.Value) bool {
	if h, ok := v.Interface().(holder); ok {
		return h.holds()
	}
	for i := range v.NumField() {
		if v.Field(i).Type() != reflect.TypeFor[At]() && holds(v.Field(i)) {
			return true
		}
	}
	return false
}

func (v Value[T]) holds() bool { return v.Known() }

func (l List[T]) holds() bool {
	_, keyed := any(*new(T)).(Keyed)
	return l.Known() && !(keyed && l.Set && len(l.Items) == 0)
}

func (m Map[T]) holds() bool { return m.Known() && !(m.Set && len(m.Entries) == 0) }

func (f Free) holds() bool {
	patch, ok := f.V.(map[string]any)
	return f.Known() && !(ok && len(patch) == 0)
}
