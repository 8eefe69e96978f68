package spec

import (
	"archive/zip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestTimezones: timezones.txt names nothing that the tz database of Go's tree does not have. -update rewrites it from
// there, but for Factory, which means that no zone was chosen. That Go has a name more does not fail: a newer Go may.
func TestTimezones(t *testing.T) {
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	database, err := zip.OpenReader(filepath.Join(strings.TrimSpace(string(root)), "lib/time/zoneinfo.zip"))
	if err != nil {
		t.Fatal(err)
	}
	defer database.Close()
	var names []string
	for _, zone := range database.File {
		if zone.Name != "Factory" {
			names = append(names, zone.Name)
		}
	}
	if *update {
		if err := os.WriteFile("timezones.txt", []byte(strings.Join(names, "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, zone := range timezones {
		if !slices.Contains(names, zone) || !timezoneName.MatchString(zone) {
			t.Errorf("%s is no time zone of Go's, or an editor would refuse it", zone)
		}
	}
}
