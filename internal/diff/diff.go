// Package diff owns what a run of gen would change in the output folder, told for people: file by file and line by line,
// and what it means for each machine. It reads the folder and never writes to it. It must never show a secret: neither the
// contents of secret files nor a document, which embeds them; what differs in a document is told in words of its own.
package diff

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/rogpeppe/go-internal/diff"

	"muster/internal/layout"
	"muster/internal/outdir"
	"muster/internal/plan"
	"muster/internal/render"
)

// Report is what gen would change.
type Report struct {
	// Files are all that would change, sorted by path, but a machine's documents before the files that they embed. It is empty, never nil, when the folder is as the spec wants it.
	Files []File `json:"files"`
	// Machines are the nodes and pools of the spec, in its order, then those that only the folder has.
	Machines []Machine `json:"machines"`
}

// Differs reports whether a run of gen would change anything.
func (r *Report) Differs() bool { return len(r.Files) > 0 }

// Change is what would happen to a file.
type Change string

// The changes.
const (
	Added   Change = "added"
	Changed Change = "changed"
	Removed Change = "removed"
)

// File is one file that would change.
type File struct {
	// Path is relative to the folder, with slashes.
	Path   string `json:"path"`
	Change Change `json:"change"`
	// ByHand is what somebody did to the file since gen wrote it, and what a run would undo: "edited", "removed" or nothing.
	ByHand string `json:"byHand,omitempty"`
	// Old and New are nil where the file is not.
	Old *Version `json:"old,omitempty"`
	New *Version `json:"new,omitempty"`
	// Note says what a reader has to know, and why there is no text where there is none.
	Note string `json:"note,omitempty"`
	// Text are the lines that differ, as a unified diff.
	Text string `json:"text,omitempty"`
	// Words tell what differs in a document beside the files that it embeds: what it no longer says behind a minus, what it
	// says instead behind a plus.
	Words []string `json:"words,omitempty"`
}

// Version is one state of a file's bytes.
type Version struct {
	Size   int    `json:"size"` // in bytes
	SHA256 string `json:"sha256"`
}

// Of compares the tree of a spec with what lies in the folder dir. The error is that of a folder that gen would refuse, or
// that cannot be read.
//
// Permissions do not count: a repository, where people keep the folder, does not keep them.
func Of(dir string, tree []outdir.File, machines []plan.Machine) (*Report, error) {
	result, err := outdir.Compare(dir, tree)
	if err != nil {
		return nil, err
	}
	written, err := outdir.Read(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	c := newComparison(dir, tree, machines, written)
	for change, paths := range map[Change][]string{Added: result.Added, Changed: result.Changed, Removed: result.Removed} {
		for _, p := range paths {
			if err := c.file(p, change); err != nil {
				return nil, err
			}
		}
	}
	slices.SortFunc(c.report.Files, func(a, b File) int { return strings.Compare(rank(a.Path), rank(b.Path)) })
	c.manifest()
	return &c.report, c.machinesMean()
}

// rank orders files by path, what a machine boots with before what that embeds.
func rank(name string) string {
	if path, embedded := layout.OnMachine(name); embedded {
		machine, _ := layout.Split(name)
		return machine + "/\xff" + path
	}
	return name
}

// comparison is one run of Of.
type comparison struct {
	dir      string
	machines []plan.Machine
	// wanted is the new tree, written what gen wrote last, as a digest each.
	wanted  map[string][]byte
	written map[string]string
	// known are the folders of machines that gen has written before.
	known map[string]bool
	// secret are the paths on machines of files whose contents are secret, also of those that only the folder has.
	secret map[string]bool
	report Report
}

func newComparison(dir string, tree []outdir.File, machines []plan.Machine, written outdir.Manifest) *comparison {
	c := &comparison{
		dir: dir, machines: machines, wanted: map[string][]byte{}, written: map[string]string{}, known: map[string]bool{}, secret: map[string]bool{},
		report: Report{Files: []File{}, Machines: []Machine{}},
	}
	for _, f := range tree {
		c.wanted[f.Path] = f.Bytes()
	}
	for _, e := range written.Files {
		c.written[e.Path] = e.SHA256
		machine, _ := layout.Split(e.Path)
		c.known[machine] = true
	}
	for _, p := range plan.SecretFiles {
		c.secret[p] = true
	}
	for _, m := range machines {
		for _, f := range m.Config.Files {
			if f.Secret {
				c.secret[f.Path] = true
			}
		}
	}
	return c
}

// file adds what would happen to one file.
func (c *comparison) file(name string, change Change) error {
	f := File{Path: name, Change: change}
	var old []byte
	if change != Added {
		var err error
		if old, err = c.onDisk(name); errors.Is(err, errReplaced) {
			c.replaced(f)
			return nil
		} else if err != nil {
			return err
		}
		f.Old = version(old)
	}
	if change != Removed {
		f.New = version(c.wanted[name])
	}
	if f.Old != nil && f.New != nil && *f.Old == *f.New {
		return nil // its permissions differ
	}
	switch before, byGen := c.written[name]; {
	case byGen && change == Added:
		f.ByHand = "removed"
	case byGen && f.Old.SHA256 != before:
		f.ByHand = "edited"
	}
	if err := c.show(&f, old, c.wanted[name]); err != nil {
		return err
	}
	c.report.Files = append(c.report.Files, f)
	return nil
}

// errReplaced is the error for something else in the place of a file.
var errReplaced = errors.New("a link, or something else that is no plain file, stands in its place")

// replaced adds a file in whose place somebody has put something else, which a run would remove.
func (c *comparison) replaced(f File) {
	f.ByHand, f.Note = "edited", errReplaced.Error()
	if f.Change != Removed {
		f.New = version(c.wanted[f.Path])
	}
	c.report.Files = append(c.report.Files, f)
}

// onDisk reads a file of the folder. Somebody may have put a link in its place; what it leads to is not read.
func (c *comparison) onDisk(name string) ([]byte, error) {
	full := filepath.Join(c.dir, filepath.FromSlash(name))
	info, err := os.Lstat(full)
	if err != nil {
		return nil, fmt.Errorf("the output folder cannot be read: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: %w", name, errReplaced)
	}
	data, err := os.ReadFile(full)
	if err != nil {
		return nil, fmt.Errorf("the output folder cannot be read: %w", err)
	}
	return data, nil
}

func version(data []byte) *Version {
	sum := sha256.Sum256(data)
	return &Version{Size: len(data), SHA256: hex.EncodeToString(sum[:])}
}

// show says what differs between the two contents, as far as it may be shown.
func (c *comparison) show(f *File, old, wanted []byte) error {
	machine, _ := layout.Split(f.Path)
	onMachine, embedded := layout.OnMachine(f.Path)
	switch {
	case embedded && c.secret[onMachine]:
		f.Note = "secret content differs"
	case isDocument(f.Path):
		return c.document(f)
	case f.Path == path.Join(machine, layout.Seed): // what a user calls so lies in files/
		f.Note = "the image of " + machine + "'s documents"
	case !isText(old) || !isText(wanted):
		f.Note = "not a text"
	case f.Change == Added && machine != "" && !c.known[machine]:
		f.Note = "of a new machine"
	case f.Change == Removed && !c.wantsMachine(machine) && machine != "":
		f.Note = "of a machine that is gone from the spec"
	default:
		f.Text = fileDiff(f, old, wanted)
	}
	return nil
}

// isDocument reports whether a file is a document that a machine boots with, or a copy of one: it embeds secrets.
func isDocument(name string) bool {
	_, embedded := layout.OnMachine(name)
	base := path.Base(name)
	return !embedded && (base == render.UserData || path.Ext(base) == ".ign")
}

// isText reports whether lines of a file can be shown.
func isText(data []byte) bool { return utf8.Valid(data) && !bytes.ContainsRune(data, 0) }

// fileDiff is the difference as patch(1) reads it from inside the folder.
func fileDiff(f *File, old, wanted []byte) string {
	from, to := "a/"+f.Path, "b/"+f.Path
	switch f.Change {
	case Added:
		from = "/dev/null"
	case Removed:
		to = "/dev/null"
	}
	return unified(from, to, old, wanted)
}

func unified(from, to string, old, wanted []byte) string {
	_, text, _ := strings.Cut(string(diff.Diff(from, old, to, wanted)), "\n") // the first line only repeats the names
	return text
}

// manifest tells of the one difference that no file shows: somebody wrote by hand what gen would write now.
func (c *comparison) manifest() {
	if len(c.report.Files) > 0 || len(c.written) == 0 {
		return
	}
	for name, data := range c.wanted {
		if version(data).SHA256 != c.written[name] {
			c.report.Files = append(c.report.Files, File{
				Path: outdir.ManifestName, Change: Changed, Note: "lists another digest than " + name + " has, which was edited by hand to what gen would write",
			})
			return
		}
	}
}
