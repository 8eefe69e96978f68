// Package credential owns what a node, or the operator, shows the rendezvous to be known by: certificates with a
// muster:// name, signed grants, and the identity that either of them proves. Everything here can live on a node: it
// verifies with the public half of the rendezvous CA.
//
// It must not know the seed or how keys are derived from it (package secrets does, on the operator's machine only), nor
// decide what an identity may do: the rendezvous does that.
package credential

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// ErrSecret is why a secret cannot be marshalled: an encoder that wrote a placeholder instead would make a document
// that fails on the node.
var ErrSecret = errors.New("a secret is not encoded by accident: call Reveal where it has to be written")

const redacted = "[redacted]"

// Secret holds bytes that must not be printed. Every verb of fmt and every slog handler gets "[redacted]", and every
// encoder an error.
type Secret struct {
	// A function, because fmt calls no method on the unexported fields of a struct that holds a Secret, but prints
	// their contents, through pointers too when the verb does not fit. It cannot look into a function.
	reveal func() []byte
}

// NewSecret takes a copy of contents.
func NewSecret(contents []byte) Secret {
	kept := bytes.Clone(contents)
	return Secret{reveal: func() []byte { return bytes.Clone(kept) }}
}

// Reveal returns a copy of the bytes, nil for the zero Secret. Call it where they are written to their 0600 file or
// sent over TLS, and nowhere else.
func (s Secret) Reveal() []byte {
	if s.reveal == nil {
		return nil
	}
	return s.reveal()
}

// Format redacts under every verb and flag.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// String redacts; it is for code that calls it without fmt.
func (s Secret) String() string { return redacted }

// LogValue redacts in slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalJSON fails with ErrSecret.
func (s Secret) MarshalJSON() ([]byte, error) { return nil, ErrSecret }

// MarshalText fails with ErrSecret, for encoding/xml, flag and TOML encoders.
func (s Secret) MarshalText() ([]byte, error) { return nil, ErrSecret }

// MarshalBinary fails with ErrSecret, for encoding/gob.
func (s Secret) MarshalBinary() ([]byte, error) { return nil, ErrSecret }

// MarshalYAML fails with ErrSecret.
func (s Secret) MarshalYAML() (any, error) { return nil, ErrSecret }

var (
	_ fmt.Formatter  = Secret{}
	_ slog.LogValuer = Secret{}
	_ json.Marshaler = Secret{}
)
