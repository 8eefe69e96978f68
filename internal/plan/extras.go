package plan

import (
	"cmp"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"muster/internal/decode"
	"muster/internal/node"
	"muster/internal/spec"
)

// addProfileExtras adds the files and units that the operating system makes necessary.
func (m *machine) addProfileExtras() {
	for _, f := range m.profile.Files.Items {
		m.addFile(node.File{Path: f.Path.V, Mode: mode(f.Mode.V), Contents: []byte(f.Contents.V)})
	}
	for _, u := range m.profile.Units.Items {
		unit := node.Unit{Name: u.Name.V, Contents: u.Contents.V, Enabled: ifSet(u.Enabled)}
		for _, d := range u.DropIns.Items {
			unit.DropIns = append(unit.DropIns, node.DropIn{Name: d.Name.V, Contents: d.Contents.V})
		}
		m.addUnit(unit)
	}
}

// addUnit adds a unit, or lays it over one of the same name that is there already.
func (m *machine) addUnit(u node.Unit) {
	for i := range m.config.Units {
		known := &m.config.Units[i]
		if known.Name != u.Name {
			continue
		}
		known.DropIns = append(known.DropIns, u.DropIns...)
		if u.Contents != "" {
			known.Contents = u.Contents
		}
		if u.Enabled != nil {
			known.Enabled = u.Enabled
		}
		known.Mask = known.Mask || u.Mask
		known.At = u.At
		return
	}
	m.config.Units = append(m.config.Units, u)
}

// addExtraFiles adds the spec's own files: those whose contents are here into the document, those with a URL to what
// the machine fetches.
func (m *machine) addExtraFiles() {
	var paths, urls, digests, modes, owners []string
	for _, f := range m.Files.Items {
		owner, group, _ := strings.Cut(f.Owner.V, ":")
		switch {
		case isURL(f.Source.V):
			if m.refuseTaken(f.Path.V, f.Path.At) {
				continue
			}
			paths, urls, digests = append(paths, f.Path.V), append(urls, f.Source.V), append(digests, f.SHA256.V)
			modes, owners = append(modes, modeText(f.Mode.V)), append(owners, ownerText(owner, group))
		case f.Source.Set:
			data, err := m.ReadFile(f.Source.V)
			if err != nil {
				m.problems.Errorf(f.Source.At, "name a file beside the spec", "the file cannot be read: %v", err)
				continue
			}
			m.addFile(node.File{Path: f.Path.V, Mode: mode(f.Mode.V), Owner: owner, Group: group, Contents: data, Source: f.Source.V, At: f.Path.At})
		default:
			m.addFile(node.File{Path: f.Path.V, Mode: mode(f.Mode.V), Owner: owner, Group: group, Contents: []byte(f.Contents.V), At: f.Path.At})
		}
	}
	for _, l := range []struct {
		name  string
		items []string
	}{{"DOWNLOAD_PATHS", paths}, {"DOWNLOAD_URLS", urls}, {"DOWNLOAD_SHA256", digests}, {"DOWNLOAD_MODES", modes}, {"DOWNLOAD_OWNERS", owners}} {
		m.conf.setList(l.name, l.items)
	}
}

func isURL(text string) bool {
	return strings.HasPrefix(text, "https://") || strings.HasPrefix(text, "http://")
}

// modeText is a file's mode in octal; 0644 where nothing is said.
func modeText(text string) string {
	if text == "" {
		return "0644"
	}
	return text
}

func mode(text string) fs.FileMode {
	bits, _ := strconv.ParseUint(modeText(text), 8, 32) // validated
	m := fs.FileMode(bits & 0o777)
	for bit, flag := range map[uint64]fs.FileMode{0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky} {
		if bits&bit != 0 {
			m |= flag
		}
	}
	return m
}

// ownerText is a file's owner as chown has it, with root where nothing is said, as in documents.
func ownerText(owner, group string) string {
	return cmp.Or(owner, "root") + ":" + cmp.Or(group, "root")
}

// ifSet is a value that somebody has set; nil for one that nobody has.
func ifSet(v spec.Value[bool]) *bool {
	if !v.Set {
		return nil
	}
	return &v.V
}

// addExtraUnits adds the spec's own units.
func (m *machine) addExtraUnits() {
	var later []string
	for _, u := range m.Units.Items {
		unit := node.Unit{Name: u.Name.V, Contents: u.Contents.V, Enabled: ifSet(u.Enabled), Mask: u.Mask.V, At: u.At}
		for _, d := range u.DropIns.Items {
			unit.DropIns = append(unit.DropIns, node.DropIn{Name: d.Name.V, Contents: d.Contents.V})
		}
		if m.enabledLater(u) {
			later, unit.Enabled = append(later, u.Name.V), nil
		}
		if !m.enabledLater(u) || len(unit.DropIns) > 0 {
			m.addUnit(unit)
		}
	}
	m.conf.setList("UNITS_ENABLED", later)
}

// enabledLater reports whether the first boot enables a unit when packages are there: cloud-init's commands come before, and
// would end at one that is not there, and with them the whole first boot. Ignition enables what comes later as well.
func (m *machine) enabledLater(u spec.Unit) bool {
	inDocument := func(known node.Unit) bool { return known.Name == u.Name.V && known.Contents != "" }
	return m.profile.Format.V == "cloud-init" && u.Enabled.V && !u.Contents.Set && !slices.ContainsFunc(m.config.Units, inDocument)
}

// planCommands notes the commands around kubeadm.
func (m *machine) planCommands() {
	m.conf.setList("COMMANDS_BEFORE", decode.Strings(m.Commands.Before))
	m.conf.setList("COMMANDS_AFTER", decode.Strings(m.Commands.After))
}
