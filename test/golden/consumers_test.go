package golden_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"muster/internal/consumer"
	"muster/internal/generate"
	"muster/internal/plan"
)

// TestConsumers hands every document of every golden case to the programs that will read it on a machine.
func TestConsumers(t *testing.T) {
	for _, name := range cases(t) {
		result, _ := generated(t, name)
		for _, m := range result.Machines {
			t.Run(name+"/"+m.Config.Name, func(t *testing.T) {
				t.Parallel()
				files := filesOf(result, m)
				t.Run("document", func(t *testing.T) { document(t, m, files) })
				t.Run("kubeadm", func(t *testing.T) { kubeadm(t, result, files) })
				t.Run("runtime", func(t *testing.T) { runtime(t, m, files) })
				t.Run("systemd", func(t *testing.T) { systemd(t, m, files) })
				t.Run("shellcheck", func(t *testing.T) { scripts(t, m, files) })
			})
		}
	}
}

// filesOf are the files below a machine's folder of the tree, by their path below it.
func filesOf(r *generate.Result, m plan.Machine) map[string][]byte {
	folder := "nodes/" + m.Config.Name + "/"
	if m.Config.Pool {
		folder = "pools/" + m.Config.Name + "/"
	}
	out := map[string][]byte{}
	for _, f := range r.Tree {
		if rest, ok := strings.CutPrefix(f.Path, folder); ok {
			out[rest] = f.Bytes()
		}
	}
	return out
}

func document(t *testing.T, m plan.Machine, files map[string][]byte) {
	root := t.TempDir()
	if m.Profile.Format.V == "ignition" {
		consumer.IgnitionValidate(t, files["config.ign"])
		consumer.IgnitionApply(t, files["config.ign"], root)
		onDisk(t, m, root)
		return
	}
	consumer.CloudInitSchema(t, files["user-data"])
	consumer.CloudInitApply(t, files["user-data"], root)
	onDisk(t, m, root)
	if config := files["network-config"]; config != nil {
		for _, renderer := range []string{"eni", "sysconfig", "networkd", "netplan"} {
			consumer.NetConvert(t, config, renderer)
		}
	}
	if iso := files["seed.iso"]; iso != nil {
		path := filepath.Join(t.TempDir(), "seed.iso")
		if err := os.WriteFile(path, iso, 0o600); err != nil {
			t.Fatal(err)
		}
		seed := consumer.NoCloud(t, path)
		if got := seed.MetaData["instance-id"]; got != m.Config.InstanceID {
			t.Errorf("cloud-init reads the instance-id %v, want %s", got, m.Config.InstanceID)
		}
	}
}

// onDisk compares what the consumer wrote with the plan.
func onDisk(t *testing.T, m plan.Machine, root string) {
	t.Helper()
	for _, f := range m.Config.Files {
		path := filepath.Join(root, f.Path)
		data, err := os.ReadFile(path)
		if err != nil {
			t.Error(err)
			continue
		}
		if string(data) != string(f.Contents) {
			t.Errorf("%s has other bytes than the plan", f.Path)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Error(err)
			continue
		}
		if info.Mode() != f.Mode {
			t.Errorf("%s has mode %v, want %v", f.Path, info.Mode(), f.Mode)
		}
	}
}

func kubeadm(t *testing.T, r *generate.Result, files map[string][]byte) {
	version := r.Cluster.Spec.Kubernetes.Version.V
	for _, name := range []string{"files/etc/muster/kubeadm-init.yaml", "files/etc/muster/kubeadm-join.yaml"} {
		if text, ok := files[name]; ok {
			consumer.KubeadmValidate(t, version, text)
		}
	}
}

func runtime(t *testing.T, m plan.Machine, files map[string][]byte) {
	if m.Profile.Runtime.V == "docker" {
		consumer.DockerdValidate(t, files["files/etc/docker/daemon.json"])
		return
	}
	consumer.ContainerdLoad(t, files["files/etc/containerd/config.toml"])
}

// systemd verifies the units as the machine has them, drop-ins included.
func systemd(t *testing.T, m plan.Machine, files map[string][]byte) {
	units := map[string][]byte{}
	for name, data := range files {
		if rest, ok := strings.CutPrefix(name, "files/etc/systemd/system/"); ok {
			units[rest] = data
		}
	}
	var packaged []string
	for _, name := range []string{"kubelet.service", m.Profile.RuntimeService.V} {
		if units[name] == nil {
			packaged = append(packaged, name)
		}
	}
	consumer.SystemdVerify(t, units, packaged...)
}

func scripts(t *testing.T, m plan.Machine, files map[string][]byte) {
	scripts := map[string][]byte{}
	for name, data := range files {
		if strings.HasPrefix(name, "files"+m.Profile.Paths.Scripts.V) {
			scripts[filepath.Base(name)] = data
		}
	}
	if len(scripts) == 0 {
		t.Error("the machine has no scripts")
	}
	consumer.Shellcheck(t, scripts)
}
