package render

import (
	"net/netip"
	"slices"
	"testing"

	"muster/internal/node"
)

// compared is a configuration with something of everything that is compared.
func compared() node.Config {
	address := []netip.Prefix{netip.MustParsePrefix("10.0.0.1/24")}
	return node.Config{
		InstanceID: "k8s.a", Hostname: "a", Start: "a.target", Done: "/var/lib/a",
		Files:    []node.File{{Path: "/etc/a", Mode: 0o640, Owner: "admin", Group: "adm", Contents: []byte("a")}},
		Programs: []node.Program{{Path: "/opt/a", Mode: 0o755, SHA256: "a"}},
		Units:    []node.Unit{{Name: "a.service", Contents: "a", DropIns: []node.DropIn{{Name: "a.conf", Contents: "a"}}}},
		Users:    []node.User{{Name: "a", PasswordHash: "a", Groups: []string{"adm"}, Shell: "/bin/bash"}},
		Network: &node.Network{
			Ethernets: []node.Ethernet{{Link: node.Link{Name: "eth0", Addresses: address, MTU: 1400, DHCP4: true, DHCPMetric: 5, DHCPWithoutDNS: true, Optional: true,
				Routes: []node.Route{{To: address[0], OnLink: true, Metric: 5}}}, MAC: "00:11:22:33:44:55"}},
			Bonds: []node.Bond{{Link: node.Link{Name: "bond0"}, Interfaces: []string{"eth1"}, Mode: "802.3ad"}},
			VLANs: []node.VLAN{{Link: node.Link{Name: "vlan5"}, ID: 5, Parent: "eth0"}},
		},
	}
}

// TestDifferences: nothing that a document says otherwise than was meant is passed over, and it is named.
func TestDifferences(t *testing.T) {
	const head = "the instance-id, the hostname, the first unit or the file that stands when all is done"
	for want, changes := range map[string][]func(*node.Config){
		head: {
			func(c *node.Config) { c.InstanceID = "b" }, func(c *node.Config) { c.Hostname = "b" },
			func(c *node.Config) { c.Start = "b" }, func(c *node.Config) { c.Done = "b" },
		},
		`file "/etc/a"`: {
			func(c *node.Config) { c.Files[0].Mode = 0o644 }, func(c *node.Config) { c.Files[0].Owner = "" },
			func(c *node.Config) { c.Files[0].Group = "" }, func(c *node.Config) { c.Files[0].Contents = nil }, func(c *node.Config) { c.Files = nil },
		},
		`program "/opt/a"`: {func(c *node.Config) { c.Programs[0].SHA256 = "b" }, func(c *node.Config) { c.Programs = nil }},
		`unit "a.service"`: {
			func(c *node.Config) { c.Units[0].Enabled = new(false) }, func(c *node.Config) { c.Units[0].Mask = true },
			func(c *node.Config) { c.Units[0].DropIns = nil }, func(c *node.Config) { c.Units = nil },
		},
		`user "a"`:               {func(c *node.Config) { c.Users[0].PasswordHash = "" }, func(c *node.Config) { c.Users[0].Groups = nil }},
		"the network as a whole": {func(c *node.Config) { c.Network = nil }},
		`interface "eth0"`: {func(c *node.Config) { c.Network.Ethernets[0].MAC = "" }, func(c *node.Config) { c.Network.Ethernets[0].MTU = 0 },
			func(c *node.Config) { c.Network.Ethernets[0].DHCPMetric = 0 }, func(c *node.Config) { c.Network.Ethernets[0].DHCPWithoutDNS = false },
			func(c *node.Config) { c.Network.Ethernets[0].Optional = false }, func(c *node.Config) { c.Network.Ethernets[0].Routes[0].OnLink = false },
			func(c *node.Config) { c.Network.Ethernets[0].Routes[0].Metric = 0 }},
		`bond "bond0"`: {func(c *node.Config) { c.Network.Bonds[0].Interfaces = nil }, func(c *node.Config) { c.Network.Bonds[0].Mode = "" }},
		`vlan "vlan5"`: {func(c *node.Config) { c.Network.VLANs[0].Parent = "" }, func(c *node.Config) { c.Network.VLANs[0].ID = 6 }},
	} {
		for i, change := range changes {
			read := compared()
			change(&read)
			if got := differences(carried(CloudInit, compared()), carried(CloudInit, read)); !slices.Equal(got, []string{want}) {
				t.Errorf("change %d of %s: the differences are %q", i, want, got)
			}
			if got := differences(carried(CloudInit, read), carried(CloudInit, compared())); !slices.Equal(got, []string{want}) {
				t.Errorf("change %d of %s the other way round: the differences are %q", i, want, got)
			}
		}
	}
	twice := compared()
	twice.Files = append(twice.Files, twice.Files[0])
	if got := differences(twice, compared()); !slices.Equal(got, []string{"the number of files"}) {
		t.Errorf("one of two files: the differences are %q", got)
	}
}
