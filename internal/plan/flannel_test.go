package plan

import (
	"testing"

	"muster/internal/spec"
)

// TestImagesOfFlannel has both sides of the releases at which flannel's images moved.
func TestImagesOfFlannel(t *testing.T) {
	const rancher, hub, github = "docker.io/rancher/mirrored-flannelcni-flannel", "docker.io/flannel/flannel", "ghcr.io/flannel-io/flannel"
	for version, want := range map[string]flannelImage{
		"v0.20.2": {rancher + ":v0.20.2", rancher + "-cni-plugin:v1.1.0"},
		"v0.21.0": {hub + ":v0.21.0", hub + "-cni-plugin:v1.1.2"},
		"v0.26.7": {hub + ":v0.26.7", hub + "-cni-plugin:v1.1.2"},
		"v0.27.0": {github + ":v0.27.0", github + "-cni-plugin:v1.8.0-flannel1"},
	} {
		f := spec.Flannel{Version: spec.Value[string]{V: version, Set: true}}
		if got := flannelImages(f); got != want {
			t.Errorf("the images of %s are %v, want %v", version, got, want)
		}
	}
}
