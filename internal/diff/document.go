package diff

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"reflect"
	"slices"
	"strings"

	"muster/internal/layout"
	"muster/internal/node"
	"muster/internal/render"
)

// document says what differs in a document. What it embeds lies beside it in files/ and is compared there; of the rest
// the difference is told in words, since the document itself holds compressed files and secrets.
func (c *comparison) document(f *File) error {
	machine, _ := layout.Split(f.Path)
	switch {
	case machine == "":
		f.Note = "a document, or a copy of one, that is served over the network; what it carries is compared in the machine's own folder"
		return nil
	case f.Change != Changed:
		f.Note = "what it carries lies in " + path.Join(machine, layout.Files)
		return nil
	}
	old, err := c.config(machine, c.onDisk)
	if err != nil {
		f.Note = fmt.Sprintf("the old document cannot be read: it was edited, or written by another gen (%v)", err)
		return nil
	}
	wanted, err := c.config(machine, c.inTree)
	if err != nil {
		return fmt.Errorf("%s: the new document cannot be read back: %w", f.Path, err)
	}
	describedOld, describedWanted := old, wanted
	if path.Base(f.Path) == render.UserData {
		describedOld.Network, describedWanted.Network = nil, nil // a text of its own, that is compared line by line
	}
	f.Words = differingLines(describe(describedOld), describe(describedWanted))
	f.Note = strings.Join(documentNotes(old, wanted, len(f.Words) > 0), "; ")
	return nil
}

// differingLines are the lines that only one of two texts has.
func differingLines(old, wanted []byte) []string {
	var lines []string
	_, hunks := splitHeader(unified("old", "new", old, wanted))
	for line := range strings.Lines(hunks) {
		if line[0] == '-' || line[0] == '+' {
			lines = append(lines, line[:1]+" "+strings.TrimSuffix(line[1:], "\n"))
		}
	}
	return lines
}

// documentNotes tell what the description of two documents leaves out.
func documentNotes(old, wanted node.Config, described bool) []string {
	var notes []string
	if !reflect.DeepEqual(contents(old), contents(wanted)) {
		notes = append(notes, "see the files below")
	}
	for _, u := range wanted.Users {
		i := slices.IndexFunc(old.Users, func(o node.User) bool { return o.Name == u.Name })
		if i >= 0 && old.Users[i].PasswordHash != u.PasswordHash {
			notes = append(notes, "secret content differs: the password of user "+u.Name)
		}
	}
	switch {
	case len(notes) > 0 || described:
	case !reflect.DeepEqual(old.Network, wanted.Network): // user-data, which waits for the addresses that network-config gives
		notes = append(notes, "its check of the network's addresses differs")
	default:
		notes = append(notes, "says the same in another form")
	}
	return notes
}

// config reads a machine's documents back from the folder or from the new tree.
func (c *comparison) config(machine string, read func(string) ([]byte, error)) (node.Config, error) {
	if data, err := read(path.Join(machine, render.IgnitionConfig)); err == nil {
		return render.ReadBack(render.Ignition, render.Document{Files: []render.File{{Name: render.IgnitionConfig, Data: data}}})
	}
	var doc render.Document
	for _, name := range []string{render.UserData, render.MetaData, render.NetworkConfig} {
		data, err := read(path.Join(machine, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue // no network-config: DHCP
		}
		if err != nil {
			return node.Config{}, err
		}
		doc.Files = append(doc.Files, render.File{Name: name, Data: data})
	}
	return render.ReadBack(render.CloudInit, doc)
}

func (c *comparison) inTree(name string) ([]byte, error) {
	data, there := c.wanted[name]
	if !there {
		return nil, fs.ErrNotExist
	}
	return data, nil
}

// contents are the bytes that a configuration embeds, by path or unit.
func contents(cfg node.Config) map[string]string {
	all := map[string]string{}
	for _, f := range cfg.Files {
		all[f.Path] = string(f.Contents)
	}
	for _, u := range cfg.Units {
		all[u.Name] = u.Contents
		for _, d := range u.DropIns {
			all[u.Name+"/"+d.Name] = d.Contents
		}
	}
	return all
}

// describe writes a configuration down without the contents that it embeds and without secrets: a line for each thing
// that it makes of the machine.
func describe(cfg node.Config) []byte {
	var b bytes.Buffer
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	if cfg.Hostname != "" {
		line("hostname %s", cfg.Hostname)
	}
	for _, f := range cfg.Files {
		line("file %s mode %04o owner %s:%s", f.Path, f.Mode, f.Owner, f.Group)
	}
	for _, p := range cfg.Programs {
		line("program %s mode %04o sha256 %s", p.Path, p.Mode, p.SHA256)
	}
	for _, u := range slices.SortedFunc(slices.Values(cfg.Units), func(a, b node.Unit) int { return strings.Compare(a.Name, b.Name) }) {
		line("unit %s%s", u.Name, unitState(u))
		for _, d := range u.DropIns {
			line("unit %s drop-in %s", u.Name, d.Name)
		}
	}
	for _, u := range cfg.Users {
		describeUser(line, u)
	}
	if cfg.Network != nil {
		describeNetwork(line, *cfg.Network)
	}
	if cfg.Start != "" {
		line("start %s unless %s stands", cfg.Start, cfg.Done)
	}
	return b.Bytes()
}

func unitState(u node.Unit) string {
	state := ""
	if u.Enabled != nil && *u.Enabled {
		state = " enabled"
	}
	if u.Enabled != nil && !*u.Enabled {
		state = " disabled"
	}
	if u.Mask {
		state += " masked"
	}
	return state
}

type printf func(format string, args ...any)

func describeUser(line printf, u node.User) {
	password := "no password"
	if u.PasswordHash != "" {
		password = "a password"
	}
	line("user %s shell %s with %s", u.Name, u.Shell, password)
	for _, g := range u.Groups {
		line("user %s group %s", u.Name, g)
	}
	for _, k := range u.SSHAuthorizedKeys {
		line("user %s key %s", u.Name, k)
	}
}

func describeNetwork(line printf, n node.Network) {
	for _, e := range n.Ethernets {
		if e.MAC != "" {
			line("ethernet %s mac %s", e.Name, e.MAC)
		}
		describeLink(line, "ethernet "+e.Name, e.Link)
	}
	for _, b := range n.Bonds {
		line("bond %s of %s", b.Name, strings.Join(b.Interfaces, " "))
		line("bond %s mode %q monitor %d ms rate %q hash %q", b.Name, b.Mode, b.MIIMonitorMillis, b.LACPRate, b.TransmitHash)
		describeLink(line, "bond "+b.Name, b.Link)
	}
	for _, v := range n.VLANs {
		line("vlan %s id %d over %s", v.Name, v.ID, v.Parent)
		describeLink(line, "vlan "+v.Name, v.Link)
	}
}

func describeLink(line printf, name string, l node.Link) {
	line("%s dhcp %t", name, l.DHCP4)
	if l.DHCPMetric != 0 || l.DHCPWithoutDNS {
		line("%s dhcp metric %d without nameservers %t", name, l.DHCPMetric, l.DHCPWithoutDNS)
	}
	if l.Optional {
		line("%s optional", name)
	}
	if l.MTU != 0 {
		line("%s mtu %d", name, l.MTU)
	}
	for _, a := range l.Addresses {
		line("%s address %s", name, a)
	}
	if l.Gateway.IsValid() {
		line("%s gateway %s", name, l.Gateway)
	}
	for _, r := range l.Routes {
		onLink := ""
		if r.OnLink {
			onLink = " on-link"
		}
		line("%s route %s via %s metric %d%s", name, r.To, r.Via, r.Metric, onLink)
	}
	for _, s := range l.Nameservers {
		line("%s nameserver %s", name, s)
	}
	for _, s := range l.Search {
		line("%s search %s", name, s)
	}
}
