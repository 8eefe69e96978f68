// Package pxe makes the tree that boots machines over the network when it is served: iPXE scripts, the machines' documents,
// matchbox's data folder and a README for people. It takes names and bytes and returns bytes, and must not know the cluster
// spec or a node's configuration.
package pxe

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"muster/internal/layout"
)

// File is one file of the tree.
type File struct {
	// Name is the slash-separated path below the folder that is served.
	Name string
	Data []byte
}

// Machine is what one machine, or each machine of a pool, boots over the network.
type Machine struct {
	// Name is the machine's or the pool's name, a DNS-1123 name.
	Name string
	// Pool is true when any number of machines boot the same. They are found by a script of their own, not by a MAC.
	Pool bool
	// MAC is the machine's address, six pairs in lower case with colons; empty for a pool.
	MAC string
	// Lease is the address that DHCP has to give the machine, since the cluster knows it by that; empty where it sets its own.
	Lease string
	// Kernel and Initrds are paths below the folder of the assets. The last parts of a machine's initrds differ.
	Kernel  string
	Initrds []string
	// Args are the kernel's arguments, one parameter each. MatchboxArgs are the same for a machine that matchbox serves.
	Args, MatchboxArgs []string
	// Documents are served beside the script: what the booted system asks for.
	Documents []File
	// Ignition names the document that matchbox serves; empty for a machine without one, which gets no part in matchbox's
	// folder.
	Ignition string
}

// Asset is a file that muster does not bring and that the scripts refer to.
type Asset struct {
	// Path is below the folder of the assets.
	Path string
	// Source tells people where it comes from.
	Source string
}

// Tree is everything that is served for a network boot.
type Tree struct {
	// BaseURL is where the tree is served, as it is: http or https, without a slash at the end.
	BaseURL string
	// Machines are in the order of the spec, unique by kind and name and by MAC.
	Machines []Machine
	// Assets are what people have to put into the tree.
	Assets []Asset
}

// AssetsURL is the folder of kernels, initrds and images: the same for a plain HTTP server and for matchbox, which serves
// its own assets under this name.
func (t Tree) AssetsURL() string { return t.BaseURL + "/assets" }

// DocumentsURL is the folder of a machine's or a pool's documents, without a slash at the end.
func (t Tree) DocumentsURL(pool bool, name string) string {
	return t.BaseURL + "/" + layout.Machine(pool, name)
}

// MatchboxIgnitionURL is where matchbox, listening at the base URL's host, serves the Ignition document of the machine with
// this MAC. It knows no other folder than the root.
func (t Tree) MatchboxIgnitionURL(mac string) string {
	return t.origin() + "/ignition?mac=" + hexhyp(mac)
}

// origin is the base URL without its path.
func (t Tree) origin() string {
	u := t.url()
	return u.Scheme + "://" + u.Host
}

// hexhyp is a MAC address in the form that iPXE calls by this name.
func hexhyp(mac string) string { return strings.ReplaceAll(mac, ":", "-") }

// Files returns the tree, below the folder that is served at BaseURL: the scripts, the documents, matchbox's data folder
// and a README.txt that says what to add and how to serve it. Equal values give equal bytes.
//
// What a script or a kernel's command line would read as something else is an error that names the machine; all of them
// are reported together (errors.Join).
func (t Tree) Files() ([]File, error) {
	if err := t.check(); err != nil {
		return nil, err
	}
	files := []File{{Name: "README.txt", Data: t.readme()}, {Name: "boot.ipxe", Data: t.finder()}}
	for _, m := range t.Machines {
		script := "mac/" + hexhyp(m.MAC) + ".ipxe"
		if m.Pool {
			script = "pool-" + m.Name + ".ipxe"
		}
		files = append(files, File{Name: script, Data: t.script(m)})
		for _, d := range m.Documents {
			files = append(files, File{Name: path.Join(layout.Machine(m.Pool, m.Name), d.Name), Data: d.Data})
		}
		matchbox, err := t.matchbox(m)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m.Name, err)
		}
		files = append(files, matchbox...)
	}
	return files, nil
}

// commandLineLimit is the longest command line in bytes that the kernels of x86 and arm64 take: their COMMAND_LINE_SIZE is
// 2048 with the zero at the end, and the rest is cut off without a word.
const commandLineLimit = 2047

var (
	// plainBase are the base URLs that need quoting nowhere: not in iPXE, not on a kernel's command line (where cloud-init
	// takes ds=nocloud-net;s=... apart at semicolons), not in a shell and not in a unit (where % is special).
	plainBase = regexp.MustCompile(`^https?://[A-Za-z0-9.:\[\]_~/-]*[A-Za-z0-9.:\[\]_~-]$`)
	// plainArg are the parameters that iPXE and the kernel hand on as they are: iPXE takes a line apart at white space and
	// expands ${...}, the kernel groups by double quotes.
	plainArg = regexp.MustCompile(`^[A-Za-z0-9_.:/?=,;@%+~*()<>\[\]!|&-]+$`)
	// plainPath are asset paths that are parts of a URL as they are.
	plainPath = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._+~-]*(/[A-Za-z0-9_][A-Za-z0-9._+~-]*)*$`)
	plainName = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$`)
	plainMAC  = regexp.MustCompile(`^[0-9a-f]{2}(:[0-9a-f]{2}){5}$`)
)

func (t Tree) check() error {
	if err := CheckBaseURL(t.BaseURL); err != nil {
		return err
	}
	var problems []error
	for _, m := range t.Machines {
		for _, err := range m.Problems() {
			problems = append(problems, fmt.Errorf("%s: %w", m.Name, err))
		}
	}
	return errors.Join(problems...)
}

// OwnMAC stands on a pool's command line for the MAC address of whichever machine boots; iPXE puts it in.
const OwnMAC = "${net0/mac:hexhyp}"

// CheckBaseURL tells what keeps a base URL out of scripts and command lines.
func CheckBaseURL(base string) error {
	if !plainBase.MatchString(base) {
		return errors.New("the base URL stands in iPXE scripts, kernel command lines and shell scripts; write it with letters, digits and . : / - _ ~ only")
	}
	return nil
}

// Problems are what keeps a machine from a script that says what is meant.
func (m Machine) Problems() []error {
	var out []error
	refuse := func(format string, args ...any) { out = append(out, fmt.Errorf(format, args...)) }
	if !plainName.MatchString(m.Name) {
		refuse("%q is no DNS name", m.Name)
	}
	if !m.Pool && !plainMAC.MatchString(m.MAC) {
		refuse("%q is no MAC address; write it like 52:54:00:12:34:56", m.MAC)
	}
	names := map[string]bool{}
	for i, asset := range append([]string{m.Kernel}, m.Initrds...) {
		if !plainPath.MatchString(asset) {
			refuse("%q is no path of a kernel or initrd; write it relative, with letters, digits and . _ + ~ - only", asset)
		}
		// An initrd is known by the last part of its path, in iPXE and on the command line.
		if base := path.Base(asset); i > 0 && names[base] {
			refuse("two initrds are called %s; give one another name", base)
		} else if i > 0 {
			names[base] = true
		}
	}
	for _, arg := range slices.Concat(m.Args, m.MatchboxArgs) {
		if m.Pool {
			arg = strings.ReplaceAll(arg, OwnMAC, "")
		}
		if !plainArg.MatchString(arg) || arg == "||" || arg == "&&" || arg == ";" {
			refuse("the kernel argument %q has blanks, quotes or characters that iPXE reads as something else; write one parameter an item, without them", arg)
		}
	}
	if n := max(m.commandLineSize(m.Args), m.commandLineSize(m.MatchboxArgs)); n > commandLineLimit {
		refuse("the kernel's command line has %d bytes, and a kernel takes %d; shorten the profile's arguments", n, commandLineLimit)
	}
	return out
}

func (m Machine) commandLineSize(args []string) int {
	return len(strings.Join(m.commandLine(args), " "))
}

// commandLine is what the kernel is told. Kernels that are started by UEFI find their initrds by these names.
func (m Machine) commandLine(args []string) []string {
	var line []string
	for _, initrd := range m.Initrds {
		line = append(line, "initrd="+path.Base(initrd))
	}
	return append(line, args...)
}
