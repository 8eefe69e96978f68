package config_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"muster/internal/rendezvous/config"
)

func load(t *testing.T, text string) (config.Config, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config.json")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return config.Load(file)
}

func TestLoad(t *testing.T) {
	written, err := json.Marshal(config.Config{Cluster: "k8s", Node: "b", ControlPlanes: []config.ControlPlane{{Name: "a", Address: "192.0.2.1"}, {Name: "b", Address: "2001:db8::2"}}})
	if err != nil {
		t.Fatal(err)
	}
	c, err := load(t, string(written))
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Servers(); !slices.Equal(got, []string{"[2001:db8::2]:7443", "192.0.2.1:7443"}) {
		t.Errorf("the servers are %v", got)
	}
	if c.Raft(c.Self()) != "[2001:db8::2]:7444" || c.TTL() != 15*time.Minute || c.Reset[0] != "kubeadm" {
		t.Errorf("the defaults are %+v", c)
	}
}

func TestLoadRefuses(t *testing.T) {
	const planes = `"controlPlanes":[{"name":"a","address":"192.0.2.1"}]`
	for _, c := range []struct{ text, says string }{
		{`{`, "unexpected"},
		{`{"cluster":"k8s","node":"a",` + planes + `} x`, "follows"},
		{`{"cluster":"k8s","node":"a","nonsense":1,` + planes + `}`, "nonsense"},
		{`{"cluster":"K8S","node":"a",` + planes + `}`, "cluster:"},
		{`{"cluster":"k8s","node":"b",` + planes + `}`, "b itself is missing"},
		{`{"cluster":"k8s","node":"a","controlPlanes":[{"name":"a","address":"cp.example"}]}`, "IP address"},
		{`{"cluster":"k8s","node":"a","controlPlanes":[{"name":"a","address":"192.0.2.1"},{"name":"b","address":"192.0.2.1"}]}`, "twice"},
		{`{"cluster":"k8s","node":"a","port":7444,` + planes + `}`, "raftPort"},
		{`{"cluster":"k8s","node":"a","port":-1,` + planes + `}`, "port"},
		{`{"cluster":"k8s","node":"a","tokenTTL":"24h",` + planes + `}`, "tokenTTL"},
	} {
		if _, err := load(t, c.text); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", c.text, err, c.says)
		}
	}
}
