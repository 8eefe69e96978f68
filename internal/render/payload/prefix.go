package payload

import (
	"bytes"
	stdflate "compress/flate" // the standard library's, so that a fault of the compressor's is seen
	"errors"
	"io"
	"sync"
)

// prefix is shared by many documents, and has its compressed form, flushed to a byte boundary so that more can follow.
type prefix struct {
	contents, deflated []byte
	// verified decompresses the compressed form, once for all, and reports whether that gives the contents.
	verified func() bool
}

func newPrefix(contents, deflated []byte) prefix {
	return prefix{contents, deflated, sync.OnceValue(func() bool {
		read := make([]byte, len(contents))
		_, err := io.ReadFull(stdflate.NewReader(bytes.NewReader(deflated)), read)
		return err == nil && bytes.Equal(read, contents)
	})}
}

// prefixes are those met so far, by their contents.
var prefixes Cache[prefix]

// prefixOf returns the prefix that is all of contents.
func prefixOf(contents []byte) prefix {
	p, err := prefixes.Get(contents, func() (prefix, error) {
		var deflated bytes.Buffer
		w := newWriter(sharedLevel)
		w.Reset(&deflated)
		_, err := w.Write(contents)
		err = errors.Join(err, w.Flush())
		return newPrefix(bytes.Clone(contents), deflated.Bytes()), err
	})
	neverFails(err)
	return p
}
