// Package ignition owns the document of a machine that boots with Ignition. It builds Butane's configuration from the
// neutral one, lets Butane translate and check it, and reads the result back with Ignition's own parser. It is the only
// place that imports Butane, whose repository is archived: replacing Butane must cost this folder and nothing else. It
// knows nothing of specs, profiles and boot media, and decides nothing that the configuration leaves open.
//
// What happens on the machine, all in the initramfs of the first boot and repeated as a whole after a cut: users are made
// (the groups they name must exist: Ignition makes none), then files are written with their owners, then units, whose
// states become presets and links before systemd starts from the real root. Nothing here runs at later boots. The static
// hostname is the file /etc/hostname; the static network is files of systemd-networkd.
//
// A document of more than payload.Limit bytes is compressed as a whole: see pack. One with a program is not: it is far too
// large for the platforms with such a limit anyway, and compressing those megabytes again takes a second and gains nothing.
package ignition

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	butane "github.com/coreos/butane/base/v0_4"
	"github.com/coreos/butane/config/common"
	"github.com/coreos/vcontext/path"
	"github.com/coreos/vcontext/report"

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
	if _, known := translators[kind]; !known {
		refused.Errorf(cfg.At, "write one of "+supported(), "butane %s %s is not supported", kind.Variant, kind.Version)
		return nil, nil
	}
	if cfg.Network != nil && kind.Variant != flatcar {
		refused.Errorf(cfg.At, "leave the network to DHCP", "a static network can be written for %s only: others do not run systemd-networkd", flatcar)
		return nil, nil
	}
	doc, from := document(cfg, compressedFiles)
	readable, err := encode(kind, doc, from, cfg.Programs, refused)
	if err != nil || refused.Failed() || len(readable) <= payload.Limit || len(cfg.Programs) > 0 {
		return readable, err
	}
	doc, from = document(cfg, plainFiles)
	whole, err := encode(kind, doc, from, nil, refused)
	if err != nil || refused.Failed() {
		return nil, err
	}
	packed, err := encode(kind, pack(whole), places{}, nil, refused)
	if err != nil || len(packed) < len(readable) {
		return packed, err
	}
	return readable, nil
}

// pack returns a configuration that Ignition replaces by the document, which it holds compressed. That beats compressing
// files one by one: machines' files resemble each other and base64 is paid for once.
func pack(document []byte) butane.Config {
	var doc butane.Config
	doc.Ignition.Config.Replace = butane.Resource{Source: new(base64URL + payload.GzipBase64(document)), Compression: new(gzipCompression)}
	return doc
}

// encode lets Butane translate a configuration, and puts the programs into the files that it has for them.
func encode(kind Butane, doc butane.Config, from places, programs []node.Program, refused *problem.List) ([]byte, error) {
	translated, complaints, err := translators[kind](doc)
	for _, c := range complaints.Entries {
		refuse(refused, from, c)
	}
	if err != nil && !refused.Failed() {
		return nil, fmt.Errorf("butane %s %s: %w", kind.Variant, kind.Version, err)
	}
	if refused.Failed() {
		return nil, nil
	}
	return canonical(translated, programs)
}

// canonical encodes one of Ignition's structures as JSON with sorted keys and without the empty objects that encoding/json
// writes for structures that set nothing: a fifth of a small document.
func canonical(structure any, programs []node.Program) ([]byte, error) {
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
	for _, p := range programs {
		if err := fillIn(tree, p); err != nil {
			return nil, err
		}
		b.Grow(len(p.Gzip)/3*4 + 4<<10)
	}
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(tree); err != nil {
		return nil, fmt.Errorf("ignition: %w", err)
	}
	return slices.Clip(b.Bytes()), nil
}

// fillIn puts a program into the file that Butane translated without it. Butane and the way through JSON would go over
// its megabytes ten times; that they arrive is proved by reading the document back.
func fillIn(tree map[string]any, p node.Program) error {
	storage, _ := tree["storage"].(map[string]any)
	files, _ := storage["files"].([]any)
	for _, f := range files {
		file, _ := f.(map[string]any)
		if contents, isObject := file["contents"].(map[string]any); isObject && file["path"] == p.Path {
			contents["source"] = base64URL + payload.Base64(p.Gzip)
			return nil
		}
	}
	return fmt.Errorf("ignition: the translated document has no file %s", p.Path)
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
func refuse(refused *problem.List, in places, c report.Entry) {
	from := in.find(c.Context)
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

// document builds the oldest Butane configuration that says everything we need, with the bytes of files in the form that
// carry gives them.
func document(cfg node.Config, carry func([]byte) butane.Resource) (butane.Config, places) {
	var doc butane.Config
	var from places
	files := slices.Clone(cfg.Files)
	if cfg.Hostname != "" {
		files = append(files, node.File{Path: hostnameFile, Mode: 0o644, Contents: []byte(cfg.Hostname + "\n"), At: cfg.At})
	}
	if cfg.Network != nil {
		files = append(files, networkFiles(*cfg.Network)...)
	}
	for _, f := range files {
		doc.Storage.Files = append(doc.Storage.Files, file(f, carry(f.Contents)))
		from.files = append(from.files, place{f.Path, f.At})
	}
	for _, p := range cfg.Programs {
		doc.Storage.Files = append(doc.Storage.Files, program(p))
		from.files = append(from.files, place{p.Path, p.At})
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
func file(f node.File, contents butane.Resource) butane.File {
	out := butane.File{Path: f.Path, Mode: new(int(f.Mode.Perm())), Overwrite: new(true), Contents: contents}
	if f.Owner != "" && f.Owner != root {
		out.User.Name = &f.Owner
	}
	if f.Group != "" && f.Group != root {
		out.Group.Name = &f.Group
	}
	return out
}

// program is the file of a program; fillIn adds the bytes, as they are compressed. The digest, which Ignition compares
// with what it unpacked, is also what tells a program from a file.
func program(p node.Program) butane.File {
	contents := butane.Resource{Source: new(base64URL), Compression: new(gzipCompression)}
	contents.Verification.Hash = new(programHash + p.SHA256)
	return file(node.File{Path: p.Path, Mode: p.Mode}, contents)
}

// programHash begins the digest of a program.
const programHash = "sha256-"

// root owns a file that names nobody else: Ignition's default is user 0 and group 0.
const root = "root"

const gzipCompression = "gzip"

// textURL and base64URL begin a data URL of escaped text and of base64.
const (
	textURL   = "data:,"
	base64URL = "data:;base64,"
)

// compressedFiles carries contents as the shortest data URL.
func compressedFiles(contents []byte) butane.Resource {
	text := textURL + escape(contents)
	body, compressed := payload.Shorter(contents, len(`"compression":"",`)+len(gzipCompression))
	packed := base64URL + body
	switch {
	case len(text) <= len(packed):
		return butane.Resource{Source: &text}
	case compressed:
		return butane.Resource{Source: &packed, Compression: new(gzipCompression)}
	default:
		return butane.Resource{Source: &packed}
	}
}

// plainFiles carries text as it is, for a document that is compressed as a whole, and anything else as compressedFiles.
func plainFiles(contents []byte) butane.Resource {
	if payload.Plain(contents) {
		return butane.Resource{Source: new(textURL + escape(contents))}
	}
	return compressedFiles(contents)
}

// escape writes bytes as the data of a data URL (RFC 2397), escaping only what RFC 3986 allows neither in a path nor in a
// query: every escape more is harder to read and to compress.
func escape(contents []byte) string {
	const allowed = "-._~!$&'()*+,;=:@/?"
	var b strings.Builder
	for _, c := range contents {
		if '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' || strings.IndexByte(allowed, c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
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

// user sets an empty hash too: it locks the password of a user whom the image already has.
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

// options leave the choice of compression to payload, which makes the same one in both formats.
var options = common.TranslateOptions{NoResourceAutoCompression: true}
