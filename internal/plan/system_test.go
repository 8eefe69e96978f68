package plan

import (
	"fmt"
	"strings"
	"testing"
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
			_, got, _ := strings.Cut(contentsOf(t, machines[i], confFile), "NO_PROXY='")
			if got, _, _ = strings.Cut(got, "'"); got != want {
				t.Errorf("%s: %s goes without proxy to\n%s, want\n%s", name, machines[i].Config.Name, got, want)
			}
		}
	}
}
