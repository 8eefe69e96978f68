package render_test

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"os/exec"
	"strings"
	"testing"

	"muster/internal/node"
	"muster/internal/problem"
	"muster/internal/render"
)

// kinds are all kinds of documents.
var kinds = []struct {
	name, format string
	butane       render.Butane
}{
	{"cloud-init", render.CloudInit, render.Butane{}},
	{"flatcar 1.0.0", render.Ignition, render.Butane{Variant: "flatcar", Version: "1.0.0"}},
	{"flatcar 1.1.0", render.Ignition, render.Butane{Variant: "flatcar", Version: "1.1.0"}},
	{"fcos 1.4.0", render.Ignition, render.Butane{Variant: "fcos", Version: "1.4.0"}},
	{"fcos 1.5.0", render.Ignition, render.Butane{Variant: "fcos", Version: "1.5.0"}},
	{"fcos 1.6.0", render.Ignition, render.Butane{Variant: "fcos", Version: "1.6.0"}},
	{"fcos 1.7.0", render.Ignition, render.Butane{Variant: "fcos", Version: "1.7.0"}},
}

var flatcar = render.Butane{Variant: "flatcar", Version: "1.1.0"}

const (
	startUnit = "[Unit]\nDescription=first boot\n\n[Install]\nWantedBy=multi-user.target\n"
	doneFile  = "/var/lib/muster/done"
	sshKey    = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHPZcFdbNKq3OwT4gE3vQXdEvVZj7r0z0Gm3OK9Yp6kq admin@example.com"
	otherKey  = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQC7 o'ther \"key\" $x"
)

// sample has something of everything that a configuration can say.
func sample() node.Config {
	return node.Config{
		Name:       "node1",
		InstanceID: "k8s-node1",
		Hostname:   "node1.example.com",
		Files: []node.File{
			{Path: "/etc/sysctl.d/kubernetes.conf", Mode: 0o644, Contents: []byte("net.ipv4.ip_forward = 1\n")},
			{Path: "/etc/muster/credential", Mode: 0o600, Contents: []byte("header = \"Authorization: Bearer abc\"\n"), Secret: true},
			{Path: "/usr/local/lib/muster/prepare", Mode: 0o755, Contents: []byte("#!/bin/bash\n" + strings.Repeat("echo \"${x}\" '%s' {{ y }}\n", 60))},
			{Path: "/etc/muster/bytes", Mode: 0o640, Group: "adm", Contents: []byte("\x00\xff\xfe\r\n\u0085\u2028")},
			{Path: "/var/lib/mine/owned by admin", Mode: 0o600, Owner: "admin", Group: "admin", Contents: []byte("a: b # c\n")},
			{Path: "/etc/empty", Mode: 0o444},
		},
		Units: []node.Unit{
			{Name: "muster.target", Contents: startUnit},
			{Name: "mine.service", Contents: "[Unit]\nDescription=50% of “mine”\n\n[Service]\nExecStart=/bin/true 'a b' \"$x\"\n\n[Install]\nWantedBy=multi-user.target\n", Enabled: new(true),
				DropIns: []node.DropIn{{Name: "10-b.conf", Contents: "[Service]\nEnvironment=A=b\n"}, {Name: "05-a.conf", Contents: "[Service]\nEnvironment=B=c"}}},
			{Name: "getty@tty1.service", DropIns: []node.DropIn{{Name: "10-mine.conf", Contents: "[Service]\nTTYVTDisallocate=no\n"}}},
			{Name: "fstrim.timer", Enabled: new(false)},
			{Name: "e2scrub_all.timer", Mask: true},
		},
		Users: []node.User{
			{Name: "admin", SSHAuthorizedKeys: []string{sshKey, otherKey}, Groups: []string{"adm", "sudo"}, Shell: "/bin/bash"},
			{Name: "on", PasswordHash: "$6$abcdefgh$1Cqy1gBd3Fq0nR6OeXY4mZz3hU0n6n9z5v1l8Jf1o3o0k2c5m8p1r4t7w0z3B6E9H2K5N8Q1T4W7Z0c3f6i9l/"},
		},
		Network: &node.Network{
			Ethernets: []node.Ethernet{
				{Link: node.Link{
					Name: "ens33", Addresses: []netip.Prefix{netip.MustParsePrefix("192.168.31.128/24"), netip.MustParsePrefix("2001:db8::128/64")},
					Gateway: netip.MustParseAddr("192.168.31.2"), Nameservers: []netip.Addr{netip.MustParseAddr("223.5.5.5"), netip.MustParseAddr("2001:db8::53")},
					Search: []string{"example.com", "no"}, MTU: 1400,
					Routes: []node.Route{
						{To: netip.MustParsePrefix("10.0.0.0/8"), Via: netip.MustParseAddr("192.168.31.3")},
						{To: netip.MustParsePrefix("10.3.0.0/16"), Via: netip.MustParseAddr("192.168.31.4"), Metric: 50},
						{To: netip.MustParsePrefix("10.4.0.0/16"), Via: netip.MustParseAddr("172.31.1.1"), OnLink: true},
					},
				}, MAC: "00:11:22:33:44:55"},
				{Link: node.Link{Name: "1e3", DHCP4: true, DHCPMetric: 2000, DHCPWithoutDNS: true, Optional: true}},
				{Link: node.Link{Name: "eth2"}},
				{Link: node.Link{Name: "eth3"}, MAC: "00:11:22:33:44:57"},
			},
			Bonds: []node.Bond{{Link: node.Link{Name: "bond0", Addresses: []netip.Prefix{netip.MustParsePrefix("10.1.0.2/24")}}, Interfaces: []string{"eth3", "eth2"},
				Mode: "802.3ad", MIIMonitorMillis: 100, LACPRate: "fast", TransmitHash: "layer3+4"}},
			VLANs: []node.VLAN{{Link: node.Link{Name: "ens33.7", Addresses: []netip.Prefix{netip.MustParsePrefix("10.2.0.2/24")}}, ID: 7, Parent: "ens33"}},
		},
		Netplan: true,

		Start: "muster.target",
		Done:  doneFile,
		At:    problem.At{Path: "spec.nodes[0]", Line: 7, Column: 3},
	}
}

// small is the least that a configuration can say.
func small() node.Config {
	return node.Config{
		Name: "p", Pool: true, InstanceID: "p", Start: "muster.target", Done: doneFile,
		Units: []node.Unit{{Name: "muster.target", Contents: startUnit}},
	}
}

// fit takes away what a kind of document cannot express.
func fit(cfg node.Config, variant string) node.Config {
	if variant == "fcos" {
		cfg.Network = nil
	}
	return cfg
}

func mustEncode(t testing.TB, format string, butane render.Butane, cfg node.Config) render.Document {
	t.Helper()
	doc, err := render.Encode(format, butane, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func data(t testing.TB, doc render.Document, name string) []byte {
	t.Helper()
	for _, f := range doc.Files {
		if f.Name == name {
			return f.Data
		}
	}
	t.Fatalf("the document has no %s", name)
	return nil
}

// pyYAML returns what cloud-init's YAML reader, PyYAML, makes of each document. What JSON cannot say, such as a date or
// bytes, comes back as a string that no document holds.
func pyYAML(t testing.TB, docs [][]byte) []any {
	t.Helper()
	const script = `import json, sys, yaml
print(json.dumps([yaml.safe_load(d) for d in json.load(sys.stdin)], default=lambda v: "\0" + repr(v)))`
	var asText []string
	for _, d := range docs {
		asText = append(asText, string(d))
	}
	in, err := json.Marshal(asText)
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd := exec.Command("/usr/bin/python3", "-c", script) // Debian's, which has python3-yaml
	cmd.Stdin, cmd.Stderr = bytes.NewReader(in), &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("PyYAML: %v\n%s", err, stderr.String())
	}
	var parsed []any
	if err := json.Unmarshal(out, &parsed); err != nil {
		t.Fatal(err)
	}
	return parsed
}
