// Package layout owns the names in the output folder: where the documents and files of a machine are, and what else is
// beside them. It knows names only, not what is in the files.
package layout

import "strings"

// The names beside and inside the folders of machines. The manifest's name is outdir's own.
const (
	// PXE is the folder that is served for a network boot.
	PXE = "pxe"
	// Seed is the image in a machine's folder that its documents are on.
	Seed = "seed.iso"
	// Files is the folder, inside a machine's, of the files that its document embeds.
	Files = "files"
)

const (
	nodes    = "nodes"
	pools    = "pools"
	programs = "rendezvous/rendezvous-"
)

// Machine is the folder of a node or a pool.
func Machine(pool bool, name string) string {
	if pool {
		return pools + "/" + name
	}
	return nodes + "/" + name
}

// Split takes the folder of a machine off the path of a file; machine is empty for a file that is no machine's.
func Split(file string) (machine, rest string) {
	parts := strings.SplitN(file, "/", 3)
	if len(parts) < 3 || parts[0] != nodes && parts[0] != pools {
		return "", file
	}
	return parts[0] + "/" + parts[1], parts[2]
}

// Embedded is the path, in the folder of a machine, of a file with an absolute path on the machine.
func Embedded(path string) string { return Files + path }

// OnMachine is the absolute path on the machine of a file that a document embeds, by its path in the output folder.
func OnMachine(file string) (path string, embedded bool) {
	machine, rest := Split(file)
	below, embedded := strings.CutPrefix(rest, Files+"/")
	if machine == "" || !embedded {
		return "", false
	}
	return "/" + below, true
}

// Program is the path of the rendezvous for an architecture, for people who serve it.
func Program(architecture string) string { return programs + architecture }

// Architecture is that of the rendezvous at a path.
func Architecture(file string) (architecture string, isProgram bool) {
	return strings.CutPrefix(file, programs)
}
