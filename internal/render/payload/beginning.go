package payload

import (
	"bytes"
	"errors"
	"sync"
)

// beginning is what many contents begin with, and what those begin with when they are compressed: up to the end of a byte.
type beginning struct{ contents, deflated []byte }

// beginnings keeps those that were compressed, keptMost of them.
type beginnings struct {
	mu   sync.Mutex
	kept []beginning
}

// begun are the beginnings of this process.
var begun beginnings

// of returns the beginning that is all of contents.
func (b *beginnings) of(contents []byte) beginning {
	same := func(known beginning) bool { return bytes.Equal(known.contents, contents) }
	if known := b.find(same); known.deflated != nil {
		return known
	}
	var deflated bytes.Buffer
	w := newWriter(sharedLevel)
	w.Reset(&deflated)
	_, err := w.Write(contents)
	neverFails(errors.Join(err, w.Flush()))
	made := beginning{contents: bytes.Clone(contents), deflated: deflated.Bytes()}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.kept) == keptMost {
		b.kept = nil
	}
	b.kept = append(b.kept, made)
	return made
}

// find returns a beginning that matches, or an empty one.
func (b *beginnings) find(matches func(beginning) bool) beginning {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, known := range b.kept {
		if matches(known) {
			return known
		}
	}
	return beginning{}
}
