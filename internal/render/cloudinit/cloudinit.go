// Package cloudinit owns the three documents of a machine that boots with cloud-init: user-data, meta-data and
// network-config. It turns the neutral configuration into them and reads them back by the rules of cloud-init's own
// reader, from 19.4 under Python 2.7 (CentOS 7) to today's. It knows nothing of specs, profiles and boot media, and
// decides nothing that the configuration leaves open.
//
// What happens on the machine, in this order, and what a loss of power costs:
//
//  0. Every boot, and before anything else, programs put themselves in their places as long as the machine is not done:
//     they are parts of their own in user-data, because YAML's reader would take seconds for them. See program.
//  1. Every boot, as long as the machine is not done, bootcmd starts a machine again whose network's files cloud-init was
//     kept from writing. It then compares the files with what the document says, and makes cloud-init repeat the modules
//     below when anything is missing: cloud-init marks a module as run before running it and syncs nothing, so it would
//     never repair a cut by itself.
//  2. write_files writes the files and the units, all owned by root: it runs before users exist.
//  3. The static hostname is set, then the users are made.
//  4. runcmd gives files to their owners, reloads systemd, applies the units' states and starts the first unit. Enabling
//     that unit comes last, so a machine that has it enabled has everything before it.
//
// A configuration of more than payload.Limit bytes is compressed as a whole: see pack.
//
// A machine without static network has no network-config: cloud-init then asks DHCP on its first interface, which says
// less that can be wrong than any interface name we could write down.
package cloudinit

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"muster/internal/node"
	"muster/internal/problem"
	"muster/internal/render/payload"
)

// Documents are the bytes of one machine's or pool's documents. NetworkConfig is nil for a machine that uses DHCP.
type Documents struct {
	UserData, MetaData, NetworkConfig []byte
}

// Encode writes cfg, which has been checked by package render, as cloud-init's documents. What cloud-init cannot express
// goes to refused, with the place in the spec; the documents are then of no use. An error means that the encoder itself
// failed.
func Encode(cfg node.Config, refused *problem.List) (Documents, error) {
	refuse(cfg, refused)
	if refused.Failed() {
		return Documents{}, nil
	}
	var docs Documents
	configuration, err := encodeConfiguration(cfg)
	if err != nil {
		return Documents{}, fmt.Errorf("user-data: %w", err)
	}
	docs.UserData = withPrograms(configuration, cfg.Programs, cfg.Done)
	if docs.MetaData, err = marshal(metaData{InstanceID: text(cfg.InstanceID), LocalHostname: text(cfg.Hostname)}); err != nil {
		return Documents{}, fmt.Errorf("meta-data: %w", err)
	}
	if cfg.Network != nil {
		if docs.NetworkConfig, err = marshal(networkConfigOf(*cfg.Network)); err != nil {
			return Documents{}, fmt.Errorf("network-config: %w", err)
		}
	}
	return docs, nil
}

// encodeConfiguration returns user-data with texts as they are, or packed where that is too large for some platform. Only
// where packed user-data is too large for the machine's own platform, and that takes any bytes, it is bare gzip: base64
// costs a third.
func encodeConfiguration(cfg node.Config) ([]byte, error) {
	readable, shared, err := userDataOf(cfg).marshal()
	if err != nil {
		return nil, err
	}
	if len(readable) <= payload.Limit {
		return readable, nil
	}
	compressed := payload.Gzip(readable, shared)
	switch packed := pack(compressed); {
	case cfg.TakesBinary && len(packed) > cfg.UserDataLimit && len(cfg.Programs) == 0: // a program makes a MIME message, which is text
		return compressed, nil
	case len(packed) < len(readable):
		return packed, nil
	default:
		return readable, nil
	}
}

// refuse reports what Ignition can express and cloud-init cannot.
func refuse(cfg node.Config, refused *problem.List) {
	home := func(path string, at problem.At) {
		if strings.HasPrefix(path, "/home/") {
			refused.Errorf(at, "write it elsewhere and copy it with a command",
				"%s cannot be written by cloud-init: files come before users, and the home folder would stay root's", path)
		}
	}
	for _, f := range cfg.Files {
		home(f.Path, f.At)
	}
	for _, p := range cfg.Programs {
		home(p.Path, p.At)
	}
	if cfg.Network == nil || cfg.Netplan {
		return
	}
	for _, l := range links(*cfg.Network) {
		refuseLink(l, refused)
	}
}

// refuseLink reports what is lost when cloud-init itself writes the network's files: in the ways of ifupdown (eni) and of
// CentOS (sysconfig) all of these, to this day.
func refuseLink(l node.Link, refused *problem.List) {
	for _, r := range l.Routes {
		switch {
		case r.Metric != 0:
			instead := "leave the metric out"
			if r.To.Bits() == 0 { // beside a gateway there is no other without a metric
				instead = "leave the route out, or have no other default route and leave the metric out"
			}
			refused.Errorf(r.At.Or(l.At), instead, "interface %s: the metric of route %s is lost by this profile's cloud-init", l.Name, r.To)
		case r.OnLink:
			refused.Errorf(r.At.Or(l.At), "give the interface an address in the network of "+r.Via.String(),
				"interface %s: that %s is on-link is lost by this profile's cloud-init", l.Name, r.Via)
		}
	}
	if l.DHCPWithoutDNS {
		refused.Errorf(l.At, "write addresses in place of dhcp4",
			"interface %s: this profile's cloud-init cannot keep the nameservers that DHCP gives it from taking the place of those that the network has", l.Name)
	}
	if l.Optional {
		refused.Errorf(l.At, "leave optional out", "interface %s: this profile's cloud-init loses that it is optional", l.Name)
	}
}

// diskFile is one file as it will lie on the disk.
type diskFile struct {
	path, owner, group string
	mode               uint32
	contents           []byte
}

// diskFiles returns everything that write_files writes, in order: the files, then units and drop-ins.
func diskFiles(cfg node.Config) []diskFile {
	files := slices.Clone(cfg.Files)
	for _, u := range cfg.Units {
		files = append(files, u.Files()...)
	}
	all := make([]diskFile, len(files))
	for i, f := range files {
		all[i] = diskFile{f.Path, cmp.Or(f.Owner, root), cmp.Or(f.Group, root), uint32(f.Mode.Perm()), f.Contents}
	}
	return all
}

// root is the user and the group that own a file which names no others.
const root = "root"

// links returns what all interfaces have in common.
func links(n node.Network) []node.Link {
	var all []node.Link
	for _, e := range n.Ethernets {
		all = append(all, e.Link)
	}
	for _, b := range n.Bonds {
		all = append(all, b.Link)
	}
	for _, v := range n.VLANs {
		all = append(all, v.Link)
	}
	return all
}

// marshal is YAML with an indentation of two.
func marshal(document any) ([]byte, error) {
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(document); err != nil {
		return nil, err
	}
	if err := e.Close(); err != nil {
		return nil, err
	}
	return slices.Clip(b.Bytes()), nil
}
