package decode_test

import (
	"fmt"
	"strings"
	"testing"

	"muster/internal/decode"
	"muster/internal/problem"
)

// tree is a type with the same keys at several places, and with hints.
type tree struct {
	decode.At
	Kind  decode.Value[string]    `yaml:"kind" required:"true" enum:"Tree" example:"Tree"`
	Root  root                    `yaml:"root" required:"true" example:"{water: 1}"`
	Stems decode.List[stem]       `yaml:"stems" example:"[{leaf: a}]"`
	Twigs decode.Map[stem]        `yaml:"twigs" example:"{a: {leaf: a}}"`
	Name  decode.Value[string]    `yaml:"name" example:"oak"`
	Soil  struct{ decode.At }     `yaml:"soil" example:"{}"`
	Other decode.Map[decode.Free] `yaml:"other" example:"{}"`
}

type root struct {
	decode.At
	Water decode.Value[int]    `yaml:"water" required:"true" example:"1"`
	Shape decode.Value[string] `yaml:"shape" enum:"deep,flat" example:"deep"`
	Crown crown                `yaml:"crown" example:"{height: 2}"`
	Bark  bark                 `yaml:"bark" example:"{color: red}"`
}

type crown struct {
	decode.At
	Height decode.Value[int] `yaml:"height" required:"true" example:"2"`
	Tint   tint              `yaml:"tint" example:"{red: 1}"`
}

type bark struct {
	decode.At
	Color decode.Value[string] `yaml:"color" example:"red"`
	Tint  tint                 `yaml:"tint" example:"{green: 1}"`
}

type tint struct {
	decode.At
	Red decode.Value[int] `yaml:"red" example:"1"`
}

type stem struct {
	decode.At
	Leaf   decode.Value[string] `yaml:"leaf" example:"a"`
	Thorns decode.Value[int]    `yaml:"thorns" example:"1"`
	Crown  crown                `yaml:"crown" example:"{height: 3}"`
}

func (root) Hints() decode.Hints {
	return decode.Hints{
		Meant:   map[string]string{"rain": "water", "tall": "crown.height", "who": "name"},
		Instead: map[string]string{"sap": "write soup", "shape: ball": "write a ball", "bush": "write a tree"},
	}
}

func (stem) Hints() decode.Hints { return decode.Hints{Unfit: []string{"thorns"}} }

// TestHints: a key that stands at the wrong place, or has another tool's name, is told the right one, once.
func TestHints(t *testing.T) {
	const rooted = "kind: Tree\nroot: {water: 1}\n"
	for _, c := range []struct{ name, text, want string }{
		{"key of a block below", "kind: Tree\nroot: {water: 1, color: red}\n", "root.color: unknown key; write it under root.bark"},
		{"key of a block below that", rooted + "color: red\n", "color: unknown key; write it under root.bark"},
		{"required key of a block that is missing", "kind: Tree\nwater: 1\n", "water: unknown key; write it under root"},
		{"the nearest of two places", "kind: Tree\nroot: {water: 1, height: 1}\n", "root.height: unknown key; write it under root.crown"},
		{"two places", "kind: Tree\nroot: {water: 1, tint: {red: 1}}\n", "root.tint: unknown key; write it under root.bark or root.crown"},
		{"value that fits nowhere", "kind: Tree\nroot: {water: 1, red: {}}\n", "root.red: unknown key; write it under root.bark.tint or root.crown.tint, for example red: 1"},
		{"value that does not fit the only place", rooted + "color: [red]\n", "color: unknown key; write it under root.bark, for example color: red"},
		{"item of a list, key of a map", rooted + "leaf: a\n", "leaf: unknown key; write it under stems[] or twigs.NAME"},
		{"what is not proposed", rooted + "thorns: 1\n", "thorns: unknown key; here may stand kind, name, other, root, soil, stems, twigs"},
		{"key of a block around", rooted + "stems: [{leaf: a, shape: deep}]\n", "stems[0].shape: unknown key; a key shape may stand under root"},
		{"key of the file", "kind: Tree\nroot: {water: 1, stems: []}\n", "root.stems: unknown key; here may stand bark, crown, shape, water"},
		{"other word", "kind: Tree\nroot: {rain: 1}\n", "root.rain: unknown key; did you mean water?"},
		{"other word for a key below", "kind: Tree\nroot: {water: 1, tall: 1}\n", "root.tall: unknown key; did you mean crown.height?"},
		{"other word for a key around", "kind: Tree\nroot: {water: 1, who: oak}\n", "root.who: unknown key; write it as name"},
		{"word of another tool", "kind: Tree\nroot: {water: 1, sap: 1}\n", "root.sap: unknown key; write soup"},
		{"value of another tool", "kind: Tree\nroot: {water: 1, shape: Ball}\n", `root.shape: "Ball" is not known here; write a ball`},
		{"word for a block", "kind: Tree\nroot: bush\n", "root: a mapping is meant here, not a string; write a tree"},
		{"enumeration of one", "kind: Trees\nroot: {water: 1}\n", `kind: "Trees" is not known here; write Tree`},
		{"key of an empty block", rooted + "soil: {wet: 1}\n", "soil.wet: unknown key; leave it out and write soil: {}"},
		{"file of another kind", "name: a\nusers: []\n", ": the file has no kind or root; look whether this is the file that you meant"},
		{"misspelt file", "kin: Tree\n", "kin: unknown key; did you mean kind?|root: is missing; write for example root: {water: 1}"},
		{"no-break space behind a key", "kind: Tree\nroot:\n  water:\u00a01\n", "root: " + noBreak},
		{"no-break space behind a key, more below", "kind: Tree\nroot:\n  water:\u00a01\n\n  shape: deep\n", ": " + noBreak},
		{"no-break space in the indentation", "kind: Tree\nroot:\n \u00a0water: 1\n  shape: deep\n", ": " + noBreak},
		{"no-break space in brackets", "kind: Tree\nroot: {water:\u00a01}\n", `root["water:\u00a01"]: ` + noBreak},
		{"no-break space before a key", "kind: Tree\n\u00a0root: {water: 1}\n", `["\u00a0root"]: ` + noBreak},
		{"inventory", "# hosts\n[masters]\nm1 ansible_host=192.0.2.1\n", ": this is not YAML: it looks like an INI file, such as an inventory of Ansible; look whether this is the file that you meant"},
		{"inventory that begins with hosts", "m1 ansible_host=192.0.2.1\n[masters]\nm1\n", ": this is not YAML: it looks like an INI file, such as an inventory of Ansible; look whether this is the file that you meant"},
		{"unit that is not indented", "kind: Tree\nname: |\n[Service]\nNice=1\n", ": this is not YAML: could not find expected ':'" + notYAML},
	} {
		t.Run(c.name, func(t *testing.T) {
			var f tree
			var problems problem.List
			decode.Into(&f, []byte(c.text), &problems)
			var got []string
			for _, p := range problems.Sorted() {
				got = append(got, fmt.Sprintf("%s: %s; %s", p.Path, p.Message, p.Instead))
			}
			if strings.Join(got, "|") != c.want {
				t.Errorf("%q\n got %s\nwant %s", c.text, strings.Join(got, "|"), c.want)
			}
		})
	}
}

const noBreak = "a no-break space (U+00A0) stands here, which YAML takes for a letter; write plain spaces in the place of each"

// TestNoBreakSpacePlace points at the character itself where the file is no YAML, and leaves one in a text alone.
func TestNoBreakSpacePlace(t *testing.T) {
	_, got := read("name: a\ninner:\n  size:\u00a01\n  port: 2\n")
	if want := "3:8 : " + noBreak; len(got) != 1 || got[0] != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if _, got := read("name: a\u00a0b\ntitle: |\n  x:\u00a0y\n"); len(got) > 0 {
		t.Errorf("a no-break space in a text: %q", got)
	}
	if _, got := read("name: a\u00a0b\nport: 1: 2\n"); len(got) != 1 || strings.Contains(got[0], "no-break") {
		t.Errorf("a no-break space in a text before a mistake: %q", got)
	}
}

// TestMisplacedKeyIsKnown: what stands at the wrong place is missing neither there nor in a rule.
func TestMisplacedKeyIsKnown(t *testing.T) {
	var f tree
	decode.Into(&f, []byte("kind: Tree\ncolor: red\nroot: {tall: 1}\n"), &problem.List{})
	got := []decode.At{f.Root.Bark.At, f.Root.Bark.Color.At, f.Root.Crown.At, f.Root.Crown.Height.At}
	want := []decode.At{{Path: "root.bark", Line: 2, Column: 1}, {Path: "color", Line: 2, Column: 1}, {Path: "root.crown", Line: 3, Column: 8}, {Path: "root.tall", Line: 3, Column: 8}}
	if fmt.Sprint(got) != fmt.Sprint(want) || f.Root.Bark.Color.Set {
		t.Errorf("places %v, want %v", got, want)
	}
}
