// Package decode reads strict YAML into Go structs and keeps the place of every value, so that a problem that any later
// stage finds is reported at the line that caused it. It is the only package that imports a YAML reader for input, and
// knows neither the spec nor the profiles that it reads: their types bring what only they can tell (see Into).
package decode

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"muster/internal/problem"
)

// MaxSize is the largest file that is read, in bytes: a thousand nodes are well under a tenth of it.
const MaxSize = 16 << 20

// Into reads one strict YAML document into a struct that is made of this package's values, keeping the place of every
// value. It reports all that is wrong with the shape: YAML that does not parse, unknown, repeated and missing keys,
// values of the wrong type or outside their enumeration. What could be read is in target all the same, so that rules of
// meaning can be checked in the same run.
//
// Struct tags: yaml names the key (",inline" for embedded structs), required:"true" demands it, required:"merged" demands
// it of what the file says at several places together (see Missing), enum:"a,b" lists the values of a Value[string],
// example is shown where the key is missing or has a value of another type, missing:"what to write" in its place where the
// key is missing, and empty:"true" marks a list for which an empty one is proposed where nothing is written.
//
// Methods of structures: Refused() map[string]string names keys that are refused with a reason of their own, Hints()
// Hints knows other words for keys. The target's Advice() Advice chooses what problems of the whole file tell
// the user to do.
func Into(target any, data []byte, problems *problem.List) {
	d := &decoder{problems: problems, advice: adviceOf(target)}
	root := d.parse(data)
	if root == nil {
		return
	}
	d.checkTree(root, "")
	d.value(reflect.ValueOf(target).Elem(), root, "")
}

// Advice is what a user is told to do about problems that are not of one value. What is empty has a general text.
type Advice struct {
	// Empty is for a file without anything in it, TooLarge for one of more than MaxSize bytes.
	Empty, TooLarge string
	// Second is for a second document in the file, Alias for a value that is written as an alias.
	Second, Alias string
	// Foreign is for a file of another kind.
	Foreign string
}

func adviceOf(target any) Advice {
	var own Advice
	if a, ok := target.(interface{ Advice() Advice }); ok {
		own = a.Advice()
	}
	return Advice{
		Empty:    cmp.Or(own.Empty, "write keys and values"),
		TooLarge: cmp.Or(own.TooLarge, "split it into several files"),
		Second:   cmp.Or(own.Second, "keep one document a file"),
		Alias:    cmp.Or(own.Alias, "write the value out"),
		Foreign:  cmp.Or(own.Foreign, "look whether this is the file that you meant"),
	}
}

// parse returns the root of the only document in data, or nil after reporting why there is none.
func (d *decoder) parse(data []byte) *yaml.Node {
	if len(data) > MaxSize {
		d.problems.Errorf(At{Line: 1, Column: 1}, d.advice.TooLarge, "the file holds %d bytes, more than %d", len(data), MaxSize)
		return nil
	}
	if at, what, instead := badCharacter(data); what != "" {
		d.problems.Errorf(at, instead, "%s", what)
		return nil
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var document yaml.Node
	switch err := dec.Decode(&document); {
	case errors.Is(err, io.EOF):
		d.problems.Errorf(At{Line: 1, Column: 1}, d.advice.Empty, "the file is empty")
		return nil
	case err != nil:
		d.problems.Add(syntaxProblem(err, data, d.advice.Foreign))
		return nil
	}
	var second yaml.Node
	switch err := dec.Decode(&second); {
	case err == nil:
		d.problems.Errorf(At{Line: second.Line, Column: second.Column}, d.advice.Second, "a second document starts here")
	case iniFile.Match(data): // its first lines are a document of YAML
		d.problems.Add(syntaxProblem(err, data, d.advice.Foreign))
		return nil
	case !errors.Is(err, io.EOF):
		d.problems.Add(syntaxProblem(err, data, d.advice.Foreign))
	}
	root := document.Content[0]
	if root.Kind == yaml.ScalarNode && root.Tag == "!!null" {
		d.problems.Errorf(At{Line: 1, Column: 1}, d.advice.Empty, "the file is empty")
		return nil
	}
	return root
}

// oddBreaks end a line for YAML and not for an editor: lines would be counted in two ways.
var oddBreaks = []rune{0x85, 0x2028, 0x2029}

// byteOrderMark is what some editors put in front of a text. It does not belong to the first line.
const byteOrderMark = "\ufeff"

// badCharacter finds the first byte that YAML cannot carry: yaml.v3 would report it without its place.
func badCharacter(data []byte) (at At, what, instead string) {
	const asText = "save the file as UTF-8 text; a binary value belongs into a file of its own"
	data = bytes.TrimPrefix(data, []byte(byteOrderMark))
	at = At{Line: 1, Column: 1}
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			return at, fmt.Sprintf("the byte 0x%02x is not UTF-8", data[i]), asText
		case r == '\n':
			at.Line, at.Column = at.Line+1, 0
		case r == '\r' && !bytes.HasPrefix(data[i+1:], []byte("\n")), slices.Contains(oddBreaks, r):
			return at, fmt.Sprintf("the line break U+%04X stands in the text", r), "end each line with a line feed (LF)"
		case r < ' ' && r != '\t' && r != '\r', r >= 0x7f && r < 0xa0:
			return at, fmt.Sprintf("the control character U+%04X stands in the text", r), asText
		case r == 0xfffe, r == 0xffff:
			return at, fmt.Sprintf("U+%04X, which is no character, stands in the text", r), asText
		}
		at.Column++
		i += size
	}
	return At{}, "", ""
}

// tabIndent is a tab in the indentation of a line, or behind the dash of an item.
var tabIndent = regexp.MustCompile(`^[ -]*\t`)

var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

// iniFile is a text whose first line, comments aside, is the head of a section, or a host of Ansible with variables.
var iniFile = regexp.MustCompile(`^\s*([#;].*\s+)*(\[[A-Za-z0-9_.:-]+\]|[A-Za-z0-9_.-]+([ \t]+[a-z_]+=\S+)+)[ \t]*\r?\n`)

// syntaxProblem turns yaml.v3's error into a problem; foreign is what to do about a file of another kind.
func syntaxProblem(err error, data []byte, foreign string) problem.Problem {
	if iniFile.Match(data) {
		return problem.Problem{At: At{Line: 1, Column: 1}, Message: "this is not YAML: it looks like an INI file, such as an inventory of Ansible", Instead: foreign}
	}
	text, line := yamlError(err)
	lines := bytes.SplitAfter(data, []byte("\n"))
	if line = syntaxLine(lines, line, text); len(bytes.TrimSpace(lines[line-1])) == 0 && line > 1 {
		line-- // the error of an end of file is reported behind the last line
	}
	if at, ok := noBreakNear(lines, line); ok {
		return problem.Problem{At: at, Message: noBreakMessage, Instead: plainSpaces}
	}
	shown := bytes.TrimPrefix(lines[line-1], []byte(byteOrderMark))
	indent := len(shown) - len(bytes.TrimLeft(shown, " \t"))
	instead := "look at this line and the one before it: indentation, a missing colon, an unclosed quote"
	if tabIndent.Match(shown) {
		instead = "indent with spaces: a tab is no indentation in YAML"
	}
	return problem.Problem{At: At{Line: line, Column: 1 + indent}, Message: "this is not YAML: " + text, Instead: instead}
}

// structuralNoBreak is a no-break space where YAML wants a plain one: in the indentation, or behind a colon or dash.
var structuralNoBreak = regexp.MustCompile(`^[ -]*(\x{a0}|[A-Za-z0-9_./-]+: *\x{a0})`)

// noBreakNear looks for a no-break space at a line with a syntax error, and at the line with something on it before that:
// its value goes on in the next line, and the error is found there.
func noBreakNear(lines [][]byte, line int) (At, bool) {
	for i, seen := line-1, 0; i >= 0 && seen < 2; i-- {
		if end := structuralNoBreak.FindIndex(lines[i]); end != nil {
			return At{Line: i + 1, Column: utf8.RuneCount(lines[i][:end[1]])}, true
		}
		if len(bytes.TrimSpace(lines[i])) > 0 {
			seen++
		}
	}
	return At{}, false
}

// yamlError splits yaml.v3's message from the line in front of it, which it leaves out for the first one.
func yamlError(err error) (text string, line int) {
	text, line = err.Error(), 1
	if m := yamlLine.FindStringSubmatch(text); m != nil {
		text = text[len(m[0]):]
		if m[1] != "" {
			line, _ = strconv.Atoi(m[1])
		}
	}
	return text, line
}

// maxSyntaxSearch bounds the work of syntaxLine, in bytes read again.
const maxSyntaxSearch = 1 << 20

// syntaxLine finds the line of a syntax error: yaml.v3 tells where the block around it begins, and counts that from 0
// or from 1. The line asked for is the first at which the text up to there fails in the same way.
func syntaxLine(lines [][]byte, reported int, text string) int {
	reported = min(max(reported, 1), len(lines))
	size := len(bytes.Join(lines[:reported-1], nil))
	for line, read := reported, 0; line <= len(lines) && read < maxSyntaxSearch; line++ {
		size += len(lines[line-1])
		read += size
		var ignored yaml.Node
		if err := yaml.Unmarshal(bytes.Join(lines[:line], nil), &ignored); err != nil {
			if found, _ := yamlError(err); found == text {
				return line
			}
		}
	}
	return reported
}

// decoder walks a YAML tree along a Go type.
type decoder struct {
	problems *problem.List
	advice   Advice
	// around are the structures that are being read, the innermost last.
	around []spot
	// field is the innermost key around a value that is a struct's field.
	field field
}

// field is a struct's field with its key and its place in the file.
type field struct {
	reflect.StructField
	key, path string
}

// example is what may stand for the field, with its key.
func (f field) example() string { return "write for example " + f.key + ": " + f.Tag.Get("example") }

// ifMissing is what to write where the field is missing.
func (f field) ifMissing() string {
	if text := f.Tag.Get("missing"); text != "" {
		return text
	}
	if enum := f.Tag.Get("enum"); strings.Contains(enum, ",") {
		return f.example() + "; it may be " + strings.ReplaceAll(enum, ",", ", ")
	}
	return f.example()
}

// orNothing adds to an advice that the key may as well go, where it may.
func (f field) orNothing(advice string) string {
	if f.Tag.Get("required") != "" {
		return advice
	}
	return advice + ", or leave the key out"
}

// decodable is a value of this package that reads itself from a node.
type decodable interface {
	decode(d *decoder, n *yaml.Node, path string)
}

func place(n *yaml.Node, path string) At { return At{Path: path, Line: n.Line, Column: n.Column} }

// checkTree refuses what YAML can do and strict YAML must not: anchors, aliases, merge keys, tags.
func (d *decoder) checkTree(n *yaml.Node, path string) {
	switch {
	case n.Kind == yaml.AliasNode:
		d.problems.Errorf(place(n, path), d.advice.Alias, "aliases (*%s) are not read", n.Value)
		return
	case n.Anchor != "":
		d.problems.Errorf(place(n, path), "write the value without &"+n.Anchor, "anchors (&%s) are not read", n.Anchor)
	}
	if tagged(n) {
		d.problems.Errorf(place(n, path), "write the value without the tag", "the tag %s is not read", n.Tag)
	}
	switch n.Kind {
	case yaml.SequenceNode:
		for i, item := range n.Content {
			d.checkTree(item, fmt.Sprintf("%s[%d]", path, i))
		}
	case yaml.MappingNode:
		d.checkPairs(n, path)
	}
}

func (d *decoder) checkPairs(n *yaml.Node, path string) {
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		below := join(path, key.Value)
		switch {
		case key.Tag == "!!merge":
			d.problems.Errorf(place(key, below), "write the keys out", "merge keys are not read")
			continue
		case key.Kind == yaml.ScalarNode:
			d.checkTree(key, below)
		default:
			d.checkTree(key, path)
			below = path
		}
		d.checkTree(value, below)
	}
}

func tagged(n *yaml.Node) bool { return n.Style&yaml.TaggedStyle != 0 }

// value reads n into v, which is a struct or a value of this package.
func (d *decoder) value(v reflect.Value, n *yaml.Node, path string) {
	if n.Kind == yaml.AliasNode || tagged(n) {
		return // reported by checkTree
	}
	if own, ok := v.Addr().Interface().(decodable); ok {
		own.decode(d, n, path)
		return
	}
	d.structure(v, n, path)
}

// structure reads a mapping into a struct.
func (d *decoder) structure(v reflect.Value, n *yaml.Node, path string) {
	setAt(v, place(n, path))
	fields := fieldsOf(v.Type())
	if n.Kind == yaml.ScalarNode && structuralNoBreak.MatchString(n.Value) {
		d.problems.Errorf(place(n, path), plainSpaces, noBreakMessage)
		return
	}
	if n.Kind != yaml.MappingNode {
		d.problems.Errorf(place(n, path), d.block(n, path, v.Type()), noMapping, describe(n))
		return
	}
	refused := map[string]string{}
	if r, ok := v.Interface().(interface{ Refused() map[string]string }); ok {
		refused = r.Refused()
	}
	d.around = append(d.around, spot{structure: v.Type(), path: path, plain: true})
	defer func() { d.around = d.around[:len(d.around)-1] }()
	if d.foreign(n, path, fields) {
		return
	}
	there := map[string]bool{}
	var others []meant
	d.pairs(n, path, func(key, value *yaml.Node) {
		known, ok := fields[key.Value]
		switch reason := refused[key.Value]; {
		case ok:
			there[key.Value] = true
			d.read(v.FieldByIndex(known.Index), field{known, key.Value, join(path, key.Value)}, value)
		case reason != "":
			d.problems.Errorf(place(key, join(path, key.Value)), reason, "there is no %s here", key.Value)
		default:
			others = append(others, d.unknown(key, value))
		}
	})
	for _, m := range others {
		if m.mark(v, path); len(m.keys) > 0 {
			there[m.keys[0]] = true
		}
	}
	d.demand(n, path, fields, there)
}

// demand reports the required keys of a structure that are not there.
func (d *decoder) demand(n *yaml.Node, path string, fields map[string]reflect.StructField, there map[string]bool) {
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if f := (field{fields[name], name, join(path, name)}); f.Tag.Get("required") == "true" && !there[name] {
			d.problems.Errorf(place(n, f.path), f.ifMissing(), "is missing")
		}
	}
}

// read reads n into a struct's field.
func (d *decoder) read(v reflect.Value, f field, n *yaml.Node) {
	outer := d.field
	d.field = f
	defer func() { d.field = outer }()
	enum := f.Tag.Get("enum")
	if enum == "" || n.Kind != yaml.ScalarNode || n.Tag == "!!null" || tagged(n) {
		d.value(v, n, f.path)
		return
	}
	d.oneOf(v.Addr().Interface().(*Value[string]), strings.Split(enum, ","), n, f.path)
}

// foreign reports, and tells, that a file with several keys that it has to have has none of them: it is of another kind,
// and what is wrong with each of its keys helps nobody.
func (d *decoder) foreign(n *yaml.Node, path string, fields map[string]reflect.StructField) bool {
	required := slices.DeleteFunc(slices.Sorted(maps.Keys(fields)), func(key string) bool { return fields[key].Tag.Get("required") != "true" })
	if path != "" || len(required) < 2 || len(n.Content) == 0 {
		return false
	}
	for i := 0; i < len(n.Content); i += 2 {
		if problem.Nearest(n.Content[i].Value, required) != "" {
			return false
		}
	}
	d.problems.Errorf(place(n, path), d.advice.Foreign, "the file has no %s", either(required))
	return true
}

const noMapping = "a mapping is meant here, not %s"

// block is what to write in the place of n, which is no mapping, for a structure.
func (d *decoder) block(n *yaml.Node, path string, structure reflect.Type) string {
	f, fields := d.field, fieldsOf(structure)
	switch named, ok := fields[n.Value]; {
	case hintsOf(structure).Instead[n.Value] != "":
		return hintsOf(structure).Instead[n.Value]
	case f.key == "":
		return "write keys and values"
	case len(fields) == 0 && n.Value == "false":
		return "leave the key out"
	case len(fields) == 0: // it is there or not
		return "write " + f.key + ": {}"
	case ok && f.path == path:
		return fmt.Sprintf("write %s: {%s: %s}", f.key, n.Value, named.Tag.Get("example"))
	case n.Tag == "!!null" && f.path == path:
		return f.orNothing(f.example())
	default:
		return f.example() + "; here may stand " + strings.Join(slices.Sorted(maps.Keys(fields)), ", ")
	}
}

// instead is what to write in the place of n, which is a null or of another type: the field's example where n is all of
// the field, and otherwise what is given.
func (d *decoder) instead(n *yaml.Node, path, otherwise string) string {
	switch f := d.field; {
	case f.path != path || f.key == "":
		return otherwise
	case n.Tag == "!!null":
		return f.orNothing(f.example())
	default:
		return f.example()
	}
}

// pairs calls f for each key of a mapping, and reports keys that are not strings or are there a second time.
func (d *decoder) pairs(n *yaml.Node, path string, f func(key, value *yaml.Node)) {
	first := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		switch {
		case key.Tag == "!!merge" || key.Kind == yaml.AliasNode: // reported by checkTree
		case tagged(key) && key.Kind == yaml.ScalarNode: // reported as well; the key is what it looks like
			f(key, value)
		case key.Kind != yaml.ScalarNode || key.Tag != "!!str":
			d.problems.Errorf(place(key, path), "write the key in quotes", "a key has to be a string, not %s", describe(key))
		case first[key.Value] != 0:
			d.problems.Errorf(place(key, join(path, key.Value)), "keep one of the two", "the key stands on line %d already", first[key.Value])
		default:
			first[key.Value] = key.Line
			f(key, value)
		}
	}
}

// fieldsByType keeps what fieldsOf found.
var fieldsByType sync.Map

// fieldsOf lists a struct's fields by their YAML key, those of inlined structs included.
func fieldsOf(t reflect.Type) map[string]reflect.StructField {
	if known, ok := fieldsByType.Load(t); ok {
		return known.(map[string]reflect.StructField)
	}
	fields := map[string]reflect.StructField{}
	for _, f := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if name != "" {
			fields[name] = f
		}
	}
	fieldsByType.Store(t, fields)
	return fields
}

// setAt stores a place in a struct's At, and in the At of the structs inlined into it.
func setAt(v reflect.Value, at At) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		switch {
		case f.Type == reflect.TypeFor[At]():
			v.Field(i).Set(reflect.ValueOf(at))
		case f.Anonymous && f.Type.Kind() == reflect.Struct:
			setAt(v.Field(i), at)
		}
	}
}

var plainKey = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// join writes the path of a key below a path; a key that is not a plain word is quoted in brackets.
func join(path, key string) string {
	switch {
	case !plainKey.MatchString(key):
		return path + "[" + strconv.Quote(key) + "]"
	case path == "":
		return key
	default:
		return path + "." + key
	}
}

// describe names what a node is in a user's words, without its value.
func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	switch n.Tag {
	case "!!null":
		return "nothing (null)"
	case "!!int", "!!float":
		return "a number"
	case "!!bool":
		return "a boolean"
	case "!!timestamp":
		return "a date"
	default:
		return "a string"
	}
}
