package consumer

import (
	_ "embed"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// containerdScript loads a config.toml with containerd and compares what it made of it.
//
//go:embed containerd.py
var containerdScript string

var configVersion = regexp.MustCompile(`(?m)^version\s*=\s*(\d+)\s*$`)

// DockerdValidate reads a daemon.json with `dockerd --validate` of Debian 13 (26.1): an unknown key, a value of the wrong type and contradictory settings are refused.
//
// Not checked by dockerd: what it looks at only when it starts (whether a mirror is a URL), and a key that is the name of one of its flags instead (registry-mirror).
func DockerdValidate(tb testing.TB, daemonJSON []byte) {
	tb.Helper()
	dockerd := built(tb, "tools", "dockerd")
	file := filepath.Join(tempDir(tb, ""), "daemon.json")
	writeFile(tb, file, daemonJSON, 0o600)
	res := command(nil, dockerd, "--validate", "--userland-proxy-path", built(tb, "tools", "docker-proxy"), "--config-file", file)
	if res.err != nil || strings.TrimSpace(res.stdout+res.stderr) != "configuration OK" {
		res.fail(tb, "dockerd --validate")
	}
}

// ContainerdLoad loads a config.toml with `containerd config dump`: version 2 of the file with Debian 12's containerd 1.6, version 3 with containerd 2. As containerd
// drops what it does not know (1.6 with no word), every setting of the document must be found again, with its value, in what containerd prints as its effective
// configuration: a misspelt key, table or plugin fails the test.
//
// Not checked: values that a plugin looks at only when it starts.
func ContainerdLoad(tb testing.TB, configTOML []byte) {
	tb.Helper()
	box := sandbox{Files: map[string][]byte{"config.toml": configTOML, "containerd.py": []byte(containerdScript)}}
	program := "/usr/bin/containerd"
	switch m := configVersion.FindSubmatch(configTOML); {
	case m == nil:
		tb.Fatal("config.toml has no version: containerd takes it for version 1, write version = 2 or 3")
	case string(m[1]) == "3":
		box.Programs = []string{built(tb, "tools", "containerd")}
		program = shared + "/bin/containerd"
	}
	res, _ := box.run(tb, "/usr/bin/python3", shared+"/containerd.py", program)
	if res.err != nil || res.stderr != "" {
		res.fail(tb, "containerd config dump")
	}
}
