// Package node owns the neutral description of one machine, or of one pool of machines: what lies on its disk, which
// units run, who may log in and how its network is set up. A plan makes it, and the encoders turn it into cloud-init or
// Ignition. Both get the same, though Ignition has no use for InstanceID, Done, TakesBinary and Netplan. The package imports
// nothing of ours but the type of a place, so that a problem which an encoder finds is reported at the line of the spec
// that caused it.
package node

import (
	"io/fs"
	"net/netip"
	"regexp"

	"muster/internal/problem"
)

// Config is everything that goes into one document. All slices are in the order in which they are written.
type Config struct {
	// Name is the node's or the pool's name, unique within its kind.
	Name string
	// Pool is true when any number of machines boot from the document; it then sets no hostname.
	Pool bool
	// InstanceID is cloud-init's instance-id: it never changes with the spec, since a new one would run everything again.
	InstanceID string
	// Hostname is the static hostname; empty leaves it to the platform.
	Hostname string

	Files    []File
	Programs []Program
	Units    []Unit
	Users    []User
	Network  *Network

	// Start is the unit that the document starts at the machine's first boot and that later boots start by themselves.
	Start string
	// Done is the path of a file that exists once the machine is set up: nothing is repaired after that.
	Done string

	// UserDataLimit is how many bytes of user data the machine's platform takes; 0 is any number.
	UserDataLimit int
	// TakesBinary is true if the platform accepts user data that is not text, so that bare gzip may be used.
	TakesBinary bool
	// Netplan is true if the machine's cloud-init hands the network to netplan, as it is, and does not write files of its
	// own idea of it.
	Netplan bool

	// At is the place of the node or pool in the spec.
	At problem.At
}

// File is one file on the machine. Folders above it are made as needed (root:root, 0755).
type File struct {
	// Path is absolute and clean.
	Path string
	Mode fs.FileMode
	// Owner and Group are names; empty means root.
	Owner, Group string
	Contents     []byte
	// Secret marks contents that must not be shown by diff, explain or an error.
	Secret bool
	// Template names the file of the templates folder that the contents come from; empty for encoded structures.
	Template string
	// Source names the file beside the spec that the contents were read from, as the spec does; empty for all others.
	Source string
	// At is the line of the spec that caused the file; unknown for what every machine gets.
	At problem.At
}

// Program is one executable of several megabytes, owned by root. It is apart from files because it arrives another way:
// as text inside a document's structure it would cost its readers seconds at every boot.
type Program struct {
	// Path is absolute and clean. Folders above it are made as needed (root:root, 0755).
	Path string
	Mode fs.FileMode
	// Gzip is the program compressed with gzip, and is carried as it is.
	Gzip []byte
	// SHA256 is the digest of the uncompressed program, in lower-case hexadecimal.
	SHA256 string
	// Size is that of the uncompressed program in bytes.
	Size int64
	// At is the line of the spec that caused the program; unknown for what every control plane gets.
	At problem.At
}

// Unit is one systemd unit. A unit with neither contents nor drop-ins names one that the operating system brings.
type Unit struct {
	Name     string
	Contents string
	DropIns  []DropIn
	// Enabled: nil leaves the unit as the operating system has it.
	Enabled *bool
	Mask    bool
	At      problem.At
}

// DropIn is a file in the unit's .d folder.
type DropIn struct {
	Name     string
	Contents string
}

// UnitFolder is where the administrator's units are on every machine; systemd reads it before the operating system's own.
const UnitFolder = "/etc/systemd/system/"

// Files are the unit's own file, if it has one, and its drop-ins, as they are on the machine.
func (u Unit) Files() []File {
	var all []File
	add := func(name, contents string) {
		all = append(all, File{Path: UnitFolder + name, Mode: 0o644, Contents: []byte(contents), At: u.At})
	}
	if u.Contents != "" {
		add(u.Name, u.Contents)
	}
	for _, d := range u.DropIns {
		add(u.Name+".d/"+d.Name, d.Contents)
	}
	return all
}

// User is someone who may log in.
type User struct {
	Name string
	// PasswordHash is a crypt(3) hash; empty locks the password.
	PasswordHash      string
	SSHAuthorizedKeys []string
	Groups            []string
	Shell             string
	At                problem.At
}

// Network is the machine's static network in netplan's terms. A nil Network leaves the machine to DHCP.
type Network struct {
	Ethernets []Ethernet
	Bonds     []Bond
	VLANs     []VLAN
}

// Link is what every kind of interface has.
type Link struct {
	// Name is the interface's name in the system, and the name that bonds and VLANs refer to it by.
	Name  string
	DHCP4 bool
	// DHCPMetric is the metric of the routes that DHCP gives; 0 leaves the system's.
	DHCPMetric int
	// DHCPWithoutDNS is true if the nameservers that DHCP gives are not used.
	DHCPWithoutDNS bool
	// Optional is true if the machine's start does not wait for the interface.
	Optional    bool
	Addresses   []netip.Prefix
	Gateway     netip.Addr
	Routes      []Route
	Nameservers []netip.Addr
	Search      []string
	// MTU in bytes; 0 leaves the kernel's.
	MTU int
	At  problem.At
}

// Ethernet is a physical interface, found by its name or, if set, by its MAC address (lower case, colons).
type Ethernet struct {
	Link
	MAC string
}

// Bond joins several interfaces.
type Bond struct {
	Link
	Interfaces []string
	// Mode is the kernel's bonding mode (active-backup, 802.3ad, …).
	Mode string
	// MIIMonitorMillis is the link check interval in milliseconds; 0 leaves the kernel's.
	MIIMonitorMillis int
	LACPRate         string
	TransmitHash     string
}

// VLAN is a tagged interface over another.
type VLAN struct {
	Link
	ID     int
	Parent string
}

// Route is one static route.
type Route struct {
	To     netip.Prefix
	Via    netip.Addr
	Metric int
	// OnLink is true if the next hop is reached though it is in no network of the interface.
	OnLink bool
	// At is the place of the route in the spec.
	At problem.At
}

var installWords = regexp.MustCompile(`(?m)^\[Install\]\s*\n(?:[^\[].*\n|\n)*?(?:WantedBy|RequiredBy|UpheldBy|Alias|Also)\s*=\s*\S`)

// Installable reports whether the text of a unit says in [Install] what it is enabled for, as systemctl enable wants.
func Installable(unit string) bool { return installWords.MatchString(unit + "\n") }
