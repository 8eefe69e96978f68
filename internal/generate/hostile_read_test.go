package generate

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/pelletier/go-toml/v2"
	"gopkg.in/yaml.v3"

	"muster/internal/node"
	"muster/internal/outdir"
	"muster/internal/plan"
	"muster/internal/problem"
	"muster/internal/render"
)

// atoms are all that machines are told, taken apart by the rules of whatever will read it: each key, string, number, word
// and line, with its kind in front, and how often it is there. Order and nesting are left out.
type atoms map[string]int

func (a atoms) add(kind, text string) { a[kind+" "+text]++ }

// without is what stands in a and not in b.
func (a atoms) without(b atoms) []string {
	var out []string
	for atom, n := range a {
		for range n - b[atom] {
			out = append(out, atom)
		}
	}
	slices.Sort(out)
	return out
}

// plannedAtoms takes plans apart, but for node.conf, which is returned as it is: bash has to read it.
func plannedAtoms(machines []plan.Machine) (atoms, [][]byte, error) {
	a := atoms{}
	var confs [][]byte
	for _, m := range machines {
		c := m.Config
		for _, f := range c.Files {
			a.add("path", f.Path)
			a.add("mode", fmt.Sprintf("%v %s", f.Mode, f.Path))
			a.add("owner", strings.TrimSuffix(f.Owner+":"+f.Group, ":"))
			if f.Path == "/etc/muster/node.conf" {
				confs = append(confs, f.Contents)
				continue
			}
			if err := a.file(f); err != nil {
				return nil, nil, fmt.Errorf("%s of %s: %w", f.Path, c.Name, err)
			}
		}
		for _, u := range c.Units {
			a.unit(u)
		}
		c.Files, c.Units = nil, nil
		a.fields(reflect.ValueOf(c))
	}
	return a, confs, nil
}

// file takes one file apart.
func (a atoms) file(f node.File) error {
	text := string(f.Contents)
	switch {
	case f.Template != "" || strings.Contains(f.At.Path, "files[") || strings.Contains(f.At.Path, "manifests["):
		a.add("text", text) // a script of ours, or a text that is the user's as a whole
		return nil
	case path.Ext(f.Path) == ".crt":
		return a.certificate(f.Contents)
	case path.Ext(f.Path) == ".key":
		return nil // derived, with its certificate
	case path.Base(f.Path) == "grant":
		return a.grant(text)
	case path.Ext(f.Path) == ".yaml":
		return a.yaml(f.Contents)
	case path.Ext(f.Path) == ".json":
		return a.tree(f.Contents, json.Unmarshal)
	case path.Ext(f.Path) == ".toml":
		return a.tree(f.Contents, toml.Unmarshal)
	case f.Path == "/etc/hosts", path.Ext(f.Path) == ".list", strings.HasPrefix(f.Path, "/etc/modules-load.d/"), f.Path == "/etc/chrony.conf", strings.Contains(f.Path, "timesyncd"):
		for _, word := range strings.Fields(text) { // every blank separates
			a.add("word", word)
		}
	}
	a.lines(text)
	return nil
}

func (a atoms) lines(text string) {
	for line := range strings.SplitSeq(text, "\n") {
		a.add("line", line)
	}
}

// certificate takes apart whom a certificate is for; its key, serial number and signature are derived from that.
func (a atoms) certificate(text []byte) error {
	block, _ := pem.Decode(text)
	if block == nil {
		return errors.New("no PEM")
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return err
	}
	a.add("subject", c.Subject.String())
	a.add("issuer", c.Issuer.String())
	for _, name := range c.DNSNames {
		a.add("DNS name", name)
	}
	for _, uri := range c.URIs {
		a.add("URI", uri.String())
	}
	for _, ip := range c.IPAddresses {
		a.add("address", ip.String())
	}
	for _, name := range slices.Concat(c.PermittedDNSDomains, c.PermittedURIDomains) {
		a.add("permitted", name)
	}
	return nil
}

// grant takes apart whom a grant is for.
func (a atoms) grant(text string) error {
	payload, _, _ := strings.Cut(strings.TrimPrefix(text, `header = "Authorization: Bearer `), ".")
	plain, err := base64.RawURLEncoding.DecodeString(payload)
	if err != nil {
		return err
	}
	var grant map[string]any
	if err := json.Unmarshal(plain, &grant); err != nil {
		return err
	}
	delete(grant, "serial")
	a.value(grant)
	return nil
}

// unit takes a unit and its drop-ins apart. Ours are read line by line, and their Environment= is unquoted as systemd does it.
func (a atoms) unit(u node.Unit) {
	a.add("unit", fmt.Sprintf("%s mask=%t enabled=%t", u.Name, u.Mask, u.Enabled != nil && *u.Enabled))
	texts := []string{u.Contents}
	for _, d := range u.DropIns {
		a.add("drop-in", u.Name+" "+d.Name)
		texts = append(texts, d.Contents)
	}
	for _, text := range texts {
		if strings.Contains(u.At.Path, "units[") {
			a.add("text", text)
			continue
		}
		for line := range strings.SplitSeq(text, "\n") {
			if quoted, ok := strings.CutPrefix(line, "Environment="); ok {
				quoted = strings.TrimSuffix(strings.TrimPrefix(quoted, `"`), `"`)
				line = "Environment=" + strings.NewReplacer(`\\`, `\`, `\"`, `"`, "%%", "%").Replace(quoted)
			}
			a.add("line", line)
		}
	}
}

func (a atoms) yaml(data []byte) error {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	for {
		var document any
		err := decoder.Decode(&document)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		a.value(document)
	}
}

func (a atoms) tree(data []byte, unmarshal func([]byte, any) error) error {
	var tree any
	if err := unmarshal(data, &tree); err != nil {
		return err
	}
	a.value(tree)
	return nil
}

// value takes decoded YAML, JSON or TOML apart; the type of each scalar is part of it.
func (a atoms) value(v any) {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			a.add("key", key)
			a.value(value)
		}
	case []any:
		for _, item := range v {
			a.value(item)
		}
	default:
		a.add(fmt.Sprintf("%T", v), fmt.Sprint(v))
	}
}

// fields takes the rest of a configuration apart, field by field.
func (a atoms) fields(v reflect.Value) {
	if text, ok := v.Interface().(fmt.Stringer); ok && v.Kind() == reflect.Struct { // an address
		a.add("address", text.String())
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Field(i).Type() != reflect.TypeFor[problem.At]() {
				a.fields(v.Field(i))
			}
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			a.add("bytes", string(v.Bytes()))
			return
		}
		for i := range v.Len() {
			a.fields(v.Index(i))
		}
	case reflect.Pointer:
		if !v.IsNil() {
			a.fields(v.Elem())
		}
	default:
		a.add(v.Kind().String(), fmt.Sprint(v.Interface()))
	}
}

// netAtoms adds what is served for a network boot. The documents of systems that install others are read back.
func (a atoms) netAtoms(tree []outdir.File) error {
	documents := map[string][]render.File{}
	for _, f := range tree {
		name, served := strings.CutPrefix(f.Path, "pxe/")
		if !served {
			continue
		}
		a.add("served", name)
		var err error
		switch path.Ext(name) {
		case ".json":
			err = a.tree(f.Bytes(), json.Unmarshal)
		case ".ipxe", ".txt":
			a.lines(string(f.Bytes()))
		default:
			documents[path.Dir(name)] = append(documents[path.Dir(name)], render.File{Name: path.Base(name), Data: f.Bytes()})
		}
		if err != nil {
			return fmt.Errorf("%s: %w", f.Path, err)
		}
	}
	for folder, files := range documents {
		if err := a.document(files); err != nil {
			return fmt.Errorf("pxe/%s: %w", folder, err)
		}
	}
	return nil
}

// document takes a document apart that was read back.
func (a atoms) document(files []render.File) error {
	format := render.CloudInit
	if path.Ext(files[0].Name) == ".ign" {
		format = render.Ignition
		files[0].Name = render.IgnitionConfig
	}
	c, err := render.ReadBack(format, render.Document{Files: files})
	if err != nil {
		return err
	}
	for _, f := range c.Files {
		a.add("path", f.Path)
		a.lines(string(f.Contents))
	}
	return nil
}

// readConfs lets bash read each of many node.conf, as the scripts on a machine do, and returns its variables, each array element by itself.
const readConfs = `
names() { # the names of all variables, into the array found: without a fork, since there are thousands of files
	local c
	found=()
	for c in {A..Z} {a..z} _; do eval "found+=(\"\${!$c@}\")"; done
}
true | true # sets PIPESTATUS
declare -A known
for name in known found name variable value conf c; do known[$name]=yes; done
names
for name in "${found[@]}"; do known[$name]=yes; done
for conf in "$@"; do (
	source "$conf" || exit
	names
	for name in "${found[@]}"; do
		[[ ${known[$name]-} ]] && continue
		declare -n variable=$name
		for value in "${variable[@]}"; do printf '%s\0%s\0' "$name" "$value"; done
	done
) || exit; printf '\0\0'; done`

// bashAtoms has bash read configurations, all in one run.
func bashAtoms(t *testing.T, confs [][]byte) []atoms {
	t.Helper()
	folder := t.TempDir()
	for i, conf := range confs {
		write(t, filepath.Join(folder, fmt.Sprintf("%06d.conf", i)), conf)
	}
	files, err := filepath.Glob(folder + "/*.conf")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("bash", append([]string{"--norc", "--noprofile", "-c", readConfs, "bash"}, files...)...)
	cmd.Env = []string{"PATH=/usr/bin:/bin"}
	cmd.Dir = folder
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	var all []atoms
	current := atoms{}
	fields := strings.Split(string(out), "\x00")
	for i := 0; i+1 < len(fields); i += 2 {
		if fields[i] == "" {
			all, current = append(all, current), atoms{}
			continue
		}
		current.add("conf "+fields[i], fields[i+1])
	}
	if err != nil {
		t.Fatalf("%v: bash does not read this:\n%s", err, confs[len(all)])
	}
	if len(all) != len(confs) {
		t.Fatalf("bash read %d of %d configurations", len(all), len(confs))
	}
	return all
}

// explain tells what of the difference between two sets of atoms is not the replacement of one string by another. A string
// that others are made of (an address in a URL) is replaced in them, and holds nothing that ends it there.
func explain(before, after atoms, old, bad string) []string {
	removed, added := before.without(after), after.without(before)
	left := map[string]int{}
	for _, r := range removed {
		left[r]++
	}
	var odd []string
	for _, a := range added {
		r := replacedIn(left, a, old, bad)
		if r == "" {
			odd = append(odd, "+"+a)
			continue
		}
		left[r]--
	}
	for _, r := range slices.Sorted(maps.Keys(left)) {
		for range left[r] {
			odd = append(odd, "-"+r)
		}
	}
	return odd
}

// replacedIn finds the atom that another one was before the replacement.
func replacedIn(left map[string]int, after, old, bad string) string {
	if ends(after, bad) {
		return ""
	}
	for r, n := range left {
		if n > 0 && (strings.ReplaceAll(r, old, bad) == after || strings.ReplaceAll(after, bad, old) == r) {
			return r
		}
	}
	return ""
}

// ends reports whether a value holds the separator that stands behind it, so that a reader would see an end before it.
func ends(text, value string) bool {
	for {
		_, rest, found := strings.Cut(text, value)
		if !found {
			return false
		}
		if rest != "" && strings.ContainsAny(rest[:1], " ,;:\t\n") && strings.Contains(value, rest[:1]) {
			return true
		}
		text = rest
	}
}
