package spec

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

var (
	flagScopeRules   = []func(*validator, Scope){rulePatchKind, rulePatchMapping, rulePatchSecret, rulePatchIdentity, ruleFlagName, ruleKubeletFlagValue, ruleKubeletFlagOwned}
	flagTargetRules  = []func(*validator, Target){ruleKubeletFlagRemoved}
	flagClusterRules = []func(*validator){ruleComponentFlagName, ruleComponentFlagOwned, ruleComponentFlagValue, ruleComponentFlagRemoved, ruleComponentFlagNeeded, ruleAnonymousAuth}
)

// component is one program of the control plane with the flags that the spec gives it, and those that muster decides
// on, with what to write instead.
type component struct {
	name string
	// block is where ClusterConfiguration has the program's extraVolumes; there are none for etcd.
	block string
	args  Map[Value[string]]
	owned map[string]string
}

func (v *validator) components() []component {
	k := v.Spec.Kubernetes
	return []component{
		{"kube-apiserver", "apiServer", k.APIServer.ExtraArgs, map[string]string{
			"advertise-address": "write it as apiServer.advertiseAddress", "secure-port": "write it as apiServer.bindPort",
			"service-cluster-ip-range": "write it as networking.serviceSubnet",
		}},
		{"kube-controller-manager", "controllerManager", k.ControllerManager.ExtraArgs, map[string]string{
			"cluster-name": "write it as clusterName", "cluster-cidr": "write it as networking.podSubnet",
			"service-cluster-ip-range": "write it as networking.serviceSubnet",
		}},
		{"kube-scheduler", "scheduler", k.Scheduler.ExtraArgs, nil},
		{"etcd", "", k.Etcd.ExtraArgs, map[string]string{
			"name": "write it as nodes[].name", "initial-cluster-token": "write it as clusterName", "data-dir": ownEtcdDisk, "wal-dir": ownEtcdDisk,
			"initial-cluster": ownMember, "initial-cluster-state": ownMember, "initial-advertise-peer-urls": ownMember, "advertise-client-urls": ownMember,
			"force-new-cluster": "leave it out; etcd would drop all other members at every start", "config-file": "leave it out; etcd would pass over all other flags",
		}},
	}
}

// ownEtcdDisk is the way to another place for etcd's data: its pod sees only this folder of the machine, and what etcd
// writes elsewhere is lost with its container.
const ownEtcdDisk = "leave it out, and mount a disk of its own at /var/lib/etcd; with ext4 also take lost+found away: commands: {before: [\"rm -df /var/lib/etcd/lost+found\"]}"

// ownMember is the advice about flags that differ from member to member: those of extraArgs are all members' alike.
const ownMember = "leave it out; kubeadm writes each control plane's own"

var flagName = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$`)

// camelCase finds where the keys of kubelet's configuration go on with a capital: maxPods is the flag max-pods.
var camelCase = regexp.MustCompile(`([a-z0-9])([A-Z])`)

// flagMistake tells what keeps a key of extraArgs from being a flag's name, and which flag is meant, if one can be.
func flagMistake(key string) (what, meant string) {
	name, _, valued := strings.Cut(key, "=")
	meant = camelCase.ReplaceAllString(strings.TrimLeft(name, "-"), "$1-$2")
	meant = strings.ReplaceAll(strings.ToLower(meant), "_", "-")
	switch {
	case flagName.MatchString(key):
		return "", ""
	case !flagName.MatchString(meant):
		return fmt.Sprintf("%.70q is no flag", key), ""
	case valued:
		return "a flag's name holds no =", meant
	default:
		return "flags are named in lower case with single dashes, and none in front", meant
	}
}

// checkFlagNames refuses what is no flag's name. Where a field writes the flag that is meant, it advises that field.
func (v *validator) checkFlagNames(args Map[Value[string]], owned map[string]string) {
	for _, arg := range args.Entries {
		what, meant := flagMistake(arg.Key)
		instead, ours := owned[meant]
		switch {
		case what == "":
			continue
		case meant == "":
			instead = "write the flag's name without dashes in front"
		case ours:
		case strings.Contains(arg.Key, "="):
			instead = "write " + meant + ": and the value"
		default:
			instead = "write " + meant
		}
		v.errorf(arg.At, instead, "%s", what)
	}
}

// Rule: a key of the kubelet's extraArgs is a flag's name.
func ruleFlagName(v *validator, s Scope) {
	v.checkFlagNames(s.Kubernetes.Kubelet.ExtraArgs, kubeletOwned)
}

// Rule: a key of a control plane program's extraArgs is a flag's name.
func ruleComponentFlagName(v *validator) {
	for _, c := range v.components() {
		v.checkFlagNames(c.args, c.owned)
	}
}

// Rule: a flag that a field of the spec writes is set by that field.
func ruleComponentFlagOwned(v *validator) {
	for _, c := range v.components() {
		for _, arg := range c.args.Entries {
			if instead, owned := c.owned[arg.Key]; owned {
				v.errorf(arg.At, instead, "muster decides on %s's flag %s", c.name, arg.Key)
			}
		}
	}
}

// Rule: no flag switches off what machines join by: bootstrap tokens, and with flannel each node's own network.
func ruleComponentFlagNeeded(v *validator) {
	k := v.Spec.Kubernetes
	if tokens, _ := k.APIServer.ExtraArgs.Get("enable-bootstrap-token-auth"); switchedOff(tokens) {
		v.errorf(tokens.At, "leave it out", "no machine can join: each does so with a bootstrap token")
	}
	if networks, _ := k.ControllerManager.ExtraArgs.Get("allocate-node-cidrs"); switchedOff(networks) && v.Spec.CNI.UsesFlannel() {
		v.errorf(networks.At, "leave it out, or choose another pod network under cni", "flannel waits for each node's network, which kube-controller-manager would not give out")
	}
}

// switchedOff reports whether a flag's value is false, in the words that Go's programs take.
func switchedOff(flag Value[string]) bool {
	on, err := strconv.ParseBool(flag.V)
	return flag.Set && err == nil && !on
}

// Rule: the API server answers those who ask for its health without credentials, as the kubelet does (a warning).
func ruleAnonymousAuth(v *validator) {
	anonymous, _ := v.Spec.Kubernetes.APIServer.ExtraArgs.Get("anonymous-auth")
	if !switchedOff(anonymous) || v.patchesPods() {
		return
	}
	instead := "leave it out"
	if v.versionKnown && v.version.AnonymousConditions() {
		instead += ", and write anonymous: {enabled: true, conditions: [{path: /livez}, {path: /readyz}, {path: /healthz}]} into the file of the flag authentication-config"
	}
	v.warnf(anonymous.At, instead, "the kubelet asks for kube-apiserver's health without credentials: it is told 401, starts kube-apiserver again and again, and kubeadm init fails")
}

// patchesPods reports whether a control plane has patches of kubeadm's own, which may change anything about the pods of
// its programs.
func (v *validator) patchesPods() bool {
	return slices.ContainsFunc(v.targets, func(t Target) bool {
		patch, _ := t.Kubernetes.Patches.Get("InitConfiguration")
		reached, _ := followPatch(patch.V, []string{"patches", "directory"})
		return t.IsControlPlane() && len(reached) == 2
	})
}

// Rule: a flag's value does not start like a flag, and holds no $(...), which the kubelet expands in a static pod.
func ruleComponentFlagValue(v *validator) {
	for _, c := range v.components() {
		for _, arg := range c.args.Entries {
			switch value := arg.Value; {
			case strings.HasPrefix(value.V, "--"):
				v.errorf(value.At, "write the value alone", "the value of %s starts like a flag", arg.Key)
			case strings.Contains(value.V, "$("), strings.Contains(value.V, "$$"):
				v.errorf(value.At, "write it without $( and $$", "the kubelet would expand the value of %s when it starts the pod", arg.Key)
			}
		}
	}
}

// kubeletOwned are the kubelet's flags that a field of the spec, or kubeadm, writes.
var kubeletOwned = map[string]string{
	"node-labels": "write labels", "register-with-taints": "write taints", "hostname-override": "write nodes[].name", "node-ip": "write nodes[].address",
	"container-runtime-endpoint": "write criSocket", "config": "write spec.kubernetes.patches: {KubeletConfiguration: ...}", "kubeconfig": "leave it out; kubeadm sets it",
	"bootstrap-kubeconfig": "leave it out; kubeadm sets it", "cgroup-driver": "leave it out; it follows the runtime", "fail-swap-on": "write system.swap",
}

// Rule: a kubelet's flag that a field of the spec writes is set by that field.
func ruleKubeletFlagOwned(v *validator, s Scope) {
	for _, arg := range s.Kubernetes.Kubelet.ExtraArgs.Entries {
		if instead, owned := kubeletOwned[arg.Key]; owned {
			v.errorf(arg.At, instead, "muster sets the kubelet's flag %s itself", arg.Key)
		}
	}
}

// Rule: a kubelet's flag has a value that systemd reads as one word: kubeadm writes the flags unquoted into an
// environment file.
func ruleKubeletFlagValue(v *validator, s Scope) {
	for _, arg := range s.Kubernetes.Kubelet.ExtraArgs.Entries {
		if strings.ContainsAny(arg.Value.V, " \t\"'\\`$#") {
			v.errorf(arg.Value.At, "write it without spaces, quotes and backslashes, or use spec.kubernetes.patches: {KubeletConfiguration: ...}", "the kubelet's environment file cannot hold the value of %s", arg.Key)
		}
	}
}

// Rule: a kubelet's flag is none that the version is known to have lost. Whether a program has any other flag of
// extraArgs is not checked.
func ruleKubeletFlagRemoved(v *validator, t Target) {
	if !v.versionKnown {
		return
	}
	for _, arg := range t.Kubernetes.Kubelet.ExtraArgs.Entries {
		if minor, removed := v.version.FlagRemovedIn("kubelet", arg.Key); removed {
			v.errorf(arg.At, "leave it out", "the kubelet no longer has the flag %s since %s and does not start with it", arg.Key, minor)
		}
	}
}

// Rule: a control plane program's flag is none that the version is known to have lost.
func ruleComponentFlagRemoved(v *validator) {
	if !v.versionKnown {
		return
	}
	for _, c := range v.components() {
		for _, arg := range c.args.Entries {
			if minor, removed := v.version.FlagRemovedIn(c.name, arg.Key); removed {
				v.errorf(arg.At, "leave it out", "%s no longer has the flag %s since %s and does not start with it", c.name, arg.Key, minor)
			}
		}
	}
}

// patchKinds are the documents that muster writes for kubeadm. machinePatchKinds are those that each machine reads for
// itself; the others reach the cluster by the control plane that runs kubeadm init, whichever that is.
var (
	patchKinds        = []string{"ClusterConfiguration", "InitConfiguration", "JoinConfiguration", "KubeProxyConfiguration", "KubeletConfiguration"}
	machinePatchKinds = []string{"InitConfiguration", "JoinConfiguration"}
)

// Rule: patches name a document that muster writes: of the cluster in spec.kubernetes, of one machine anywhere, and
// that of kubeadm init not for workers.
func rulePatchKind(v *validator, s Scope) {
	kinds := machinePatchKinds
	if s.Path == v.Spec.Path {
		kinds = patchKinds
	}
	for _, patch := range s.Kubernetes.Patches.Entries {
		switch {
		case patch.Key == "InitConfiguration" && v.workersOnly(s):
			v.errorf(patch.At, "write JoinConfiguration, or leave it out", "a worker never runs kubeadm init")
		case slices.Contains(kinds, patch.Key):
		case patch.Key == "KubeletConfiguration":
			v.errorf(patch.At, "write kubelet: {extraArgs: ...} here, or the patch under spec.kubernetes.patches", "kubeadm gives all machines the same KubeletConfiguration")
		case slices.Contains(patchKinds, patch.Key):
			v.errorf(patch.At, "write it under spec.kubernetes.patches", "%s holds for the whole cluster", patch.Key)
		default:
			v.errorf(patch.At, v.oneOf(patch.Key, kinds), "muster writes no document of kind %q", patch.Key)
		}
	}
}

// Rule: a patch is a mapping.
func rulePatchMapping(v *validator, s Scope) {
	for _, patch := range s.Kubernetes.Patches.Entries {
		v.checkMapping(patch.Value)
	}
}

// checkMapping refuses a free part that is not a mapping: as a merge patch it would replace the whole document.
func (v *validator) checkMapping(part Free) {
	if _, ok := part.V.(map[string]any); part.Set && !ok {
		v.errorf(part.At, "write the keys that differ", "a mapping is meant here")
	}
}

// patchedSecrets are the keys by which kubeadm's configuration takes tokens and keys, by path below a kind.
var patchedSecrets = map[string]string{
	"InitConfiguration.bootstrapTokens":             "tokens are minted at first boot; their life is bootstrapToken.ttl",
	"InitConfiguration.certificateKey":              "leave it out; certificates come over the rendezvous's own connection",
	"JoinConfiguration.discovery":                   "leave it out; it comes from the rendezvous at first boot",
	"JoinConfiguration.controlPlane.certificateKey": "leave it out; certificates come over the rendezvous's own connection",
}

// Rule: a patch sets no token, discovery or certificate key: no secret of the cluster stands in a file.
func rulePatchSecret(v *validator, s Scope) { v.checkPatchedKeys(s, patchedSecrets) }

// patchedIdentity are keys that muster owns, since other parts of a document follow from them, or since a merge patch
// would put its own list in the place of all that muster wrote from the spec's fields.
var patchedIdentity = map[string]string{
	"InitConfiguration.apiVersion": "leave it out; it follows from the version", "InitConfiguration.kind": "leave it out",
	"JoinConfiguration.apiVersion": "leave it out; it follows from the version", "JoinConfiguration.kind": "leave it out",
	"ClusterConfiguration.apiVersion": "leave it out; it follows from the version", "ClusterConfiguration.kind": "leave it out",
	"KubeletConfiguration.apiVersion": "leave it out", "KubeletConfiguration.kind": "leave it out",
	"KubeProxyConfiguration.apiVersion": "leave it out", "KubeProxyConfiguration.kind": "leave it out",
	"ClusterConfiguration.kubernetesVersion": "write kubernetes.version", "ClusterConfiguration.controlPlaneEndpoint": "write kubernetes.controlPlaneEndpoint",
	"ClusterConfiguration.clusterName": "write kubernetes.clusterName", "ClusterConfiguration.certificatesDir": "write kubernetes.certificatesDir",
	"ClusterConfiguration.imageRepository": "write kubernetes.imageRepository", "ClusterConfiguration.networking": "write kubernetes.networking",
	"ClusterConfiguration.featureGates":        "write kubernetes.featureGates",
	"ClusterConfiguration.apiServer.extraArgs": "write kubernetes.apiServer.extraArgs", "ClusterConfiguration.apiServer.certSANs": "write kubernetes.apiServer.certSANs",
	"ClusterConfiguration.controllerManager.extraArgs": "write kubernetes.controllerManager.extraArgs",
	"ClusterConfiguration.scheduler.extraArgs":         "write kubernetes.scheduler.extraArgs",
	"ClusterConfiguration.etcd.local.extraArgs":        "write kubernetes.etcd.extraArgs", "ClusterConfiguration.etcd.local.dataDir": ownEtcdDisk,
	"ClusterConfiguration.etcd.external": noExternalEtcd,
	"InitConfiguration.localAPIEndpoint": "write kubernetes.apiServer", "JoinConfiguration.controlPlane": "write kubernetes.apiServer, or nodes[].role",
	"InitConfiguration.nodeRegistration.name": "write nodes[].name", "JoinConfiguration.nodeRegistration.name": "write nodes[].name",
	"InitConfiguration.nodeRegistration.criSocket": "write kubernetes.criSocket", "JoinConfiguration.nodeRegistration.criSocket": "write kubernetes.criSocket",
	"InitConfiguration.nodeRegistration.taints": "write taints", "JoinConfiguration.nodeRegistration.taints": "write taints",
	"InitConfiguration.nodeRegistration.kubeletExtraArgs":      "write kubernetes.kubelet.extraArgs, or labels",
	"JoinConfiguration.nodeRegistration.kubeletExtraArgs":      "write kubernetes.kubelet.extraArgs, or labels",
	"InitConfiguration.nodeRegistration.ignorePreflightErrors": "write kubernetes.ignorePreflightErrors",
	"JoinConfiguration.nodeRegistration.ignorePreflightErrors": "write kubernetes.ignorePreflightErrors",
	"InitConfiguration.dryRun":                                 "write spec.kubernetes.dryRun", "JoinConfiguration.dryRun": "write spec.kubernetes.dryRun",
	"JoinConfiguration.caCertPath": "leave it out; it follows from kubernetes.certificatesDir",
	"KubeProxyConfiguration.mode":  "write kubernetes.proxy.mode", "KubeProxyConfiguration.clusterCIDR": "write kubernetes.networking.podSubnet",
	"KubeProxyConfiguration.ipvs.scheduler": "write kubernetes.proxy.scheduler",
	"KubeletConfiguration.clusterDomain":    "write kubernetes.networking.dnsDomain", "KubeletConfiguration.cgroupDriver": "leave it out; it follows the runtime",
}

// noExternalEtcd is why there is no etcd but the one that kubeadm runs: the rendezvous hands its CA to control planes
// that join, and takes the member of one that goes out of it.
const noExternalEtcd = "leave it out; the rendezvous adds and removes control planes together with the etcd that kubeadm runs on them, and with no other"

// Rule: a patch leaves alone what a field of the spec says, so that all documents agree.
func rulePatchIdentity(v *validator, s Scope) { v.checkPatchedKeys(s, patchedIdentity) }

func (v *validator) checkPatchedKeys(s Scope, refused map[string]string) {
	for _, patch := range s.Kubernetes.Patches.Entries {
		for _, key := range slices.Sorted(maps.Keys(refused)) {
			kind, inside, _ := strings.Cut(key, ".")
			if kind != patch.Key {
				continue
			}
			path := strings.Split(inside, ".")
			reached, value := followPatch(patch.Value.V, path)
			at := patch.Value.Place(reached...)
			switch {
			case len(reached) == 0 || someBelow(v.failed, at.Path) || same(value, v.patchedAnyway(key)):
			case len(reached) == len(path):
				v.errorf(at, refused[key], "a patch may not set %s of %s", inside, kind)
			default:
				v.errorf(at, "write keys below it, or leave it out", "a patch may not take away %s of %s, and %s with it", strings.Join(reached, "."), kind, inside)
			}
		}
	}
}

// patchedAnyway is what muster itself writes at a key of patchedIdentity, where it is what people paste: saying it again
// changes nothing.
func (v *validator) patchedAnyway(key string) any {
	kind, inside, _ := strings.Cut(key, ".")
	switch {
	case inside == "kind":
		return kind
	case key == "KubeletConfiguration.cgroupDriver":
		return "systemd"
	case key == "KubeletConfiguration.apiVersion":
		return "kubelet.config.k8s.io/v1beta1"
	case key == "KubeProxyConfiguration.apiVersion":
		return "kubeproxy.config.k8s.io/v1alpha1"
	case inside == "apiVersion" && v.versionKnown:
		return v.version.ConfigAPI()
	default:
		return nil
	}
}
