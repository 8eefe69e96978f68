package diff_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"muster/internal/diff"
	"muster/internal/generate"
	"muster/internal/node"
	"muster/internal/outdir"
	"muster/internal/plan"
	"muster/internal/problem"
)

const hosts = "nodes/k8s-node1/files/etc/hosts"

// spec is a small cluster that both formats can boot.
const spec = `apiVersion: muster/v1
kind: Cluster
metadata: {name: k8s}
spec:
  profile: debian12-containerd
  kubernetes: {version: v1.34.4}
  users: [{name: admin, passwordHash: "$6$salt$firstfirstfirstfirstfirstfirstfirstfirstfirstfirstfirstfirstfirstfirstfirstfirstfirst1"}]
  nodes:
    - {name: k8s-master, role: control-plane, address: 192.168.31.130}
    - {name: k8s-node1, role: worker, address: 192.168.31.128}
    - {name: k8s-flat, role: worker, address: 192.168.31.127, profile: flatcar-containerd, users: []}
`

// generated runs gen's stages on the spec with some of its text replaced.
func generated(t *testing.T, replace ...string) *generate.Result {
	t.Helper()
	return generatedWith(t, generate.ForTests(), replace...)
}

func generatedWith(t *testing.T, options generate.Options, replace ...string) *generate.Result {
	t.Helper()
	path := filepath.Join(t.TempDir(), "cluster.yaml")
	if err := os.WriteFile(path, []byte(strings.NewReplacer(replace...).Replace(spec)), 0o600); err != nil {
		t.Fatal(err)
	}
	var problems problem.List
	r, err := generate.FromFile(path, options, &problems)
	if err != nil || problems.Failed() {
		t.Fatal(err, problems.Sorted())
	}
	return r
}

// written is a folder that gen has written the spec to.
func written(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "out")
	if _, err := outdir.Write(dir, generated(t).Tree, outdir.Options{}); err != nil {
		t.Fatal(err)
	}
	return dir
}

func compared(t *testing.T, dir string, r *generate.Result) *diff.Report {
	t.Helper()
	report, err := diff.Of(dir, r.Tree, r.Machines)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func fileOf(t *testing.T, r *diff.Report, path string) diff.File {
	t.Helper()
	for _, f := range r.Files {
		if f.Path == path {
			return f
		}
	}
	var all []string
	for _, f := range r.Files {
		all = append(all, f.Path)
	}
	t.Fatalf("%s is not in the report: %s", path, strings.Join(all, " "))
	return diff.File{}
}

func effects(r *diff.Report) string {
	var all []string
	for _, m := range r.Machines {
		all = append(all, m.Folder+"="+string(m.Effect))
	}
	return strings.Join(all, " ")
}

func printed(t *testing.T, r *diff.Report, color bool) string {
	t.Helper()
	var out strings.Builder
	if err := diff.Print(&out, r, color); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// TestNothing: the same spec changes nothing, whatever the permissions are, and nothing is printed.
func TestNothing(t *testing.T) {
	dir := written(t)
	loosen := func(path string, d fs.DirEntry, err error) error {
		mode := fs.FileMode(0o644)
		if err == nil && d.IsDir() {
			mode = 0o755
		}
		return os.Chmod(path, mode)
	}
	if err := filepath.WalkDir(dir, loosen); err != nil {
		t.Fatal(err)
	}
	r := compared(t, dir, generated(t))
	if r.Differs() || effects(r) != "nodes/k8s-master=nothing nodes/k8s-node1=nothing nodes/k8s-flat=nothing" {
		t.Errorf("%v %s", r.Files, effects(r))
	}
	if out := printed(t, r, true); out != "" {
		t.Errorf("printed %q", out)
	}
}

// TestChangedValue: a value is shown where it stands, in every file, documents without what they embed.
func TestChangedValue(t *testing.T) {
	dir := written(t)
	r := compared(t, dir, generated(t, "192.168.31.128", "192.168.31.228"))
	f := fileOf(t, r, hosts)
	if f.Change != diff.Changed || f.ByHand != "" || !strings.Contains(f.Text, "--- a/"+hosts+"\n+++ b/"+hosts+"\n@@ ") ||
		!strings.Contains(f.Text, "\n-192.168.31.128 k8s-node1\n") || !strings.Contains(f.Text, "\n+192.168.31.228 k8s-node1\n") {
		t.Errorf("%+v", f)
	}
	for _, document := range []string{"nodes/k8s-node1/user-data", "nodes/k8s-flat/config.ign"} {
		if f := fileOf(t, r, document); f.Text != "" || len(f.Words) > 0 || f.Note != "see the files below" {
			t.Errorf("%s: note %q, text %q, words %q", document, f.Note, f.Text, f.Words)
		}
	}
	if f := fileOf(t, r, "nodes/k8s-node1/seed.iso"); f.Text != "" || f.Old.SHA256 == f.New.SHA256 || f.New.Size == 0 {
		t.Errorf("%+v", f)
	}
	if got := effects(r); got != "nodes/k8s-master=next-first-boot nodes/k8s-node1=next-first-boot nodes/k8s-flat=next-first-boot" {
		t.Error(got)
	}
	var order []string
	for _, f := range r.Files {
		order = append(order, f.Path)
	}
	if documents, files := strings.Index(strings.Join(order, " "), "nodes/k8s-node1/user-data"), strings.Index(strings.Join(order, " "), hosts); documents > files {
		t.Error("the files stand above the document that says they are below")
	}
}

// TestFileNamedLikeTheImage: a user's own seed.iso is a file like any other.
func TestFileNamedLikeTheImage(t *testing.T) {
	with := func(text string) *generate.Result {
		return generated(t, "users: []", "users: [], files: [{path: /opt/seed.iso, contents: "+text+"}]")
	}
	dir := filepath.Join(t.TempDir(), "out")
	if _, err := outdir.Write(dir, with("one").Tree, outdir.Options{}); err != nil {
		t.Fatal(err)
	}
	f := fileOf(t, compared(t, dir, with("two")), "nodes/k8s-flat/files/opt/seed.iso")
	if f.Note != "" || !strings.Contains(f.Text, "\n-one\n") || !strings.Contains(f.Text, "\n+two\n") {
		t.Errorf("note %q, text %q", f.Note, f.Text)
	}
}

// TestPrintedOnce: the same change of several machines is shown once, and still listed for each.
func TestPrintedOnce(t *testing.T) {
	r := compared(t, written(t), generated(t, "192.168.31.128", "192.168.31.228"))
	out := printed(t, r, false)
	if n := strings.Count(out, "+192.168.31.228 k8s-node1\n"); n != 1 {
		t.Errorf("the change of /etc/hosts is shown %d times:\n%s", n, out)
	}
	for _, want := range []string{
		"\nchanged " + hosts + "\n  the same change as in nodes/k8s-flat/files/etc/hosts\n",
		"\nnodes/k8s-node1   takes effect at its next first boot",
		"changed nodes/k8s-node1/user-data: see the files below\n  from ",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	if strings.Contains(out, "\x1b") {
		t.Error("colours without a terminal")
	}
	if colored := printed(t, r, true); !strings.Contains(colored, "\x1b[31m-192.168.31.128 k8s-node1\x1b[0m\n\x1b[32m+192.168.31.228 k8s-node1\x1b[0m\n") {
		t.Errorf("no colours:\n%s", colored)
	}
}

// TestDocumentInWords: what a document says beside the files that it embeds is told in words.
func TestDocumentInWords(t *testing.T) {
	r := compared(t, written(t), generated(t, "users: []", "users: [{name: core, groups: [docker]}], network: {interface: eth0, netmask: 255.255.255.0, gateway: 192.168.31.2}"))
	f := fileOf(t, r, "nodes/k8s-flat/config.ign")
	for _, want := range []string{"+ user core shell /bin/bash with no password", "+ user core group docker", "+ ethernet eth0 address 192.168.31.127/24", "+ ethernet eth0 gateway 192.168.31.2"} {
		if !slices.Contains(f.Words, want) {
			t.Errorf("%q is not in %q", want, f.Words)
		}
	}
	if got := effects(r); got != "nodes/k8s-master=nothing nodes/k8s-node1=nothing nodes/k8s-flat=next-first-boot" {
		t.Error(got)
	}
}

// TestUndescribedContents: what no file beside a document shows is told too. User-data holds the addresses that
// network-config gives, to wait for them, and every control plane's document holds the rendezvous.
func TestUndescribedContents(t *testing.T) {
	const node1 = "address: 192.168.31.128}"
	with := func(network string) *generate.Result {
		return generated(t, node1, "address: 192.168.31.128, network: {interface: eth0, netmask: 255.255.255.0"+network+"}}")
	}
	dir := filepath.Join(t.TempDir(), "out")
	if _, err := outdir.Write(dir, with(", addresses: [10.6.0.22/24]").Tree, outdir.Options{}); err != nil {
		t.Fatal(err)
	}
	f := fileOf(t, compared(t, dir, with("")), "nodes/k8s-node1/user-data")
	if f.Note != "its check of the network's addresses differs" || len(f.Words) > 0 {
		t.Errorf("note %q, words %q", f.Note, f.Words)
	}
	options := generate.ForTests()
	program := options.Program
	options.Program = func(architecture string) ([]byte, error) { return program(architecture + " of another release") }
	r := compared(t, dir, generatedWith(t, options, node1, "address: 192.168.31.128, network: {interface: eth0, netmask: 255.255.255.0, addresses: [10.6.0.22/24]}}"))
	f = fileOf(t, r, "nodes/k8s-master/user-data")
	if len(f.Words) != 2 || !strings.HasPrefix(f.Words[1], "+ program /usr/local/bin/rendezvous mode 0755 sha256 ") || f.Note != "" {
		t.Errorf("note %q, words %q", f.Note, f.Words)
	}
}

// TestSecrets: neither a password nor a secret file is shown, in no form; that they differ is.
func TestSecrets(t *testing.T) {
	dir := written(t)
	changed := generated(t, "firstfirst", "otherother")
	r := compared(t, dir, changed)
	if f := fileOf(t, r, "nodes/k8s-node1/user-data"); f.Text != "" || f.Note != "secret content differs: the password of user admin" {
		t.Errorf("%+v", f)
	}
	secret := func(text string) ([]outdir.File, []plan.Machine) {
		tree := append(generated(t).Tree, outdir.File{Path: "nodes/k8s-node1/files/etc/muster/key", Pieces: [][]byte{[]byte("hush " + text + "\n")}})
		m := plan.Machine{Config: node.Config{Name: "k8s-node1", Files: []node.File{{Path: "/etc/muster/key", Secret: true}}}}
		return tree, append(generated(t).Machines, m)
	}
	tree, _ := secret("one")
	if _, err := outdir.Write(dir, tree, outdir.Options{}); err != nil {
		t.Fatal(err)
	}
	tree, machines := secret("two")
	hidden, err := diff.Of(dir, tree, machines)
	if err != nil {
		t.Fatal(err)
	}
	if f := fileOf(t, hidden, "nodes/k8s-node1/files/etc/muster/key"); f.Text != "" || f.Note != "secret content differs" {
		t.Errorf("%+v", f)
	}
	for _, out := range []string{printed(t, r, false), printed(t, hidden, false)} {
		for _, word := range []string{"hush", "firstfirst", "otherother"} {
			if strings.Contains(out, word) {
				t.Errorf("%s is shown:\n%s", word, out)
			}
		}
	}
}

// TestSecretsThatGo: a secret file is not shown either where the new spec has none of its kind.
func TestSecretsThatGo(t *testing.T) {
	dir := written(t)
	for _, r := range []*generate.Result{
		generated(t, "k8s-node1, role: worker", "k8s-node1, role: control-plane", "k8s-flat, role: worker, address: 192.168.31.127, profile: flatcar-containerd",
			"k8s-flat, role: control-plane, address: 192.168.31.127"),
		generated(t, "kubernetes: {", "kubernetes: {dryRun: true, "),
	} {
		report := compared(t, dir, r)
		if f := fileOf(t, report, "nodes/k8s-node1/files/etc/muster/rendezvous/grant"); f.Change != diff.Removed || f.Note != "secret content differs" {
			t.Errorf("%+v", f)
		}
		for _, f := range report.Files {
			if strings.Contains(f.Text, "PRIVATE KEY") || strings.Contains(f.Text, "Bearer") {
				t.Errorf("%s is shown:\n%s", f.Path, f.Text)
			}
		}
	}
}

// TestByHand: what people did to the folder is told apart from what the spec changes.
func TestByHand(t *testing.T) {
	dir := written(t)
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(hosts, "mine\n")
	write("notes.txt", "somebody else's\n")
	if err := os.Remove(filepath.Join(dir, "nodes/k8s-flat/files/etc/hosts")); err != nil {
		t.Fatal(err)
	}
	r := compared(t, dir, generated(t))
	if f := fileOf(t, r, hosts); f.ByHand != "edited" || f.Change != diff.Changed || !strings.Contains(f.Text, "\n-mine\n") {
		t.Errorf("%+v", f)
	}
	if f := fileOf(t, r, "nodes/k8s-flat/files/etc/hosts"); f.ByHand != "removed" || f.Change != diff.Added {
		t.Errorf("%+v", f)
	}
	if len(r.Files) != 2 {
		t.Errorf("%d files differ, want the two: %v", len(r.Files), r.Files)
	}
	if got := effects(r); got != "nodes/k8s-master=nothing nodes/k8s-node1=nothing nodes/k8s-flat=nothing" {
		t.Errorf("readable copies mean nothing to machines: %s", got)
	}
	write("nodes/k8s-node1/user-data", "#cloud-config\nmine: true\n")
	r = compared(t, dir, generated(t))
	if f := fileOf(t, r, "nodes/k8s-node1/user-data"); f.ByHand != "edited" || f.Text != "" || !strings.Contains(f.Note, "cannot be read") {
		t.Errorf("%+v", f)
	}
	if got := effects(r); got != "nodes/k8s-master=nothing nodes/k8s-node1=next-first-boot nodes/k8s-flat=nothing" {
		t.Error(got)
	}
}

// TestLinkInPlaceOfFile: gen replaces what somebody put in the place of a file, so that is told, and nothing reads through it.
func TestLinkInPlaceOfFile(t *testing.T) {
	dir := written(t)
	theirs := filepath.Join(t.TempDir(), "theirs")
	if err := os.WriteFile(theirs, []byte("not to be shown\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	links := []string{"nodes/k8s-node1/meta-data", hosts, "nodes/k8s-flat/files/etc/hosts"}
	for _, name := range links {
		if err := errors.Join(os.Remove(filepath.Join(dir, name)), os.Symlink(theirs, filepath.Join(dir, name))); err != nil {
			t.Fatal(err)
		}
	}
	const flat = "    - {name: k8s-flat, role: worker, address: 192.168.31.127, profile: flatcar-containerd, users: []}\n"
	changed := generated(t, flat, "")
	r := compared(t, dir, changed)
	for _, name := range links {
		if f := fileOf(t, r, name); f.ByHand != "edited" || !strings.Contains(f.Note, "stands in its place") || f.Old != nil || (f.New == nil) != (f.Change == diff.Removed) {
			t.Errorf("%+v", f)
		}
	}
	if out := printed(t, r, false); strings.Contains(out, "not to be shown") {
		t.Errorf("the link was followed:\n%s", out)
	}
	if _, err := outdir.Write(dir, changed.Tree, outdir.Options{}); err != nil {
		t.Errorf("gen does not replace it: %v", err)
	}
}

// TestEditedToWhatIsWanted: an edit that says what the spec says now still leaves gen something to write.
func TestEditedToWhatIsWanted(t *testing.T) {
	dir := written(t)
	changed := generated(t, "192.168.31.128", "192.168.31.228")
	for _, f := range changed.Tree {
		if err := os.WriteFile(filepath.Join(dir, f.Path), f.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if r := compared(t, dir, changed); len(r.Files) != 1 || r.Files[0].Path != "manifest.json" {
		t.Errorf("%v", r.Files)
	}
}

// TestMachinesComeAndGo: new and removed machines are told, and a folder that is not there is all new.
func TestMachinesComeAndGo(t *testing.T) {
	const node1 = "    - {name: k8s-node1, role: worker, address: 192.168.31.128}\n"
	dir := written(t)
	r := compared(t, dir, generated(t, node1, "    - {name: k8s-node9, role: worker, address: 192.168.31.129}\n"))
	if got := effects(r); got != "nodes/k8s-master=next-first-boot nodes/k8s-node9=new nodes/k8s-flat=next-first-boot nodes/k8s-node1=gone" {
		t.Error(got)
	}
	if f := fileOf(t, r, hosts); f.Change != diff.Removed || f.New != nil || f.Old == nil {
		t.Errorf("%+v", f)
	}
	if f := fileOf(t, r, "nodes/k8s-node9/files/etc/hosts"); f.Change != diff.Added || f.Old != nil || f.New == nil {
		t.Errorf("%+v", f)
	}
	none := compared(t, filepath.Join(t.TempDir(), "none"), generated(t))
	if !none.Differs() || effects(none) != "nodes/k8s-master=new nodes/k8s-node1=new nodes/k8s-flat=new" {
		t.Error(effects(none))
	}
}

// TestPoolsComeAndGo: a pool is told from a node, and from one that another spec wrote.
func TestPoolsComeAndGo(t *testing.T) {
	pool := func(name string) *generate.Result {
		return generated(t, "  nodes:", "  pools: [{name: "+name+", role: worker, maxNodes: 3}]\n  nodes:")
	}
	dir := filepath.Join(t.TempDir(), "out")
	if _, err := outdir.Write(dir, pool("burst").Tree, outdir.Options{}); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"burst": "pools/burst=nothing", "other": "pools/other=new pools/burst=gone"} {
		nodes := "nodes/k8s-master=nothing nodes/k8s-node1=nothing nodes/k8s-flat=nothing "
		if got := effects(compared(t, dir, pool(name))); got != nodes+want {
			t.Errorf("%s: %s, want %s", name, got, nodes+want)
		}
	}
}

// TestRenamedCluster: a new instance-id runs everything again, which is said.
func TestRenamedCluster(t *testing.T) {
	r := compared(t, written(t), generated(t, "metadata: {name: k8s}", "metadata: {name: other}"))
	if got := effects(r); got != "nodes/k8s-master=new-instance nodes/k8s-node1=new-instance nodes/k8s-flat=next-first-boot" {
		t.Error(got)
	}
	if f := fileOf(t, r, "nodes/k8s-node1/meta-data"); !strings.Contains(f.Text, "\n-instance-id: \"k8s.k8s-node1\"\n") {
		t.Errorf("%q", f.Text)
	}
}

// TestHostileContents: what a file holds cannot command a terminal.
func TestHostileContents(t *testing.T) {
	r := &diff.Report{Files: []diff.File{{Path: "a", Change: diff.Changed, Text: "--- a/a\n+++ b/a\n@@ -1,1 +1,1 @@\n-\x1b]0;x\x07\n+\u202eb\u200b\u2028\r\n"}}}
	want := `-\u001b]0;x\u0007` + "\n" + `+\u202eb\u200b\u2028\u000d` + "\n"
	if out := printed(t, r, false); strings.ContainsAny(out, "\x1b\x07\u202e\u200b\u2028\r") || !strings.Contains(out, want) {
		t.Errorf("%q", out)
	}
	r.Files[0].Path = "a\nadded b"
	if out := printed(t, r, false); strings.Contains(out, "\nadded b") {
		t.Errorf("the name of a file makes a line of its own: %q", out)
	}
}

// TestNothingWritten: comparing leaves the folder and what lies beside it alone.
func TestNothingWritten(t *testing.T) {
	dir := written(t)
	before := listing(t, filepath.Dir(dir))
	compared(t, dir, generated(t, "192.168.31.128", "192.168.31.228"))
	if after := listing(t, filepath.Dir(dir)); after != before {
		t.Errorf("before\n%s\nafter\n%s", before, after)
	}
}

// listing is every file below a folder with its time.
func listing(t *testing.T, root string) string {
	t.Helper()
	var out strings.Builder
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		out.WriteString(path + " " + info.ModTime().String() + "\n")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.String()
}
