package payload

import (
	"bytes"
	"errors"
)

// beginning is what many contents begin with, and what those begin with when they are compressed: up to the end of a byte.
type beginning struct{ contents, deflated []byte }

// begun are the beginnings met so far, by their contents.
var begun Kept[beginning]

// beginningOf returns the beginning that is all of contents.
func beginningOf(contents []byte) beginning {
	b, err := begun.Get(contents, func() (beginning, error) {
		var deflated bytes.Buffer
		w := newWriter(sharedLevel)
		w.Reset(&deflated)
		_, err := w.Write(contents)
		err = errors.Join(err, w.Flush())
		return beginning{contents: bytes.Clone(contents), deflated: deflated.Bytes()}, err
	})
	neverFails(err)
	return b
}
