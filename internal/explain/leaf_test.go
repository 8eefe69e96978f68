package explain

import (
	"fmt"
	"net/netip"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"muster/internal/decode"
	"muster/internal/problem"
	"muster/templates"
)

// TestOthersKeepTheShape: another value is of the same kind, is another one, and stands nowhere in the file.
func TestOthersKeepTheShape(t *testing.T) {
	matches := func(pattern string) func(string) bool { return regexp.MustCompile(pattern).MatchString }
	for _, c := range []struct {
		text string
		ok   func(string) bool
	}{
		{"192.168.31.130", func(s string) bool { _, err := netip.ParseAddr(s); return err == nil }},
		{"192.168.31.255", func(s string) bool { _, err := netip.ParseAddr(s); return err == nil }},
		{"255.255.255.0", matches(`^255\.|^254\.|^252\.|^248\.`)},
		{"10.244.0.0/16", func(s string) bool {
			p, err := netip.ParsePrefix(s)
			return err == nil && p.Masked() == p && p.Bits() == 16
		}},
		{"fd00::1/64", func(s string) bool { p, err := netip.ParsePrefix(s); return err == nil && p.Bits() == 64 }},
		{"52:54:00:12:34:5f", macShape.MatchString},
		{"v1.17.4", versionShape.MatchString},
		{"1.24", versionShape.MatchString},
		{"15m", func(s string) bool { _, err := time.ParseDuration(s); return err == nil }},
		{"api.k8s.muster:6443", hostPortShape.MatchString},
		{"0755", matches(`^[0-7]{4}$`)},
		{"262144", matches(`^\d{6}$`)},
		{"6341AB2753D78A78A7C27BB124C6A8A7F4A80EB5", func(s string) bool { return len(s) == 40 && hexShape.MatchString(s) }},
		{"http://hub-mirror.c.163.com", matches(`^http://`)},
		{"/etc/motd", matches(`^/etc/`)},
		{"a line\n", matches(`^a line\S*\n$`)},
		{"", matches(`.`)},
	} {
		w := &walker{source: "a: " + c.text + "\nb: 192.168.31.131\n", taken: map[string]bool{}}
		others := append(w.others(c.text), w.others(c.text)...)
		if len(others) < 2 {
			t.Errorf("%q has no other", c.text)
		}
		if others[0] == others[len(others)/2] && !strings.Contains(c.text, "1.") {
			t.Errorf("%q gives %q twice", c.text, others[0])
		}
		for _, other := range others {
			if other == c.text || other == "192.168.31.131" || !c.ok(other) {
				t.Errorf("%q becomes %q", c.text, other)
			}
		}
	}
}

// sample has every kind of value.
type sample struct {
	decode.At
	Name   decode.Value[string]                       `yaml:"name"`
	Mode   decode.Value[string]                       `yaml:"mode" enum:"a,b,c"`
	Count  decode.Value[int]                          `yaml:"count"`
	On     decode.Value[bool]                         `yaml:"on"`
	Secret decode.Value[decode.Secret]                `yaml:"secret"`
	Text   decode.Value[string]                       `yaml:"text"`
	List   decode.List[decode.Value[string]]          `yaml:"list"`
	Map    decode.Map[decode.Value[string]]           `yaml:"map"`
	Free   decode.Free                                `yaml:"free"`
	None   struct{ decode.At }                        `yaml:"none"`
	Unset  decode.Value[string]                       `yaml:"unset"`
	Nested struct{ A, B decode.Value[string] }        `yaml:"nested"`
	Deep   decode.Map[decode.List[decode.Value[int]]] `yaml:"deep"`
}

const sampleText = `name: me
mode: b
count: 3
on: true
secret: hunter2
text: |
  first
  second
list: [one, two]
map: {k: v}
free: {a.b: [1, x, true, null]}
none: {}
deep: {d: [7]}
`

func read(t *testing.T) *sample {
	t.Helper()
	var problems problem.List
	var s sample
	decode.Into(&s, []byte(sampleText), &problems)
	if found := problems.Sorted(); len(found) > 0 {
		t.Fatal(found)
	}
	return &s
}

// TestLeaves: every value that is set is a leaf, in the order of the struct, and can be changed and changed back.
func TestLeaves(t *testing.T) {
	var paths []string
	for i, l := range leavesOf(read(t), []byte(sampleText)) {
		paths = append(paths, l.at.Path)
		if strings.Contains(l.value, "hunter2") {
			t.Error("a secret is shown")
		}
		for way := range l.changes {
			changed := read(t)
			undo := leavesOf(changed, []byte(sampleText))[i].changes[way]()
			if reflect.DeepEqual(changed, read(t)) {
				t.Errorf("%s, way %d: nothing changed", l.at.Path, way)
			}
			if undo(); !reflect.DeepEqual(changed, read(t)) {
				t.Errorf("%s, way %d: not changed back", l.at.Path, way)
			}
		}
	}
	const want = `name mode count on secret text text list list[0] list[1] map map.k map.k free free["a.b"][0] free["a.b"][1] ` +
		`free["a.b"][2] free["a.b"][3] none deep deep.d deep.d deep.d[0]`
	if got := strings.Join(paths, " "); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestUndo: many changes at once are taken back in the opposite order, also those inside a part that was left out.
func TestUndo(t *testing.T) {
	s := read(t)
	var undo []func()
	for _, l := range leavesOf(s, []byte(sampleText)) {
		undo = append(undo, l.changes[0]())
	}
	if s.Text.V != "firstx\nsecondx\n" || s.List.Set || s.Free.V == nil {
		t.Errorf("not everything changed: %+v", s)
	}
	for _, back := range slices.Backward(undo) {
		back()
	}
	if !reflect.DeepEqual(s, read(t)) {
		t.Errorf("not everything changed back: %+v", s)
	}
}

// TestOtherInLargeClusters: where all addresses of a network and all last digits are taken there are others.
func TestOtherInLargeClusters(t *testing.T) {
	var source strings.Builder
	for i := range 256 {
		fmt.Fprintf(&source, "10.1.0.%d 52:54:00:00:00:%02x\n", i, i)
	}
	for _, text := range []string{"10.1.0.7", "10.1.0.255", "52:54:00:00:00:ff", strings.Repeat("0123456789abcdef", 4)} {
		w := &walker{source: source.String() + text, taken: map[string]bool{}}
		for range 100 {
			if other := w.others(text)[0]; strings.Contains(w.source, other) || len(other) > len(text)+2 {
				t.Errorf("%s became %s", text, other)
			}
		}
	}
}

// TestTextLines: a line of a block stands at its own line of the file.
func TestTextLines(t *testing.T) {
	s := read(t)
	for _, l := range leavesOf(s, []byte(sampleText)) {
		if l.value == "second" {
			if l.at.Line != 8 || l.at.Column != 3 {
				t.Errorf("stands at %d:%d, want 8:3", l.at.Line, l.at.Column)
			}
			l.changes[0]()
		}
	}
	if s.Text.V != "first\nsecondx\n" {
		t.Errorf("became %q", s.Text.V)
	}
}

// TestMissing: which lines of a text another does not have.
func TestMissing(t *testing.T) {
	got := missing([]byte("a\nb\nc\nd\ne\nf\ng\nh\ni\nj\nk\nlast"), []byte("a\nB\nc\nd\ne\nf\ng\nh\ni\nnew\nj\nk\nchanged"))
	if len(got) != 2 || got[0] != 2 || got[1] != 12 {
		t.Errorf("got %v, want 2 and 12", got)
	}
}

// TestScriptOrigins: each line of the joined script is one of its template, or one that joins them.
func TestScriptOrigins(t *testing.T) {
	script, err := templates.Script(templates.Steps)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(script), "\n"), "\n")
	origins, err := scriptOrigins(lines)
	if err != nil {
		t.Fatal(err)
	}
	if len(origins) != len(lines) {
		t.Fatalf("%d origins of %d lines", len(origins), len(lines))
	}
	files := map[string]bool{}
	for i, o := range origins {
		if o.file == "" {
			continue
		}
		files[o.file] = true
		text, err := templates.FS.ReadFile(o.file)
		if err != nil || strings.TrimSpace(strings.Split(string(text), "\n")[o.line-1]) != lines[i] {
			t.Errorf("line %d, %q, is not line %d of %s (%v)", i+1, lines[i], o.line, o.file, err)
		}
	}
	if want := len(templates.Steps) + 5; len(files) != want {
		t.Errorf("lines of %d templates, want %d", len(files), want)
	}
	glue := len(lines)
	for _, o := range origins {
		if o.file != "" {
			glue--
		}
	}
	if want := 2 + 2 + 2*len(templates.Steps) + 2 + 1; glue != want { // head, case, a label and its end each, end of case, list
		t.Errorf("%d lines are gen's own, want %d", glue, want)
	}
}
