package generate

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
	"muster/internal/layout"
	"muster/internal/media"
	"muster/internal/node"
	"muster/internal/plan"
	"muster/internal/render"
	"muster/profiles"
)

// installFolder is where a system that installs another finds the documents of the machine to be.
const installFolder = "/etc/muster/install"

// netBoot adds what a machine boots over the network, when the spec asks for that.
func (g *generator) netBoot(m plan.Machine, doc render.Document) error {
	base := g.Cluster.Spec.PXE.BaseURL
	if !base.Set {
		return nil
	}
	g.pxe.BaseURL = base.V
	if err := media.CheckBaseURL(base.V); err != nil {
		g.problems.Errorf(base.At, "", "%v", err)
		return nil
	}
	if m.Target.Node != nil && !m.Target.Node.MAC.Set {
		g.problems.Noticef(m.Config.At, "%s has no mac, so no PXE script finds it, and its document is not served", m.Config.Name)
		return nil
	}
	way, ok := g.netWay(m)
	if !ok {
		return nil
	}
	if architecture := m.Target.Architecture; architecture.V != "amd64" {
		g.problems.Noticef(architecture.At.Or(m.Config.At), "%s is %s: serve builds for it under the names of the profile's assets, and give its firmware an iPXE for it; "+
			"the sources and DHCP options in the README of the tree are those of amd64", m.Config.Name, architecture.V)
	}
	g.checkNetwork(m, doc)
	w := netWords{generator: g, machine: m}
	served := doc
	if installs(m) {
		var err error
		if served, err = w.installer(way, doc); err != nil {
			return err
		}
	}
	boot := w.boot(way, served)
	for _, err := range boot.Problems() {
		g.problems.Errorf(m.Config.At, "", "%s cannot boot over the network: %v", m.Config.Name, err)
	}
	g.pxe.Machines = append(g.pxe.Machines, boot)
	g.netAssets(way)
	return nil
}

// boot is what the machine boots and is served.
func (w netWords) boot(way profiles.NetBoot, served render.Document) media.NetBoot {
	c := w.machine.Config
	b := media.NetBoot{Name: c.Name, Pool: c.Pool, Kernel: way.Kernel.V, Initrds: texts(way.Initrds)}
	if n := w.machine.Target.Node; n != nil {
		b.MAC = n.MAC.V
		if _, static := w.machine.Target.StaticAddress(); !static {
			b.Lease = n.Address.V
		}
	}
	b.Documents, b.Ignition = documentsOf(served)
	hostname := c.Hostname
	if c.Pool {
		hostname = c.Name + "-" + media.OwnMAC
		if longest := 63 - len("-52-54-00-12-34-56"); len(c.Name) > longest {
			w.problems.Errorf(c.At, fmt.Sprintf("give the pool a name of %d letters at most", longest), "the name of pool %s and a MAC address are too long for a host name", c.Name)
		}
	}
	config := w.pxe.DocumentsURL(b.Pool, b.Name) + "/" + b.Ignition
	for _, arg := range way.Args.Items {
		b.Args = append(b.Args, w.fill("args", arg.V, "{instance}", w.instance(), "{hostname}", hostname, "{config}", config))
		b.MatchboxArgs = append(b.MatchboxArgs, w.fill("args", arg.V, "{instance}", w.instance(), "{hostname}", hostname, "{config}", w.pxe.MatchboxIgnitionURL(b.MAC)))
	}
	return b
}

// installs reports whether the operating system is to be written to the machine's disk.
func installs(m plan.Machine) bool { return m.Target.Node != nil && m.Target.Node.Disk.Set }

// netWay chooses between the profile's two ways of booting over the network.
func (g *generator) netWay(m plan.Machine) (profiles.NetBoot, bool) {
	boot, install := m.Profile.PXE.Boot, m.Profile.PXE.Install
	profile := m.Target.Profile
	switch {
	case !boot.Known() && !install.Known():
		g.problems.Errorf(profile.At.Or(m.Config.At), "name a profile that does, leave its mac out, or leave pxe out",
			"profile %s does not say how %s boots over the network", profile.V, m.Config.Name)
	case installs(m) && !install.Known():
		g.problems.Errorf(m.Target.Node.Disk.At, "leave disk out to run it from the network, or install it otherwise and leave its mac out",
			"profile %s installs nothing over the network", profile.V)
	case !installs(m) && !boot.Known():
		g.problems.Errorf(m.Config.At, "write disk: /dev/vda, or leave its mac out",
			"profile %s only installs over the network, and %s names no disk", profile.V, m.Config.Name)
	case installs(m):
		return install, true
	default:
		instead := "let its image keep /etc, /opt and /var on a disk"
		if install.Known() && !m.Config.Pool {
			instead = "write disk: /dev/vda, which the operating system is then installed to"
		}
		g.problems.Warnf(m.Config.At, instead,
			"%s runs from memory: after a reboot it has forgotten the cluster, and the rendezvous refuses a machine that has joined already", m.Config.Name)
		return boot, true
	}
	return profiles.NetBoot{}, false
}

// checkNetwork refuses a static network for a system that cloud-init sets up in memory. Its interface is in use since the
// root file system was fetched, so cloud-init (22.4) can neither rename it nor, where it was to be renamed, go on; and it does not fetch
// network-config with the other documents.
func (g *generator) checkNetwork(m plan.Machine, doc render.Document) {
	static := slices.ContainsFunc(doc.Files, func(f render.File) bool { return f.Name == render.NetworkConfig })
	if !static || installs(m) {
		return
	}
	g.problems.Errorf(m.Target.Network.At.Or(m.Config.At), "write disk: /dev/vda, or leave network out and let the DHCP server know the address",
		"%s runs from memory and keeps the network that DHCP gives it while it boots", m.Config.Name)
}

// netAssets notes what people have to serve beside our own files, each once.
func (g *generator) netAssets(way profiles.NetBoot) {
	for _, asset := range slices.Concat([]string{way.Kernel.V}, texts(way.Initrds), texts(way.Assets)) {
		entry := media.Asset{Path: asset, Source: way.Source.V}
		if !slices.ContainsFunc(g.pxe.Assets, func(a media.Asset) bool { return a.Path == asset }) {
			g.pxe.Assets = append(g.pxe.Assets, entry)
		}
	}
}

// texts are the strings of a profile's list.
func texts(l decode.List[decode.Value[string]]) []string {
	var out []string
	for _, item := range l.Items {
		out = append(out, item.V)
	}
	return out
}

// netTree adds the folder that is served.
func (g *generator) netTree() error {
	if len(g.pxe.Machines) == 0 || g.problems.Failed() {
		return nil
	}
	files, err := g.pxe.Files()
	if err != nil {
		return fmt.Errorf("the files of the network boot: %w", err)
	}
	for _, f := range files {
		g.add(path.Join(layout.PXE, f.Name), f.Data)
	}
	return nil
}

// documentsOf are what the machine is served, and the name of the one that Ignition asks for.
func documentsOf(doc render.Document) (files []media.File, ignition string) {
	for _, f := range doc.Files {
		files = append(files, media.File{Name: f.Name, Data: f.Data})
		if f.Name == render.IgnitionConfig {
			ignition = f.Name
		}
	}
	if ignition == "" {
		// cloud-init asks for it, and may wait where a server does not simply answer that there is none.
		files = append(files, media.File{Name: "vendor-data"})
	}
	return files, ignition
}

// netWords puts a machine's values into the texts of its profile.
type netWords struct {
	*generator
	machine plan.Machine
}

// instance is cloud-init's instance-id of the system that boots over the network.
func (w netWords) instance() string {
	if installs(w.machine) {
		return w.machine.Config.InstanceID + ".install"
	}
	return w.machine.Config.InstanceID
}

// unfilled finds words that fill left; ${name} belongs to a shell.
var unfilled = regexp.MustCompile(`(?:^|[^$])(\{[a-z]+\})`)

// fill replaces the words of profiles.PXE. One that means nothing for the machine is refused.
func (w netWords) fill(field, text string, more ...string) string {
	c := w.machine.Config
	words := []string{"{assets}", w.pxe.AssetsURL(), "{documents}", w.pxe.DocumentsURL(c.Pool, c.Name)}
	if installs(w.machine) {
		words = append(words, "{disk}", w.machine.Target.Node.Disk.V)
	}
	out := strings.NewReplacer(append(words, more...)...).Replace(text)
	if left := unfilled.FindStringSubmatch(out); left != nil {
		w.problems.Errorf(w.machine.Target.Profile.At.Or(c.At), "see the profile's pxe block",
			"profile %s: pxe: %s: %s means nothing for %s", w.machine.Target.Profile.V, field, left[1], c.Name)
	}
	return out
}

// installer encodes the system that installs another: what the profile says, and the documents of the machine to be.
func (w netWords) installer(way profiles.NetBoot, doc render.Document) (render.Document, error) {
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
	out, err := render.Encode(m.Profile.Format.V, butaneOf(m), cfg)
	var refused *render.Refused
	if !errors.As(err, &refused) {
		return out, err
	}
	for _, p := range refused.Problems {
		w.problems.Errorf(m.Target.Profile.At.Or(m.Config.At), p.Instead, "profile %s: pxe.install: %s", m.Target.Profile.V, p.Message)
	}
	return render.Document{}, nil
}

// mode reads the mode of a file of the profile, which is 0644 where it says nothing.
func (w netWords) mode(f profiles.File) fs.FileMode {
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
