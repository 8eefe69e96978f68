// Package profiles owns what differs between operating systems and runtimes: one YAML file each, read as strictly as a
// spec. Nothing outside these files knows the name of a distribution; a new profile is one new file.
package profiles

import (
	"embed"
	"io/fs"
	"path"
	"slices"
	"strings"

	"muster/internal/decode"
	"muster/internal/problem"
)

// Builtin holds the profiles that muster brings.
//
//go:embed *.yaml
var Builtin embed.FS

// The kinds of values that a profile is made of.
type (
	text         = decode.Value[string]
	flag         = decode.Value[bool]
	number       = decode.Value[int]
	list[T any]  = decode.List[T]
	table[T any] = decode.Map[T]
)

// Profile is one operating system with one container runtime.
//
// In the texts of packages, repositories and binaries {version} stands for the Kubernetes version without v, {minor} for
// MAJOR.MINOR.
type Profile struct {
	decode.At
	// Name is the profile's name; of those that muster brings, also that of the file.
	Name text `yaml:"name" required:"true" example:"debian12-containerd"`
	// Description is one line for gen profiles.
	Description text `yaml:"description" required:"true" example:"Debian 12 with containerd"`
	// Format is the kind of document that the operating system boots with.
	Format text `yaml:"format" required:"true" enum:"cloud-init,ignition" example:"cloud-init"`
	// Butane is the variant and version of Butane that makes the Ignition document.
	Butane Butane `yaml:"butane" example:"{variant: flatcar, version: 1.1.0}"`
	// NetworkRenderer is what the system's cloud-init writes a network for, by cloud-init's own name. All but netplan lose
	// something of it (a route's metric, how DHCP is held back), and where nothing is said here it may be any of them.
	NetworkRenderer text `yaml:"networkRenderer" enum:"netplan,sysconfig,eni,network-manager,networkd" example:"netplan"`
	// Runtime is the container runtime.
	Runtime text `yaml:"runtime" required:"true" enum:"docker,containerd" example:"containerd"`
	// RuntimeService is the runtime's systemd unit.
	RuntimeService text `yaml:"runtimeService" required:"true" example:"containerd.service"`
	// Kubernetes is the range of versions that fit.
	Kubernetes Kubernetes `yaml:"kubernetes" required:"true" example:"{min: \"1.24\", max: \"1.35\", default: v1.34.4}"`
	// Containerd says which configuration file containerd of this system reads.
	Containerd Containerd `yaml:"containerd" example:"{configVersion: 2}"`
	// Paths are where things lie.
	Paths Paths `yaml:"paths" required:"true" example:"{scripts: /usr/local/lib/muster}"`
	// Groups are the usual groups that every image has, to which users and files may belong.
	Groups list[text] `yaml:"groups" example:"[adm, systemd-journal]"`
	// Time is the clock's service.
	Time Time `yaml:"time" required:"true" example:"{service: systemd-timesyncd.service, kind: timesyncd}"`
	// Firewall is what may stand in the way of Kubernetes.
	Firewall Firewall `yaml:"firewall" example:"{services: [firewalld.service]}"`
	// Modules are kernel modules that Kubernetes needs, loaded at every boot.
	Modules list[text] `yaml:"modules" required:"true" example:"[overlay, br_netfilter]"`
	// LacksModules are kernel modules that the operating system's own kernel does not have, though a choice of the spec may need them.
	LacksModules list[text] `yaml:"lacksModules" example:"[wireguard]"`
	// Sysctl are kernel settings that Kubernetes needs.
	Sysctl table[text] `yaml:"sysctl" required:"true" example:"{net.ipv4.ip_forward: \"1\"}"`
	// Packages are what the package manager installs.
	Packages Packages `yaml:"packages" example:"{manager: apt}"`
	// Binaries are programs that are fetched in place of packages, by Kubernetes version.
	Binaries table[list[Binary]] `yaml:"binaries" example:"{v1.34.4: []}"`
	// CurlArgs are what the system's curl needs to be told before it speaks with the rendezvous.
	CurlArgs list[text] `yaml:"curlArgs" example:"[--tlsv1.2]"`
	// Defaults are what a spec's system block says where the spec does not.
	Defaults Defaults `yaml:"defaults" example:"{selinux: disabled}"`
	// KubeletArgs are flags of the kubelet that the operating system makes necessary.
	KubeletArgs table[text] `yaml:"kubeletArgs" example:"{volume-plugin-dir: /opt/libexec/kubernetes/kubelet-plugins/volume/exec/}"`
	// ControllerManagerArgs are such flags of the controller manager.
	ControllerManagerArgs table[text] `yaml:"controllerManagerArgs" example:"{flex-volume-plugin-dir: /opt/libexec/kubernetes/kubelet-plugins/volume/exec/}"`
	// Files are files that every machine of the profile gets.
	Files list[File] `yaml:"files" example:"[{path: /etc/crictl.yaml, contents: \"\"}]"`
	// Units are units and drop-ins that every machine of the profile gets.
	Units list[Unit] `yaml:"units" example:"[{name: kubelet.service, enabled: true}]"`
	// PXE is how machines boot over the network; without it they cannot.
	PXE PXE `yaml:"pxe" example:"{boot: {kernel: flatcar/flatcar_production_pxe.vmlinuz, source: the release's page}}"`
}

// Butane is a variant and version of Butane's configuration.
type Butane struct {
	decode.At
	// Variant is the operating system, as Butane calls it.
	Variant text `yaml:"variant" required:"true" example:"flatcar"`
	// Version is that of the variant's configuration, which decides the version of Ignition.
	Version text `yaml:"version" required:"true" example:"1.1.0"`
}

// Kubernetes is the range of Kubernetes versions that a profile fits, both ends included.
type Kubernetes struct {
	decode.At
	// Min is the oldest minor version.
	Min text `yaml:"min" required:"true" example:"\"1.24\""`
	// Max is the newest minor version.
	Max text `yaml:"max" required:"true" example:"\"1.35\""`
	// Default is the version of a spec that names none.
	Default text `yaml:"default" required:"true" example:"v1.34.4"`
}

// Containerd is what differs between releases of containerd.
type Containerd struct {
	decode.At
	// ConfigVersion is the version of its configuration file that containerd reads: 2 (1.x and 2.x) or 3 (2.x).
	ConfigVersion number `yaml:"configVersion" required:"true" example:"2"`
}

// Paths are where things lie on the operating system.
type Paths struct {
	decode.At
	// Scripts is the folder of muster's own scripts.
	Scripts text `yaml:"scripts" required:"true" example:"/usr/local/lib/muster"`
	// Bin is put in front of PATH, for systems whose programs are fetched.
	Bin text `yaml:"bin" example:"/opt/bin"`
	// KubeletEnvironment is the file that kubeadm's drop-in for the kubelet reads KUBELET_EXTRA_ARGS from.
	KubeletEnvironment text `yaml:"kubeletEnvironment" required:"true" example:"/etc/default/kubelet"`
	// IPVSModules is the script that loads the modules of ipvs.
	IPVSModules text `yaml:"ipvsModules" required:"true" example:"/usr/local/lib/muster/ipvs.modules"`
	// CNIBin is the folder of CNI plugins.
	CNIBin text `yaml:"cniBin" required:"true" example:"/opt/cni/bin"`
	// ReadOnly are folders that nothing can be written to, and links into them.
	ReadOnly list[text] `yaml:"readOnly" example:"[/usr]"`
}

// Time is the clock's service.
type Time struct {
	decode.At
	// Service is the systemd unit.
	Service text `yaml:"service" required:"true" example:"systemd-timesyncd.service"`
	// Kind is whose configuration file names the servers.
	Kind text `yaml:"kind" required:"true" enum:"timesyncd,chrony" example:"timesyncd"`
	// Config is the file that names the servers.
	Config text `yaml:"config" required:"true" example:"/etc/systemd/timesyncd.conf.d/muster.conf"`
}

// Firewall is what may stand in the way of Kubernetes.
type Firewall struct {
	decode.At
	// Services are stopped and disabled with system.firewall: disabled.
	Services list[text] `yaml:"services" example:"[firewalld.service]"`
	// Manager opens ports with system.firewall: ports, and its package is installed then; without one that choice is an error.
	Manager text `yaml:"manager" enum:"firewalld" example:"firewalld"`
}

// Packages are what the package manager installs.
type Packages struct {
	decode.At
	// Manager is the package manager.
	Manager text `yaml:"manager" required:"true" enum:"apt,yum" example:"apt"`
	// Base are tools that come from the operating system's own sources and are installed first.
	Base list[text] `yaml:"base" example:"[ipset, ipvsadm]"`
	// Runtime are the container runtime's packages.
	Runtime list[text] `yaml:"runtime" example:"[containerd]"`
	// Kubernetes are pinned and held.
	Kubernetes list[text] `yaml:"kubernetes" example:"[\"kubeadm={version}-*\"]"`
	// Hold are kept at their version by apt-mark; yum sources use exclude instead.
	Hold list[text] `yaml:"hold" example:"[kubelet, kubeadm, kubectl]"`
	// Repositories are the package sources.
	Repositories list[Repository] `yaml:"repositories" example:"[]"`
	// Architectures are those that the repositories have packages for; by default all that a spec can name.
	Architectures list[text] `yaml:"architectures" example:"[amd64]"`
}

// Repository is one package source; a spec's own repositories have the same fields.
type Repository struct {
	decode.At
	// Name is the source's name, unique in the profile.
	Name text `yaml:"name" required:"true" example:"kubernetes"`
	// File is the name of the file that holds the source, without its ending; the source's name by default. Naming one of
	// the operating system's own files replaces it (a vault for a release past its end).
	File text `yaml:"file" example:"CentOS-Base"`
	// BaseURL is the address of the source.
	BaseURL text `yaml:"baseURL" required:"true" example:"https://pkgs.k8s.io/core:/stable:/v{minor}/deb/"`
	// Suite is apt's suite, or / for a source without suites.
	Suite text `yaml:"suite" example:"/"`
	// Components are apt's components.
	Components list[text] `yaml:"components" example:"[main]"`
	// GPGKeys are the keys that sign the source.
	GPGKeys list[GPGKey] `yaml:"gpgKeys" example:"[]"`
	// Exclude keeps packages of the source from being upgraded by a plain upgrade.
	Exclude list[text] `yaml:"exclude" example:"[kubelet, kubeadm, kubectl]"`
}

// GPGKey is a signing key that is fetched, or lies on the image, and is accepted only with its fingerprint.
type GPGKey struct {
	decode.At
	// URL is where the key is fetched from; file:///PATH names one that the image has.
	URL text `yaml:"url" required:"true" example:"https://pkgs.k8s.io/core:/stable:/v{minor}/deb/Release.key"`
	// Fingerprint is the key's, in 40 hexadecimal digits.
	Fingerprint text `yaml:"fingerprint" required:"true" example:"DE15B14486CD377B9E876E1A234654DA9A296436"`
}

// Binary is a program, or an archive of programs, that is fetched with a digest for each architecture.
type Binary struct {
	decode.At
	// Path is where the program lies; with extract, the folder that an archive (.tar.gz) is unpacked into.
	Path text `yaml:"path" required:"true" example:"/opt/bin/kubeadm"`
	// Extract unpacks an archive.
	Extract flag `yaml:"extract" example:"true"`
	// Sources are where it comes from, by architecture.
	Sources table[Source] `yaml:"sources" required:"true" example:"{amd64: {url: https://dl.k8s.io/release/v1.34.4/bin/linux/amd64/kubeadm, sha256: 0000000000000000000000000000000000000000000000000000000000000000}}"`
}

// Source is where a binary comes from on one architecture.
type Source struct {
	decode.At
	// URL is where it is fetched from.
	URL text `yaml:"url" required:"true" example:"https://dl.k8s.io/release/v1.34.4/bin/linux/amd64/kubeadm"`
	// SHA256 is the digest of what is fetched, in hexadecimal.
	SHA256 text `yaml:"sha256" required:"true" example:"0000000000000000000000000000000000000000000000000000000000000000"`
}

// Defaults are what a spec's system block says where the spec does not.
type Defaults struct {
	decode.At
	// SELinux is the default of system.selinux.
	SELinux text `yaml:"selinux" enum:"disabled,permissive,enforcing" example:"disabled"`
	// Firewall is the default of system.firewall.
	Firewall text `yaml:"firewall" enum:"disabled,ports,keep" example:"disabled"`
}

// File is a file that every machine of the profile gets.
type File struct {
	decode.At
	// Path is where the file lies on the machine.
	Path text `yaml:"path" required:"true" example:"/etc/crictl.yaml"`
	// Mode is the file's mode in octal digits; 0644 by default.
	Mode text `yaml:"mode" example:"\"0644\""`
	// Contents are the file's text.
	Contents text `yaml:"contents" required:"true" example:"\"\""`
}

// Unit is a unit, or drop-ins of one.
type Unit struct {
	decode.At
	// Name is the unit's name, with its type.
	Name text `yaml:"name" required:"true" example:"kubelet.service"`
	// Contents are the unit; without them it is one that the system has.
	Contents text `yaml:"contents" example:"\"\""`
	// Enabled enables the unit, or disables it where it is false; without it the unit stays as it is.
	Enabled flag `yaml:"enabled" example:"true"`
	// DropIns are changes to the unit.
	DropIns list[DropIn] `yaml:"dropIns" example:"[]"`
}

// DropIn is a change to a unit.
type DropIn struct {
	decode.At
	// Name is the file's name in the unit's folder of drop-ins.
	Name text `yaml:"name" required:"true" example:"10-muster.conf"`
	// Contents are the drop-in.
	Contents text `yaml:"contents" required:"true" example:"\"\""`
}

// PXE is how machines boot over the network. Its texts may hold {assets}, the URL of the folder of kernels, initrds and
// images; {documents}, the URL of the folder of the machine's own documents; {disk}, the node's disk; and in args {config}, the
// URL of the Ignition document, {instance}, cloud-init's instance-id, and {hostname}, the machine's host name: the node's
// name, or the pool's name and the machine's MAC address. None of them holds a blank, a quote or another character that a shell,
// a unit or a kernel's command line reads as something else.
type PXE struct {
	decode.At
	// Boot is for nodes without a disk, and for pools: it runs the operating system from the network.
	Boot NetBoot `yaml:"boot" example:"{kernel: flatcar/flatcar_production_pxe.vmlinuz, source: the release's page}"`
	// Install is for nodes with a disk: it runs a system from the network that writes the operating system to that disk.
	Install NetBoot `yaml:"install" example:"{kernel: flatcar/flatcar_production_pxe.vmlinuz, source: the release's page}"`
}

// NetBoot is what a machine boots over the network.
type NetBoot struct {
	decode.At
	// Kernel is a path below the folder of assets.
	Kernel text `yaml:"kernel" required:"true" example:"debian12/vmlinuz"`
	// Initrds are paths below the folder of assets.
	Initrds list[text] `yaml:"initrds" example:"[debian12/initrd.img]"`
	// Assets are what else is fetched from that folder.
	Assets list[text] `yaml:"assets" example:"[debian12/filesystem.squashfs]"`
	// Source tells people where kernel, initrds and assets come from.
	Source text `yaml:"source" required:"true" example:"the release's page"`
	// Args are the kernel's arguments, one parameter an item.
	Args list[text] `yaml:"args" example:"[\"ignition.config.url={config}\"]"`
	// Files are those of the document of a system that installs. It finds the documents of the machine to be in
	// /etc/muster/install, by the names that they have in out/.
	Files list[File] `yaml:"files" example:"[{path: /usr/local/lib/muster/install.sh, contents: \"\"}]"`
	// Units are those of that document; the first is started.
	Units list[Unit] `yaml:"units" example:"[{name: install.service, enabled: true}]"`
}

// Advice is what to do about a file that as a whole is not a profile.
func (Profile) Advice() decode.Advice {
	return decode.Advice{Empty: "run gen profiles NAME for one to start from", Second: "keep one profile a file",
		Foreign: "this is no profile; run gen profiles NAME for one to start from"}
}

// Names lists the profiles of a folder, sorted.
func Names(profiles fs.FS) []string {
	matches, _ := fs.Glob(profiles, "*.yaml") // the pattern is well formed
	names := make([]string, 0, len(matches))
	for _, m := range matches {
		names = append(names, strings.TrimSuffix(path.Base(m), ".yaml"))
	}
	slices.Sort(names)
	return names
}

// Read reads one profile; file is the name that problems are reported under.
func Read(data []byte, file string, problems *problem.List) *Profile {
	own := problem.List{File: file}
	p := &Profile{}
	decode.Into(p, data, &own)
	for _, found := range own.Sorted() {
		problems.Add(found)
	}
	return p
}
