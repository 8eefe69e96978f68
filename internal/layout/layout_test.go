package layout

import "testing"

func TestSplit(t *testing.T) {
	for _, c := range []struct{ file, machine, rest, onMachine string }{
		{"nodes/a/user-data", "nodes/a", "user-data", ""},
		{"pools/a/files/etc/hosts", "pools/a", "files/etc/hosts", "/etc/hosts"},
		{"nodes/files/files/files/x", "nodes/files", "files/files/x", "/files/x"},
		{"nodes/a/filesystem", "nodes/a", "filesystem", ""},
		{"nodes/a", "", "nodes/a", ""},
		{"files/etc/hosts", "", "files/etc/hosts", ""},
		{"pxe/nodes/a/user-data", "", "pxe/nodes/a/user-data", ""},
		{"manifest.json", "", "manifest.json", ""},
	} {
		if machine, rest := Split(c.file); machine != c.machine || rest != c.rest {
			t.Errorf("Split(%q) = %q, %q, want %q, %q", c.file, machine, rest, c.machine, c.rest)
		}
		if path, embedded := OnMachine(c.file); path != c.onMachine || embedded != (c.onMachine != "") {
			t.Errorf("OnMachine(%q) = %q, %t, want %q", c.file, path, embedded, c.onMachine)
		}
	}
	if machine, rest := Split(Machine(true, "p") + "/" + Embedded("/etc/x")); machine != Machine(true, "p") || rest != Embedded("/etc/x") {
		t.Errorf("a path that was put together comes apart as %q and %q", machine, rest)
	}
	if a, isProgram := Architecture(Program("arm64")); a != "arm64" || !isProgram {
		t.Errorf("got %q, %t", a, isProgram)
	}
}
