package spec

import (
	"regexp"
	"strings"
)

var (
	packageScopeRules = []func(*validator, Scope){ruleRepositoryName, ruleRepositoryTwice, ruleRepositoryURL, ruleRepositorySuite, ruleRepositoryComponent,
		ruleKeyURL, ruleKeyFingerprint, rulePackageName}
	packageTargetRules = []func(*validator, Target){ruleRepositoriesGiven, ruleRepositoryKeys, ruleGPGCheckOff, rulePreinstalled,
		rulePackagesOfProfile, ruleYumVariable}
)

var sourceName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$`)

// Rule: a repository's name is a word: it becomes a file name and an identifier.
func ruleRepositoryName(v *validator, s Scope) {
	for _, repository := range s.Packages.Repositories.Items {
		if name := repository.Name; name.Set && !sourceName.MatchString(name.V) {
			v.errorf(name.At, "write letters, digits, dashes and underscores", "%.70q is no name of a package source", name.V)
		}
	}
}

// Rule: a repository's name stands once.
func ruleRepositoryTwice(v *validator, s Scope) {
	seen := map[string]bool{}
	for _, repository := range s.Packages.Repositories.Items {
		if repository.Name.Set && seen[repository.Name.V] {
			v.errorf(repository.Name.At, "write another name", "a source %s stands before it", repository.Name.V)
		}
		seen[repository.Name.V] = true
	}
}

// yumVariables takes yum's own variables out of a URL.
var yumVariables = strings.NewReplacer("$releasever", "", "$basearch", "", "$arch", "")

// Rule: a repository's baseURL is an http or https URL, in which yum's variables may stand.
func ruleRepositoryURL(v *validator, s Scope) {
	for _, repository := range s.Packages.Repositories.Items {
		address := repository.BaseURL
		address.V = yumVariables.Replace(address.V)
		v.checkURL(address)
	}
}

// Rule: yum's variables stand in no URL of an apt source: apt would fetch them as they are.
func ruleYumVariable(v *validator, t Target) {
	if v.facts.Profiles[t.Profile.V].PackageManager != "apt" {
		return
	}
	for _, repository := range t.Packages.Repositories.Items {
		if address := repository.BaseURL; yumVariables.Replace(address.V) != address.V {
			v.errorf(address.At, "write the release and the architecture out", "apt has no variables in URLs, and the profile of %s uses apt", t.Name.V)
		}
	}
}

var suiteName = regexp.MustCompile(`^(/|[A-Za-z0-9][A-Za-z0-9._/-]*)$`)

// Rule: a suite is a suite's name, or a path that ends in a slash and then has no components.
func ruleRepositorySuite(v *validator, s Scope) {
	for _, repository := range s.Packages.Repositories.Items {
		suite, components := repository.Suite, repository.Components
		flat := !suite.Set || strings.HasSuffix(suite.V, "/")
		switch {
		case suite.Set && !suiteName.MatchString(suite.V):
			v.errorf(suite.At, "write a name such as bookworm, or /", "%.70q is no suite", suite.V)
		case flat && len(components.Items) > 0:
			v.errorf(components.At, "leave it out, or write a suite's name", "a source whose suite is a path has no components")
		case !flat && len(components.Items) == 0:
			v.errorf(below(repository.At, "components"), "write for example components: [main]", "a source with a suite's name needs components")
		}
	}
}

var componentName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._/-]*$`)

// Rule: a component is one word.
func ruleRepositoryComponent(v *validator, s Scope) {
	for _, repository := range s.Packages.Repositories.Items {
		for _, c := range repository.Components.Items {
			if c.Set && !componentName.MatchString(c.V) {
				v.errorf(c.At, "write one word an entry, such as main", "%.70q is no component", c.V)
			}
		}
	}
}

// Rule: a signing key's url is an http or https URL.
func ruleKeyURL(v *validator, s Scope) {
	for _, repository := range s.Packages.Repositories.Items {
		for _, key := range repository.GPGKeys.Items {
			v.checkURL(key.URL)
		}
	}
}

var fingerprint = regexp.MustCompile(`^[0-9A-F]{40}$`)

// Rule: a fingerprint is 40 hexadecimal digits in upper case without spaces.
func ruleKeyFingerprint(v *validator, s Scope) {
	for _, repository := range s.Packages.Repositories.Items {
		for _, key := range repository.GPGKeys.Items {
			given := key.Fingerprint
			bare := strings.ToUpper(strings.NewReplacer(" ", "", ":", "").Replace(strings.TrimPrefix(given.V, "0x")))
			switch {
			case !given.Set || fingerprint.MatchString(given.V):
			case fingerprint.MatchString(bare):
				v.errorf(given.At, "write "+bare, "a fingerprint is written in upper case without spaces")
			default:
				v.errorf(given.At, "write the whole fingerprint that gpg --show-keys prints", "a fingerprint has 40 hexadecimal digits, this has %d", len(bare))
			}
		}
	}
}

// Rule: with source repositories there is at least one.
func ruleRepositoriesGiven(v *validator, t Target) {
	if p := t.Packages; p.Source.V == "repositories" && len(p.Repositories.Items) == 0 && !v.failed[p.Repositories.Path] {
		v.errorf(p.Source.At, "write repositories, or source: profile", "there are no repositories")
	}
}

// Rule: a repository has the keys that sign it, unless gpgCheck is false.
func ruleRepositoryKeys(v *validator, t Target) {
	if p := t.Packages; !p.GPGCheck.Set || p.GPGCheck.V {
		for _, repository := range p.Repositories.Items {
			if len(repository.GPGKeys.Items) == 0 && !v.failed[below(repository.At, "gpgKeys").Path] {
				v.errorf(below(repository.At, "gpgKeys"), "write the keys' url and fingerprint, or gpgCheck: false", "signatures are checked, and no key is known for %s", repository.Name.V)
			}
		}
	}
}

// Rule: without gpgCheck whoever serves the packages owns the machines (a warning).
func ruleGPGCheckOff(v *validator, t Target) {
	if check := t.Packages.GPGCheck; check.Set && !check.V {
		v.warnf(check.At, "leave it out, and name the keys of your repositories", "without checked signatures whoever serves the packages owns the machines")
	}
}

// Rule: an image that holds everything has nothing installed from repositories.
func rulePreinstalled(v *validator, t Target) {
	p := t.Packages
	switch {
	case !p.Preinstalled.V:
	case p.Repositories.Known() && parentPath(p.Preinstalled.Path) == parentPath(p.Repositories.Path):
		v.errorf(p.Preinstalled.At, "keep one of the two", "with preinstalled nothing is installed, and repositories say from where")
	case len(p.Extra.Items) > 0:
		v.errorf(p.Preinstalled.At, "put the packages into the image and write extra: [] beside it, or leave preinstalled out", "with preinstalled nothing is installed, and extra names packages")
	}
}

// Rule: packages and repositories need a profile with a package manager.
func rulePackagesOfProfile(v *validator, t Target) {
	profile, known := v.facts.Profiles[t.Profile.V]
	if !known || profile.PackageManager != "" {
		return
	}
	// An empty list is how a node leaves out what the cluster's other machines install.
	for _, list := range []struct {
		at    At
		count int
	}{{t.Packages.Extra.At, len(t.Packages.Extra.Items)}, {t.Packages.Repositories.At, len(t.Packages.Repositories.Items)}} {
		if list.count > 0 {
			v.errorf(list.at, "write an empty list for this node, or take another profile", "the profile %s of %s has no package manager", t.Profile.V, t.Name.V)
		}
	}
}

var packageName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.+_:~-]*(=[A-Za-z0-9.+:~*-]+)?$`)

// Rule: a package is a name, with =VERSION for apt; nothing that a package manager reads as an option or a path.
func rulePackageName(v *validator, s Scope) {
	for _, name := range s.Packages.Extra.Items {
		if name.Set && !packageName.MatchString(name.V) {
			v.errorf(name.At, "write one package an entry, such as nfs-common", "%.70q is no package", name.V)
		}
	}
}
