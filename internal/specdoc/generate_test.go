package main

import (
	"bytes"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"muster/internal/spec"
	"muster/profiles"
)

// TestFilesAreCurrent: the files are those that the source gives now.
func TestFilesAreCurrent(t *testing.T) {
	files, err := generate(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	for name := range files {
		written, err := os.ReadFile("../../" + name)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(written, files[name]) {
			t.Errorf("%s is stale: run make docs and read the difference", name)
		}
	}
	again, err := generate(os.DirFS("../.."))
	if err != nil || !reflect.DeepEqual(files, again) {
		t.Errorf("a second run gives other bytes (error %v)", err)
	}
}

// TestUndocumentedFieldsAreRefused: no field gets into the page without a comment, an example and a key.
func TestUndocumentedFieldsAreRefused(t *testing.T) {
	type at = spec.Value[string]
	for want, c := range map[string]struct {
		structure any
		comment   string
	}{
		"": {struct {
			Name at `yaml:"name" example:"a"`
		}{}, "Name is a name."},
		"is not documented": {struct {
			Name at `yaml:"name" example:"a"`
		}{}, ""},
		"starts with Name": {struct {
			Name at `yaml:"name" example:"a"`
		}{}, "This is a name."},
		"a full stop": {struct {
			Name at `yaml:"name" example:"a"`
		}{}, "Name is a name"},
		"no example": {struct {
			Name at `yaml:"name"`
		}{}, "Name is a name."},
		"no key": {struct {
			Name at `example:"a"`
		}{}, "Name is a name."},
		"no type of a spec": {struct {
			Name string `yaml:"name" example:"a"`
		}{}, "Name is a name."},
	} {
		m := &model{source: &source{fields: map[string]string{".Name": c.comment}}}
		structure := reflect.TypeOf(c.structure)
		_, err := m.newField(structure, structure.Field(0))
		switch {
		case want == "" && err != nil:
			t.Error(err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}

// TestUndocumentedBlocksAreRefused holds the same for structs, with the real types and comments that were cut off.
func TestUndocumentedBlocksAreRefused(t *testing.T) {
	s, err := readSource(os.DirFS("../.."), specFolders...)
	if err != nil {
		t.Fatal(err)
	}
	delete(s.structs, "BondParameters")
	if _, err := newModel(s); err == nil || !strings.Contains(err.Error(), "BondParameters is not documented") {
		t.Errorf("error %v, want that BondParameters is not documented", err)
	}
}

// TestUndocumentedProfilesAreRefused: nor is anything of a profile left out of its page.
func TestUndocumentedProfilesAreRefused(t *testing.T) {
	s, err := readSource(os.DirFS("../.."), profileFolder)
	if err != nil {
		t.Fatal(err)
	}
	delete(s.fields, "Source.SHA256")
	if _, err := modelOf[profiles.Profile](s); err == nil || !strings.Contains(err.Error(), "Source.SHA256 is not documented") {
		t.Errorf("error %v, want that Source.SHA256 is not documented", err)
	}
}

// TestReadSourceOutsideTheProject: a run in the wrong folder says so.
func TestReadSourceOutsideTheProject(t *testing.T) {
	if _, err := readSource(fstest.MapFS{}, specFolders...); err == nil || !strings.Contains(err.Error(), "project's folder") {
		t.Errorf("error %v, want one that names the project's folder", err)
	}
}

// TestStaleConstraintsAreRefused: an entry for a field or an expression that is gone would silently constrain nothing.
func TestStaleConstraintsAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		owner string
		constraint
	}{
		"which is no field":     {"Node.Colour", constraint{min: 1}},
		"the expression colour": {"Node.Disk", constraint{pattern: "colour"}},
	} {
		old, had := constraints[c.owner]
		constraints[c.owner] = c.constraint
		if err := testModel(t).checkConstraints(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("error %v, want one with %q", err, name)
		}
		if constraints[c.owner] = old; !had {
			delete(constraints, c.owner)
		}
	}
}

// TestPageIsWhole: every block, field and rule of the source is on the page.
func TestPageIsWhole(t *testing.T) {
	m := testModel(t)
	page := string(m.markdown())
	fields := 0
	for _, b := range m.blocks {
		if !strings.Contains(page, "\n## "+escape(m.title(b))+"\n") {
			t.Errorf("%s has no section", b.structure.Name())
		}
		for _, f := range b.fields {
			fields++
			if !strings.Contains(page, "| "+escape(f.doc)+" | "+code(f.key+": "+f.example)+" |\n") {
				t.Errorf("%s is not on the page", f.owner)
			}
		}
	}
	rules := 0
	for _, a := range m.areas {
		for _, rule := range a.rules {
			rules++
			if !strings.Contains(page, "\n- "+escape(rule)+"\n") {
				t.Errorf("the rule %q is not on the page", rule)
			}
		}
	}
	if fields < 150 || rules < 40 || len(m.areas) < 8 {
		t.Errorf("only %d fields and %d rules in %d areas", fields, rules, len(m.areas))
	}
}

// TestSmallestSpec: the spec that the page opens with is one.
func TestSmallestSpec(t *testing.T) {
	_, rest, _ := strings.Cut(intro, "```yaml\n")
	text, _, found := strings.Cut(rest, "```")
	if !found {
		t.Fatal("the page opens with no spec")
	}
	for _, p := range check([]byte(text)) {
		t.Error(p)
	}
}

// TestBondOfThePage: the network that the page shows is one, in the place of the first spec's machines.
func TestBondOfThePage(t *testing.T) {
	_, rest, _ := strings.Cut(intro, "```yaml\n")
	smallest, rest, _ := strings.Cut(rest, "  nodes:\n")
	_, rest, _ = strings.Cut(rest, "```yaml\n")
	nodes, _, found := strings.Cut(rest, "```")
	if !found || !strings.Contains(nodes, "bonds:") {
		t.Fatal("the page shows no bond")
	}
	for _, p := range check([]byte(smallest + nodes)) {
		t.Error(p)
	}
}

var pageLink = regexp.MustCompile(`\]\(#([^)]+)\)`)

// TestLinksLead: every link of the page leads to a heading of it, and no two headings share an anchor.
func TestLinksLead(t *testing.T) {
	page := string(testModel(t).markdown())
	anchors := map[string]bool{}
	for line := range strings.Lines(page) {
		heading, ok := strings.CutPrefix(strings.TrimRight(line, "\n"), "## ")
		if !ok {
			continue
		}
		name := anchor(strings.ReplaceAll(heading, `\`, ""))
		if anchors[name] {
			t.Errorf("two headings are called %s", name)
		}
		anchors[name] = true
	}
	links := pageLink.FindAllStringSubmatch(page, -1)
	if len(links) < 60 {
		t.Errorf("only %d links were found", len(links))
	}
	for _, link := range links {
		if !anchors[link[1]] {
			t.Errorf("the link #%s leads nowhere", link[1])
		}
	}
}

// TestDefaults: constants are shown, and what is called computed is explained in the field's comment.
func TestDefaults(t *testing.T) {
	m := testModel(t)
	for path, want := range map[string]any{
		"spec.kubernetes.networking.podSubnet": spec.DefaultPodSubnet,
		"spec.rendezvous.port":                 spec.DefaultRendezvousPort,
		"spec.cni.flannel.version":             spec.DefaultFlannelVersion,
		"spec.packages.gpgCheck":               true,
		"spec.kubernetes.bootstrapToken.ttl":   spec.DefaultTokenTTL,
	} {
		if got := m.defaults[path]; got != (defaultValue{value: want}) {
			t.Errorf("%s: %+v, want the constant %v", path, got, want)
		}
	}
	computed := 0
	shown := map[string]bool{}
	for _, b := range m.blocks {
		for _, p := range b.places {
			for _, f := range b.fields {
				path := p.child(f.key, "").full
				if _, ok := m.defaults[path]; !ok {
					continue
				}
				shown[path] = true
				if m.defaults[path].computed {
					computed++
					if !strings.Contains(f.doc, "by default") {
						t.Errorf("%s has a computed default, and its comment does not say which", f.owner)
					}
				}
			}
		}
	}
	for path := range m.defaults {
		if !shown[path] {
			t.Errorf("the default of %s is shown nowhere", path)
		}
	}
	if computed != 4 {
		t.Errorf("%d defaults are computed; version, clusterName, controlPlaneEndpoint and proxy.mode were", computed)
	}
}
