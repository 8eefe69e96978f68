package consumer

import (
	_ "embed"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"
)

// systemdScript lays units and stubs and verifies them.
//
//go:embed systemd.sh
var systemdScript string

// SystemdVerify reads all units of a node together with `systemd-analyze verify` of Debian 12 (252). The keys are names as under /etc/systemd/system, drop-ins
// included (kubelet.service.d/10-muster.conf). Every warning fails the test: an unknown key, a dependency that is not there, an ordering cycle.
//
// Programs that the units start are taken as given. Units that packages of the node bring and Debian's minimal system has not (docker.service,
// kubelet.service) are named in packaged and stand in as empty services, so that a unit nobody brings is still found.
func SystemdVerify(tb testing.TB, units map[string][]byte, packaged ...string) {
	tb.Helper()
	if len(units) == 0 {
		tb.Fatal("no unit to verify")
	}
	box := sandbox{Files: map[string][]byte{"systemd.sh": []byte(systemdScript)}}
	argv := []string{"bash", shared + "/systemd.sh"}
	for _, name := range packaged {
		box.Files["units/"+name] = standIn(name)
		argv = append(argv, name)
	}
	for _, name := range slices.Sorted(maps.Keys(units)) {
		box.Files["units/"+name] = units[name]
		if dir := path.Dir(name); dir == "." {
			argv = append(argv, name)
		} else if base := strings.TrimSuffix(dir, ".d"); !slices.Contains(argv, base) {
			// A drop-in is read with the unit that it is for.
			argv = append(argv, base)
		}
	}
	res, _ := box.run(tb, argv...)
	if res.err != nil || strings.TrimSpace(res.stdout+res.stderr) != "" {
		res.fail(tb, "systemd-analyze verify")
	}
}

// standIn is an empty unit of the kind that its name says.
func standIn(name string) []byte {
	unit := "[Unit]\nDescription=" + name + " of a package\n"
	switch path.Ext(name) {
	case ".service":
		unit += "[Service]\nExecStart=/bin/true\n"
	case ".socket":
		unit += "[Socket]\nListenStream=/run/" + name + "\n"
	}
	return []byte(unit)
}
