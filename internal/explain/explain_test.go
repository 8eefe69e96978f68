package explain_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"muster/internal/explain"
	"muster/internal/generate"
	"muster/internal/plan"
	"muster/internal/problem"
	"muster/internal/spec"
	"muster/profiles"
)

const goldens = "../../test/golden"

// input runs gen's stages on a spec; a failure is one of the spec, which then belongs repaired.
func input(t testing.TB, path string) explain.Input {
	t.Helper()
	var problems problem.List
	r, err := generate.FromFile(path, generate.ForTests(), &problems)
	if err != nil || problems.Failed() {
		t.Fatal(err, problems.Sorted())
	}
	return explain.Input{
		Spec: path, Sources: r.Sources, Machines: r.Machines, Tree: r.Tree,
		Replan: func(c *spec.Cluster, loaded map[string]*profiles.Profile, index int) plan.Machine {
			again := r.Input
			again.Cluster, again.Profiles, again.Only = c, loaded, &index
			return plan.Build(again, &problem.List{})[0]
		},
	}
}

func golden(t *testing.T, name string) explain.Input {
	return input(t, filepath.Join(goldens, name, "cluster.yaml"))
}

// lineWith is the line of a file that holds a text.
func lineWith(t *testing.T, in explain.Input, file, text string) int {
	t.Helper()
	for _, f := range in.Tree {
		if f.Path != file {
			continue
		}
		for i, line := range strings.Split(string(f.Bytes()), "\n") {
			if strings.Contains(line, text) {
				return i + 1
			}
		}
	}
	t.Fatalf("%s has no line with %q", file, text)
	return 0
}

// summary writes what an explanation names, each value with the text of the line that it stands in.
func summary(in explain.Input, e *explain.Explanation) []string {
	var out []string
	value := func(label string, v explain.Value) {
		text := label + " " + v.Where.Path
		if v.Value != "" {
			text += " = " + v.Value
		}
		if v.Where.Line > 0 {
			source := strings.Split(string(in.Sources[v.Where.File]), "\n")[v.Where.Line-1]
			text += " @ " + source[v.Where.Column-1:]
		}
		out = append(out, text)
	}
	for _, v := range e.Values {
		value(string(v.Kind), v)
	}
	for _, v := range e.Existence {
		value("exists", v)
	}
	for _, t := range e.Templates {
		text, err := os.ReadFile("../../" + t.File)
		if err != nil {
			return []string{err.Error()}
		}
		out = append(out, "template "+t.File+" @ "+strings.Split(string(text), "\n")[t.Line-1])
	}
	return out
}

// TestLines asks for one line of a golden case, found by a part of its text. Places are compared by what stands there, so
// that the test says that they are right and not only which they are.
func TestLines(t *testing.T) {
	const tutorial, hatches = "tutorial-centos7-docker", "escape-hatches"
	for _, c := range []struct {
		spec, file, line string
		want             []string
	}{
		{tutorial, "nodes/k8s-node2/files/etc/hosts", "k8s-node1", []string{
			"spec spec.nodes[1].name = k8s-node1 @ k8s-node1,  role: worker,        address: 192.168.31.128, aliases: [node1]}",
			"spec spec.nodes[1].address = 192.168.31.128 @ 192.168.31.128, aliases: [node1]}",
			"spec spec.nodes[1].aliases[0] = node1 @ node1]}",
		}},
		{tutorial, "nodes/k8s-node1/files/etc/hosts", "127.0.0.1 localhost", nil},
		{tutorial, "nodes/k8s-node1/files/etc/hosts", "api.k8s.muster", []string{
			"spec metadata.name = k8s @ k8s}",
			"spec spec.nodes[0].role = control-plane @ control-plane, address: 192.168.31.130, aliases: [master]}",
			"spec spec.nodes[0].address = 192.168.31.130 @ 192.168.31.130, aliases: [master]}",
			"default spec.kubernetes.clusterName = k8s",
			"default spec.kubernetes.controlPlaneEndpoint = api.k8s.muster:6443",
		}},
		{tutorial, "nodes/k8s-node1/files/etc/docker/daemon.json", "hub-mirror", []string{
			`spec spec.docker.registryMirrors[0] = http://hub-mirror.c.163.com @ "http://hub-mirror.c.163.com"]}`,
			"exists runtime = docker @ docker",
		}},
		{tutorial, "nodes/k8s-node1/files/etc/docker/daemon.json", "registry-mirrors", []string{
			`spec spec.docker.registryMirrors @ ["http://hub-mirror.c.163.com"]}`,
			"exists runtime = docker @ docker",
		}},
		{tutorial, "nodes/k8s-node1/files/etc/sysctl.d/kubernetes.conf", "net.ipv4.ip_forward", []string{
			`profile sysctl["net.ipv4.ip_forward"] = 1 @ "1"`,
		}},
		{tutorial, "nodes/k8s-node1/files/etc/NetworkManager/conf.d/muster.conf", "unmanaged-devices", []string{
			"profile files[0].contents = unmanaged-devices=interface-name:kube-ipvs0;interface-name:cni0;interface-name:flannel*;interface-name:veth*" +
				" @ unmanaged-devices=interface-name:kube-ipvs0;interface-name:cni0;interface-name:flannel*;interface-name:veth*",
			"exists files[0].path = /etc/NetworkManager/conf.d/muster.conf @ /etc/NetworkManager/conf.d/muster.conf",
		}},
		{tutorial, "nodes/k8s-master/files/etc/muster/kubeadm-init.yaml", "imageRepository", []string{
			"spec spec.kubernetes.imageRepository = registry.aliyuncs.com/google_containers @ registry.aliyuncs.com/google_containers",
			"exists spec.nodes[0].role = control-plane @ control-plane, address: 192.168.31.130, aliases: [master]}",
		}},
		{tutorial, "nodes/k8s-node1/files/etc/sysconfig/modules/ipvs.modules", "modprobe --", []string{
			"exists spec.kubernetes.proxy.mode = ipvs @ ipvs}",
			"exists paths.ipvsModules = /etc/sysconfig/modules/ipvs.modules @ /etc/sysconfig/modules/ipvs.modules",
			`template templates/scripts/ipvs.modules @   modprobe -- "$module" || rc=1`,
		}},
		{tutorial, "nodes/k8s-node1/files/usr/local/lib/muster/muster.sh", "swapoff", []string{
			"default spec.system.swap = disabled",
			"exists paths.scripts = /usr/local/lib/muster @ /usr/local/lib/muster",
			"template templates/scripts/prepare/swap.sh @ *",
		}},
		{tutorial, "nodes/k8s-node1/files/etc/systemd/system/muster-verify.service", "ExecStart", []string{
			"profile paths.scripts = /usr/local/lib/muster @ /usr/local/lib/muster",
			"template templates/units/muster-verify.service @ ExecStart=/bin/bash [[.Scripts]]/muster.sh verify",
		}},
		{tutorial, "nodes/k8s-node1/network-config", "192.168.31.2\"", []string{
			"spec spec.network.gateway = 192.168.31.2 @ *",
		}},
		{hatches, "nodes/deb-cp/files/etc/muster/kubeadm-init.yaml", "maxPerCore", []string{
			"spec spec.kubernetes.patches.KubeProxyConfiguration.conntrack.maxPerCore = 0 @ {conntrack: {maxPerCore: 0, min: 0}}",
			"exists spec.nodes[0].role = control-plane @ control-plane",
		}},
		{hatches, "nodes/deb-worker/files/etc/motd", "only here", []string{
			"spec spec.nodes[1].files[0].path = /etc/motd @ *", // of another path, the cluster's file would be left
			`spec spec.nodes[1].files[0].contents = only here @ "only here\n"}`,
		}},
		{"dry-run", "nodes/cp1/files/etc/systemd/system/muster.target", "Wants=", []string{
			"spec spec.kubernetes.dryRun = true @ true}", // and no control plane would want the same as a dry run
			"template templates/units/muster.target @ Wants=*",
		}},
		{"kubeadm-v1beta4-nftables", "nodes/w1/files/etc/muster/kubeadm-join.yaml", "apiVersion", []string{
			"spec spec.kubernetes.version = v1.3*",
		}},
	} {
		t.Run(c.file+"/"+c.line, func(t *testing.T) {
			in := golden(t, c.spec)
			line := lineWith(t, in, c.file, c.line)
			e, err := explain.Of(in, c.file, line)
			if err != nil {
				t.Fatal(err)
			}
			got := summary(in, e)
			if len(got) != len(c.want) {
				t.Fatalf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			}
			for i, want := range c.want {
				before, any := strings.CutSuffix(want, "*")
				if got[i] != want && !(any && strings.HasPrefix(got[i], before)) {
					t.Errorf("got  %s\nwant %s", got[i], want)
				}
			}
			if c.want != nil && e.Text == "" && !strings.Contains(c.file, "network-config") {
				t.Error("the line is not shown")
			}
		})
	}
}

// TestChoiceAmongMany: the roles of many nodes, which are tried together, hide no other choice.
func TestChoiceAmongMany(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(goldens, "dry-run", "cluster.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 30 {
		text = fmt.Appendf(text, "    - {name: w%d, role: worker, address: 10.8.1.%d}\n", i, i+1)
	}
	spec := filepath.Join(t.TempDir(), "cluster.yaml")
	if err := os.WriteFile(spec, text, 0o600); err != nil {
		t.Fatal(err)
	}
	in := input(t, spec)
	const file = "nodes/cp1/files/etc/systemd/system/muster.target"
	e, err := explain.Of(in, file, lineWith(t, in, file, "Wants="))
	if err != nil || len(e.Values) != 1 || e.Values[0].Where.Path != "spec.kubernetes.dryRun" {
		t.Errorf("%v: %v", err, summary(in, e))
	}
}

// TestWholeFile: each value of a file names its lines, and no value that has nothing to do with it is there.
func TestWholeFile(t *testing.T) {
	in := golden(t, "tutorial-centos7-docker")
	const file = "nodes/k8s-node1/files/etc/hosts"
	e, err := explain.Of(in, file, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range e.Values {
		if !strings.HasPrefix(v.Where.Path, "spec.nodes[") && v.Where.Path != "metadata.name" && v.Kind != explain.FromDefault {
			t.Errorf("%s has nothing to do with /etc/hosts", v.Where.Path)
		}
		if v.Where.Path == "spec.nodes[0].address" && fmt.Sprint(v.Lines) != "[7 10]" {
			t.Errorf("the address of the control plane stands in lines %v, want 7 and 10", v.Lines)
		}
	}
	if want := 4 + 2*3 + 3; len(e.Values) != want { // the cluster's name, the role and two defaults; then names, addresses and aliases
		t.Errorf("%d values, want %d: %v", len(e.Values), want, summary(in, e))
	}
}

// TestDocuments: a document points to the files that it carries, all of which can be explained.
func TestDocuments(t *testing.T) {
	in := golden(t, "tutorial-flatcar-containerd")
	e, err := explain.Of(in, "nodes/k8s-node1/config.ign", 0)
	if err != nil {
		t.Fatal(err)
	}
	if len(e.Carries) < 10 || e.Text != "" {
		t.Errorf("carries %v, text %q", e.Carries, e.Text)
	}
	seed, err := explain.Of(golden(t, "tutorial-centos7-docker"), "nodes/k8s-node1/seed.iso", 0)
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(seed.Carries); got != "[nodes/k8s-node1/meta-data nodes/k8s-node1/network-config nodes/k8s-node1/user-data]" {
		t.Errorf("the image carries %s", got)
	}
}

// TestOrigins: a line that no value of the spec holds is led back to where it does come from, and never said to be the same
// for every spec where it is not.
func TestOrigins(t *testing.T) {
	const hatches, nothing = "escape-hatches", "no value that the spec or a profile sets changes this"
	for _, c := range []struct {
		spec, file string
		line       int
		want       string
		absent     string
	}{
		{hatches, "nodes/deb-cp/files/etc/muster/manifests/00-cni.yaml", 2, "from file  " + goldens + "/escape-hatches/cni.yaml:2\n", nothing},
		{hatches, "nodes/deb-worker/files/etc/example/beside.bin", 0, "from file  " + goldens + "/escape-hatches/beside.bin\n", nothing},
		{hatches, "nodes/deb-worker/files/etc/motd", 1, "only here", "from file"},
		{hatches, "nodes/deb-worker/files/etc/muster/rendezvous/ca.crt", 1, "made from the secrets bundle\n", nothing},
		{hatches, "nodes/deb-cp/files/etc/muster/rendezvous/node.key", 0, "made from the secrets bundle  → lines 1-5\n", nothing},
		{hatches, "nodes/deb-worker/files/etc/muster/rendezvous/grant", 0, "made from the secrets bundle  → line 1\n", nothing},
		{"tutorial-centos7-docker", "nodes/k8s-node1/files/etc/docker/daemon.json", 1, "exists by", nothing},
		{"tutorial-centos7-docker", "nodes/k8s-node1/files/etc/hosts", 1, nothing, "every spec"},
	} {
		e, err := explain.Of(golden(t, c.spec), c.file, c.line)
		if err != nil {
			t.Error(err)
			continue
		}
		var out strings.Builder
		if err := explain.Print(&out, e, "out"); err != nil || !strings.Contains(out.String(), c.want) || strings.Contains(out.String(), c.absent) {
			t.Errorf("%v: want %q and not %q in\n%s", err, c.want, c.absent, out.String())
		}
	}
	in := golden(t, hatches)
	const conf = "nodes/deb-cp/files/etc/muster/node.conf"
	n := lineWith(t, in, conf, "NOT_BEFORE=")
	for _, line := range []int{n, n - 1} {
		e, err := explain.Of(in, conf, line)
		if err != nil || strings.Contains(fmt.Sprint(e.Notes), "secrets bundle") != (line == n) {
			t.Errorf("line %d: %v, notes %q", line, err, e.Notes)
		}
	}
}

// TestServed: what is served is told apart, the rendezvous from the network boot.
func TestServed(t *testing.T) {
	in := golden(t, "rendezvous-url")
	e, err := explain.Of(in, "rendezvous/rendezvous-arm64", 0)
	if err != nil {
		t.Fatal(err)
	}
	want := "[exists spec.rendezvous.delivery = url @ url exists spec.architecture = arm64 @ arm64]"
	if got := fmt.Sprint(summary(in, e)); got != want || len(e.Notes) != 1 || !strings.Contains(e.Notes[0], "the program that this gen carries") {
		t.Errorf("got %s, want %s; notes %q", got, want, e.Notes)
	}
	in = golden(t, "pxe")
	for _, f := range in.Tree {
		if !strings.HasPrefix(f.Path, "pxe/") {
			continue
		}
		e, err := explain.Of(in, f.Path, 0)
		if err != nil || len(e.Values) == 0 || e.Values[0].Where.Path != "spec.pxe.baseURL" {
			t.Errorf("%s: %v %+v", f.Path, err, e)
		}
	}
}

// TestEveryFile explains every file of a machine: none may fail or come from nowhere. That holds the search to the plan's
// real output, whatever that will be.
func TestEveryFile(t *testing.T) {
	in := golden(t, "kubeadm-v1beta4-nftables")
	explained := 0
	for _, f := range in.Tree {
		if !strings.HasPrefix(f.Path, "nodes/w1/") {
			continue
		}
		explained++
		e, err := explain.Of(in, f.Path, 0)
		if err != nil {
			t.Error(err)
			continue
		}
		if len(e.Values)+len(e.Existence)+len(e.Templates)+len(e.Carries) == 0 {
			t.Errorf("%s comes from nowhere", f.Path)
		}
		var out strings.Builder
		if err := explain.Print(&out, e, "out"); err != nil || strings.Count(out.String(), "\n") < 2 {
			t.Errorf("%s: %v, printed as %q", f.Path, err, out.String())
		}
	}
	if explained < 15 {
		t.Errorf("%d files explained", explained)
	}
}

// TestRefused: what cannot be explained is told with what was perhaps meant.
func TestRefused(t *testing.T) {
	in := golden(t, "tutorial-centos7-docker")
	for _, c := range []struct {
		file string
		line int
		want string
	}{
		{"nodes/k8s-node1/files/etc/hosst", 0, "did you mean nodes/k8s-node1/files/etc/hosts?"},
		{"nodes/k8s-nod1/files/etc/hosts", 0, "did you mean nodes/k8s-node1/files/etc/hosts?"},
		{"node.conf", 0, "did you mean nodes/k8s-master/files/etc/muster/node.conf?"},
		{"nothing/like/it", 0, "name one of the output folder"},
		{"nodes/k8s-node1/files/etc/hosts", 11, "has no line 11: it has 10"},
		{"nodes/k8s-node1/seed.iso", 1, "is an image"},
		{"manifest.json", 0, "gen's own list"},
	} {
		if _, err := explain.Of(in, c.file, c.line); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s:%d: %v, want %q", c.file, c.line, err, c.want)
		}
	}
}

// TestSecrets: nothing of a secret file or value is shown, in no form.
func TestSecrets(t *testing.T) {
	in := golden(t, "escape-hatches")
	const file, path = "nodes/deb-cp/files/etc/example/secret", "/etc/example/secret"
	for i := range in.Machines {
		for j := range in.Machines[i].Config.Files {
			if f := &in.Machines[i].Config.Files[j]; f.Path == path {
				f.Secret = true
			}
		}
	}
	e, err := explain.Of(in, file, 1)
	if err != nil {
		t.Fatal(err)
	}
	if e.Text != "" || !strings.Contains(fmt.Sprint(e.Notes), "secret") {
		t.Errorf("text %q, notes %v", e.Text, e.Notes)
	}
	for _, v := range e.Values {
		if v.Value != "" {
			t.Errorf("%s shows %q", v.Where.Path, v.Value)
		}
	}
	// A password is in user-data only, whose lines are packed.
	user, err := explain.Of(in, "nodes/deb-cp/user-data", 1)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := json.Marshal(user); err != nil || strings.Contains(string(text), "$6$") {
		t.Errorf("%v: a password hash is shown: %s", err, text)
	}
}

// TestHostileText: what a file or a value holds cannot command a terminal.
func TestHostileText(t *testing.T) {
	e := &explain.Explanation{File: "a\nb", Line: 1, Text: "\x1b]0;x\x07\u202e\u200b\u2028", Notes: []string{"\u2029\u00ad"}}
	var out strings.Builder
	if err := explain.Print(&out, e, "out"); err != nil {
		t.Fatal(err)
	}
	if want := `out/a\u000ab:1` + "\n    " + `\u001b]0;x\u0007\u202e\u200b\u2028` + "\nnote  " + `\u2029\u00ad` + "\n"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}
