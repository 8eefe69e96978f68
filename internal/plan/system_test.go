package plan

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestControlPlanesReachAllKubelets: kubeadm gives NO_PROXY to API servers, which speak with the kubelets of however
// many nodes by address.
func TestControlPlanesReachAllKubelets(t *testing.T) {
	const proxy = "  system: {proxy: {http: \"http://proxy.example.com:3128\", no: [.example.com]}}\n"
	const network = "  network: {interface: eth0, prefixLength: 16, gateway: 10.0.255.254}\n"
	const own = "localhost,127.0.0.1,api.k8s.muster,.svc,.cluster.local,10.244.0.0/16,10.96.0.0/12,cp1,10.0.0.1"
	addresses := ""
	for i := range MaxHosts {
		addresses += fmt.Sprintf(",10.0.1.%d", i)
	}
	for name, c := range map[string]struct {
		more          string
		workers       int
		plane, worker string
	}{
		"static":      {network, 1, ",w000,10.0.1.0,.example.com,10.0.0.0/16", ",w000,10.0.1.0,.example.com"},
		"DHCP":        {"", 1, ",w000,10.0.1.0,.example.com", ",w000,10.0.1.0,.example.com"},
		"many static": {network, MaxHosts, ",.example.com,10.0.0.0/16", ",w000,10.0.1.0,.example.com"},
		"many, DHCP":  {"", MaxHosts, ",.example.com" + addresses, ",w000,10.0.1.0,.example.com"},
	} {
		text := small
		for i := range c.workers {
			text += fmt.Sprintf("    - {name: w%03d, role: worker, address: 10.0.1.%d}\n", i, i)
		}
		machines, _ := planned(t, text+c.more+proxy)
		for i, want := range []string{own + c.plane, own + c.worker} {
			_, got, _ := strings.Cut(contentsOf(t, machines[i], ConfFile), "NO_PROXY='")
			if got, _, _ = strings.Cut(got, "'"); got != want {
				t.Errorf("%s: %s goes without proxy to\n%s, want\n%s", name, machines[i].Config.Name, got, want)
			}
		}
	}
}

// TestRuntimeReachesRegistriesOnNodes: the runtime goes to a node without proxy where the spec names a registry on it,
// and no line of a drop-in is longer than systemd 219 takes, with however many nodes.
func TestRuntimeReachesRegistriesOnNodes(t *testing.T) {
	const proxy = "  system: {proxy: {http: \"http://proxy.example.com:3128\", no: [.example.com]}}\n"
	nodes := ""
	for i := range MaxHosts - 1 {
		nodes += fmt.Sprintf("    - {name: a-name-of-usual-length-%d.example.com, role: worker, address: 10.0.1.%d, aliases: [w%d]}\n", i, i, i)
	}
	const docker = "      profile: centos7-docker\n      docker: {registryMirrors: [\"http://10.0.0.1:5000\"], insecureRegistries: [10.0.1.0/24, 10.9.0.0/16, w3, \"else.example.com:5000\"]}\n"
	const containerd = "      containerd: {registryMirrors: [\"https://w2/v2/\", \"https://mirror.example.com\"], insecureRegistries: [\"10.0.1.4:5000\"]}\n"
	const images = "  kubernetes: {imageRepository: \"cp1:5000/k8s\", version: v1.23.17}\n  check: {nginx: {image: \"w7:5000/nginx:1\"}}\n"
	for name, c := range map[string]struct{ text, want string }{
		"no registry": {small + nodes, ""},
		"docker":      {small + docker + nodes, ",10.0.0.1,10.0.1.0/24,w3"},
		"containerd":  {small + containerd + nodes, ",w2,10.0.1.4"},
		"images":      {small + nodes + images, ",cp1,w7"},
	} {
		machines, _ := planned(t, c.text+proxy)
		for _, u := range machines[0].Config.Units {
			for _, d := range u.DropIns {
				for line := range strings.Lines(d.Contents) {
					if len(line) > 2048 {
						t.Errorf("%s: a line of %s has %d characters", name, d.Name, len(line))
					}
				}
				_, got, is := strings.Cut(d.Contents, "NO_PROXY=")
				want := "localhost,127.0.0.1,api.k8s.muster,.svc,.cluster.local,10.244.0.0/16,10.96.0.0/12" + c.want + ",.example.com\"\n"
				if is && got != want {
					t.Errorf("%s: the runtime goes without proxy to\n%s, want\n%s", name, got, want)
				}
			}
		}
	}
}

// TestPortsOfTheDocs: docs/operate.md lists what firewall: ports opens, and nothing else.
func TestPortsOfTheDocs(t *testing.T) {
	text, err := os.ReadFile("../../docs/operate.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(line, "|")
		if len(cells) != 5 {
			continue
		}
		for _, m := range regexp.MustCompile(`([0-9][0-9-]+)/(tcp)( and udp)?|([0-9][0-9-]+)/udp`).FindAllStringSubmatch(cells[1], -1) {
			documented[m[0]] = true
			if m[3] != "" {
				delete(documented, m[0])
				documented[m[1]+"/tcp"], documented[m[1]+"/udp"] = true, true
			}
		}
	}
	opened := map[string]bool{}
	for _, backend := range []string{"vxlan", "wireguard", "host-gw"} {
		machines, _ := planned(t, strings.Replace(small, "debian12-containerd", "centos7-docker", 1)+"      system: {firewall: ports}\n  cni: {flannel: {backend: "+backend+"}}\n")
		_, ports, _ := strings.Cut(contentsOf(t, machines[0], ConfFile), "\nFIREWALL_PORTS=(")
		ports, _, _ = strings.Cut(ports, ")")
		for _, p := range strings.Fields(ports) {
			opened[p] = true
		}
	}
	if diff := cmp.Diff(documented, opened); diff != "" {
		t.Errorf("docs/operate.md (-) and firewall: ports (+) differ:\n%s", diff)
	}
}
