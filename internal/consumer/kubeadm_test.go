package consumer

import (
	"strings"
	"testing"
)

const initV1beta2 = `apiVersion: kubeadm.k8s.io/v1beta2
kind: InitConfiguration
localAPIEndpoint: {advertiseAddress: 192.168.31.130, bindPort: 6443}
nodeRegistration: {name: k8s-master, criSocket: /var/run/dockershim.sock}
---
apiVersion: kubeadm.k8s.io/v1beta2
kind: ClusterConfiguration
kubernetesVersion: v1.17.4
networking: {podSubnet: 10.244.0.0/16, serviceSubnet: 10.96.0.0/12}
---
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: ipvs
---
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
cgroupDriver: systemd
`

const joinV1beta2 = `apiVersion: kubeadm.k8s.io/v1beta2
kind: JoinConfiguration
discovery:
  file: {kubeConfigPath: /run/muster/discovery.conf}
nodeRegistration: {name: k8s-node1, criSocket: /var/run/dockershim.sock}
`

// kubeadmDocument turns a document of v1beta2 into one of a newer API.
func kubeadmDocument(doc, api, version string) []byte {
	return []byte(strings.NewReplacer("kubeadm.k8s.io/v1beta2", "kubeadm.k8s.io/"+api, "v1.17.4", version,
		"/var/run/dockershim.sock", "unix:///run/containerd/containerd.sock").Replace(doc))
}

func TestKubeadmValidate(t *testing.T) {
	for _, c := range []struct{ version, api string }{
		{"v1.17.4", "v1beta2"}, {"v1.21.14", "v1beta2"}, {"v1.22.17", "v1beta3"}, {"v1.28.15", "v1beta3"}, {"v1.31.4", "v1beta4"}, {"v1.34.4", "v1beta4"},
	} {
		t.Run(c.version, func(t *testing.T) {
			KubeadmValidate(t, c.version, kubeadmDocument(initV1beta2, c.api, c.version))
			KubeadmValidate(t, c.version, kubeadmDocument(joinV1beta2, c.api, c.version))
		})
	}
}

func TestKubeadmValidateRefuses(t *testing.T) {
	for _, c := range []struct{ name, version, api, old, new, want string }{
		{"an unknown field, 1.17", "v1.17.4", "v1beta2", "networking:", "foo: 1\nnetworking:", `unknown field "foo"`},
		{"an unknown field, 1.22", "v1.22.17", "v1beta3", "networking:", "foo: 1\nnetworking:", `unknown field "foo"`},
		{"an unknown field, 1.34", "v1.34.4", "v1beta4", "networking:", "foo: 1\nnetworking:", `unknown field "foo"`},
		{"an unknown field of the kubelet, 1.17", "v1.17.4", "v1beta2", "cgroupDriver:", "groupDriver:", `unknown field "groupDriver"`},
		{"an unknown field of kube-proxy, 1.34", "v1.34.4", "v1beta4", "mode: ipvs", "mod: ipvs", `unknown field "mod"`},
		{"an invalid subnet", "v1.17.4", "v1beta2", "10.244.0.0/16", "10.244.0.0/40", "10.244.0.0/40"},
		{"an API that the version has not", "v1.17.4", "v1beta3", "foo", "foo", "v1beta3"},
		{"a CRI socket with no scheme", "v1.34.4", "v1beta4", "unix:///", "/", "criSocket"},
	} {
		t.Run(c.name, func(t *testing.T) {
			doc := strings.Replace(string(kubeadmDocument(initV1beta2, c.api, c.version)), c.old, c.new, 1)
			refused(t, c.want, func(tb testing.TB) { KubeadmValidate(tb, c.version, []byte(doc)) })
		})
	}
	t.Run("a join with no discovery", func(t *testing.T) {
		doc := strings.Replace(joinV1beta2, "file: {kubeConfigPath: /run/muster/discovery.conf}", "{}", 1)
		refused(t, "discovery", func(tb testing.TB) { KubeadmValidate(tb, "v1.17.4", []byte(doc)) })
	})
	t.Run("a discovery file outside /run", func(t *testing.T) {
		doc := strings.Replace(joinV1beta2, "/run/muster", "/etc/muster", 1)
		refused(t, "/etc/muster/discovery.conf", func(tb testing.TB) { KubeadmValidate(tb, "v1.17.4", []byte(doc)) })
	})
}
