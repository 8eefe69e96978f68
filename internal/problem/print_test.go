package problem_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"muster/internal/problem"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// printed are the cases of the printer's goldens: one source line that the problem stands at, and what it is to show.
var printed = []struct {
	name    string
	source  string
	problem problem.Problem
	color   bool
}{
	{"plain", "a: 1\nspec: {profile: no}\n", at(2, 17), false},
	{"tabs", "key:\tvalue # after a tab\n", at(1, 6), false},
	{"tabs-and-wide", "键:\t\t主机\n", at(1, 5), false},
	{"wide", "name: 主机名 # 三台\n", at(1, 7), false},
	{"wide-before", "名字: {名称: k8s}\n", at(1, 10), false},
	{"combining", "name: e\u0301te\u0301 x\n", at(1, 7), false},
	{"combining-before", "e\u0301te\u0301: x\n", at(1, 8), false},
	{"halfwidth", "name: ｶﾅ: x\n", at(1, 7), false},
	{"emoji", "😀: x\n", at(1, 4), false},
	{"no-newline-at-end", "a: 1\nb: wrong", at(2, 4), false},
	{"column-past-end", "a:\n", at(1, 3), false},
	{"column-far-past-end", "a:\n", at(1, 40), false},
	{"line-past-end", "a: 1\n", at(7, 1), false},
	{"line-after-the-last", "a: 1\n", at(2, 1), false},
	{"empty-line", "a: 1\n\nb: 2\n", at(2, 1), false},
	{"no-line", "a: 1\n", at(0, 0), false},
	{"crlf", "a: wrong\r\nb: 2\r\n", at(1, 4), false},
	{"byte-order-mark", "\ufeffa: wrong\n", at(1, 4), false},
	{"double-quoted", `a: "x, \" y" # c` + "\n", at(1, 4), false},
	{"single-quoted", "a: 'x y', b\n", at(1, 4), false},
	{"unclosed-quote", "a: 'x y\n", at(1, 4), false},
	{"key", "spec:\n  nodse: [a]\n", at(2, 3), false},
	{"flow", "{a: [x,y]}\n", at(1, 6), false},
	{"url", "u: http://host:80/x y\n", at(1, 4), false},
	{"flow-mapping", "a: {b: 1}\n", at(1, 4), false},
	{"escape-in-source", "a: \x1b[31mred\n", at(1, 4), false},
	{"bidi-in-source", "a: \u202eevil\n", at(1, 4), false},
	{"invalid-utf8", "a: \xff\xfe x\n", at(1, 4), false},
	{"long-line", "a: [" + strings.Repeat("0123456789, ", 40) + "]\n", at(1, 245), false},
	{"long-line-start", "key: " + strings.Repeat("0123456789", 40) + "\n", at(1, 6), false},
	{"long-line-end", strings.Repeat("0123456789 ", 40) + "end\n", at(1, 441), false},
	{"color", "a: wrong\n", at(1, 4), true},
	{"color-warning", "a: wrong\n", warning(at(1, 4)), true},
	{"warning", "a: wrong\n", warning(at(1, 4)), false},
	{"escape-in-message", "a: x\n", problem.Problem{File: "c.yaml", At: problem.At{Path: "a", Line: 1, Column: 4}, Message: "\x1b]0;title\x07 is no name"}, true},
	{"no-instead-no-path", "a: x\n", problem.Problem{File: "c.yaml", At: problem.At{Line: 1, Column: 1}, Message: "the file is empty"}, false},
}

func at(line, column int) problem.Problem {
	return problem.Problem{File: "c.yaml", At: problem.At{Path: "spec.x", Line: line, Column: column}, Message: "it is wrong", Instead: "write right"}
}

func warning(p problem.Problem) problem.Problem {
	p.Severity = problem.Warning
	return p
}

// TestPrint holds every case against its golden file; the escape character is written as \e there.
func TestPrint(t *testing.T) {
	for _, c := range printed {
		t.Run(c.name, func(t *testing.T) {
			var out bytes.Buffer
			style := problem.Style{Source: map[string][]byte{"c.yaml": []byte(c.source)}, Color: c.color}
			if err := problem.Print(&out, []problem.Problem{c.problem}, style); err != nil {
				t.Fatal(err)
			}
			golden(t, filepath.Join("testdata", c.name+".golden"), strings.ReplaceAll(out.String(), "\x1b", `\e`))
		})
	}
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

// TestPrintPlain keeps the form that tools read: without sources one line a problem, whatever it holds.
func TestPrintPlain(t *testing.T) {
	problems := []problem.Problem{at(1, 2), warning(at(3, 4)), {File: "d.yaml", Message: "line\nbreak"}}
	var out bytes.Buffer
	if err := problem.Print(&out, problems, problem.Style{}); err != nil {
		t.Fatal(err)
	}
	want := "c.yaml:1:2: spec.x: it is wrong; write right\nc.yaml:3:4: warning: spec.x: it is wrong; write right\nd.yaml: line\ufffdbreak\n"
	if out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("disk full") }

func TestPrintReportsTheWriter(t *testing.T) {
	if err := problem.Print(brokenWriter{}, []problem.Problem{at(1, 1)}, problem.Style{}); err == nil {
		t.Error("Print: no error from a broken writer")
	}
	if err := problem.JSON(brokenWriter{}, nil); err == nil {
		t.Error("JSON: no error from a broken writer")
	}
}

func TestJSON(t *testing.T) {
	var out bytes.Buffer
	if err := problem.JSON(&out, []problem.Problem{at(3, 9), warning(at(0, 0))}); err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/problems.json", out.String())

	out.Reset()
	if err := problem.JSON(&out, nil); err != nil {
		t.Fatal(err)
	}
	var none []any
	if err := json.Unmarshal(out.Bytes(), &none); err != nil || none == nil || len(none) != 0 {
		t.Errorf("no problems are written as %q, want an empty array (%v)", out.String(), err)
	}
}
