package consumer

import (
	_ "embed"
	"strings"
	"testing"
)

// ignitionScript runs the stages of Ignition's engine in a sandbox.
//
//go:embed ignition.sh
var ignitionScript string

// IgnitionValidate parses a config with Ignition's own validator. Warnings count as failures.
func IgnitionValidate(tb testing.TB, config []byte) {
	tb.Helper()
	res := command(config, built(tb, "tools", "ignition-validate"), "-")
	if res.err != nil || res.stdout+res.stderr != "" {
		res.fail(tb, "ignition-validate")
	}
}

// IgnitionApply runs Ignition's own engine, the stages fetch and files, on an overlay of Debian 12 whose upper folder is root: root, which must exist, gets exactly
// what the engine changed, with modes and owners, users in etc/passwd, unit presets in etc/systemd/system-preset and its report in etc/.ignition-result.json. A second
// call with the same root is a second try after a cut. The network is cut off: a config that fetches something fails. So does every warning.
//
// Not run: the stages disks, mount and kargs.
func IgnitionApply(tb testing.TB, config []byte, root string) {
	tb.Helper()
	box := sandbox{
		Root:     root,
		Files:    map[string][]byte{"ignition.sh": []byte(ignitionScript), "config.ign": config},
		Programs: []string{built(tb, "tools", "ignition")},
	}
	res, _ := box.run(tb, "bash", shared+"/ignition.sh")
	if res.err != nil || hasWarning(res.stdout) {
		res.fail(tb, "ignition applies the config")
	}
}

// hasWarning tells whether Ignition's log, one line a message after its level, holds anything above a notice.
func hasWarning(log string) bool {
	for line := range strings.Lines(log) {
		level, message, _ := strings.Cut(line, ":")
		switch strings.TrimSpace(level) {
		case "ERROR", "CRITICAL", "ALERT", "EMERGENCY":
			return true
		case "WARNING":
			// Said at every second try of one that had come to its end.
			if !strings.Contains(message, "Ignition has already run on this system") {
				return true
			}
		}
	}
	return false
}

// ButaneStrict compiles a Butane config with `butane --strict`, in which warnings are errors, and returns the Ignition config.
func ButaneStrict(tb testing.TB, butane []byte) []byte {
	tb.Helper()
	res := command(butane, built(tb, "tools", "butane"), "--strict")
	if res.err != nil || res.stderr != "" {
		res.fail(tb, "butane --strict")
	}
	return []byte(res.stdout)
}
