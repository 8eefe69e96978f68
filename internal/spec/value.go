package spec

import "muster/internal/decode"

// The kinds of values that the spec is made of; each keeps the place where it was written.
type (
	// At is a place in the spec.
	At = decode.At
	// Value is one scalar.
	Value[T decode.Scalar] = decode.Value[T]
	// List is a sequence.
	List[T any] = decode.List[T]
	// Map is a mapping whose keys the user chooses.
	Map[T any] = decode.Map[T]
	// Entry is one key of a Map.
	Entry[T any] = decode.Entry[T]
	// Free is a part whose shape belongs to somebody else.
	Free = decode.Free
)
