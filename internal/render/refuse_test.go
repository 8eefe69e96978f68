package render_test

import (
	"errors"
	"io/fs"
	"net/netip"
	"strings"
	"testing"

	"muster/internal/node"
	"muster/internal/problem"
	"muster/internal/render"
)

var here = problem.At{Path: "spec.here", Line: 11, Column: 2}

// everyKind are all formats.
const everyKind = render.CloudInit + " " + render.Ignition

const (
	service = "[Service]\nExecStart=/bin/true\n"
	install = service + "[Install]\nWantedBy=multi-user.target\n"
)

// refusals break one thing each. It is refused by the formats, with a word of the message.
var refusals = map[string]struct {
	formats string
	change  func(*node.Config)
	want    string
}{
	"instance-id with a slash":  {everyKind, changed(func(c *node.Config) { c.InstanceID = "../x" }), "instance-id"},
	"no instance-id":            {everyKind, changed(func(c *node.Config) { c.InstanceID = "" }), "instance-id"},
	"hostname of a pool":        {everyKind, changed(func(c *node.Config) { c.Pool = true }), "all its machines"},
	"hostname with a newline":   {everyKind, changed(func(c *node.Config) { c.Hostname = "a\nb" }), `"a\nb" is no hostname`},
	"hostname of 65":            {everyKind, changed(func(c *node.Config) { c.Hostname = strings.Repeat("a", 65) }), "is no hostname"},
	"no done file":              {everyKind, changed(func(c *node.Config) { c.Done = "" }), "when all is done"},
	"start that is not there":   {everyKind, changed(func(c *node.Config) { c.Start = "other.target" }), "other.target"},
	"no start":                  {everyKind, changed(func(c *node.Config) { c.Start = "" }), "first unit"},
	"file with a newline":       {everyKind, withFile(node.File{Path: "/etc/a\nb"}), `"/etc/a\nb"`},
	"file with a dot-dot":       {everyKind, withFile(node.File{Path: "/etc/../a"}), "no path of a file"},
	"file that is relative":     {everyKind, withFile(node.File{Path: "etc/a"}), "no path of a file"},
	"file that is a folder":     {everyKind, withFile(node.File{Path: "/etc/a/"}), "no path of a file"},
	"file beyond ASCII":         {everyKind, withFile(node.File{Path: "/etc/é"}), "no path of a file"},
	"file that ends in a blank": {everyKind, withFile(node.File{Path: "/etc/a "}), "no path of a file"},
	"root as a file":            {everyKind, withFile(node.File{Path: "/"}), "no path of a file"},
	"file twice":                {everyKind, withFile(node.File{Path: "/etc/empty"}), "twice"},
	"file in a file":            {everyKind, withFile(node.File{Path: "/etc/empty/a"}), "which is a file"},
	"file where muster writes": {everyKind, func(c *node.Config) {
		c.Files[0].At = here
		c.Files = append(c.Files, node.File{Path: c.Files[0].Path})
	}, "twice"},
	"file where muster's lies": {everyKind, func(c *node.Config) {
		c.Files[0].At = here
		c.Files = append(c.Files, node.File{Path: c.Files[0].Path + "/a"})
	}, "which is a file"},
	"file of the hostname":         {everyKind, withFile(node.File{Path: "/etc/hostname"}), "written from the hostname"},
	"file that is a unit":          {everyKind, withFile(node.File{Path: "/etc/systemd/system/a.service"}), "write it as a unit"},
	"file of the network":          {everyKind, withFile(node.File{Path: "/etc/systemd/network/20-muster-ens33.network"}), "the network is written to"},
	"file in /tmp":                 {everyKind, withFile(node.File{Path: "/tmp/a"}), "does not stay"},
	"file in /run":                 {everyKind, withFile(node.File{Path: "/run/a"}), "does not stay"},
	"file with setuid":             {everyKind, withFile(node.File{Path: "/etc/a", Mode: 0o755 | fs.ModeSetuid}), "more than permissions"},
	"file that is a link":          {everyKind, withFile(node.File{Path: "/etc/a", Mode: fs.ModeSymlink | 0o777}), "more than permissions"},
	"owner with a colon":           {everyKind, withFile(node.File{Path: "/etc/a", Owner: "a:b"}), "cannot own"},
	"group by number":              {everyKind, withFile(node.File{Path: "/etc/a", Group: "0"}), "cannot own"},
	"file in a home":               {render.CloudInit, withFile(node.File{Path: "/home/admin/a"}), "home folder"},
	"mode that looks decimal":      {render.Ignition, withFile(node.File{Path: "/etc/a", Mode: 0o620}), "/etc/a: ignition: "},
	"unit with a slash":            {everyKind, withUnit(node.Unit{Name: "../a.service", Contents: service}), "no name of a systemd unit"},
	"unit of no kind":              {everyKind, withUnit(node.Unit{Name: "a.unit", Contents: service}), "no name of a systemd unit"},
	"unit with a blank":            {everyKind, withUnit(node.Unit{Name: "a b.service", Contents: service}), "no name of a systemd unit"},
	"unit that is an option":       {everyKind, withUnit(node.Unit{Name: "--root=a.service", Contents: service}), "no name of a systemd unit"},
	"unit twice":                   {everyKind, withUnit(node.Unit{Name: "mine.service", Contents: service}), "twice"},
	"unit that says nothing":       {everyKind, withUnit(node.Unit{Name: "a.service"}), "says nothing"},
	"unit masked and enabled":      {everyKind, withUnit(node.Unit{Name: "a.service", Mask: true, Enabled: new(true)}), "masked"},
	"unit masked with contents":    {everyKind, withUnit(node.Unit{Name: "a.service", Mask: true, Contents: service}), "masked"},
	"template enabled":             {everyKind, withUnit(node.Unit{Name: "a@.service", Contents: install, Enabled: new(true)}), "template"},
	"unit enabled for nothing":     {everyKind, withUnit(node.Unit{Name: "a.service", Contents: service, Enabled: new(true)}), "[Install]"},
	"unit with an empty install":   {everyKind, withUnit(node.Unit{Name: "a.service", Contents: service + "[Install]\n", Enabled: new(true)}), "[Install]"},
	"unit with a NUL":              {everyKind, withUnit(node.Unit{Name: "a.service", Contents: service + "\x00"}), "no text"},
	"unit that is no UTF-8":        {everyKind, withUnit(node.Unit{Name: "a.service", Contents: service + "\xff"}), "no text"},
	"unit with a cut section":      {render.Ignition, withUnit(node.Unit{Name: "a.service", Contents: "[Service\nExecStart=/bin/true\n"}), "a.service"},
	"drop-in with a slash":         {everyKind, withUnit(node.Unit{Name: "a.service", DropIns: []node.DropIn{{Name: "../a.conf", Contents: service}}}), "no name of a drop-in"},
	"drop-in twice":                {everyKind, withUnit(node.Unit{Name: "a.service", DropIns: []node.DropIn{{Name: "a.conf", Contents: service}, {Name: "a.conf", Contents: service}}}), "twice"},
	"drop-in that says nothing":    {everyKind, withUnit(node.Unit{Name: "a.service", DropIns: []node.DropIn{{Name: "a.conf"}}}), "says nothing"},
	"drop-in with a NUL":           {everyKind, withUnit(node.Unit{Name: "a.service", DropIns: []node.DropIn{{Name: "a.conf", Contents: "\x00"}}}), "no text"},
	"drop-in with a cut section":   {render.Ignition, withUnit(node.Unit{Name: "a.service", DropIns: []node.DropIn{{Name: "a.conf", Contents: "[Service\n"}}}), "a.service"},
	"start that is disabled":       {everyKind, func(c *node.Config) { c.Units[0].Enabled, c.Units[0].At = new(false), here }, "every boot"},
	"user with a colon":            {everyKind, withUser(node.User{Name: "a:b"}), "no name of a user"},
	"user that is an option":       {everyKind, withUser(node.User{Name: "-r"}), "no name of a user"},
	"user twice":                   {everyKind, withUser(node.User{Name: "admin"}), "twice"},
	"hash with a newline":          {everyKind, withUser(node.User{Name: "a", PasswordHash: "$6$a\nroot:x"}), "hash"},
	"hash with a colon":            {everyKind, withUser(node.User{Name: "a", PasswordHash: "$6$a:b"}), "hash"},
	"shell with a colon":           {everyKind, withUser(node.User{Name: "a", Shell: "/bin/a:b"}), "no shell"},
	"key with a newline":           {everyKind, withUser(node.User{Name: "a", SSHAuthorizedKeys: []string{sshKey + "\n" + sshKey}}), "SSH key 1"},
	"key beyond ASCII":             {everyKind, withUser(node.User{Name: "a", SSHAuthorizedKeys: []string{sshKey + " josé"}}), "SSH key 1"},
	"key that is empty":            {everyKind, withUser(node.User{Name: "a", SSHAuthorizedKeys: []string{sshKey, ""}}), "SSH key 2"},
	"key that is a comment":        {everyKind, withUser(node.User{Name: "a", SSHAuthorizedKeys: []string{"# key"}}), "SSH key 1"},
	"key twice":                    {everyKind, withUser(node.User{Name: "a", SSHAuthorizedKeys: []string{sshKey, sshKey}}), "twice"},
	"group with a comma":           {everyKind, withUser(node.User{Name: "a", Groups: []string{"a,b"}}), "no name of a group"},
	"group twice":                  {everyKind, withUser(node.User{Name: "a", Groups: []string{"adm", "adm"}}), "twice"},
	"network without interfaces":   {everyKind, changed(func(c *node.Config) { c.Network = &node.Network{} }), "without an ethernet"},
	"interface that is a pattern":  {everyKind, withLink(func(l *node.Link) { l.Name = "en*" }), "no name of an interface"},
	"interface with a newline":     {everyKind, withLink(func(l *node.Link) { l.Name = "a\n[x" }), "no name of an interface"},
	"interface of 16":              {everyKind, withLink(func(l *node.Link) { l.Name = strings.Repeat("a", 16) }), "no name of an interface"},
	"interface twice":              {everyKind, withLink(func(l *node.Link) { l.Name = "ens33" }), "twice"},
	"MTU of 1":                     {everyKind, withLink(func(l *node.Link) { l.MTU = 1 }), "MTU"},
	"address that is none":         {everyKind, withLink(func(l *node.Link) { l.Addresses = append(l.Addresses, netip.Prefix{}) }), "no address"},
	"nameserver that is none":      {everyKind, withLink(func(l *node.Link) { l.Nameservers = []netip.Addr{{}} }), "nameserver"},
	"nameserver with a zone":       {everyKind, withLink(func(l *node.Link) { l.Nameservers = []netip.Addr{netip.MustParseAddr("fe80::1%eth0")} }), "nameserver"},
	"search domain with a blank":   {everyKind, withLink(func(l *node.Link) { l.Search = []string{"a b"} }), "search domain"},
	"search domain with a newline": {everyKind, withLink(func(l *node.Link) { l.Search = []string{"a\n"} }), "search domain"},
	"gateway of the other family":  {everyKind, withLink(func(l *node.Link) { l.Gateway = netip.MustParseAddr("2001:db8::1") }), "gateway"},
	"route with host bits": {everyKind, withLink(func(l *node.Link) {
		l.Routes = []node.Route{{To: netip.MustParsePrefix("10.0.0.1/8"), Via: netip.MustParseAddr("192.0.2.1")}}
	}), "destination"},
	"route without a way": {everyKind, withLink(func(l *node.Link) { l.Routes = []node.Route{{To: netip.MustParsePrefix("10.0.0.0/8")}} }), "cannot go through"},
	"route with a metric": {render.CloudInit, withoutNetplan(func(l *node.Link) {
		l.Routes = []node.Route{{To: netip.MustParsePrefix("10.0.0.0/8"), Via: netip.MustParseAddr("192.0.2.1"), Metric: 5, At: here}}
		l.At = problem.At{}
	}), "the metric of route 10.0.0.0/8"},
	"default route with a metric": {render.CloudInit, withoutNetplan(func(l *node.Link) {
		l.Routes = []node.Route{{To: netip.MustParsePrefix("0.0.0.0/0"), Via: netip.MustParseAddr("192.0.2.1"), Metric: 5}}
	}), "leave the route out, or"},
	"route that is on-link": {render.CloudInit, withoutNetplan(func(l *node.Link) {
		l.Routes = []node.Route{{To: netip.MustParsePrefix("10.0.0.0/8"), Via: netip.MustParseAddr("172.31.1.1"), OnLink: true}}
	}), "on-link is lost"},
	"DHCP without nameservers": {render.CloudInit, withoutNetplan(func(l *node.Link) { l.DHCP4, l.DHCPWithoutDNS = true, true }), "nameservers"},
	"optional interface":       {render.CloudInit, withoutNetplan(func(l *node.Link) { l.Optional = true }), "optional"},
	"DHCP's metric alone":      {everyKind, withLink(func(l *node.Link) { l.DHCPMetric = 5 }), "of DHCP"},
	"DHCP's metric below zero": {everyKind, withLink(func(l *node.Link) { l.DHCP4, l.DHCPMetric = true, -5 }), "of DHCP"},
	"nameservers of no DHCP":   {everyKind, withLink(func(l *node.Link) { l.DHCPWithoutDNS = true }), "of DHCP"},
	"route below zero": {everyKind, withLink(func(l *node.Link) {
		l.Routes = []node.Route{{To: netip.MustParsePrefix("10.0.0.0/8"), Via: netip.MustParseAddr("192.0.2.1"), Metric: -5}}
	}), "metric"},
	"MAC in capitals": {everyKind, func(c *node.Config) {
		c.Network.Ethernets[2].MAC, c.Network.Ethernets[2].At = "00:11:22:33:44:AA", here
	}, "MAC"},
	"MAC twice": {everyKind, func(c *node.Config) {
		c.Network.Ethernets[2].MAC, c.Network.Ethernets[2].At = "00:11:22:33:44:55", here
	}, "twice"},
	"bond of nothing":               {everyKind, withBond(func(b *node.Bond) { b.Interfaces = nil }), "no interfaces"},
	"bond of what is not there":     {everyKind, withBond(func(b *node.Bond) { b.Interfaces = []string{"eth8"} }), "no ethernet interface"},
	"bond of what is in a bond":     {everyKind, withBond(func(b *node.Bond) { b.Interfaces = []string{"eth2"} }), "already"},
	"bond of what has addresses":    {everyKind, withBond(func(b *node.Bond) { b.Interfaces = []string{"1e3"} }), "of its own"},
	"bond of no mode":               {everyKind, withBond(func(b *node.Bond) { b.Mode = "" }), "no mode"},
	"bond with a rate that is none": {everyKind, withBond(func(b *node.Bond) { b.LACPRate = "fast\n" }), "rate"},
	"VLAN 0":                        {everyKind, func(c *node.Config) { c.Network.VLANs[0].ID, c.Network.VLANs[0].At = 0, here }, "the ID 0"},
	"VLAN on what is not there":     {everyKind, func(c *node.Config) { c.Network.VLANs[0].Parent, c.Network.VLANs[0].At = "eth8", here }, "cannot lie on"},
	"VLAN on what is in a bond":     {everyKind, func(c *node.Config) { c.Network.VLANs[0].Parent, c.Network.VLANs[0].At = "eth2", here }, "cannot lie on"},
	"VLAN on itself":                {everyKind, func(c *node.Config) { c.Network.VLANs[0].Parent, c.Network.VLANs[0].At = "ens33.7", here }, "cannot lie on"},
}

func withFile(f node.File) func(*node.Config) {
	f.At = here
	if f.Mode == 0 {
		f.Mode = 0o644
	}
	return func(c *node.Config) { c.Files = append(c.Files, f) }
}

func withUnit(u node.Unit) func(*node.Config) {
	u.At = here
	return func(c *node.Config) { c.Units = append(c.Units, u) }
}

func withUser(u node.User) func(*node.Config) {
	u.At = here
	return func(c *node.Config) { c.Users = append(c.Users, u) }
}

func changed(change func(*node.Config)) func(*node.Config) {
	return func(c *node.Config) { c.At = here; change(c) }
}

func withLink(change func(*node.Link)) func(*node.Config) {
	return func(c *node.Config) {
		l := node.Link{Name: "eth9", Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.2/24")}, At: here}
		change(&l)
		c.Network.Ethernets = append(c.Network.Ethernets, node.Ethernet{Link: l})
	}
}

// withoutNetplan is the same where cloud-init writes the network's files itself.
func withoutNetplan(change func(*node.Link)) func(*node.Config) {
	return func(c *node.Config) {
		c.Netplan, c.Network = false, &node.Network{}
		withLink(change)(c)
	}
}

func withBond(change func(*node.Bond)) func(*node.Config) {
	return func(c *node.Config) {
		c.Network.Ethernets = append(c.Network.Ethernets, node.Ethernet{Link: node.Link{Name: "eth9"}})
		b := node.Bond{Link: node.Link{Name: "bond9", At: here}, Interfaces: []string{"eth9"}, Mode: "active-backup"}
		change(&b)
		c.Network.Bonds = append(c.Network.Bonds, b)
	}
}

// TestRefused breaks one thing at a time and wants it refused, with the place. Formats that can carry it have to.
func TestRefused(t *testing.T) {
	for name, c := range refusals {
		t.Run(name, func(t *testing.T) {
			for _, format := range []string{render.CloudInit, render.Ignition} {
				cfg := sample()
				c.change(&cfg)
				_, err := render.Encode(format, flatcar, cfg)
				if !strings.Contains(c.formats, format) {
					if err != nil {
						t.Errorf("%s refuses it: %v", format, err)
					}
					continue
				}
				checkRefused(t, format, err, c.want)
			}
		})
	}
}

func checkRefused(t *testing.T, format string, err error, want string) {
	t.Helper()
	var refused *render.Refused
	if !errors.As(err, &refused) {
		t.Errorf("%s: the error is %v", format, err)
		return
	}
	if p := refused.Problems[0]; p.At != here || !strings.Contains(p.Message+"; "+p.Instead, want) {
		t.Errorf("%s: the problem is %+v, want %q at %v", format, p, want, here)
	}
	if text := refused.Error(); !strings.HasPrefix(text, "spec.here: ") || strings.Contains(text, "root:x") {
		t.Errorf("%s: the error reads %q", format, text)
	}
}

func TestAllProblemsAtOnce(t *testing.T) {
	cfg := sample()
	cfg.Files[0].Path, cfg.Users[0].Name, cfg.Network.Ethernets[0].Name = "x", "X", "x y"
	_, err := render.Encode(render.CloudInit, render.Butane{}, cfg)
	var refused *render.Refused
	if !errors.As(err, &refused) || len(refused.Problems) < 3 {
		t.Errorf("the error is %v", err)
	}
}

func TestButaneIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		butane render.Butane
		want   string
	}{
		"unknown version":                 {render.Butane{Variant: "flatcar", Version: "9.0.0"}, "flatcar 1.1.0"},
		"no variant":                      {render.Butane{}, "is not supported"},
		"network where networkd does not": {render.Butane{Variant: "fcos", Version: "1.5.0"}, "systemd-networkd"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := sample()
			cfg.At = here
			_, err := render.Encode(render.Ignition, c.butane, cfg)
			checkRefused(t, render.Ignition, err, c.want)
		})
	}
}
