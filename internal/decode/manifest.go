package decode

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"

	"gopkg.in/yaml.v3"
)

// ManifestMistake tells what keeps a file from being a manifest of Kubernetes, as kubectl reads one: documents of YAML, or
// of JSON, each an object with apiVersion and kind. It tells the first mistake, and nothing of what objects hold beside
// these two, which may be secret; what is empty for a manifest.
func ManifestMistake(data []byte) (at At, what, instead string) {
	const objects = "name a file of objects that kubectl apply takes; an address that does not exist is often answered by a page that says so"
	if isJSON(data) {
		return At{}, "", ""
	}
	some := false
	line := 0 // lines before the document
	for _, document := range documents(data) {
		var root yaml.Node
		if err := yaml.Unmarshal(document, &root); err != nil {
			p := syntaxProblem(err, document, objects)
			return At{Line: p.Line + line, Column: p.Column}, p.Message, p.Instead
		}
		if len(root.Content) > 0 && root.Content[0].Tag != "!!null" { // else it holds comments at most
			object := root.Content[0]
			at = At{Line: object.Line + line, Column: object.Column}
			if object.Kind != yaml.MappingNode {
				return at, "this is no object of Kubernetes", objects
			}
			for _, key := range []string{"apiVersion", "kind"} {
				if !holdsText(object, key) {
					return at, "the object that starts here has no " + key, objects
				}
			}
			some = true
		}
		line += bytes.Count(document, []byte("\n"))
	}
	if !some {
		return At{Line: 1, Column: 1}, "there is no object in this file", objects
	}
	return At{}, "", ""
}

// documents takes a file apart where kubectl does, so that a mistake is looked for in one document and not in the rest: a
// line of three dashes begins the next one.
func documents(data []byte) [][]byte {
	var out [][]byte
	begin, end := 0, 0
	for line := range bytes.Lines(data) {
		if rest, dashes := bytes.CutPrefix(line, []byte("---")); dashes && end > begin && (len(bytes.TrimSpace(rest)) == 0 || strings.ContainsRune(" \t", rune(rest[0]))) {
			out, begin = append(out, data[begin:end]), end
		}
		end += len(line)
	}
	return append(out, data[begin:end])
}

// holdsText reports whether a key of a mapping has a string that is not empty.
func holdsText(mapping *yaml.Node, key string) bool {
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if value := mapping.Content[i+1]; mapping.Content[i].Value == key {
			return value.Kind == yaml.ScalarNode && value.Tag == "!!str" && value.Value != ""
		}
	}
	return false
}

// isJSON reports whether a file is objects of Kubernetes in JSON, one after the other. Most of JSON is YAML as well: what
// is wrong with the rest is told by the reader of that.
func isJSON(data []byte) bool {
	if !bytes.HasPrefix(bytes.TrimSpace(data), []byte("{")) {
		return false
	}
	for reader := json.NewDecoder(bytes.NewReader(data)); ; {
		var object struct{ APIVersion, Kind string }
		switch err := reader.Decode(&object); {
		case errors.Is(err, io.EOF):
			return true
		case err != nil || object.APIVersion == "" || object.Kind == "":
			return false
		}
	}
}
