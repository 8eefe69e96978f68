package decode

import (
	"fmt"
	"io"

	"muster/internal/problem"
)

// At is a place in a file; every value carries its own, through merging and defaulting.
type At = problem.At

// Scalar is what a Value may hold. Strings are taken only from YAML strings: a number or a boolean where a string is
// meant is a problem, since YAML would have changed it (0888, 1.10, on).
type Scalar interface {
	~string | ~int | ~bool | Secret
}

// Value is one scalar of a file. The zero value is one that nobody has set.
type Value[T Scalar] struct {
	At
	V   T
	Set bool
}

// Default gives an unset value one that no line of a file holds.
func (v *Value[T]) Default(value T) {
	if !v.Set {
		v.V, v.Set = value, true
	}
}

// List is a sequence of a file. Set tells an empty list, which overrides a wider one unless its elements are Keyed, from
// none at all.
type List[T any] struct {
	At
	Items []T
	Set   bool
}

// Strings returns the strings of a list.
func Strings(l List[Value[string]]) []string {
	out := make([]string, len(l.Items))
	for i, v := range l.Items {
		out[i] = v.V
	}
	return out
}

// Entry is one key of a map of a file, with the place of the key.
type Entry[T any] struct {
	At
	Key   string
	Value T
}

// Map is a mapping of a file whose keys the user chooses, in the order of the file.
type Map[T any] struct {
	At
	Entries []Entry[T]
	Set     bool
}

// Get returns the value of a key.
func (m Map[T]) Get(key string) (T, bool) {
	for _, e := range m.Entries {
		if e.Key == key {
			return e.Value, true
		}
	}
	var none T
	return none, false
}

// Free is a part of a file whose shape belongs to somebody else (a kubeadm patch, Docker's daemon.json): maps with
// string keys, slices, strings, booleans, int64, float64 and nil, as a JSON decoder would give them.
type Free struct {
	At
	V   any
	Set bool
	// Keys are the places of the keys in it, by path, until it is merged with another.
	Keys map[string]At
}

// Place is that of a key below the part, as far as it is known.
func (f Free) Place(keys ...string) At {
	at := f.At
	for _, key := range keys {
		at.Path = join(at.Path, key)
		if found, known := f.Keys[at.Path]; known {
			at = found
		}
	}
	return at
}

// Secret is a string that never prints and is never encoded by accident; Reveal is the only way to it. It holds a
// pointer because fmt passes Format by where a verb does not fit the value that a Secret lies in.
type Secret struct{ text *string }

// NewSecret hides a string.
func NewSecret(text string) Secret { return Secret{&text} }

// Reveal returns the string; empty for the zero value.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

const redacted = "(redacted)"

// Format hides the secret from every verb of fmt.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// String hides the secret from code that asks for a string.
func (Secret) String() string { return redacted }

// MarshalText hides the secret from encoders of JSON and YAML.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }
