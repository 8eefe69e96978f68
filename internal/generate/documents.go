package generate

import (
	"context"
	"errors"
	"fmt"
	"path"
	"runtime"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"muster/internal/layout"
	"muster/internal/media/iso"
	"muster/internal/netboot"
	"muster/internal/node"
	"muster/internal/outdir"
	"muster/internal/plan"
	"muster/internal/render"
)

// documents encodes every machine and adds what people and boot media need beside the document.
func (g *generator) documents() error {
	encoded, err := g.encode()
	if err != nil {
		return err
	}
	var large oversizes
	boot := netboot.New(g.Cluster.Spec.PXE.BaseURL, encodeAs, g.problems)
	for i, m := range g.Machines {
		doc, err := encoded[i].doc, encoded[i].err
		if err != nil {
			if !g.blame(err) {
				return fmt.Errorf("the document of %s: %w", m.Config.Name, err)
			}
			continue
		}
		large.check(m, len(doc.Files[0].Data))
		g.Tree = append(g.Tree, encoded[i].files...)
		if err := boot.Add(m, doc); err != nil {
			return fmt.Errorf("the network boot of %s: %w", m.Config.Name, err)
		}
	}
	for _, o := range large {
		g.problems.Errorf(o.At, o.smaller(), "%s, and %s takes %d", o, o.platform, o.limit)
	}
	if err := g.addServedPrograms(); err != nil {
		return fmt.Errorf("the program to be served: %w", err)
	}
	served, err := boot.Files()
	if err != nil {
		return fmt.Errorf("the files of the network boot: %w", err)
	}
	for _, f := range served {
		g.add(path.Join(layout.PXE, f.Name), f.Data)
	}
	return nil
}

// encoded is what came of one machine.
type encoded struct {
	doc render.Document
	// files are all in the machine's folder.
	files []outdir.File
	err   error
}

// encode encodes all machines on all cores: machines depend on nothing but themselves, and each has its own error.
func (g *generator) encode() ([]encoded, error) {
	ctx := g.options.Context
	if ctx == nil {
		ctx = context.Background()
	}
	out := make([]encoded, len(g.Machines))
	var done atomic.Int64
	var all errgroup.Group
	all.SetLimit(runtime.GOMAXPROCS(0))
	for i, m := range g.Machines {
		if ctx.Err() != nil {
			break
		}
		all.Go(func() error {
			out[i] = g.encodeOne(m)
			if g.options.Progress != nil {
				g.options.Progress(int(done.Add(1)), len(out))
			}
			return nil
		})
	}
	_ = all.Wait()
	return out, ctx.Err()
}

func (g *generator) encodeOne(m plan.Machine) (e encoded) {
	if e.doc, e.err = encodeAs(m, m.Config); e.err == nil {
		e.files, e.err = g.filesOf(m, e.doc)
	}
	return e
}

// filesOf are the document, the medium that carries it, and every file that it embeds, so that a change is reviewed as text.
func (g *generator) filesOf(m plan.Machine, doc render.Document) ([]outdir.File, error) {
	var all []outdir.File
	add := func(name string, pieces ...[]byte) {
		all = append(all, outdir.File{Path: m.Folder() + "/" + name, Pieces: pieces})
	}
	for _, f := range doc.Files {
		add(f.Name, f.Data)
	}
	if m.Profile.Format.V == render.CloudInit && !m.Config.Pool {
		seed, err := g.seed(m, doc)
		if err != nil {
			return nil, fmt.Errorf("the seed: %w", err)
		}
		add(layout.Seed, seed...)
	}
	for _, f := range m.Config.Files {
		add(layout.Embedded(f.Path), f.Contents)
	}
	for _, u := range m.Config.Units {
		for _, f := range u.Files() {
			add(layout.Embedded(f.Path), f.Contents)
		}
	}
	return all, nil
}

// encodeAs makes the document of a configuration in the format of a machine's profile.
func encodeAs(m plan.Machine, cfg node.Config) (render.Document, error) {
	butane := render.Butane{Variant: m.Profile.Butane.Variant.V, Version: m.Profile.Butane.Version.V}
	return render.Encode(m.Profile.Format.V, butane, cfg)
}

func (g *generator) add(name string, pieces ...[]byte) {
	g.Tree = append(g.Tree, outdir.File{Path: name, Pieces: pieces})
}

// blame adds what an encoder complained of to the problems, at the lines of the spec that caused it.
func (g *generator) blame(err error) bool {
	var rejected *render.Refused
	if !errors.As(err, &rejected) {
		return false
	}
	for _, p := range rejected.Problems {
		g.problems.Add(p)
	}
	return true
}

// seed is the NoCloud medium of a node that boots with cloud-init.
func (g *generator) seed(m plan.Machine, doc render.Document) ([][]byte, error) {
	var files []iso.File
	for _, f := range doc.Files {
		files = append(files, iso.File{Name: f.Name, Mode: 0o600, Data: f.Data})
	}
	if m.Target.IsControlPlane() && g.Cluster.Spec.Rendezvous.Delivery.V == "media" && !g.Cluster.Spec.Kubernetes.DryRun.V {
		program, err := g.program(m.Target.Architecture.V)
		if err != nil {
			return nil, err
		}
		files = append(files, iso.File{Name: plan.MediumProgram(m.Target.Architecture.V), Mode: 0o644, Data: program.Gzip})
	}
	return iso.Image("cidata", files)
}
