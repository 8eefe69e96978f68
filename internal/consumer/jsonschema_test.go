package consumer

import (
	"slices"
	"strings"
	"testing"
)

const sampleSchema = `{"$schema": "http://json-schema.org/draft-07/schema#", "type": "object", "additionalProperties": false, "properties": {
  "word": {"type": "string"}, "list": {"type": "array", "items": {"type": "integer"}}}}`

func TestJSONSchema(t *testing.T) {
	got := JSONSchema(t, []byte(sampleSchema), map[string][]byte{
		"good":        []byte("word: on\nlist: [1, 2]\n"),
		"a date":      []byte("word: 2027-12-31\n"),
		"a number":    []byte("word: 1.17\n"),
		"inside":      []byte("list: [1, two]\n"),
		"unknown key": []byte("wrod: x\n"),
	})
	for name, want := range map[string]string{"good": "", "a date": "", "a number": "word: ", "inside": "list[1]: ", "unknown key": "'wrod' was unexpected"} {
		switch complaints := got[name]; {
		case want == "" && len(complaints) > 0:
			t.Errorf("%s: %q", name, complaints)
		case want != "" && !slices.ContainsFunc(complaints, func(c string) bool { return strings.Contains(c, want) }):
			t.Errorf("%s: %q, want %q", name, complaints, want)
		}
	}
}

func TestJSONSchemaRefuses(t *testing.T) {
	for name, c := range map[string]struct{ old, new, want string }{
		"a type that does not exist": {`"integer"`, `"whole"`, "SchemaError"},
		"another draft":              {"draft-07/schema", "draft-04/schema", "not of draft 7"},
	} {
		t.Run(name, func(t *testing.T) {
			schema := strings.Replace(sampleSchema, c.old, c.new, 1)
			refused(t, c.want, func(tb testing.TB) { JSONSchema(tb, []byte(schema), map[string][]byte{"a": []byte("{}")}) })
		})
	}
}
