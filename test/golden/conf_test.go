package golden_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"muster/templates"
)

var written = regexp.MustCompile(`(?m)^([A-Z][A-Z0-9_]+)=`)

// TestConfIsWhatScriptsRead holds node.conf to the scripts over all golden cases: nothing is written that no script reads,
// and nothing is read that no plan writes. (That Variables are what the scripts read is a test of package templates.)
func TestConfIsWhatScriptsRead(t *testing.T) {
	writes := map[string]bool{}
	for _, name := range cases(t) {
		result, _ := generated(t, name)
		for _, m := range result.Machines {
			for _, match := range written.FindAllStringSubmatch(string(filesOf(result, m)["files/etc/muster/node.conf"]), -1) {
				writes[match[1]] = true
			}
		}
	}
	var reads []string
	for _, v := range templates.Variables {
		reads = append(reads, strings.TrimSuffix(v, "[]"))
	}
	for _, name := range reads {
		if !writes[name] {
			t.Errorf("the scripts read %s, which no golden case writes", name)
		}
	}
	for name := range writes {
		if !slices.Contains(reads, name) {
			t.Errorf("node.conf has %s, which no script reads", name)
		}
	}
}
