package spec

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"muster/internal/consumer"
	"muster/internal/problem"
)

// TestSchemaAndRules holds the mistakes of testdata/rules.txt against the JSON Schema: what only warns is taken, and
// testdata/schema-refuses.txt lists by rule what an editor already marks. The rest needs more than one value to judge.
func TestSchemaAndRules(t *testing.T) {
	base := readBase(t)
	_, cases := readCases(t)
	documents, rules := map[string][]byte{"base": []byte(base)}, map[string]string{}
	warnings := map[string]bool{}
	for i, c := range cases {
		name := fmt.Sprintf("%s: %s (%d)", c.rule, c.name, i)
		text := c.apply(t, base)
		documents[name], rules[name] = []byte(text), c.rule
		warnings[name] = !slices.ContainsFunc(check(text), func(p problem.Problem) bool { return p.Severity == problem.Error })
	}
	refused, all := map[string]int{}, map[string]int{}
	for name, complaints := range consumer.JSONSchema(t, JSONSchema, documents) {
		if len(complaints) > 0 && (warnings[name] || name == "base") {
			t.Errorf("%s: gen takes it, the schema says %q", name, complaints)
		}
		if all[rules[name]]++; len(complaints) > 0 {
			refused[rules[name]]++
		}
	}
	var got strings.Builder
	for _, rule := range sortedRules(refused) {
		fmt.Fprintf(&got, "%s %d of %d\n", rule, refused[rule], all[rule])
	}
	const file = "testdata/schema-refuses.txt"
	if *update {
		if err := os.WriteFile(file, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Errorf("the schema refuses\n%swant (-update rewrites it)\n%s", got.String(), want)
	}
}

func sortedRules(counts map[string]int) []string {
	var names []string
	for name := range counts {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
