package render_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"muster/internal/node"
	"muster/internal/render"
)

// hostile are strings that some reader or shell takes for something else than a string, or for the end of one.
var hostile = []string{
	"", " ", " leading", "trailing ", "a\nb", "a\n\nb\n", "\n", "a\r\nb", "a\rb", "\ta", "a\tb\n", "a: b", "a #b", "#a", "- a", "? a", "a:", ":a", "[a", "{a", "a]", "a}", ",a", "&a", "*a", "!a", "!!python/object:os.system a",
	"|", ">", "'", "\"", "a'b", "a\"b", "\\", "a\\nb", "`id`", "$(id)", "${x}", "$x", "%s", "%", "{{ x }}", "{% x %}", "## template: jinja\n{{ v1.x }}", "@a", "=", "<<", "---", "...", "--- a", "%YAML 1.1",
	"y", "n", "Y", "yes", "No", "on", "OFF", "true", "False", "null", "~", "Null", ".nan", "-.INF", "0", "0644", "0888", "0o17", "0x1f", "0b11", "1_000", "1e3", "1.5", ".5", "+1", "12:30:45", "1:2", "2001-01-01", "2001-12-14t21:59:43.10-05:00",
	"\x00", "a\x00b", "\x07", "\x1b[0m", "\x7f", "\u0085", "a\u0085b", "\u2028", "a\u2029b", "\ufeff", "\ufeffa", "\ufffe", "\uffff", "é", "😀", "\u00a0", "\xff", "a\xc3", "\xed\xa0\x80", "\xc0\x80",
	"a\nwrite_files: []", "a\"\nruncmd: [id]\n#", "';id;'", "a;id", "a|id", "a&&id", "../../a", "-rf", "--root=/x", "a,b", "a b", strings.Repeat("a", 100<<10), strings.Repeat("a b\n", 25<<10),
}

// stringFields calls visit with every string that a configuration holds, by the way to it; changing *s changes cfg.
func stringFields(v reflect.Value, way string, visit func(way string, s reflect.Value)) {
	if v.Type() == reflect.TypeFor[netip.Addr]() || v.Type() == reflect.TypeFor[netip.Prefix]() {
		return
	}
	switch v.Kind() {
	case reflect.String:
		visit(way, v)
	case reflect.Pointer:
		if !v.IsNil() {
			stringFields(v.Elem(), way, visit)
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			visit(way, v)
			return
		}
		for i := range v.Len() {
			stringFields(v.Index(i), fmt.Sprintf("%s[%d]", way, i), visit)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			name := v.Type().Field(i).Name
			if name == "At" || name == "Template" || name == "Source" { // what no document carries
				continue
			}
			stringFields(v.Field(i), way+"."+name, visit)
		}
	}
}

// kindsOfFields returns one way for each kind of field: the first file's contents stand for every file's.
func kindsOfFields() []string {
	var ways []string
	seen := map[string]bool{}
	cfg := one()
	index := regexp.MustCompile(`\[[0-9]+\]`)
	stringFields(reflect.ValueOf(&cfg), "", func(way string, _ reflect.Value) {
		if kind := index.ReplaceAllString(way, ""); !seen[kind] {
			seen[kind] = true
			ways = append(ways, way)
		}
	})
	return ways
}

// one is the sample with no more than it takes to have every field: PyYAML is slow.
func one() node.Config {
	cfg := sample()
	cfg.Files, cfg.Units, cfg.Users = cfg.Files[4:5], cfg.Units[:2], cfg.Users[1:]
	cfg.Programs = []node.Program{tiny}
	cfg.Users[0].SSHAuthorizedKeys, cfg.Users[0].Groups, cfg.Users[0].Shell = []string{sshKey}, []string{"adm"}, "/bin/bash"
	return cfg
}

// tiny is the gzip of no more than a line: Encode unpacks it thousands of times here.
var tiny = pack([]byte("#!/bin/sh\n"))

// with returns that with one field changed.
func with(way string, change func(old string) string) node.Config {
	cfg := one()
	stringFields(reflect.ValueOf(&cfg), "", func(w string, s reflect.Value) {
		switch {
		case w != way:
		case s.Kind() == reflect.String:
			s.SetString(change(s.String()))
		default:
			s.SetBytes([]byte(change(string(s.Bytes()))))
		}
	})
	return cfg
}

// TestHostileStrings puts every hostile string into, and at the end of, every kind of string field: each comes out
// exactly, by our own reading through Encode and by PyYAML's, or is refused as one that cannot be carried. Another error
// is a fault. Contents of files are never refused.
func TestHostileStrings(t *testing.T) {
	ways := kindsOfFields()
	if len(ways) < 25 {
		t.Fatalf("only %d kinds of fields found: %s", len(ways), ways)
	}
	var docs [][]byte
	for _, way := range ways {
		carried := 0
		for _, value := range hostile {
			if len(value) > 1000 && !strings.HasSuffix(way, "Contents") {
				continue // names are far shorter, and have tests of their longest
			}
			for _, cfg := range []node.Config{with(way, func(string) string { return value }), with(way, func(old string) string { return old + value })} {
				for _, format := range []string{render.CloudInit, render.Ignition} {
					doc, err := render.Encode(format, flatcar, cfg)
					var refused *render.Refused
					if err != nil && (!errors.As(err, &refused) || way == ".Files[0].Contents") {
						t.Errorf("%s: %s with %.40q: %v", format, way, value, err)
					}
					if err != nil {
						continue
					}
					carried++
					checkSingleLine(t, format, way, value)
					if format == render.CloudInit && len(value) < 1000 {
						docs = append(docs, configuration(t, data(t, doc, render.UserData)), data(t, doc, render.MetaData), data(t, doc, render.NetworkConfig))
					}
				}
			}
		}
		if !slices.Contains(fixed, way) && carried == 0 {
			t.Errorf("%s carries nothing of all this: the test proves nothing of it", way)
		}
	}
	checkReadersAgree(t, distinct(docs))
}

// configuration returns the first part of user-data with programs.
func configuration(t *testing.T, userData []byte) []byte {
	t.Helper()
	_, first, found := bytes.Cut(userData, []byte("\n--muster\n"))
	_, first, isPart := bytes.Cut(first, []byte("\n\n"))
	first, _, ended := bytes.Cut(first, []byte("\n--muster\n"))
	if !found || !isPart || !ended {
		t.Fatalf("user-data has no parts: %.100s", userData)
	}
	return first
}

// fixed are fields that allow a few words only, name something else in the configuration, or have to fit another field.
var fixed = []string{".Start", ".Programs[0].Gzip", ".Programs[0].SHA256", ".Network.Ethernets[0].MAC", ".Network.Bonds[0].Interfaces[0]"}

// checkSingleLine fails when a name came through with a line break or a control character: it would end up in shell
// scripts, unit files and /etc/passwd.
func checkSingleLine(t *testing.T, format, way, value string) {
	t.Helper()
	if strings.HasSuffix(way, "Contents") || way == ".Name" {
		return
	}
	if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' }) {
		t.Errorf("%s: %s came through as %q", format, way, value)
	}
}

func distinct(docs [][]byte) [][]byte {
	seen := map[string]bool{}
	var all [][]byte
	for _, d := range docs {
		if !seen[string(d)] {
			seen[string(d)] = true
			all = append(all, d)
		}
	}
	return all
}

// TestRandomContents carries bytes drawn from an alphabet that encoders stumble over, through every form of a payload.
func TestRandomContents(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	alphabet := []string{" ", "\n", "\n", "a", "b: c", "\t", "\r", "#", "'", "\"", "\\", "-", "|", "\u0085", "\u2028", "\xff", "\x00", "{{", "---", "é"}
	plain := []string{" ", "\n", "a", "b: c", "#", "'", "\"", "\\", "-", "|", "{{", "---", "  "}
	var docs [][]byte
	for i := range 60 {
		cfg := small()
		for n := range 10 {
			words := alphabet
			if n%2 == 0 {
				words = plain
			}
			var b bytes.Buffer
			for range rng.IntN(40) {
				b.WriteString(words[rng.IntN(len(words))])
			}
			if n%4 == 0 {
				b.WriteString("x\n")
			}
			cfg.Files = append(cfg.Files, node.File{Path: fmt.Sprintf("/etc/f%d", n), Mode: 0o644, Contents: b.Bytes()})
		}
		for _, format := range []string{render.CloudInit, render.Ignition} {
			doc, err := render.Encode(format, flatcar, cfg)
			if err != nil {
				t.Fatalf("run %d, %s: %v", i, format, err)
			}
			if format == render.CloudInit {
				docs = append(docs, data(t, doc, render.UserData))
			}
		}
	}
	if literals := bytes.Count(bytes.Join(docs, nil), []byte("content: |\n")); literals < 60 {
		t.Errorf("only %d literal blocks in all documents: the test proves little of them", literals)
	}
	checkReadersAgree(t, docs)
}

// FuzzContents looks for bytes of a file, or text of a unit, that some document does not carry.
func FuzzContents(f *testing.F) {
	for _, s := range hostile[:len(hostile)-2] {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, contents []byte) {
		cfg := small()
		cfg.Files = []node.File{{Path: "/etc/f", Mode: 0o600, Contents: contents}}
		for _, format := range []string{render.CloudInit, render.Ignition} {
			if _, err := render.Encode(format, flatcar, cfg); err != nil {
				t.Errorf("%s: %v", format, err)
			}
		}
		cfg.Files, cfg.Units = nil, append(cfg.Units, node.Unit{Name: "a.service", Contents: string(contents)})
		for _, format := range []string{render.CloudInit, render.Ignition} {
			var refused *render.Refused
			if _, err := render.Encode(format, flatcar, cfg); err != nil && !errors.As(err, &refused) {
				t.Errorf("%s: unit: %v", format, err)
			}
		}
	})
}
