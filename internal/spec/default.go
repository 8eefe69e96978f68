package spec

import (
	"strconv"
	"strings"

	"muster/internal/decode"
	"muster/internal/kube"
)

// The values that hold where a spec sets none. kubeadm's own defaults are repeated here where muster has to know them.
const (
	DefaultPodSubnet       = "10.244.0.0/16"
	DefaultServiceSubnet   = "10.96.0.0/12"
	DefaultDNSDomain       = "cluster.local"
	DefaultBindPort        = 6443
	DefaultCertificatesDir = "/etc/kubernetes/pki"
	DefaultTokenTTL        = "15m"
	DefaultRendezvousPort  = 7443
	DefaultRaftPort        = 7444
	DefaultFlannelVersion  = "v0.28.4"
	DefaultFlannelBackend  = "vxlan"
)

// Default fills in what the spec leaves open, in one pass and before Validate. Only facts that belong to a profile's
// operating system (SELinux, firewall, CRI socket, image names) are left to the plan. A default has a path and no line:
// a problem with it is reported at the nearest parent that is in the file.
func (c *Cluster) Default(facts Facts) {
	c.defaultKubernetes(facts)
	c.defaultEndpoint()
	c.defaultProxy()
	c.defaultCNI()
	s := &c.Spec
	set(&s.Rendezvous.Delivery, "spec.rendezvous.delivery", "embed")
	set(&s.Rendezvous.Port, "spec.rendezvous.port", DefaultRendezvousPort)
	set(&s.Rendezvous.RaftPort, "spec.rendezvous.raftPort", DefaultRaftPort)
	set(&s.Platform, "spec.platform", "none")
	set(&s.Architecture, "spec.architecture", "amd64")
	set(&s.System.Swap, "spec.system.swap", "disabled")
	set(&s.Packages.Source, "spec.packages.source", "profile")
	set(&s.Packages.GPGCheck, "spec.packages.gpgCheck", true)
}

// set gives an unset value its default and the path that it would have in a file. A value that is in the file and
// could not be read gets none: nothing may be judged by it.
func set[T decode.Scalar](v *Value[T], path string, value T) {
	if v.Set || v.Known() {
		return
	}
	v.Default(value)
	v.Path = path
}

func (c *Cluster) defaultKubernetes(facts Facts) {
	k := &c.Spec.Kubernetes
	if version := facts.Profiles[c.foundingProfile()].DefaultVersion; version != "" {
		set(&k.Version, "spec.kubernetes.version", version)
	}
	if c.Metadata.Name.Set {
		set(&k.ClusterName, "spec.kubernetes.clusterName", c.Metadata.Name.V)
	}
	set(&k.CertificatesDir, "spec.kubernetes.certificatesDir", DefaultCertificatesDir)
	set(&k.Networking.PodSubnet, "spec.kubernetes.networking.podSubnet", DefaultPodSubnet)
	set(&k.Networking.ServiceSubnet, "spec.kubernetes.networking.serviceSubnet", DefaultServiceSubnet)
	set(&k.Networking.DNSDomain, "spec.kubernetes.networking.dnsDomain", DefaultDNSDomain)
	set(&k.APIServer.BindPort, "spec.kubernetes.apiServer.bindPort", DefaultBindPort)
	set(&k.BootstrapToken.TTL, "spec.kubernetes.bootstrapToken.ttl", DefaultTokenTTL)
}

// foundingProfile is the profile of the first control plane, which decides the version of the whole cluster.
func (c *Cluster) foundingProfile() string {
	if t, ok := c.founder(); ok {
		return t.Profile.V
	}
	return c.Spec.Profile.V
}

// defaultEndpoint makes controlPlaneEndpoint HOST:PORT: without one no control plane could be added later.
func (c *Cluster) defaultEndpoint() {
	k := &c.Spec.Kubernetes
	port := k.APIServer.BindPort.V
	if t, ok := c.founder(); ok {
		port = t.Kubernetes.APIServer.BindPort.V
	}
	suffix := ":" + strconv.Itoa(port)
	if e := &k.ControlPlaneEndpoint; e.Set && e.V != "" && !strings.Contains(e.V, ":") {
		e.V += suffix
	}
	if k.ClusterName.Set {
		set(&k.ControlPlaneEndpoint, "spec.kubernetes.controlPlaneEndpoint", OwnEndpointHost(k.ClusterName.V)+suffix)
	}
}

// OwnEndpointHost is the name that stands for all control planes in every machine's /etc/hosts where the spec names no
// endpoint of its own.
func OwnEndpointHost(clusterName string) string { return "api." + clusterName + ".muster" }

// defaultProxy chooses ipvs, as the procedure that muster replaces does, up to the release that deprecates it, and its
// successor nftables from there on. Without a readable version there is nothing to choose by.
func (c *Cluster) defaultProxy() {
	version, err := kube.Parse(c.Spec.Kubernetes.Version.V)
	if err != nil {
		return
	}
	mode := "ipvs"
	if version.IPVSDeprecated() {
		mode = "nftables"
	}
	set(&c.Spec.Kubernetes.Proxy.Mode, "spec.kubernetes.proxy.mode", mode)
}

// defaultCNI makes flannel the pod network of a spec that names none. Its images follow from its version, in the plan.
func (c *Cluster) defaultCNI() {
	cni := &c.Spec.CNI
	if !cni.UsesFlannel() {
		return
	}
	set(&cni.Flannel.Version, "spec.cni.flannel.version", DefaultFlannelVersion)
	set(&cni.Flannel.Backend, "spec.cni.flannel.backend", DefaultFlannelBackend)
}

// UsesFlannel reports whether flannel is the pod network: because the spec chooses it, or because it chooses none.
func (c CNI) UsesFlannel() bool {
	return c.Flannel.Known() || !c.Manifests.Known() && !c.None.Known()
}
