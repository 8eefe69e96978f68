package terminal

import (
	"bytes"
	"os"
	"testing"
)

func TestWhatATerminalObeys(t *testing.T) {
	for _, c := range []struct{ text, masked, escaped string }{
		{"a\tb é 日本 ~ \u00a0", "a\tb é 日本 ~ \u00a0", "a\tb é 日本 ~ \u00a0"},
		{"\x1b[31m\x07\r\n\x7f", "\ufffd[31m\ufffd\ufffd\ufffd\ufffd", `\u001b[31m\u0007\u000d\u000a\u007f`},
		{"\u0085\u009b", "\ufffd\ufffd", `\u0085\u009b`},
		{"a\u202eb\u2066", "a\ufffdb\ufffd", `a\u202eb\u2066`},
		{"a\u200bb\u00ad\ufeff", "a\ufffdb\ufffd\ufffd", `a\u200bb\u00ad\ufeff`},
		{"\u2028\u2029\U000e0041", "\ufffd\ufffd\ufffd", `\u2028\u2029\U000e0041`},
	} {
		if got := Masked(c.text); got != c.masked {
			t.Errorf("Masked(%q) = %q, want %q", c.text, got, c.masked)
		}
		if got := Escaped(c.text); got != c.escaped {
			t.Errorf("Escaped(%q) = %q, want %q", c.text, got, c.escaped)
		}
	}
	if Is(&bytes.Buffer{}) {
		t.Error("a buffer is taken for a terminal")
	}
}

// TestNoColor: the null device looks like a terminal.
func TestNoColor(t *testing.T) {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = null.Close() }()
	for value, want := range map[string]bool{"": true, "1": false} {
		t.Setenv("NO_COLOR", value)
		if got := Colors(null); got != want {
			t.Errorf("NO_COLOR=%s: colours %v, want %v", value, got, want)
		}
	}
}
