package generate

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"

	"muster/internal/secrets"
)

// Options are what a run needs beside the spec.
type Options struct {
	// Context, when set, is looked at while documents are made: when it has ended, the run ends with its error.
	Context context.Context
	// Secrets returns the bundle that credentials are derived from. It is called once, for a spec in which the rules
	// find no error; what plans and encoders find comes later.
	Secrets func() (*secrets.Bundle, error)
	// Program returns the rendezvous for an architecture (a GOARCH value) as a gzip stream.
	Program func(architecture string) ([]byte, error)
	// Progress, when set, is told how many of all documents are done, from several goroutines.
	Progress func(done, all int)
}

// ForTests are the options of tests and goldens only: every credential is derived from the public test bundle, and the rendezvous
// is a text that says so. A machine that boots with such documents does not come up, and protects nothing.
func ForTests() Options {
	return Options{
		Secrets: func() (*secrets.Bundle, error) { return secrets.Test(), nil },
		Program: func(architecture string) ([]byte, error) {
			var out bytes.Buffer
			w := gzip.NewWriter(&out)
			_, err := fmt.Fprintf(w, "This stands for the rendezvous (%s) in tests; gen carries the real one.\n", architecture)
			if err := errors.Join(err, w.Close()); err != nil {
				return nil, err
			}
			return out.Bytes(), nil
		},
	}
}
