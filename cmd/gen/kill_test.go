//go:build linux

package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"muster/internal/outdir"
)

// small and large are two specs of one cluster. A dry run of kubeadm needs no rendezvous, so that a clean clone passes.
const (
	small = `apiVersion: muster/v1
kind: Cluster
metadata: {name: k8s}
spec:
  profile: centos7-docker
  kubernetes: {version: v1.17.4, dryRun: true}
  cni: {flannel: {version: v0.20.0}}
  nodes:
    - {name: cp1, role: control-plane, address: 10.8.0.11}
`
	large = small + "    - {name: w1, role: worker, address: 10.8.0.21}\n"
)

// place is a folder with the two specs, in which gen runs.
type place struct {
	t      *testing.T
	gen    string
	folder string
	// specs are the specs' names, and trees what out/ holds after a run with each.
	specs [2]string
	trees [2]map[string]string
}

func newPlace(t *testing.T, gen string) *place {
	t.Helper()
	p := &place{t: t, gen: gen, folder: t.TempDir(), specs: [2]string{"large.yaml", "small.yaml"}}
	for i, text := range []string{large, small} {
		if err := os.WriteFile(filepath.Join(p.folder, p.specs[i]), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// filled is a place whose out/ was written, with the small spec last.
func filled(t *testing.T, gen string) *place {
	t.Helper()
	p := newPlace(t, gen)
	for i, spec := range p.specs {
		p.mustRun(spec)
		p.trees[i] = snapshot(t, p.path("out"))
	}
	return p
}

func (p *place) path(name string) string { return filepath.Join(p.folder, name) }

// args are those of a run that writes out/.
func (p *place) args(spec string) []string {
	return []string{"-spec", p.path(spec), "-secrets", p.path("k8s.secrets"), "-out", p.path("out")}
}

// run runs gen in this process, and returns its exit code and what it said.
func (p *place) run(args ...string) (int, string) {
	var out bytes.Buffer
	code := run(context.Background(), args, &out, &out)
	return code, out.String()
}

func (p *place) mustRun(spec string) {
	p.t.Helper()
	if code, said := p.run(p.args(spec)...); code != exitGood {
		p.t.Fatalf("gen ends with %d: %s", code, said)
	}
}

// snapshot is every path of a tree with its mode and digest, or where it leads.
func snapshot(t *testing.T, root string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		what := ""
		switch {
		case info.Mode().IsRegular():
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			what = fmt.Sprintf("%x", sha256.Sum256(data))
		case info.Mode()&fs.ModeSymlink != 0:
			if what, err = os.Readlink(path); err != nil {
				return err
			}
		}
		all[strings.TrimPrefix(path, root)] = info.Mode().String() + " " + what
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// names lists a folder.
func names(t *testing.T, folder string) []string {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

// clean fails when anything lies beside the specs, the bundle and out/.
func (p *place) clean() {
	p.t.Helper()
	if got, want := names(p.t, p.folder), []string{"k8s.secrets", "large.yaml", "out", "small.yaml"}; !slices.Equal(got, want) {
		p.t.Errorf("the folder holds %q, want %q", got, want)
	}
}

// which tells the spec whose tree out/ is, -1 for none.
func (p *place) which() int {
	got := snapshot(p.t, p.path("out"))
	return slices.IndexFunc(p.trees[:], func(tree map[string]string) bool { return maps.Equal(tree, got) })
}

// working are the names that a run has beside out/ while it works.
func (p *place) working() []string {
	found, err := filepath.Glob(p.path(".out.muster-*"))
	if err != nil {
		p.t.Fatal(err)
	}
	return found
}

// kill starts gen and kills it after a random time: since its start, or since it began to write. It reports whether it was still running.
func (p *place) kill(random *rand.Rand, spec string, writing bool, longest time.Duration) bool {
	p.t.Helper()
	cmd := exec.Command(p.gen, p.args(spec)...)
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for writing && len(p.working()) == 0 && len(ended) == 0 {
		time.Sleep(100 * time.Microsecond)
	}
	time.Sleep(time.Duration(random.Int64N(int64(longest))))
	if err := cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.t.Fatal(err)
	}
	err := <-ended
	var exit *exec.ExitError
	switch {
	case err == nil:
		return false
	case errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL:
		return true
	}
	p.t.Fatalf("gen ends with %v", err)
	return false
}

// TestCutAndObstructed runs the program itself where it is killed, or where something is in its way.
func TestCutAndObstructed(t *testing.T) {
	gen := filepath.Join(t.TempDir(), "gen")
	if out, err := exec.Command("go", "build", "-o", gen, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for name, test := range map[string]func(*testing.T, string){
		"killed": killed, "killed at first": killedAtFirst, "interrupted": interrupted, "disk full": diskFull, "read-only": readOnly, "no right to write": noRight,
		"symlink as out": symlinkAsOut, "symlinks in out": symlinksInOut, "out over the spec": outOverSpec, "several at once": severalAtOnce,
	} {
		t.Run(name, func(t *testing.T) { test(t, gen) })
	}
}

// killed kills gen 200 times, while it writes one tree over another. Every time the old tree or the new one stands whole, gen diff reads it, the
// next run succeeds, and nothing is left beside it.
func killed(t *testing.T, gen string) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	p := filled(t, gen)
	started := time.Now()
	p.mustRun(p.specs[0])
	whole := 2 * time.Since(started) // a process of its own has to start first
	hit, leftovers := 0, 0
	for i := range 200 {
		// Where gen writes is the smaller part of its time, and the one that matters: three of four kills go there.
		longest, writing := whole, i%4 != 0
		if writing {
			longest = whole / 8
		}
		if p.kill(random, p.specs[(i+1)%2], writing, longest) {
			hit++
		}
		if len(p.working()) > 0 {
			leftovers++
		}
		p.standing(i)
		p.mustRun(p.specs[(i+1)%2])
		if p.which() != (i+1)%2 {
			t.Errorf("kill %d: the run after it leaves another tree than that of %s", i, p.specs[(i+1)%2])
		}
		if p.clean(); t.Failed() {
			t.FailNow()
		}
	}
	t.Logf("%d runs were killed, %d in the middle of writing", hit, leftovers)
	if hit < 100 || leftovers < 50 {
		t.Errorf("only %d runs were killed and %d left something: the test proves too little", hit, leftovers)
	}
}

// interrupted interrupts gen while it writes one tree over another. It ends by itself, and says which of the two stands.
func interrupted(t *testing.T, gen string) {
	p := filled(t, gen)
	p.mustRun(p.specs[1])
	stopped := 0
	for i := range 40 {
		cmd := exec.Command(gen, p.args(p.specs[0])...)
		var said bytes.Buffer
		cmd.Stderr = &said
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		for len(p.working()) == 0 && len(ended) == 0 {
			time.Sleep(100 * time.Microsecond)
		}
		time.Sleep(time.Duration(i) * 500 * time.Microsecond)
		signalled := cmd.Process.Signal(os.Interrupt)
		switch err := <-ended; {
		case p.which() == 0 && (err == nil || strings.Contains(said.String(), "gen: wrote ")): // too late; it may even be about to end
		case signalled == nil && cmd.ProcessState.ExitCode() == exitOther && p.which() == 1 && strings.HasSuffix(said.String(), "gen: interrupted, "+p.path("out")+" is as it was: context canceled\n"):
			stopped++
		default:
			t.Fatalf("interrupt %d: gen ends with %v, the tree is number %d, and it says %s", i, err, p.which(), said.String())
		}
		if p.clean(); t.Failed() {
			t.FailNow()
		}
		p.mustRun(p.specs[1])
	}
	t.Logf("%d of 40 runs were stopped", stopped)
	if stopped == 0 {
		t.Error("the test proves nothing")
	}
}

// standing fails unless what a kill left is one of the two trees, by its bytes and for those who read it.
func (p *place) standing(i int) {
	p.t.Helper()
	manifest, err := outdir.Read(p.path("out"))
	if err != nil {
		p.t.Fatalf("kill %d: %v", i, err)
	}
	at := p.which()
	if at < 0 {
		p.t.Fatalf("kill %d: out/ is neither tree; it holds %q", i, slices.Sorted(maps.Keys(snapshot(p.t, p.path("out")))))
	}
	if len(manifest.Files) == 0 {
		p.t.Fatalf("kill %d: the manifest is empty", i)
	}
	if i%10 > 0 {
		return
	}
	for other, spec := range p.specs {
		want := exitProblems // it would change
		if other == at {
			want = exitGood
		}
		if code, said := p.run(append([]string{"diff"}, p.args(spec)...)...); code != want {
			p.t.Fatalf("kill %d: gen diff of %s ends with %d, want %d: %s", i, spec, code, want, said)
		}
	}
}

// killedAtFirst kills first runs: there is no out/ or a whole one, no bundle or a whole one, and the next run makes both.
func killedAtFirst(t *testing.T, gen string) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for i := range 16 {
		p := newPlace(t, gen)
		p.kill(random, p.specs[0], i%2 == 0, 50*time.Millisecond)
		if _, err := outdir.Read(p.path("out")); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("kill %d: %v", i, err)
		}
		p.mustRun(p.specs[0])
		if code, said := p.run(append([]string{"diff"}, p.args(p.specs[0])...)...); code != exitGood {
			t.Fatalf("kill %d: gen diff ends with %d: %s", i, code, said)
		}
		if p.clean(); t.Failed() {
			t.Fatalf("after kill %d", i)
		}
	}
}

// inNamespace runs sh in a mount namespace of its own, with the folder as $1 and gen as $gen, and returns its exit code and all that was said.
func (p *place) inNamespace(script string) (int, string) {
	p.t.Helper()
	cmd := exec.Command("unshare", "--mount", "--propagation", "private", "sh", "-euc", script, "sh", p.folder)
	cmd.Env = append(os.Environ(), "gen="+p.gen)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		p.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

// refused fails unless gen ended with an error that says all of some texts.
func (p *place) refused(code int, said string, texts ...string) {
	p.t.Helper()
	if code != exitOther {
		p.t.Errorf("gen ends with %d, want %d: %s", code, exitOther, said)
	}
	for _, text := range texts {
		if !strings.Contains(said, text) {
			p.t.Errorf("gen does not say %q:\n%s", text, said)
		}
	}
}

// unharmed fails unless out/ is what it was and nothing lies beside it.
func (p *place) unharmed() {
	p.t.Helper()
	if p.which() != 1 {
		p.t.Error("out/ is no longer what it was")
	}
	p.clean()
}

// blocks is what a tree takes on a tmpfs, in KiB.
func blocks(t *testing.T, root string) int64 {
	t.Helper()
	var sum int64
	err := filepath.WalkDir(root, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			sum += (info.Size() + 4095) / 4096 * 4
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

// diskFull writes the large tree where there is room for the small one and half of the large one.
func diskFull(t *testing.T, gen string) {
	p := newPlace(t, gen)
	p.mustRun("small.yaml")
	room := blocks(t, p.path("out"))
	p.mustRun("large.yaml")
	room += blocks(t, p.path("out")) / 2
	code, said := p.inNamespace(fmt.Sprintf(`
		cp -a "$1" "$1/../copy"
		mount -t tmpfs -o size=%dk tmpfs "$1"
		cp "$1"/../copy/*.yaml "$1"/../copy/k8s.secrets "$1"
		cd "$1"
		"$gen" -spec small.yaml -secrets k8s.secrets
		code=0
		"$gen" -spec large.yaml -secrets k8s.secrets || code=$?
		"$gen" diff -spec small.yaml -secrets k8s.secrets || exit 10
		ls -A "$1" | tr '\n' ' '
		exit $code`, room))
	p.refused(code, said, "gen: out: cannot write ", ": no space left on device: free some space there or choose another -out", "\nk8s.secrets large.yaml out small.yaml ")
}

func readOnly(t *testing.T, gen string) {
	p := filled(t, gen)
	code, said := p.inNamespace(`
		mount --bind "$1" "$1"
		mount -o remount,bind,ro "$1"
		"$gen" -spec "$1/large.yaml" -secrets "$1/k8s.secrets" -out "$1/out"`)
	p.refused(code, said, "out: cannot lock ", ": read-only file system: choose another -out, on a file system that can be written")
	p.unharmed()
	// A first run needs the bundle before all else.
	fresh := newPlace(t, gen)
	code, said = fresh.inNamespace(`
		mount --bind "$1" "$1"
		mount -o remount,bind,ro "$1"
		"$gen" -spec "$1/large.yaml" -out "$1/out"`)
	fresh.refused(code, said, "large.secrets: cannot be created: ", "read-only file system")
	if got := names(t, fresh.folder); !slices.Equal(got, []string{"large.yaml", "small.yaml"}) {
		t.Errorf("the folder holds %q", got)
	}
}

// noRight runs gen as a user who owns the specs and the bundle and may not write the folder.
func noRight(t *testing.T, gen string) {
	p := filled(t, gen)
	const nobody = 65534
	err := filepath.WalkDir(p.folder, func(path string, _ fs.DirEntry, err error) error {
		return errors.Join(err, os.Lchown(path, nobody, nobody))
	})
	if err := errors.Join(err, os.Chmod(p.folder, 0o555), os.Chmod(filepath.Dir(p.folder), 0o755), os.Chmod(filepath.Dir(filepath.Dir(gen)), 0o755)); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(gen, p.args("large.yaml")...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	p.refused(cmd.ProcessState.ExitCode(), string(out), "out: cannot lock ", ": permission denied: make the folder and its parent writable for this user, or choose another -out")
	p.unharmed()
}

func symlinkAsOut(t *testing.T, gen string) {
	p := filled(t, gen)
	if err := os.Rename(p.path("out"), p.path("real")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("real", p.path("out")); err != nil {
		t.Fatal(err)
	}
	before := snapshot(t, p.folder)
	code, said := p.run(p.args("large.yaml")...)
	p.refused(code, said, "out: is a symlink: pass -out "+p.path("real")+", which it leads to")
	if !maps.Equal(snapshot(t, p.folder), before) {
		t.Error("the refused run changed something")
	}
}

// symlinksInOut: where a file or a folder of gen's was replaced by a link to somebody else's, gen writes its own and leaves theirs alone.
func symlinksInOut(t *testing.T, gen string) {
	for name, want := range map[string]struct {
		code int
		says string
	}{
		"nodes/cp1/user-data": {exitGood, "out/nodes/cp1/user-data had been edited by hand and was replaced"},
		"nodes/cp1":           {exitOther, "not written by muster and in the way of the new tree: nodes/cp1: move that elsewhere or choose another -out"},
		"nodes":               {exitOther, "not written by muster and in the way of the new tree: nodes: move that elsewhere or choose another -out"},
	} {
		t.Run(name, func(t *testing.T) {
			p := filled(t, gen)
			victim := t.TempDir()
			for _, file := range []string{"user-data", "mine"} {
				if err := os.WriteFile(filepath.Join(victim, file), []byte("somebody else's"), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			leads := victim
			if filepath.Base(name) == "user-data" {
				leads = filepath.Join(victim, "user-data")
			}
			if err := os.RemoveAll(p.path("out/" + name)); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(leads, p.path("out/"+name)); err != nil {
				t.Fatal(err)
			}
			before := snapshot(t, victim)
			if code, said := p.run(p.args("small.yaml")...); code != want.code || !strings.Contains(said, want.says) {
				t.Errorf("gen ends with %d, want %d, and %q: %s", code, want.code, want.says, said)
			}
			if !maps.Equal(snapshot(t, victim), before) {
				t.Errorf("gen wrote through the link: %v", snapshot(t, victim))
			}
		})
	}
}

func outOverSpec(t *testing.T, gen string) {
	p := filled(t, gen)
	before := snapshot(t, p.folder)
	for _, out := range []string{p.folder, filepath.Dir(p.folder), p.path("small.yaml"), p.path("out/.."), "/"} {
		code, said := p.run("-spec", p.path("small.yaml"), "-secrets", p.path("k8s.secrets"), "-out", out)
		p.refused(code, said, "gen: -out "+out+" holds the spec itself: choose a folder of its own")
	}
	// The bundle is read before anything is written, and no tree takes its place.
	aside := p.path("aside")
	if err := errors.Join(os.Mkdir(aside, 0o700), os.Rename(p.path("k8s.secrets"), filepath.Join(aside, "k8s.secrets"))); err != nil {
		t.Fatal(err)
	}
	code, said := p.run("-spec", p.path("small.yaml"), "-secrets", filepath.Join(aside, "k8s.secrets"), "-out", aside)
	p.refused(code, said, "aside: holds k8s.secrets and no manifest.json, so it was not written by muster: choose another -out or empty it")
	if err := errors.Join(os.Rename(filepath.Join(aside, "k8s.secrets"), p.path("k8s.secrets")), os.Remove(aside)); err != nil {
		t.Error(err)
	}
	if !maps.Equal(snapshot(t, p.folder), before) {
		t.Error("a refused run changed something")
	}
}

// severalAtOnce starts several runs together: each succeeds or says that another one is writing, and one tree is left whole.
func severalAtOnce(t *testing.T, gen string) {
	p := filled(t, gen)
	good := 0
	for range 5 {
		var runs [4]*exec.Cmd
		var said [4]bytes.Buffer
		for i := range runs {
			runs[i] = exec.Command(gen, p.args(p.specs[i%2])...)
			runs[i].Stderr = &said[i]
			if err := runs[i].Start(); err != nil {
				t.Fatal(err)
			}
		}
		for i, cmd := range runs {
			err := cmd.Wait()
			if err == nil {
				good++
			} else if cmd.ProcessState.ExitCode() != exitOther || !strings.Contains(said[i].String(), "out: another run is writing it: wait until that has ended") {
				t.Errorf("%v: %s", err, said[i].String())
			}
		}
		if p.which() < 0 {
			t.Fatal("out/ is neither tree")
		}
		p.clean()
	}
	if good < 5 {
		t.Errorf("of 20 runs only %d succeed", good)
	}
}
