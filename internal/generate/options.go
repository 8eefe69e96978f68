package generate

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"

	"muster/internal/layout"
	"muster/internal/node"
	"muster/internal/plan"
	"muster/internal/problem"
	"muster/internal/render/payload"
	"muster/internal/secrets"
)

// Options are what a run needs beside the spec.
type Options struct {
	// Context, when set, is looked at while documents are made: when it has ended, the run ends with its error.
	Context context.Context
	// Secrets returns the bundle that credentials are derived from. It is called once, for a spec without errors only, so
	// that nothing is created for one that has to be mended first.
	Secrets func() (*secrets.Bundle, error)
	// Program returns the rendezvous for an architecture (a GOARCH value) as a gzip stream.
	Program func(architecture string) ([]byte, error)
	// Progress, when set, is told how many of all documents are done, from several goroutines.
	Progress func(done, all int)
}

// Public are the options of tests and goldens: every credential is derived from the public test bundle, and the rendezvous
// is a text that says so. A machine that boots with such documents does not come up, and protects nothing.
func Public() Options {
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

// rendezvous prepares what the machines meet through.
func (g *generator) rendezvous() (plan.Rendezvous, error) {
	bundle, err := g.options.Secrets()
	if err != nil {
		return plan.Rendezvous{}, err
	}
	return plan.Rendezvous{Secrets: bundle, Program: g.program}, nil
}

// program measures the rendezvous of an architecture, once a run.
func (g *generator) program(architecture string) (node.Program, error) {
	g.measuring.Lock()
	defer g.measuring.Unlock()
	if p, ok := g.programs[architecture]; ok {
		return p, nil
	}
	compressed, err := g.options.Program(architecture)
	if err != nil {
		return node.Program{}, err
	}
	digest, size, err := payload.Measure(compressed, payload.ProgramLimit)
	if err != nil {
		return node.Program{}, fmt.Errorf("the rendezvous for %s: %w", architecture, err)
	}
	p := node.Program{Gzip: compressed, SHA256: digest, Size: size}
	g.programs[architecture] = p
	return p, nil
}

// served adds the program that people put under rendezvous.url, once for each architecture of the control planes.
func (g *generator) served() error {
	r := g.Cluster.Spec.Rendezvous
	if r.Delivery.V != "url" || g.Cluster.Spec.Kubernetes.DryRun.V {
		return nil
	}
	seen := map[string]bool{}
	for _, m := range g.Machines {
		architecture := m.Target.Architecture
		if !m.Target.IsControlPlane() || seen[architecture.V] {
			continue
		}
		seen[architecture.V] = true
		program, err := g.program(architecture.V)
		if err != nil {
			return err
		}
		plain, err := gunzip(program)
		if err != nil {
			return err
		}
		g.add(layout.Program(architecture.V), plain)
		if program.SHA256 != r.SHA256.V {
			g.problems.Add(problem.Problem{
				Severity: problem.Warning, At: r.SHA256.At, Message: "the program that this gen carries for " + architecture.V + " has another digest",
				Instead: "write " + program.SHA256 + " and serve " + layout.Program(architecture.V) + " of the output folder, unless the URL has another release on purpose",
			})
		}
	}
	return nil
}

func gunzip(p node.Program) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(p.Gzip))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}
