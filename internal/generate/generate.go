// Package generate owns the way from a spec file to the tree of out/: it reads what the spec names, runs the stages in
// order, and packages the documents. It writes nothing and prints nothing.
package generate

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"muster/internal/decode"
	"muster/internal/kube"
	"muster/internal/node"
	"muster/internal/outdir"
	"muster/internal/plan"
	"muster/internal/problem"
	"muster/internal/spec"
	"muster/profiles"
)

// Result is what a spec comes to.
type Result struct {
	Cluster  *spec.Cluster
	Machines []plan.Machine
	// Tree is every file of out/ but the manifest.
	Tree []outdir.File
	// Input is what Machines were planned from.
	Input plan.Input
	// Sources are the files that were read, by the name that problems give them, for the printer.
	Sources map[string][]byte
}

// Format tells what there is without the spec's text, which may hold a password's hash.
func (r Result) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "%d machines, %d files", len(r.Machines), len(r.Tree))
}

// FromFile runs all stages on the spec at path. What is wrong with the spec goes into problems; the error is for all
// that is not the spec's fault (it cannot be read). Result is complete only when there is neither.
func FromFile(path string, options Options, problems *problem.List) (*Result, error) {
	g, err := read(path, options, true, problems)
	if err != nil {
		return nil, err
	}
	if problems.Failed() {
		return &g.Result, nil
	}
	if g.Input.Rendezvous, err = g.rendezvous(); err != nil {
		return &g.Result, err
	}
	g.Machines = plan.Build(g.Input, problems)
	if problems.Failed() {
		return &g.Result, nil
	}
	err = g.documents()
	return &g.Result, err
}

// Read is the first half of FromFile: the spec with its defaults, validated, without a look at the files beside it, which may
// be elsewhere by now. Result has no machines and no tree.
func Read(path string, problems *problem.List) (*Result, error) {
	g, err := read(path, Options{}, false, problems)
	if err != nil {
		return nil, err
	}
	return &g.Result, nil
}

func read(path string, options Options, beside bool, problems *problem.List) (*generator, error) {
	problems.File = path
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("the spec cannot be read: %w", err)
	}
	g := &generator{
		path: path, problems: problems, options: options, programs: map[string]node.Program{},
		Result: Result{Cluster: &spec.Cluster{}, Sources: map[string][]byte{path: data}},
	}
	decode.Into(g.Cluster, data, problems)
	loaded := g.profiles()
	facts := factsOf(loaded)
	if beside {
		facts.ReadFile = g.readFile
	}
	g.Cluster.Default(facts)
	g.Cluster.Validate(facts, problems)
	g.Input = plan.Input{Cluster: g.Cluster, Profiles: loaded, ReadFile: g.readFile}
	return g, nil
}

// generator is one run.
type generator struct {
	Result
	path     string
	problems *problem.List
	options  Options
	// programs are the builds of the rendezvous by architecture, as far as they were asked for.
	programs  map[string]node.Program
	measuring sync.Mutex
	// beside are the files that the spec names: what plans take is what the rules have looked at.
	beside sync.Map
}

// profiles reads every profile that a target names. A profile that cannot be found or read is a problem at the line that
// names it; the validator is silent about the targets that use it.
func (g *generator) profiles() map[string]*profiles.Profile {
	loaded := map[string]*profiles.Profile{}
	tried := map[string]bool{}
	for _, t := range g.Cluster.Targets() {
		name := t.Profile.V
		if !t.Profile.Set || tried[name] {
			continue
		}
		tried[name] = true
		if p := g.profile(t.Profile); p != nil {
			loaded[name] = p
		}
	}
	return loaded
}

// profile reads one profile; a built-in name that is not there is left to the validator, which knows what was meant.
func (g *generator) profile(name spec.Value[string]) *profiles.Profile {
	file, data := spec.ProfileFile(g.path, name.V), []byte(nil)
	var err error
	if spec.ProfileIsPath(name.V) {
		data, err = os.ReadFile(file)
	} else {
		data, err = profiles.Builtin.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrInvalid) {
			return nil
		}
	}
	if err != nil {
		g.problems.Errorf(name.At, "name a profile's file beside the spec", "the profile cannot be read: %v", err)
		return nil
	}
	before := g.problems.Count(problem.Error)
	p := profiles.Read(data, file, g.problems)
	g.Sources[file] = data
	if g.problems.Count(problem.Error) > before {
		return nil
	}
	return p
}

// readFile reads a file beside the spec, once a run.
func (g *generator) readFile(name string) ([]byte, error) {
	read, _ := g.beside.LoadOrStore(name, sync.OnceValues(func() ([]byte, error) { return os.ReadFile(spec.Beside(g.path, name)) }))
	return read.(func() ([]byte, error))()
}

// factsOf tells the validator what it has to know of the profiles.
func factsOf(loaded map[string]*profiles.Profile) spec.Facts {
	facts := spec.Facts{Builtin: profiles.Names(profiles.Builtin), Profiles: map[string]spec.ProfileFacts{}}
	for name, p := range loaded {
		f := spec.ProfileFacts{
			Format: p.Format.V, KeepsRoutes: p.Format.V == "ignition" || p.NetworkRenderer.V == "netplan", Runtime: p.Runtime.V, PackageManager: p.Packages.Manager.V, FirewallManager: p.Firewall.Manager.V,
			ScriptsDir: p.Paths.Scripts.V, ReadOnly: decode.Strings(p.Paths.ReadOnly), Groups: decode.Strings(p.Groups), DefaultVersion: p.Kubernetes.Default.V,
			MinMinor: kube.MinorOf(p.Kubernetes.Min.V), MaxMinor: kube.MinorOf(p.Kubernetes.Max.V),
		}
		for _, e := range p.Binaries.Entries {
			f.PinnedVersions = append(f.PinnedVersions, e.Key)
		}
		facts.Profiles[name] = f
	}
	return facts
}

// SpecIn reports whether a file that was read lies in a folder: the folder is not one for documents.
func (r *Result) SpecIn(folder string) bool {
	for name := range r.Sources {
		if _, inside := InFolder(name, folder); inside {
			return true
		}
	}
	return false
}

// InFolder returns the path of a file below a folder, by their names alone, and reports whether it is in there.
func InFolder(file, folder string) (below string, inside bool) {
	root, err := filepath.Abs(folder)
	if err != nil {
		return "", false
	}
	full, err := filepath.Abs(file)
	if err != nil {
		return "", false
	}
	below, err = filepath.Rel(root, full)
	return below, err == nil && filepath.IsLocal(below)
}
