package spec

import (
	"maps"

	"muster/internal/decode"
)

// Words that other tools have for what a spec says: cloud-init, Cluster API, kubeadm, Ansible and its Kubespray, the bonding
// driver. An advice is one that gen takes as it stands.

// machineWords are other words for what may stand in every scope, or for the whole cluster.
var machineWords = map[string]string{
	"runcmd": "commands.before", "bootcmd": "commands.before", "preKubeadmCommands": "commands.before", "postKubeadmCommands": "commands.after",
	"write_files": "files", "kubernetesVersion": "kubernetes.version", "kubernetes_version": "kubernetes.version", "kube_version": "kubernetes.version",
	"podCIDR": "kubernetes.networking.podSubnet", "pod_cidr": "kubernetes.networking.podSubnet", "serviceCIDR": "kubernetes.networking.serviceSubnet",
}

// kubernetesWords are machineWords where kubernetes itself is open.
var kubernetesWords = map[string]string{
	"kubernetesVersion": "version", "kubernetes_version": "version", "kube_version": "version",
	"podCIDR": "networking.podSubnet", "pod_cidr": "networking.podSubnet", "clusterCIDR": "networking.podSubnet", "serviceCIDR": "networking.serviceSubnet",
}

var platformWords = map[string]string{
	"platform: aws": "write ec2", "platform: google": "write gce", "platform: gcp": "write gce", "platform: vmware": "write vsphere",
	"platform: kvm": "write libvirt", "platform: qemu": "write libvirt", "platform: baremetal": "write metal", "platform: bare-metal": "write metal",
}

// with adds entries to a map and returns the whole as a new one.
func with(words, more map[string]string) map[string]string {
	all := maps.Clone(words)
	maps.Copy(all, more)
	return all
}

// Hints are other tools' words for what may stand in every scope.
func (Machine) Hints() decode.Hints {
	return decode.Hints{Meant: machineWords, Instead: platformWords}
}

// Hints are other words for keys and roles of a node.
func (Node) Hints() decode.Hints {
	return decode.Hints{
		Meant:   with(machineWords, map[string]string{"ip": "address", "hostname": "name", "ansible_host": "address"}),
		Instead: with(platformWords, map[string]string{"role: master": "write control-plane", "role: node": "write worker"}),
	}
}

// Hints are other words for keys of a pool, and what no pool may have.
func (Pool) Hints() decode.Hints {
	return decode.Hints{
		Meant:   with(machineWords, map[string]string{"count": "maxNodes", "replicas": "maxNodes"}),
		Instead: platformWords, Unfit: []string{"network"},
	}
}

// Advices that several structures give.
const (
	writeStrictARP  = "write patches: {KubeProxyConfiguration: {ipvs: {strictARP: true}}} under spec.kubernetes"
	writeSkipPhases = "write patches: {InitConfiguration: {skipPhases: [addon/kube-proxy]}} under spec.kubernetes, from v1.22.0 on"
	writeMaxPods    = `write kubelet: {extraArgs: {max-pods: "200"}} under kubernetes, or for all machines patches: {KubeletConfiguration: {maxPods: 200}} under spec.kubernetes`
)

// Hints are kubeadm's own words, and others, for what kubeadm is told.
func (Kubernetes) Hints() decode.Hints {
	return decode.Hints{Meant: kubernetesWords, Instead: map[string]string{
		"kubeProxy": writeStrictARP + "; its mode is proxy.mode", "kube-proxy": writeStrictARP + "; its mode is proxy.mode",
		"skipPhases": writeSkipPhases, "maxPods": writeMaxPods,
		"nodeRegistration": "write kubelet: {extraArgs: ...} and criSocket here; labels and taints stand under spec.controlPlane, spec.worker and at nodes",
	}}
}

// Hints are kubeadm's own words, and others, for what kubeadm is told of some machines.
func (MachineKubernetes) Hints() decode.Hints {
	return decode.Hints{Meant: machineWords, Instead: map[string]string{
		"skipPhases": writeSkipPhases, "maxPods": writeMaxPods,
		"nodeRegistration": "write kubelet: {extraArgs: ...} and criSocket here; labels and taints stand beside kubernetes",
	}}
}

// Hints are kubeadm's words for what is left to a patch.
func (APIServer) Hints() decode.Hints {
	return decode.Hints{Instead: map[string]string{
		"extraVolumes": "write patches: {ClusterConfiguration: {apiServer: {extraVolumes: [{name: audit, hostPath: /etc/audit, mountPath: /etc/audit}]}}} under spec.kubernetes",
		"timeoutForControlPlane": "write patches: {ClusterConfiguration: {apiServer: {timeoutForControlPlane: 5m0s}}} under spec.kubernetes, and from v1.31.0 on " +
			"patches: {InitConfiguration: {timeouts: {controlPlaneComponentHealthCheck: 5m0s}}}",
	}}
}

// Hints are words for what is a flag, or left to a patch.
func (Component) Hints() decode.Hints {
	return decode.Hints{Instead: map[string]string{
		"maxPods": writeMaxPods,
		"config":  "write flags as extraArgs, and of the kubelet's configuration patches: {KubeletConfiguration: {maxPods: 200}} under spec.kubernetes",
		"extraVolumes": "write patches under spec.kubernetes, such as " +
			"{ClusterConfiguration: {scheduler: {extraVolumes: [{name: policy, hostPath: /etc/policy, mountPath: /etc/policy}]}}}",
	}}
}

// Hints are words of kube-proxy's configuration, and the mode that means none.
func (Proxy) Hints() decode.Hints {
	return decode.Hints{Instead: map[string]string{
		"ipvs": writeStrictARP, "strictARP": writeStrictARP, "mode: none": writeSkipPhases,
	}}
}

// Hints are other pod networks, which come as manifests.
func (CNI) Hints() decode.Hints {
	instead := map[string]string{}
	for _, name := range []string{"calico", "cilium"} {
		instead[name] = "write cni: {manifests: [./" + name + ".yaml]}, and put its manifest beside the spec"
	}
	return decode.Hints{Instead: instead}
}

// Hints are words of the bonding driver and of ifcfg files.
func (Bond) Hints() decode.Hints {
	return decode.Hints{Meant: map[string]string{"slaves": "interfaces", "miimon": "parameters.mii-monitor-interval"}}
}

// Hints are words of the bonding driver.
func (BondParameters) Hints() decode.Hints {
	return decode.Hints{Meant: map[string]string{"miimon": "mii-monitor-interval", "xmit_hash_policy": "transmit-hash-policy"}}
}

// Hints are yum's and apt's words.
func (Repository) Hints() decode.Hints {
	return decode.Hints{Meant: map[string]string{"url": "baseURL"}}
}

// Hints are cloud-init's words.
func (File) Hints() decode.Hints {
	return decode.Hints{Meant: map[string]string{"permissions": "mode"}}
}

// Hints are other tools' words for the two lists.
func (Commands) Hints() decode.Hints {
	return decode.Hints{Meant: map[string]string{
		"runcmd": "before", "bootcmd": "before", "preKubeadmCommands": "before", "postKubeadmCommands": "after",
	}}
}
