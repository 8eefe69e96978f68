package plan

import (
	"path"
	"strings"
	"testing"

	"muster/internal/spec"
	"muster/profiles"
)

// TestUncheckedPackages: with gpgCheck: false no key is fetched and none is named, by apt and by yum.
func TestUncheckedPackages(t *testing.T) {
	for profile, c := range map[string]struct{ file, checked, unchecked string }{
		"debian12-containerd": {"/etc/apt/sources.list.d/kubernetes.list", "deb [signed-by=/etc/apt/keyrings/muster-kubernetes-0.asc] https://", "deb [trusted=yes] https://"},
		"centos7-docker": {"/etc/yum.repos.d/kubernetes.repo", "\ngpgcheck=1\ngpgkey=file:///etc/pki/rpm-gpg/muster-kubernetes-0.asc file:///etc/pki/rpm-gpg/muster-kubernetes-1.asc\n",
			"\nrepo_gpgcheck=0\ngpgcheck=0\nexclude="},
	} {
		for check, want := range map[string]string{"true": c.checked, "false": c.unchecked} {
			machines, problems := planned(t, strings.Replace(small, "debian12-containerd", profile, 1)+"  packages: {gpgCheck: "+check+"}\n")
			if len(problems) > 0 {
				t.Fatalf("%s: problems are %v", profile, problems)
			}
			if got := contentsOf(t, machines[0], c.file); !strings.Contains(got, want) {
				t.Errorf("%s, gpgCheck %s: want %q in\n%s", profile, check, want, got)
			}
			if keys := strings.Contains(contentsOf(t, machines[0], ConfFile), "\nKEY_URLS=("); keys != (check == "true") {
				t.Errorf("%s, gpgCheck %s: keys are fetched: %v", profile, check, keys)
			}
		}
	}
}

// TestComponentsOfAProfilesSource: a source of a suite has components in its line.
func TestComponentsOfAProfilesSource(t *testing.T) {
	machines, _ := planned(t, small, func(p *profiles.Profile) {
		r := &p.Packages.Repositories.Items[0]
		r.Suite.V = "bookworm"
		r.Components.Items = []spec.Value[string]{{V: "main", Set: true}, {V: "contrib", Set: true}}
	})
	if got, want := contentsOf(t, machines[0], "/etc/apt/sources.list.d/kubernetes.list"), " https://pkgs.k8s.io/core:/stable:/v1.34/deb/ bookworm main contrib\n"; !strings.HasSuffix(got, want) {
		t.Errorf("the source is %q, want %q at its end", got, want)
	}
}

// TestRepositories: the spec's sources are added to the profile's, take the place of one, or of all.
func TestRepositories(t *testing.T) {
	source := func(name string) string {
		return "{name: " + name + ", baseURL: \"https://example.com/" + name + "/\", gpgKeys: [{url: \"https://example.com/key\", fingerprint: DE15B14486CD377B9E876E1A234654DA9A296436}]}"
	}
	for name, c := range map[string]struct {
		profile, cluster, node string
		want                   []string
	}{
		"none":                      {"debian12-containerd", "{}", "{}", []string{"kubernetes: pkgs.k8s.io"}},
		"one more":                  {"debian12-containerd", "{repositories: [" + source("nvidia") + "]}", "{}", []string{"kubernetes: pkgs.k8s.io", "nvidia: example.com"}},
		"one more, said so":         {"debian12-containerd", "{source: profile, repositories: [" + source("nvidia") + "]}", "{}", []string{"kubernetes: pkgs.k8s.io", "nvidia: example.com"}},
		"one more for a node":       {"debian12-containerd", "{source: profile}", "{repositories: [" + source("nvidia") + "]}", []string{"kubernetes: pkgs.k8s.io", "nvidia: example.com"}},
		"another of one":            {"debian12-containerd", "{repositories: [" + source("kubernetes") + "]}", "{}", []string{"kubernetes: example.com"}},
		"all":                       {"debian12-containerd", "{source: repositories, repositories: [" + source("mirror") + "]}", "{}", []string{"mirror: example.com"}},
		"a node with the profile's": {"debian12-containerd", "{source: repositories, repositories: [" + source("mirror") + "]}", "{source: profile}", []string{"kubernetes: pkgs.k8s.io"}},
		"a node without the more":   {"debian12-containerd", "{repositories: [" + source("nvidia") + "]}", "{source: profile}", []string{"kubernetes: pkgs.k8s.io"}},
		"yum, one more":             {"centos7-docker", "{repositories: [" + source("nvidia") + "]}", "{}", []string{"CentOS-Base: ", "docker-ce: ", "kubernetes: ", "nvidia: example.com"}},
		"yum, another of a file":    {"centos7-docker", "{repositories: [" + source("CentOS-Base") + "]}", "{}", []string{"docker-ce: ", "kubernetes: ", "CentOS-Base: example.com"}},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(small, "profile: debian12-containerd\n", "profile: "+c.profile+"\n  packages: "+c.cluster+"\n", 1)
			machines, problems := planned(t, text+"      packages: "+c.node+"\n")
			if len(problems) > 0 {
				t.Fatalf("problems are %v", problems)
			}
			var got []string
			for _, f := range machines[0].Config.Files {
				if file := strings.TrimSuffix(strings.TrimSuffix(path.Base(f.Path), ".list"), ".repo"); file != path.Base(f.Path) {
					got = append(got, file+": "+string(f.Contents))
				}
			}
			if len(got) != len(c.want) {
				t.Fatalf("sources are %q, want %q", got, c.want)
			}
			for i, want := range c.want {
				file, host, _ := strings.Cut(want, ": ")
				if !strings.HasPrefix(got[i], file+": ") || !strings.Contains(got[i], host) {
					t.Errorf("source %d is %q, want %q", i, got[i], want)
				}
			}
		})
	}
}

// TestArchitectureWithoutPackages: an architecture that a profile's sources lack is refused, however many machines have it, unless
// nothing is installed from them.
func TestArchitectureWithoutPackages(t *testing.T) {
	const small = small + "    - {name: w1, role: worker}\n  architecture: arm64\n"
	const refused = "cluster.yaml:11:17: spec.architecture: the sources of profile centos7-docker have no packages for arm64; choose another profile, or write packages: {source: repositories} with repositories that have them"
	for _, c := range []struct{ profile, more, want string }{
		{"centos7-docker", "", refused}, {"debian12-containerd", "", ""}, {"centos7-docker", "packages: {preinstalled: true}", ""},
		{"centos7-docker", "packages: {source: repositories, repositories: [{name: all, baseURL: \"https://mirror.example.com/aarch64\", gpgKeys: []}]}", ""},
	} {
		_, problems := planned(t, strings.Replace(small, "debian12-containerd", c.profile, 1)+"  "+c.more+"\n")
		var got []string
		for _, p := range problems {
			got = append(got, p.String())
		}
		if strings.Join(got, "\n") != c.want {
			t.Errorf("%v: problems are %v", c, got)
		}
	}
}

// TestPreinstalled: an image that holds everything has no sources, keys, packages and programs to fetch, also of a
// version that the profile has no digests of.
func TestPreinstalled(t *testing.T) {
	for _, row := range []struct {
		profile, more string
		installs      bool
	}{
		{"debian12-containerd", "", true}, {"centos7-docker", "", true}, {"flatcar-containerd", "", true},
		{"debian12-containerd", "packages: {preinstalled: true}", false}, {"centos7-docker", "packages: {preinstalled: true}", false},
		{"flatcar-containerd", "packages: {preinstalled: true}", false},
		{"flatcar-containerd", "packages: {preinstalled: true}\n  kubernetes: {version: v1.34.0}", false},
	} {
		machines, problems := planned(t, strings.Replace(small, "debian12-containerd", row.profile, 1)+"  "+row.more+"\n")
		if len(problems) > 0 {
			t.Fatalf("%v: problems are %v", row, problems)
		}
		conf := contentsOf(t, machines[0], ConfFile)
		found := strings.Contains(conf, "\nKEY_") || strings.Contains(conf, "\nPACKAGES_") || strings.Contains(conf, "\nBINARY_")
		for _, f := range machines[0].Config.Files {
			found = found || strings.HasPrefix(f.Path, "/etc/apt/") || strings.HasPrefix(f.Path, "/etc/yum.repos.d/")
		}
		if found != row.installs {
			t.Errorf("%v: something is installed: %v\n%s", row, found, conf)
		}
	}
}
