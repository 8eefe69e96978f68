package diff

import (
	"bytes"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"muster/internal/node"
	"muster/internal/render"
)

// FuzzOldDocument looks for a document in the output folder, edited or not, that makes gen diff panic, that a terminal would obey, or whose password is shown.
func FuzzOldDocument(f *testing.F) {
	machines, err := filepath.Glob("../../test/golden/*/out/*/*")
	if err != nil || len(machines) == 0 {
		f.Fatalf("no golden documents: %v", err)
	}
	for _, m := range machines {
		if data, err := os.ReadFile(filepath.Join(m, render.IgnitionConfig)); err == nil {
			f.Add(true, data, []byte{})
		} else if data, err := os.ReadFile(filepath.Join(m, render.UserData)); err == nil {
			meta, _ := os.ReadFile(filepath.Join(m, render.MetaData)) // a document without it is tried as well
			f.Add(false, data, meta)
		}
	}
	little, err := render.Encode(render.CloudInit, render.Butane{}, node.Config{
		Name: "a", InstanceID: "k8s.a", Hostname: "a", Start: "muster.target", Done: "/var/lib/muster/done",
		Files: []node.File{{Path: "/etc/motd", Mode: 0o644, Contents: []byte("hello\n")}},
		Units: []node.Unit{{Name: "muster.target", Contents: "[Unit]\nDescription=Muster\n\n[Install]\nWantedBy=multi-user.target\n"}},
		Users: []node.User{{Name: "admin", PasswordHash: "$6$secretsecretsecret", Groups: []string{"adm"}, Shell: "/bin/bash"}},
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(false, little.Files[0].Data, little.Files[1].Data)
	f.Add(true, []byte(`{"ignition":{"version":"3.4.0"},"passwd":{"users":[{"name":"a","groups":["b\u001b[0m\nuser x"],"passwordHash":"$6$secretsecretsecret"}]}}`), []byte{})
	f.Fuzz(func(t *testing.T, ignition bool, document, metaData []byte) {
		files := map[string][]byte{render.UserData: document, render.MetaData: metaData}
		if ignition {
			files = map[string][]byte{render.IgnitionConfig: document}
		}
		old, err := (&comparison{}).config("nodes/a", func(name string) ([]byte, error) {
			if data, there := files[path.Base(name)]; there {
				return data, nil
			}
			return nil, fs.ErrNotExist
		})
		if err != nil {
			return
		}
		report := Report{Files: []File{{Path: "nodes/a/user-data", Change: Changed, Words: differingLines(describe(old), describe(node.Config{})), Note: strings.Join(documentNotes(old, node.Config{}, true), "; ")}}}
		var out bytes.Buffer
		if err := Print(&out, &report, false); err != nil {
			t.Fatal(err)
		}
		for _, u := range old.Users {
			if len(u.PasswordHash) > 12 && strings.Contains(out.String(), u.PasswordHash) {
				t.Errorf("the password of %q is shown", u.Name)
			}
		}
		for _, r := range out.String() {
			if unicode.IsControl(r) && r != '\n' && r != '\t' {
				t.Fatalf("the character U+%04X reaches the terminal: %q", r, out.String())
			}
		}
	})
}
