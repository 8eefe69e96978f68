// Package spec owns the cluster spec: its types, how a file is read into them with the place of every value kept, its
// defaults, and the rules that it has to meet. It does not know profiles' contents, documents or machines.
//
// Beside decode's struct tags, text:"lines" marks a string of several lines, text:"any" one that may hold every
// character, and empty:"true" one that may be empty.
package spec

import "muster/internal/decode"

// APIVersion and Kind open every cluster spec.
const (
	APIVersion = "muster/v1"
	Kind       = "Cluster"
)

// The two roles of a machine, as kubeadm and the spec call them.
const (
	ControlPlane = "control-plane"
	Worker       = "worker"
)

// Cluster is a whole spec file.
type Cluster struct {
	At
	// APIVersion is the version of the spec's own format: muster/v1.
	APIVersion Value[string] `yaml:"apiVersion" required:"true" enum:"muster/v1" example:"muster/v1"`
	// Kind is what the file describes: Cluster.
	Kind Value[string] `yaml:"kind" required:"true" enum:"Cluster" example:"Cluster"`
	// Metadata names the cluster.
	Metadata Metadata `yaml:"metadata" required:"true" example:"{name: k8s}"`
	// Spec is the cluster.
	Spec Spec `yaml:"spec" required:"true" example:"{profile: debian12-containerd, nodes: [{name: k8s-master, role: control-plane, address: 192.168.31.130}]}"`
}

// Advice is what to do about a file that as a whole is not a spec.
func (Cluster) Advice() decode.Advice {
	return decode.Advice{
		Empty:    "run gen init for one to start from",
		TooLarge: "split what is not the cluster into files",
		Second:   "keep one cluster a file",
		Foreign:  "this is no cluster spec; run gen init for one to start from",
		Alias:    "write the value out; what holds for several machines belongs under spec, controlPlane or worker",
	}
}

// Metadata names the cluster.
type Metadata struct {
	At
	// Name is the cluster's name: a DNS-1123 label. It never changes: it is part of each machine's credentials and
	// instance-id, so gen does not put documents in the place of those of another name.
	Name Value[string] `yaml:"name" required:"true" example:"k8s"`
}

// Spec is the cluster: what holds for all machines, then the machines.
type Spec struct {
	At
	// Machine is what may be said for the cluster here, for a role, and for a node or pool, the narrower winning.
	Machine `yaml:",inline"`
	// Kubernetes is what kubeadm is told.
	Kubernetes Kubernetes `yaml:"kubernetes" example:"{version: v1.34.4}"`
	// Rendezvous is how the machines exchange join tokens at first boot.
	Rendezvous Rendezvous `yaml:"rendezvous" example:"{delivery: embed}"`
	// CNI is the pod network: one of flannel, manifests and none; without it flannel.
	CNI CNI `yaml:"cni" example:"{flannel: {version: v0.28.4}}"`
	// PXE asks for the files of a network boot.
	PXE PXE `yaml:"pxe" example:"{baseURL: http://192.0.2.1:8080}"`
	// Check is what is tried in the cluster once it stands.
	Check Check `yaml:"check" example:"{nginx: {image: nginx:1.28-alpine}}"`
	// ControlPlane holds for every control plane and wins over what stands for the cluster.
	ControlPlane Scope `yaml:"controlPlane" example:"{system: {firewall: ports}}"`
	// Worker holds for every worker and wins over what stands for the cluster.
	Worker Scope `yaml:"worker" example:"{packages: {extra: [nfs-common]}}"`
	// Nodes are the machines that have a name.
	Nodes List[Node] `yaml:"nodes" example:"[{name: k8s-master, role: control-plane, address: 192.168.31.130}]"`
	// Pools are roles that any number of machines boot from one document.
	Pools List[Pool] `yaml:"pools" example:"[{name: burst, role: worker, maxNodes: 10}]"`
}

// Refused names a key that users of kubeadm look for and that this spec does not have on purpose.
func (Spec) Refused() map[string]string {
	return map[string]string{"token": "tokens are minted for each machine at first boot and never stand in a file; their life is kubernetes.bootstrapToken.ttl"}
}

// Machine is everything that may be said per cluster, per role, and per node or pool. Structures and maps are merged
// key by key and files, units and users by path and name; any other list replaces the wider one.
type Machine struct {
	// Profile is the operating system and runtime: a built-in profile's name, or a path that starts with ./ or ../ or /
	// and ends in .yaml.
	Profile Value[string] `yaml:"profile" example:"debian12-containerd"`
	// Platform is where the machines run; it sets the limits that documents must keep: 16 KiB on ec2, 48 KiB on
	// openstack, 64 KiB on azure and vsphere, 256 KiB on gce, and none elsewhere. No document that embeds the
	// rendezvous fits; with delivery url control planes fit everywhere, but on ec2 only with cloud-init, as user-data
	// of compressed bytes (aws ec2 run-instances --user-data fileb://user-data).
	Platform Value[string] `yaml:"platform" enum:"none,ec2,openstack,gce,azure,vsphere,proxmox,libvirt,metal" example:"libvirt"`
	// Architecture is the machine's processor, by Go's and Debian's name; control planes need it for the program of the
	// rendezvous.
	Architecture Value[string] `yaml:"architecture" enum:"amd64,arm64" example:"arm64"`
	// Docker configures Docker, in profiles that use it.
	Docker Docker `yaml:"docker" example:"{registryMirrors: [\"http://hub-mirror.c.163.com\"]}"`
	// Containerd configures containerd, in profiles that use it.
	Containerd Containerd `yaml:"containerd" example:"{registryMirrors: [\"https://mirror.example.com\"]}"`
	// Network is the machine's static network; without it DHCP is used.
	Network Network `yaml:"network" example:"{interface: ens33, netmask: 255.255.255.0, gateway: 192.168.31.2}"`
	// System is what is set up in the operating system.
	System System `yaml:"system" example:"{selinux: disabled}"`
	// Users are people who may log in, merged by name; the default user that the image brings stays beside them.
	Users List[User] `yaml:"users" example:"[{name: admin, sudo: \"ALL=(ALL) NOPASSWD:ALL\"}]"`
	// Packages says where software comes from.
	Packages Packages `yaml:"packages" example:"{extra: [tcpdump]}"`
	// Files are extra files, merged by path.
	Files List[File] `yaml:"files" example:"[{path: /etc/motd, contents: hello}]"`
	// Units are extra systemd units, merged by name.
	Units List[Unit] `yaml:"units" example:"[{name: apt-daily.timer, mask: true}]"`
	// Commands run around kubeadm, each once.
	Commands Commands `yaml:"commands" example:"{before: [\"udevadm settle\"]}"`
	// Images are container images to load before kubeadm runs.
	Images Images `yaml:"images" example:"{preload: [{path: /opt/images/flannel.tar, sha256: \"0000000000000000000000000000000000000000000000000000000000000000\"}]}"`
}

// Scope is what may be said of a role, a node or a pool.
type Scope struct {
	At
	Machine `yaml:",inline"`
	// Kubernetes is what kubeadm is told on these machines.
	Kubernetes MachineKubernetes `yaml:"kubernetes" example:"{kubelet: {extraArgs: {max-pods: \"200\"}}}"`
	// Labels are set on the machines' Node objects.
	Labels Map[Value[string]] `yaml:"labels" example:"{example.com/rack: a}" empty:"true"`
	// Taints are set on the machines' Node objects; an empty list on a control plane lets pods run there.
	Taints List[Taint] `yaml:"taints" example:"[{key: dedicated, value: db, effect: NoSchedule}]" empty:"true"`
}

// Node is one machine with a name.
type Node struct {
	Scope `yaml:",inline"`
	// Name is the hostname and the Kubernetes node's name: a DNS-1123 subdomain.
	Name Value[string] `yaml:"name" required:"true" example:"k8s-master"`
	// Role is what the machine is in the cluster.
	Role Value[string] `yaml:"role" required:"true" enum:"control-plane,worker" example:"control-plane"`
	// Address is the machine's IPv4 address, without a prefix length.
	Address Value[string] `yaml:"address" example:"192.168.31.130"`
	// Aliases are further names for the machine in every /etc/hosts.
	Aliases List[Value[string]] `yaml:"aliases" example:"[master]"`
	// MAC is the hardware address of the machine's network interface; it finds the machine's PXE script, and the
	// interface, which is renamed to network.interface, or to lan0 without one.
	MAC Value[string] `yaml:"mac" example:"52:54:00:12:34:56"`
	// Disk is the device that an installer writes the operating system to.
	Disk Value[string] `yaml:"disk" example:"/dev/vda"`
}

// Pool is a role that any number of machines boot from one document.
type Pool struct {
	Scope `yaml:",inline"`
	// Name is the pool's name: a DNS-1123 label.
	Name Value[string] `yaml:"name" required:"true" example:"burst"`
	// Role is what the machines are in the cluster: only workers can be pooled.
	Role Value[string] `yaml:"role" required:"true" enum:"worker" example:"worker"`
	// MaxNodes bounds how many machines may join by the pool's document.
	MaxNodes Value[int] `yaml:"maxNodes" required:"true" example:"10"`
	// JoinUntil is the moment after which no further machine may join, in RFC 3339.
	JoinUntil Value[string] `yaml:"joinUntil" example:"\"2027-12-31T00:00:00Z\""`
}

// Kubernetes is what kubeadm is told about the cluster, in kubeadm's own words where it has one.
type Kubernetes struct {
	At
	// Version is the Kubernetes version, as vMAJOR.MINOR.PATCH; by default that of the first control plane's profile.
	Version Value[string] `yaml:"version" example:"v1.34.4"`
	// ClusterName is the cluster's name in kubeconfigs; metadata.name by default.
	ClusterName Value[string] `yaml:"clusterName" example:"k8s"`
	// ImageRepository is the registry that the control plane's images and the pause image come from.
	ImageRepository Value[string] `yaml:"imageRepository" example:"registry.aliyuncs.com/google_containers"`
	// ControlPlaneEndpoint is the stable HOST or HOST:PORT of the API server, such as that of a balancer of yours,
	// which passes this port on to the control planes from before the first boot; api.<clusterName>.muster by default,
	// which every machine finds in /etc/hosts.
	ControlPlaneEndpoint Value[string] `yaml:"controlPlaneEndpoint" example:"k8s.example.com:6443"`
	// CertificatesDir is where kubeadm keeps certificates on a control plane.
	CertificatesDir Value[string] `yaml:"certificatesDir" example:"/etc/kubernetes/pki"`
	// FeatureGates are feature gates of kubeadm itself; those of other programs go into their extraArgs.
	FeatureGates Map[Value[bool]] `yaml:"featureGates" example:"{ControlPlaneKubeletLocalMode: true}"`
	// IgnorePreflightErrors are preflight checks of kubeadm whose errors become warnings.
	IgnorePreflightErrors List[Value[string]] `yaml:"ignorePreflightErrors" example:"[NumCPU]"`
	// DryRun makes kubeadm print what it would do and change nothing; the machines then never become a cluster.
	DryRun Value[bool] `yaml:"dryRun" example:"false"`
	// CRISocket is the container runtime's socket; the profile's runtime decides by default.
	CRISocket Value[string] `yaml:"criSocket" example:"unix:///run/containerd/containerd.sock"`
	// Networking is the cluster's inner networks.
	Networking Networking `yaml:"networking" example:"{podSubnet: 10.244.0.0/16}"`
	// APIServer configures kube-apiserver.
	APIServer APIServer `yaml:"apiServer" example:"{certSANs: [k8s.example.com]}"`
	// ControllerManager configures kube-controller-manager.
	ControllerManager Component `yaml:"controllerManager" example:"{extraArgs: {v: \"2\"}}"`
	// Scheduler configures kube-scheduler.
	Scheduler Component `yaml:"scheduler" example:"{extraArgs: {v: \"2\"}}"`
	// Etcd configures the etcd that kubeadm runs on every control plane.
	Etcd Etcd `yaml:"etcd" example:"{extraArgs: {heartbeat-interval: \"200\"}}"`
	// Proxy configures kube-proxy.
	Proxy Proxy `yaml:"proxy" example:"{mode: ipvs}"`
	// Kubelet configures every machine's kubelet.
	Kubelet Component `yaml:"kubelet" example:"{extraArgs: {v: \"2\"}}"`
	// BootstrapToken bounds the token that kubeadm init makes for itself.
	BootstrapToken BootstrapToken `yaml:"bootstrapToken" example:"{ttl: 15m}"`
	// Patches are JSON merge patches (RFC 7396) over the documents that muster writes for kubeadm, by kind:
	// ClusterConfiguration, KubeletConfiguration and KubeProxyConfiguration are the cluster's, InitConfiguration is
	// read by the control plane that runs kubeadm init, whichever that is, and JoinConfiguration by all other machines.
	Patches Map[Free] `yaml:"patches" example:"{KubeletConfiguration: {maxPods: 200}}"`
}

// Refused names keys that users of kubeadm look for and that this spec does not have on purpose.
func (Kubernetes) Refused() map[string]string {
	return map[string]string{
		"token":            "tokens are minted for each machine at first boot and never stand in a file; their life is bootstrapToken.ttl",
		"skipTokenPrint":   "tokens are never printed; leave it out",
		"skip-token-print": "tokens are never printed; leave it out",
		"tokenTTL":         "write bootstrapToken: {ttl: 15m}",
		"token-ttl":        "write bootstrapToken: {ttl: 15m}",
		"nodeName":         "a node's name is nodes[].name",
	}
}

// MachineKubernetes is what kubeadm is told for one role, node or pool.
type MachineKubernetes struct {
	At
	// IgnorePreflightErrors replaces the cluster's list on these machines.
	IgnorePreflightErrors List[Value[string]] `yaml:"ignorePreflightErrors" example:"[NumCPU]"`
	// CRISocket is the container runtime's socket on these machines.
	CRISocket Value[string] `yaml:"criSocket" example:"unix:///run/containerd/containerd.sock"`
	// APIServer is where a control plane's API server listens.
	APIServer LocalAPIEndpoint `yaml:"apiServer" example:"{bindPort: 6443}"`
	// Kubelet configures these machines' kubelet.
	Kubelet Component `yaml:"kubelet" example:"{extraArgs: {max-pods: \"200\"}}"`
	// Patches are JSON merge patches over these machines' InitConfiguration, which the control plane that runs kubeadm
	// init reads, and JoinConfiguration, which all others read.
	Patches Map[Free] `yaml:"patches" example:"{JoinConfiguration: {timeouts: {tlsBootstrap: 10m0s}}}"`
}

// Refused names keys that belong elsewhere.
func (MachineKubernetes) Refused() map[string]string {
	const wide = "it holds for the whole cluster; write it under spec.kubernetes"
	return map[string]string{
		"version": wide, "clusterName": wide, "imageRepository": wide, "controlPlaneEndpoint": wide, "certificatesDir": wide,
		"featureGates": wide, "dryRun": wide, "networking": wide, "controllerManager": wide, "scheduler": wide, "etcd": wide,
		"proxy": wide, "bootstrapToken": wide,
		"token": "tokens are minted for each machine at first boot and never stand in a file; their life is spec.kubernetes.bootstrapToken.ttl",
	}
}

// Networking is the cluster's inner networks.
type Networking struct {
	At
	// PodSubnet is the IPv4 CIDR that pods get addresses from; IPv6 and dual-stack are not supported.
	PodSubnet Value[string] `yaml:"podSubnet" example:"10.244.0.0/16"`
	// ServiceSubnet is the IPv4 CIDR that services get addresses from; IPv6 and dual-stack are not supported.
	ServiceSubnet Value[string] `yaml:"serviceSubnet" example:"10.96.0.0/12"`
	// DNSDomain is the domain of the cluster's services.
	DNSDomain Value[string] `yaml:"dnsDomain" example:"cluster.local"`
}

// APIServer configures kube-apiserver.
type APIServer struct {
	LocalAPIEndpoint `yaml:",inline"`
	// CertSANs are further names and addresses in the API server's certificate.
	CertSANs List[Value[string]] `yaml:"certSANs" example:"[k8s.example.com]"`
	// ExtraArgs are further flags, by name without dashes. Whether the program has them is not checked: with one that it
	// does not know it will not start.
	ExtraArgs Map[Value[string]] `yaml:"extraArgs" example:"{profiling: \"false\"}" empty:"true"`
}

// LocalAPIEndpoint is where an API server listens.
type LocalAPIEndpoint struct {
	At
	// AdvertiseAddress is the IP address that the API server tells others; the node's address by default.
	AdvertiseAddress Value[string] `yaml:"advertiseAddress" example:"192.168.31.130"`
	// BindPort is the port that the API server listens on.
	BindPort Value[int] `yaml:"bindPort" example:"6443"`
}

// Component configures one program of Kubernetes.
type Component struct {
	At
	// ExtraArgs are further flags, by name without dashes. Whether the program has them is not checked: with one that it
	// does not know it will not start.
	ExtraArgs Map[Value[string]] `yaml:"extraArgs" example:"{v: \"2\"}" empty:"true"`
}

// Etcd configures the etcd that kubeadm runs on every control plane.
type Etcd struct {
	Component `yaml:",inline"`
}

// Refused names keys that users of kubeadm look for and that this spec does not have on purpose.
func (Etcd) Refused() map[string]string {
	return map[string]string{
		"external": noExternalEtcd,
		"local":    "write its extraArgs here, and other keys of kubeadm's under spec.kubernetes.patches: {ClusterConfiguration: {etcd: {local: ...}}}",
		"dataDir":  ownEtcdDisk,
	}
}

// Proxy configures kube-proxy.
type Proxy struct {
	At
	// Mode is how services are carried: ipvs, iptables, or nftables (from Kubernetes 1.31); by default ipvs, and
	// nftables from Kubernetes 1.35, which deprecates ipvs.
	Mode Value[string] `yaml:"mode" enum:"ipvs,iptables,nftables" example:"ipvs"`
	// Scheduler is the scheduling method of ipvs, such as rr, wrr or sh.
	Scheduler Value[string] `yaml:"scheduler" enum:"rr,wrr,lc,wlc,lblc,lblcr,sh,dh,sed,nq,mh" example:"rr"`
}

// BootstrapToken bounds the token that kubeadm init makes for itself.
type BootstrapToken struct {
	At
	// TTL is how long the token lives, as a Go duration; it is deleted sooner when init has ended.
	TTL Value[string] `yaml:"ttl" example:"15m"`
}

// Refused names keys that belong elsewhere.
func (BootstrapToken) Refused() map[string]string {
	return map[string]string{
		"token": "tokens are minted for each machine at first boot and never stand in a file; leave it out and set ttl if 15m does not fit",
	}
}

// Rendezvous is how the machines exchange join tokens at first boot.
type Rendezvous struct {
	At
	// Delivery is how the rendezvous program gets to control planes: in their document, as a file on the boot medium,
	// or from a URL.
	Delivery Value[string] `yaml:"delivery" enum:"embed,media,url" example:"embed"`
	// URL is where control planes fetch the program, with delivery url: gen writes it to rendezvous/ of the output
	// folder, for you to serve.
	URL Value[string] `yaml:"url" example:"https://files.example.com/rendezvous-amd64"`
	// SHA256 is the digest of the program, with delivery url. Left out, it is that of the program that gen writes, and
	// with another one gen stops: so it tells you when a new gen has another program for you to serve.
	SHA256 Value[string] `yaml:"sha256" example:"\"0000000000000000000000000000000000000000000000000000000000000000\""`
	// Port is the HTTPS port of the rendezvous on control planes.
	Port Value[int] `yaml:"port" example:"7443"`
	// RaftPort is the port on which the rendezvous's members replicate among each other.
	RaftPort Value[int] `yaml:"raftPort" example:"7444"`
}

// CNI is the pod network: flannel, where neither manifests nor none are chosen.
type CNI struct {
	At
	// Flannel applies flannel's manifest, as happens without any of the three.
	Flannel Flannel `yaml:"flannel" example:"{version: v0.28.4}"`
	// Manifests are files beside the spec that are applied instead.
	Manifests List[Value[string]] `yaml:"manifests" example:"[./calico.yaml]"`
	// None leaves the pod network to the user: the nodes stay NotReady until there is one.
	None Empty `yaml:"none" example:"{}"`
}

// Empty is a block whose presence says it all.
type Empty struct{ At }

// Flannel is flannel as pod network.
type Flannel struct {
	At
	// Version is flannel's release.
	Version Value[string] `yaml:"version" example:"v0.28.4"`
	// Backend is how packets cross between machines.
	Backend Value[string] `yaml:"backend" enum:"vxlan,host-gw,wireguard" example:"vxlan"`
	// Image is flannel's image without a tag.
	Image Value[string] `yaml:"image" example:"ghcr.io/flannel-io/flannel"`
	// CNIPluginImage is the image, with its tag, that carries flannel's CNI plugin.
	CNIPluginImage Value[string] `yaml:"cniPluginImage" example:"ghcr.io/flannel-io/flannel-cni-plugin:v1.8.0-flannel1"`
}

// PXE asks for the files of a network boot.
type PXE struct {
	At
	// BaseURL is where the files under pxe/ will be served.
	BaseURL Value[string] `yaml:"baseURL" required:"true" example:"http://192.0.2.1:8080"`
}

// Check is what is tried in the cluster once it stands.
type Check struct {
	At
	// Nginx starts a web server and fetches its page through every node's address.
	Nginx NginxCheck `yaml:"nginx" example:"{image: nginx:1.28-alpine}"`
}

// NginxCheck starts a web server and fetches its page through every node's address.
type NginxCheck struct {
	At
	// Image is the web server's image.
	Image Value[string] `yaml:"image" required:"true" example:"nginx:1.28-alpine"`
}

// Docker configures Docker.
type Docker struct {
	At
	Registries `yaml:",inline"`
	// Daemon is merged over daemon.json (JSON merge patch).
	Daemon Free `yaml:"daemon" example:"{log-opts: {max-size: 10m}}"`
}

// Containerd configures containerd.
type Containerd struct {
	At
	Registries `yaml:",inline"`
	// Config is merged over config.toml (JSON merge patch).
	Config Free `yaml:"config" example:"{oom_score: -999}"`
}

// Registries are where a runtime finds images.
type Registries struct {
	// RegistryMirrors are URLs asked before Docker Hub (docker.io). One whose path holds /v2/ is asked at just that path,
	// such as a proxy cache of Harbor. Mirrors of other registries containerd finds in files of yours,
	// /etc/containerd/certs.d/REGISTRY/hosts.toml; Docker has none.
	RegistryMirrors List[Value[string]] `yaml:"registryMirrors" example:"[\"https://mirror.example.com\"]"`
	// InsecureRegistries are HOST[:PORT] of registries that are asked without a checked certificate.
	InsecureRegistries List[Value[string]] `yaml:"insecureRegistries" example:"[registry.example.com:5000]"`
}

// Network is a machine's static network.
type Network struct {
	At
	// Interface is the network interface's name as the machine has it: often enp1s0 under libvirt, ens18 under Proxmox,
	// ens192 under VMware. Where you do not know it, leave it out and give each node its mac, which finds the
	// interface: that is then renamed lan0, and a VLAN on it has link: lan0. It may also be the name of one of vlans or
	// bonds, which then gets the node's address and gateway, and all else that stands here. Bridges are not made. Further
	// cards stand in ethernets.
	Interface Value[string] `yaml:"interface" example:"ens33"`
	// Netmask is the node network's mask in dotted form.
	Netmask Value[string] `yaml:"netmask" example:"255.255.255.0"`
	// PrefixLength is the node network's mask as a number of bits, instead of netmask. With 32, which some hosters give,
	// nothing is in the node's network, and routes lead to all else.
	PrefixLength Value[int] `yaml:"prefixLength" example:"24"`
	// Gateway is the default route's next hop.
	Gateway Value[string] `yaml:"gateway" example:"192.168.31.2"`
	// Nameservers are DNS servers' IP addresses.
	Nameservers List[Value[string]] `yaml:"nameservers" example:"[223.5.5.5]"`
	// Search are DNS search domains.
	Search List[Value[string]] `yaml:"search" example:"[example.com]"`
	// MTU is the largest packet of the interface in bytes.
	MTU Value[int] `yaml:"mtu" example:"1450"`
	// Addresses are further addresses of the interface, with prefix length.
	Addresses List[Value[string]] `yaml:"addresses" example:"[10.1.0.5/24]"`
	// Routes are static routes.
	Routes List[Route] `yaml:"routes" example:"[{to: 10.2.0.0/16, via: 10.1.0.1}]"`
	// Ethernets are the machine's further cards, by name.
	Ethernets Map[Ethernet] `yaml:"ethernets" example:"{ens34: {addresses: [10.20.0.5/24]}}"`
	// VLANs are tagged interfaces, by name.
	VLANs Map[VLAN] `yaml:"vlans" example:"{vlan10: {id: 10, link: ens33, addresses: [10.10.0.5/24]}}"`
	// Bonds join interfaces, by name.
	Bonds Map[Bond] `yaml:"bonds" example:"{bond0: {interfaces: [ens33, ens34], parameters: {mode: active-backup}}}"`
}

// Hints are other words for keys of a network.
func (Network) Hints() decode.Hints {
	return decode.Hints{Meant: map[string]string{"interfaces": "ethernets", "dns": "nameservers", "gateway4": "gateway"}}
}

// Refused are keys of other programs' networks.
func (Network) Refused() map[string]string {
	const dhcp = "leave it out: an interface without netmask, prefixLength and gateway asks DHCP"
	return map[string]string{
		"bridges": "leave it out: muster makes none",
		"dhcp":    dhcp,
		"dhcp4":   dhcp,
		"address": "write the address at the node, as nodes[].address, and further ones in addresses",
	}
}

// Ethernet is a further card, as netplan has it. The node's address, its gateway and Kubernetes stay with
// network.interface.
type Ethernet struct {
	At
	// Match finds the card by its hardware address, and it is then renamed to the entry's name: take one that no card has
	// at first, such as lan1. Without match the entry's name is the one that the machine has.
	Match Match `yaml:"match" example:"{macaddress: \"52:54:00:12:34:57\"}"`
	// DHCP4 is whether the card asks DHCP. What that gives takes nothing from network.interface: a default route has the
	// metric 2000, and nameservers are used only where network has a static address and no nameservers. Where they cannot
	// be kept away it is refused: this needs what a route's metric needs.
	DHCP4 Value[bool] `yaml:"dhcp4" example:"true"`
	// Optional is whether the machine starts without waiting for the card. It needs what a route's metric needs.
	Optional Value[bool] `yaml:"optional" example:"true"`
	// Addresses are the card's addresses, with prefix length.
	Addresses List[Value[string]] `yaml:"addresses" example:"[10.20.0.5/24]"`
	// Routes are static routes through this card.
	Routes List[Route] `yaml:"routes" example:"[{to: 10.21.0.0/16, via: 10.20.0.1}]"`
	// MTU is the largest packet of the card in bytes.
	MTU Value[int] `yaml:"mtu" example:"9000"`
}

// Hints are other words for keys of a card.
func (Ethernet) Hints() decode.Hints {
	return decode.Hints{Meant: map[string]string{"dhcp": "dhcp4", "address": "addresses"}}
}

// Refused are keys of netplan that a card does not need here.
func (Ethernet) Refused() map[string]string {
	const macaddress = "write match: {macaddress: ADDRESS}"
	return map[string]string{
		"set-name":        "leave it out: a card that match finds gets its entry's name",
		"mac":             macaddress,
		"macaddress":      macaddress,
		"gateway4":        "write routes: [{to: default, via: ADDRESS}], if network has no gateway",
		"nameservers":     "write them as network.nameservers, which hold for the whole machine",
		"dhcp4-overrides": "leave it out: what DHCP gives a further card never comes before what network has",
	}
}

// Match finds a card.
type Match struct {
	At
	// MACAddress is the card's hardware address.
	MACAddress Value[string] `yaml:"macaddress" required:"true" example:"52:54:00:12:34:57"`
}

// Route is one static route, as netplan has it.
type Route struct {
	At
	// To is the destination network, or default.
	To Value[string] `yaml:"to" required:"true" example:"10.2.0.0/16"`
	// Via is the next hop's address.
	Via Value[string] `yaml:"via" required:"true" example:"10.1.0.1"`
	// Metric is the route's priority, lower first. It needs Ignition, or a profile with networkRenderer: netplan
	// (debian12-containerd): with other renderers cloud-init loses it, and it is refused.
	Metric Value[int] `yaml:"metric" example:"100"`
	// OnLink is whether the next hop is reached through the interface though no address of it is in its network, as at
	// hosters that give a machine a /32. It needs what metric needs.
	OnLink Value[bool] `yaml:"on-link" example:"true"`
}

// VLAN is a tagged interface, as netplan has it. What its nodes have in common may be said once, for the cluster or a
// role, and the rest, such as addresses, at each node.
type VLAN struct {
	At
	// ID is the VLAN tag, 1 to 4094.
	ID Value[int] `yaml:"id" required:"merged" example:"10"`
	// Link is the interface below.
	Link Value[string] `yaml:"link" required:"merged" example:"ens33"`
	// Addresses are the interface's addresses, with prefix length.
	Addresses List[Value[string]] `yaml:"addresses" example:"[10.10.0.5/24]"`
	// Routes are static routes through this interface.
	Routes List[Route] `yaml:"routes" example:"[{to: 10.2.0.0/16, via: 10.10.0.1}]"`
	// MTU is the largest packet of the interface in bytes.
	MTU Value[int] `yaml:"mtu" example:"1450"`
}

// Bond joins interfaces, as netplan has it. What its nodes have in common may be said once, for the cluster or a role,
// and the rest, such as addresses, at each node.
type Bond struct {
	At
	// Interfaces are the joined interfaces' names.
	Interfaces List[Value[string]] `yaml:"interfaces" required:"merged" example:"[ens33, ens34]"`
	// Parameters are the bond's settings.
	Parameters BondParameters `yaml:"parameters" required:"merged" example:"{mode: active-backup}"`
	// Addresses are the interface's addresses, with prefix length.
	Addresses List[Value[string]] `yaml:"addresses" example:"[10.10.0.5/24]"`
	// Routes are static routes through this interface.
	Routes List[Route] `yaml:"routes" example:"[{to: 10.2.0.0/16, via: 10.10.0.1}]"`
	// MTU is the largest packet of the interface in bytes.
	MTU Value[int] `yaml:"mtu" example:"9000"`
}

// BondParameters are a bond's settings, as netplan has them.
type BondParameters struct {
	At
	// Mode is the kernel's bonding mode.
	Mode Value[string] `yaml:"mode" required:"merged" enum:"balance-rr,active-backup,balance-xor,broadcast,802.3ad,balance-tlb,balance-alb" example:"active-backup"`
	// MIIMonitorInterval is the link check interval in milliseconds.
	MIIMonitorInterval Value[int] `yaml:"mii-monitor-interval" example:"100"`
	// LACPRate is how often LACP packets are asked for.
	LACPRate Value[string] `yaml:"lacp-rate" enum:"slow,fast" example:"fast"`
	// TransmitHashPolicy chooses an interface for each packet.
	TransmitHashPolicy Value[string] `yaml:"transmit-hash-policy" enum:"layer2,layer3+4,layer2+3,encap2+3,encap3+4" example:"layer3+4"`
}

// System is what is set up in the operating system.
type System struct {
	At
	// SELinux is the mode that SELinux is put in, now and after reboots; harmless where there is none. The profile
	// decides by default.
	SELinux Value[string] `yaml:"selinux" enum:"disabled,permissive,enforcing" example:"disabled"`
	// Firewall is what happens to the system's firewall: it is disabled, has the cluster's ports opened, or is kept as
	// it is. The profile decides by default.
	Firewall Value[string] `yaml:"firewall" enum:"disabled,ports,keep" example:"disabled"`
	// Swap is what happens to swap: it is switched off, now and after reboots, or kept (kubeadm and the kubelet are
	// then told to bear it).
	Swap Value[string] `yaml:"swap" enum:"disabled,keep" example:"disabled"`
	// Sysctl are further kernel settings, by keys with dots; a dot inside an interface's name is a slash, as in
	// net.ipv4.conf.bond0/100.rp_filter. The module that settings of connection tracking (net.netfilter) or ipvs
	// (net.ipv4.vs) need is loaded before; any other has to stand in modules.
	Sysctl Map[Value[string]] `yaml:"sysctl" example:"{vm.max_map_count: \"262144\"}"`
	// Modules are further kernel modules, loaded at every boot; at the first one when packages are installed, which may
	// bring them.
	Modules List[Value[string]] `yaml:"modules" example:"[nvme_tcp]"`
	// Timezone is a name of the tz database.
	Timezone Value[string] `yaml:"timezone" example:"Asia/Shanghai"`
	// NTP is where the clock is set from.
	NTP NTP `yaml:"ntp" example:"{servers: [ntp.aliyun.com]}"`
	// Proxy is the HTTP proxy for package sources, downloads and the container runtime.
	Proxy HTTPProxy `yaml:"proxy" example:"{http: \"http://proxy.example.com:3128\"}"`
}

// NTP is where the clock is set from.
type NTP struct {
	At
	// Servers are NTP servers' names or addresses.
	Servers List[Value[string]] `yaml:"servers" example:"[ntp.aliyun.com]"`
}

// HTTPProxy is the HTTP proxy for package sources, downloads and the container runtime.
type HTTPProxy struct {
	At
	// HTTP is the proxy's URL for http addresses.
	HTTP Value[string] `yaml:"http" example:"http://proxy.example.com:3128"`
	// HTTPS is the proxy's URL for https addresses.
	HTTPS Value[string] `yaml:"https" example:"http://proxy.example.com:3128"`
	// No are names, addresses and networks reached without it; the cluster's own are always added. For the container
	// runtime those of a node are added only where the spec names a registry on it: write any other registry on a node
	// here.
	No List[Value[string]] `yaml:"no" example:"[.example.com]"`
}

// User is someone who may log in. Their shell is /bin/bash.
type User struct {
	At
	// Name is the login name.
	Name Value[string] `yaml:"name" required:"true" example:"admin"`
	// SSHAuthorizedKeys are lines for ~/.ssh/authorized_keys.
	SSHAuthorizedKeys List[Value[string]] `yaml:"sshAuthorizedKeys" example:"[ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB8Ht8Z3j6yDWPBHQtOp/R9rjWvfMYo3MSA/K6q8D86r admin@example.com]"`
	// PasswordHash is a crypt(3) hash, as made by mkpasswd; without it no password logs in.
	PasswordHash Value[decode.Secret] `yaml:"passwordHash" example:"$6$rounds=4096$testsalt$QF8VjRZLCkOcrGhg0vX5i1p3s1Vn8E7V2e3Vx2E5ItzB8T6v0r8Jx1N9c7QYb3m5cW0nO4kqS1p6lY2dF8aZb."`
	// Groups are further groups; cloud-init makes those that are missing, Ignition none.
	Groups List[Value[string]] `yaml:"groups" example:"[systemd-journal]"`
	// Sudo is a sudoers rule without the user's name.
	Sudo Value[string] `yaml:"sudo" example:"ALL=(ALL) NOPASSWD:ALL"`
	// Kubeconfig puts the admin kubeconfig into the user's home on control planes.
	Kubeconfig Value[bool] `yaml:"kubeconfig" example:"true"`
}

// Packages says where software comes from.
type Packages struct {
	At
	// Source is profile for the profile's package sources and the repositories named here, and repositories for these in the
	// place of the profile's. A role or node that says profile goes back to the profile's alone where repositories stand
	// for more machines.
	Source Value[string] `yaml:"source" enum:"profile,repositories" example:"repositories"`
	// Repositories are further package sources. One that is called as one of the profile's, or as its file, takes its place.
	Repositories List[Repository] `yaml:"repositories" example:"[{name: kubernetes, baseURL: \"https://mirror.example.com/kubernetes/\", gpgKeys: [{url: \"https://mirror.example.com/key.asc\", fingerprint: DE15B14486CD377B9E876E1A234654DA9A296436}]}]"`
	// GPGCheck is whether signatures are checked; switching it off is an explicit choice.
	GPGCheck Value[bool] `yaml:"gpgCheck" example:"true"`
	// Preinstalled says that the image holds the runtime and Kubernetes already: nothing is installed, all is checked.
	Preinstalled Value[bool] `yaml:"preinstalled" example:"false"`
	// Extra are further packages.
	Extra List[Value[string]] `yaml:"extra" example:"[nfs-common]"`
}

// Repository is one package source.
type Repository struct {
	At
	// Name is the source's identifier and file name.
	Name Value[string] `yaml:"name" required:"true" example:"kubernetes"`
	// BaseURL is where the source is.
	BaseURL Value[string] `yaml:"baseURL" required:"true" example:"https://mirror.example.com/kubernetes/"`
	// Suite is the distribution of a deb source: a suite's name, or a path that ends in / (the default).
	Suite Value[string] `yaml:"suite" example:"/"`
	// Components are a deb source's components.
	Components List[Value[string]] `yaml:"components" example:"[main]"`
	// GPGKeys sign the source.
	GPGKeys List[GPGKey] `yaml:"gpgKeys" example:"[{url: \"https://mirror.example.com/key.asc\", fingerprint: DE15B14486CD377B9E876E1A234654DA9A296436}]"`
}

// GPGKey is a signing key: fetched at first boot and accepted only with this fingerprint.
type GPGKey struct {
	At
	// URL is where the key is fetched.
	URL Value[string] `yaml:"url" required:"true" example:"https://mirror.example.com/key.asc"`
	// Fingerprint is the key's whole fingerprint, 40 hexadecimal digits.
	Fingerprint Value[string] `yaml:"fingerprint" required:"true" example:"DE15B14486CD377B9E876E1A234654DA9A296436"`
}

// File is an extra file.
type File struct {
	At
	// Path is where the file lies on the machine.
	Path Value[string] `yaml:"path" required:"true" example:"/etc/motd"`
	// Mode is the file's mode in octal, quoted; "0644" by default.
	Mode Value[string] `yaml:"mode" example:"\"0644\""`
	// Owner is the file's USER or USER:GROUP: root, which is each that is not said, the machine's users and their
	// groups, and the groups that every image has.
	Owner Value[string] `yaml:"owner" example:"root:root"`
	// Contents is what the file holds.
	Contents Value[string] `yaml:"contents" example:"hello" text:"any" empty:"true"`
	// Source is a file beside the spec, or an http or https URL that the machine fetches at first boot.
	Source Value[string] `yaml:"source" example:"./motd"`
	// SHA256 is the digest of what the source holds; a URL needs one.
	SHA256 Value[string] `yaml:"sha256" example:"\"0000000000000000000000000000000000000000000000000000000000000000\""`
}

// Unit is an extra systemd unit, or a change to one that the operating system has.
type Unit struct {
	At
	// Name is the unit's name with its suffix.
	Name Value[string] `yaml:"name" required:"true" example:"node-exporter.service"`
	// Contents is the unit file; left out for a unit that the operating system has.
	Contents Value[string] `yaml:"contents" example:"\"[Service]\\nExecStart=/usr/bin/true\\n\"" text:"lines"`
	// Enabled is whether the unit starts at boot; left out, it stays as it is. A unit without contents may come with a package:
	// with cloud-init it is enabled once these are installed.
	Enabled Value[bool] `yaml:"enabled" example:"true"`
	// Mask makes the unit impossible to start.
	Mask Value[bool] `yaml:"mask" example:"false"`
	// DropIns are changes to the unit.
	DropIns List[DropIn] `yaml:"dropIns" example:"[{name: 10-nice.conf, contents: \"[Service]\\nNice=5\\n\"}]"`
}

// DropIn is a change to a unit.
type DropIn struct {
	At
	// Name is the file's name, ending in .conf.
	Name Value[string] `yaml:"name" required:"true" example:"10-nice.conf"`
	// Contents is what the file holds.
	Contents Value[string] `yaml:"contents" required:"true" example:"\"[Service]\\nNice=5\\n\"" text:"lines"`
}

// Commands run around kubeadm, by bash, each once and in order.
type Commands struct {
	At
	// Before run when the runtime answers and before kubeadm.
	Before List[Value[string]] `yaml:"before" example:"[udevadm settle]" text:"lines"`
	// After run when kubeadm has ended.
	After List[Value[string]] `yaml:"after" example:"[touch /etc/joined]" text:"lines"`
}

// Images are container images to load before kubeadm runs.
type Images struct {
	At
	// Preload are docker archives.
	Preload List[Archive] `yaml:"preload" example:"[{path: /opt/images/flannel.tar, sha256: \"0000000000000000000000000000000000000000000000000000000000000000\"}]"`
}

// Archive is a docker archive of images.
type Archive struct {
	At
	// Path is where the archive lies on the machine.
	Path Value[string] `yaml:"path" example:"/opt/images/flannel.tar"`
	// URL is where the machine fetches the archive.
	URL Value[string] `yaml:"url" example:"https://files.example.com/flannel.tar"`
	// SHA256 is the archive's digest.
	SHA256 Value[string] `yaml:"sha256" required:"true" missing:"write the digest that sha256sum prints of the archive" example:"\"0000000000000000000000000000000000000000000000000000000000000000\""`
}

// Taint is a taint of a Node object.
type Taint struct {
	At
	// Key is the taint's key.
	Key Value[string] `yaml:"key" required:"true" example:"dedicated"`
	// Value is the taint's value.
	Value Value[string] `yaml:"value" example:"db" empty:"true"`
	// Effect is what the taint does to pods that do not tolerate it.
	Effect Value[string] `yaml:"effect" required:"true" enum:"NoSchedule,PreferNoSchedule,NoExecute" example:"NoSchedule"`
}

// MergeKey makes users add up by name.
func (u User) MergeKey() string { return u.Name.V }

// MergeKey makes files add up by path.
func (f File) MergeKey() string { return f.Path.V }

// MergeKey makes units add up by name.
func (u Unit) MergeKey() string { return u.Name.V }
