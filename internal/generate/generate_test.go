package generate

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"muster/internal/node"
	"muster/internal/outdir"
	"muster/internal/problem"
)

const head = `apiVersion: muster/v1
kind: Cluster
metadata: {name: k8s}
spec:
  profile: flatcar-containerd
  platform: openstack
  nodes:
    - name: cp1
      role: control-plane
      address: 10.0.0.1
`

// run writes a spec into a folder of its own and generates it.
func run(t *testing.T, text string) (*Result, []problem.Problem) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "cluster.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var problems problem.List
	result, err := FromFile(file, ForTests(), &problems)
	if err != nil {
		t.Fatal(err)
	}
	return result, problems.Sorted()
}

// TestLateProblemsStandAtTheLineOfTheSpec: what planning, an encoder, Butane or Ignition complains of is reported where a
// user can mend it.
func TestLateProblemsStandAtTheLineOfTheSpec(t *testing.T) {
	for name, c := range map[string]struct {
		more       string
		line       int
		path, says string
	}{
		"a file that is not there":     {"      files:\n        - path: /opt/x\n          source: ./missing\n", 13, "spec.nodes[0].files[0].source", "cannot be read"},
		"a profile that is not there":  {"    - name: w1\n      role: worker\n      profile: ./missing.yaml\n", 13, "spec.nodes[1].profile", "cannot be read"},
		"a path of muster's":           {"      files:\n        - {path: /etc/hosts, contents: mine}\n", 12, "spec.nodes[0].files[0]", "/etc/hosts"},
		"a mode that Butane refuses":   {"      files:\n        - {path: /opt/x, mode: \"0620\", contents: mine}\n", 12, "spec.nodes[0].files[0]", "mode"},
		"a file that is another one":   {"      files:\n        - path: /opt/x\n          source: ./cluster.yaml\n          sha256: \"" + strings.Repeat("0", 64) + "\"\n", 14, "spec.nodes[0].files[0].sha256", "has another digest"},
		"what cloud-init cannot carry": {"    - name: w1\n      role: worker\n      profile: debian12-containerd\n      files:\n        - {path: /home/x/y, contents: mine}\n", 15, "spec.nodes[1].files[0]", "/home"},
		"a document that is too large": {"    - name: w1\n      role: worker\n      platform: ec2\n      files:\n        - {path: /opt/x, contents: " + noise(40000) + "}\n", 13, "spec.nodes[1].platform", "ec2 takes 16384"},
	} {
		t.Run(name, func(t *testing.T) {
			_, problems := run(t, head+c.more)
			if len(problems) != 1 {
				t.Fatalf("%d problems, want one: %v", len(problems), problems)
			}
			if p := problems[0]; p.Line != c.line || !strings.HasPrefix(p.Path, c.path) || !strings.Contains(p.String(), c.says) {
				t.Errorf("got %v\nwant line %d, path %s, and %q", p, c.line, c.path, c.says)
			}
		})
	}
}

// TestEveryProblemAtOnce: what the files beside the spec and its units show is told beside what the rules find in the spec, each once.
func TestEveryProblemAtOnce(t *testing.T) {
	folder := t.TempDir()
	text := head + `  system: {timezone: Mars/Phobos, modules: [a/b]}
  cni: {manifests: [./missing.yaml, ./page.yaml]}
  files: [{path: /opt/x, source: ./missing}, {path: /opt/y, source: ./page.yaml, sha256: "` + strings.Repeat("0", 64) + `"}]
  units: [{name: x.service, enabled: true, contents: "[Service]\nExecStart=/bin/true\n"}]
`
	for name, text := range map[string]string{"cluster.yaml": text, "page.yaml": "404 Not Found\n"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var problems problem.List
	if _, err := FromFile(filepath.Join(folder, "cluster.yaml"), ForTests(), &problems); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range problems.Sorted() {
		if p.Severity == problem.Error {
			got = append(got, strings.TrimPrefix(p.File, folder+"/")+" "+p.Path)
		}
	}
	want := []string{"cluster.yaml spec.system.timezone", "cluster.yaml spec.system.modules[0]", "cluster.yaml spec.cni.manifests[0]",
		"cluster.yaml spec.files[0].source", "cluster.yaml spec.files[1].sha256", "cluster.yaml spec.units[0].contents", "page.yaml "}
	if !slices.Equal(got, want) {
		t.Errorf("problems are\n%s, want\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestReadNeedsNoFiles: who only asks the cluster has a spec whose files may be elsewhere.
func TestReadNeedsNoFiles(t *testing.T) {
	file := filepath.Join(t.TempDir(), "cluster.yaml")
	if err := os.WriteFile(file, []byte(head+"  files: [{path: /opt/x, source: ./missing}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var problems problem.List
	if _, err := Read(file, &problems); err != nil || problems.Failed() {
		t.Errorf("%v %v", err, problems.Sorted())
	}
}

// delivery is how control planes get a program that no document holds.
const delivery = `{delivery: url, url: "https://files.example.com/rendezvous"}`

const small = `apiVersion: muster/v1
kind: Cluster
metadata: {name: k8s}
spec:
  profile: debian12-containerd
  platform: ec2
  rendezvous: ` + delivery + `
  users: [{name: admin, sshAuthorizedKeys: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB8Ht8Z3j6yDWPBHQtOp/R9rjWvfMYo3MSA/K6q8D86r admin@example.com]}]
  nodes: [{name: cp1, role: control-plane, address: 10.0.0.1}]
`

// TestNetworkOfAProfile: what a profile's cloud-init loses of a network is refused where it stands, and only there.
func TestNetworkOfAProfile(t *testing.T) {
	const node = "  nodes: [{name: cp1, role: control-plane, address: 10.0.0.1}]\n"
	const gateway, none = "interface: eth1, prefixLength: 24, gateway: 10.0.0.254", "interface: eth1, prefixLength: 24"
	for name, c := range map[string]struct{ network, path, says string }{
		"a further card":               {gateway + ", ethernets: {eth0: {addresses: [10.1.0.1/24]}}", "", ""},
		"DHCP for the way out":         {none + ", ethernets: {eth0: {dhcp4: true}}", "", ""},
		"DHCP beside a gateway":        {gateway + ", ethernets: {eth0: {dhcp4: true}}", "", ""},
		"DHCP beside nameservers":      {gateway + ", nameservers: [10.0.0.53], ethernets: {eth0: {dhcp4: true}}", "spec.network.ethernets.eth0", "write addresses in place of dhcp4"},
		"DHCP beside DHCP":             {"interface: eth1, ethernets: {eth0: {dhcp4: true}}", "spec.network.ethernets.eth0", "write addresses in place of dhcp4"},
		"a card that may be missing":   {none + ", ethernets: {eth0: {dhcp4: true, optional: true}}", "spec.network.ethernets.eth0", "leave optional out"},
		"a metric":                     {gateway + ", routes: [{to: 10.2.0.0/16, via: 10.0.0.3, metric: 5}]", "spec.network.routes[0].metric", "leave the metric out"},
		"a second default route":       {gateway + ", routes: [{to: default, via: 10.0.0.3, metric: 5}]", "spec.network.routes[0].metric", "leave the route out"},
		"a next hop somewhere else":    {gateway + ", routes: [{to: 10.2.0.0/16, via: 172.31.1.1, on-link: true}]", "spec.network.routes[0].on-link", "network of 172.31.1.1"},
		"a next hop beyond a card":     {gateway + ", ethernets: {eth0: {addresses: [10.1.0.1/24], routes: [{to: 10.2.0.0/16, via: 172.31.1.1, on-link: true}]}}", "spec.network.ethernets.eth0.routes[0].on-link", "network of 172.31.1.1"},
		"a next hop in the network":    {gateway + ", routes: [{to: 10.2.0.0/16, via: 10.0.0.3}]", "", ""},
		"the metric of a card's route": {gateway + ", ethernets: {eth0: {addresses: [10.1.0.1/24], routes: [{to: 10.2.0.0/16, via: 10.1.0.3, metric: 5}]}}", "spec.network.ethernets.eth0.routes[0].metric", "leave the metric out"},
	} {
		for _, profile := range []string{"centos7-docker", "debian12-containerd", "flatcar-containerd"} {
			_, problems := run(t, "apiVersion: muster/v1\nkind: Cluster\nmetadata: {name: k8s}\nspec:\n  profile: "+profile+"\n  network: {"+c.network+"}\n"+node)
			problems = slices.DeleteFunc(problems, func(p problem.Problem) bool { return p.Severity != problem.Error })
			refused := c.says != "" && profile == "centos7-docker"
			switch {
			case !refused && len(problems) > 0:
				t.Errorf("%s, %s: problems are %v", name, profile, problems)
			case refused && (len(problems) != 1 || problems[0].Path != c.path || !strings.Contains(problems[0].String(), c.says)):
				t.Errorf("%s, %s: problems are %v, want one at %s with %q", name, profile, problems, c.path, c.says)
			}
		}
	}
}

// TestProgramByURL: without a digest control planes are told that of the program that gen writes, and another one is refused
// with the digest to write.
func TestProgramByURL(t *testing.T) {
	packed, err := ForTests().Program("amd64")
	if err != nil {
		t.Fatal(err)
	}
	program, err := gunzip(node.Program{Gzip: packed})
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(program)
	digest := hex.EncodeToString(sum[:])
	for name, c := range map[string]struct{ digest, instead string }{
		"none":    {"", ""},
		"right":   {digest, ""},
		"another": {strings.Repeat("0", 64), "write " + digest + " or leave it out, and serve rendezvous/rendezvous-amd64 of the output folder"},
	} {
		text := small
		if c.digest != "" {
			text = strings.Replace(small, delivery, strings.TrimSuffix(delivery, "}")+", sha256: \""+c.digest+"\"}", 1)
		}
		result, problems := run(t, text)
		problems = slices.DeleteFunc(problems, func(p problem.Problem) bool { return p.Severity == problem.Notice })
		switch {
		case c.instead != "":
			if len(problems) != 1 || problems[0].Severity != problem.Error || problems[0].Path != "spec.rendezvous.sha256" || problems[0].Instead != c.instead {
				t.Errorf("%s: problems are %v", name, problems)
			}
		case len(problems) > 0:
			t.Errorf("%s: problems are %v", name, problems)
		default:
			for path, says := range map[string]string{"nodes/cp1/files/etc/muster/node.conf": "\nRENDEZVOUS_SHA256=" + digest + "\n", "rendezvous/rendezvous-amd64": string(program)} {
				i := slices.IndexFunc(result.Tree, func(f outdir.File) bool { return f.Path == path })
				if i < 0 || !strings.Contains(string(result.Tree[i].Bytes()), says) {
					t.Errorf("%s: %s does not have %q", name, path, says)
				}
			}
		}
	}
}

// TestPlatformsTakeDocuments: a control plane fits into the user data of EC2 as bare gzip, and of others as text. Where it
// does not, the advice is what can be done.
func TestPlatformsTakeDocuments(t *testing.T) {
	const gzip, message = "\x1f\x8b", "MIME-Version: 1.0\nContent-Type: application/gzip\n"
	const elsewhere = "write platform: none, and give ec2 user data that fetches the document from a URL which nobody else can read "
	files := "files: [{path: /opt/x, contents: " + noise(20000) + "}]\n  nodes:"
	for name, c := range map[string]struct{ old, new, begins, instead string }{
		"ec2":                      {"", "", gzip, ""},
		"openstack":                {"ec2", "openstack", message, ""},
		"ec2, Ignition":            {"debian12", "flatcar", "", "nothing in it can be left out: " + elsewhere + "(ignition.config.replace)"},
		"ec2, with a file":         {"nodes:", files, "", "move large files to a URL (files[].source with sha256); or " + elsewhere + "(#include)"},
		"ec2, with the rendezvous": {delivery, "{delivery: embed}", "", "let control planes fetch the rendezvous (rendezvous: {delivery: url, url: \"https://files.example.com/rendezvous-amd64\"}, where you serve rendezvous/rendezvous-amd64 of the output folder); or " + elsewhere + "(#include)"},
	} {
		result, problems := run(t, strings.Replace(small, c.old, c.new, 1))
		problems = slices.DeleteFunc(problems, func(p problem.Problem) bool { return p.Severity != problem.Error })
		switch {
		case c.instead != "":
			if len(problems) != 1 || problems[0].Path != "spec.platform" || problems[0].Instead != c.instead {
				t.Errorf("%s: problems are %v, want one that says\n%s", name, problems, c.instead)
			}
		case len(problems) > 0:
			t.Errorf("%s: problems are %v", name, problems)
		default:
			i := slices.IndexFunc(result.Tree, func(f outdir.File) bool { return f.Path == "nodes/cp1/user-data" })
			if data := result.Tree[i].Bytes(); !strings.HasPrefix(string(data), c.begins) {
				t.Errorf("%s: user-data begins with %q", name, data[:60])
			}
		}
	}
}

// TestTooLargeForOnePlatform: documents that are too large at one platform's line are one problem, which names some of them.
func TestTooLargeForOnePlatform(t *testing.T) {
	more := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "{name: cp%d, role: control-plane, address: 10.0.0.%d}, ", i+2, i+2)
		}
		return b.String()
	}
	for n, want := range map[int]string{
		0: "the document of cp1 has ",
		2: "the documents of cp1, cp2 and cp3 have up to ",
		6: "the documents of cp1, cp2, cp3, cp4, cp5 and 2 more have up to ",
	} {
		text := strings.NewReplacer(delivery, "{delivery: embed}", "nodes: [{name: cp1, role: control-plane, address: 10.0.0.1}", "nodes: [{name: cp1, role: control-plane, address: 10.0.0.1}, "+more(n)).Replace(small)
		_, problems := run(t, text)
		problems = slices.DeleteFunc(problems, func(p problem.Problem) bool { return p.Severity != problem.Error })
		if len(problems) != 1 || !strings.HasPrefix(problems[0].Message, want) {
			t.Errorf("problems are %v, want one that begins with %q", problems, want)
		}
	}
}

// noise is text that compression makes little of.
func noise(n int) string {
	var b strings.Builder
	x := uint32(1)
	for range n {
		x = x*1664525 + 1013904223
		b.WriteByte("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"[x>>26])
	}
	return b.String()
}

func TestSpecIn(t *testing.T) {
	dir := t.TempDir()
	r := &Result{Sources: map[string][]byte{filepath.Join(dir, "a/cluster.yaml"): nil}}
	for folder, want := range map[string]bool{"a": true, ".": true, "b": false, "a/out": false} {
		if got := r.SpecIn(filepath.Join(dir, folder)); got != want {
			t.Errorf("SpecIn(%s) = %v, want %v", folder, got, want)
		}
	}
}
