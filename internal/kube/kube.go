// Package kube owns what each Kubernetes version needs. Every difference between versions is a named question here, so
// that no other package compares versions; the answers come from the sources of the releases named beside them.
package kube

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Version is a release of Kubernetes.
type Version struct {
	Major, Minor, Patch int
}

// The minor versions that muster knows: before 1.15 kubeadm has another configuration, and what comes after 1.37 has
// not been looked at.
const (
	OldestMinor = 15
	NewestMinor = 37
)

// versionPattern takes no leading zeros: v1.34.04 is not a release, and would be written as another text than the
// spec's.
var versionPattern = regexp.MustCompile(`^v(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})$`)

// Parse reads vMAJOR.MINOR.PATCH. The error says what to write instead.
func Parse(text string) (Version, error) {
	m := versionPattern.FindStringSubmatch(text)
	if m == nil {
		return Version{}, fmt.Errorf("%q is no version: write it as vMAJOR.MINOR.PATCH, such as v1.34.4", text)
	}
	var v Version
	for i, part := range []*int{&v.Major, &v.Minor, &v.Patch} {
		*part, _ = strconv.Atoi(m[i+1]) // three digits at most
	}
	if v.Major != 1 || v.Minor < OldestMinor || v.Minor > NewestMinor {
		return v, fmt.Errorf("%s is not known: this muster knows v1.%d to v1.%d", text, OldestMinor, NewestMinor)
	}
	return v, nil
}

// Spelled is a version as Parse reads it, where a text only lacks the v or has it as a capital; else the text itself.
func Spelled(text string) string {
	spelled := "v" + strings.TrimLeft(text, "vV")
	if _, err := Parse(spelled); err != nil {
		return text
	}
	return spelled
}

// String is the version with its v, as kubeadm's configuration has it.
func (v Version) String() string { return "v" + v.Number() }

// Number is the version without the v, as packages have it.
func (v Version) Number() string { return fmt.Sprintf("%d.%d.%d", v.Major, v.Minor, v.Patch) }

// MinorNumber is MAJOR.MINOR.
func (v Version) MinorNumber() string { return fmt.Sprintf("%d.%d", v.Major, v.Minor) }

func (v Version) atLeast(minor int) bool { return v.Minor >= minor }

// Between reports whether the minor version is in a range that includes both its ends.
func (v Version) Between(first, last int) bool { return v.Minor >= first && v.Minor <= last }

// ConfigAPI is the newest kubeadm configuration API that the version reads and that this muster writes: v1beta2 from
// 1.15, v1beta3 from 1.22, v1beta4 from 1.31 (1.37 refuses v1beta3).
func (v Version) ConfigAPI() string {
	switch {
	case v.atLeast(31):
		return "kubeadm.k8s.io/v1beta4"
	case v.atLeast(22):
		return "kubeadm.k8s.io/v1beta3"
	default:
		return "kubeadm.k8s.io/v1beta2"
	}
}

// ArgsAreLists reports whether extraArgs are lists of name and value (v1beta4) instead of maps.
func (v Version) ArgsAreLists() bool { return v.atLeast(31) }

// DryRunInConfig reports whether InitConfiguration and JoinConfiguration have dryRun; before that it is a flag.
func (v Version) DryRunInConfig() bool { return v.atLeast(31) }

// ImagePullPolicyInConfig reports whether nodeRegistration has imagePullPolicy (v1beta3).
func (v Version) ImagePullPolicyInConfig() bool { return v.atLeast(22) }

// JoinRefusesStaticPods reports whether kubeadm join ends where a manifest lies in /etc/kubernetes/manifests; kubeadm
// init never did (kubernetes pull request 104942).
func (v Version) JoinRefusesStaticPods() bool { return !v.atLeast(23) }

// ValidatesConfig reports whether kubeadm has "config validate".
func (v Version) ValidatesConfig() bool { return v.atLeast(26) }

// DefaultCRISocket is the socket of a runtime ("docker" or "containerd"). Docker's own ended with 1.23.
func (v Version) DefaultCRISocket(runtime string) string {
	switch {
	case runtime != "docker" && v.atLeast(24):
		return "unix:///run/containerd/containerd.sock"
	case runtime != "docker":
		return "/run/containerd/containerd.sock"
	case v.atLeast(24):
		return "unix:///var/run/cri-dockerd.sock"
	default:
		return "/var/run/dockershim.sock"
	}
}

// movedRegistry are the first releases of older minor versions whose kubeadm takes images from registry.k8s.io: the
// change of 1.25 came to those that were still supported (kubernetes pull requests 113388, 113393 and 113395).
var movedRegistry = map[int]int{22: 17, 23: 15, 24: 9}

// DefaultImageRepository is where kubeadm of the version takes images from.
func (v Version) DefaultImageRepository() string {
	patch, moved := movedRegistry[v.Minor]
	if v.atLeast(25) || moved && v.Patch >= patch {
		return "registry.k8s.io"
	}
	return "k8s.gcr.io"
}

// pauseVersions are the pause images by the minor version that brought them (PauseVersion of kubeadm's constants).
var pauseVersions = []struct {
	minor int
	tag   string
}{{36, "3.10.2"}, {34, "3.10.1"}, {31, "3.10"}, {26, "3.9"}, {25, "3.8"}, {24, "3.7"}, {23, "3.6"}, {22, "3.5"}, {21, "3.4.1"}, {18, "3.2"}, {15, "3.1"}}

// PauseImage is the sandbox image from a repository; the runtime has to name the same one as kubeadm.
func (v Version) PauseImage(repository string) string {
	i := slices.IndexFunc(pauseVersions, func(p struct {
		minor int
		tag   string
	}) bool {
		return v.atLeast(p.minor)
	})
	return repository + "/pause:" + pauseVersions[i].tag
}

// KubeletFlagSetsCgroupDriver reports whether the kubelet's --cgroup-driver is the usual way: from 1.24 on the flag is
// only left over, and KubeletConfiguration alone sets the driver.
func (v Version) KubeletFlagSetsCgroupDriver() bool { return !v.atLeast(24) }

// KubeletNeedsNetworkPluginFlag reports whether the kubelet has to be told to use CNI (dockershim, before 1.24);
// kubeadm writes the flag itself.
func (v Version) KubeletNeedsNetworkPluginFlag() bool { return !v.atLeast(24) }

// removedFlags are flags that a program refuses to start with, by the minor version that removed them (the changelogs of
// 1.24, 1.27, 1.34 and 1.35).
var removedFlags = map[string]map[string]int{
	"kubelet": {
		"network-plugin": 24, "cni-bin-dir": 24, "cni-conf-dir": 24, "cni-cache-dir": 24, "network-plugin-mtu": 24, "docker-endpoint": 24,
		"image-pull-progress-deadline": 24, "dynamic-config-dir": 24, "container-runtime": 27, "cloud-config": 34, "pod-infra-container-image": 35,
	},
	"kube-apiserver":          {"address": 24, "insecure-bind-address": 24, "port": 24, "insecure-port": 24},
	"kube-controller-manager": {"address": 24, "port": 24, "pod-eviction-timeout": 27, "enable-taint-manager": 27},
	"kube-scheduler":          {"address": 24, "port": 24},
}

// FlagRemovedIn tells in which minor version a program's flag was removed, if this version no longer has it.
func (v Version) FlagRemovedIn(program, flag string) (minor string, removed bool) {
	in, known := removedFlags[program][flag]
	return fmt.Sprintf("1.%d", in), known && v.atLeast(in)
}

// AnonymousConditions reports whether an AuthenticationConfiguration may say which paths of the API server are answered
// without credentials, without a feature gate (1.32).
func (v Version) AnonymousConditions() bool { return v.atLeast(32) }

// ControlPlaneTaints are the taint keys that kubeadm sets on control planes.
func (v Version) ControlPlaneTaints() []string {
	switch {
	case v.atLeast(25):
		return []string{"node-role.kubernetes.io/control-plane"}
	case v.atLeast(24):
		return []string{"node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master"}
	default:
		return []string{"node-role.kubernetes.io/master"}
	}
}

// HasProxyMode reports whether kube-proxy knows a mode: nftables is on without a feature gate from 1.31.
func (v Version) HasProxyMode(mode string) bool { return mode != "nftables" || v.atLeast(31) }

// IPVSDeprecated reports whether kube-proxy warns of ipvs mode (1.35).
func (v Version) IPVSDeprecated() bool { return v.atLeast(35) }

// RefusesCgroupV1 reports whether the kubelet does not start on cgroup v1 unless it is told to (1.35).
func (v Version) RefusesCgroupV1() bool { return v.atLeast(35) }

// HasDockershim reports whether the kubelet talks to Docker without a program between them (up to 1.23).
func (v Version) HasDockershim() bool { return !v.atLeast(24) }

// FailCgroupV1InConfig reports whether KubeletConfiguration has failCgroupV1 (1.31).
func (v Version) FailCgroupV1InConfig() bool { return v.atLeast(31) }

// AppliesServerSide reports whether the API server applies manifests, of any size: kubectl's own apply keeps a copy of
// each object in an annotation, for which large CRDs have no room. It is stable from 1.22; before 1.20 it refuses ports
// without a protocol.
func (v Version) AppliesServerSide() bool { return v.atLeast(22) }

// LearnerMode reports whether a further control plane joins etcd as a learner, so that a cut join costs no quorum: on
// by default from 1.29.
func (v Version) LearnerMode() bool { return v.atLeast(29) }

// featureGates are kubeadm's own feature gates, with the first minor version that takes them and the first that no
// longer does; 0 where all do (cmd/kubeadm/app/features of the releases from 1.15 to 1.37). CoreDNS, which 1.15 to 1.17
// name, is deprecated there, and up to 1.27 kubeadm refuses a deprecated gate.
var featureGates = map[string]struct{ since, gone int }{
	"ControlPlaneKubeletLocalMode":     {31, 36},
	"EtcdLearnerMode":                  {27, 33},
	"IPv6DualStack":                    {16, 24},
	"NodeLocalCRISocket":               {32, 37},
	"PublicKeysECDSA":                  {18, 37},
	"RootlessControlPlane":             {22, 0},
	"UnversionedKubeletConfigMap":      {23, 26},
	"UpgradeAddonsBeforeControlPlane":  {28, 31},
	"WaitForAllControlPlaneComponents": {30, 35},
}

// IsFeatureGate reports whether kubeadm of any version has a feature gate of this name.
func IsFeatureGate(name string) bool {
	_, known := featureGates[name]
	return known
}

// FeatureGates are the feature gates that kubeadm takes, sorted.
func (v Version) FeatureGates() []string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(featureGates)) {
		if of := featureGates[name]; v.atLeast(of.since) && (of.gone == 0 || !v.atLeast(of.gone)) {
			all = append(all, name)
		}
	}
	return all
}

// AwaitsFeatureGate reports whether only later versions have a feature gate.
func (v Version) AwaitsFeatureGate(name string) bool { return !v.atLeast(featureGates[name].since) }

// MinorOf is the minor of a version written as MAJOR.MINOR; 0 for anything else.
func MinorOf(text string) int {
	v, err := Parse("v" + text + ".0")
	if err != nil {
		return 0
	}
	return v.Minor
}
