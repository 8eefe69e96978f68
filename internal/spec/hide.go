package spec

import (
	"bytes"
	"reflect"
	"regexp"
	"strings"

	"muster/internal/decode"
)

// secretKeys finds the keys of secret values, with what is before them: the first group is a word that only a flow
// mapping has there.
var secretKeys = regexp.MustCompile(`(?m)(^[ \t-]*|[{,][ \t]*)(["']?(?:` + strings.Join(secretNames(reflect.TypeFor[Cluster](), map[reflect.Type]bool{}), "|") + `)["']?[ \t]*:)`)

// secretNames are the keys of the fields that hold a secret.
func secretNames(t reflect.Type, seen map[reflect.Type]bool) []string {
	switch {
	case t.Kind() == reflect.Slice:
		return secretNames(t.Elem(), seen)
	case t.Kind() != reflect.Struct || seen[t]:
		return nil
	}
	seen[t] = true
	var names []string
	for i := range t.NumField() {
		f := t.Field(i)
		if name, _, _ := strings.Cut(f.Tag.Get("yaml"), ","); name != "" && f.Type == reflect.TypeFor[Value[decode.Secret]]() {
			names = append(names, name)
		}
		names = append(names, secretNames(f.Type, seen)...)
	}
	return names
}

// Hide returns the text of a spec with a star for each character of its secret values, for people who look at the
// places of problems. The text need not be YAML: where a value ends cannot be told, more is hidden.
func Hide(source []byte) []byte {
	out, from := []byte(nil), 0
	for _, at := range secretKeys.FindAllSubmatchIndex(source, -1) {
		if at[0] < from {
			continue // inside a value
		}
		inFlow := bytes.ContainsAny(source[at[2]:at[3]], "{,")
		column := at[4] - (bytes.LastIndexByte(source[:at[4]], '\n') + 1)
		end := at[5] + valueLength(source[at[5]:], inFlow, column)
		out = append(append(out, source[from:at[5]]...), stars(source[at[5]:end])...)
		from = end
	}
	return append(out, source[from:]...)
}

// stars keeps the shape of a value, and the characters by which people see where it is.
func stars(value []byte) []byte {
	return bytes.Map(func(r rune) rune {
		if strings.ContainsRune(" \t\r\n", r) {
			return r
		}
		return '*'
	}, value)
}

// valueLength is how many bytes behind a key belong to its value: up to the closing quote, to what ends a value in a
// flow mapping, or to the next line that is not indented further than the key.
func valueLength(text []byte, inFlow bool, column int) int {
	begin := len(text) - len(bytes.TrimLeft(text, " \t\r\n"))
	if begin == len(text) {
		return begin
	}
	if quote := text[begin]; quote == '"' || quote == '\'' {
		for i := begin + 1; i < len(text); i++ {
			switch {
			case text[i] == '\\' && quote == '"', text[i] == quote && quote == '\'' && i+1 < len(text) && text[i+1] == quote:
				i++
			case text[i] == quote:
				return i + 1
			}
		}
		return len(text)
	}
	if inFlow {
		if n := bytes.IndexAny(text, ",}]"); n >= 0 {
			return n
		}
		return len(text)
	}
	n := 0
	for line := range bytes.Lines(text) {
		indent := len(line) - len(bytes.TrimLeft(line, " \t\r\n"))
		if n > 0 && indent < len(line) && indent <= column {
			break
		}
		n += len(line)
	}
	return n
}
