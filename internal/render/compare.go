package render

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"muster/internal/node"
	"muster/internal/problem"
)

// carried reduces a configuration to what a document of the format says, in one order and one way to write it, so that
// two of them can be compared. It works on copies.
func carried(format string, cfg node.Config) node.Config {
	out := node.Config{InstanceID: cfg.InstanceID, Hostname: cfg.Hostname, Start: cfg.Start, Done: cfg.Done}
	for _, f := range cfg.Files {
		out.Files = append(out.Files, node.File{Path: f.Path, Mode: f.Mode, Owner: cmp.Or(f.Owner, "root"), Group: cmp.Or(f.Group, "root"), Contents: f.Contents})
	}
	for _, p := range cfg.Programs {
		p.At = problem.At{}
		out.Programs = append(out.Programs, p)
	}
	for _, u := range cfg.Units {
		u.At = problem.At{}
		if u.Name == cfg.Start {
			u.Enabled = new(true)
		}
		u.DropIns = slices.SortedFunc(slices.Values(u.DropIns), func(a, b node.DropIn) int { return cmp.Compare(a.Name, b.Name) })
		out.Units = append(out.Units, u)
	}
	for _, u := range cfg.Users {
		u.At = problem.At{}
		u.Groups, u.SSHAuthorizedKeys = some(u.Groups), some(u.SSHAuthorizedKeys)
		out.Users = append(out.Users, u)
	}
	if cfg.Network != nil {
		out.Network = carriedNetwork(*cfg.Network)
	}
	if format == Ignition {
		out.InstanceID, out.Start, out.Done = "", "", ""
	}
	return out
}

func carriedNetwork(n node.Network) *node.Network {
	out := &node.Network{Ethernets: slices.Clone(n.Ethernets), Bonds: slices.Clone(n.Bonds), VLANs: slices.Clone(n.VLANs)}
	for i := range out.Ethernets {
		carriedLink(&out.Ethernets[i].Link)
	}
	for i := range out.Bonds {
		carriedLink(&out.Bonds[i].Link)
		out.Bonds[i].Interfaces = slices.Sorted(slices.Values(out.Bonds[i].Interfaces))
	}
	for i := range out.VLANs {
		carriedLink(&out.VLANs[i].Link)
	}
	return out
}

func carriedLink(l *node.Link) {
	l.At = problem.At{}
	l.Addresses, l.Routes, l.Nameservers, l.Search = some(l.Addresses), some(slices.Clone(l.Routes)), some(l.Nameservers), some(l.Search)
	for i := range l.Routes {
		l.Routes[i].At = problem.At{}
	}
}

// some returns list, or nil for an empty one.
func some[T any](list []T) []T {
	if len(list) == 0 {
		return nil
	}
	return list
}

// differences names what differs between two configurations that carried returned, never by its contents.
func differences(meant, read node.Config) []string {
	var all []string
	if meant.InstanceID != read.InstanceID || meant.Hostname != read.Hostname || meant.Start != read.Start || meant.Done != read.Done {
		all = append(all, "the instance-id, the hostname, the first unit or the file that stands when all is done")
	}
	all = append(all, compare("file", meant.Files, read.Files, func(f node.File) string { return f.Path }, sameFile)...)
	all = append(all, compare("program", meant.Programs, read.Programs, func(p node.Program) string { return p.Path }, equal)...)
	all = append(all, compare("unit", meant.Units, read.Units, func(u node.Unit) string { return u.Name }, equal)...)
	all = append(all, compare("user", meant.Users, read.Users, func(u node.User) string { return u.Name }, equal)...)
	if (meant.Network == nil) != (read.Network == nil) {
		return append(all, "the network as a whole")
	}
	if meant.Network != nil {
		a, b := meant.Network, read.Network
		all = append(all, compare("interface", a.Ethernets, b.Ethernets, func(e node.Ethernet) string { return e.Name }, equal)...)
		all = append(all, compare("bond", a.Bonds, b.Bonds, func(b node.Bond) string { return b.Name }, equal)...)
		all = append(all, compare("vlan", a.VLANs, b.VLANs, func(v node.VLAN) string { return v.Name }, equal)...)
	}
	return all
}

// compare names, sorted, what is in only one of two lists or is not the same in both.
func compare[T any](kind string, meant, read []T, name func(T) string, same func(a, b T) bool) []string {
	left := map[string]T{}
	for _, v := range meant {
		left[name(v)] = v
	}
	differing := map[string]bool{}
	for _, v := range read {
		other, both := left[name(v)]
		if !both || !same(other, v) {
			differing[name(v)] = true
		}
		delete(left, name(v))
	}
	for n := range left {
		differing[n] = true
	}
	if len(meant) != len(read) && len(differing) == 0 {
		return []string{"the number of " + kind + "s"}
	}
	var all []string
	for _, n := range slices.Sorted(maps.Keys(differing)) {
		all = append(all, fmt.Sprintf("%s %q", kind, n))
	}
	return all
}

func equal[T any](a, b T) bool { return reflect.DeepEqual(a, b) }

func sameFile(a, b node.File) bool {
	return bytes.Equal(a.Contents, b.Contents) && a.Mode == b.Mode && a.Owner == b.Owner && a.Group == b.Group
}
