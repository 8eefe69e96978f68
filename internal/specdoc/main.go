// Command specdoc writes what is made of the spec's and the profiles' own source: docs/spec.md and docs/profile.md for
// people, and internal/spec/schema.json, the JSON Schema, for editors. Field comments, struct tags, the comments of the
// rules, and the defaults are the only place where any of it is written down, so no file can tell something else than gen
// does. It reads Go source and runs the defaults; it never reads a spec, and gen does not contain it.
//
// Run it from the project's folder, or as make docs.
package main

import (
	"fmt"
	"os"
)

// The files that are written, from the project's folder.
const (
	schemaFile  = "internal/spec/schema.json"
	docFile     = "docs/spec.md"
	profileFile = "docs/profile.md"
)

func main() {
	if err := write("."); err != nil {
		fmt.Fprintf(os.Stderr, "specdoc: %v\n", err)
		os.Exit(1)
	}
}

// write makes all files of the project in root.
func write(root string) error {
	files, err := generate(os.DirFS(root))
	if err != nil {
		return err
	}
	for name, contents := range files {
		if err := os.WriteFile(root+"/"+name, contents, 0o644); err != nil {
			return err
		}
	}
	return nil
}
