package plan

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"
)

// objectsOf reads one of kubeadm's documents, by kind.
func objectsOf(t *testing.T, m Machine, path string) map[string]object {
	t.Helper()
	out := map[string]object{}
	d := yaml.NewDecoder(strings.NewReader(contentsOf(t, m, path)))
	for {
		var o object
		if err := d.Decode(&o); errors.Is(err, io.EOF) {
			return out
		} else if err != nil {
			t.Fatal(err)
		}
		out[o["kind"].(string)] = o
	}
}

// TestKeptSwapPassesPreflight: kubeadm of 1.22 and before ends with an error where swap is on, at init and at join.
func TestKeptSwapPassesPreflight(t *testing.T) {
	for spec, want := range map[string]any{
		"{}": nil,
		"{system: {swap: disabled}, kubernetes: {ignorePreflightErrors: [Mem]}}": []any{"Mem"},
		"{system: {swap: keep}}": []any{"Swap"},
		"{system: {swap: keep}, kubernetes: {ignorePreflightErrors: [Mem]}}":       []any{"Mem", "Swap"},
		"{system: {swap: keep}, kubernetes: {ignorePreflightErrors: [swap, Mem]}}": []any{"swap", "Mem"},
		"{system: {swap: keep}, kubernetes: {ignorePreflightErrors: [all]}}":       []any{"all"},
	} {
		machines, problems := planned(t, small+"  controlPlane: "+spec+"\n")
		if len(problems) > 0 {
			t.Fatalf("%s: problems are %v", spec, problems)
		}
		for kind, path := range map[string]string{"InitConfiguration": initFile, "JoinConfiguration": joinFile} {
			registration := objectsOf(t, machines[0], path)[kind]["nodeRegistration"].(object)
			if diff := cmp.Diff(want, registration["ignorePreflightErrors"]); diff != "" {
				t.Errorf("%s: %s ignores other checks (-want +got):\n%s", spec, kind, diff)
			}
		}
	}
}
