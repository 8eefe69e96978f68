package consumer

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"testing"

	"gopkg.in/yaml.v3"
)

//go:embed draft7.py
var jsonSchemaScript string

// JSONSchema holds YAML documents, by any name, against a JSON Schema of draft 7 with Debian 12's python3-jsonschema, and returns what it says of each: "path:
// message", nothing for a document that the schema accepts. The test fails when the schema itself is not one, or a document is not YAML.
//
// The documents are read as YAML 1.2's core schema has it, which is how editors read them: on and 2027-12-31 are strings.
func JSONSchema(tb testing.TB, schema []byte, documents map[string][]byte) map[string][]string {
	tb.Helper()
	values := map[string]any{}
	for name, document := range documents {
		var node yaml.Node
		if err := yaml.Unmarshal(document, &node); err != nil {
			tb.Fatalf("%s: %v", name, err)
		}
		value, err := coreValue(&node)
		if err != nil {
			tb.Fatalf("%s: %v", name, err)
		}
		values[name] = value
	}
	encoded, err := json.Marshal(values)
	mustDo(tb, err)
	box := sandbox{Files: map[string][]byte{"draft7.py": []byte(jsonSchemaScript), "schema.json": schema, "documents.json": encoded}}
	res, _ := box.run(tb, "/usr/bin/python3", shared+"/draft7.py")
	if res.err != nil {
		res.fail(tb, "python3-jsonschema")
	}
	complaints := map[string][]string{}
	if err := json.Unmarshal([]byte(res.stdout), &complaints); err != nil {
		res.fail(tb, fmt.Sprintf("read the answer of draft7.py: %v", err))
	}
	return complaints
}

// coreValue makes JSON's values of YAML. Of a key that is written twice the later counts.
func coreValue(n *yaml.Node) (any, error) {
	switch n.Kind {
	case yaml.DocumentNode:
		return coreValue(n.Content[0])
	case yaml.AliasNode:
		return coreValue(n.Alias)
	case yaml.MappingNode:
		values := map[string]any{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			value, err := coreValue(n.Content[i+1])
			if err != nil {
				return nil, err
			}
			values[n.Content[i].Value] = value
		}
		return values, nil
	case yaml.SequenceNode:
		values := []any{}
		for _, item := range n.Content {
			value, err := coreValue(item)
			if err != nil {
				return nil, err
			}
			values = append(values, value)
		}
		return values, nil
	}
	if n.Tag == "!!timestamp" {
		return n.Value, nil
	}
	var value any
	err := n.Decode(&value)
	return value, err
}
