package spec

import (
	"strings"
	"testing"
)

// TestAdviceAboutTypes: what is written with another type is told what to write, in words that the next run takes.
func TestAdviceAboutTypes(t *testing.T) {
	base := readBase(t)
	for _, c := range []struct{ wrong, advice, right string }{
		{"cni: none", "write cni: {none: {}}", "cni: {none: {}}"},
		{"cni: flannel", "write cni: {flannel: {version: v0.28.4}}", "cni: {flannel: {version: v0.28.4}}"},
		{"cni: weave", "write for example cni: {flannel: {version: v0.28.4}}; here may stand flannel, manifests, none", "cni: {flannel: {version: v0.28.4}}"},
		{"cni: calico", "write cni: {manifests: [./calico.yaml]}, and put its manifest beside the spec", "cni: {manifests: [./calico.yaml]}"},
		{"cni: {cilium: {}}", "write cni: {manifests: [./cilium.yaml]}, and put its manifest beside the spec", "cni: {manifests: [./cilium.yaml]}"},
		{"cni: {none: }", "write none: {}", "cni: {none: {}}"},
		{"cni: {none: true}", "write none: {}", "cni: {none: {}}"},
		{"cni: {none: false}", "leave the key out", "cni: {}"},
		{"cni: {flannel: }", "write for example flannel: {version: v0.28.4}, or leave the key out", "cni: {flannel: {version: v0.28.4}}"},
		{"check: {nginx: true}", "write for example nginx: {image: nginx:1.28-alpine}; here may stand image", "check: {nginx: {image: nginx:1.28-alpine}}"},
		{"commands: [udevadm settle]", `write for example commands: {before: ["udevadm settle"]}; here may stand after, before`, `commands: {before: ["udevadm settle"]}`},
		{`system: {proxy: "http://p:3128"}`, `write for example proxy: {http: "http://proxy.example.com:3128"}; here may stand http, https, no`, `system: {proxy: {http: "http://proxy.example.com:3128"}}`},
		{"system: {ntp: [a.example.com]}", "write for example ntp: {servers: [ntp.aliyun.com]}; here may stand servers", "system: {ntp: {servers: [ntp.aliyun.com]}}"},
		{"controlPlane: {taints: }", "write for example taints: [{key: dedicated, value: db, effect: NoSchedule}], or taints: [] for none", "controlPlane: {taints: []}"},
	} {
		problems := check(strings.Replace(base, "# more", c.wrong, 1))
		if len(problems) != 1 || problems[0].Instead != c.advice {
			t.Errorf("%s: got %v, want one problem with the advice %q", c.wrong, problems, c.advice)
		}
		if problems := check(strings.Replace(base, "# more", c.right, 1)); len(problems) > 0 {
			t.Errorf("%s: was advised, and is refused: %v", c.right, problems)
		}
	}
}

// TestAdviceAboutKeys proposes what was meant, and no key that a rule refuses.
func TestAdviceAboutKeys(t *testing.T) {
	base := readBase(t)
	for _, c := range []struct{ old, wrong, advice string }{
		{"address: 192.168.31.128", "ip: 192.168.31.128", "did you mean address?"},
		{"name: k8s-node1,", "hostname: k8s-node1,", "did you mean name?"},
		{"# more", "pools: [{name: a, role: worker, count: 1}]", "did you mean maxNodes?"},
		{"# more", "pools: [{name: a, role: worker, maxNodes: 1, frobnicate: 1}]", "here may stand architecture, commands, containerd, docker, files, images, joinUntil, kubernetes, labels, maxNodes, name, packages, platform, profile, role, system, taints, units, users"},
	} {
		if problems := check(strings.Replace(base, c.old, c.wrong, 1)); len(problems) != 1 || problems[0].Instead != c.advice {
			t.Errorf("%s: got %v, want one problem with the advice %q", c.wrong, problems, c.advice)
		}
	}
}

// TestAdviceAboutPlaces: a key at the wrong place is told the right one, once, and there it is taken.
func TestAdviceAboutPlaces(t *testing.T) {
	base := readBase(t)
	const version, node, network = "version: v1.34.4", "name: k8s-node1,", "gateway: 192.168.31.2"
	for _, c := range []struct{ old, wrong, advice, right string }{
		{"kubernetes: {version: v1.34.4}", "version: v1.34.4", "write it under spec.kubernetes", "kubernetes: {version: v1.34.4}"},
		{"# more", "controlPlaneEndpoint: k8s.example.com", "write it under spec.kubernetes", ""},
		{version, version + ", podSubnet: 10.128.0.0/16", "write it under spec.kubernetes.networking", version + ", networking: {podSubnet: 10.128.0.0/16}"},
		{version, version + ", certSANs: [k8s.example.com]", "write it under spec.kubernetes.apiServer", version + ", apiServer: {certSANs: [k8s.example.com]}"},
		{"# more", `sysctl: {vm.swappiness: "1"}`, "write it under spec.system", `system: {sysctl: {vm.swappiness: "1"}}`},
		{"# more", "modules: [nvme_tcp]", "write it under spec.system", "system: {modules: [nvme_tcp]}"},
		{"# more", "ntp: {servers: [a.example.com]}", "write it under spec.system", "system: {ntp: {servers: [a.example.com]}}"},
		{"# more", "timezone: UTC", "write it under spec.system", "system: {timezone: UTC}"},
		{"# more", "swap: keep", "write it under spec.system", "system: {swap: keep}"},
		{"# more", `proxy: {http: "http://proxy.example.com:3128"}`, "write it under spec.system", `system: {proxy: {http: "http://proxy.example.com:3128"}}`},
		{"# more", "proxy: {mode: iptables}", "write it under spec.kubernetes", ""},
		{"# more", "labels: {example.com/rack: a}", "write it under spec.controlPlane, spec.nodes[], spec.pools[] or spec.worker", "worker: {labels: {example.com/rack: a}}"},
		{"# more", "taints: []", "write it under spec.controlPlane, spec.nodes[], spec.pools[] or spec.worker", "controlPlane: {taints: []}"},
		{"# more", `registryMirrors: ["https://mirror.example.com"]`, "write it under spec.containerd or spec.docker", `containerd: {registryMirrors: ["https://mirror.example.com"]}`},
		{"  nodes:", "nodes:", "write it under spec", "  nodes:"},
		{"metadata: {name: k8s}", "name: k8s", "write it under metadata", "metadata: {name: k8s}"},
		{node, node + " podSubnet: 10.128.0.0/16,", "a key podSubnet may stand under spec.kubernetes.networking", ""},
		{"# more", "pools: [{name: a, role: worker, maxNodes: 1, netmask: 255.255.255.0}]", "a key netmask may stand under spec.network", ""},
		{network, network + ", bonds: {bond1: {interfaces: [ens40], mode: 802.3ad}}", "write it under spec.network.bonds.bond1.parameters",
			network + ", bonds: {bond1: {interfaces: [ens40], parameters: {mode: 802.3ad}}}"},
	} {
		if problems := check(strings.Replace(base, c.old, c.wrong, 1)); len(problems) != 1 || problems[0].Instead != c.advice {
			t.Errorf("%s: got %v, want one problem with the advice %q", c.wrong, problems, c.advice)
		}
		if problems := check(strings.Replace(base, c.old, c.right, 1)); c.right != "" && len(problems) > 0 {
			t.Errorf("%s: was advised, and is refused: %v", c.right, problems)
		}
	}
}

// TestAdviceAboutOtherTools: words of cloud-init, kubeadm, Ansible and others are told what they are here, in one problem,
// and that is taken.
func TestAdviceAboutOtherTools(t *testing.T) {
	base := readBase(t)
	const version, node, network = "version: v1.34.4", "name: k8s-node1,", "gateway: 192.168.31.2"
	strictARP, skipPhases := "patches: {KubeProxyConfiguration: {ipvs: {strictARP: true}}}", "patches: {InitConfiguration: {skipPhases: [addon/kube-proxy]}}"
	extraVolumes := "patches: {ClusterConfiguration: {apiServer: {extraVolumes: [{name: audit, hostPath: /etc/audit, mountPath: /etc/audit}]}}}"
	for _, c := range []struct{ old, wrong, advice, right string }{
		{"# more", "runcmd: [ls]", "did you mean commands.before?", "commands: {before: [ls]}"},
		{"# more", "commands: {bootcmd: [ls]}", "did you mean before?", "commands: {before: [ls]}"},
		{node, node + " preKubeadmCommands: [ls],", "did you mean commands.before?", node + " commands: {before: [ls]},"},
		{"# more", "worker: {postKubeadmCommands: [ls]}", "did you mean commands.after?", "worker: {commands: {after: [ls]}}"},
		{"# more", "write_files: [{path: /etc/a, contents: a}]", "did you mean files?", "files: [{path: /etc/a, contents: a}]"},
		{"# more", `files: [{path: /etc/a, contents: a, permissions: "0644"}]`, "did you mean mode?", `files: [{path: /etc/a, contents: a, mode: "0644"}]`},
		{version, version + ", apiServer: {extraVolumes: []}", "write " + extraVolumes + " under spec.kubernetes", version + ", " + extraVolumes},
		{version, version + ", apiServer: {timeoutForControlPlane: 5m0s}", "write patches: {ClusterConfiguration: {apiServer: {timeoutForControlPlane: 5m0s}}} under spec.kubernetes, " +
			"and from v1.31.0 on patches: {InitConfiguration: {timeouts: {controlPlaneComponentHealthCheck: 5m0s}}}",
			version + ", patches: {InitConfiguration: {timeouts: {controlPlaneComponentHealthCheck: 5m0s}}}"},
		{version, version + ", kubelet: {maxPods: 200}", writeMaxPods, version + `, kubelet: {extraArgs: {max-pods: "200"}}`},
		{node, node + " kubernetes: {maxPods: 200},", writeMaxPods, node + ` kubernetes: {kubelet: {extraArgs: {max-pods: "200"}}},`},
		{version, version + ", kubelet: {config: {maxPods: 200}}",
			"write flags as extraArgs, and of the kubelet's configuration patches: {KubeletConfiguration: {maxPods: 200}} under spec.kubernetes",
			version + ", patches: {KubeletConfiguration: {maxPods: 200}}"},
		{version, version + ", proxy: {strictARP: true}", "write " + strictARP + " under spec.kubernetes", version + ", " + strictARP},
		{version, version + ", kubeProxy: {}", "write " + strictARP + " under spec.kubernetes; its mode is proxy.mode", version + ", " + strictARP},
		{version, version + ", proxy: {mode: none}", "write " + skipPhases + " under spec.kubernetes, from v1.22.0 on", version + ", " + skipPhases},
		{version, "kubernetesVersion: v1.34.4", "did you mean version?", version},
		{"kubernetes: {version: v1.34.4}", "kube_version: v1.34.4", "did you mean kubernetes.version?", "kubernetes: {version: v1.34.4}"},
		{node, node + " kubernetesVersion: v1.34.4,", "write it as spec.kubernetes.version", ""},
		{version, version + ", podCIDR: 10.128.0.0/16", "did you mean networking.podSubnet?", version + ", networking: {podSubnet: 10.128.0.0/16}"},
		{"address: 192.168.31.130", "ansible_host: 192.168.31.130", "did you mean address?", "address: 192.168.31.130"},
		{"# more", "pools: [{name: a, role: worker, replicas: 1}]", "did you mean maxNodes?", "pools: [{name: a, role: worker, maxNodes: 1}]"},
		{"# more", "platform: aws", "write ec2", ""}, // three documents do not fit there, which only the renderer knows
		{"# more", "platform: VMware", "write vsphere", "platform: vsphere"},
		{"# more", "platform: qemu", "write libvirt", "platform: libvirt"},
		{"# more", "platform: baremetal", "write metal", "platform: metal"},
		{"# more", "platform: google", "write gce", "platform: gce"},
		{"role: control-plane", "role: master", "write control-plane", "role: control-plane"},
		{node + " role: worker", node + " role: node", "write worker", node + " role: worker"},
		{network, network + ", bonds: {bond1: {slaves: [ens40], parameters: {mode: 802.3ad}}}", "did you mean interfaces?", network + ", bonds: {bond1: {interfaces: [ens40], parameters: {mode: 802.3ad}}}"},
		{network, network + ", bonds: {bond1: {interfaces: [ens40], parameters: {mode: 802.3ad}, miimon: 100}}", "did you mean parameters.mii-monitor-interval?",
			network + ", bonds: {bond1: {interfaces: [ens40], parameters: {mode: 802.3ad, mii-monitor-interval: 100}}}"},
		{"# more", "packages: {source: repositories, repositories: [{name: a, url: \"https://a.example.com/\", gpgKeys: [{url: \"https://a.example.com/key\", fingerprint: DE15B14486CD377B9E876E1A234654DA9A296436}]}]}", "did you mean baseURL?", ""},
	} {
		if problems := check(strings.Replace(base, c.old, c.wrong, 1)); len(problems) != 1 || problems[0].Instead != c.advice {
			t.Errorf("%s: got %v, want one problem with the advice %q", c.wrong, problems, c.advice)
		}
		if problems := check(strings.Replace(base, c.old, c.right, 1)); c.right != "" && len(problems) > 0 {
			t.Errorf("%s: was advised, and is refused: %v", c.right, problems)
		}
	}
}

// TestFilesOfOtherTools: a file of another kind is told what it is not, once.
func TestFilesOfOtherTools(t *testing.T) {
	for text, want := range map[string]string{
		"#cloud-config\nhostname: a\nusers: [default]\nruncmd: [ls]\n": "the file has no apiVersion, kind, metadata or spec",
		"[masters]\nm1 ansible_host=192.0.2.1\n\n[workers]\nw1\n":      "this is not YAML: it looks like an INI file, such as an inventory of Ansible",
		"services: {web: {image: nginx}}\nversion: \"3\"\n":            "the file has no apiVersion, kind, metadata or spec",
	} {
		const advice = "this is no cluster spec; run gen init for one to start from"
		if problems := check(text); len(problems) != 1 || problems[0].Message != want || problems[0].Instead != advice {
			t.Errorf("%q: got %v", text, problems)
		}
	}
}

// TestTypeThatARuleRefusesToo: who forgot the quotes is told so, unless the same text in quotes would be refused next.
func TestTypeThatARuleRefusesToo(t *testing.T) {
	base := readBase(t)
	for _, c := range []struct{ old, wrong, advice string }{
		{"version: v1.34.4", "version: 1.34", "write it as vMAJOR.MINOR.PATCH, such as v1.34.4"},
		{"version: v1.34.4", "version: v1.34.4, clusterName: 2027-12-31", `write "2027-12-31", in quotes`},
		{"# more", "pools: [{name: a, role: worker, maxNodes: 1, joinUntil: 2027-12-31}]", "write it like 2027-12-31T00:00:00Z, in quotes"},
		{"# more", "users: [{name: a, sudo: true}]", "write it like ALL=(ALL) NOPASSWD:ALL"},
		{"# more", "users: [{name: a, passwordHash: 123456}]", "write the output of mkpasswd -m sha-512, in quotes"},
		{"# more", "files: [{path: /etc/a, contents: a, mode: 0644}]", `write "0644", in quotes`},
		{"# more", "files: [{path: /etc/a, contents: 5}]", `write "5", in quotes`},
		{"# more", "system: {sysctl: {vm.swappiness: 1}}", `write "1", in quotes`},
		{"name: k8s-node1,", "name: 1,", "write a name that starts with a letter"},
		{"profile: debian12-containerd", "profile: 12", "write one of centos7-docker, debian12-containerd, flatcar-containerd"},
		{"address: 192.168.31.128", "address: 192.168", "write an IPv4 address such as 192.168.31.130"},
	} {
		if problems := check(strings.Replace(base, c.old, c.wrong, 1)); len(problems) != 1 || problems[0].Instead != c.advice {
			t.Errorf("%s: got %v, want one problem with the advice %q", c.wrong, problems, c.advice)
		}
	}
}
