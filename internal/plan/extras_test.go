package plan

import (
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"muster/internal/node"
	"muster/internal/spec"
	"muster/profiles"
)

// TestFetchedByHTTP: a plain http URL is fetched by the machine, not looked for beside the spec.
func TestFetchedByHTTP(t *testing.T) {
	machines, problems := planned(t, small+"  files: [{path: /opt/x, source: \"http://files.example.com/x\", sha256: \"0\"}]\n")
	if len(problems) > 0 {
		t.Fatalf("problems are %v", problems)
	}
	if conf := contentsOf(t, machines[0], ConfFile); !strings.Contains(conf, "\nDOWNLOAD_PATHS=(/opt/x)\nDOWNLOAD_URLS=(http://files.example.com/x)\n") {
		t.Errorf("nothing is fetched:\n%s", conf)
	}
}

// TestFileBesideTheSpec: it is as its entry says.
func TestFileBesideTheSpec(t *testing.T) {
	machines, problems := planned(t, small+"  files: [{path: /opt/x, source: ./x, owner: \"admin:wheel\", mode: \"4755\"}]\n")
	if len(problems) > 0 {
		t.Fatalf("problems are %v", problems)
	}
	i := slices.IndexFunc(machines[0].Config.Files, func(f node.File) bool { return f.Path == "/opt/x" })
	want := node.File{Path: "/opt/x", Mode: fs.ModeSetuid | 0o755, Owner: "admin", Group: "wheel", Contents: []byte("data"), Source: "./x"}
	if diff := cmp.Diff(want, machines[0].Config.Files[i], cmpopts.IgnoreTypes(spec.At{})); diff != "" {
		t.Errorf("the file differs (-want +got):\n%s", diff)
	}
}

func TestModes(t *testing.T) {
	for text, want := range map[string]fs.FileMode{
		"": 0o644, "0600": 0o600, "1777": fs.ModeSticky | 0o777, "2755": fs.ModeSetgid | 0o755, "4755": fs.ModeSetuid | 0o755, "6750": fs.ModeSetuid | fs.ModeSetgid | 0o750,
	} {
		if got := mode(text); got != want {
			t.Errorf("%q is %v, want %v", text, got, want)
		}
	}
}

// TestUnitsOfTheOperatingSystem: cloud-init's document neither has nor enables a unit that may come with a package; the first boot does.
func TestUnitsOfTheOperatingSystem(t *testing.T) {
	for profile, want := range map[string]struct {
		inDocument bool
		conf       string
	}{"debian12-containerd": {false, "\nUNITS_ENABLED=(fstrim.timer ssh.service)\n"}, "flatcar-containerd": {true, ""}} {
		machines, problems := planned(t, strings.Replace(small, "debian12-containerd", profile, 1)+
			"  units: [{name: fstrim.timer, enabled: true}, {name: ssh.service, enabled: true, dropIns: [{name: a.conf, contents: \"[Unit]\\n\"}]}, {name: b.service, enabled: false}]\n")
		if len(problems) > 0 {
			t.Fatalf("%s: problems are %v", profile, problems)
		}
		enabled := map[string]bool{}
		for _, u := range machines[0].Config.Units {
			enabled[u.Name] = u.Enabled != nil && *u.Enabled
		}
		_, timer := enabled["fstrim.timer"]
		_, ssh := enabled["ssh.service"]
		if timer != want.inDocument || !ssh || enabled["ssh.service"] != want.inDocument || enabled["b.service"] {
			t.Errorf("%s: units are %v", profile, enabled)
		}
		if conf := contentsOf(t, machines[0], ConfFile); !strings.Contains(conf, want.conf) || strings.Contains(conf, "UNITS_ENABLED") != (want.conf != "") {
			t.Errorf("%s: want %q in\n%s", profile, want.conf, conf)
		}
	}
}

// TestUnitOverTheProfiles: what the spec says of a unit that the profile has lies over it.
func TestUnitOverTheProfiles(t *testing.T) {
	profile := func(p *profiles.Profile) {
		unit := profiles.Unit{Name: spec.Value[string]{V: "mine.service", Set: true}, Contents: spec.Value[string]{V: "[Service]\n", Set: true}, Enabled: spec.Value[bool]{V: true, Set: true}}
		p.Units.Items = append(p.Units.Items, unit)
	}
	drop := []node.DropIn{{Name: "a.conf", Contents: "[Unit]\n"}}
	for said, want := range map[string]node.Unit{
		"contents: \"[Unit]\\n\"": {Contents: "[Unit]\n", Enabled: new(true)},
		"enabled: false":          {Contents: "[Service]\n", Enabled: new(false)},
		"mask: true":              {Contents: "[Service]\n", Enabled: new(true), Mask: true},
		"dropIns: [{name: a.conf, contents: \"[Unit]\\n\"}]": {Contents: "[Service]\n", Enabled: new(true), DropIns: drop},
	} {
		machines, problems := planned(t, small+"  units: [{name: mine.service, "+said+"}]\n", profile)
		if len(problems) > 0 {
			t.Fatalf("%s: problems are %v", said, problems)
		}
		var got []node.Unit
		for _, u := range machines[0].Config.Units {
			if u.Name == "mine.service" {
				got = append(got, u)
			}
		}
		want.Name = "mine.service"
		if diff := cmp.Diff([]node.Unit{want}, got, cmpopts.IgnoreTypes(spec.At{})); diff != "" {
			t.Errorf("%s: the unit differs (-want +got):\n%s", said, diff)
		}
	}
}
