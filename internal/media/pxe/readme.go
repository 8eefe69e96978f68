package pxe

import (
	"bytes"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"

	"muster/internal/layout"
)

// readme is README.txt: what people have to add to the tree, and how it is served.
func (t Tree) readme() []byte {
	var out bytes.Buffer
	say := func(format string, args ...any) { fmt.Fprintf(&out, format+"\n", args...) }
	say("What is in this folder boots machines over the network when it is served, as it is, at")
	say("%s.", t.BaseURL)
	say("")
	say("THE DOCUMENTS HERE ARE SECRETS. They hold what a machine needs to join the cluster, a control")
	say("plane's also its keys, and whoever reaches the server reads them: nothing asks for a password, and")
	say("over http nothing is encrypted. Serve them on a provisioning network that only these machines and")
	say("their operators reach, and stop the server when all machines have joined.")
	say("")
	t.sayAssets(say)
	t.sayServer(say)
	t.sayDHCP(say)
	t.sayMatchbox(say)
	t.sayMachines(say)
	return out.Bytes()
}

type sayFunc = func(format string, args ...any)

func (t Tree) sayAssets(say sayFunc) {
	say("1. Put these files here; muster keeps them when it writes this folder anew:")
	say("")
	source := ""
	for _, a := range t.Assets {
		if a.Source != source {
			source = a.Source
			for line := range strings.Lines(strings.TrimSpace(source)) {
				say("   # %s", strings.TrimSuffix(line, "\n"))
			}
		}
		say("   assets/%s", a.Path)
	}
	say("")
}

func (t Tree) sayServer(say sayFunc) {
	u := t.url()
	say("2. Serve the folder, as the user who ran gen (the files are readable by nobody else). From the")
	say("   folder that holds out/, with the path written out: gen exchanges out/ as a whole, and a server")
	say("   that was started inside it goes on serving the old one. (out/ is the folder that gen wrote.)")
	say("")
	place := "root /path/to/out/pxe;"
	if u.Path != "" {
		place = "location " + u.Path + "/ { alias /path/to/out/pxe/; }"
	}
	if u.Scheme == "https" {
		say("   server { listen %s ssl; ssl_certificate ...; ssl_certificate_key ...; %s", listenAt(u), place)
		say("            default_type application/octet-stream; }")
		say("")
		say("   That is for nginx, its workers run by that user. iPXE, the installer and the booted system all have")
		say("   to trust the certificate.")
		say("")
		return
	}
	if u.Path == "" {
		say("   python3 -m http.server --bind %s --directory out/pxe %s", u.Hostname(), portOf(u))
		say("")
		say("   or with nginx, its workers run by that user:")
	} else {
		say("   With nginx, its workers run by that user:")
	}
	say("")
	say("   server { listen %s; %s default_type application/octet-stream; }", listenAt(u), place)
	say("")
}

// url is the base URL in its parts; check has seen that it has them.
func (t Tree) url() *url.URL {
	u, err := url.Parse(t.BaseURL)
	if err != nil {
		return &url.URL{}
	}
	return u
}

func listenAt(u *url.URL) string { return net.JoinHostPort(u.Hostname(), portOf(u)) }

func portOf(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case u.Scheme == "https":
		return "443"
	default:
		return "80"
	}
}

func (t Tree) sayDHCP(say sayFunc) {
	say("3. Point the machines at it. With dnsmasq, for firmware without iPXE, from Debian's package ipxe:")
	say("")
	say("   enable-tftp")
	say("   tftp-root=/usr/lib/ipxe")
	say("   dhcp-match=set:ipxe,175")
	say("   dhcp-match=set:efi,option:client-arch,7")
	say("   dhcp-boot=tag:!ipxe,tag:!efi,undionly.kpxe")
	say("   dhcp-boot=tag:!ipxe,tag:efi,ipxe.efi")
	say("   dhcp-boot=tag:ipxe,%s/boot.ipxe", t.BaseURL)
	say("")
	for _, m := range t.Machines {
		if m.Pool {
			say("   The machines of pool %s get %s/pool-%s.ipxe instead.", m.Name, t.BaseURL, m.Name)
		}
	}
	say("   Where no other server gives out addresses dnsmasq also needs interface= and dhcp-range=.")
	t.sayLeases(say)
	say("   Only iPXE may be given these URLs. Firmware without it cannot load them, and Debian's installer takes")
	say("   a URL in the DHCP server's answer for the place of its own answers.")
	say("")
	say("   Set the firmware to boot from the disk first and from the network second: a blank disk then")
	say("   leads to the installation, and a machine that is installed boots from its disk.")
	say("")
}

func (t Tree) sayLeases(say sayFunc) {
	leased := slices.DeleteFunc(slices.Clone(t.Machines), func(m Machine) bool { return m.Lease == "" })
	if len(leased) == 0 {
		return
	}
	say("   The spec gives these nodes an address and no network, so the DHCP server has to give them that one:")
	say("")
	for _, m := range leased {
		say("   dhcp-host=%s,%s", m.MAC, m.Lease)
	}
	say("")
}

func (t Tree) sayMatchbox(say sayFunc) {
	if !slices.ContainsFunc(t.Machines, t.byMatchbox) {
		return
	}
	say("   matchbox (0.11 or later) can take the server's place for the nodes that boot with Ignition. It has")
	say("   to listen where the base URL points; the machines get its own %s/boot.ipxe.", t.origin())
	say("")
	say("   matchbox -address=%s -data-path=$PWD/out/pxe/matchbox -assets-path=$PWD/out/pxe/assets", listenAt(t.url()))
	say("")
}

func (t Tree) sayMachines(say sayFunc) {
	say("What is served to whom:")
	say("")
	for _, m := range t.Machines {
		script := "mac/" + hexhyp(m.MAC) + ".ipxe"
		if m.Pool {
			script = "pool-" + m.Name + ".ipxe"
		}
		say("   %s  %s  %s/", script, m.Kernel, layout.Machine(m.Pool, m.Name))
	}
}
