package spec

import (
	"path/filepath"
	"strings"
)

// Facts is what defaults and rules have to know of profiles, without knowing profiles: the caller fills it in for every
// profile that the spec names.
type Facts struct {
	// Builtin are the names of the built-in profiles, for a did-you-mean.
	Builtin []string
	// Profiles are the profiles that could be read, by the value of profile as the spec writes it. A name that is missing
	// here is an unknown profile; a path that is missing here could not be read, which its reader has reported.
	Profiles map[string]ProfileFacts
	// ReadFile reads a file that the spec names, relative to it; nil leaves the files beside the spec unread.
	ReadFile func(name string) ([]byte, error)
}

// ProfileFacts is what the rules ask of one profile.
type ProfileFacts struct {
	// Format is cloud-init or ignition.
	Format string
	// KeepsRoutes is true if the machine gets all that routes can say: see networkRenderer of profiles.
	KeepsRoutes bool
	// Runtime is docker or containerd.
	Runtime string
	// PackageManager is apt or yum, or empty where programs are fetched as binaries.
	PackageManager string
	// FirewallManager opens ports; empty where there is none.
	FirewallManager string
	// ScriptsDir is the folder of muster's own scripts.
	ScriptsDir string
	// Groups are the usual groups that every image has.
	Groups []string
	// ReadOnly are folders that nothing can be written to.
	ReadOnly []string
	// DefaultVersion is the Kubernetes version for a spec that names none.
	DefaultVersion string
	// MinMinor and MaxMinor bound the minor versions of Kubernetes 1 that fit, both included.
	MinMinor, MaxMinor int
	// PinnedVersions are the only versions of a profile that fetches binaries, since each needs its digests; empty for
	// packages, which come in any version of the range.
	PinnedVersions []string
}

// ProfileIsPath reports whether a value of profile is a path of a file and not a built-in profile's name.
func ProfileIsPath(profile string) bool {
	return strings.HasPrefix(profile, "./") || strings.HasPrefix(profile, "../") || strings.HasPrefix(profile, "/")
}

// ProfileFile is the file of a profile as a spec writes it: beside the spec, or the name among the built-in ones.
func ProfileFile(spec, profile string) string {
	if !ProfileIsPath(profile) {
		return profile + ".yaml"
	}
	return Beside(spec, profile)
}

// Beside is the path of a file that the spec in another file names, seen from where the program runs.
func Beside(spec, name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(filepath.Dir(spec), name)
}
