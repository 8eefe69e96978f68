package golden_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"muster/templates"
)

var (
	// assigned are variables that the scripts set themselves, read those that they read.
	assigned = regexp.MustCompile(`\b([A-Z][A-Z0-9_]{2,})\+?=`)
	read     = regexp.MustCompile(`\$\{?[#!]?([A-Z][A-Z0-9_]{2,})`)
	written  = regexp.MustCompile(`(?m)^([A-Z][A-Z0-9_]+)=`)
)

func namesIn(pattern *regexp.Regexp, text string, into map[string]bool) {
	for _, m := range pattern.FindAllStringSubmatch(text, -1) {
		into[m[1]] = true
	}
}

// TestConfIsWhatScriptsRead holds node.conf and the scripts to each other over all golden cases: nothing is read that no
// plan writes, and nothing is written that no script reads.
func TestConfIsWhatScriptsRead(t *testing.T) {
	script, err := templates.Script(templates.Steps)
	if err != nil {
		t.Fatal(err)
	}
	reads, own, writes := map[string]bool{}, map[string]bool{}, map[string]bool{}
	namesIn(read, string(script), reads)
	namesIn(assigned, string(script), own)
	for _, name := range cases(t) {
		result, _ := generated(t, name)
		for _, m := range result.Machines {
			namesIn(written, string(filesOf(result, m)["files/etc/muster/node.conf"]), writes)
		}
	}
	for name := range reads {
		// bash's own, what tests shorten, and the bundle's creation time, which comes with the secrets.
		known := slices.Contains([]string{"SECONDS", "BASH_SOURCE", "PATH", "EPOCHSECONDS", "NOT_BEFORE"}, name)
		if !writes[name] && !own[name] && !known && !strings.HasPrefix(name, "MUSTER_") {
			t.Errorf("the scripts read %s, which no golden case writes", name)
		}
	}
	for name := range writes {
		if !reads[name] {
			t.Errorf("node.conf has %s, which no script reads", name)
		}
	}
}
