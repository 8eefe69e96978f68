package consumer

import "testing"

func TestDockerdValidate(t *testing.T) {
	DockerdValidate(t, []byte(`{"registry-mirrors": ["http://hub-mirror.c.163.com"], "exec-opts": ["native.cgroupdriver=systemd"], "log-driver": "json-file"}`))
	for name, c := range map[string]struct{ doc, want string }{
		"an unknown key": {`{"registry-mirrorz": []}`, "registry-mirrorz"},
		"a wrong type":   {`{"registry-mirrors": "http://a"}`, "cannot unmarshal"},
		"a wrong level":  {`{"log-level": "loud"}`, "loud"},
		"no JSON":        {`{`, "unexpected"},
	} {
		t.Run(name, func(t *testing.T) {
			refused(t, c.want, func(tb testing.TB) { DockerdValidate(tb, []byte(c.doc)) })
		})
	}
}

const (
	containerdV2 = `version = 2
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "registry.k8s.io/pause:3.10"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = true
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "/etc/containerd/certs.d"
`
	containerdV3 = `version = 3
[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = "registry.k8s.io/pause:3.10"
[plugins."io.containerd.cri.v1.images".registry]
  config_path = "/etc/containerd/certs.d"
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
  [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
    SystemdCgroup = true
`
)

func TestContainerdLoad(t *testing.T) {
	ContainerdLoad(t, []byte(containerdV2))
	ContainerdLoad(t, []byte(containerdV3))
	for name, c := range map[string]struct{ doc, want string }{
		"no TOML, 1.6":              {containerdV2 + "[", "toml"},
		"no TOML, 2":                {containerdV3 + "[", "toml"},
		"an unknown key, 1.6":       {"oom = 1\n" + containerdV2, "setting, or changes it: oom"},
		"an unknown key, 2":         {"oom = 1\n" + containerdV3, "oom"},
		"a plugin's wrong key, 1.6": {containerdV2 + "    config_paths = 1\n", "registry.config_paths"},
		"a plugin's wrong key, 2":   {containerdV3 + "    SystemdCgroups = true\n[plugins.\"io.containerd.cri.v1.images\"]\n  sandbox_image = 'x'\n", "sandbox_image"},
		"an unknown plugin, 1.6":    {containerdV2 + "[plugins.\"io.containerd.cri.v1.images\"]\n  snapshotter = \"x\"\n", "io.containerd.cri.v1.images"},
		"a wrong type, 1.6":         {"root = 1\n" + containerdV2, "Can't convert 1(int64) to string"},
		"a wrong type, 2":           {"root = 1\n" + containerdV3, "Config.Root of type string"},
		"no version":                {"root = '/x'\n", "no version"},
	} {
		t.Run(name, func(t *testing.T) {
			refused(t, c.want, func(tb testing.TB) { ContainerdLoad(tb, []byte(c.doc)) })
		})
	}
}
