package profiles

import (
	"testing"

	"muster/internal/problem"
)

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
