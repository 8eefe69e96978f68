// Package explain owns the way back from the output folder: which line of the spec, which profile and which template a
// file of out/, or one line of it, comes from. Nothing on the way forward keeps books for it: it plans the machine again
// with one value changed at a time, and looks whether the file changes. So it is exact about what plays a part, and says
// nothing of how. It writes nothing, and never shows what is secret.
package explain

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"muster/internal/decode"
	"muster/internal/layout"
	"muster/internal/node"
	"muster/internal/outdir"
	"muster/internal/plan"
	"muster/internal/problem"
	"muster/internal/spec"
	"muster/profiles"
)

// Input is what gen made of a spec, and the way to make it again.
type Input struct {
	// Spec is the name of the spec's file in Sources.
	Spec string
	// Sources are the files that were read: the spec and its profiles.
	Sources map[string][]byte
	// Machines and Tree are what they came to.
	Machines []plan.Machine
	Tree     []outdir.File
	// Replan plans one machine of a cluster, by its index among the targets. The cluster has its defaults and was not
	// validated, so the plan may panic.
	Replan func(c *spec.Cluster, loaded map[string]*profiles.Profile, index int) plan.Machine
}

// Explanation says where a file, or one line of it, comes from.
type Explanation struct {
	// File is relative to the output folder; Line counts from 1, and is 0 for the whole file.
	File string `json:"file"`
	Line int    `json:"line,omitempty"`
	// Text is the line, unless it is or may be secret.
	Text string `json:"text,omitempty"`
	// Machine is the node or pool that the file is for; nil for the files that are for all.
	Machine *Machine `json:"machine,omitempty"`
	// Values are the values of the spec, of its defaults and of profiles that the lines depend on.
	Values []Value `json:"values"`
	// Existence are values without which the file would not be there, and that change nothing in it.
	Existence []Value `json:"existence,omitempty"`
	// Source is the file beside the spec that the lines were read from, with the line where one is asked for.
	Source string `json:"source,omitempty"`
	// Templates are the texts of muster's own that the lines were taken from.
	Templates []Template `json:"templates,omitempty"`
	// Carries are the files of the output folder that a document embeds or an image holds.
	Carries []string `json:"carries,omitempty"`
	// Notes say what else there is to know.
	Notes []string `json:"notes,omitempty"`
}

// Machine is a node or pool.
type Machine struct {
	Folder string `json:"folder"`
	// Path is where the file lies on the machine; empty for documents.
	Path string `json:"path,omitempty"`
	// Where is the machine's place in the spec.
	Where Place `json:"where"`
	// Profile is the name in the spec, and ProfileWhere the place of that.
	Profile      string `json:"profile"`
	ProfileWhere Place  `json:"profileWhere"`
}

// Place is a place in a file. Line and Column count from 1 and are 0 for a value that no line holds.
type Place struct {
	File   string `json:"file,omitempty"`
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`
	Path   string `json:"path"`
}

// Kind says who holds a value.
type Kind string

// The kinds of values.
const (
	FromSpec    Kind = "spec"
	FromDefault Kind = "default"
	FromProfile Kind = "profile"
)

// Value is one value that a file depends on.
type Value struct {
	Kind  Kind  `json:"kind"`
	Where Place `json:"where"`
	// Value is the value as text, without what is secret; empty for lists and mappings as such.
	Value string `json:"value,omitempty"`
	// Lines are the lines of the file that depend on it.
	Lines []int `json:"lines,omitempty"`
}

// Of explains a file of the tree, by its path in it, or its line, from 1; line 0 asks for the whole file. The error says
// what cannot be explained, and names a file that was perhaps meant.
func Of(in Input, file string, line int) (*Explanation, error) {
	data, err := in.find(file)
	if err != nil {
		return nil, err
	}
	lines := countLines(data)
	if line < 0 || line > lines {
		return nil, fmt.Errorf("%s has no line %d: it has %d", file, line, lines)
	}
	e := &explainer{Input: in, out: &Explanation{File: file, Line: line, Values: []Value{}}}
	return e.out, e.explain(data)
}

func (in Input) find(file string) ([]byte, error) {
	if file == outdir.ManifestName {
		return nil, fmt.Errorf("%s is gen's own list of the files with their digests: explain one of those", file)
	}
	var names []string
	for _, f := range in.Tree {
		if f.Path == file {
			return f.Bytes(), nil
		}
		names = append(names, f.Path)
	}
	if near := nearest(file, names); near != "" {
		return nil, fmt.Errorf("the spec makes no file %s, did you mean %s?", file, near)
	}
	return nil, fmt.Errorf("the spec makes no file %s: name one of the output folder, such as %s", file, names[0])
}

// nearest is the file that was meant: by a typing error, or by its last part alone.
func nearest(file string, names []string) string {
	if near := problem.Nearest(file, names); near != "" {
		return near
	}
	for _, name := range names {
		if strings.HasSuffix(name, "/"+strings.TrimPrefix(file, "/")) {
			return name
		}
	}
	// Long paths are too long to be compared as words: compare part by part.
	best, most := "", 0
	for _, name := range names {
		if same := commonParts(file, name); same > most {
			best, most = name, same
		}
	}
	return best
}

// commonParts counts the parts that two paths of the same depth have in common; 0 unless the one that differs is near.
func commonParts(a, b string) int {
	x, y := strings.Split(a, "/"), strings.Split(b, "/")
	if len(x) != len(y) {
		return 0
	}
	same := 0
	for i := range x {
		switch {
		case x[i] == y[i]:
			same++
		case problem.Nearest(x[i], y[i:i+1]) == "":
			return 0
		}
	}
	return same
}

func countLines(data []byte) int {
	n := bytes.Count(data, []byte("\n"))
	if len(data) > 0 && data[len(data)-1] != '\n' {
		n++
	}
	return n
}

// explainer is one run of Of.
type explainer struct {
	Input
	out *Explanation
	// index is that of the machine in Machines, and machine the plan of it.
	index   int
	machine plan.Machine
}

func (e *explainer) explain(data []byte) error {
	folder, rest := layout.Split(e.out.File)
	e.index = slices.IndexFunc(e.Machines, func(m plan.Machine) bool { return m.Folder() == folder })
	if e.index < 0 {
		return e.served()
	}
	e.machine = e.Machines[e.index]
	e.out.Machine = &Machine{
		Folder: folder, Where: e.place(e.machine.Config.At),
		Profile: e.machine.Target.Profile.V, ProfileWhere: e.place(e.machine.Target.Profile.At),
	}
	if path, embedded := layout.OnMachine(e.out.File); embedded {
		return e.embedded(path, e.out.Line)
	}
	return e.document(rest, data)
}

// place is a place in the spec.
func (e *explainer) place(at decode.At) Place { return placeIn(e.Spec, at) }

func placeIn(file string, at decode.At) Place {
	if !at.Known() {
		file = ""
	}
	return Place{File: file, Line: at.Line, Column: at.Column, Path: at.Path}
}

// embedded explains a file that lies on the machine.
func (e *explainer) embedded(path string, line int) error {
	file, there := fileOf(e.machine.Config, path)
	if !there {
		return fmt.Errorf("%s: the plan has no file %s; that is a mistake of gen's, please report it", e.out.File, path)
	}
	e.out.Machine.Path = path
	if file.Secret {
		e.out.Notes = append(e.out.Notes, "the file is secret, so nothing of it is shown")
	} else {
		e.text(file.Contents, line)
	}
	err := e.trace(file.Contents, line, func(m plan.Machine) ([]byte, bool, error) {
		f, there := fileOf(m.Config, path)
		return f.Contents, there, nil
	})
	if err != nil {
		return err
	}
	if file.Secret {
		for i := range e.out.Values {
			e.out.Values[i].Value = ""
		}
	}
	e.source(file, line)
	e.bundled(file, line)
	return e.templates(file, line)
}

// source names the file of the user's own that a file was read from.
func (e *explainer) source(f node.File, line int) {
	if f.Source == "" {
		return
	}
	e.out.Source = spec.Beside(e.Spec, f.Source)
	if line > 0 {
		e.out.Source += ":" + strconv.Itoa(line)
	}
}

// bundled notes which lines are made from the secrets bundle: no value that is traced is all that they depend on.
func (e *explainer) bundled(f node.File, line int) {
	var made []int
	n := 0
	for text := range bytes.Lines(f.Contents) {
		if n++; (line == 0 || line == n) && plan.FromSecrets(f.Path, text) {
			made = append(made, n)
		}
	}
	if len(made) == 0 {
		return
	}
	note := "made from the secrets bundle"
	if line == 0 {
		note += lineText(made)
	}
	e.out.Notes = append(e.out.Notes, note)
}

// text shows the line that is asked for.
func (e *explainer) text(data []byte, line int) {
	if line > 0 {
		e.out.Text = string(bytes.Split(data, []byte("\n"))[line-1])
	}
}

// fileOf is what lies at a path of a machine: a file, a unit or a drop-in.
func fileOf(c node.Config, path string) (node.File, bool) {
	for _, f := range c.Files {
		if f.Path == path {
			return f, true
		}
	}
	for _, u := range c.Units {
		for _, f := range u.Files() {
			if f.Path != path {
				continue
			}
			if path == node.UnitFolder+u.Name {
				f.Template = unitTemplate(u)
			}
			return f, true
		}
	}
	return node.File{}, false
}

// served explains a file that is served to machines. It is no machine's own.
func (e *explainer) served() error {
	if e.out.Line > 0 {
		return fmt.Errorf("%s: lines of what is served over the network are not traced: leave the line out", e.out.File)
	}
	cluster := &spec.Cluster{}
	decode.Into(cluster, e.Sources[e.Spec], &problem.List{})
	if architecture, ok := layout.Architecture(e.out.File); ok {
		e.program(cluster, architecture)
	} else {
		e.networkBoot(cluster)
	}
	return nil
}

// program explains the rendezvous that control planes of an architecture fetch.
func (e *explainer) program(cluster *spec.Cluster, architecture string) {
	e.out.Notes = append(e.out.Notes, "the program that this gen carries, to be served under spec.rendezvous.url")
	e.exists(cluster.Spec.Rendezvous.Delivery)
	for _, m := range e.Machines {
		if m.Target.IsControlPlane() && m.Target.Architecture.V == architecture {
			e.exists(m.Target.Architecture)
		}
	}
}

// exists adds a value without which the file would not be there.
func (e *explainer) exists(v decode.Value[string]) {
	kind := FromSpec
	if !v.At.Known() {
		kind = FromDefault
	}
	e.out.Existence = appendValue(e.out.Existence, Value{Kind: kind, Where: e.place(v.At), Value: v.V})
}

// networkBoot explains a file of the network boot, which is made of the documents and of a few values around them.
func (e *explainer) networkBoot(cluster *spec.Cluster) {
	e.out.Notes = append(e.out.Notes,
		"made for a network boot of spec.pxe.baseURL, the mac and disk of the node, and the pxe block of its profile; the documents are those of the machine's own folder")
	base := cluster.Spec.PXE.BaseURL
	e.out.Values = append(e.out.Values, Value{Kind: FromSpec, Where: e.place(base.At), Value: base.V})
	for _, m := range e.Machines {
		if n := m.Target.Node; n != nil && n.MAC.Set && strings.Contains(e.out.File, strings.ReplaceAll(n.MAC.V, ":", "-")) {
			e.out.Values = append(e.out.Values, Value{Kind: FromSpec, Where: e.place(n.MAC.At), Value: n.MAC.V})
		}
	}
}
