package generate

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"muster/internal/layout"
	"muster/internal/plan"
	"muster/internal/render"
	"muster/internal/spec"
)

// oversize are documents that a platform refuses, by the place in the spec that names the platform.
type oversize struct {
	spec.At
	platform string
	limit    int
	machines []plan.Machine
	// largest is in bytes.
	largest int
}

type oversizes []*oversize

// check adds a machine whose document is too large.
func (o *oversizes) check(m plan.Machine, size int) {
	if m.Config.UserDataLimit == 0 || size <= m.Config.UserDataLimit {
		return
	}
	at := m.Target.Platform.At.Or(m.Config.At)
	i := slices.IndexFunc(*o, func(known *oversize) bool { return known.At == at })
	if i < 0 {
		i = len(*o)
		*o = append(*o, &oversize{At: at, platform: m.Target.Platform.V, limit: m.Config.UserDataLimit})
	}
	found := (*o)[i]
	found.machines, found.largest = append(found.machines, m), max(found.largest, size)
}

// maxNamed is how many machines a problem names.
const maxNamed = 5

// String tells which documents they are, and how large.
func (o *oversize) String() string {
	var names []string
	for _, m := range o.machines[:min(len(o.machines), maxNamed)] {
		names = append(names, m.Config.Name)
	}
	if more := len(o.machines) - len(names); more > 0 {
		names = append(names, fmt.Sprintf("%d more", more))
	}
	last := len(names) - 1
	if last == 0 {
		return fmt.Sprintf("the document of %s has %d bytes", names[0], o.largest)
	}
	return fmt.Sprintf("the documents of %s and %s have up to %d bytes", strings.Join(names[:last], ", "), names[last], o.largest)
}

// smaller tells what can be left out of documents, and what can be done where that is nothing or too little.
func (o *oversize) smaller() string {
	var ways []string
	if i := slices.IndexFunc(o.machines, func(m plan.Machine) bool { return len(m.Config.Programs) > 0 }); i >= 0 {
		served := layout.Program(o.machines[i].Target.Architecture.V)
		ways = append(ways, fmt.Sprintf("let control planes fetch the rendezvous (rendezvous: {delivery: url, url: \"https://files.example.com/%s\"}, where you serve %s of the output folder)",
			path.Base(served), served))
	}
	fetched := func(f spec.File) bool { return strings.Contains(f.Source.V, "://") }
	if slices.ContainsFunc(o.machines, func(m plan.Machine) bool {
		return slices.ContainsFunc(m.Target.Files.Items, func(f spec.File) bool { return !fetched(f) })
	}) {
		ways = append(ways, "move large files to a URL (files[].source with sha256)")
	}
	var fetching []string
	for _, m := range o.machines {
		way := map[string]string{render.CloudInit: "#include", render.Ignition: "ignition.config.replace"}[m.Profile.Format.V]
		if !slices.Contains(fetching, way) {
			fetching = append(fetching, way)
		}
	}
	elsewhere := "write platform: none, and give " + o.platform + " user data that fetches the document from a URL which nobody else can read (" + strings.Join(fetching, ", ") + ")"
	if len(ways) == 0 {
		return "nothing in it can be left out: " + elsewhere
	}
	return strings.Join(ways, ", and ") + "; or " + elsewhere
}
