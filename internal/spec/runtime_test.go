package spec

import (
	"strings"
	"testing"
)

// TestNothingAgainst: what people paste and what changes nothing is taken, and so is what muster leaves to the spec.
func TestNothingAgainst(t *testing.T) {
	base := readBase(t)
	docker := strings.NewReplacer("debian12-containerd", "centos7-docker", "v1.34.4", "v1.17.4").Replace(base)
	for _, c := range []struct{ name, base, old, text string }{
		{"daemon.json as in all tutorials", docker, "# more", `docker: {daemon: {exec-opts: [native.cgroupdriver=systemd], log-opts: {max-size: 10m}}}`},
		{"cgroup driver and folder of containerd 1", base, "# more",
			`containerd: {config: {plugins: {io.containerd.grpc.v1.cri: {registry: {config_path: /etc/containerd/certs.d}, containerd: {runtimes: {runc: {options: {SystemdCgroup: true}}}}}}}}`},
		{"cgroup driver and folder of containerd 2", base, "# more",
			`containerd: {config: {plugins: {io.containerd.cri.v1.images: {registry: {config_path: /etc/containerd/certs.d}}, io.containerd.cri.v1.runtime: {containerd: {runtimes: {runc: {options: {SystemdCgroup: true}}}}}}}}`},
		{"a registry's login", base, "# more", `containerd: {config: {plugins: {io.containerd.grpc.v1.cri: {registry: {configs: {harbor.corp: {auth: {username: a}, tls: ~}, b: ~}}}}}}`},
		{"documents with their heads", base, "version: v1.34.4", `version: v1.34.4, patches: {KubeletConfiguration: {apiVersion: kubelet.config.k8s.io/v1beta1, kind: KubeletConfiguration, cgroupDriver: systemd, maxPods: 200},
    KubeProxyConfiguration: {apiVersion: kubeproxy.config.k8s.io/v1alpha1, kind: KubeProxyConfiguration}, ClusterConfiguration: {apiVersion: kubeadm.k8s.io/v1beta4, kind: ClusterConfiguration}}`},
		{"registries' files beside lists", base, "# more", `files: [{path: /etc/containerd/certs.d/registry.k8s.io/hosts.toml, contents: x}, {path: /etc/containerd/certs.d/r.example.com/ca.crt, contents: x}, {path: /etc/containerd/certs.d/corp.crt, contents: x}]
  containerd: {registryMirrors: ["https://m.example.com"], insecureRegistries: ["r.example.com:5000"]}`},
		{"Docker Hub's file without a list", base, "# more", `files: [{path: /etc/containerd/certs.d/docker.io/hosts.toml, contents: x}]`},
		{"a static pod", base, "# more", `controlPlane: {files: [{path: /etc/kubernetes/manifests/vip.yaml, contents: x}]}`},
	} {
		for _, p := range check(strings.Replace(c.base, c.old, c.text, 1)) {
			t.Errorf("%s: %v", c.name, p)
		}
	}
}
