package spec

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"muster/internal/decode"
	"muster/internal/problem"
)

// TestShapeHidesMeaning: what decode refuses is not complained about a second time, and what depends on it is left
// alone.
func TestShapeHidesMeaning(t *testing.T) {
	base := readBase(t)
	for _, c := range []struct{ old, new, want string }{
		{"role: control-plane", "role: control-plan", "spec.nodes[0].role"},
		{"role: control-plane, ", "", "spec.nodes[0].role"},
		{"role: control-plane", "rol: control-plane", "spec.nodes[0].rol"},
		{"apiVersion:", "apVersion:", "apVersion"},
		{"metadata:", "metdata:", "metdata"},
		{"metadata: {name:", "metadata: {nam:", "metadata.nam"},
		{"spec:", "sepc:", "sepc"},
		{"  nodes:", "  nods:", "spec.nods"},
		{"profile:", "profil:", "spec.profil"},
		{"kubernetes:", "kuberntes:", "spec.kuberntes"},
		{"version: v1", "verson: v1", "spec.kubernetes.verson"},
		{"name: k8s-node1", "nam: k8s-node1", "spec.nodes[1].nam"},
		{"address: 192.168.31.130", "adress: 192.168.31.130", "spec.nodes[0].adress"},
		{"network:", "netwrk:", "spec.netwrk"},
		{"network:", "networking:", "spec.networking"},
		{"interface:", "interfce:", "spec.network.interfce"},
		{"netmask:", "netmsk:", "spec.network.netmsk"},
		{"gateway:", "gatway:", "spec.network.gatway"},
		{"users:", "usrs:", "spec.nodes[0].usrs"},
		{"sshAuthorizedKeys:", "sshAuthorisedKeys:", "spec.nodes[0].users[0].sshAuthorisedKeys"},
		{"# more", "pools: [{name: a, role: worker, maxNode: 1}]", "spec.pools[0].maxNode"},
		{"# more", "cni: {manifest: [./a.yaml]}", "spec.cni.manifest"},
		{"# more", "files: [{path: /etc/a, content: a}]", "spec.files[0].content"},
		{"# more", "packages: {source: repositories, repository: [{name: a}]}", "spec.packages.repository"},
		{"# more", "rendezvous: {delivery: url, url: \"http://x.example.com/x\", sha25: a}", "spec.rendezvous.sha25"},
		{"name: k8s-node1, ", "", "spec.nodes[1].name"},
		{"name: k8s-node1,", "name: 1,", "spec.nodes[1].name"},
		{"address: 192.168.31.130", "address: 192.168", "spec.nodes[0].address"},
		{"address: 192.168.31.130", "address: [192.168.31.130]", "spec.nodes[0].address"},
		{"version: v1.34.4", "version: 1.34", "spec.kubernetes.version"},
		{"netmask: 255.255.255.0", "netmask: 24", "spec.network.netmask"},
		{"netmask: 255.255.255.0", "prefixLength: \"24\"", "spec.network.prefixLength"},
		{"interface: ens33", "interface: 33", "spec.network.interface"},
		{"gateway: 192.168.31.2", "gateway: ~", "spec.network.gateway"},
		{"network: {interface: ens33, netmask: 255.255.255.0, gateway: 192.168.31.2}", "network: ens33", "spec.network"},
		{"profile: debian12-containerd", "profile: 12", "spec.profile"},
		{"metadata: {name: k8s}", "metadata: {name: 8}", "metadata.name"},
		{"# more", "files: [{path: /etc/a, contents: 5}]", "spec.files[0].contents"},
		{"# more", "files: [{path: 5, contents: a}]", "spec.files[0].path"},
		{"# more", "packages: {source: repositories, repositories: 5}", "spec.packages.repositories"},
		{"# more", "packages: {source: repositories, repositories: [{name: kubernetes, baseURL: \"http://x.example.com\", gpgKeys: 5}]}", "spec.packages.repositories[0].gpgKeys"},
		{"# more", "packages: {source: repository}", "spec.packages.source"},
		{"# more", "rendezvous: {delivery: usb, url: \"http://x.example.com/x\"}", "spec.rendezvous.delivery"},
		{"# more", "rendezvous: {port: \"7444\"}", "spec.rendezvous.port"},
		{"# more", "cni: {manifests: ./a.yaml}", "spec.cni.manifests"},
		{"# more", "cni: {none: true}", "spec.cni.none"},
		{"# more", "units: [{name: a.service, enabled: yes}]", "spec.units[0].enabled"},
		{"# more", "images: {preload: [{path: 5, sha256: \"abcdef0000000000000000000000000000000000000000000000000000000000\"}]}", "spec.images.preload[0].path"},
		{"# more", "pools: [{name: a, role: control-plane, maxNodes: 1}]", "spec.pools[0].role"},
		{"# more", "pools: [{name: a, role: worker}]", "spec.pools[0].maxNodes"},
		{"name: k8s-node1, role: worker, address: 192.168.31.128}\n    - {name: k8s-node2, role: worker,", "name: k8s-node1, role: control-plane, address: 192.168.31.128}\n    - {name: k8s-node2, role: master,", "spec.nodes[2].role"},
		{"role: control-plane, address:", "role: control-plane, ip:", "spec.nodes[0].ip"},
		{"name: k8s-node1, role: worker,", "hostname: k8s-node1, role: worker,", "spec.nodes[1].hostname"},
		{"name: k8s-node1,", "name: k8s-node1, network: {frobnicate: 1},", "spec.nodes[1].network.frobnicate"},
	} {
		if strings.Count(base, c.old) != 1 {
			t.Fatalf("%q does not stand once in base.yaml", c.old)
		}
		var got []string
		for _, p := range check(strings.Replace(base, c.old, c.new, 1)) {
			got = append(got, p.String())
		}
		if len(got) != 1 || !strings.Contains(got[0], ": "+c.want+": ") {
			t.Errorf("%s => %s: got\n%s\nwant one problem at %s", c.old, c.new, strings.Join(got, "\n"), c.want)
		}
	}
}

// TestUnreadLogin: a way to log in that could not be read is reported, and not called missing as well.
func TestUnreadLogin(t *testing.T) {
	const only = `users: [{name: base, sshAuthorizedKeys: ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJAJC6axw6Inw5ATjf7512pnWYu0WwQwZAnUU5m9cZw+ you@example.com"]}]`
	base := readBase(t)
	for users, want := range map[string]string{
		"users: [{name: x, passwordHash: 12345}]":            "spec.nodes[0].users[0].passwordHash",
		"users: [{name: x, passwordHash: ~}]":                "spec.nodes[0].users[0].passwordHash",
		"users: [{name: x, passwordHsh: a}]":                 "spec.nodes[0].users[0].passwordHsh",
		"users: [{name: x, sshAuthorizedKeys: ssh-ed25519}]": "spec.nodes[0].users[0].sshAuthorizedKeys",
		"users: [{name: x, sshAuthorizedKeys: [5]}]":         "spec.nodes[0].users[0].sshAuthorizedKeys[0]",
		"users: [admin]": "spec.nodes[0].users[0]",
		"users: admin":   "spec.nodes[0].users",
		"users: [{name: x, sshAuthorizedKeys: []}]":           "warning: spec.users",
		"users: [{name: x, groups: [adm], kubeconfig: true}]": "warning: spec.users",
	} {
		if strings.Count(base, only) != 1 {
			t.Fatalf("%q does not stand once in base.yaml", only)
		}
		if got := check(strings.Replace(base, only, users, 1)); len(got) != 1 || !strings.Contains(got[0].String(), ": "+want+": ") {
			t.Errorf("%s: got %v, want one problem at %s", users, got, want)
		}
	}
}

// TestNoSpecAtAll: a file that holds no spec is told that, and nothing else.
func TestNoSpecAtAll(t *testing.T) {
	for _, text := range []string{"", "# nothing\n", "[]", "a: b: c", "apiVersion: muster/v1\nkind: Cluster\nmetadata: {name: k8s}\n", "apiVersion: muster/v1\nkind: Cluster\nmetadata: {name: k8s}\nspec:\n"} {
		if problems := check(text); len(problems) != 1 {
			t.Errorf("%q: %v", text, problems)
		}
	}
}

// TestAdviceAboutWholeFiles: who has no spec yet, or more than one, is told what to do about it.
func TestAdviceAboutWholeFiles(t *testing.T) {
	base := readBase(t)
	for text, want := range map[string]string{
		"":                    "run gen init for one to start from",
		base + "---\n" + base: "keep one cluster a file",
		strings.Replace(base, "address: 192.168.31.130", "address: *a", 1): "write the value out; what holds for several machines belongs under spec, controlPlane or worker",
		base + strings.Repeat("#", decode.MaxSize):                         "split what is not the cluster into files",
	} {
		if text != "" {
			text = strings.Replace(text, "metadata: {name: k8s}", "metadata: {name: &a k8s}", 1)
		}
		if found := check(text); !slices.ContainsFunc(found, func(p problem.Problem) bool { return p.Instead == want }) {
			t.Errorf("%.40q: problems are %v, want the advice %q", text, found, want)
		}
	}
}

// TestSecretsAreNotRepeated: what a user may have pasted wrongly is refused without being shown.
func TestSecretsAreNotRepeated(t *testing.T) {
	base := readBase(t)
	for _, more := range []string{
		"users: [{name: a, passwordHash: hunter2}]",
		"users: [{name: a, passwordHash: [hunter2]}]",
		"users: [{name: a, passwordHash: 1234567}]",
		"users: [{name: a, password: hunter2}]",
		"users: [{name: a, sshAuthorizedKeys: [\"-----BEGIN OPENSSH PRIVATE KEY----- hunter2\"]}]",
		"users: [{name: a, sshAuthorizedKeys: [hunter2]}]",
		"controlPlane: {kubernetes: {token: hunter2.0123456789abcdef}}",
		"controlPlane: {kubernetes: {patches: {InitConfiguration: {bootstrapTokens: [{token: hunter2.0123456789abcdef}]}}}}",
		"controlPlane: {kubernetes: {patches: {JoinConfiguration: {controlPlane: {certificateKey: hunter2}}}}}",
		"system: {proxy: {http: \"http://user:hunter2@proxy.example.com\"}}",
		"system: {proxy: {https: \"user:hunter2@proxy.example.com\"}}",
		"system: {proxy: {no: [\"http://user:hunter2@proxy.example.com\"]}}",
		"pxe: {baseURL: \"http://user:hunter2@192.0.2.1/\"}",
		"pxe: {baseURL: \"http://user:hun/ter2@192.0.2.1/?hunter2\"}",
		"containerd: {registryMirrors: [\"http://user:hunter2@mirror.example.com/x\"]}",
		"containerd: {insecureRegistries: [\"http://user:hunter2@mirror.example.com\"]}",
		"containerd: {insecureRegistries: [\"http://user:hunter2/hunter2@mirror.example.com\"]}",
		"containerd: {insecureRegistries: [\"user:hunter2@mirror.example.com\"]}",
		"check: {nginx: {image: \"https://user:hunter2@mirror.example.com/nginx:1.28\"}}",
		"check: {nginx: {image: \"user:hunter2@mirror.example.com/nginx:1.28\"}}",
		"cni: {flannel: {image: \"https://user:hunter2@mirror.example.com/flannel\"}}",
		"cni: {flannel: {image: \"user:hunter2@mirror.example.com/flannel/\"}}",
		"packages: {source: repositories, gpgCheck: true, repositories: [{name: kubernetes, suite: /, baseURL: \"http://user:hunter2@mirror.example.com\", gpgKeys: [{url: \"https://mirror.example.com/key\", fingerprint: 0123456789ABCDEF0123456789ABCDEF01234567}]}]}",
	} {
		problems := check(strings.Replace(base, "# more", more, 1))
		if len(problems) != 1 {
			t.Errorf("%s: %d problems", more, len(problems))
		}
		for _, p := range problems {
			if strings.Contains(p.String(), "hunter2") || strings.Contains(p.String(), "1234567") {
				t.Errorf("%s: the secret is repeated: %s", more, p)
			}
		}
	}
}

// TestPasswordOfAURLIsNotRepeated: the same for the values that are in base.yaml's own line of kubernetes.
func TestPasswordOfAURLIsNotRepeated(t *testing.T) {
	base := readBase(t)
	for _, key := range []string{"imageRepository", "controlPlaneEndpoint"} {
		for _, value := range []string{"https://bob:hunter2@m/x", "https://bob:hunter2/x@m", "bob:hunter2@m", "bob:hunter2@m:6443", "bob:hunter2@m/x/"} {
			problems := check(strings.Replace(base, "version: v1.34.4", fmt.Sprintf("version: v1.34.4, %s: %q", key, value), 1))
			if len(problems) != 1 || strings.Contains(problems[0].String(), "hunter2") {
				t.Errorf("%s: %s: got %v", key, value, problems)
			}
		}
	}
}

// TestTokenIsRefusedByName: the tutorial's token and its ttl have no field, and the error tells where to look.
func TestTokenIsRefusedByName(t *testing.T) {
	base := readBase(t)
	for key, want := range map[string]string{"token": "bootstrapToken.ttl", "skipTokenPrint": "never printed", "tokenTTL": "bootstrapToken: {ttl: 15m}", "nodeName": "nodes[].name"} {
		problems := check(strings.Replace(base, "version: v1.34.4", "version: v1.34.4, "+key+": x", 1))
		if len(problems) != 1 || !strings.Contains(problems[0].String(), want) {
			t.Errorf("%s: got %v, want a hint to %q", key, problems, want)
		}
	}
	problems := check(strings.Replace(base, "\nspec:\n", "\nspec:\n  token: hunter2\n", 1))
	if len(problems) != 1 || !strings.Contains(problems[0].String(), "kubernetes.bootstrapToken.ttl") || strings.Contains(problems[0].String(), "hunter2") {
		t.Errorf("spec.token: got %v", problems)
	}
}

// TestEtcdKeysAreRefusedByName: kubeadm's own keys of etcd have no field here, and the error tells why or where to go.
func TestEtcdKeysAreRefusedByName(t *testing.T) {
	base := readBase(t)
	for key, want := range map[string]string{"external": "with no other", "local": "spec.kubernetes.patches: {ClusterConfiguration: {etcd: {local: ...}}}", "dataDir": "a disk of its own"} {
		problems := check(strings.Replace(base, "version: v1.34.4", "version: v1.34.4, etcd: {"+key+": {}}", 1))
		if len(problems) != 1 || !strings.Contains(problems[0].String(), want) {
			t.Errorf("%s: got %v, want a hint to %q", key, problems, want)
		}
	}
}

// TestKeysOfOtherNetworks: keys that people bring from netplan and elsewhere are answered with what to write here.
func TestKeysOfOtherNetworks(t *testing.T) {
	base := readBase(t)
	for key, want := range map[string]string{
		"interfaces: []":                           "did you mean ethernets?",
		"dns: [192.168.31.2]":                      "did you mean nameservers?",
		"gateway4: 192.168.31.2":                   "did you mean gateway?",
		"bridges: {br0: {interfaces: [ens34]}}":    "muster makes none",
		"dhcp4: true":                              "asks DHCP",
		"dhcp: true":                               "asks DHCP",
		"address: 192.168.31.5":                    "nodes[].address",
		"ethernets: {lan1: {dhcp: true}}":          "did you mean dhcp4?",
		"ethernets: {lan1: {address: 10.1.0.5}}":   "did you mean addresses?",
		"ethernets: {lan1: {set-name: lan1}}":      "gets its entry's name",
		"ethernets: {lan1: {mac: a}}":              "match: {macaddress: ADDRESS}",
		"ethernets: {lan1: {macaddress: a}}":       "match: {macaddress: ADDRESS}",
		"ethernets: {lan1: {match: {name: ens*}}}": "macaddress",
		"ethernets: {lan1: {gateway4: 10.1.0.1}}":  "routes: [{to: default",
		"ethernets: {lan1: {nameservers: [a]}}":    "network.nameservers",
		"ethernets: {lan1: {dhcp4-overrides: {}}}": "never comes before",
	} {
		problems := check(strings.Replace(base, "interface: ens33", "interface: ens33, "+key, 1))
		if !slices.ContainsFunc(problems, func(p problem.Problem) bool { return strings.Contains(p.String(), want) }) {
			t.Errorf("%s: got %v, want a hint to %q", key, problems, want)
		}
	}
}

// TestLocate gives a place without a line that of its nearest parent.
func TestLocate(t *testing.T) {
	v := newValidator(parse(t, small+"  worker: {labels: {\"a.b/c[d\": x}}\n"), testFacts(), &problem.List{})
	for path, want := range map[string][2]int{
		"spec.kubernetes.networking.podSubnet":   {5, 3},
		"spec.nodes[0].mac":                      {6, 11},
		"spec.nodes[7].mac":                      {6, 10},
		`spec.worker.labels["a.b/c[d"]`:          {7, 21},
		`spec.worker.labels["a.b/c[d"].x`:        {7, 21},
		`spec.worker.labels["no.such[key"].x[3]`: {7, 20},
		"metadata.namespace":                     {3, 11},
		"nowhere":                                {1, 1},
		"":                                       {1, 1},
	} {
		if at := v.locate(At{Path: path}); at.Line != want[0] || at.Column != want[1] || at.Path != path {
			t.Errorf("%s is located at %d:%d, want %v", path, at.Line, at.Column, want)
		}
	}
}

// TestThousandNodes keeps checking fast: gen runs at every change of a spec.
func TestThousandNodes(t *testing.T) {
	var b strings.Builder
	b.WriteString("apiVersion: muster/v1\nkind: Cluster\nmetadata: {name: k8s}\nspec:\n  profile: debian12-containerd\n  platform: openstack\n  kubernetes: {networking: {podSubnet: 10.128.0.0/11}}\n" +
		"  network: {interface: ens33, prefixLength: 16, gateway: 192.168.0.1}\n  nodes:\n    - {name: cp, role: control-plane, address: 192.168.0.2}\n")
	for i := range 1000 {
		fmt.Fprintf(&b, "    - {name: w%d, role: worker, address: 192.168.%d.%d, labels: {rack: r%d}}\n", i, 1+i/200, 1+i%200, i%7)
	}
	start := time.Now()
	for _, p := range check(b.String()) {
		t.Error(p)
	}
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("a spec of 1000 nodes took %v", took)
	} else {
		t.Logf("1000 nodes: %v", took)
	}
}

// FuzzCheck looks for a panic, for a problem without a place, and for one that is not at a field of the spec.
func FuzzCheck(f *testing.F) {
	files, err := filepath.Glob("../../test/golden/*/cluster.yaml")
	if err != nil || len(files) == 0 {
		f.Fatalf("no golden specs: %v", err)
	}
	for _, file := range append(files, "testdata/base.yaml", "testdata/valid.yaml", "../../examples/tutorial/cluster.yaml") {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(data))
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, p := range check(text) {
			if p.Line < 1 || p.Column < 1 || p.Message == "" {
				t.Errorf("a problem without a place: %+v", p)
			}
		}
	})
}
