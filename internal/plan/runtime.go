package plan

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"muster/internal/decode"
	"muster/internal/node"
	"muster/internal/problem"
	"muster/internal/spec"
	"muster/internal/yamltext"
)

// planRuntime writes the container runtime's configuration (S11). The cgroup driver is systemd on both sides: here and
// in the kubelet's configuration.
func (m *machine) planRuntime() {
	m.conf.set("RUNTIME", m.profile.Runtime.V)
	m.conf.set("RUNTIME_SERVICE", m.profile.RuntimeService.V)
	m.conf.set("CRI_SOCKET", m.criSocket())
	switch m.profile.Runtime.V {
	case "docker":
		m.planDocker()
	case "containerd":
		m.planContainerd()
	}
	if strings.HasPrefix(m.criSocket(), "unix://") {
		m.addCrictlConfig()
	}
}

// addCrictlConfig writes the keys one by one, as an encoder would sort them and so change every machine's document.
func (m *machine) addCrictlConfig() {
	var text []byte
	for _, key := range []string{"runtime-endpoint", "image-endpoint"} {
		line, err := yamltext.Marshal(object{key: m.criSocket()})
		if err != nil {
			m.problems.Errorf(m.Kubernetes.CRISocket.At, "", "crictl.yaml cannot be written: %v", err)
			return
		}
		text = append(text, line...)
	}
	m.addText("/etc/crictl.yaml", string(text), m.Kubernetes.CRISocket.At)
}

func (m *machine) criSocket() string {
	if m.Kubernetes.CRISocket.Set {
		return m.Kubernetes.CRISocket.V
	}
	return m.version.DefaultCRISocket(m.profile.Runtime.V)
}

// planDocker writes daemon.json.
func (m *machine) planDocker() {
	daemon := map[string]any{
		"exec-opts":      []any{"native.cgroupdriver=systemd"},
		"log-driver":     "json-file",
		"log-opts":       map[string]any{"max-size": "100m"},
		"storage-driver": "overlay2",
	}
	if mirrors := decode.Strings(m.Docker.RegistryMirrors); len(mirrors) > 0 {
		daemon["registry-mirrors"] = mirrors
	}
	if insecure := decode.Strings(m.Docker.InsecureRegistries); len(insecure) > 0 {
		daemon["insecure-registries"] = insecure
	}
	merged := any(daemon)
	if m.Docker.Daemon.Set {
		merged = decode.Patch(daemon, m.Docker.Daemon.V)
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(merged); err != nil {
		m.problems.Errorf(m.Docker.Daemon.At, "", "daemon.json cannot be written: %v", err)
		return
	}
	m.addText("/etc/docker/daemon.json", b.String(), m.Docker.At)
}

// planContainerd writes the whole config.toml, since packages ship one with the CRI plugin switched off, and a
// hosts.toml for each registry that the spec sets something for.
func (m *machine) planContainerd() {
	config := any(m.containerdConfig())
	if m.Containerd.Config.Set {
		config = decode.Patch(config, m.Containerd.Config.V)
	}
	text, err := toml.Marshal(config)
	if err != nil {
		m.problems.Errorf(m.Containerd.Config.At, "write what TOML can hold: no nulls in lists, one type in a list", "config.toml cannot be written: %v", err)
		return
	}
	// The spec's patch may hold passwords of registries, and only root reads it.
	m.addFile(node.File{Path: "/etc/containerd/config.toml", Mode: 0o600, Contents: text, At: m.Containerd.At})
	if mirrors := decode.Strings(m.Containerd.RegistryMirrors); len(mirrors) > 0 {
		m.addRegistryHosts("docker.io", "https://registry-1.docker.io", mirrors, false, m.Containerd.RegistryMirrors.At)
	}
	for _, r := range m.Containerd.InsecureRegistries.Items {
		m.addRegistryHosts(r.V, "https://"+r.V, []string{"https://" + r.V, "http://" + r.V}, true, r.At)
	}
}

// containerdConfig is config.toml before the spec's patch. The CRI plugin and the name of the sandbox image differ
// between versions 2 and 3 of the file.
func (m *machine) containerdConfig() map[string]any {
	pause := m.version.PauseImage(m.imageRepository())
	runc := map[string]any{
		"default_runtime_name": "runc",
		"runtimes": map[string]any{"runc": map[string]any{
			"runtime_type": "io.containerd.runc.v2",
			"options":      map[string]any{"SystemdCgroup": true},
		}},
	}
	cni := map[string]any{"bin_dir": m.profile.Paths.CNIBin.V, "conf_dir": "/etc/cni/net.d"}
	registry := map[string]any{"config_path": spec.RegistryFolder}
	if m.profile.Containerd.ConfigVersion.V >= 3 {
		cni["bin_dirs"] = []any{cni["bin_dir"]}
		delete(cni, "bin_dir")
		return map[string]any{"version": int64(3), "plugins": map[string]any{
			"io.containerd.cri.v1.images":  map[string]any{"pinned_images": map[string]any{"sandbox": pause}, "registry": registry},
			"io.containerd.cri.v1.runtime": map[string]any{"containerd": runc, "cni": cni},
		}}
	}
	return map[string]any{"version": int64(2), "plugins": map[string]any{
		"io.containerd.grpc.v1.cri": map[string]any{"sandbox_image": pause, "registry": registry, "containerd": runc, "cni": cni},
	}}
}

func (m *machine) imageRepository() string {
	if r := m.Cluster.Spec.Kubernetes.ImageRepository; r.Set {
		return r.V
	}
	return m.version.DefaultImageRepository()
}

// addRegistryHosts writes the hosts.toml of one registry by hand: containerd asks the hosts in the file's order, which
// a TOML encoder's sorted keys would lose. The validator lets only URLs and host names through.
func (m *machine) addRegistryHosts(registry, server string, hosts []string, insecure bool, at problem.At) {
	var b strings.Builder
	fmt.Fprintf(&b, "server = %q\n", server)
	for _, h := range hosts {
		fmt.Fprintf(&b, "\n[host.%q]\n  capabilities = [\"pull\", \"resolve\"]\n", h)
		if strings.Contains(h, "/v2/") { // containerd would add another /v2 behind what follows
			b.WriteString("  override_path = true\n")
		}
		if insecure && strings.HasPrefix(h, "https://") {
			b.WriteString("  skip_verify = true\n")
		}
	}
	m.addText(spec.RegistryFolder+"/"+registry+"/hosts.toml", b.String(), at)
}
