package pxe

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
)

// The files of a matchbox data folder (https://matchbox.psdn.io/matchbox/): a group maps machines to a profile, a profile
// says what is booted, and names the Ignition document, which is served as it is because of the ending .ign.
type (
	matchboxGroup struct {
		ID       string            `json:"id"`
		Name     string            `json:"name"`
		Profile  string            `json:"profile"`
		Selector map[string]string `json:"selector"`
	}
	matchboxProfile struct {
		ID         string       `json:"id"`
		Name       string       `json:"name"`
		Boot       matchboxBoot `json:"boot"`
		IgnitionID string       `json:"ignition_id"`
	}
	matchboxBoot struct {
		Kernel string   `json:"kernel"`
		Initrd []string `json:"initrd"`
		Args   []string `json:"args"`
	}
)

// byMatchbox reports whether matchbox can serve a machine: not one of a pool, which no selector finds, not one without an
// Ignition document, since matchbox serves no seed of cloud-init, and none below a path, where matchbox serves nothing.
func (t Tree) byMatchbox(m Machine) bool { return !m.Pool && m.Ignition != "" && t.url().Path == "" }

// matchbox returns a machine's part of matchbox's data folder.
func (t Tree) matchbox(m Machine) ([]File, error) {
	if !t.byMatchbox(m) {
		return nil, nil
	}
	at := slices.IndexFunc(m.Documents, func(d File) bool { return d.Name == m.Ignition })
	if at < 0 {
		return nil, fmt.Errorf("the Ignition document %q is not among the documents", m.Ignition)
	}
	boot := matchboxBoot{Kernel: "/assets/" + m.Kernel, Initrd: []string{}, Args: m.commandLine(m.MatchboxArgs)}
	for _, initrd := range m.Initrds {
		boot.Initrd = append(boot.Initrd, "/assets/"+initrd)
	}
	group, err := encodeJSON(matchboxGroup{ID: m.Name, Name: m.Name, Profile: m.Name, Selector: map[string]string{"mac": m.MAC}})
	if err != nil {
		return nil, err
	}
	profile, err := encodeJSON(matchboxProfile{ID: m.Name, Name: m.Name, Boot: boot, IgnitionID: m.Name + ".ign"})
	if err != nil {
		return nil, err
	}
	return []File{
		{Name: "matchbox/groups/" + m.Name + ".json", Data: group},
		{Name: "matchbox/profiles/" + m.Name + ".json", Data: profile},
		{Name: "matchbox/ignition/" + m.Name + ".ign", Data: m.Documents[at].Data},
	}, nil
}

// encodeJSON keeps & and the like readable: these files are read by people, not by browsers.
func encodeJSON(v any) ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}
