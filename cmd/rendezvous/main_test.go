package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestUsage(t *testing.T) {
	for _, c := range []struct {
		args string
		exit int
	}{
		{"", exitUsage}, {"nonsense", exitUsage}, {"serve extra", exitUsage}, {"init", exitUsage}, {"join --", exitUsage}, {"progress", exitUsage}, {"status --nonsense", exitUsage},
		{"progress a b c", exitUsage}, {"--help", exitGood}, {"help", exitGood}, {"serve --help", exitGood}, {"status --config /nowhere", exitError},
	} {
		var stdout, stderr bytes.Buffer
		if exit := run(t.Context(), strings.Fields(c.args), clock{}, &stdout, &stderr); exit != c.exit {
			t.Errorf("rendezvous %s: exit %d, want %d: %s", c.args, exit, c.exit, stderr.String())
		}
		if wanted := c.exit == exitGood; wanted != (stdout.Len() > 0) {
			t.Errorf("rendezvous %s: stdout is %q", c.args, stdout.String())
		}
	}
}

func TestCredentialsThatCannotBeRead(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config.json")
	text := `{"cluster":"k8s","node":"a","controlPlanes":[{"name":"a","address":"192.0.2.1"}],"ca":"/nowhere/ca.crt"}`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{"serve", "status", "progress", "init"} {
		args := []string{command, "--config", file}
		if command != "serve" && command != "status" {
			args = append(args, "--", "x")
		}
		var stdout, stderr bytes.Buffer
		if exit := run(t.Context(), args, clock{}, &stdout, &stderr); exit != exitError || !strings.Contains(stderr.String(), "/nowhere/ca.crt") {
			t.Errorf("%s: exit %d: %s", command, exit, stderr.String())
		}
	}
}
