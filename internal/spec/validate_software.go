package spec

import (
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

var (
	softwareScopeRules = []func(*validator, Scope){ruleRegistryMirror, ruleInsecureRegistry, ruleInsecureRegistryTwice, ruleRuntimeMapping, ruleRuntimeOwned, ruleRepositoryName, ruleRepositoryTwice, ruleRepositoryURL,
		ruleRepositorySuite, ruleRepositoryComponent, ruleKeyURL, ruleKeyFingerprint, rulePackageName, ruleArchivePlace, ruleArchivePath, ruleArchiveURL, ruleArchiveDigest}
	softwareTargetRules = []func(*validator, Target){ruleRuntimeOfProfile, ruleInsecureDockerHub, ruleFirewallManager, ruleRepositoriesUsed, ruleRepositoriesGiven, ruleRepositoryKeys, ruleGPGCheckOff,
		rulePreinstalled, rulePackagesOfProfile, ruleYumVariable}
	softwareClusterRules = []func(*validator){ruleOneCNI, ruleFlannelVersion, ruleFlannelImage, ruleFlannelPluginImage, ruleManifests, ruleNginxImage, ruleBaseURL,
		ruleDelivery, ruleDeliveryURL, ruleDeliveryDigest, ruleDeliveryMedia, ruleDeliveryArchitectures}
)

// Rule: a registry mirror is an http or https URL without query, and for Docker without a path.
func ruleRegistryMirror(v *validator, s Scope) {
	check := func(mirrors List[Value[string]], paths bool) {
		for _, mirror := range mirrors.Items {
			v.checkURL(mirror)
			u, err := url.Parse(mirror.V)
			switch {
			case err != nil || !mirror.Set:
			case u.RawQuery != "":
				v.errorf(mirror.At, "write it without ?...", "a mirror has no query")
			case !paths && strings.Trim(u.Path, "/") != "":
				v.errorf(mirror.At, "write "+u.Scheme+"://"+u.Host, "Docker takes no path in a mirror")
			}
		}
	}
	check(s.Docker.RegistryMirrors, false)
	check(s.Containerd.RegistryMirrors, true)
}

var hostPort = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?$`)

// Rule: an insecure registry is HOST[:PORT], and for Docker it may be a network.
func ruleInsecureRegistry(v *validator, s Scope) {
	check := func(registries List[Value[string]], networks bool) {
		for _, registry := range registries.Items {
			if _, err := netip.ParsePrefix(registry.V); registry.Set && (!networks || err != nil) {
				v.checkRegistry(registry)
			}
		}
	}
	check(s.Docker.InsecureRegistries, true)
	check(s.Containerd.InsecureRegistries, false)
}

func (v *validator) checkRegistry(registry Value[string]) {
	const example = "write HOST or HOST:PORT, such as registry.example.com:5000"
	_, bare, scheme := strings.Cut(registry.V, "://")
	bare = strings.Trim(withoutLogin(bare), "/")
	switch {
	case scheme && isRegistry(bare):
		v.errorf(registry.At, "write "+bare, "a registry here has no scheme")
	case scheme:
		v.errorf(registry.At, example, "a registry here has no scheme")
	case strings.Contains(registry.V, "@"):
		v.errorf(registry.At, withoutTheLogin, "a registry here has no user or password")
	case !isRegistry(registry.V):
		v.errorf(registry.At, example, "%.70q is no registry", registry.V)
	}
}

// isRegistry reports whether a text is HOST[:PORT].
func isRegistry(text string) bool {
	_, port, ported := strings.Cut(text, ":")
	return hostPort.MatchString(text) && (!ported || validPort(port))
}

// Rule: a registry stands once in insecureRegistries.
func ruleInsecureRegistryTwice(v *validator, s Scope) {
	for _, list := range []List[Value[string]]{s.Docker.InsecureRegistries, s.Containerd.InsecureRegistries} {
		seen := map[string]bool{}
		for _, registry := range list.Items {
			if registry.Set && seen[registry.V] {
				v.errorf(registry.At, "keep one of the two", "the registry %s stands before it", registry.V)
			}
			seen[registry.V] = true
		}
	}
}

// Rule: docker.io does not stand in containerd.insecureRegistries beside registryMirrors, which say already how Docker Hub is
// asked.
func ruleInsecureDockerHub(v *validator, t Target) {
	for _, registry := range t.Containerd.InsecureRegistries.Items {
		if registry.V == "docker.io" && len(t.Containerd.RegistryMirrors.Items) > 0 {
			v.errorf(registry.At, "leave it out; a mirror may have an http URL", "registryMirrors say how docker.io is asked")
		}
	}
}

// Rule: docker.daemon and containerd.config are mappings.
func ruleRuntimeMapping(v *validator, s Scope) {
	v.checkMapping(s.Docker.Daemon)
	v.checkMapping(s.Containerd.Config)
}

// Rule: docker.daemon and containerd.config leave the mirrors to registryMirrors, the containerd version to the profile,
// and the cgroup driver as the kubelet has it; containerd.config takes nothing away that muster writes into config.toml.
func ruleRuntimeOwned(v *validator, s Scope) {
	for _, owned := range []struct {
		part    Free
		key     string
		instead string
	}{
		{s.Docker.Daemon, "registry-mirrors", "write docker.registryMirrors"},
		{s.Docker.Daemon, "insecure-registries", "write docker.insecureRegistries"},
		{s.Docker.Daemon, "exec-opts", "leave it out; the cgroup driver follows the kubelet's"},
		{s.Docker.Daemon, "hosts", "leave it out; the socket is the service's"},
		{s.Containerd.Config, "version", "leave it out; it follows from the profile"},
	} {
		if reached, _ := followPatch(owned.part.V, []string{owned.key}); len(reached) > 0 {
			v.errorf(owned.part.At, owned.instead, "%s is set by muster", owned.key)
		}
	}
	v.checkCRIConfig(s.Containerd.Config)
}

// criKey is a key that muster writes below the plugins of config.toml.
type criKey struct {
	plugin string
	path   string
	// instead is where the spec says what the key holds; a key without it may be written, but not taken away.
	instead string
}

// criKeys are those of versions 2 and 3 of the file: which of them a machine gets follows from its profile, and a config
// may stand where several profiles meet.
var criKeys = slices.Concat(
	criPlugin("io.containerd.grpc.v1.cri", runcKeys, registryKeys, []criKey{{path: "cni.bin_dir"}, {path: "cni.conf_dir"}, {path: "sandbox_image"}}),
	criPlugin("io.containerd.cri.v1.runtime", runcKeys, []criKey{{path: "cni.bin_dirs"}, {path: "cni.conf_dir"}}),
	criPlugin("io.containerd.cri.v1.images", registryKeys, []criKey{{path: "pinned_images.sandbox"}}),
)

var (
	runcKeys = []criKey{
		{path: "containerd.runtimes.runc.options.SystemdCgroup", instead: "leave it out; the cgroup driver follows the kubelet's"},
		{path: "containerd.runtimes.runc.runtime_type"}, {path: "containerd.default_runtime_name"},
	}
	// containerd refuses to start with mirrors beside the config_path that muster writes.
	registryKeys = []criKey{
		{path: "registry.config_path", instead: "write containerd.registryMirrors"},
		{path: "registry.mirrors", instead: "write containerd.registryMirrors"},
	}
)

func criPlugin(name string, keys ...[]criKey) []criKey {
	all := slices.Concat(keys...)
	for i := range all {
		all[i].plugin = name
	}
	return all
}

// checkCRIConfig refuses a patch of config.toml that sets what the spec's own fields say, or removes what muster writes: a
// null takes away all that is below it, and so does a value in the place of a mapping.
func (v *validator) checkCRIConfig(config Free) {
	for _, key := range criKeys {
		path := append([]string{"plugins", key.plugin}, strings.Split(key.path, ".")...)
		reached, value := followPatch(config.V, path)
		name := strings.Join(reached, ".")
		switch {
		case len(reached) == 0:
		case len(reached) < len(path):
			v.errorf(config.At, "write keys below it, or leave it out", "%s takes away what muster writes below it", name)
		case key.instead != "":
			v.errorf(config.At, key.instead, "%s is set by muster", name)
		case value == nil:
			v.errorf(config.At, "write a value, or leave it out", "%s takes away what muster writes there", name)
		}
	}
}

// followPatch follows a path into a merge patch, down to its end or to what is no mapping and so takes the place of all
// below it. Nothing is reached where the patch leaves the path alone.
func followPatch(patch any, path []string) (reached []string, value any) {
	for i, key := range path {
		level, mapping := patch.(map[string]any)
		if !mapping {
			return path[:i], patch
		}
		inner, there := level[key]
		if !there {
			return nil, nil
		}
		patch = inner
	}
	return path, patch
}

// Rule: the block of a runtime belongs to a profile that uses it.
func ruleRuntimeOfProfile(v *validator, t Target) {
	profile, known := v.facts.Profiles[t.Profile.V]
	if !known {
		return
	}
	for _, block := range []struct {
		runtime string
		At
	}{{"docker", t.Docker.At}, {"containerd", t.Containerd.At}} {
		if block.Known() && profile.Runtime != block.runtime {
			v.errorf(block.At, "write "+profile.Runtime+", or take another profile", "the profile %s of %s uses %s", t.Profile.V, t.Name.V, profile.Runtime)
		}
	}
}

// Rule: firewall: ports needs a firewall that the profile knows how to open.
func ruleFirewallManager(v *validator, t Target) {
	profile, known := v.facts.Profiles[t.Profile.V]
	if known && t.System.Firewall.V == "ports" && profile.FirewallManager == "" {
		v.errorf(t.System.Firewall.At, "write disabled or keep", "the profile %s of %s has no firewall that muster opens ports in", t.Profile.V, t.Name.V)
	}
}

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

// Rule: source repositories and the repositories themselves go together.
func ruleRepositoriesUsed(v *validator, t Target) {
	p := t.Packages
	// a node may go back to the profile's sources where the cluster has repositories
	chosen := p.Source.Known() && parentPath(p.Source.Path) != parentPath(p.Repositories.Path)
	if len(p.Repositories.Items) > 0 && p.Source.Set && p.Source.V != "repositories" && !chosen {
		v.errorf(p.Repositories.At, "write source: repositories beside it", "repositories are used only with source: repositories")
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

// Rule: there is exactly one pod network.
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

// taggedImage is an image's name with its tag, its digest or both.
var taggedImage = regexp.MustCompile(`^(.+?)(:[A-Za-z0-9_][A-Za-z0-9._-]{0,127})?(@sha256:[0-9a-f]{64})?$`)

// checkImage refuses what is no image's name with a tag or digest.
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

// Rule: the check's image has a tag.
func ruleNginxImage(v *validator) { v.checkImage(v.Spec.Check.Nginx.Image, "nginx:1.28-alpine") }

// Rule: pxe.baseURL is an http or https URL without a slash at the end, and without query.
func ruleBaseURL(v *validator) {
	base := v.Spec.PXE.BaseURL
	if !base.Set {
		return
	}
	v.checkURL(base)
	switch {
	case strings.Contains(base.V, "?"):
		v.errorf(base.At, "write it without ?...", "paths are put after it")
	case strings.HasSuffix(base.V, "/"):
		v.errorf(base.At, "write "+strings.TrimRight(base.V, "/"), "paths that start with a slash are put after it")
	}
}

// Rule: rendezvous.url and sha256 belong to delivery url, which needs both.
func ruleDelivery(v *validator) {
	r := v.Spec.Rendezvous
	for _, field := range []struct {
		name string
		Value[string]
	}{{"url", r.URL}, {"sha256", r.SHA256}} {
		switch byURL := r.Delivery.V == "url"; {
		case byURL && !field.Known():
			v.errorf(below(r.At, field.name), fmt.Sprintf("write %s, or another delivery", field.name), "delivery url needs it")
		case r.Delivery.Set && !byURL && field.Known():
			v.errorf(field.At, "write delivery: url beside it, or leave it out", "with delivery %s nothing is fetched", r.Delivery.V)
		}
	}
}

// withoutMedium are platforms that give a machine user data and no medium of the user's.
var withoutMedium = []string{"ec2", "gce", "azure"}

// Rule: delivery media is for control planes that boot from a medium of muster's: with cloud-init, not over the network, and
// not on ec2, gce or azure.
func ruleDeliveryMedia(v *validator) {
	r := v.Spec.Rendezvous
	if r.Delivery.V != "media" || !r.Delivery.Known() {
		return
	}
	for _, t := range v.targets {
		profile, known := v.facts.Profiles[t.Profile.V]
		switch {
		case !t.IsControlPlane() || !known:
		case profile.Format != "cloud-init":
			v.errorf(r.Delivery.At, "write embed or url", "%s boots with %s and has no medium to take the program from", t.Name.V, profile.Format)
			return
		case slices.Contains(withoutMedium, t.Platform.V):
			v.errorf(r.Delivery.At, "write url", "%s runs on %s and has no medium to take the program from", t.Name.V, t.Platform.V)
			return
		case v.Spec.PXE.BaseURL.Set && t.Node != nil && t.Node.MAC.Set:
			v.errorf(r.Delivery.At, "write embed or url", "%s boots over the network and has no medium to take the program from", t.Name.V)
			return
		}
	}
}

// Rule: delivery url serves one program, so all control planes have one architecture.
func ruleDeliveryArchitectures(v *validator) {
	if v.Spec.Rendezvous.Delivery.V != "url" {
		return
	}
	first := ""
	for _, t := range v.targets {
		switch {
		case !t.IsControlPlane():
		case first == "":
			first = t.Architecture.V
		case t.Architecture.V != first:
			v.errorf(v.Spec.Rendezvous.URL.At, "write delivery: embed, which brings each its own program", "%s is %s and another control plane is %s, but rendezvous.url is one program", t.Name.V, t.Architecture.V, first)
			return
		}
	}
}

// Rule: rendezvous.url is an http or https URL.
func ruleDeliveryURL(v *validator) { v.checkURL(v.Spec.Rendezvous.URL) }

// Rule: rendezvous.sha256 is one.
func ruleDeliveryDigest(v *validator) { v.checkDigest(v.Spec.Rendezvous.SHA256) }
