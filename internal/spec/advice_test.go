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
		{"cni: calico", "write for example cni: {flannel: {version: v0.28.4}}; here may stand flannel, manifests, none", "cni: {flannel: {version: v0.28.4}}"},
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
