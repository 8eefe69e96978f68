package main

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
)

// FuzzNormalise looks for a panic, for a word that is lost, changed or moved, and for a second reading that gives something else. The words of a
// command line are separated by NUL, which none can hold.
func FuzzNormalise(f *testing.F) {
	for _, line := range []string{
		"-spec\x00cluster.yaml\x00-out\x00out/", "--spec=cluster.yaml\x00-out=x", "check\x00-spec\x00-strict", "-h", "--help", "-", "--", "-spec\x00--\x00-out", "--\x00-spec",
		"-sepc\x00a", "-o\x00x", "---spec\x00a", "-strict=false\x00-strict", "-=x", "explain\x00out/a:3\x00-spec\x00-x", "", "-spec", "completion\x00bash\x00-no-descriptions",
	} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		args := strings.Split(line, "\x00")
		root := (&options{stdout: io.Discard, stderr: io.Discard}).root()
		root.InitDefaultCompletionCmd()
		got, err := normalise(root, args)
		if err != nil {
			if !errors.As(err, new(usageError)) {
				t.Errorf("%q: an error that is no wrong usage: %v", args, err)
			}
			return
		}
		if len(got) != len(args) {
			t.Fatalf("%q becomes %q", args, got)
		}
		for i, word := range got {
			flag := "--" + strings.TrimLeft(args[i], "-")
			if word != args[i] && (word != flag || !strings.HasPrefix(args[i], "-")) {
				t.Errorf("%q becomes %q", args[i], word)
			}
		}
		again, err := normalise(root, got)
		if err != nil || !slices.Equal(again, got) {
			t.Errorf("%q becomes %q, and that %q, %v", args, got, again, err)
		}
	})
}
