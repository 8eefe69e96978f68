package plan

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"muster/internal/decode"
	"muster/internal/node"
	"muster/internal/problem"
	"muster/internal/secrets"
	"muster/internal/spec"
	"muster/profiles"
)

// planned plans the spec of a test, under built-in profiles; change, if given, is made to debian12-containerd.
func planned(t *testing.T, text string, change ...func(*profiles.Profile)) ([]Machine, []problem.Problem) {
	t.Helper()
	problems := problem.List{File: "cluster.yaml"}
	cluster := &spec.Cluster{}
	decode.Into(cluster, []byte(text), &problems)
	loaded := map[string]*profiles.Profile{}
	facts := spec.Facts{Profiles: map[string]spec.ProfileFacts{}}
	for _, name := range profiles.Names(profiles.Builtin) {
		data, err := profiles.Builtin.ReadFile(name + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		loaded[name] = profiles.Read(data, name, &problems)
		facts.Profiles[name] = spec.ProfileFacts{DefaultVersion: loaded[name].Kubernetes.Default.V}
	}
	for _, c := range change {
		c(loaded["debian12-containerd"])
	}
	cluster.Default(facts)
	machines := Build(Input{
		Cluster: cluster, Profiles: loaded, ReadFile: func(string) ([]byte, error) { return []byte("data"), nil },
		Rendezvous: Rendezvous{Secrets: secrets.Test(), Program: func(string) (node.Program, error) { return node.Program{SHA256: "digest"}, nil }},
	}, &problems)
	return machines, problems.Sorted()
}

const small = `apiVersion: muster/v1
kind: Cluster
metadata: {name: k8s}
spec:
  profile: debian12-containerd
  nodes:
    - name: cp1
      role: control-plane
      address: 10.0.0.1
`

func contentsOf(t *testing.T, m Machine, path string) string {
	t.Helper()
	for _, f := range m.Config.Files {
		if f.Path == path {
			return string(f.Contents)
		}
	}
	t.Fatalf("%s has no %s", m.Config.Name, path)
	return ""
}

// TestOnePathHasOneAuthor: a spec's file where muster writes is one problem at its path, of however many machines it
// is.
func TestOnePathHasOneAuthor(t *testing.T) {
	const several = small + "    - {name: cp2, role: control-plane, address: 10.0.0.2}\n    - {name: w1, role: worker}\n"
	const says = "muster writes %s itself; say it in the field of the spec that the file comes from, or choose another path"
	for file, path := range map[string]string{
		"{path: /etc/crictl.yaml, contents: mine}":                                              "/etc/crictl.yaml",
		"{path: /etc/crictl.yaml, source: \"https://files.example.com/x\", sha256: \"0\"}":      "/etc/crictl.yaml",
		"{path: /usr/local/bin/rendezvous, source: ./mine}":                                     "/usr/local/bin/rendezvous",
		"{path: /etc/systemd/network/50-muster-flannel.link, contents: instead of the profile}": "/etc/systemd/network/50-muster-flannel.link",
	} {
		_, problems := planned(t, several+"  files:\n    - "+file+"\n")
		want := "cluster.yaml:13:14: spec.files[0].path: " + fmt.Sprintf(says, path)
		if len(problems) != 1 || problems[0].String() != want {
			t.Errorf("problems are %v, want\n%s", problems, want)
		}
	}
}

// TestOwnersOfFiles: an owner without a group is the same for a file that is embedded and one that is fetched.
func TestOwnersOfFiles(t *testing.T) {
	for owner, want := range map[string]string{"": "root:root", ", owner: admin": "admin:root", ", owner: \"admin:wheel\"": "admin:wheel"} {
		machines, problems := planned(t, small+"      files:\n        - {path: /opt/here, contents: x"+owner+"}\n"+
			"        - {path: /opt/there, source: \"https://files.example.com/x\""+owner+"}\n")
		if len(problems) > 0 {
			t.Fatalf("%s: problems are %v", owner, problems)
		}
		i := slices.IndexFunc(machines[0].Config.Files, func(f node.File) bool { return f.Path == "/opt/here" })
		here := machines[0].Config.Files[i]
		if got := ownerText(here.Owner, here.Group); got != want {
			t.Errorf("%s: the embedded file is %s's, want %s", owner, got, want)
		}
		if conf := contentsOf(t, machines[0], ConfFile); !strings.Contains(conf, "\nDOWNLOAD_OWNERS=("+want+")\n") {
			t.Errorf("%s: the fetched file is not %s's:\n%s", owner, want, conf)
		}
	}
}

// TestModesOfUsersText: what may hold users' passwords is for root alone.
func TestModesOfUsersText(t *testing.T) {
	machines, problems := planned(t, small+"  cni: {manifests: [./calico.yaml]}\n  containerd: {config: {plugins: {io.containerd.grpc.v1.cri: {registry: {configs: {r.example.com: {auth: {password: x}}}}}}}}\n")
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	for _, path := range []string{"/etc/containerd/config.toml", manifests + "/00-calico.yaml"} {
		i := slices.IndexFunc(machines[0].Config.Files, func(f node.File) bool { return f.Path == path })
		if i < 0 || machines[0].Config.Files[i].Mode != 0o600 {
			t.Errorf("%s is not there with mode 0600", path)
		}
	}
}

// TestHostsOfManyNodes: beyond a hundred nodes a machine knows the control planes and itself, and a notice says so.
func TestHostsOfManyNodes(t *testing.T) {
	text := small
	for i := range MaxHosts {
		text += fmt.Sprintf("    - {name: w%03d, role: worker, address: 10.0.1.%d}\n", i, i+1)
	}
	machines, problems := planned(t, text)
	if len(problems) != 1 || problems[0].Severity != problem.Notice {
		t.Errorf("problems are %v", problems)
	}
	whole, problems := planned(t, text[:strings.LastIndex(text, "    - {")])
	if last := fmt.Sprintf(" w%03d\n", MaxHosts-2); len(problems) > 0 || len(whole) != MaxHosts || !strings.Contains(contentsOf(t, whole[0], "/etc/hosts"), last) {
		t.Errorf("%d nodes: problems are %v, or %q is not known", len(whole), problems, last)
	}
	hosts := contentsOf(t, machines[7], "/etc/hosts")
	for name, want := range map[string]bool{"cp1": true, "w006": true, "w007": false, "api.k8s.muster": true} {
		if got := strings.Contains(hosts, " "+name+"\n"); got != want {
			t.Errorf("%s knows %s: %v, want %v", machines[7].Config.Name, name, got, want)
		}
	}
}

func TestEndpointListsTheMachineFirst(t *testing.T) {
	text := strings.Replace(small, "10.0.0.1\n", "10.0.0.1\n    - {name: cp2, role: control-plane, address: 10.0.0.2}\n    - {name: cp3, role: control-plane, address: 10.0.0.3}\n", 1)
	machines, _ := planned(t, text)
	for i, want := range []string{"10.0.0.1 10.0.0.2 10.0.0.3", "10.0.0.2 10.0.0.1 10.0.0.3", "10.0.0.3 10.0.0.1 10.0.0.2"} {
		var got []string
		for line := range strings.Lines(contentsOf(t, machines[i], "/etc/hosts")) {
			if address, ok := strings.CutSuffix(line, " api.k8s.muster\n"); ok {
				got = append(got, address)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s asks %v, want %s", machines[i].Config.Name, got, want)
		}
	}
}

// TestSecretFiles: every secret file is listed, so that it is known as such where no plan has it any more.
func TestSecretFiles(t *testing.T) {
	machines, _ := planned(t, small+"    - {name: w1, role: worker}\n  pools:\n    - {name: p, role: worker, maxNodes: 2}\n")
	found := map[string]bool{}
	for _, m := range machines {
		for _, f := range m.Config.Files {
			if f.Secret {
				found[f.Path] = true
			}
			if private := f.Secret || strings.HasPrefix(f.Path, "/etc/muster/kubeadm-"); private && f.Mode != 0o600 { // a user may patch secrets into those
				t.Errorf("%s of %s has mode %v", f.Path, m.Config.Name, f.Mode)
			}
			if f.Secret != slices.Contains(SecretFiles, f.Path) {
				t.Errorf("%s of %s is secret: %v, and listed: %v", f.Path, m.Config.Name, f.Secret, !f.Secret)
			}
		}
	}
	if len(found) != len(SecretFiles) {
		t.Errorf("found %v, listed are %v", found, SecretFiles)
	}
}

// TestUserDataLimits are what the platforms' documentation says, in bytes before any base64.
func TestUserDataLimits(t *testing.T) {
	limits := map[string]int{"none": 0, "metal": 0, "libvirt": 0, "proxmox": 0, "ec2": 16384, "openstack": 49149, "azure": 65536, "gce": 262144, "vsphere": 65536}
	for platform, want := range limits {
		machines, problems := planned(t, small+"  platform: "+platform+"\n")
		if len(problems) > 0 {
			t.Fatalf("%s: problems are %v", platform, problems)
		}
		if c := machines[0].Config; c.UserDataLimit != want || c.TakesBinary != (platform == "ec2") {
			t.Errorf("%s takes %d bytes, binary %v; want %d", platform, c.UserDataLimit, c.TakesBinary, want)
		}
	}
}
