package spec

import (
	"regexp"
	"strings"
)

var (
	imageScopeRules   = []func(*validator, Scope){ruleArchivePlace, ruleArchivePath, ruleArchiveURL, ruleArchiveDigest}
	imageClusterRules = []func(*validator){ruleNginxImage}
)

// Rule: an archive of images has either a path or a url.
func ruleArchivePlace(v *validator, s Scope) {
	for _, archive := range s.Images.Preload.Items {
		switch {
		case archive.Path.Known() && archive.URL.Known():
			v.errorf(archive.URL.At, "keep one of the two", "path and url do not go together")
		case !archive.Path.Known() && !archive.URL.Known():
			v.errorf(below(archive.At, "path"), "write path, where the archive lies on the machine, or url", "the archive has neither path nor url")
		}
	}
}

// Rule: an archive's path is absolute, clean and made of plain characters.
func ruleArchivePath(v *validator, s Scope) {
	for _, archive := range s.Images.Preload.Items {
		if p := archive.Path; p.Set {
			if what, instead := pathMistake(p.V); what != "" {
				v.errorf(p.At, instead, "%s", what)
			} else if !plainPath.MatchString(p.V) {
				v.errorf(p.At, "write letters, digits and ._+@:=,-", "an archive's path holds no other characters")
			}
		}
	}
}

// Rule: an archive's url is an http or https URL.
func ruleArchiveURL(v *validator, s Scope) {
	for _, archive := range s.Images.Preload.Items {
		v.checkURL(archive.URL)
	}
}

// Rule: an archive's sha256 is one.
func ruleArchiveDigest(v *validator, s Scope) {
	for _, archive := range s.Images.Preload.Items {
		v.checkDigest(archive.SHA256)
	}
}

// taggedImage is an image's name with its tag, its digest or both.
var taggedImage = regexp.MustCompile(`^(.+?)(:[A-Za-z0-9_][A-Za-z0-9._-]{0,127})?(@sha256:[0-9a-f]{64})?$`)

// checkImage refuses what is not an image's name with a tag or digest.
func (v *validator) checkImage(image Value[string], example string) {
	if !image.Set {
		return
	}
	_, bare, scheme := strings.Cut(image.V, "://")
	bare = withoutLogin(bare)
	switch named, tagged := imageParts(image.V); {
	case scheme:
		if _, right := imageParts(bare); !right {
			bare = "it like " + example
		}
		v.errorf(image.At, "write "+bare, "an image's name has no scheme")
	case withoutLogin(image.V) != image.V:
		v.errorf(image.At, withoutTheLogin, "an image's name has no user or password")
	case !named:
		v.errorf(image.At, "write it like "+example, "%.70q is no image", image.V)
	case !tagged:
		v.errorf(image.At, "write it with its tag, like "+example, "an image without a tag changes from day to day")
	}
}

// imageParts reports whether a text is an image's name, and one with a tag or digest.
func imageParts(text string) (named, tagged bool) {
	m := taggedImage.FindStringSubmatch(text)
	named = m != nil && registryPath.MatchString(m[1])
	return named, named && m[2]+m[3] != ""
}

// Rule: the check's image has a tag.
func ruleNginxImage(v *validator) { v.checkImage(v.Spec.Check.Nginx.Image, "nginx:1.28-alpine") }
