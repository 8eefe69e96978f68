package golden_test

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"muster/internal/plan"
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
