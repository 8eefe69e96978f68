package yamltext

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"
)

// hostile is text that some reader of YAML takes for something else, or that a careless writer breaks.
var hostile = []string{
	"", " ", "yes", "No", "on", "OFF", "y", "n", "true", "null", "~", "0123", "0o17", "0x1f", "1e3", "1.5", ".5", "+1", "-1", "12:30", "190:20:30", "1_000", ".inf", ".NaN",
	"2001-01-01", "<<", "=", "- a", "? a", "a: b", "a #b", "#a", "&a", "*a", "!a", "|", ">", "%a", "@a", "`a", "{a", "[a", "a,b", "'", "\"", "\\", "a\nb", "\n", "a\n", " a", "a ", "\ta",
	"a\r\nb", "\r", "\u0085", "\u2028", "\u2029", "\ufeff", "\x00", "\x07", "\x7f", "日本語", "\U0001f600", "{{ x }}", "${x}", "a:", ":a", "---", "...", "--- a", "10.0.0.0/8", "::1", "registry:5000/x",
	"\ufffd", strings.Repeat("long ", 40), strings.Repeat("x\n", 20),
}

// TestPyYAML reads what Marshal writes with the YAML 1.1 reader of cloud-init, in build/chroot-debian12.
func TestPyYAML(t *testing.T) {
	text, err := Marshal(map[string]any{"strings": hostile, "keys": keyed(hostile), "numbers": []any{1, int64(-5), 1.5, 1e21, 100.0, true, nil}, "empty": []any{map[string]any{}, []any{}}})
	if err != nil {
		t.Fatal(err)
	}
	root, err := filepath.Abs("../../build/chroot-debian12")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("chroot", root, "python3", "-c", "import sys, json, yaml; print(json.dumps(yaml.safe_load(sys.stdin.buffer.read())))")
	cmd.Stdin = bytes.NewReader(text)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("PyYAML (run make tools): %v\n%s", err, text)
	}
	var got struct {
		Strings []string
		Keys    map[string]string
		Numbers []any
	}
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(hostile, got.Strings); diff != "" {
		t.Errorf("strings (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(keyed(hostile), got.Keys); diff != "" {
		t.Errorf("keys (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]any{1.0, -5.0, 1.5, 1e21, 100.0, true, nil}, got.Numbers); diff != "" {
		t.Errorf("numbers (-want +got):\n%s", diff)
	}
}

func keyed(texts []string) map[string]string {
	out := map[string]string{}
	for _, t := range texts {
		out[t] = t
	}
	return out
}

func TestMarshalRefuses(t *testing.T) {
	for _, v := range []any{"\xff", map[string]any{"\xc3": 1}, []any{make(chan int)}, struct{}{}} {
		if text, err := Marshal(v); err == nil {
			t.Errorf("%T is written as %q", v, text)
		}
	}
}

// FuzzMarshal demands that every UTF-8 string comes back from a YAML 1.2 reader as it went in.
func FuzzMarshal(f *testing.F) {
	for _, text := range hostile {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		out, err := Marshal(map[string]any{"v": text})
		if !utf8.ValidString(text) {
			if err == nil {
				t.Fatalf("%q is no UTF-8 and was written", text)
			}
			return
		}
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		var got map[string]string
		if err := yaml.Unmarshal(out, &got); err != nil || got["v"] != text {
			t.Fatalf("%q comes back as %q, %v, from %q", text, got["v"], err, out)
		}
	})
}
