package plan

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"muster/internal/decode"
	"muster/internal/problem"
	"muster/internal/spec"
)

// repository is one package source, the profile's or the spec's.
type repository struct {
	name, file, url, suite string
	components, exclude    []string
	keys                   []gpgKey
	at                     problem.At
}

type gpgKey struct{ url, fingerprint, file string }

// planPackages writes the package sources (S12) and notes what is installed from them (S9, S11, S13).
func (m *machine) planPackages() {
	p := m.profile.Packages
	if m.Packages.Preinstalled.V {
		m.noteKeys(nil)
		m.notePackages(false)
		return
	}
	repositories := m.repositories()
	var keys []gpgKey
	for _, r := range repositories {
		keys = append(keys, r.keys...)
	}
	if !m.Packages.GPGCheck.V {
		keys = nil
	}
	m.noteKeys(keys)
	m.notePackages(true)
	switch p.Manager.V {
	case "apt":
		m.addAptSources(repositories)
	case "yum":
		m.addYumSources(repositories)
	}
}

func (m *machine) noteKeys(keys []gpgKey) {
	var urls, fingerprints, files []string
	seen := map[gpgKey]bool{}
	for _, k := range keys {
		if !seen[k] {
			seen[k] = true
			urls, fingerprints, files = append(urls, k.url), append(fingerprints, k.fingerprint), append(files, k.file)
		}
	}
	m.conf.setList("KEY_URLS", urls)
	m.conf.setList("KEY_FINGERPRINTS", fingerprints)
	m.conf.setList("KEY_FILES", files)
}

// notePackages notes the packages; with an image that holds them already there are none.
func (m *machine) notePackages(install bool) {
	p := m.profile.Packages
	base := m.fill(decode.Strings(p.Base))
	if m.firewall() == "ports" {
		base = append(base, m.profile.Firewall.Manager.V)
	}
	for _, l := range []struct {
		name  string
		items []string
	}{
		{"PACKAGES_BASE", base}, {"PACKAGES_RUNTIME", m.fill(decode.Strings(p.Runtime))},
		{"PACKAGES_KUBERNETES", m.fill(decode.Strings(p.Kubernetes))}, {"PACKAGES_HOLD", decode.Strings(p.Hold)}, {"PACKAGES_EXTRA", decode.Strings(m.Packages.Extra)},
	} {
		if !install {
			l.items = nil
		}
		m.conf.setList(l.name, l.items)
	}
}

// fill puts the Kubernetes version into the profile's texts.
func (m *machine) fill(texts []string) []string {
	out := make([]string, len(texts))
	for i, t := range texts {
		out[i] = m.fillOne(t)
	}
	return out
}

func (m *machine) fillOne(text string) string {
	return strings.ReplaceAll(strings.ReplaceAll(text, "{version}", m.version.Number()), "{minor}", m.version.MinorNumber())
}

// repositories are the profile's package sources but those whose place one of the spec's takes, and then the spec's.
func (m *machine) repositories() []repository {
	ofProfile, ofSpec := m.Packages.Sources()
	var out []repository
	for _, r := range m.profile.Packages.Repositories.Items {
		repo := repository{
			name: r.Name.V, file: or(r.File, r.Name).V, url: m.fillOne(r.BaseURL.V), suite: r.Suite.V,
			components: decode.Strings(r.Components), exclude: decode.Strings(r.Exclude), at: m.Packages.At,
		}
		taken := func(own spec.Repository) bool { return own.Name.V == repo.name || own.Name.V == repo.file }
		if !ofProfile || slices.ContainsFunc(ofSpec, taken) {
			continue
		}
		if has := decode.Strings(m.profile.Packages.Architectures); len(has) > 0 && !slices.Contains(has, m.Architecture.V) {
			m.problems.Errorf(m.Architecture.At, "choose another profile, or write packages: {source: repositories} with repositories that have them",
				"the sources of profile %s have no packages for %s", m.profile.Name.V, m.Architecture.V)
		}
		for _, k := range r.GPGKeys.Items {
			repo.keys = append(repo.keys, m.key(len(repo.keys), repo.file, m.fillOne(k.URL.V), k.Fingerprint.V))
		}
		out = append(out, repo)
	}
	for _, r := range ofSpec {
		repo := repository{name: r.Name.V, file: r.Name.V, url: r.BaseURL.V, suite: r.Suite.V, components: decode.Strings(r.Components), at: r.At}
		for _, k := range r.GPGKeys.Items {
			repo.keys = append(repo.keys, m.key(len(repo.keys), repo.name, k.URL.V, k.Fingerprint.V))
		}
		out = append(out, repo)
	}
	return out
}

// key names the file that a checked key is kept in.
func (m *machine) key(i int, name, url, fingerprint string) gpgKey {
	folder := "/etc/apt/keyrings"
	if m.profile.Packages.Manager.V == "yum" {
		folder = "/etc/pki/rpm-gpg"
	}
	return gpgKey{url: url, fingerprint: fingerprint, file: path.Join(folder, fmt.Sprintf("muster-%s-%d.asc", name, i))}
}

// addAptSources writes one file a source in apt's one-line form.
func (m *machine) addAptSources(repositories []repository) {
	for _, r := range repositories {
		option := "trusted=yes"
		if m.Packages.GPGCheck.V {
			option = "signed-by=" + strings.Join(keyFiles(r), ",")
		}
		suite := r.suite
		if suite == "" {
			suite = "/"
		}
		line := strings.TrimRight(fmt.Sprintf("deb [%s] %s %s %s", option, r.url, suite, strings.Join(r.components, " ")), " ")
		m.addText("/etc/apt/sources.list.d/"+r.file+".list", line+"\n", r.at)
	}
}

// addYumSources writes the sources, those of one file together; several keys are on one logical line.
func (m *machine) addYumSources(repositories []repository) {
	var order []string
	texts := map[string]string{}
	for _, r := range repositories {
		check := "gpgcheck=0\n"
		if m.Packages.GPGCheck.V {
			// Package signatures are checked; mirrors' metadata often carries none that is current.
			check = "gpgcheck=1\ngpgkey=" + "file://" + strings.Join(keyFiles(r), " file://") + "\n"
		}
		text := fmt.Sprintf("[%s]\nname=%s\nbaseurl=%s\nenabled=1\nrepo_gpgcheck=0\n%s", r.name, r.name, r.url, check)
		if len(r.exclude) > 0 {
			text += "exclude=" + strings.Join(r.exclude, " ") + "\n"
		}
		if texts[r.file] == "" {
			order = append(order, r.file)
		} else {
			text = "\n" + text
		}
		texts[r.file] += text
	}
	for _, file := range order {
		m.addText("/etc/yum.repos.d/"+file+".repo", texts[file], m.Packages.At)
	}
}

func keyFiles(r repository) []string {
	out := make([]string, len(r.keys))
	for i, k := range r.keys {
		out[i] = k.file
	}
	return out
}

// planBinaries notes the programs that are fetched in place of packages (S13), each with its digest, for the machine's
// architecture.
func (m *machine) planBinaries() {
	m.conf.set("BIN_DIR", m.profile.Paths.Bin.V)
	var paths, extract, urls, digests []string
	pinned, known := m.profile.Binaries.Get(m.version.String())
	if m.profile.Binaries.Set && !known && !m.Packages.Preinstalled.V {
		var versions []string
		for _, e := range m.profile.Binaries.Entries {
			versions = append(versions, e.Key)
		}
		m.problems.Errorf(m.Cluster.Spec.Kubernetes.Version.At, "write one of "+strings.Join(versions, ", ")+", or add its digests in a profile of your own",
			"profile %s has no digests for Kubernetes %s", m.profile.Name.V, m.version)
	}
	if m.Packages.Preinstalled.V {
		pinned.Items = nil
	}
	for _, b := range pinned.Items {
		paths = append(paths, b.Path.V)
		extract = append(extract, fmt.Sprint(b.Extract.V))
		source, built := b.Sources.Get(m.Architecture.V)
		if !built {
			m.problems.Errorf(m.Architecture.At, "choose another profile, or add the build in a profile of your own",
				"profile %s has no build of %s for %s", m.profile.Name.V, b.Path.V, m.Architecture.V)
		}
		urls, digests = append(urls, source.URL.V), append(digests, source.SHA256.V)
	}
	if len(paths) > 0 {
		m.conf.set("ARCHITECTURE", m.Architecture.V)
	}
	m.conf.setList("BINARY_PATHS", paths)
	m.conf.setList("BINARY_EXTRACT", extract)
	m.conf.setList("BINARY_URLS", urls)
	m.conf.setList("BINARY_SHA256", digests)
}

// planImages notes the archives that are loaded before kubeadm runs (S19).
func (m *machine) planImages() {
	var paths, urls, digests []string
	for _, a := range m.Images.Preload.Items {
		paths, urls, digests = append(paths, a.Path.V), append(urls, a.URL.V), append(digests, a.SHA256.V)
	}
	m.conf.setList("IMAGE_PATHS", paths)
	m.conf.setList("IMAGE_URLS", urls)
	m.conf.setList("IMAGE_SHA256", digests)
}
