// Package netboot decides what machines boot over the network and what is served to them: it puts the values of a machine
// into the texts of its profile's pxe block, and makes the documents of a system that installs another. The files that come
// of it are those of package pxe. It writes nothing.
package netboot

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"muster/internal/decode"
	"muster/internal/media/pxe"
	"muster/internal/node"
	"muster/internal/plan"
	"muster/internal/problem"
	"muster/internal/render"
	"muster/profiles"
)

// installFolder is where a system that installs another finds the documents of the machine to be.
const installFolder = "/etc/muster/install"

// Plan gathers what is served, machine by machine. What is wrong goes to the problems, at the lines of the spec.
type Plan struct {
	base     decode.Value[string]
	encode   Encode
	problems *problem.List
	tree     pxe.Tree
}

// Encode makes the document of a configuration in the format of a machine's profile.
type Encode func(plan.Machine, node.Config) (render.Document, error)

// New is a plan for what is served at a base URL. Nothing is where the spec has none.
func New(base decode.Value[string], encode Encode, problems *problem.List) *Plan {
	return &Plan{base: base, encode: encode, problems: problems, tree: pxe.Tree{BaseURL: base.V}}
}

// Add adds what a machine boots over the network, when the spec asks for that; doc is the machine's own document.
func (p *Plan) Add(m plan.Machine, doc render.Document) error {
	if !p.base.Set {
		return nil
	}
	if err := pxe.CheckBaseURL(p.base.V); err != nil {
		p.problems.Errorf(p.base.At, "", "%v", err)
		return nil
	}
	if m.Target.Node != nil && !m.Target.Node.MAC.Set {
		p.problems.Noticef(m.Config.At, "%s has no mac, so no PXE script finds it, and its document is not served", m.Config.Name)
		return nil
	}
	way, ok := p.way(m)
	if !ok {
		return nil
	}
	if architecture := m.Target.Architecture; architecture.V != "amd64" {
		p.problems.Noticef(architecture.At.Or(m.Config.At), "%s is %s: serve builds for it under the names of the profile's assets, and give its firmware an iPXE for it; "+
			"the sources and DHCP options in the README of the tree are those of amd64", m.Config.Name, architecture.V)
	}
	p.checkNetwork(m, doc)
	w := words{Plan: p, machine: m}
	served := doc
	if installs(m) {
		var err error
		if served, err = w.installer(way, doc); err != nil {
			return err
		}
	}
	boot := w.boot(way, served)
	for _, err := range boot.Problems() {
		p.problems.Errorf(m.Config.At, "", "%s cannot boot over the network: %v", m.Config.Name, err)
	}
	p.tree.Machines = append(p.tree.Machines, boot)
	p.addAssets(way)
	return nil
}

// boot is what the machine boots and is served.
func (w words) boot(way profiles.NetBoot, served render.Document) pxe.Machine {
	c := w.machine.Config
	b := pxe.Machine{Name: c.Name, Pool: c.Pool, Kernel: way.Kernel.V, Initrds: decode.Strings(way.Initrds)}
	if n := w.machine.Target.Node; n != nil {
		b.MAC = n.MAC.V
		if _, static := w.machine.Target.StaticAddress(); !static {
			b.Lease = n.Address.V
		}
	}
	b.Documents, b.Ignition = documentsOf(served)
	hostname := c.Hostname
	if c.Pool {
		hostname = c.Name + "-" + pxe.OwnMAC
		if longest := 63 - len("-52-54-00-12-34-56"); len(c.Name) > longest {
			w.problems.Errorf(c.At, fmt.Sprintf("give the pool a name of %d letters at most", longest), "the name of pool %s and a MAC address are too long for a host name", c.Name)
		}
	}
	config := w.tree.DocumentsURL(b.Pool, b.Name) + "/" + b.Ignition
	for _, arg := range way.Args.Items {
		b.Args = append(b.Args, w.fill("args", arg.V, "{instance}", w.instance(), "{hostname}", hostname, "{config}", config))
		b.MatchboxArgs = append(b.MatchboxArgs, w.fill("args", arg.V, "{instance}", w.instance(), "{hostname}", hostname, "{config}", w.tree.MatchboxIgnitionURL(b.MAC)))
	}
	return b
}

// installs reports whether the operating system is to be written to the machine's disk.
func installs(m plan.Machine) bool { return m.Target.Node != nil && m.Target.Node.Disk.Set }

// way chooses between the profile's two ways of booting over the network.
func (p *Plan) way(m plan.Machine) (profiles.NetBoot, bool) {
	boot, install := m.Profile.PXE.Boot, m.Profile.PXE.Install
	profile := m.Target.Profile
	switch {
	case !boot.Known() && !install.Known():
		p.problems.Errorf(profile.At.Or(m.Config.At), "name a profile that does, leave its mac out, or leave pxe out",
			"profile %s does not say how %s boots over the network", profile.V, m.Config.Name)
	case installs(m) && !install.Known():
		p.problems.Errorf(m.Target.Node.Disk.At, "leave disk out to run it from the network, or install it otherwise and leave its mac out",
			"profile %s installs nothing over the network", profile.V)
	case !installs(m) && !boot.Known():
		p.problems.Errorf(m.Config.At, "write disk: /dev/vda, or leave its mac out",
			"profile %s only installs over the network, and %s names no disk", profile.V, m.Config.Name)
	case installs(m):
		return install, true
	default:
		instead := "let its image keep /etc, /opt and /var on a disk"
		if install.Known() && !m.Config.Pool {
			instead = "write disk: /dev/vda, which the operating system is then installed to"
		}
		p.problems.Warnf(m.Config.At, instead,
			"%s runs from memory: after a reboot it has forgotten the cluster, and the rendezvous refuses a machine that has joined already", m.Config.Name)
		return boot, true
	}
	return profiles.NetBoot{}, false
}

// checkNetwork refuses a static network for a system that cloud-init sets up in memory. Its interface is in use since the
// root file system was fetched, so cloud-init (22.4) can neither rename it nor, where it was to be renamed, go on; and it does not fetch
// network-config with the other documents.
func (p *Plan) checkNetwork(m plan.Machine, doc render.Document) {
	static := slices.ContainsFunc(doc.Files, func(f render.File) bool { return f.Name == render.NetworkConfig })
	if !static || installs(m) {
		return
	}
	p.problems.Errorf(m.Target.Network.At.Or(m.Config.At), "write disk: /dev/vda, or leave network out and let the DHCP server know the address",
		"%s runs from memory and keeps the network that DHCP gives it while it boots", m.Config.Name)
}

// addAssets notes what people have to serve beside our own files, each once.
func (p *Plan) addAssets(way profiles.NetBoot) {
	for _, asset := range slices.Concat([]string{way.Kernel.V}, decode.Strings(way.Initrds), decode.Strings(way.Assets)) {
		entry := pxe.Asset{Path: asset, Source: way.Source.V}
		if !slices.ContainsFunc(p.tree.Assets, func(a pxe.Asset) bool { return a.Path == asset }) {
			p.tree.Assets = append(p.tree.Assets, entry)
		}
	}
}

// Files are those of the folder that is served; none where nothing boots over the network, or something is wrong.
func (p *Plan) Files() ([]pxe.File, error) {
	if len(p.tree.Machines) == 0 || p.problems.Failed() {
		return nil, nil
	}
	return p.tree.Files()
}

// documentsOf are what the machine is served, and the name of the one that Ignition asks for.
func documentsOf(doc render.Document) (files []pxe.File, ignition string) {
	for _, f := range doc.Files {
		files = append(files, pxe.File{Name: f.Name, Data: f.Data})
		if f.Name == render.IgnitionConfig {
			ignition = f.Name
		}
	}
	if ignition == "" {
		// cloud-init asks for it, and may wait where a server does not simply answer that there is none.
		files = append(files, pxe.File{Name: "vendor-data"})
	}
	return files, ignition
}

// words puts a machine's values into the texts of its profile.
type words struct {
	*Plan
	machine plan.Machine
}

// instance is cloud-init's instance-id of the system that boots over the network.
func (w words) instance() string {
	if installs(w.machine) {
		return w.machine.Config.InstanceID + ".install"
	}
	return w.machine.Config.InstanceID
}

// unfilled finds words that fill left; ${name} belongs to a shell.
var unfilled = regexp.MustCompile(`(?:^|[^$])(\{[a-z]+\})`)

// fill replaces the words of profiles.PXE. One that means nothing for the machine is refused.
func (w words) fill(field, text string, more ...string) string {
	c := w.machine.Config
	pairs := []string{"{assets}", w.tree.AssetsURL(), "{documents}", w.tree.DocumentsURL(c.Pool, c.Name)}
	if installs(w.machine) {
		pairs = append(pairs, "{disk}", w.machine.Target.Node.Disk.V)
	}
	out := strings.NewReplacer(append(pairs, more...)...).Replace(text)
	if left := unfilled.FindStringSubmatch(out); left != nil {
		w.problems.Errorf(w.machine.Target.Profile.At.Or(c.At), "see the profile's pxe block",
			"profile %s: pxe: %s: %s means nothing for %s", w.machine.Target.Profile.V, field, left[1], c.Name)
	}
	return out
}

// installer encodes the system that installs another: what the profile says, and the documents of the machine to be.
func (w words) installer(way profiles.NetBoot, doc render.Document) (render.Document, error) {
	m := w.machine
	if len(way.Units.Items) == 0 {
		w.problems.Errorf(m.Target.Profile.At.Or(m.Config.At), "add the unit that installs the system",
			"profile %s: pxe.install.units is empty", m.Target.Profile.V)
		return render.Document{}, nil
	}
	cfg := node.Config{Name: m.Config.Name, InstanceID: w.instance(), Hostname: m.Config.Hostname, At: m.Config.At,
		Start: way.Units.Items[0].Name.V, Done: m.Config.Done}
	for _, f := range way.Files.Items {
		cfg.Files = append(cfg.Files, node.File{Path: f.Path.V, Mode: w.mode(f), Contents: []byte(w.fill(f.Path.V, f.Contents.V))})
	}
	for _, f := range doc.Files {
		cfg.Files = append(cfg.Files, node.File{Path: path.Join(installFolder, f.Name), Mode: 0o600, Contents: f.Data, Secret: true})
	}
	for _, u := range way.Units.Items {
		unit := node.Unit{Name: u.Name.V, Contents: w.fill(u.Name.V, u.Contents.V)}
		if u.Enabled.Set {
			unit.Enabled = &u.Enabled.V
		}
		for _, d := range u.DropIns.Items {
			unit.DropIns = append(unit.DropIns, node.DropIn{Name: d.Name.V, Contents: w.fill(d.Name.V, d.Contents.V)})
		}
		cfg.Units = append(cfg.Units, unit)
	}
	out, err := w.encode(m, cfg)
	var refused *render.Refused
	if !errors.As(err, &refused) {
		return out, err
	}
	for _, r := range refused.Problems {
		w.problems.Errorf(m.Target.Profile.At.Or(m.Config.At), r.Instead, "profile %s: pxe.install: %s", m.Target.Profile.V, r.Message)
	}
	return render.Document{}, nil
}

// mode reads the mode of a file of the profile, 0644 unless it sets one.
func (w words) mode(f profiles.File) fs.FileMode {
	if !f.Mode.Set {
		return 0o644
	}
	mode, err := strconv.ParseUint(f.Mode.V, 8, 9)
	if err != nil {
		w.problems.Errorf(w.machine.Target.Profile.At.Or(w.machine.Config.At), "write it like \"0755\"",
			"profile %s: pxe.install: %s: %q is no mode", w.machine.Target.Profile.V, f.Path.V, f.Mode.V)
	}
	return fs.FileMode(mode)
}
