package kube

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	for _, text := range []string{"v1.15.0", "v1.17.4", "v1.34.11", "v1.37.99"} {
		if v, err := Parse(text); err != nil || v.String() != text {
			t.Errorf("Parse(%q) = %v, %v", text, v, err)
		}
	}
	for text, want := range map[string]string{
		"": "vMAJOR.MINOR.PATCH", "1.17.4": "vMAJOR.MINOR.PATCH", "v1.17": "vMAJOR.MINOR.PATCH", "v1.34.4-rc.1": "vMAJOR.MINOR.PATCH",
		"v1.34.4\n": "vMAJOR.MINOR.PATCH", "v1.034.4": "vMAJOR.MINOR.PATCH", "v1.14.9": "v1.15 to v1.37", "v1.38.0": "v1.15 to v1.37", "v2.0.0": "v1.15 to v1.37", "v2.30.0": "v1.15 to v1.37", "v1.9999.0": "vMAJOR.MINOR.PATCH",
	} {
		if _, err := Parse(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Parse(%q) says %v, want %q in it", text, err, want)
		}
	}
}

// TestSpelled: what a text without v means, and nothing else.
func TestSpelled(t *testing.T) {
	for text, want := range map[string]string{
		"1.33.2": "v1.33.2", "V1.34.4": "v1.34.4", "v1.34.4": "v1.34.4", "1.34": "1.34", "1.99.0": "1.99.0", "x1.33.2": "x1.33.2", "": "",
	} {
		if got := Spelled(text); got != want {
			t.Errorf("Spelled(%q) = %q, want %q", text, got, want)
		}
	}
}

// TestAnswers is the matrix of the versions at which an answer changes.
func TestAnswers(t *testing.T) {
	for _, row := range []struct {
		version, api, socket, containerd, pause string
		lists, validates, shim, serverSide      bool
		noPods                                  bool
		taints                                  []string
	}{
		{"v1.15.0", "v1beta2", "/var/run/dockershim.sock", "/run/containerd/containerd.sock", "3.1", false, false, true, false, true, []string{"master"}},
		{"v1.17.4", "v1beta2", "/var/run/dockershim.sock", "/run/containerd/containerd.sock", "3.1", false, false, true, false, true, []string{"master"}},
		{"v1.21.0", "v1beta2", "/var/run/dockershim.sock", "/run/containerd/containerd.sock", "3.4.1", false, false, true, false, true, []string{"master"}},
		{"v1.22.17", "v1beta3", "/var/run/dockershim.sock", "/run/containerd/containerd.sock", "3.5", false, false, true, true, true, []string{"master"}},
		{"v1.23.0", "v1beta3", "/var/run/dockershim.sock", "/run/containerd/containerd.sock", "3.6", false, false, true, true, false, []string{"master"}},
		{"v1.24.0", "v1beta3", "unix:///var/run/cri-dockerd.sock", "unix:///run/containerd/containerd.sock", "3.7", false, false, false, true, false, []string{"control-plane", "master"}},
		{"v1.26.0", "v1beta3", "unix:///var/run/cri-dockerd.sock", "unix:///run/containerd/containerd.sock", "3.9", false, true, false, true, false, []string{"control-plane"}},
		{"v1.30.0", "v1beta3", "unix:///var/run/cri-dockerd.sock", "unix:///run/containerd/containerd.sock", "3.9", false, true, false, true, false, []string{"control-plane"}},
		{"v1.31.0", "v1beta4", "unix:///var/run/cri-dockerd.sock", "unix:///run/containerd/containerd.sock", "3.10", true, true, false, true, false, []string{"control-plane"}},
		{"v1.34.4", "v1beta4", "unix:///var/run/cri-dockerd.sock", "unix:///run/containerd/containerd.sock", "3.10.1", true, true, false, true, false, []string{"control-plane"}},
		{"v1.37.2", "v1beta4", "unix:///var/run/cri-dockerd.sock", "unix:///run/containerd/containerd.sock", "3.10.2", true, true, false, true, false, []string{"control-plane"}},
	} {
		v, err := Parse(row.version)
		if err != nil {
			t.Fatal(err)
		}
		for i := range row.taints {
			row.taints[i] = "node-role.kubernetes.io/" + row.taints[i]
		}
		for what, pair := range map[string][2]any{
			"ConfigAPI": {v.ConfigAPI(), "kubeadm.k8s.io/" + row.api}, "docker socket": {v.DefaultCRISocket("docker"), row.socket},
			"containerd socket": {v.DefaultCRISocket("containerd"), row.containerd}, "pause": {v.PauseImage("r"), "r/pause:" + row.pause},
			"ArgsAreLists": {v.ArgsAreLists(), row.lists}, "ValidatesConfig": {v.ValidatesConfig(), row.validates}, "HasDockershim": {v.HasDockershim(), row.shim},
			"AppliesServerSide": {v.AppliesServerSide(), row.serverSide}, "JoinRefusesStaticPods": {v.JoinRefusesStaticPods(), row.noPods},
		} {
			if pair[0] != pair[1] {
				t.Errorf("%s: %s is %v, want %v", v, what, pair[0], pair[1])
			}
		}
		if got := v.ControlPlaneTaints(); !slices.Equal(got, row.taints) {
			t.Errorf("%s: taints are %v, want %v", v, got, row.taints)
		}
	}
}

// TestDefaultImageRepository has both sides of each release at which the registry changed.
func TestDefaultImageRepository(t *testing.T) {
	const old, moved = "k8s.gcr.io", "registry.k8s.io"
	for version, want := range map[string]string{
		"v1.17.4": old, "v1.21.14": old, "v1.22.16": old, "v1.22.17": moved, "v1.23.0": old, "v1.23.14": old, "v1.23.15": moved, "v1.23.17": moved,
		"v1.24.8": old, "v1.24.9": moved, "v1.24.17": moved, "v1.25.0": moved, "v1.34.4": moved,
	} {
		v, err := Parse(version)
		if err != nil {
			t.Fatal(err)
		}
		if got := v.DefaultImageRepository(); got != want {
			t.Errorf("%s takes images from %s, want %s", v, got, want)
		}
	}
}

// TestPauseImage has the pause image of each minor version.
func TestPauseImage(t *testing.T) {
	tags := strings.Fields("3.1 3.1 3.1 3.2 3.2 3.2 3.4.1 3.5 3.6 3.7 3.8 3.9 3.9 3.9 3.9 3.9 3.10 3.10 3.10 3.10.1 3.10.1 3.10.2 3.10.2")
	if len(tags) != NewestMinor-OldestMinor+1 {
		t.Fatalf("there are %d minor versions and %d pause images", NewestMinor-OldestMinor+1, len(tags))
	}
	for i, tag := range tags {
		v := Version{Major: 1, Minor: OldestMinor + i}
		if got := v.PauseImage("r"); got != "r/pause:"+tag {
			t.Errorf("%s: the pause image is %s, want %s", v, got, tag)
		}
	}
}

// TestFlagRemovedIn has the last version with each flag and the first without it.
func TestFlagRemovedIn(t *testing.T) {
	removed := map[string]map[string]int{
		"kubelet": {
			"network-plugin": 24, "cni-bin-dir": 24, "cni-conf-dir": 24, "cni-cache-dir": 24, "network-plugin-mtu": 24, "docker-endpoint": 24,
			"image-pull-progress-deadline": 24, "dynamic-config-dir": 24, "container-runtime": 27, "cloud-config": 34, "pod-infra-container-image": 35,
		},
		"kube-apiserver":          {"address": 24, "insecure-bind-address": 24, "port": 24, "insecure-port": 24},
		"kube-controller-manager": {"address": 24, "port": 24, "pod-eviction-timeout": 27, "enable-taint-manager": 27},
		"kube-scheduler":          {"address": 24, "port": 24},
	}
	if diff := cmp.Diff(removed, removedFlags); diff != "" {
		t.Errorf("the flags differ (-tried +there):\n%s", diff)
	}
	for program, flags := range removed {
		for flag, minor := range flags {
			if _, gone := (Version{Major: 1, Minor: minor - 1}).FlagRemovedIn(program, flag); gone {
				t.Errorf("%s of 1.%d has no --%s", program, minor-1, flag)
			}
			if in, gone := (Version{Major: 1, Minor: minor}).FlagRemovedIn(program, flag); !gone || in != fmt.Sprintf("1.%d", minor) {
				t.Errorf("%s of 1.%d: --%s: removed %v in %s", program, minor, flag, gone, in)
			}
		}
	}
	for _, kept := range []struct{ program, flag string }{{"kubelet", "max-pods"}, {"kubelet", "port"}, {"etcd", "port"}} {
		if in, gone := (Version{Major: 1, Minor: NewestMinor}).FlagRemovedIn(kept.program, kept.flag); gone {
			t.Errorf("--%s of %s is removed in %s", kept.flag, kept.program, in)
		}
	}
}

// TestAnonymousConditions has the last version without and the first with them.
func TestAnonymousConditions(t *testing.T) {
	for minor, want := range map[int]bool{15: false, 31: false, 32: true, NewestMinor: true} {
		if got := (Version{Major: 1, Minor: minor}).AnonymousConditions(); got != want {
			t.Errorf("1.%d has conditions of anonymous requests: %v, want %v", minor, got, want)
		}
	}
}

func TestMinorOf(t *testing.T) {
	for text, want := range map[string]int{"1.17": 17, "1.36": 36, "1.14": 0, "x": 0, "v1.17": 0} {
		if got := MinorOf(text); got != want {
			t.Errorf("MinorOf(%q) = %d, want %d", text, got, want)
		}
	}
}

// TestBetween: both ends are in the range.
func TestBetween(t *testing.T) {
	for text, want := range map[string]bool{"v1.23.17": false, "v1.24.0": true, "v1.30.1": true, "v1.35.9": true, "v1.36.0": false} {
		v, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := v.Between(24, 35); got != want {
			t.Errorf("%s is between 1.24 and 1.35: %v, want %v", v, got, want)
		}
	}
}
