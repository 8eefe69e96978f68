package decode

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// TestManifestMistake: what kubectl takes passes, and what it does not is told where it is.
func TestManifestMistake(t *testing.T) {
	const object = "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n"
	for name, c := range map[string]struct{ text, want string }{
		"one object":                  {object, ""},
		"a list":                      {"apiVersion: v1\nkind: List\nitems: []\n", ""},
		"several":                     {"---\n# Source: calico\n---\n" + object + "---\n\n--- # the next\n" + object + "---\n", ""},
		"comments in front":           {"# by hand\n\n" + object, ""},
		"end of a document":           {object + "...\n---\n" + object, ""},
		"line ends of Windows":        {strings.ReplaceAll("---\n"+object+"---\n"+object, "\n", "\r\n"), ""},
		"byte order mark":             {"\ufeff" + object, ""},
		"tabs in a text":              {object + "data:\n  a: |\n    x\ty\n    \tz\n  b: \"\t\"\n", ""},
		"dashes in a text":            {object + "data:\n  a: |\n    ---\n    x: [\n", ""},
		"a certificate":               {object + "data: |-\n  -----BEGIN CERTIFICATE-----\n", ""},
		"anchors":                     {object + "a: &x [1]\nb: *x\n", ""},
		"quoted":                      {"\"apiVersion\": \"v1\"\n\"kind\": 'Namespace'\n", ""},
		"JSON":                        {"{\n\t\"apiVersion\": \"v1\",\n\t\"kind\": \"Namespace\", \"a\": \"\\ud83d\\ude00\"\n}\n{\"apiVersion\": \"v1\", \"kind\": \"Namespace\"}", ""},
		"empty":                       {"", "1:1: there is no object in this file"},
		"comments alone":              {"# nothing\n---\n# here\n", "1:1: there is no object in this file"},
		"a word":                      {"x\n", "1:1: this is no object of Kubernetes"},
		"a list of YAML":              {"- " + strings.ReplaceAll(object, "\n", "\n  "), "1:1: this is no object of Kubernetes"},
		"a page":                      {"<!DOCTYPE html>\n<html><body>404: Not Found</body></html>\n", "2:1: this is not YAML: mapping values are not allowed in this context"},
		"no kind":                     {object + "---\n\napiVersion: v1\nmetadata: {name: a}\n", "6:1: the object that starts here has no kind"},
		"no apiVersion":               {"kind: Namespace\n", "1:1: the object that starts here has no apiVersion"},
		"a number for a kind":         {"apiVersion: v1\nkind: 1\n", "1:1: the object that starts here has no kind"},
		"JSON without a kind":         {"{\"apiVersion\": \"v1\"}", "1:1: the object that starts here has no kind"},
		"a template":                  {object + "---\n" + object + "  labels: {{ .Values.labels }}: {\n", "8:3: this is not YAML: "},
		"a tab for an indentation":    {object + "---\n" + object + "data:\n\ta: b\n", "9:2: this is not YAML: "},
		"a mistake in the third of 4": {object + "---\n" + object + "---\n" + object + "  x\n y: z\n---\n" + object, "13:2: this is not YAML: "},
	} {
		at, what, instead := ManifestMistake([]byte(c.text))
		got := fmt.Sprintf("%d:%d: %s", at.Line, at.Column, what)
		if what == "" {
			got = ""
		}
		if c.want == "" && got != "" || !strings.HasPrefix(got, c.want) || (what == "") != (instead == "") {
			t.Errorf("%s: got %q (%s), want %q", name, got, instead, c.want)
		}
	}
}

// BenchmarkManifestMistake: the largest pod networks are a megabyte or two of custom resource definitions.
func BenchmarkManifestMistake(b *testing.B) {
	object := "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nspec:\n" + strings.Repeat("  - {type: string, description: a sentence of a few words}\n", 20000)
	for b.Loop() {
		if _, what, _ := ManifestMistake([]byte(object + "---\n" + object)); what != "" {
			b.Fatal(what)
		}
	}
}

var lineBreak = regexp.MustCompile("\r\n|[\n\r\u0085\u2028\u2029]")

// FuzzManifestMistake: whatever a file holds, a mistake is told with its remedy and at a line that the file has, for YAML.
func FuzzManifestMistake(f *testing.F) {
	for _, seed := range []string{"", "---\n---", "apiVersion: v1\nkind: List\n--- #\nx: [\n", "{\"apiVersion\": \"v1\"}\n{", "\ufeff--- |\n a\n---\t\n\tb", "%YAML 1.1\n---\na: &a\n<<: *a"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		at, what, instead := ManifestMistake(data)
		if lines := len(lineBreak.FindAll(data, -1)) + 1; (what == "") != (instead == "") || what != "" && (at.Line < 1 || at.Column < 1 || at.Line > lines+1) {
			t.Errorf("%v %q %q", at, what, instead)
		}
	})
}
