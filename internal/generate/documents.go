package generate

import (
	"context"
	"errors"
	"fmt"
	"path"
	"runtime"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"muster/internal/media"
	"muster/internal/outdir"
	"muster/internal/plan"
	"muster/internal/problem"
	"muster/internal/render"
)

// documents encodes every machine and adds what people and boot media need beside the document.
func (g *generator) documents() error {
	all, err := g.encode()
	if err != nil {
		return err
	}
	for i, e := range all {
		m := g.Machines[i]
		if e.err != nil {
			if !g.blame(e.err) {
				return e.err
			}
			continue
		}
		g.checkSize(m, e.doc)
		g.Tree = append(g.Tree, e.files...)
		if err := g.netBoot(m, e.doc); err != nil {
			return fmt.Errorf("the network boot of %s: %w", m.Config.Name, err)
		}
	}
	if err := g.served(); err != nil {
		return fmt.Errorf("the program to be served: %w", err)
	}
	return g.netTree()
}

// encoded is what came of one machine.
type encoded struct {
	doc   render.Document
	files []outdir.File // of its folder
	err   error
}

// encode encodes all machines on all cores: machines depend on nothing but themselves, and each has its own error. Nothing
// more is put once there is one, since it comes to no tree then.
func (g *generator) encode() ([]encoded, error) {
	put := func([]outdir.File) error { return nil }
	if g.options.Early != nil {
		var err error
		if put, err = g.options.Early(&g.Result); err != nil {
			return nil, err
		}
	}
	out := make([]encoded, len(g.Machines))
	var done atomic.Int64
	var failed atomic.Bool
	all, ended := errgroup.WithContext(context.Background())
	all.SetLimit(runtime.GOMAXPROCS(0))
	for i, m := range g.Machines {
		all.Go(func() error {
			if ended.Err() != nil {
				return nil
			}
			if out[i] = g.machine(m); out[i].err != nil {
				failed.Store(true)
			}
			if g.options.Progress != nil {
				g.options.Progress(int(done.Add(1)), len(out))
			}
			if failed.Load() {
				return nil
			}
			return put(out[i].files)
		})
	}
	return out, all.Wait()
}

// machine makes the folder of one machine. It is called from several goroutines.
func (g *generator) machine(m plan.Machine) (e encoded) {
	if e.doc, e.err = render.Encode(m.Profile.Format.V, butaneOf(m), m.Config); e.err != nil {
		e.err = fmt.Errorf("the document of %s: %w", m.Config.Name, e.err)
		return e
	}
	for _, f := range e.doc.Files {
		e.add(m, f.Name, f.Data)
	}
	seed, err := g.seed(m, e.doc)
	if err != nil {
		e.err = fmt.Errorf("the seed of %s: %w", m.Config.Name, err)
		return e
	}
	if seed != nil {
		e.add(m, "seed.iso", seed...)
	}
	e.readable(m)
	return e
}

// add adds a file of the machine's folder.
func (e *encoded) add(m plan.Machine, name string, pieces ...[]byte) {
	e.files = append(e.files, outdir.File{Path: path.Join(m.Folder(), name), Pieces: pieces})
}

func butaneOf(m plan.Machine) render.Butane {
	return render.Butane{Variant: m.Profile.Butane.Variant.V, Version: m.Profile.Butane.Version.V}
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

// seed returns the NoCloud medium of a node that boots with cloud-init.
func (g *generator) seed(m plan.Machine, doc render.Document) ([][]byte, error) {
	if m.Profile.Format.V != "cloud-init" || m.Config.Pool {
		return nil, nil
	}
	var files []media.File
	for _, f := range doc.Files {
		files = append(files, media.File{Name: f.Name, Mode: 0o600, Data: f.Data})
	}
	if m.Target.IsControlPlane() && g.Cluster.Spec.Rendezvous.Delivery.V == "media" && !g.Cluster.Spec.Kubernetes.DryRun.V {
		program, err := g.program(m.Target.Architecture.V)
		if err != nil {
			return nil, err
		}
		files = append(files, media.File{Name: plan.MediumProgram(m.Target.Architecture.V), Mode: 0o644, Data: program.Gzip})
	}
	return media.ISO("cidata", files)
}

// readable adds every file that the document embeds, so that a change is reviewed as text.
func (e *encoded) readable(m plan.Machine) {
	for _, f := range m.Config.Files {
		e.add(m, "files"+f.Path, f.Contents)
	}
	for _, u := range m.Config.Units {
		if u.Contents != "" {
			e.add(m, "files/etc/systemd/system/"+u.Name, []byte(u.Contents))
		}
		for _, d := range u.DropIns {
			e.add(m, "files/etc/systemd/system/"+u.Name+".d/"+d.Name, []byte(d.Contents))
		}
	}
}

// limits are the sizes of user data in bytes that platforms take, by their documentation: EC2 16 KiB before base64, OpenStack
// 64 KiB after base64, Azure 64 KiB before base64, GCE 256 KiB a metadata value, vSphere (guestinfo) 64 KiB.
var limits = map[string]int{"ec2": 16 << 10, "openstack": 65535 / 4 * 3, "azure": 64 << 10, "gce": 256 << 10, "vsphere": 64 << 10}

// checkSize refuses a document that the machine's platform would refuse.
func (g *generator) checkSize(m plan.Machine, doc render.Document) {
	platform := m.Target.Platform
	limit, limited := limits[platform.V]
	instead := "move large files to a URL (files[].source with sha256)"
	if len(m.Config.Programs) > 0 {
		instead = "let it fetch the rendezvous (rendezvous: {delivery: url}), and " + instead
	}
	if size := len(doc.Files[0].Data); limited && size > limit {
		g.problems.Add(problem.Problem{
			Severity: problem.Error, At: nearest(platform.At, m.Config.At),
			Message: fmt.Sprintf("the document of %s has %d bytes, and %s takes %d", m.Config.Name, size, platform.V, limit),
			Instead: instead,
		})
	}
}

// nearest is the first place that a line of the spec holds.
func nearest(places ...problem.At) problem.At {
	for _, at := range places {
		if at.Known() {
			return at
		}
	}
	return places[0]
}
