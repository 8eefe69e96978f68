package problem

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"muster/internal/terminal"
)

// FuzzPrint looks for a problem that makes the printer panic, that a terminal would obey, that takes more lines than it should, or that editors cannot read.
func FuzzPrint(f *testing.F) {
	f.Add("c.yaml", "spec.nodes[0].name", "is missing", "write it", "spec:\n\tnodes: [日本, \"a\\\"b\", é]\r\n", 2, 9)
	f.Add("c\x1b[0m", "", "a\nb", "", strings.Repeat("0123456789", 30), 1, 250)
	f.Add("", "x[\"\u202e\"]", "\xff", "\u0085", "\ufeffa: 'it''s'", 1, 4)
	f.Add("c.yaml", "a", "m", "", "\u200d\u0301a", 1<<40, -1<<40)
	f.Fuzz(func(t *testing.T, file, path, message, instead, source string, line, column int) {
		p := Problem{File: file, At: At{Path: path, Line: line, Column: column}, Message: message, Instead: instead}
		for _, color := range []bool{false, true} {
			var out bytes.Buffer
			if err := Print(&out, []Problem{p}, Style{Source: map[string][]byte{file: []byte(source)}, Color: color}); err != nil {
				t.Fatal(err)
			}
			text := strings.NewReplacer(terminal.BoldRed, "", terminal.BoldYellow, "", terminal.BoldCyan, "", terminal.Reset, "").Replace(out.String())
			if n := strings.Count(text, "\n"); n != 1 && n != 3 {
				t.Errorf("%d lines: %q", n, text)
			}
			for _, r := range text {
				if unicode.IsControl(r) && r != '\n' && r != '\t' || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp) {
					t.Errorf("the character U+%04X reaches the terminal: %q", r, text)
				}
			}
		}
		var out bytes.Buffer
		if err := JSON(&out, []Problem{p}); err != nil {
			t.Fatal(err)
		}
		var read []jsonProblem
		if err := json.Unmarshal(out.Bytes(), &read); err != nil || len(read) != 1 || read[0].Line != line || read[0].Column != column {
			t.Fatalf("editors read %+v, %v", read, err)
		}
		if utf8.ValidString(message) && read[0].Message != message {
			t.Errorf("the message %q is %q for editors", message, read[0].Message)
		}
	})
}
