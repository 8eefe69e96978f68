package generate

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"

	"muster/internal/layout"
	"muster/internal/node"
	"muster/internal/plan"
	"muster/internal/render/payload"
)

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

// addServedPrograms adds the program that people put under rendezvous.url, once for each architecture of the control planes.
func (g *generator) addServedPrograms() error {
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
		if r.SHA256.Set && program.SHA256 != r.SHA256.V {
			g.problems.Errorf(r.SHA256.At, "write "+program.SHA256+" or leave it out, and serve "+layout.Program(architecture.V)+" of the output folder",
				"the program that this gen carries for %s has another digest", architecture.V)
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
