package profiles

import (
	"testing"

	"muster/internal/problem"
)

// FuzzRead looks for a panic, for a problem without a place or a file, and for a profile that lacks what it must have and is taken.
func FuzzRead(f *testing.F) {
	for _, name := range Names(Builtin) {
		data, err := Builtin.ReadFile(name + ".yaml")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte("name: [a]\nformat: cloud-inti\nbinaries: {v1.34.4: [{path: /opt/bin/kubeadm}]}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var problems problem.List
		p := Read(data, "own.yaml", &problems)
		for _, found := range problems.Sorted() {
			if found.File != "own.yaml" || found.Line < 1 || found.Column < 1 || found.Message == "" {
				t.Errorf("a problem without a place: %+v", found)
			}
		}
		if !problems.Failed() && (!p.Name.Set || !p.Description.Set || !p.Format.Set) {
			t.Errorf("no problem, and name, description or format is not set: %+v", p)
		}
	})
}
