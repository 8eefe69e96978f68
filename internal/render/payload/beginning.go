package payload

import (
	"bytes"
	inflate "compress/flate" // another's than what compresses
	"errors"
	"io"
	"sync"
)

// beginning is what many contents begin with, and what those begin with when they are compressed: up to the end of a byte.
type beginning struct {
	contents, deflated []byte
	// comesBack reads what was compressed, once for all, and reports whether it is the contents.
	comesBack func() bool
}

func newBeginning(contents, deflated []byte) beginning {
	return beginning{contents, deflated, sync.OnceValue(func() bool {
		read := make([]byte, len(contents))
		_, err := io.ReadFull(inflate.NewReader(bytes.NewReader(deflated)), read)
		return err == nil && bytes.Equal(read, contents)
	})}
}

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
		return newBeginning(bytes.Clone(contents), deflated.Bytes()), err
	})
	neverFails(err)
	return b
}
