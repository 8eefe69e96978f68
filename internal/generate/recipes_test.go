package generate

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"muster/internal/problem"
)

const recipesBase = `apiVersion: muster/v1
kind: Cluster
metadata: {name: k8s}
spec:
  profile: debian12-containerd
  users: [{name: admin, sshAuthorizedKeys: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJAJC6axw6Inw5ATjf7512pnWYu0WwQwZAnUU5m9cZw+ you@example.com]}]
  nodes:
    - {name: cp0, role: control-plane, address: 192.168.31.130}
    - {name: cp1, role: control-plane, address: 192.168.31.131}
    - {name: cp2, role: control-plane, address: 192.168.31.132}
    - {name: w1, role: worker, address: 192.168.31.133}
`

// TestRecipes: gen has nothing to say against what docs/recipes.md recommends.
func TestRecipes(t *testing.T) {
	page, err := os.ReadFile("../../docs/recipes.md")
	if err != nil {
		t.Fatal(err)
	}
	sections := strings.Split(string(page), "\n## ")[1:]
	for _, section := range sections {
		title, text, _ := strings.Cut(section, "\n")
		t.Run(title, func(t *testing.T) {
			_, block, found := strings.Cut(text, "```yaml\nspec:\n")
			block, _, ended := strings.Cut(block, "```\n")
			if !found || !ended {
				t.Fatal("there is no block of YAML that begins with spec:")
			}
			folder := t.TempDir()
			for name, contents := range map[string]string{
				"cluster.yaml": recipesBase + block, "registry-login.json": "{}", "encryption.yaml": "a key", "example-ca.crt": "a certificate", "proxy-ca.crt": "a certificate",
			} {
				if err := os.WriteFile(filepath.Join(folder, name), []byte(contents), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			var problems problem.List
			if _, err := FromFile(filepath.Join(folder, "cluster.yaml"), ForTests(), &problems); err != nil {
				t.Fatal(err)
			}
			for _, p := range problems.Sorted() {
				t.Error(p)
			}
		})
	}
}
