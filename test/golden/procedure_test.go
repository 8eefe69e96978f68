package golden_test

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"muster/internal/plan"
	"muster/internal/spec"
)

// claim is one row of docs/procedure.md: of each group of alternatives, one has to be in the document.
type claim struct {
	step, on     string
	alternatives [][]string
}

var claimed = regexp.MustCompile("`((?:file|step|unit|document):[^`]+)`")

// claims reads the table of docs/procedure.md.
func claims(t *testing.T) []claim {
	text, err := os.ReadFile("../../docs/procedure.md")
	if err != nil {
		t.Fatal(err)
	}
	var out []claim
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(line, "|")
		if len(cells) != 6 || !strings.HasPrefix(strings.TrimSpace(cells[1]), "S") || strings.TrimSpace(cells[1]) == "Step" {
			continue
		}
		c := claim{step: strings.TrimSpace(cells[1]), on: strings.TrimSpace(cells[4])}
		for _, all := range strings.Split(cells[3], "` or `") {
			var tokens []string
			for _, m := range claimed.FindAllStringSubmatch("`"+strings.Trim(strings.TrimSpace(all), "`")+"`", -1) {
				tokens = append(tokens, m[1])
			}
			c.alternatives = append(c.alternatives, tokens)
		}
		out = append(out, c)
	}
	return out
}

// kubeadmParameters are the flags of kubeadm init that the manual procedure names in S16.
var kubeadmParameters = []string{
	"apiserver-advertise-address", "apiserver-bind-port", "apiserver-cert-extra-sans", "cert-dir", "config", "cri-socket", "dry-run",
	"feature-gates", "ignore-preflight-errors", "image-repository", "kubernetes-version", "node-name", "pod-network-cidr",
	"service-cidr", "service-dns-domain", "skip-token-print", "token", "token-ttl",
}

var fieldName = regexp.MustCompile("`([^`]+)`")

// TestParameters: each flag of S16 has its row in docs/procedure.md, and the fields named there are fields of the spec.
func TestParameters(t *testing.T) {
	text, err := os.ReadFile("../../docs/procedure.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(text), "\n| Flag of kubeadm | Field of the spec |\n|---|---|\n")
	table, _, _ = strings.Cut(table, "\n\n")
	var flags []string
	for line := range strings.Lines(table) {
		cells := strings.Split(line, "|")
		if len(cells) != 4 {
			t.Fatalf("docs/procedure.md: no row of two cells: %s", line)
		}
		flags = append(flags, strings.TrimSpace(cells[1]))
		fields := fieldName.FindAllStringSubmatch(cells[2], -1)
		if len(fields) == 0 && !strings.HasPrefix(cells[2], " none: ") {
			t.Errorf("docs/procedure.md: %s leads to no field", cells[1])
		}
		for _, f := range fields {
			if !isField(t, f[1]) {
				t.Errorf("docs/procedure.md: %s leads to %s, which the spec does not have", cells[1], f[1])
			}
		}
	}
	if diff := cmp.Diff(kubeadmParameters, flags); diff != "" {
		t.Errorf("docs/procedure.md has other flags than S16:\n%s", diff)
	}
}

// schema is what isField reads of a JSON Schema.
type schema struct {
	Ref         string `json:"$ref"`
	AllOf       []schema
	Properties  map[string]schema
	Items       *schema
	Definitions map[string]schema
}

// isField looks a path below spec, such as nodes[].name, up in the schema of the spec.
func isField(t *testing.T, path string) bool {
	var root schema
	if err := json.Unmarshal(spec.JSONSchema, &root); err != nil {
		t.Fatal(err)
	}
	resolve := func(s schema) schema {
		for s.Properties == nil && len(s.AllOf) > 0 {
			s = s.AllOf[0]
		}
		if name, ok := strings.CutPrefix(s.Ref, "#/definitions/"); ok {
			s = root.Definitions[name]
		}
		return s
	}
	at := resolve(root.Properties["spec"])
	for _, key := range strings.Split(path, ".") {
		name, list := strings.CutSuffix(key, "[]")
		next, ok := at.Properties[name]
		if !ok || list && next.Items == nil {
			return false
		}
		if list {
			next = *next.Items
		}
		at = resolve(next)
	}
	return true
}

func TestProcedure(t *testing.T) {
	all := claims(t)
	for n := 1; n <= 21; n++ {
		step := fmt.Sprintf("S%d", n)
		if !slices.ContainsFunc(all, func(c claim) bool { return c.step == step }) {
			t.Errorf("docs/procedure.md does not map %s", step)
		}
	}
	for _, name := range []string{"tutorial-centos7-docker", "tutorial-debian12-containerd", "tutorial-flatcar-containerd"} {
		result, _ := generated(t, name)
		for i, m := range result.Machines {
			has := contents(filesOf(result, m), m)
			for _, c := range all {
				if c.on == "first" && i != 0 || c.on == "others" && i == 0 || c.on == "asked" && (i != 0 || !result.Cluster.Spec.Check.Nginx.Image.Set) {
					continue
				}
				if !slices.ContainsFunc(c.alternatives, func(tokens []string) bool {
					return len(tokens) > 0 && !slices.ContainsFunc(tokens, func(t string) bool { return !has[t] })
				}) {
					t.Errorf("%s: %s: %s is not in the document: %v", name, m.Config.Name, c.step, c.alternatives)
				}
			}
		}
	}
}

// contents are the tokens of docs/procedure.md that hold for a machine.
func contents(files map[string][]byte, m plan.Machine) map[string]bool {
	has := map[string]bool{}
	for name := range files {
		if path, ok := strings.CutPrefix(name, "files"); ok {
			has["file:"+path] = true
		}
		has["document:"+name] = true
	}
	if m.Config.Hostname != "" {
		has["document:hostname"] = true
	}
	for _, u := range m.Config.Units {
		has["unit:"+u.Name] = true
	}
	script := string(files["files"+m.Profile.Paths.Scripts.V+"/muster.sh"])
	for _, s := range regexp.MustCompile(`(?m)^(prepare|bootstrap|verify)_([a-z-]+)\)$`).FindAllStringSubmatch(script, -1) {
		has["step:"+s[1]+"/"+s[2]] = true
	}
	// The networkd file of an Ignition document comes from its encoder, not from the plan.
	if m.Config.Network != nil && m.Profile.Format.V == "ignition" {
		has["file:/etc/systemd/network/20-muster-"+m.Config.Network.Ethernets[0].Name+".network"] = true
	}
	return has
}
