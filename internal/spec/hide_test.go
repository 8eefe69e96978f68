package spec

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"
)

// TestHide: nothing of a secret value stays, whatever form it has, and everything else does, in its column.
func TestHide(t *testing.T) {
	for _, text := range []string{
		"users: [{name: a, passwordHash: hunter2}]\n",
		"users: [{name: a, passwordHash: hunter2, sudo: \"true\"}, {name: b, passwordHash: \"hunter2, x}\" , shell: /bin/sh}]\n",
		"users: [{passwordHash: hunter2, name: a}]",
		"users: [{\"passwordHash\": 'hunter2 ''hunter2', name: a}]",
		"users: [{name: a, passwordHash:\n  hunter2, groups: [x]}]\n",
		"users:\n  - name: a\n    passwordHash: hunter2, hunter2 # hunter2\n    sudo: x\n",
		"users:\n  - passwordHash: hunter2\n    name: a\n",
		"users:\n  - passwordHash: \"hunter2 \\\" hunter2\n      hunter2\"\n    name: a\n",
		"users:\n  - name: a\n    passwordHash: >-\n      hunter2\n\n      hunter2\n    sudo: x\n",
		"users:\n  - name: a\n    passwordHash:\n      hunter2\n      hunter2\n  - name: b\n",
		"users:\n  - passwordHash: !!str hunter2\n    name: a\n",
		"users:\n  - passwordHash: \"hunter2\n", // no end
		"users:\r\n  - passwordHash: hünter2hunter2\r\n    name: a\r\n",
		"\tpasswordHash : hunter2\n",
	} {
		hidden := Hide([]byte(text))
		if bytes.Contains(hidden, []byte("hunter")) || bytes.Contains(hidden, []byte("nter2")) {
			t.Errorf("%q became %q", text, hidden)
		}
		was, is := strings.Split(text, "\n"), strings.Split(string(hidden), "\n")
		for i := range was {
			if utf8.RuneCountInString(was[i]) != utf8.RuneCountInString(is[i]) {
				t.Errorf("%q became %q: other columns", was[i], is[i])
			}
		}
		for _, word := range []string{"name: a", "name: b", "sudo", "groups: [x]", "/bin/sh"} {
			if strings.Contains(text, word) != bytes.Contains(hidden, []byte(word)) {
				t.Errorf("%q became %q: %s is hidden", text, hidden, word)
			}
		}
	}
	const none = "kind: Cluster\nfiles: [{contents: \"a password: hash\"}]\n"
	if got := Hide([]byte(none)); string(got) != none {
		t.Errorf("became %q", got)
	}
}
