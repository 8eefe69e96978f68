package decode

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"muster/internal/problem"
)

// yaml11Words are plain words that YAML 1.1 readers (and people) take for booleans; a file has to quote them where it
// means text, and to write true or false where it means a boolean.
var yaml11Words = []string{"y", "n", "yes", "no", "on", "off"}

func (v *Value[T]) decode(d *decoder, n *yaml.Node, path string) {
	v.At = place(n, path)
	instead := d.instead
	if _, hidden := any(v.V).(Secret); hidden { // an example would be followed, and everybody knows it
		instead = func(_ *yaml.Node, _, otherwise string) string { return otherwise }
	}
	if n.Kind != yaml.ScalarNode {
		d.problems.Errorf(v.At, instead(n, path, "write one value"), "%s is meant here, not %s", wanted[T](), describe(n))
		return
	}
	if n.Tag == "!!null" {
		d.problems.Errorf(v.At, instead(n, path, "write a value, or leave the key out"), "nothing stands here (null)")
		return
	}
	switch target := any(&v.V).(type) {
	case *string:
		*target, v.Set = d.text(n, v.At, true)
	case *Secret:
		var text string
		text, v.Set = d.text(n, v.At, false)
		*target = NewSecret(text)
	case *int:
		*target, v.Set = d.integer(n, v.At)
	case *bool:
		*target, v.Set = d.boolean(n, v.At)
	}
}

// wanted names the type of T in a user's words.
func wanted[T Scalar]() string {
	switch reflect.TypeFor[T]().Kind() {
	case reflect.Int:
		return "a number"
	case reflect.Bool:
		return "true or false"
	default:
		return "a string"
	}
}

// text reads a string. A plain scalar that YAML takes for something else would not come out as it was written, so it
// has to be in quotes. It is read all the same, so that a rule that refuses it in quotes as well can say so at once; show
// is false where the value must not be repeated.
func (d *decoder) text(n *yaml.Node, at At, show bool) (string, bool) {
	plain := n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) == 0
	if n.Tag == "!!str" && !(plain && slices.Contains(yaml11Words, strings.ToLower(n.Value))) {
		return n.Value, true
	}
	instead, what := "write it in quotes", describe(n)
	if show {
		instead = "write " + strconv.Quote(n.Value) + ", in quotes"
	}
	if n.Tag == "!!str" {
		what = "a word that YAML readers take for a boolean"
	}
	d.problems.Add(problem.Problem{At: at, Message: "a string is meant here, not " + what, Instead: instead, Weak: true})
	return n.Value, true
}

func (d *decoder) integer(n *yaml.Node, at At) (int, bool) {
	i, err := strconv.Atoi(n.Value)
	if errors.Is(err, strconv.ErrRange) {
		d.problems.Errorf(at, "write a number of at most 18 digits", "%s is too large", n.Value)
		return 0, false
	}
	if n.Tag != "!!int" || err != nil || strconv.Itoa(i) != n.Value {
		d.problems.Errorf(at, "write plain decimal digits, without quotes", "a whole number is meant here, not %s", strconv.Quote(n.Value))
		return 0, false
	}
	return i, true
}

func (d *decoder) boolean(n *yaml.Node, at At) (bool, bool) {
	if n.Tag != "!!bool" || n.Value != "true" && n.Value != "false" {
		d.problems.Errorf(at, "write true or false", "a boolean is meant here, not %s", strconv.Quote(n.Value))
		return false, false
	}
	return n.Value == "true", true
}

func (l *List[T]) decode(d *decoder, n *yaml.Node, path string) {
	l.At = place(n, path)
	if n.Kind != yaml.SequenceNode {
		instead := d.instead(n, path, "write [..., ...], or one line each that starts with a dash")
		if n.Tag == "!!null" && d.field.Tag.Get("empty") != "" {
			instead = d.field.example() + ", or " + d.field.key + ": [] for none"
		}
		d.problems.Errorf(l.At, instead, "a list is meant here, not %s", describe(n))
		return
	}
	l.Set = true
	if len(n.Content) > 0 {
		l.Items = make([]T, len(n.Content))
	}
	for i, item := range n.Content {
		d.value(reflect.ValueOf(&l.Items[i]).Elem(), item, fmt.Sprintf("%s[%d]", path, i))
	}
}

func (m *Map[T]) decode(d *decoder, n *yaml.Node, path string) {
	m.At = place(n, path)
	if n.Kind != yaml.MappingNode {
		d.problems.Errorf(m.At, d.instead(n, path, "write keys and values"), noMapping, describe(n))
		return
	}
	m.Set = true
	d.pairs(n, path, func(key, value *yaml.Node) {
		e := Entry[T]{At: place(key, join(path, key.Value)), Key: key.Value}
		d.value(reflect.ValueOf(&e.Value).Elem(), value, e.Path)
		m.Entries = append(m.Entries, e)
	})
}

func (f *Free) decode(d *decoder, n *yaml.Node, path string) {
	f.At, f.Keys = place(n, path), map[string]At{}
	f.V, f.Set = d.free(n, path, f.Keys), true
}

// free reads any YAML as a JSON decoder would give it, and notes the places of its keys.
func (d *decoder) free(n *yaml.Node, path string, keys map[string]At) any {
	switch n.Kind {
	case yaml.MappingNode:
		out := map[string]any{}
		d.pairs(n, path, func(key, value *yaml.Node) {
			at := place(key, join(path, key.Value))
			keys[at.Path] = at
			out[key.Value] = d.free(value, at.Path, keys)
		})
		return out
	case yaml.SequenceNode:
		out := make([]any, len(n.Content))
		for i, item := range n.Content {
			out[i] = d.free(item, fmt.Sprintf("%s[%d]", path, i), keys)
		}
		return out
	case yaml.ScalarNode:
		return d.freeScalar(n, path)
	default:
		return nil // an alias, reported by checkTree
	}
}

func (d *decoder) freeScalar(n *yaml.Node, path string) any {
	at := place(n, path)
	if tagged(n) {
		return nil // reported by checkTree
	}
	switch n.Tag {
	case "!!null":
		return nil
	case "!!bool":
		b, _ := d.boolean(n, at)
		return b
	case "!!int":
		if i, ok := d.integer(n, at); ok {
			return int64(i)
		}
		return nil
	case "!!float":
		// 0888, 1.10 and .5 are floats for YAML, and would come out as 888, 1.1 and 0.5.
		f, err := strconv.ParseFloat(n.Value, 64)
		if err != nil || strconv.FormatFloat(f, 'f', -1, 64) != n.Value {
			d.problems.Errorf(at, "write "+strconv.Quote(n.Value)+" in quotes for a string, or a plain decimal number", "%s would not come out as it stands here", n.Value)
			return nil
		}
		return f
	default:
		text, _ := d.text(n, at, true)
		return text
	}
}

// oneOf reads a string that is one of a list, and leaves the value unset where it is another.
func (d *decoder) oneOf(v *Value[string], values []string, n *yaml.Node, path string) {
	v.At = place(n, path)
	if slices.Contains(values, n.Value) {
		v.V, v.Set = d.text(n, v.At, true)
		return
	}
	instead := "write one of " + strings.Join(values, ", ")
	around := d.around[len(d.around)-1].structure
	switch advice, near := hintsOf(around).Instead[d.field.key+": "+strings.ToLower(n.Value)], problem.Nearest(n.Value, values); {
	case advice != "":
		instead = advice
	case len(values) == 1:
		instead = "write " + values[0]
	case near != "":
		instead = fmt.Sprintf("did you mean %s? It may be %s", near, strings.Join(values, ", "))
	}
	d.problems.Errorf(v.At, instead, "%s is not known here", strconv.Quote(n.Value))
}
