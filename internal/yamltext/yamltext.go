// Package yamltext writes YAML that readers of YAML 1.1 (PyYAML, Kubernetes) and of 1.2 read alike: maps in sorted
// order, and every string that any of them could take for something else in double quotes. All YAML that a plan puts on
// machines comes from it; cloud-init's own documents are written by their encoder.
package yamltext

import (
	"bytes"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// Marshal writes each value as one YAML document, separated by ---. Values are maps with string keys, slices, strings,
// booleans, integers, floats and nil; anything else is an error. A string that is not UTF-8 is an error too, since YAML
// cannot hold it.
func Marshal(values ...any) ([]byte, error) {
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	for _, v := range values {
		n, err := tree(reflect.ValueOf(v))
		if err != nil {
			return nil, err
		}
		if err := enc.Encode(n); err != nil {
			return nil, err
		}
	}
	if err := enc.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// tree makes nodes of the kinds of values that muster writes.
func tree(v reflect.Value) (*yaml.Node, error) {
	switch v.Kind() {
	case reflect.Invalid:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"}, nil
	case reflect.Interface:
		return tree(v.Elem())
	case reflect.Map:
		return mapping(v)
	case reflect.Slice:
		n := &yaml.Node{Kind: yaml.SequenceNode}
		for i := range v.Len() {
			item, err := tree(v.Index(i))
			if err != nil {
				return nil, err
			}
			n.Content = append(n.Content, item)
		}
		if v.Len() == 0 {
			n.Style = yaml.FlowStyle
		}
		return n, nil
	case reflect.String:
		return scalar(v.String())
	case reflect.Bool:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: strconv.FormatBool(v.Bool())}, nil
	case reflect.Int, reflect.Int64:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: strconv.FormatInt(v.Int(), 10)}, nil
	case reflect.Float64:
		return float(v.Float()), nil
	default:
		return nil, fmt.Errorf("YAML for %s is not written", v.Type())
	}
}

func mapping(v reflect.Value) (*yaml.Node, error) {
	n := &yaml.Node{Kind: yaml.MappingNode}
	var keys []string
	for _, k := range v.MapKeys() {
		keys = append(keys, k.String())
	}
	slices.Sort(keys)
	for _, k := range keys {
		key, err := scalar(k)
		if err != nil {
			return nil, err
		}
		value, err := tree(v.MapIndex(reflect.ValueOf(k)))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", k, err)
		}
		n.Content = append(n.Content, key, value)
	}
	if len(keys) == 0 {
		n.Style = yaml.FlowStyle
	}
	return n, nil
}

// float keeps a point or an exponent, so that the number stays one with a fraction for every reader: PyYAML reads an
// exponent only behind a point.
func float(f float64) *yaml.Node {
	text := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(text, ".") {
		text += ".0"
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!float", Value: text}
}

// plain are strings that no reader takes for anything but a string, once words are left out.
var plain = regexp.MustCompile(`^[A-Za-z/][A-Za-z0-9/._-]*(:[A-Za-z0-9/._-]+)*$`)

// words are plain words with a meaning in YAML 1.1 or 1.2.
var words = []string{"y", "n", "yes", "no", "on", "off", "true", "false", "null"}

// scalar returns the node of a string, in double quotes wherever plain text could be read as something else.
func scalar(text string) (*yaml.Node, error) {
	if err := checkText(text); err != nil {
		return nil, err
	}
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text, Style: yaml.DoubleQuotedStyle}
	if plain.MatchString(text) && !slices.Contains(words, strings.ToLower(text)) {
		n.Style = 0
	}
	return n, nil
}

// checkText refuses what YAML cannot hold. Line separators and control characters are escaped in double quotes.
func checkText(text string) error {
	for i, r := range text {
		if r == '\uFFFD' && !strings.HasPrefix(text[i:], "\uFFFD") {
			return fmt.Errorf("the text is not UTF-8 at byte %d", i)
		}
	}
	return nil
}
