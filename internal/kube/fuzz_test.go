package kube

import (
	"strings"
	"testing"
)

// FuzzParse looks for a version that is taken and is not written as it was read, or to which some question has no
// answer.
func FuzzParse(f *testing.F) {
	for _, text := range []string{"v1.34.4", "v1.17.4", "v1.15.0", "v1.37.999", "1.34", "v1.34", "v01.34.4", "v1.034.4", "v1.34.04", "v1.34.4\n", "v1.34.4-rc.1", "v2.0.0", "", "v1.38.0", "v１.34.4"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		v, err := Parse(text)
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("%q: the error has several lines: %q", text, err)
			}
			return
		}
		if v.String() != text {
			t.Errorf("%q is %s", text, v)
		}
		if v.Major != 1 || v.Minor < OldestMinor || v.Minor > NewestMinor {
			t.Errorf("%q is taken", text)
		}
		if MinorOf(v.MinorNumber()) != v.Minor || v.ConfigAPI() == "" || !strings.HasPrefix(v.PauseImage("r"), "r/pause:") || v.DefaultCRISocket("containerd") == "" || len(v.ControlPlaneTaints()) == 0 {
			t.Errorf("%q has no answers", text)
		}
	})
}
