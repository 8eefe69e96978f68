package main

import "io/fs"

// specFolders hold what is documented of the spec, profileFolder what is of profiles.
var specFolders, profileFolder = []string{"internal/kube", "internal/spec"}, "profiles"

// generate makes all files of the project's source, by their names.
func generate(project fs.FS) (map[string][]byte, error) {
	s, err := readSource(project, specFolders...)
	if err != nil {
		return nil, err
	}
	m, err := newModel(s)
	if err != nil {
		return nil, err
	}
	if err := m.checkConstraints(); err != nil {
		return nil, err
	}
	schema, err := m.jsonSchema()
	if err != nil {
		return nil, err
	}
	profile, err := profilePage(project)
	if err != nil {
		return nil, err
	}
	return map[string][]byte{schemaFile: schema, docFile: m.markdown(), profileFile: profile}, nil
}
