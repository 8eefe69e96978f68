package spec

import (
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"strings"
	"testing"

	"muster/internal/decode"
	"muster/internal/problem"
)

// TestFieldsAreDocumented: docs are made of the fields' comments and examples, so every field has both.
func TestFieldsAreDocumented(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "schema.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	fields := 0
	ast.Inspect(file, func(n ast.Node) bool {
		declared, ok := n.(*ast.TypeSpec)
		if !ok {
			return true
		}
		structure, ok := declared.Type.(*ast.StructType)
		if !ok {
			return true
		}
		for _, f := range structure.Fields.List {
			if f.Tag == nil || strings.Contains(f.Tag.Value, ",inline") {
				continue
			}
			fields++
			checkDocumented(t, declared.Name.Name, f)
		}
		return true
	})
	if fields < 150 {
		t.Errorf("only %d fields were found in schema.go", fields)
	}
}

func checkDocumented(t *testing.T, structure string, f *ast.Field) {
	t.Helper()
	name, doc := f.Names[0].Name, strings.TrimSpace(f.Doc.Text())
	tag := reflect.StructTag(strings.Trim(f.Tag.Value, "`"))
	if !strings.HasPrefix(doc, name+" ") || !strings.HasSuffix(doc, ".") {
		t.Errorf("%s.%s: the comment %q does not start with the field's name and end with a full stop", structure, name, doc)
	}
	if tag.Get("yaml") == "" || tag.Get("example") == "" {
		t.Errorf("%s.%s has no key or no example", structure, name)
	}
}

// TestExamples decodes every field's example into the field.
func TestExamples(t *testing.T) {
	seen := map[reflect.Type]bool{}
	checkExamples(t, reflect.TypeFor[Cluster](), seen)
	if len(seen) < 40 {
		t.Errorf("only %d types were reached from Cluster", len(seen))
	}
}

func checkExamples(t *testing.T, structure reflect.Type, seen map[reflect.Type]bool) {
	t.Helper()
	if structure.Kind() != reflect.Struct || seen[structure] {
		return
	}
	seen[structure] = true
	for i := range structure.NumField() {
		f := structure.Field(i)
		if example := f.Tag.Get("example"); example != "" {
			decodeExample(t, structure, f, example)
		}
		inner := f.Type
		for inner.Kind() == reflect.Slice {
			inner = inner.Elem()
		}
		checkExamples(t, inner, seen)
	}
}

// decodeExample reads "key: example" into a structure with the field alone.
func decodeExample(t *testing.T, structure reflect.Type, f reflect.StructField, example string) {
	t.Helper()
	name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
	alone := reflect.New(reflect.StructOf([]reflect.StructField{{Name: f.Name, Type: f.Type, Tag: f.Tag}}))
	var problems problem.List
	decode.Into(alone.Interface(), []byte(name+": "+example+"\n"), &problems)
	for _, p := range problems.Sorted() {
		t.Errorf("the example of %s.%s: %s", structure.Name(), f.Name, p)
	}
	if set := alone.Elem().Field(0).FieldByName("Set"); set.IsValid() && !set.Bool() {
		t.Errorf("the example of %s.%s sets nothing", structure.Name(), f.Name)
	}
}

// TestEnumsHoldTheirDefaults: the smallest spec, whose values are all constants and defaults, has nothing wrong.
func TestEnumsHoldTheirDefaults(t *testing.T) {
	problems := check(strings.Join([]string{
		"apiVersion: " + APIVersion, "kind: " + Kind, "metadata: {name: k8s}", "spec:", "  profile: debian12-containerd", "  platform: openstack",
		"  nodes: [{name: a, role: " + ControlPlane + ", address: 10.0.0.1}, {name: b, role: " + Worker + "}]",
	}, "\n"))
	for _, p := range problems {
		t.Error(p)
	}
}
