package node

import (
	"errors"
	"fmt"
)

// errEncoded is why neither files nor users are marshalled: what they hold may be secret, and only documents carry it.
var errEncoded = errors.New("a plan is encoded by the encoders of documents only: its files and users hold secrets")

// Format names a file without its contents under every verb, so that a plan that is printed by accident shows no key.
func (f File) Format(s fmt.State, _ rune) {
	_, _ = fmt.Fprintf(s, "file %s, %d bytes", f.Path, len(f.Contents))
}

// MarshalJSON fails.
func (File) MarshalJSON() ([]byte, error) { return nil, errEncoded }

// Format names a user without the password's hash under every verb.
func (u User) Format(s fmt.State, _ rune) { _, _ = fmt.Fprintf(s, "user %s", u.Name) }

// MarshalJSON fails.
func (User) MarshalJSON() ([]byte, error) { return nil, errEncoded }
