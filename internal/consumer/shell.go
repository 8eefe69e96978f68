package consumer

import (
	"maps"
	"path/filepath"
	"slices"
	"testing"
)

// Shellcheck reads shell scripts, by name, with shellcheck, every severity down to style. Each says its shell in its #! line.
func Shellcheck(tb testing.TB, scripts map[string][]byte) {
	tb.Helper()
	if len(scripts) == 0 {
		tb.Fatal("no script to check")
	}
	dir := tempDir(tb, "")
	argv := []string{installed(tb, "shellcheck"), "--norc", "--severity=style", "--format=gcc"}
	for _, name := range slices.Sorted(maps.Keys(scripts)) {
		path := filepath.Join(dir, name)
		writeFile(tb, path, scripts[name], 0o644)
		argv = append(argv, path)
	}
	res := command(nil, argv...)
	if res.err != nil {
		res.fail(tb, "shellcheck")
	}
}
