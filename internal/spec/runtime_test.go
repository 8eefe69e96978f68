package spec

import (
	"strings"
	"testing"
)

// TestNothingAgainst: what people paste and what changes nothing is taken, and so is what muster leaves to the spec.
func TestNothingAgainst(t *testing.T) {
	base := readBase(t)
	for _, c := range []struct{ name, old, text string }{
		{"a registry's login", "# more", `containerd: {config: {plugins: {io.containerd.grpc.v1.cri: {registry: {configs: {harbor.corp: {auth: {username: a}, tls: ~}, b: ~}}}}}}`},
		{"registries' files beside lists", "# more", `files: [{path: /etc/containerd/certs.d/registry.k8s.io/hosts.toml, contents: x}, {path: /etc/containerd/certs.d/r.example.com/ca.crt, contents: x}, {path: /etc/containerd/certs.d/corp.crt, contents: x}]
  containerd: {registryMirrors: ["https://m.example.com"], insecureRegistries: ["r.example.com:5000"]}`},
		{"Docker Hub's file without a list", "# more", `files: [{path: /etc/containerd/certs.d/docker.io/hosts.toml, contents: x}]`},
		{"a static pod", "# more", `controlPlane: {files: [{path: /etc/kubernetes/manifests/vip.yaml, contents: x}]}`},
	} {
		for _, p := range check(strings.Replace(base, c.old, c.text, 1)) {
			t.Errorf("%s: %v", c.name, p)
		}
	}
}
