package main

import (
	_ "embed"
	"fmt"
	"io/fs"
	"strings"

	"muster/profiles"
)

// profileIntro is the text of the profiles' page before its tables.
//
//go:embed profile.md
var profileIntro string

// profilePage is the page about profiles, for people.
func profilePage(project fs.FS) ([]byte, error) {
	s, err := readSource(project, profileFolder)
	if err != nil {
		return nil, err
	}
	m, err := modelOf[profiles.Profile](s)
	if err != nil {
		return nil, err
	}
	var out strings.Builder
	out.WriteString(profileIntro)
	for _, b := range m.blocks {
		fmt.Fprintf(&out, "\n## %s\n\n%s\n\n| Key | Type | Meaning | Example |\n|---|---|---|---|\n", escape(m.title(b)), escape(b.doc))
		for _, f := range b.fields {
			meaning := escape(f.doc)
			if f.required {
				meaning = "**Required.** " + meaning
			}
			fmt.Fprintf(&out, "| %s | %s | %s | %s |\n", code(f.key), m.typeText(f, f.shape, false), meaning, code(f.key+": "+f.example))
		}
	}
	return []byte(out.String()), nil
}
