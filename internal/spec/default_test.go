package spec

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"muster/internal/decode"
	"muster/internal/problem"
)

// parse reads and completes a spec that has nothing wrong in its shape.
func parse(t *testing.T, text string) *Cluster {
	t.Helper()
	var problems problem.List
	var c Cluster
	decode.Into(&c, []byte(text), &problems)
	for _, p := range problems.Sorted() {
		t.Fatal(p)
	}
	c.Default(testFacts())
	return &c
}

const small = `apiVersion: muster/v1
kind: Cluster
metadata: {name: k8s}
spec:
  profile: debian12-containerd
  nodes: [{name: a, role: control-plane, address: 10.0.0.1}]
`

// TestValidSpecs: right specs have nothing to complain about, not even a warning.
func TestValidSpecs(t *testing.T) {
	for _, file := range []string{"testdata/valid.yaml", "testdata/base.yaml", "../../examples/tutorial/cluster.yaml"} {
		t.Run(file, func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range check(string(text)) {
				t.Error(p)
			}
		})
	}
}

// TestRightChoices: what looks like a mistake of testdata/rules.txt and is none.
func TestRightChoices(t *testing.T) {
	docker := []string{"profile: debian12-containerd", "profile: centos7-docker", "version: v1.34.4", "version: v1.17.4"}
	ignition := []string{"profile: debian12-containerd", "profile: flatcar-containerd"}
	threePlanes := []string{"name: k8s-node1, role: worker", "name: k8s-node1, role: control-plane", "name: k8s-node2, role: worker", "name: k8s-node2, role: control-plane"}
	noNetwork := "  network: {interface: ens33, netmask: 255.255.255.0, gateway: 192.168.31.2}\n"
	more := func(text string) []string { return []string{"# more", text} }
	kubernetes := func(text string) []string { return []string{"version: v1.34.4", "version: v1.34.4, " + text} }
	worker := func(text string) []string { return []string{"name: k8s-node1,", "name: k8s-node1, " + text + ","} }
	for name, change := range map[string][][]string{
		"small pod network of smaller parts":            {kubernetes(`networking: {podSubnet: 10.244.0.0/23}, controllerManager: {extraArgs: {node-cidr-mask-size: "26"}}`)},
		"small pod network of smaller parts, IPv4 only": {kubernetes(`networking: {podSubnet: 10.244.0.0/23}, controllerManager: {extraArgs: {node-cidr-mask-size-ipv4: "26"}}`)},
		"ports behind a balancer": {kubernetes("controlPlaneEndpoint: k8s.example.com:8443"), threePlanes,
			{"address: 192.168.31.130", "address: 192.168.31.130, kubernetes: {apiServer: {bindPort: 7000}}"}},
		"encryption as advised": {kubernetes(`apiServer: {extraArgs: {encryption-provider-config: /etc/enc/enc.yaml}}, patches: {ClusterConfiguration: {apiServer: {extraVolumes: [{name: encryption-provider-config, hostPath: /etc/enc/enc.yaml, mountPath: /etc/enc/enc.yaml, pathType: File, readOnly: true}]}}}`)},
		"audit log as advised":  {kubernetes(`apiServer: {extraArgs: {audit-log-path: /var/log/kubernetes/audit.log}}, patches: {ClusterConfiguration: {apiServer: {extraVolumes: [{name: audit-log, hostPath: /var/log/kubernetes, mountPath: /var/log/kubernetes, pathType: DirectoryOrCreate}]}}}`)},
		"audit log to standard output, files that kubeadm mounts": {kubernetes(`apiServer: {extraArgs: {audit-log-path: "-", oidc-ca-file: /etc/ssl/certs/a.pem, runtime-config: api/all=true, etcd-prefix: /registry, tls-cert-file: /etc/kubernetes/pki/a.crt}}`),
			kubernetes(`scheduler: {extraArgs: {kubeconfig: /etc/kubernetes/scheduler.conf, authorization-always-allow-paths: /healthz}}`)},
		"volumes and probes by kubeadm's patches":  {kubernetes(`apiServer: {extraArgs: {anonymous-auth: "false", audit-log-path: /var/log/kubernetes/audit.log, audit-policy-file: /etc/audit.yaml}}, patches: {InitConfiguration: {patches: {directory: /etc/kubeadm}}}`)},
		"flags that say what holds":                {kubernetes(`apiServer: {extraArgs: {anonymous-auth: "true", enable-bootstrap-token-auth: "true"}}, controllerManager: {extraArgs: {allocate-node-cidrs: "true"}}`)},
		"a pod network that needs no node's own":   {kubernetes(`controllerManager: {extraArgs: {allocate-node-cidrs: "false"}}`), more("cni: {none: {}}")},
		"etcd's disk without lost+found":           {more("controlPlane: {units: [" + etcdDisk("ext4") + `], commands: {before: ["rm -df /var/lib/etcd/lost+found"]}}`)},
		"etcd's disk, check ignored":               {more("controlPlane: {units: [" + etcdDisk("ext4") + "], kubernetes: {ignorePreflightErrors: [dirAvailable--var-lib-etcd]}}")},
		"etcd's disk with xfs":                     {more("controlPlane: {units: [" + etcdDisk("xfs") + "]}")},
		"etcd's disk at a worker":                  {more("worker: {units: [" + etcdDisk("ext4") + "]}")},
		"kubelet's labels":                         {worker(`labels: {kubelet.kubernetes.io/x: a, a.node.kubernetes.io/x: b, topology.kubernetes.io/zone: c}`)},
		"group of a user made before":              {ignition, more("users: [{name: admins}, {name: a, groups: [admins, adm], passwordHash: $2b$10$abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz0}]")},
		"group that cloud-init makes":              {more("users: [{name: a, groups: [admins], passwordHash: $2b$10$abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz0}]")},
		"key of the platform":                      {{"profile:", "platform: ec2\n  profile:"}, more("users: [{name: ops}]")},
		"owner root":                               {more(`files: [{path: /etc/a, contents: x, owner: root}, {path: /etc/b, contents: x, owner: "root:root"}, {path: /etc/c, contents: x, owner: "root:adm"}]`)},
		"owner of the spec":                        {more(`users: [{name: a, groups: [admins]}]` + "\n" + `  files: [{path: /etc/a, contents: x, owner: "a:a"}, {path: /etc/b, contents: x, owner: "a:admins"}]`)},
		"owner that a package brings":              {more(`files: [{path: /etc/a, source: "https://files.example.com/a", sha256: "` + strings.Repeat("0", 64) + `", owner: prometheus}]`)},
		"yum's variables":                          {docker, more(`packages: {source: repositories, repositories: [{name: a, baseURL: "https://example.com/kubernetes/$releasever/$basearch/", gpgKeys: [{url: "https://example.com/k", fingerprint: DE15B14486CD377B9E876E1A234654DA9A296436}]}]}`)},
		"a node with the profile's sources":        {more(`packages: {source: repositories, repositories: [{name: kubernetes, baseURL: "https://example.com/", gpgKeys: [{url: "https://example.com/k", fingerprint: DE15B14486CD377B9E876E1A234654DA9A296436}]}]}`), worker("packages: {source: profile}")},
		"a repository more":                        {more(`packages: {repositories: [{name: nvidia, baseURL: "https://example.com/", gpgKeys: [{url: "https://example.com/k", fingerprint: DE15B14486CD377B9E876E1A234654DA9A296436}]}]}`)},
		"a repository more, said so":               {more(`packages: {source: profile, repositories: [{name: nvidia, baseURL: "https://example.com/", gpgKeys: [{url: "https://example.com/k", fingerprint: DE15B14486CD377B9E876E1A234654DA9A296436}]}]}`)},
		"flannel from a registry with a port":      {more(`cni: {flannel: {image: "registry.example.com:5000/flannel"}}`)},
		"each architecture's own program":          {threePlanes, worker("architecture: arm64")},
		"forwarding, said once more":               {more(`system: {sysctl: {net.ipv4.ip_forward: "1", net.bridge.bridge-nf-call-iptables: "1"}}`)},
		"proxy that knows the pool's network":      {{noNetwork, ""}, more("pools: [{name: burst, role: worker, maxNodes: 3}]\n  system: {proxy: {http: \"http://proxy.example.com:3128\", no: [10.1.0.0/16]}}")},
		"proxy for nobody":                         {{noNetwork, ""}, more("pools: [{name: burst, role: worker, maxNodes: 3}]\n  system: {proxy: {http: \"http://proxy.example.com:3128\", no: [\"*\"]}}")},
		"proxy beside a network that is known":     {more("pools: [{name: burst, role: worker, maxNodes: 3}]\n  system: {proxy: {http: \"http://proxy.example.com:3128\"}}")},
		"Docker's own socket":                      {docker, {"version: v1.17.4", "version: v1.17.4, criSocket: /var/run/dockershim.sock"}},
		"a card that a bond joins":                 {{"interface: ens33", `interface: bond0, bonds: {bond0: {interfaces: [lan1, lan2], parameters: {mode: active-backup}}}, ethernets: {lan1: {mtu: 9000}}`}},
		"a card below a VLAN":                      {{"interface: ens33", "interface: ens33, ethernets: {ens34: {dhcp4: true}}, vlans: {vlan5: {id: 5, link: ens34}}"}},
		"Vagrant's two cards":                      {{"interface: ens33, netmask: 255.255.255.0, gateway: 192.168.31.2", "interface: eth1, netmask: 255.255.255.0, ethernets: {eth0: {dhcp4: true}}"}},
		"a route whose next hop DHCP knows":        {{"interface: ens33", "interface: ens33, ethernets: {ens34: {dhcp4: true, routes: [{to: 10.2.0.0/16, via: 10.1.0.1}]}}"}},
		"a /32":                                    {{"netmask: 255.255.255.0, gateway: 192.168.31.2", "prefixLength: 32, routes: [{to: default, via: 172.31.1.1, on-link: true}]"}},
		"a /31":                                    {{"netmask: 255.255.255.0, gateway: 192.168.31.2", "prefixLength: 31, routes: [{to: default, via: 172.31.1.1, on-link: true}]"}},
		"default routes of which one has a metric": {{"interface: ens33", "interface: ens33, routes: [{to: default, via: 192.168.31.3, metric: 100}]"}},
	} {
		text := readBase(t)
		for _, pairs := range change {
			for i := 0; i < len(pairs); i += 2 {
				if !strings.Contains(text, pairs[i]) {
					t.Fatalf("%s: %q is not in the spec", name, pairs[i])
				}
				text = strings.Replace(text, pairs[i], pairs[i+1], 1)
			}
		}
		for _, p := range check(text) {
			t.Errorf("%s: %s", name, p)
		}
	}
}

// etcdDisk is a unit that mounts a disk of its own for etcd.
func etcdDisk(kind string) string {
	return `{name: var-lib-etcd.mount, enabled: true, contents: "[Mount]\nWhat=/dev/vdb\nWhere=/var/lib/etcd\nType=` + kind + `\n[Install]\nWantedBy=local-fs.target\n"}`
}

// TestDefaults are all that hold where a spec sets nothing.
func TestDefaults(t *testing.T) {
	c := parse(t, small)
	k, r := c.Spec.Kubernetes, c.Spec.Rendezvous
	got := []any{k.Version, k.ClusterName, k.ControlPlaneEndpoint, k.CertificatesDir, k.Networking.PodSubnet, k.Networking.ServiceSubnet, k.Networking.DNSDomain,
		k.APIServer.BindPort, k.BootstrapToken.TTL, k.Proxy.Mode, r.Delivery, r.Port, r.RaftPort, c.Spec.CNI.Flannel.Version, c.Spec.CNI.Flannel.Backend,
		c.Spec.Platform, c.Spec.System.Swap, c.Spec.Packages.Source, c.Spec.Packages.GPGCheck}
	want := []any{text("spec.kubernetes.version", "v1.34.4"), text("spec.kubernetes.clusterName", "k8s"), text("spec.kubernetes.controlPlaneEndpoint", "api.k8s.muster:6443"),
		text("spec.kubernetes.certificatesDir", "/etc/kubernetes/pki"), text("spec.kubernetes.networking.podSubnet", "10.244.0.0/16"),
		text("spec.kubernetes.networking.serviceSubnet", "10.96.0.0/12"), text("spec.kubernetes.networking.dnsDomain", "cluster.local"),
		number("spec.kubernetes.apiServer.bindPort", 6443), text("spec.kubernetes.bootstrapToken.ttl", "15m"), text("spec.kubernetes.proxy.mode", "ipvs"),
		text("spec.rendezvous.delivery", "embed"), number("spec.rendezvous.port", 7443), number("spec.rendezvous.raftPort", 7444),
		text("spec.cni.flannel.version", "v0.28.4"), text("spec.cni.flannel.backend", "vxlan"), text("spec.platform", "none"), text("spec.system.swap", "disabled"),
		text("spec.packages.source", "profile"), Value[bool]{At: At{Path: "spec.packages.gpgCheck"}, V: true, Set: true}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("defaults (-want +got):\n%s", diff)
	}
	for _, v := range got {
		if at, ok := v.(Value[string]); ok {
			checkPath(t, at.Path)
		}
	}
}

func text(path, v string) Value[string] {
	return Value[string]{At: At{Path: path}, V: v, Set: true}
}

func number(path string, v int) Value[int] {
	return Value[int]{At: At{Path: path}, V: v, Set: true}
}

// TestDefaultsFollow are defaults that depend on what the spec sets.
func TestDefaultsFollow(t *testing.T) {
	endpoint := func(c *Cluster) string { return c.Spec.Kubernetes.ControlPlaneEndpoint.V }
	mode := func(c *Cluster) string { return c.Spec.Kubernetes.Proxy.Mode.V }
	version := func(c *Cluster) string { return c.Spec.Kubernetes.Version.V }
	for _, c := range []struct {
		name, add string
		value     func(*Cluster) string
		want      string
	}{
		{"host gets the port", "  kubernetes: {controlPlaneEndpoint: k8s.example.com}", endpoint, "k8s.example.com:6443"},
		{"host gets the port of the spec", "  kubernetes: {controlPlaneEndpoint: k8s.example.com, apiServer: {bindPort: 8443}}", endpoint, "k8s.example.com:8443"},
		{"a port stays", "  kubernetes: {controlPlaneEndpoint: \"k8s.example.com:443\", apiServer: {bindPort: 8443}}", endpoint, "k8s.example.com:443"},
		{"the name follows clusterName", "  kubernetes: {clusterName: prod}", endpoint, "api.prod.muster:6443"},
		{"the port follows the control planes'", "  controlPlane: {kubernetes: {apiServer: {bindPort: 9443}}}", endpoint, "api.k8s.muster:9443"},
		{"ipvs up to 1.34", "  kubernetes: {version: v1.34.9}", mode, "ipvs"},
		{"nftables from 1.35", "  kubernetes: {version: v1.35.0}", mode, "nftables"},
		{"no mode without a version", "  kubernetes: {version: latest}", mode, ""},
		{"the spec's mode stays", "  kubernetes: {version: v1.35.0, proxy: {mode: iptables}}", mode, "iptables"},
		{"the spec's version stays", "  kubernetes: {version: v1.33.1}", version, "v1.33.1"},
		{"the version is that of the control planes' profile", "  controlPlane: {profile: centos7-docker}", version, "v1.17.4"},
		{"no version of an unknown profile", "  controlPlane: {profile: no-such}", version, ""},
		{"flannel's version by default", "  cni: {flannel: {backend: host-gw}}", func(c *Cluster) string { return c.Spec.CNI.Flannel.Version.V }, DefaultFlannelVersion},
		{"no flannel beside manifests", "  cni: {manifests: [./a.yaml]}", func(c *Cluster) string { return c.Spec.CNI.Flannel.Version.V }, ""},
		{"no flannel with none", "  cni: {none: {}}", func(c *Cluster) string { return c.Spec.CNI.Flannel.Backend.V }, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.value(parse(t, small+c.add+"\n")); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// TestDefaultTwice: defaults are those of the spec, not of a spec with defaults.
func TestDefaultTwice(t *testing.T) {
	c := parse(t, small+"  kubernetes: {controlPlaneEndpoint: k8s.example.com}\n")
	once := *c
	c.Default(testFacts())
	if diff := cmp.Diff(once.Spec.Kubernetes.ControlPlaneEndpoint, c.Spec.Kubernetes.ControlPlaneEndpoint); diff != "" {
		t.Errorf("a second pass changes the endpoint:\n%s", diff)
	}
}

// TestTargets: the narrower place wins, for every machine and pool.
func TestTargets(t *testing.T) {
	c := parse(t, `apiVersion: muster/v1
kind: Cluster
metadata: {name: k8s}
spec:
  profile: debian12-containerd
  kubernetes: {kubelet: {extraArgs: {v: "1", max-pods: "1"}}}
  network: {interface: ens33, netmask: 255.255.255.0, gateway: 10.0.0.254}
  system: {selinux: enforcing, sysctl: {a.b: "1"}}
  controlPlane: {system: {selinux: permissive}, kubernetes: {apiServer: {bindPort: 8443}}}
  worker: {labels: {rack: a}, network: {prefixLength: 16}}
  nodes:
    - {name: cp, role: control-plane, address: 10.0.0.1}
    - {name: w1, role: worker, address: 10.0.0.2, labels: {rack: b}, system: {sysctl: {c.d: "2"}}, kubernetes: {kubelet: {extraArgs: {max-pods: "2"}}}}
    - {name: w2, role: worker, address: 10.0.0.3, profile: flatcar-containerd, network: {netmask: 255.0.0.0}}
  pools: [{name: p, role: worker, maxNodes: 2}]
`)
	var got []string
	for _, target := range c.Targets() {
		prefix, static := target.StaticAddress()
		network := "dhcp"
		if static {
			network = prefix.String()
		}
		rack, _ := target.Labels.Get("rack")
		pods, _ := target.Kubernetes.Kubelet.ExtraArgs.Get("max-pods")
		v, _ := target.Kubernetes.Kubelet.ExtraArgs.Get("v")
		got = append(got, strings.Join([]string{target.Name.V, target.Role.V, target.Profile.V, target.System.SELinux.V, network, rack.V, pods.V, v.V,
			keys(target.System.Sysctl), strings.Repeat("x", target.Kubernetes.APIServer.BindPort.V/1000)}, " "))
	}
	want := []string{
		"cp control-plane debian12-containerd permissive 10.0.0.1/24  1 1 a.b xxxxxxxx",
		"w1 worker debian12-containerd enforcing 10.0.0.2/16 b 2 1 a.b,c.d xxxxxx",
		"w2 worker flatcar-containerd enforcing 10.0.0.3/8 a 1 1 a.b xxxxxx",
		"p worker debian12-containerd enforcing dhcp a 1 1 a.b xxxxxx",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("targets (-want +got):\n%s", diff)
	}
	if names := c.ControlPlanes(); len(names) != 1 || names[0].Name.V != "cp" {
		t.Errorf("control planes: %v", names)
	}
}

func keys(m Map[Value[string]]) string {
	var all []string
	for _, e := range m.Entries {
		all = append(all, e.Key)
	}
	return strings.Join(all, ",")
}
