package spec

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"muster/internal/kube"
)

var (
	kubernetesScopeRules  = []func(*validator, Scope){rulePreflightAll, rulePreflightName, ruleCRISocketSyntax}
	kubernetesTargetRules = []func(*validator, Target){ruleVersionOfProfile, ruleVersionPinned, ruleCRISocketVersion, ruleBindPort, ruleBindPortClash,
		ruleBindPortCommon, ruleBindPortOnControlPlane}
	kubernetesClusterRules = []func(*validator){ruleVersion, ruleClusterNameText, ruleEndpoint, ruleEndpointNode, ruleCertificatesDir, ruleTokenTTL, ruleTokenTTLLong,
		ruleProxyMode, ruleProxyDeprecated, ruleProxyScheduler, ruleFeatureGate, ruleImageRepository, ruleCertSAN, ruleDryRun}
)

// Rule: kubernetes.version is one that this muster knows.
func ruleVersion(v *validator) {
	version := v.Spec.Kubernetes.Version
	read, err := kube.Parse(version.V)
	if err == nil || !version.Set {
		return
	}
	what, instead, _ := strings.Cut(err.Error(), ": ")
	if profile, known := v.facts.Profiles[v.foundingProfile()]; known {
		spelled := kube.Spelled(version.V)
		meant, unspelled := kube.Parse(spelled)
		switch {
		case read != kube.Version{}: // it is a version, and no profile may take it
			instead = profile.versions()
		case unspelled == nil && profile.takes(meant) && profile.hasDigests(meant):
			instead = "write " + spelled
		case profile.DefaultVersion != "":
			instead = "write it as vMAJOR.MINOR.PATCH, such as " + profile.DefaultVersion
		}
	}
	v.errorf(version.At, instead, "%s", what)
}

// Rule: the version lies in the range that each profile fits.
func ruleVersionOfProfile(v *validator, t Target) {
	profile, known := v.facts.Profiles[t.Profile.V]
	if !known || !v.versionKnown || profile.takes(v.version) {
		return
	}
	at := v.Spec.Kubernetes.Version.At
	if founding, ok := v.facts.Profiles[v.foundingProfile()]; ok && founding.takes(v.version) {
		at = t.Profile.At // the version fits the cluster, and this profile does not
	}
	v.errorf(at, profile.versions(), "the profile %s does not fit %s", t.Profile.V, v.version)
}

// takes reports whether a version lies in the profile's range.
func (p ProfileFacts) takes(version kube.Version) bool {
	return version.Between(p.MinMinor, p.MaxMinor)
}

// hasDigests reports whether a profile that fetches programs by digest has those of a version.
func (p ProfileFacts) hasDigests(version kube.Version) bool {
	return len(p.PinnedVersions) == 0 || slices.Contains(p.PinnedVersions, version.String())
}

// versions says which versions a profile takes.
func (p ProfileFacts) versions() string {
	if len(p.PinnedVersions) > 0 {
		return "write one of " + strings.Join(p.PinnedVersions, ", ") + ", or take another profile"
	}
	return fmt.Sprintf("write a version from v1.%d to v1.%d, or take another profile", p.MinMinor, p.MaxMinor)
}

// Rule: where a profile fetches programs by digest, the version is one that it has digests of.
func ruleVersionPinned(v *validator, t Target) {
	profile := v.facts.Profiles[t.Profile.V]
	if !v.versionKnown || profile.hasDigests(v.version) {
		return
	}
	v.errorf(v.Spec.Kubernetes.Version.At, "write one of "+strings.Join(profile.PinnedVersions, ", "),
		"the profile %s has no digests of the programs of %s", t.Profile.V, v.version)
}

// contextName is what a cluster's name in a kubeconfig may be without quoting by anybody.
var contextName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$`)

// Rule: kubernetes.clusterName is a word of letters, digits, dashes, dots and underscores.
func ruleClusterNameText(v *validator) {
	if name := v.Spec.Kubernetes.ClusterName; name.Known() && name.Set && !contextName.MatchString(name.V) {
		v.errorf(name.At, "write at most 63 letters, digits, dashes, dots and underscores", "%.70q is no cluster name", name.V)
	}
}

// ownEndpoint reports whether the endpoint is muster's own name, which every machine finds in /etc/hosts.
func (v *validator) ownEndpoint() bool {
	host, _, _ := splitEndpoint(v.Spec.Kubernetes.ControlPlaneEndpoint.V)
	return host != "" && host == OwnEndpointHost(v.Spec.Kubernetes.ClusterName.V)
}

// splitEndpoint splits HOST:PORT; ok is false where it is anything else.
func splitEndpoint(endpoint string) (host string, port int, ok bool) {
	host, text, _ := strings.Cut(endpoint, ":")
	port, err := strconv.Atoi(text)
	if err != nil || strconv.Itoa(port) != text || port < 1 || port > 65535 {
		return host, 0, false
	}
	return host, port, true
}

// Rule: controlPlaneEndpoint is HOST or HOST:PORT, with a DNS name or an IPv4 address.
func ruleEndpoint(v *validator) {
	endpoint := v.Spec.Kubernetes.ControlPlaneEndpoint
	if !endpoint.Known() || !endpoint.Set {
		return // the default is right if clusterName is
	}
	const instead = "write HOST or HOST:PORT, such as k8s.example.com:6443"
	host, _, ok := splitEndpoint(endpoint.V)
	switch {
	case strings.Contains(endpoint.V, "://"):
		v.errorf(endpoint.At, instead, "an endpoint has no scheme")
	case strings.Contains(endpoint.V, "@"):
		v.errorf(endpoint.At, withoutTheLogin, "an endpoint has no user or password")
	case strings.Count(endpoint.V, ":") > 1:
		v.errorf(endpoint.At, instead, "IPv6 and dual-stack are not supported")
	case !ok:
		v.errorf(endpoint.At, instead, "%.70q has no port from 1 to 65535", endpoint.V)
	default:
		if what, hint := hostMistake(host); what != "" {
			v.errorf(endpoint.At, hint, "%s", what)
		}
	}
}

// hostMistake tells what keeps a text from being a DNS name or an IPv4 address.
func hostMistake(host string) (what, instead string) {
	if !ipv4Like(host) {
		return subdomainMistake(host)
	}
	if _, err := parseIPv4(host); err != nil {
		return err.Error(), "write a DNS name or an IPv4 address"
	}
	return "", ""
}

// Rule: the endpoint of several control planes is not the address or name of one of them (a warning).
func ruleEndpointNode(v *validator) {
	endpoint := v.Spec.Kubernetes.ControlPlaneEndpoint
	if !endpoint.Known() || len(v.ControlPlanes()) < 2 {
		return
	}
	host, _, _ := splitEndpoint(endpoint.V)
	for _, n := range v.Spec.Nodes.Items {
		aliased := slices.ContainsFunc(n.Aliases.Items, func(a Value[string]) bool { return a.V == host })
		if host != "" && (n.Address.V == host || n.Name.V == host || aliased) {
			v.warnf(endpoint.At, "leave it out, or name a balancer or an address that moves", "the cluster cannot be reached without %s: the endpoint is that node", n.Name.V)
		}
	}
}

// pathMistake tells what keeps a text from being an absolute path that shells, units and kubeadm read alike.
func pathMistake(p string) (what, instead string) {
	switch {
	case !strings.HasPrefix(p, "/"):
		return fmt.Sprintf("%.70q is no absolute path", p), "write the path from / on"
	case path.Clean(p) != p:
		return "the path is not clean", "write " + path.Clean(p)
	case p == "/":
		return "this is the root of the file system", "write the path of a file below it"
	case len(p) > 4095:
		return "a path has at most 4095 bytes", "write a shorter one"
	case slices.ContainsFunc(strings.Split(p, "/"), func(name string) bool { return len(name) > 255 }):
		return "the name of a file or folder has at most 255 bytes", "write a shorter one"
	default:
		return "", ""
	}
}

// plainPath are the characters of a path that no shell, unit file, sysctl line or tmpfiles line reads as anything else.
var plainPath = regexp.MustCompile(`^[A-Za-z0-9/._+@:=,-]*$`)

// Rule: certificatesDir is an absolute, clean path of plain characters.
func ruleCertificatesDir(v *validator) {
	dir := v.Spec.Kubernetes.CertificatesDir
	if !dir.Set {
		return
	}
	if what, instead := pathMistake(dir.V); what != "" {
		v.errorf(dir.At, instead, "%s", what)
	} else if !plainPath.MatchString(dir.V) {
		v.errorf(dir.At, "write letters, digits and ._+@:=,-", "the path holds other characters than kubeadm's manifests take")
	}
}

// The bounds of a token's life: longer than a day is not meant for a bootstrap token, longer than an hour is more than
// a boot needs.
const (
	maxTokenTTL  = 24 * time.Hour
	longTokenTTL = time.Hour
	minTokenTTL  = time.Minute
)

// Rule: bootstrapToken.ttl is a Go duration from one minute to one day; 0 would never expire.
func ruleTokenTTL(v *validator) {
	ttl := v.Spec.Kubernetes.BootstrapToken.TTL
	if !ttl.Set {
		return
	}
	const instead = "write 1m to 24h, such as 15m"
	switch life, err := time.ParseDuration(ttl.V); {
	case err != nil:
		v.errorf(ttl.At, instead, "%.40q is no duration", ttl.V)
	case life == 0:
		v.errorf(ttl.At, instead, "a token with ttl 0 never expires")
	case life < minTokenTTL || life > maxTokenTTL:
		v.errorf(ttl.At, instead, "a token cannot live for %s", ttl.V)
	}
}

// Rule: a token that lives for more than an hour is open longer than any boot needs (a warning).
func ruleTokenTTLLong(v *validator) {
	ttl := v.Spec.Kubernetes.BootstrapToken.TTL
	if life, err := time.ParseDuration(ttl.V); err == nil && life > longTokenTTL {
		v.warnf(ttl.At, "write at most 1h; each machine gets a token of its own when it boots", "a token that lives for %s may be found and used", ttl.V)
	}
}

// Rule: kube-proxy of the version knows proxy.mode.
func ruleProxyMode(v *validator) {
	mode := v.Spec.Kubernetes.Proxy.Mode
	if mode.Set && v.versionKnown && !v.version.HasProxyMode(mode.V) {
		v.errorf(mode.At, "write ipvs or iptables", "kube-proxy of %s does not know mode %s", v.version, mode.V)
	}
}

// Rule: ipvs is deprecated in newer versions (a warning).
func ruleProxyDeprecated(v *validator) {
	mode := v.Spec.Kubernetes.Proxy.Mode
	if mode.V == "ipvs" && v.versionKnown && v.version.IPVSDeprecated() {
		v.warnf(mode.At, "write nftables", "kube-proxy of %s warns that ipvs will be removed", v.version)
	}
}

// Rule: proxy.scheduler belongs to mode ipvs.
func ruleProxyScheduler(v *validator) {
	proxy := v.Spec.Kubernetes.Proxy
	if proxy.Scheduler.Set && proxy.Mode.Set && proxy.Mode.V != "ipvs" {
		v.errorf(proxy.Scheduler.At, "leave it out, or write mode: ipvs", "mode %s has no scheduler", proxy.Mode.V)
	}
}

// Rule: a feature gate is one of kubeadm's, and one that the version takes.
func ruleFeatureGate(v *validator) {
	if !v.versionKnown {
		return
	}
	for _, gate := range v.Spec.Kubernetes.FeatureGates.Entries {
		switch {
		case !kube.IsFeatureGate(gate.Key):
			v.errorf(gate.At, v.oneOf(gate.Key, v.version.FeatureGates())+" (a component's own gate goes into its extraArgs, as feature-gates)", "kubeadm has no feature gate %q", gate.Key)
		case gate.Key == "IPv6DualStack" && gate.Value.V:
			v.errorf(gate.At, "leave it out", "IPv6 and dual-stack are not supported")
		case v.version.AwaitsFeatureGate(gate.Key):
			v.errorf(gate.At, "leave it out", "kubeadm of %s does not have the feature gate %s yet", v.version, gate.Key)
		case !slices.Contains(v.version.FeatureGates(), gate.Key):
			v.errorf(gate.At, "leave it out", "kubeadm of %s no longer has the feature gate %s", v.version, gate.Key)
		}
	}
}

// registryPath is HOST[:PORT][/PATH], as kubeadm takes it for imageRepository and a runtime for an image's name.
var registryPath = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?(/[a-z0-9]+([._-]+[a-z0-9]+)*)*$`)

// Rule: imageRepository is HOST[:PORT][/PATH], without scheme, tag, digest and final slash.
func ruleImageRepository(v *validator) {
	if repository := v.Spec.Kubernetes.ImageRepository; repository.Set {
		if what, instead := repositoryMistake(repository.V); what != "" {
			v.errorf(repository.At, instead, "%s", what)
		}
	}
}

// repositoryMistake tells what keeps a text from being an image's name without tag and digest.
func repositoryMistake(text string) (what, instead string) {
	_, bare, scheme := strings.Cut(text, "://")
	last := text[strings.LastIndex(text, "/")+1:]
	switch {
	case scheme:
		name, _, _ := strings.Cut(withoutLogin(bare), "@")
		return "an image's name has no scheme", writeRepository(name)
	case withoutLogin(text) != text:
		return "an image's name has no user or password", withoutTheLogin
	case strings.Contains(text, "@"):
		return "a digest is out of place here", "write the name without @..."
	case strings.HasSuffix(text, "/"):
		return "a slash at the end makes an empty name", writeRepository(text)
	case strings.Contains(text, "/") && strings.Contains(last, ":"):
		return "a tag is out of place here", "write the name without :" + last[strings.Index(last, ":")+1:]
	case !registryPath.MatchString(text):
		return fmt.Sprintf("%.70q is no name of images", text), writeRepository("")
	default:
		return "", ""
	}
}

// writeRepository advises a name without the slashes at its end, or an example where that would be refused as well.
func writeRepository(name string) string {
	if name = strings.TrimRight(name, "/"); registryPath.MatchString(name) {
		return "write " + name
	}
	return "write it like registry.example.com:5000/mirror, in lower case"
}

// withoutTheLogin is the advice where a name has a user or password in front.
const withoutTheLogin = "write it without the part before @"

// withoutLogin cuts what is before the last @: it may be a password, which no error repeats. The @ of an image's digest
// has none in front.
func withoutLogin(name string) string {
	end := len(name)
	if digest := strings.LastIndex(name, "@sha256:"); digest >= 0 {
		end = digest
	}
	return name[strings.LastIndex(name[:end], "@")+1:]
}

// Rule: a certSAN is a DNS name, which may start with "*.", or an IP address.
func ruleCertSAN(v *validator) {
	for _, san := range v.Spec.Kubernetes.APIServer.CertSANs.Items {
		if !san.Set || validIP(san.V) {
			continue
		}
		if what, instead := hostMistake(strings.TrimPrefix(san.V, "*.")); what != "" {
			v.errorf(san.At, instead, "%s", what)
		}
	}
}

// Rule: dryRun leaves no cluster behind (a warning).
func ruleDryRun(v *validator) {
	if dry := v.Spec.Kubernetes.DryRun; dry.V {
		v.warnf(dry.At, "leave it out to get a cluster", "with dryRun the machines print what kubeadm would do and never become a cluster")
	}
}

// preflightChecks are the names of kubeadm's checks; preflightFamilies are those that end in a port, path or program
// (cmd/kubeadm/app/preflight of the releases from 1.17 to 1.37). kubeadm compares them without regard to case and says
// nothing about a name that it does not know.
var (
	preflightChecks = []string{
		"CRI", "ContainerRuntimeVersion", "ExternalEtcdVersion", "Firewalld", "HTTPProxy", "HTTPProxyCIDR", "Hostname", "ImagePull", "IsDockerSystemdCheck",
		"IsPrivilegedUser", "KubeletVersion", "KubernetesVersion", "Mem", "NumCPU", "Swap", "SystemVerification",
		"Port-NUMBER", "DirAvailable-PATH", "FileAvailable-PATH", "FileContent-PATH", "FileExisting-PROGRAM", "Service-NAME",
	}
	preflightFamilies = regexp.MustCompile(`(?i)^(port-\d{1,5}|(dir|file)available-.+|filecontent-.+|fileexisting-.+|service-.+)$`)
)

// Rule: "all" stands alone in ignorePreflightErrors; kubeadm refuses it beside names.
func rulePreflightAll(v *validator, s Scope) {
	items := s.Kubernetes.IgnorePreflightErrors.Items
	for _, check := range items {
		if strings.EqualFold(check.V, "all") && len(items) > 1 {
			v.errorf(check.At, "write [all], or only names", "all and names of checks do not go together")
		}
	}
}

// Rule: a name in ignorePreflightErrors is one of kubeadm's checks; kubeadm would pass over a misspelt one in silence.
func rulePreflightName(v *validator, s Scope) {
	for _, check := range s.Kubernetes.IgnorePreflightErrors.Items {
		known := slices.ContainsFunc(preflightChecks, func(name string) bool { return strings.EqualFold(name, check.V) })
		if check.Set && !known && !strings.EqualFold(check.V, "all") && !preflightFamilies.MatchString(check.V) {
			v.errorf(check.At, v.oneOf(check.V, preflightChecks), "kubeadm has no check %q", check.V)
		}
	}
}

var socketPath = regexp.MustCompile(`^(unix://)?(/[A-Za-z0-9._-]+)+$`)

// Rule: criSocket is the path of a socket, with or without unix://.
func ruleCRISocketSyntax(v *validator, s Scope) {
	socket := s.Kubernetes.CRISocket
	if socket.Set && (!socketPath.MatchString(socket.V) || path.Clean(strings.TrimPrefix(socket.V, "unix://")) != strings.TrimPrefix(socket.V, "unix://")) {
		v.errorf(socket.At, "write it like unix:///run/containerd/containerd.sock", "%.70q is no socket", socket.V)
	}
}

// Rule: from Kubernetes 1.24 on criSocket is a URL, and no longer Docker's own socket.
func ruleCRISocketVersion(v *validator, t Target) {
	socket := t.Kubernetes.CRISocket
	if !socket.Set || !v.versionKnown || v.version.HasDockershim() {
		return
	}
	switch {
	case strings.HasSuffix(socket.V, "/dockershim.sock"):
		v.errorf(socket.At, "leave it out, or write unix:///var/run/cri-dockerd.sock", "the kubelet of %s no longer serves %s", v.version, socket.V)
	case strings.HasPrefix(socket.V, "/"):
		v.errorf(socket.At, "write unix://"+socket.V, "kubeadm of %s takes the socket as a URL", v.version)
	}
}

// ports are the ports that Kubernetes' programs listen on, on a control plane.
var ports = map[int]string{
	2379: "etcd", 2380: "etcd", 2381: "etcd's metrics", 10248: "the kubelet's health check", 10249: "kube-proxy's metrics", 10250: "the kubelet",
	10256: "kube-proxy's health check", 10257: "kube-controller-manager", 10259: "kube-scheduler",
}

// portMistake tells why a port cannot be listened on.
func portMistake(port int) string {
	by, taken := ports[port]
	switch {
	case port < 1 || port > 65535:
		return fmt.Sprintf("there is no port %d", port)
	case taken:
		return fmt.Sprintf("%s listens on port %d", by, port)
	case port >= 30000 && port <= 32767:
		return fmt.Sprintf("port %d is one of the services' node ports, 30000 to 32767", port)
	default:
		return ""
	}
}

// Rule: bindPort is a port that nothing else of Kubernetes listens on.
func ruleBindPort(v *validator, t Target) {
	port := t.Kubernetes.APIServer.BindPort
	if what := portMistake(port.V); port.Set && what != "" {
		v.errorf(port.At, "write another port, usually 6443", "%s", what)
	}
}

// Rule: bindPort is none of the rendezvous's ports.
func ruleBindPortClash(v *validator, t Target) {
	port, rendezvous := t.Kubernetes.APIServer.BindPort, v.Spec.Rendezvous
	if t.IsControlPlane() && port.Known() && (port.V == rendezvous.Port.V || port.V == rendezvous.RaftPort.V) {
		v.errorf(port.At, "write another port, usually 6443", "the rendezvous listens on port %d", port.V)
	}
}

// Rule: control planes that share the endpoint's own name share its port.
func ruleBindPortCommon(v *validator, t Target) {
	port := t.Kubernetes.APIServer.BindPort
	_, common, ok := splitEndpoint(v.Spec.Kubernetes.ControlPlaneEndpoint.V)
	if ok && t.IsControlPlane() && v.ownEndpoint() && port.Set && port.V != common {
		v.errorf(port.At, fmt.Sprintf("write %d everywhere, or set controlPlaneEndpoint to a balancer", common), "without a balancer every control plane listens on the same port, %d", common)
	}
}

// Rule: only a control plane has apiServer settings of its own.
func ruleBindPortOnControlPlane(v *validator, t Target) {
	if t.IsControlPlane() {
		return
	}
	written := []At{v.Spec.Worker.Kubernetes.APIServer.At}
	if t.Node != nil {
		written = append(written, t.Node.Kubernetes.APIServer.At)
	} else {
		written = append(written, t.Pool.Kubernetes.APIServer.At)
	}
	for _, at := range written {
		if at.Known() {
			v.errorf(at, "leave it out", "a worker runs no API server")
		}
	}
}
