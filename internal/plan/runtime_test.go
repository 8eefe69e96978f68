package plan

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pelletier/go-toml/v2"

	"muster/profiles"
)

// TestVersionsOfContainerdsConfiguration: a containerd reads the plugins of the one version of the file that it knows.
func TestVersionsOfContainerdsConfiguration(t *testing.T) {
	runc := object{"default_runtime_name": "runc", "runtimes": object{"runc": object{"runtime_type": "io.containerd.runc.v2", "options": object{"SystemdCgroup": true}}}}
	registry := object{"config_path": "/etc/containerd/certs.d"}
	const pause, conf, bin = "registry.k8s.io/pause:3.10.1", "/etc/cni/net.d", "/opt/cni/bin"
	for version, want := range map[int]object{
		2: {"version": int64(2), "plugins": object{"io.containerd.grpc.v1.cri": object{
			"sandbox_image": pause, "registry": registry, "containerd": runc, "cni": object{"bin_dir": bin, "conf_dir": conf}}}},
		3: {"version": int64(3), "plugins": object{
			"io.containerd.cri.v1.images":  object{"pinned_images": object{"sandbox": pause}, "registry": registry},
			"io.containerd.cri.v1.runtime": object{"containerd": runc, "cni": object{"bin_dirs": []any{bin}, "conf_dir": conf}}}},
	} {
		machines, problems := planned(t, small, func(p *profiles.Profile) { p.Containerd.ConfigVersion.V = version })
		if len(problems) > 0 {
			t.Fatalf("version %d: problems are %v", version, problems)
		}
		var got object
		if err := toml.Unmarshal([]byte(contentsOf(t, machines[0], "/etc/containerd/config.toml")), &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("version %d differs (-want +got):\n%s", version, diff)
		}
	}
}

// TestMirrorsWithAPath: behind a path that holds /v2/ containerd would ask for another /v2, get 404, and go on to the
// internet without a word.
func TestMirrorsWithAPath(t *testing.T) {
	const text = "server = \"https://registry-1.docker.io\"\n\n[host.%q]\n  capabilities = [\"pull\", \"resolve\"]\n"
	for mirror, override := range map[string]string{
		"https://harbor.corp/v2/dockerhub-proxy":  "  override_path = true\n",
		"https://nexus.corp/repository/v2/docker": "  override_path = true\n",
		"https://mirror.corp":                     "",
		"https://mirror.corp/v2":                  "",
		"https://mirror.corp/docker":              "",
		"https://v2.corp/v2proxy":                 "",
	} {
		machines, problems := planned(t, small+"  containerd: {registryMirrors: [\""+mirror+"\"]}\n")
		if len(problems) > 0 {
			t.Fatalf("%s: problems are %v", mirror, problems)
		}
		want := fmt.Sprintf(text, mirror) + override
		if diff := cmp.Diff(want, contentsOf(t, machines[0], "/etc/containerd/certs.d/docker.io/hosts.toml")); diff != "" {
			t.Errorf("%s: hosts.toml differs (-want +got):\n%s", mirror, diff)
		}
	}
}
