package pxe

import "strings"

// A machine whose script is missing, or whose kernel cannot be fetched, tries again for ever: whoever adds it to the spec,
// or starts the server, need not walk to it. The keys and times are those of the prompts below.

// finder is boot.ipxe. It goes by every interface, since firmware may have booted from another one than the spec names.
func (t Tree) finder() []byte {
	return lines(
		"#!ipxe",
		"# Written by muster. Finds a machine's script by the MAC addresses of its interfaces.",
		"set base "+t.BaseURL,
		":start",
		// Loaded over the network, iPXE has an address; started from a disk, it has none yet.
		"isset ${ip} || dhcp || goto unknown",
		"set nic:int32 0",
		":next",
		"isset ${net${nic}/mac} || goto unknown",
		"echo muster: looking for the script of ${net${nic}/mac}",
		// A script that was found does not come back but by the shell's exit.
		"chain ${base}/mac/${net${nic}/mac:hexhyp}.ipxe && goto start ||",
		"inc nic",
		"goto next",
		":unknown",
		"echo",
		"echo muster: no script at ${base} for this machine",
		"echo MAC addresses: ${net0/mac} ${net1/mac} ${net2/mac} ${net3/mac}",
		"echo Give one of the spec's nodes this mac, run gen again and serve the result. The next try is in 15 seconds.",
		"prompt --key s --timeout 15000 Press s for a shell && shell ||",
		"goto start",
	)
}

// script boots one machine.
func (t Tree) script(m Machine) []byte {
	kind := "node "
	if m.Pool {
		kind = "pool "
	}
	out := []string{
		"#!ipxe",
		"# Written by muster: " + kind + m.Name,
		":start",
		"echo muster: " + kind + m.Name + " boots " + m.Kernel,
		// What an earlier try fetched would be handed to the kernel as well.
		"imgfree",
		"kernel " + t.AssetsURL() + "/" + m.Kernel + " " + strings.Join(m.commandLine(m.Args), " ") + " || goto failed",
	}
	for _, initrd := range m.Initrds {
		out = append(out, "initrd "+t.AssetsURL()+"/"+initrd+" || goto failed")
	}
	return lines(append(out,
		"boot || goto failed",
		":failed",
		"echo",
		"echo muster: "+kind+m.Name+" could not be booted; README.txt beside boot.ipxe says what has to be served",
		"echo The next try is in 15 seconds.",
		"prompt --key s --timeout 15000 Press s for a shell && shell ||",
		"goto start",
	)...)
}

func lines(l ...string) []byte { return []byte(strings.Join(l, "\n") + "\n") }
