package plan

import (
	"encoding/json"
	"fmt"
	"path"
	"slices"

	"muster/internal/decode"
	"muster/internal/node"
	"muster/internal/problem"
	"muster/internal/spec"
	"muster/internal/yamltext"
)

// planCNI writes the pod network's manifests on control planes (S19); the machine that ran kubeadm init applies them.
func (m *machine) planCNI() {
	m.checkBackend()
	var files []string
	if m.IsControlPlane() {
		if f := m.Cluster.Spec.CNI.Flannel; f.Version.Set {
			text, err := yamltext.Marshal(m.flannel()...)
			if err != nil {
				m.problems.Errorf(f.At, "", "flannel's manifest cannot be written: %v", err)
			}
			files = append(files, m.addManifest(node.File{Path: "flannel.yaml", Mode: 0o644, Contents: text, At: f.At}))
		}
		for i, v := range m.Cluster.Spec.CNI.Manifests.Items {
			text, err := m.ReadFile(v.V)
			if err != nil {
				m.problems.Errorf(v.At, "name a file beside the spec", "the manifest cannot be read: %v", err)
				continue
			}
			name := fmt.Sprintf("%02d-%s", i, path.Base(v.V))
			// It may hold Secrets, and only root applies it.
			files = append(files, m.addManifest(node.File{Path: name, Mode: 0o600, Contents: text, Source: v.V, At: v.At}))
		}
	}
	m.conf.setList("MANIFESTS", files)
	var flags []string
	if m.IsControlPlane() && m.version.AppliesServerSide() {
		flags = []string{"--server-side", "--force-conflicts"}
	}
	m.conf.setList("APPLY_FLAGS", flags)
	image := ""
	if m.IsControlPlane() {
		image = m.Cluster.Spec.Check.Nginx.Image.V
	}
	m.conf.set("NGINX_IMAGE", image)
}

// checkBackend warns of a kernel without the module that flannel's backend needs and is called like. An image may have another one.
func (m *machine) checkBackend() {
	if backend := m.Cluster.Spec.CNI.Flannel.Backend; slices.Contains(decode.Strings(m.profile.LacksModules), backend.V) {
		m.problems.Warnf(backend.At, "write vxlan, unless your image has another kernel", "the kernel of profile %s has no %s", m.profile.Name.V, backend.V)
	}
}

// addManifest adds a manifest, whose path is its name, and returns where it lies on the machine.
func (m *machine) addManifest(f node.File) string {
	f.Path = path.Join(manifests, f.Path)
	m.addFile(f)
	return f.Path
}

// checkCNIBin refuses machines that look for CNI plugins in different folders: flannel's DaemonSet, which is the same
// for all of them, puts its own into one.
func checkCNIBin(in Input, targets []spec.Target, problems *problem.List) {
	if !in.Cluster.Spec.CNI.Flannel.Version.Set {
		return
	}
	first := in.Profiles[targets[0].Profile.V]
	for _, t := range targets {
		if bin := in.Profiles[t.Profile.V].Paths.CNIBin.V; bin != first.Paths.CNIBin.V {
			problems.Errorf(t.Profile.At, "take profiles whose paths.cniBin agree, or another pod network than flannel",
				"profile %s has CNI plugins in %s, and profile %s in %s", t.Profile.V, bin, first.Name.V, first.Paths.CNIBin.V)
		}
	}
}

// flannelLabels are on everything that belongs to flannel's DaemonSet.
func flannelLabels() object { return object{"tier": "node", "app": "flannel"} }

// flannel is flannel's manifest, as its project publishes it, with the spec's network, images and backend. The network
// always equals the pod subnet.
func (m *machine) flannel() []any {
	meta := func(name string) object {
		return object{"name": name, "namespace": "kube-flannel"}
	}
	cluster := func(kind string, more object) object {
		o := object{"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": object{"name": "flannel"}}
		for k, v := range more {
			o[k] = v
		}
		return o
	}
	config := meta("kube-flannel-cfg")
	config["labels"] = flannelLabels()
	return []any{
		object{"apiVersion": "v1", "kind": "Namespace", "metadata": object{"name": "kube-flannel", "labels": object{"pod-security.kubernetes.io/enforce": "privileged"}}},
		cluster("ClusterRole", object{"rules": []any{
			object{"apiGroups": []any{""}, "resources": []any{"pods"}, "verbs": []any{"get"}},
			object{"apiGroups": []any{""}, "resources": []any{"nodes"}, "verbs": []any{"get", "list", "watch"}},
			object{"apiGroups": []any{""}, "resources": []any{"nodes/status"}, "verbs": []any{"patch"}},
		}}),
		cluster("ClusterRoleBinding", object{
			"roleRef":  object{"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "flannel"},
			"subjects": []any{object{"kind": "ServiceAccount", "name": "flannel", "namespace": "kube-flannel"}},
		}),
		object{"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta("flannel")},
		object{"apiVersion": "v1", "kind": "ConfigMap", "metadata": config, "data": object{"cni-conf.json": flannelCNI, "net-conf.json": m.flannelNetwork()}},
		m.flannelDaemonSet(),
	}
}

// flannelCNI is the CNI configuration that flannel writes on each node.
const flannelCNI = `{
  "name": "cbr0",
  "cniVersion": "0.3.1",
  "plugins": [
    {"type": "flannel", "delegate": {"hairpinMode": true, "isDefaultGateway": true}},
    {"type": "portmap", "capabilities": {"portMappings": true}}
  ]
}
`

// flannelNetwork is flanneld's configuration; EnableNFTables is left to its default, off.
func (m *machine) flannelNetwork() string {
	k := m.Cluster.Spec.Kubernetes
	text, _ := json.MarshalIndent(object{"Network": k.Networking.PodSubnet.V, "Backend": object{"Type": m.Cluster.Spec.CNI.Flannel.Backend.V}}, "", "  ") // strings only
	return string(text) + "\n"
}

// flannelDaemonSet is flannel's own manifest of its pods, for the version's images and the interface of the nodes.
func (m *machine) flannelDaemonSet() object {
	f := m.Cluster.Spec.CNI.Flannel
	images := flannelImages(f)
	mount := func(name, path string) object { return object{"name": name, "mountPath": path} }
	host := func(name, path, kind string) object {
		source := object{"path": path}
		if kind != "" {
			source["type"] = kind
		}
		return object{"name": name, "hostPath": source}
	}
	copyTo := func(name, image, from, to string, mounts ...any) object {
		return object{"name": name, "image": image, "command": []any{"cp"}, "args": []any{"-f", from, to}, "volumeMounts": mounts}
	}
	field := func(name, path string) object {
		return object{"name": name, "valueFrom": object{"fieldRef": object{"fieldPath": path}}}
	}
	args := []any{"--ip-masq", "--kube-subnet-mgr"}
	env := []any{field("POD_NAME", "metadata.name"), field("POD_NAMESPACE", "metadata.namespace"), object{"name": "EVENT_QUEUE_DEPTH", "value": "5000"}}
	switch name := linkName(m.Target); {
	case name != "" && !m.interfacesDiffer():
		args = append(args, "--iface="+name)
	case m.furtherCards():
		args, env = append(args, "--iface=$(HOST_IP)"), append(env, field("HOST_IP", "status.hostIP"))
	}
	pod := object{
		"affinity": object{"nodeAffinity": object{"requiredDuringSchedulingIgnoredDuringExecution": object{"nodeSelectorTerms": []any{
			object{"matchExpressions": []any{object{"key": "kubernetes.io/os", "operator": "In", "values": []any{"linux"}}}},
		}}}},
		"hostNetwork": true, "priorityClassName": "system-node-critical", "serviceAccountName": "flannel",
		"tolerations": []any{object{"operator": "Exists", "effect": "NoSchedule"}},
		"initContainers": []any{
			copyTo("install-cni-plugin", images.plugin, "/flannel", "/opt/cni/bin/flannel", mount("cni-plugin", "/opt/cni/bin")),
			copyTo("install-cni", images.flannel, "/etc/kube-flannel/cni-conf.json", "/etc/cni/net.d/10-flannel.conflist",
				mount("cni", "/etc/cni/net.d"), mount("flannel-cfg", "/etc/kube-flannel/")),
		},
		"containers": []any{object{
			"name": "kube-flannel", "image": images.flannel, "command": []any{"/opt/bin/flanneld"}, "args": args,
			"resources":       object{"requests": object{"cpu": "100m", "memory": "50Mi"}},
			"securityContext": object{"privileged": false, "capabilities": object{"add": []any{"NET_ADMIN", "NET_RAW"}}},
			"env":             env,
			"volumeMounts":    []any{mount("run", "/run/flannel"), mount("flannel-cfg", "/etc/kube-flannel/"), mount("xtables-lock", "/run/xtables.lock")},
		}},
		"volumes": []any{
			host("run", "/run/flannel", ""), host("cni-plugin", m.profile.Paths.CNIBin.V, ""), host("cni", "/etc/cni/net.d", ""),
			object{"name": "flannel-cfg", "configMap": object{"name": "kube-flannel-cfg"}}, host("xtables-lock", "/run/xtables.lock", "FileOrCreate"),
		},
	}
	return object{
		"apiVersion": "apps/v1", "kind": "DaemonSet",
		"metadata": object{"name": "kube-flannel-ds", "namespace": "kube-flannel", "labels": flannelLabels()},
		"spec": object{"selector": object{"matchLabels": object{"app": "flannel"}},
			"template": object{"metadata": object{"labels": flannelLabels()}, "spec": pod}},
	}
}
