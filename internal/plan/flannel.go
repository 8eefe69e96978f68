package plan

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"muster/internal/spec"
)

// flannelImage is where flannel's two images come from.
type flannelImage struct{ flannel, plugin string }

// flannelImages follow the project's move from Docker Hub to GitHub's registry; the plugin's version is the one that
// the release's manifest names.
func flannelImages(f spec.Flannel) flannelImage {
	image := flannelImage{"docker.io/rancher/mirrored-flannelcni-flannel", "docker.io/rancher/mirrored-flannelcni-flannel-cni-plugin:v1.1.0"}
	switch minor := flannelMinor(f.Version.V); {
	case minor >= 27:
		image = flannelImage{"ghcr.io/flannel-io/flannel", "ghcr.io/flannel-io/flannel-cni-plugin:v1.8.0-flannel1"}
	case minor >= 21:
		image = flannelImage{"docker.io/flannel/flannel", "docker.io/flannel/flannel-cni-plugin:v1.1.2"}
	}
	return flannelImage{
		flannel: cmp.Or(f.Image.V, image.flannel) + ":" + f.Version.V,
		plugin:  cmp.Or(f.CNIPluginImage.V, image.plugin),
	}
}

// flannelMinor is the MINOR of v0.MINOR.PATCH, which the validator demands.
func flannelMinor(version string) int {
	parts := strings.SplitN(version, ".", 3)
	if len(parts) < 2 {
		return 0
	}
	minor, _ := strconv.Atoi(parts[1])
	return minor
}

// interfacesDiffer reports whether the nodes' network interfaces have more than one name: flannel's DaemonSet is the
// same on all machines, and can name an interface only where all agree.
func (m *machine) interfacesDiffer() bool {
	for _, t := range m.targets {
		if linkName(t) != linkName(m.Target) {
			return true
		}
	}
	return false
}

// furtherCards reports whether a node has further cards, one of which may have the default route, by which flannel goes
// otherwise.
func (m *machine) furtherCards() bool {
	return slices.ContainsFunc(m.targets, func(t spec.Target) bool { return t.Node != nil && len(t.Network.Ethernets.Entries) > 0 })
}
