package plan

import (
	"os/exec"
	"testing"
)

// TestQuote hands hostile text to bash itself and demands it back.
func TestQuote(t *testing.T) {
	for _, text := range []string{"", "plain", "a b", "it's", "''", `\`, "$HOME", "`id`", "$(id)", "a\nb", "\t", "!x", "~", "*", "-n", "a=b", "#x", "{a,b}", "日本語", "\r\n", "a:~", "'\\''"} {
		var c conf
		c.set("V", text)
		c.setList("L", []string{text, "end"})
		script := string(c.bytes()) + "\nprintf '%s\\0' \"$V\" \"${L[0]}\" \"${L[1]}\""
		out, err := exec.Command("bash", "-c", script).Output()
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if want := text + "\x00" + text + "\x00end\x00"; string(out) != want {
			t.Errorf("%q comes out as %q, want %q", text, out, want)
		}
	}
}
