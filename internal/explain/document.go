package explain

import (
	"bytes"
	"fmt"
	"slices"

	"muster/internal/layout"
	"muster/internal/plan"
	"muster/internal/render"
	"muster/internal/render/cloudinit"
)

// document explains what a machine boots with. What a document embeds is explained by the files that it carries: they lie
// beside it and say more than its own lines, which are compressed as a rule.
func (e *explainer) document(name string, data []byte) error {
	line := e.out.Line
	switch {
	case name == layout.Seed && line > 0:
		return fmt.Errorf("%s is an image and has no lines: explain the documents in it, or leave the line out", e.out.File)
	case name == render.MetaData || name == render.NetworkConfig:
		e.text(data, line)
	case line > 0 && bytes.HasPrefix(data, []byte(cloudinit.Header)):
		// Its text may be a password.
	default:
		e.carries(name)
		e.out.Notes = append(e.out.Notes, "what it holds is explained by the files that it carries")
		return nil
	}
	return e.trace(data, line, func(m plan.Machine) ([]byte, bool, error) { return encoded(m, name) })
}

// encoded is a document of a machine.
func encoded(m plan.Machine, name string) (data []byte, there bool, err error) {
	cfg := m.Config
	if name != render.UserData {
		cfg.Files = nil // the others hold none of them, and compressing them takes the most time
	}
	butane := render.Butane{Variant: m.Profile.Butane.Variant.V, Version: m.Profile.Butane.Version.V}
	doc, err := render.Encode(m.Profile.Format.V, butane, cfg)
	for _, f := range doc.Files {
		if f.Name == name {
			return f.Data, true, err
		}
	}
	return nil, false, err
}

// carries lists what lies beside or below a document and is in it.
func (e *explainer) carries(name string) {
	for _, f := range e.Tree {
		machine, rest := layout.Split(f.Path)
		_, embedded := layout.OnMachine(f.Path)
		if machine == e.out.Machine.Folder && (name == layout.Seed) != embedded && rest != name {
			e.out.Carries = append(e.out.Carries, f.Path)
		}
	}
	slices.Sort(e.out.Carries)
}
