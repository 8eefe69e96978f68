package plan

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"

	"muster/internal/decode"
	"muster/internal/node"
	"muster/internal/problem"
	"muster/internal/spec"
	"muster/internal/yamltext"
	"muster/templates"
)

// object is one YAML object of kubeadm's configuration.
type object = map[string]any

// planKubelet writes the file that kubeadm's drop-in for the kubelet reads (S14). Only KUBELET_EXTRA_ARGS has an
// effect; the tutorial's two lines stay beside it for people who look for them.
func (m *machine) planKubelet() {
	args, cgroup := "", ""
	if m.version.KubeletFlagSetsCgroupDriver() {
		args, cgroup = "--cgroup-driver=systemd", "KUBELET_CGROUP_ARGS=\"--cgroup-driver=systemd\"\n"
	}
	text := fmt.Sprintf("KUBELET_EXTRA_ARGS=%q\n%sKUBE_PROXY_MODE=%q\n", args, cgroup, m.Cluster.Spec.Kubernetes.Proxy.Mode.V)
	m.addText(m.profile.Paths.KubeletEnvironment.V, text, m.Kubernetes.Kubelet.At)
}

// planKubeadm writes kubeadm's documents (S15, S16, S18): every machine can join, a control plane can also be the
// first.
func (m *machine) planKubeadm() {
	m.conf.set("KUBEADM_JOIN", joinFile)
	if dir := m.Cluster.Spec.Kubernetes.CertificatesDir.V; dir != spec.DefaultCertificatesDir {
		m.conf.set("CERTIFICATES_DIR", dir)
	}
	m.addDocument(joinFile, m.joinConfiguration())
	init := ""
	if m.IsControlPlane() {
		init = initFile
		m.addDocument(initFile, m.initConfiguration(), m.clusterConfiguration(), m.kubeletConfiguration(), m.proxyConfiguration())
	}
	m.conf.set("KUBEADM_INIT", init)
	var flags []string
	if m.Cluster.Spec.Kubernetes.DryRun.V && !m.version.DryRunInConfig() {
		flags = []string{"--dry-run"}
	}
	m.conf.setBool("DRY_RUN", m.Cluster.Spec.Kubernetes.DryRun.V)
	m.conf.setList("KUBEADM_FLAGS", flags)
}

// addDocument writes kubeadm objects as one file, with the spec's patches over them.
func (m *machine) addDocument(path string, objects ...object) {
	var all []any
	for _, o := range objects {
		patched := any(o)
		if patch, ok := m.Kubernetes.Patches.Get(o["kind"].(string)); ok {
			patched = decode.Patch(patched, patch.V)
		}
		all = append(all, patched)
	}
	text, err := yamltext.Marshal(all...)
	if err != nil {
		m.problems.Errorf(m.Kubernetes.Patches.At, "", "%s cannot be written: %v", path, err)
		return
	}
	m.addFile(node.File{Path: path, Mode: 0o600, Contents: text, At: m.Cluster.Spec.Kubernetes.At})
}

func (m *machine) kubeadmObject(kind string) object {
	return object{"apiVersion": m.version.ConfigAPI(), "kind": kind}
}

func (m *machine) initConfiguration() object {
	k := m.Cluster.Spec.Kubernetes
	o := m.kubeadmObject("InitConfiguration")
	o["bootstrapTokens"] = []any{object{"ttl": k.BootstrapToken.TTL.V, "description": templates.InitTokenDescription}}
	o["nodeRegistration"] = m.nodeRegistration()
	o["localAPIEndpoint"] = m.localAPIEndpoint()
	m.setDryRun(o)
	return o
}

// joinConfiguration is complete but for the file that it names: the rendezvous brings that one at first boot.
func (m *machine) joinConfiguration() object {
	o := m.kubeadmObject("JoinConfiguration")
	o["nodeRegistration"] = m.nodeRegistration()
	o["discovery"] = object{"file": object{"kubeConfigPath": discoveryFile}}
	if m.IsControlPlane() {
		o["controlPlane"] = object{"localAPIEndpoint": m.localAPIEndpoint()}
	}
	if dir := m.Cluster.Spec.Kubernetes.CertificatesDir.V; dir != spec.DefaultCertificatesDir {
		o["caCertPath"] = dir + "/ca.crt" // where the kubelet's configuration looks for it
	}
	m.setDryRun(o)
	return o
}

func (m *machine) setDryRun(o object) {
	if m.Cluster.Spec.Kubernetes.DryRun.V && m.version.DryRunInConfig() {
		o["dryRun"] = true
	}
}

func (m *machine) localAPIEndpoint() object {
	api := m.Kubernetes.APIServer
	return object{"advertiseAddress": cmp.Or(api.AdvertiseAddress.V, m.Node.Address.V), "bindPort": api.BindPort.V}
}

func (m *machine) nodeRegistration() object {
	o := object{"criSocket": m.criSocket()}
	if m.Node != nil {
		o["name"] = m.Node.Name.V
	}
	if m.version.ImagePullPolicyInConfig() {
		o["imagePullPolicy"] = "IfNotPresent"
	}
	if ignored := m.ignoredChecks(); len(ignored) > 0 {
		o["ignorePreflightErrors"] = ignored
	}
	if m.Taints.Set {
		o["taints"] = taints(m.Taints)
	}
	args := argsOf(m.profile.KubeletArgs)
	if m.Node != nil && m.Node.Address.Set {
		args["node-ip"] = m.Node.Address.V
	}
	if labels := m.labels(); labels != "" {
		args["node-labels"] = labels
	}
	for _, e := range m.Kubernetes.Kubelet.ExtraArgs.Entries {
		args[e.Key] = e.Value.V
	}
	if len(args) > 0 {
		o["kubeletExtraArgs"] = m.args(args)
	}
	return o
}

// ignoredChecks are the preflight checks whose errors do not end kubeadm. Where swap is kept its check is one of them:
// up to 1.22 it is an error, from 1.23 a warning. So is, where an old join would refuse them, that for static pods.
func (m *machine) ignoredChecks() []string {
	checks := decode.Strings(m.Kubernetes.IgnorePreflightErrors)
	ignore := func(name string) {
		if !slices.ContainsFunc(checks, func(check string) bool { return strings.EqualFold(check, "all") || strings.EqualFold(check, name) }) {
			checks = append(checks, name)
		}
	}
	if m.System.Swap.V == "keep" {
		ignore("Swap")
	}
	staticPod := func(f spec.File) bool { return strings.HasPrefix(f.Path.V, "/etc/kubernetes/manifests/") }
	if m.version.JoinRefusesStaticPods() && slices.ContainsFunc(m.Files.Items, staticPod) {
		ignore("DirAvailable--etc-kubernetes-manifests")
	}
	return checks
}

func (m *machine) labels() string {
	var out []string
	for _, e := range m.Labels.Entries {
		out = append(out, e.Key+"="+e.Value.V)
	}
	sort.Strings(out)
	return strings.Join(out, ",")
}

func taints(l spec.List[spec.Taint]) []any {
	out := []any{}
	for _, t := range l.Items {
		o := object{"key": t.Key.V, "effect": t.Effect.V}
		if t.Value.Set {
			o["value"] = t.Value.V
		}
		out = append(out, o)
	}
	return out
}

// argsOf copies a map of flags.
func argsOf(m spec.Map[spec.Value[string]]) map[string]string {
	out := map[string]string{}
	for _, e := range m.Entries {
		out[e.Key] = e.Value.V
	}
	return out
}

// args writes flags as the version's configuration has them: a list of name and value, or a map.
func (m *machine) args(args map[string]string) any {
	if !m.version.ArgsAreLists() {
		out := object{}
		for k, v := range args {
			out[k] = v
		}
		return out
	}
	var out []any
	for _, k := range slices.Sorted(maps.Keys(args)) {
		out = append(out, object{"name": k, "value": args[k]})
	}
	return out
}

func (m *machine) clusterConfiguration() object {
	k := m.Cluster.Spec.Kubernetes
	o := m.kubeadmObject("ClusterConfiguration")
	o["kubernetesVersion"] = m.version.String()
	o["clusterName"] = k.ClusterName.V
	o["controlPlaneEndpoint"] = k.ControlPlaneEndpoint.V
	o["certificatesDir"] = k.CertificatesDir.V
	if k.ImageRepository.Set {
		o["imageRepository"] = k.ImageRepository.V
	}
	o["networking"] = object{"podSubnet": k.Networking.PodSubnet.V, "serviceSubnet": k.Networking.ServiceSubnet.V, "dnsDomain": k.Networking.DNSDomain.V}
	if k.FeatureGates.Set {
		gates := object{}
		for _, e := range k.FeatureGates.Entries {
			gates[e.Key] = e.Value.V
		}
		o["featureGates"] = gates
	}
	api := m.component(k.APIServer.ExtraArgs, nil)
	if sans := decode.Strings(k.APIServer.CertSANs); len(sans) > 0 {
		api["certSANs"] = sans
	}
	etcd := m.component(k.Etcd.ExtraArgs, nil)
	etcd["dataDir"] = "/var/lib/etcd"
	o["etcd"] = object{"local": etcd}
	setUnlessEmpty(o, "apiServer", api)
	setUnlessEmpty(o, "controllerManager", m.component(k.ControllerManager.ExtraArgs, m.controllerManagerArgs))
	setUnlessEmpty(o, "scheduler", m.component(k.Scheduler.ExtraArgs, nil))
	return o
}

// controllerManagerArgs are the flags that the profiles of all control planes make necessary, but for those that the
// spec sets. Whichever machine runs kubeadm init writes the configuration that all others join with.
func controllerManagerArgs(in Input, targets []spec.Target, problems *problem.List) map[string]string {
	out := map[string]string{}
	for _, t := range targets {
		if !t.IsControlPlane() {
			continue
		}
		for _, e := range in.Profiles[t.Profile.V].ControllerManagerArgs.Entries {
			if _, said := in.Cluster.Spec.Kubernetes.ControllerManager.ExtraArgs.Get(e.Key); said {
				continue
			}
			if known, met := out[e.Key]; met && known != e.Value.V {
				problems.Errorf(t.Profile.At, "take profiles that agree, or set it in kubernetes.controllerManager.extraArgs",
					"%s of kube-controller-manager is one for all control planes; profile %s needs %s, and another profile %s", e.Key, t.Profile.V, e.Value.V, known)
				continue
			}
			out[e.Key] = e.Value.V
		}
	}
	return out
}

func (m *machine) component(extra spec.Map[spec.Value[string]], base map[string]string) object {
	args := argsOf(extra)
	for k, v := range base {
		if _, said := args[k]; !said {
			args[k] = v
		}
	}
	if len(args) == 0 {
		return object{}
	}
	return object{"extraArgs": m.args(args)}
}

func setUnlessEmpty(o object, key string, value object) {
	if len(value) > 0 {
		o[key] = value
	}
}

// kubeletConfiguration is the cluster's; kubeadm hands it to every machine that joins.
func (m *machine) kubeletConfiguration() object {
	o := object{"apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration", "cgroupDriver": "systemd"}
	if slices.ContainsFunc(m.targets, func(t spec.Target) bool { return t.System.Swap.V == "keep" }) {
		o["failSwapOn"] = false
	}
	return o
}

func (m *machine) proxyConfiguration() object {
	proxy := m.Cluster.Spec.Kubernetes.Proxy
	o := object{"apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration", "mode": proxy.Mode.V}
	if proxy.Scheduler.Set {
		o["ipvs"] = object{"scheduler": proxy.Scheduler.V}
	}
	return o
}
