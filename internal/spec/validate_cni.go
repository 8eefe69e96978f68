package spec

import (
	"regexp"
	"strings"

	"muster/internal/decode"
	"muster/internal/problem"
)

var cniClusterRules = []func(*validator){ruleOneCNI, ruleFlannelVersion, ruleFlannelImage, ruleFlannelPluginImage, ruleManifests, ruleManifestRead}

// Rule: no two pod networks are chosen; where none is, it is flannel.
func ruleOneCNI(v *validator) {
	c := v.Spec.CNI
	first := ""
	for _, choice := range []struct {
		name string
		At
	}{{"flannel", c.Flannel.At}, {"manifests", c.Manifests.At}, {"none", c.None.At}} {
		switch {
		case !choice.Known():
		case first != "":
			v.errorf(choice.At, "keep one of flannel, manifests and none", "%s is chosen already", first)
		default:
			first = choice.name
		}
	}
}

// flannelVersion is a release of flannel; all so far are of major version 0.
var flannelVersion = regexp.MustCompile(`^v0\.([0-9]{1,3})\.[0-9]{1,3}$`)

// Rule: a flannel version is vMAJOR.MINOR.PATCH.
func ruleFlannelVersion(v *validator) {
	version := v.Spec.CNI.Flannel.Version
	switch {
	case !version.Set || flannelVersion.MatchString(version.V):
	case flannelVersion.MatchString("v" + version.V):
		v.errorf(version.At, "write v"+version.V, "a release of flannel starts with v")
	default:
		v.errorf(version.At, "write it like "+DefaultFlannelVersion, "%.40q is no release of flannel", version.V)
	}
}

// Rule: flannel's image is a name without a tag, which is the version.
func ruleFlannelImage(v *validator) {
	image := v.Spec.CNI.Flannel.Image
	if !image.Set {
		return
	}
	name, tag, colon := strings.Cut(image.V, ":")
	if what, instead := repositoryMistake(image.V); what != "" {
		v.errorf(image.At, instead, "%s", what)
	} else if colon && !strings.Contains(tag, "/") { // a registry's port has a path behind it
		v.errorf(image.At, "write "+name, "a tag is out of place here")
	}
}

// Rule: flannel's CNI plugin image has a tag.
func ruleFlannelPluginImage(v *validator) {
	v.checkImage(v.Spec.CNI.Flannel.CNIPluginImage, "ghcr.io/flannel-io/flannel-cni-plugin:v1.8.0-flannel1")
}

// Rule: a manifest of a pod network is a path beside the spec, and there is at least one.
func ruleManifests(v *validator) {
	manifests := v.Spec.CNI.Manifests
	if manifests.Set && len(manifests.Items) == 0 {
		v.errorf(manifests.At, "name the files, or write none: {}", "there are no manifests")
	}
	for _, manifest := range manifests.Items {
		switch {
		case !manifest.Set:
		case strings.Contains(manifest.V, "://"):
			v.errorf(manifest.At, "put the file beside the spec and write ./FILE.yaml", "a manifest is read when muster runs, from a file")
		default:
			v.checkLocalPath(manifest)
		}
	}
}

// Rule: a manifest of a pod network can be read, and holds objects of Kubernetes, each with apiVersion and kind.
func ruleManifestRead(v *validator) {
	for _, manifest := range v.Spec.CNI.Manifests.Items {
		data, read := v.readBeside(manifest, "manifest")
		if !read {
			continue
		}
		if at, what, instead := decode.ManifestMistake(data); what != "" {
			v.failed[manifest.Path] = true
			v.problems.Add(problem.Problem{File: Beside(v.problems.File, manifest.V), At: at, Message: what, Instead: instead})
		}
	}
}
