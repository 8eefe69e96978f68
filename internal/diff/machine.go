package diff

import (
	"bytes"
	"maps"
	"path"
	"slices"
	"strings"

	"muster/internal/layout"
	"muster/internal/plan"
	"muster/internal/render"
)

// Effect is what the changes mean for a machine.
type Effect string

// The effects. Documents act at first boot only, so no change reaches a machine that has booted.
const (
	Nothing       Effect = "nothing"
	NextFirstBoot Effect = "next-first-boot"
	NewInstance   Effect = "new-instance"
	New           Effect = "new"
	Gone          Effect = "gone"
	ServeAgain    Effect = "serve-again"
)

// meanings are the effects in words.
var meanings = map[Effect]string{
	Nothing:       "nothing: what it boots with stays the same",
	NextFirstBoot: "takes effect at its next first boot; a machine that has booted already stays as it is",
	NewInstance:   "its instance-id changes: cloud-init takes a machine that boots with this again for a new one, and runs everything",
	New:           "new: it joins when it boots with its document",
	Gone:          "gone from the spec: its machine stays as it is; drain it, delete its Node and wipe it to take it out",
	ServeAgain:    "serve the folder again; machines that boot over the network from then on get it",
}

// Machine is what the changes mean for one node or pool, or for the folder that is served to all of them.
type Machine struct {
	// Folder is that of the machine below the output folder, or pxe.
	Folder string `json:"folder"`
	Effect Effect `json:"effect"`
	// Meaning is the effect in words.
	Meaning string `json:"meaning"`
}

// machinesMean adds what the changes mean for each machine.
func (c *comparison) machinesMean() error {
	for _, m := range c.machines {
		folder := m.Folder()
		effect, err := c.effect(folder)
		if err != nil {
			return err
		}
		c.mean(folder, effect)
	}
	for _, folder := range slices.Sorted(maps.Keys(c.known)) {
		if folder != "" && !c.wantsMachine(folder) {
			c.mean(folder, Gone)
		}
	}
	if slices.ContainsFunc(c.report.Files, func(f File) bool { return strings.HasPrefix(f.Path, layout.PXE+"/") }) {
		c.mean(layout.PXE, ServeAgain)
	}
	return nil
}

func (c *comparison) mean(folder string, effect Effect) {
	c.report.Machines = append(c.report.Machines, Machine{folder, effect, meanings[effect]})
}

func (c *comparison) wantsMachine(folder string) bool {
	return slices.ContainsFunc(c.machines, func(m plan.Machine) bool { return m.Folder() == folder })
}

// effect looks at what the machine boots with: the files of its folder itself. The readable copies below it are for people.
func (c *comparison) effect(folder string) (Effect, error) {
	if !c.known[folder] {
		return New, nil
	}
	effect := Nothing
	for _, f := range c.report.Files {
		if path.Dir(f.Path) != folder {
			continue
		}
		effect = NextFirstBoot
		if path.Base(f.Path) == render.MetaData && f.Old != nil && f.New != nil {
			old, err := c.onDisk(f.Path)
			if err != nil {
				return "", err
			}
			if !bytes.Equal(instanceID(old), instanceID(c.wanted[f.Path])) {
				return NewInstance, nil
			}
		}
	}
	return effect, nil
}

// instanceID is the line of meta-data that tells cloud-init whether a machine is new.
func instanceID(metaData []byte) []byte {
	for line := range bytes.Lines(metaData) {
		if bytes.HasPrefix(line, []byte("instance-id:")) {
			return line
		}
	}
	return nil
}
