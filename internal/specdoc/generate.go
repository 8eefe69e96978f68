package main

import "io/fs"

// generate makes both files of the project's source, by their names.
func generate(project fs.FS) (map[string][]byte, error) {
	s, err := readSource(project)
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
	return map[string][]byte{schemaFile: schema, docFile: m.markdown()}, nil
}
