// Package ignition owns the document of a machine that boots with Ignition. It builds Butane's configuration from the
// neutral one, lets Butane translate and check it, and reads the result back with Ignition's own parser. It is the only
// place that imports Butane, whose repository is archived: replacing Butane must cost this folder and nothing else. It
// knows nothing of specs, profiles and boot media, and decides nothing that the configuration leaves open.
//
// What happens on the machine, all in the initramfs of the first boot and repeated as a whole after a cut: users are made
// (the groups they name must exist: Ignition makes none), then files are written with their owners, then units, whose
// states become presets and links before systemd starts from the real root. Nothing here runs at later boots. The static
// hostname is the file /etc/hostname; the static network is files of systemd-networkd.
package ignition

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	butane "github.com/coreos/butane/base/v0_4"
	"github.com/coreos/butane/config/common"
	"github.com/coreos/vcontext/path"
	"github.com/coreos/vcontext/report"
	"github.com/vincent-petithory/dataurl"

	"muster/internal/node"
	"muster/internal/problem"
	"muster/internal/render/payload"
)

// Butane names the variant and the version of Butane's configuration that a document is translated from; the version of
// Ignition's specification follows from them.
type Butane struct {
	Variant, Version string
}

// hostnameFile is where systemd reads the static hostname at boot.
const hostnameFile = "/etc/hostname"

// Encode writes cfg, which has been checked by package render, as an Ignition document: JSON with a line feed at its end.
// What Ignition cannot express and every entry of Butane's report, warnings too, go to refused with the place in the
// spec; the document is then of no use. An error means that the encoder itself failed.
func Encode(kind Butane, cfg node.Config, refused *problem.List) ([]byte, error) {
	translate, known := translators[kind]
	if !known {
		refused.Errorf(cfg.At, "write one of "+supported(), "butane %s %s is not supported", kind.Variant, kind.Version)
		return nil, nil
	}
	if cfg.Network != nil && kind.Variant != flatcar {
		refused.Errorf(cfg.At, "leave the network to DHCP", "a static network can be written for %s only: others do not run systemd-networkd", flatcar)
		return nil, nil
	}
	doc, places := document(cfg)
	translated, complaints, err := translate(doc)
	for _, c := range complaints.Entries {
		refuse(refused, cfg.At, places, c)
	}
	if err != nil && !refused.Failed() {
		return nil, fmt.Errorf("butane %s %s: %w", kind.Variant, kind.Version, err)
	}
	if refused.Failed() {
		return nil, nil
	}
	return canonical(translated)
}

// canonical encodes one of Ignition's structures as JSON with sorted keys and without the empty objects that encoding/json
// writes for structures which say nothing: a fifth of a small document.
func canonical(structure any) ([]byte, error) {
	encoded, err := json.Marshal(structure)
	if err != nil {
		return nil, fmt.Errorf("ignition: %w", err)
	}
	d := json.NewDecoder(bytes.NewReader(encoded))
	d.UseNumber()
	var tree map[string]any
	if err := d.Decode(&tree); err != nil {
		return nil, fmt.Errorf("ignition: %w", err)
	}
	prune(tree)
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(tree); err != nil {
		return nil, fmt.Errorf("ignition: %w", err)
	}
	return slices.Clip(b.Bytes()), nil
}

// prune removes the empty objects of a tree and what becomes empty by that; elements of lists stay. It reports whether
// value itself is then an empty object.
func prune(value any) bool {
	switch v := value.(type) {
	case []any:
		for _, element := range v {
			prune(element)
		}
	case map[string]any:
		for key, inner := range v {
			if prune(inner) {
				delete(v, key)
			}
		}
		return len(v) == 0
	}
	return false
}

// places tell for every file, unit and user of Butane's configuration where it comes from.
type places struct {
	files, units, users []place
}

type place struct {
	name string
	at   problem.At
}

// refuse turns an entry of a report into a problem at the line of the spec that caused it. Butane's and Ignition's words
// never hold contents.
func refuse(refused *problem.List, whole problem.At, in places, c report.Entry) {
	from := in.find(c.Context)
	if from.at == (problem.At{}) {
		from.at = whole
	}
	subject := from.name
	if subject == "" {
		subject = c.Context.String()
	}
	refused.Errorf(from.at, "", "%s: ignition: %s", subject, c.Message)
}

// find returns the place of the file, unit or user that a path of Butane's leads through, such as
// $.storage.files.3.mode, or an empty one.
func (p places) find(context path.ContextPath) place {
	if len(context.Path) < 3 {
		return place{}
	}
	index, isIndex := context.Path[2].(int)
	list := map[any][]place{"files": p.files, "units": p.units, "users": p.users}[context.Path[1]]
	if !isIndex || index >= len(list) {
		return place{}
	}
	return list[index]
}

// document builds the oldest Butane configuration that says everything we need.
func document(cfg node.Config) (butane.Config, places) {
	var doc butane.Config
	var from places
	add := func(f butane.File, at problem.At) {
		doc.Storage.Files = append(doc.Storage.Files, f)
		from.files = append(from.files, place{f.Path, at})
	}
	for _, f := range cfg.Files {
		add(file(f), f.At)
	}
	if cfg.Hostname != "" {
		add(file(node.File{Path: hostnameFile, Mode: 0o644, Contents: []byte(cfg.Hostname + "\n")}), cfg.At)
	}
	if cfg.Network != nil {
		for _, f := range networkFiles(*cfg.Network) {
			add(file(f), f.At)
		}
	}
	for _, u := range cfg.Units {
		doc.Systemd.Units = append(doc.Systemd.Units, unit(u, cfg.Start))
		from.units = append(from.units, place{u.Name, u.At})
	}
	for _, u := range cfg.Users {
		doc.Passwd.Users = append(doc.Passwd.Users, user(u))
		from.users = append(from.users, place{u.Name, u.At})
	}
	return doc, from
}

// file always overwrites: after a cut Ignition runs again as a whole and would fail on the files of its first try.
func file(f node.File) butane.File {
	source, compression := resource(f.Contents)
	out := butane.File{
		Path:      f.Path,
		Mode:      new(int(f.Mode.Perm())),
		Overwrite: new(true),
		Contents:  butane.Resource{Source: &source, Compression: &compression},
	}
	if f.Owner != "" && f.Owner != root {
		out.User.Name = &f.Owner
	}
	if f.Group != "" && f.Group != root {
		out.Group.Name = &f.Group
	}
	return out
}

// root owns what says nothing else: Ignition's default is user 0 and group 0.
const root = "root"

const gzipCompression = "gzip"

// resource returns the shortest data URL of contents and its compression. The compression is always said, as Butane
// does, so that no configuration that is merged below can change how the bytes are taken.
func resource(contents []byte) (source, compression string) {
	text := "data:," + dataurl.Escape(contents)
	body, compressed := payload.Shorter(contents, len(gzipCompression))
	packed := "data:;base64," + body
	switch {
	case len(text) <= len(packed):
		return text, ""
	case compressed:
		return packed, gzipCompression
	default:
		return packed, ""
	}
}

func unit(u node.Unit, start string) butane.Unit {
	out := butane.Unit{Name: u.Name, Enabled: u.Enabled}
	if u.Name == start {
		out.Enabled = new(true)
	}
	if u.Contents != "" {
		out.Contents = &u.Contents
	}
	if u.Mask {
		out.Mask = new(true)
	}
	for _, d := range u.DropIns {
		out.Dropins = append(out.Dropins, butane.Dropin{Name: d.Name, Contents: &d.Contents})
	}
	return out
}

// user says an empty hash too: it locks the password of a user whom the image already has.
func user(u node.User) butane.PasswdUser {
	out := butane.PasswdUser{Name: u.Name, PasswordHash: &u.PasswordHash}
	for _, key := range u.SSHAuthorizedKeys {
		out.SSHAuthorizedKeys = append(out.SSHAuthorizedKeys, butane.SSHAuthorizedKey(key))
	}
	for _, group := range u.Groups {
		out.Groups = append(out.Groups, butane.Group(group))
	}
	if u.Shell != "" {
		out.Shell = &u.Shell
	}
	return out
}

// options leave the choice of compression to resource, which makes the same one in both formats.
var options = common.TranslateOptions{NoResourceAutoCompression: true}
