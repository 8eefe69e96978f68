package pxe

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

var update = flag.Bool("update", false, "rewrite testdata/pxe.txtar")

// cluster is one machine of each kind.
func cluster() Tree {
	p := Tree{
		BaseURL: "http://pxe.example.com",
		Assets:  []Asset{{"os/linux", "from here"}, {"os/initrd", "from here"}, {"flat/vmlinuz", "from\nthere\n"}},
	}
	ignition := "ignition.config.url="
	p.Machines = []Machine{
		{
			Name: "n1", MAC: "52:54:00:12:34:56", Lease: "192.0.2.11", Kernel: "os/linux", Initrds: []string{"os/initrd", "os/more.img"},
			Args:      []string{"ds=nocloud-net;i=c.n1;s=" + p.DocumentsURL(false, "n1") + "/", "quiet"},
			Documents: []File{{Name: "user-data", Data: []byte("#cloud-config\n")}, {Name: "vendor-data"}},
		},
		{
			Name: "n2.example.com", MAC: "52:54:00:12:34:57", Kernel: "flat/vmlinuz", Initrds: []string{"flat/cpio.gz"},
			Args:         []string{ignition + p.DocumentsURL(false, "n2.example.com") + "/config.ign"},
			MatchboxArgs: []string{ignition + p.MatchboxIgnitionURL("52:54:00:12:34:57")},
			Documents:    []File{{Name: "config.ign", Data: []byte("{}")}}, Ignition: "config.ign",
		},
		{
			Name: "burst", Pool: true, Kernel: "flat/vmlinuz", Initrds: []string{"flat/cpio.gz"},
			Args:         []string{ignition + p.DocumentsURL(true, "burst") + "/config.ign"},
			MatchboxArgs: []string{"unused"},
			Documents:    []File{{Name: "config.ign", Data: []byte("{}")}}, Ignition: "config.ign",
		},
	}
	return p
}

func filesOf(t *testing.T, p Tree) []File {
	t.Helper()
	files, err := p.Files()
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// TestFiles pins the whole tree. What firmware makes of it is tested where documents are at hand, in package generate.
func TestFiles(t *testing.T) {
	got := &txtar.Archive{}
	for _, f := range filesOf(t, cluster()) {
		got.Files = append(got.Files, txtar.File{Name: f.Name, Data: f.Data})
	}
	const golden = "testdata/pxe.txtar"
	if *update {
		if err := os.WriteFile(golden, txtar.Format(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(txtar.Format(got))); diff != "" {
		t.Errorf("the tree differs; if it is meant, run go test ./internal/media/pxe -update (-want +got):\n%s", diff)
	}
}

// TestFilesLeavesItsArgument runs twice on one value.
func TestFilesLeavesItsArgument(t *testing.T) {
	p := cluster()
	first := filesOf(t, p)
	if diff := cmp.Diff(cluster(), p); diff != "" {
		t.Errorf("Files changed its argument:\n%s", diff)
	}
	if diff := cmp.Diff(first, filesOf(t, p)); diff != "" {
		t.Errorf("two runs differ:\n%s", diff)
	}
}

// TestBaseURLWithPath: what serves a tree below a path is told of the path, and what cannot is not named.
func TestBaseURLWithPath(t *testing.T) {
	for _, base := range []string{"http://pxe.example.com/muster", "https://pxe.example.com/muster"} {
		p := cluster()
		p.BaseURL = base
		for _, f := range filesOf(t, p) {
			switch {
			case strings.HasPrefix(f.Name, "matchbox/"):
				t.Errorf("%s: matchbox, which serves from the root only, gets %s", base, f.Name)
			case f.Name != "README.txt":
			case !bytes.Contains(f.Data, []byte("location /muster/ { alias /path/to/out/pxe/; }")), bytes.Contains(f.Data, []byte("matchbox")),
				bytes.Contains(f.Data, []byte("http.server")):
				t.Errorf("%s: %s", base, f.Data)
			}
		}
	}
}

// TestMatchbox reads the data folder with the fields of matchbox's own types (storagepb.Profile, storagepb.RichGroup), as
// of 0.11, and follows its references.
func TestMatchbox(t *testing.T) {
	files := map[string][]byte{}
	for _, f := range filesOf(t, cluster()) {
		if rest, ok := strings.CutPrefix(f.Name, "matchbox/"); ok {
			files[rest] = f.Data
		}
	}
	var group struct {
		ID, Name, Profile string
		Selector          map[string]string
		Metadata          map[string]any
	}
	strictly(t, files["groups/n2.example.com.json"], &group)
	if group.ID != "n2.example.com" || group.Selector["mac"] != "52:54:00:12:34:57" || len(group.Selector) != 1 {
		t.Errorf("the group is %+v", group)
	}
	var profile struct {
		ID, Name   string
		IgnitionID string `json:"ignition_id"`
		CloudID    string `json:"cloud_id"`
		GenericID  string `json:"generic_id"`
		Boot       struct {
			Kernel       string
			Initrd, Args []string
		}
	}
	strictly(t, files["profiles/"+group.Profile+".json"], &profile)
	if profile.ID != group.Profile || profile.Boot.Kernel != "/assets/flat/vmlinuz" || !slices.Equal(profile.Boot.Initrd, []string{"/assets/flat/cpio.gz"}) {
		t.Errorf("the profile is %+v", profile)
	}
	// matchbox serves a name with this ending as it is, and any other through a template.
	if !strings.HasSuffix(profile.IgnitionID, ".ign") || files["ignition/"+profile.IgnitionID] == nil {
		t.Errorf("the profile's Ignition document is %q; there are %v", profile.IgnitionID, files)
	}
	if want := []string{"initrd=cpio.gz", "ignition.config.url=http://pxe.example.com/ignition?mac=52-54-00-12-34-57"}; !slices.Equal(profile.Boot.Args, want) {
		t.Errorf("the kernel's arguments are %q, want %q", profile.Boot.Args, want)
	}
	if len(files) != 3 {
		t.Errorf("matchbox's folder has %d files, want those of the one node with Ignition", len(files))
	}
}

func strictly(t *testing.T, data []byte, into any) {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		t.Fatalf("%v: %s", err, data)
	}
}

func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		want   string
		change func(*Tree)
	}{
		{"the base URL stands in", func(p *Tree) { p.BaseURL = "http://h/a;b" }},
		{"the base URL stands in", func(p *Tree) { p.BaseURL = "http://h/" }},
		{"the base URL stands in", func(p *Tree) { p.BaseURL = "tftp://h" }},
		{"the base URL stands in", func(p *Tree) { p.BaseURL = "http://h/\nshell" }},
		{`"N1" is no DNS name`, func(p *Tree) { p.Machines[0].Name = "N1" }},
		{`n1: "52-54-00-12-34-56" is no MAC`, func(p *Tree) { p.Machines[0].MAC = "52-54-00-12-34-56" }},
		{`n1: "" is no MAC`, func(p *Tree) { p.Machines[0].MAC = "" }},
		{`"/linux" is no path`, func(p *Tree) { p.Machines[0].Kernel = "/linux" }},
		{`"a/../b" is no path`, func(p *Tree) { p.Machines[0].Initrds = []string{"a/../b"} }},
		{`"a b" is no path`, func(p *Tree) { p.Machines[0].Initrds = []string{"a b"} }},
		{"two initrds are called i", func(p *Tree) { p.Machines[0].Initrds = []string{"a/i", "b/i"} }},
		{`the kernel argument "" has`, func(p *Tree) { p.Machines[0].Args = []string{""} }},
		{`the kernel argument "a\"b\"" has`, func(p *Tree) { p.Machines[0].Args = []string{`a"b"`} }},
		{`the kernel argument "a\nboot" has`, func(p *Tree) { p.Machines[0].Args = []string{"a\nboot"} }},
		{`the kernel argument "${net0/mac}" has`, func(p *Tree) { p.Machines[0].Args = []string{"${net0/mac}"} }},
		{`the kernel argument "#a" has`, func(p *Tree) { p.Machines[0].Args = []string{"#a"} }},
		{`the kernel argument "||" has`, func(p *Tree) { p.Machines[0].Args = []string{"||"} }},
		{`n2.example.com: the kernel argument "a b" has`, func(p *Tree) { p.Machines[1].MatchboxArgs = []string{"a b"} }},
		{"command line has 2048 bytes", func(p *Tree) {
			p.Machines[0].Initrds, p.Machines[0].Args = nil, []string{strings.Repeat("a", 2048)}
		}},
		{"n2.example.com: the kernel's command line has", func(p *Tree) { p.Machines[1].MatchboxArgs = []string{strings.Repeat("a", 2048)} }},
		{"n2.example.com: the Ignition document", func(p *Tree) { p.Machines[1].Ignition = "other.ign" }},
	} {
		p := cluster()
		c.change(&p)
		_, err := p.Files()
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("the error is %v, want one that says %q", err, c.want)
		}
	}
	p := cluster()
	p.Machines[0].MAC, p.Machines[1].Kernel = "", ""
	if _, err := p.Files(); err == nil || !strings.Contains(err.Error(), "n1: ") || !strings.Contains(err.Error(), "n2.example.com: ") {
		t.Errorf("the error names not both machines: %v", err)
	}
	p = cluster()
	p.Machines[0].Initrds, p.Machines[0].Args = nil, []string{strings.Repeat("a", 2047)}
	if _, err := p.Files(); err != nil {
		t.Errorf("a command line of 2047 bytes is refused: %v", err)
	}
}
