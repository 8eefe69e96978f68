package golden_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go/ast"
)

// distribution are names that only profiles may know; DEBIAN_FRONTEND is debconf's own variable.
var (
	distribution = regexp.MustCompile(`(?i)\b(centos|rhel|rocky|alma|fedora|debian(?:[^_]|$)|ubuntu|flatcar|coreos|suse|alpine)`)
	// decision is a string that is nothing but such a name: what code would compare with. Texts for people may give examples.
	decision = regexp.MustCompile("(?i)^[\"`](centos|rhel|rocky|alma|fedora|debian|ubuntu|flatcar|coreos|suse|alpine)[a-z0-9.-]*[\"`]$")
)

// knowers may name one all the same: the Ignition encoder, whose variants of Butane are called after systems and come from the profile; what
// plays a system for tests; and what makes the documentation.
var knowers = []string{"../../internal/render/ignition", "../../internal/consumer", "../../internal/specdoc"}

// TestNoCodeKnowsADistribution: a new profile is one new file, so neither the scripts nor the code may decide by the name of an operating
// system. Comments and messages may name one.
func TestNoCodeKnowsADistribution(t *testing.T) {
	checked := 0
	for _, dir := range []string{"../../internal", "../../cmd", "../../profiles"} {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			switch {
			case err == nil && d.IsDir() && slices.Contains(knowers, path):
				return filepath.SkipDir
			case err == nil && strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go"):
				checked++
				checkStrings(t, path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if checked < 100 {
		t.Errorf("only %d sources were checked", checked)
	}
	err := filepath.WalkDir("../../templates", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.Contains(path, "testdata") || strings.HasSuffix(path, ".go") {
			return err
		}
		text, err := os.ReadFile(path)
		for n, line := range strings.Split(string(text), "\n") {
			code, _, _ := strings.Cut(line, "# ")
			if distribution.MatchString(code) {
				t.Errorf("%s:%d names a distribution: %s", path, n+1, line)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// checkStrings looks at the string literals of a Go file, but not at the tags of its fields, which are documentation.
func checkStrings(t *testing.T, file string) {
	set := token.NewFileSet()
	tree, err := parser.ParseFile(set, file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	tags := map[*ast.BasicLit]bool{}
	ast.Inspect(tree, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.Field:
			tags[n.Tag] = true
		case *ast.BasicLit:
			if n.Kind == token.STRING && !tags[n] && decision.MatchString(n.Value) {
				t.Errorf("%s: a string names a distribution: %s", set.Position(n.Pos()), n.Value)
			}
		}
		return true
	})
}
