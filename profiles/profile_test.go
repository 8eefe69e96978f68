package profiles

import (
	"slices"
	"testing"

	"muster/internal/problem"
)

// TestAdviceAboutWholeFiles: nobody is sent to gen init, which writes specs.
func TestAdviceAboutWholeFiles(t *testing.T) {
	for text, want := range map[string]string{
		"": "run gen profiles NAME for one to start from", "name: a\n---\nname: b\n": "keep one profile a file",
	} {
		var problems problem.List
		Read([]byte(text), "mine.yaml", &problems)
		if found := problems.Sorted(); !slices.ContainsFunc(found, func(p problem.Problem) bool { return p.Instead == want }) {
			t.Errorf("%q: problems are %v, want the advice %q", text, found, want)
		}
	}
}

func TestBuiltinProfilesRead(t *testing.T) {
	names := Names(Builtin)
	if len(names) < 3 {
		t.Fatalf("%d built-in profiles, want at least 3: %v", len(names), names)
	}
	for _, name := range names {
		data, err := Builtin.ReadFile(name + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		var problems problem.List
		p := Read(data, name+".yaml", &problems)
		for _, found := range problems.Sorted() {
			t.Error(found)
		}
		if p.Name.V != name {
			t.Errorf("profile %s calls itself %q", name, p.Name.V)
		}
	}
}
