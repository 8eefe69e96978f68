package spec

import (
	"maps"
	"net/netip"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"
)

var (
	runtimeScopeRules  = []func(*validator, Scope){ruleRegistryMirror, ruleInsecureRegistry, ruleInsecureRegistryTwice, ruleRuntimeMapping, ruleRuntimeOwned, ruleRegistryTLS}
	runtimeTargetRules = []func(*validator, Target){ruleRuntimeOfProfile, ruleInsecureDockerHub, ruleRegistryFile}
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

// Rule: docker.io does not stand in containerd.insecureRegistries beside registryMirrors, which say already how Docker
// Hub is asked.
func ruleInsecureDockerHub(v *validator, t Target) {
	for _, registry := range t.Containerd.InsecureRegistries.Items {
		if registry.V == "docker.io" && len(t.Containerd.RegistryMirrors.Items) > 0 {
			v.errorf(registry.At, "leave it out; a mirror may have an http URL", "registryMirrors say how docker.io is asked")
		}
	}
}

// RegistryFolder is where containerd looks for a folder with the name of the registry that it asks.
const RegistryFolder = "/etc/containerd/certs.d"

// Rule: a file below /etc/containerd/certs.d is for a registry that neither registryMirrors (docker.io) nor
// insecureRegistries say anything about: muster writes the hosts.toml of those, and containerd reads one for each.
func ruleRegistryFile(v *validator, t Target) {
	for _, file := range t.Files.Items {
		inside, below := strings.CutPrefix(file.Path.V, RegistryFolder+"/")
		registry, _, _ := strings.Cut(inside, "/")
		if list := said(t.Containerd)[registry]; below && list != "" {
			v.errorf(file.Path.At, "keep one of the two; a hosts.toml of yours may name mirrors, a CA and skip_verify", "containerd.%s of %s say already how %s is asked", list, t.Name.V, registry)
		}
	}
}

// said are the registries that the spec says how to ask, by the names that their folders may have, with the list that
// says it.
func said(c Containerd) map[string]string {
	lists := map[string]string{}
	for _, registry := range c.InsecureRegistries.Items {
		lists[registry.V] = "insecureRegistries"
		if host, port, ported := strings.Cut(registry.V, ":"); ported { // containerd looks there first
			lists[host+"_"+port+"_"] = "insecureRegistries"
		}
	}
	if len(c.RegistryMirrors.Items) > 0 {
		lists["docker.io"] = "registryMirrors"
	}
	return lists
}

// Rule: docker.daemon and containerd.config are mappings.
func ruleRuntimeMapping(v *validator, s Scope) {
	v.checkMapping(s.Docker.Daemon)
	v.checkMapping(s.Containerd.Config)
}

// Rule: docker.daemon and containerd.config leave the mirrors to registryMirrors and hosts.toml files, the containerd
// version to the profile, and the cgroup driver as the kubelet has it; containerd.config takes nothing away that muster
// writes into config.toml.
func ruleRuntimeOwned(v *validator, s Scope) {
	for _, owned := range []struct {
		part    Free
		key     string
		instead string
		written any
	}{
		{s.Docker.Daemon, "registry-mirrors", "write docker.registryMirrors", nil},
		{s.Docker.Daemon, "insecure-registries", "write docker.insecureRegistries", nil},
		{s.Docker.Daemon, "exec-opts", "leave it out; the cgroup driver follows the kubelet's", []any{"native.cgroupdriver=systemd"}},
		{s.Docker.Daemon, "hosts", "leave it out; the socket is the service's", nil},
		{s.Containerd.Config, "version", "leave it out; it follows from the profile", nil},
	} {
		if reached, value := followPatch(owned.part.V, []string{owned.key}); len(reached) > 0 && !same(value, owned.written) {
			v.errorf(owned.part.Place(reached...), owned.instead, "%s is set by muster", owned.key)
		}
	}
	v.checkCRIConfig(s.Containerd.Config)
}

// same reports whether a value is the one that muster writes there itself, which changes nothing.
func same(value, written any) bool { return written != nil && reflect.DeepEqual(value, written) }

// criKey is a key that muster writes below the plugins of config.toml.
type criKey struct {
	plugin string
	path   string
	// instead is where the spec sets what the key holds; a key without it may be written, but not taken away.
	instead string
	// written is what muster writes, where that is always the same.
	written any
}

// criKeys are those of versions 2 and 3 of the file: which of them a machine gets follows from its profile, and a
// config may be written where several profiles meet.
var criKeys = slices.Concat(
	criPlugin("io.containerd.grpc.v1.cri", runcKeys, registryKeys, []criKey{{path: "cni.bin_dir"}, {path: "cni.conf_dir"}, {path: "sandbox_image"}}),
	criPlugin("io.containerd.cri.v1.runtime", runcKeys, []criKey{{path: "cni.bin_dirs"}, {path: "cni.conf_dir"}}),
	criPlugin("io.containerd.cri.v1.images", registryKeys, []criKey{{path: "pinned_images.sandbox"}}),
)

// hostsFile is where containerd finds all but the logins of a registry.
const hostsFile = "files: [{path: " + RegistryFolder + "/HOST/hosts.toml, ...}]"

var (
	runcKeys = []criKey{
		{path: "containerd.runtimes.runc.options.SystemdCgroup", instead: "leave it out; the cgroup driver follows the kubelet's", written: true},
		{path: "containerd.runtimes.runc.runtime_type"}, {path: "containerd.default_runtime_name"},
	}
	// containerd refuses to start with mirrors beside the config_path that muster writes.
	registryKeys = []criKey{
		{path: "registry.config_path", instead: "leave it out, and write " + hostsFile, written: RegistryFolder},
		{path: "registry.mirrors", instead: "write containerd.registryMirrors for docker.io, and for others " + hostsFile},
	}
)

func criPlugin(name string, keys ...[]criKey) []criKey {
	all := slices.Concat(keys...)
	for i := range all {
		all[i].plugin = name
	}
	return all
}

// checkCRIConfig refuses a patch of config.toml that sets what the spec's own fields set, or removes what muster
// writes: a null takes away all that is below it, and so does a value in the place of a mapping.
func (v *validator) checkCRIConfig(config Free) {
	for _, key := range criKeys {
		path := append([]string{"plugins", key.plugin}, strings.Split(key.path, ".")...)
		reached, value := followPatch(config.V, path)
		if len(reached) == 0 || same(value, key.written) {
			continue
		}
		at, name := config.Place(reached...), reached[len(reached)-1]
		switch {
		case len(reached) < len(path):
			v.errorf(at, "write keys below it, or leave it out", "%s takes away what muster writes below it", name)
		case key.instead != "":
			v.errorf(at, key.instead, "%s is set by muster", name)
		case value == nil:
			v.errorf(at, "write a value, or leave it out", "%s takes away what muster writes there", name)
		}
	}
}

// Rule: containerd.config sets no tls of a registry: beside the config_path that muster writes, containerd 1.x does not
// start its CRI plugin with it, and 2.x does not read it. Its auth may stand there.
func ruleRegistryTLS(v *validator, s Scope) {
	for _, plugin := range []string{"io.containerd.grpc.v1.cri", "io.containerd.cri.v1.images"} {
		path := []string{"plugins", plugin, "registry", "configs"}
		_, value := followPatch(s.Containerd.Config.V, path)
		configs, _ := value.(map[string]any)
		for _, registry := range slices.Sorted(maps.Keys(configs)) {
			settings, _ := configs[registry].(map[string]any)
			instead := "write " + hostsFile
			if list := said(s.Containerd)[registry]; list != "" {
				instead = "leave it out; containerd." + list + " say how " + registry + " is asked"
			}
			if settings["tls"] != nil {
				v.errorf(s.Containerd.Config.Place(append(path, registry, "tls")...), instead, "containerd takes no tls here")
			}
		}
	}
}

// followPatch follows a path into a merge patch, down to its end or to what is not a mapping and so takes the place of
// all below it. Nothing is reached where the patch leaves the path alone.
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
