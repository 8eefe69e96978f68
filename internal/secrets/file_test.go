//go:build unix

package secrets

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/iotest"
	"time"
)

// loadOrCreate is what a run does that finds nothing wrong.
func loadOrCreate(path string, random io.Reader, now time.Time) (b *Bundle, fresh bool, err error) {
	if b, fresh, err = LoadOrNew(path, random, now); fresh {
		err = b.Create(path)
	}
	return b, fresh, err
}

func TestLoadOrCreate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cluster.secrets")
	b, created, err := loadOrCreate(path, rand.Reader, testNow)
	if err != nil || !created {
		t.Fatalf("first run: created = %v, %v", created, err)
	}
	if want := testNow.Truncate(time.Second); !b.Created().Equal(want) || b.Created().Location() != time.UTC {
		t.Errorf("Created = %v, want %v", b.Created(), want)
	}
	again, created, err := loadOrCreate(path, iotest.ErrReader(errors.New("must not be read")), testNow.AddDate(1, 0, 0))
	if err != nil || created {
		t.Fatalf("second run: created = %v, %v", created, err)
	}
	sameBundle(t, again, b)
	loaded, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	sameBundle(t, loaded, b)

	info, err := os.Stat(path)
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("mode = %v, %v, want 0600", info.Mode(), err)
	}
	onlyFile(t, path)
}

func sameBundle(t *testing.T, got, want *Bundle) {
	t.Helper()
	if !bytes.Equal(got.seed.Reveal(), want.seed.Reveal()) || !got.created.Equal(want.created) {
		t.Errorf("another bundle: %v, want %v", got, want)
	}
}

// onlyFile asserts that nothing is left beside path.
func onlyFile(t *testing.T, path string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 || entries[0].Name() != filepath.Base(path) {
		t.Errorf("beside %s lie %v, %v", path, entries, err)
	}
}

func TestCreatedFileIsForPeopleToo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cluster.secrets")
	if _, _, err := loadOrCreate(path, rand.Reader, testNow); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"created": "2026-03-04T05:06:07Z"`, "Keep it secret", `"apiVersion": "muster/v1"`} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%s is missing in %d bytes", want, len(text))
		}
	}
	if strings.Contains(string(text), "TEST") || text[len(text)-1] != '\n' {
		t.Error("it calls itself a test bundle, or its last line has no end")
	}
}

// TestNewIsInNoFile: a run that ends early leaves nothing.
func TestNewIsInNoFile(t *testing.T) {
	folder := t.TempDir()
	if _, fresh, err := LoadOrNew(filepath.Join(folder, "cluster.secrets"), rand.Reader, testNow); err != nil || !fresh {
		t.Fatalf("fresh = %v, %v", fresh, err)
	}
	if entries, err := os.ReadDir(folder); err != nil || len(entries) != 0 {
		t.Errorf("left %v, %v", entries, err)
	}
}

func TestOneOfRunsAtOnceCreates(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cluster.secrets")
	const runs = 32
	bundles, failed := make([]*Bundle, runs), make([]error, runs)
	var start, done sync.WaitGroup
	start.Add(1)
	for i := range runs {
		done.Go(func() {
			start.Wait()
			bundles[i], _, failed[i] = loadOrCreate(path, rand.Reader, testNow)
		})
	}
	start.Done()
	done.Wait()
	kept, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range runs {
		switch {
		case failed[i] == nil:
			sameBundle(t, bundles[i], kept)
		case !errors.Is(failed[i], fs.ErrExist):
			t.Error(failed[i])
		}
	}
	onlyFile(t, path)
}

func TestCreateNeverWritesOver(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cluster.secrets")
	if err := os.WriteFile(path, []byte("somebody's"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Test().Create(path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("create: %v", err)
	}
	if _, _, err := loadOrCreate(path, rand.Reader, testNow); err == nil {
		t.Error("loadOrCreate took a foreign file")
	}
	if text, err := os.ReadFile(path); string(text) != "somebody's" {
		t.Errorf("the file holds %q, %v", text, err)
	}
	onlyFile(t, path)
}

// A link to nowhere is a name that is taken: the seed must not go where it points.
func TestCreateFollowsNoLink(t *testing.T) {
	folder, elsewhere := t.TempDir(), filepath.Join(t.TempDir(), "target")
	path := filepath.Join(folder, "cluster.secrets")
	if err := os.Symlink(elsewhere, path); err != nil {
		t.Fatal(err)
	}
	if _, _, err := loadOrCreate(path, rand.Reader, testNow); err == nil {
		t.Error("created through a dangling link")
	}
	if _, err := os.Lstat(elsewhere); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the target exists: %v", err)
	}
}

func TestCreateLeavesNothingWhenItFails(t *testing.T) {
	folder := t.TempDir()
	if _, _, err := loadOrCreate(filepath.Join(folder, "a.secrets"), io.LimitReader(rand.Reader, seedSize-1), testNow); err == nil {
		t.Error("created a bundle from too little randomness")
	}
	if entries, err := os.ReadDir(folder); err != nil || len(entries) != 0 {
		t.Errorf("left %v, %v", entries, err)
	}
	missing := filepath.Join(folder, "missing", "a.secrets")
	if _, _, err := loadOrCreate(missing, rand.Reader, testNow); err == nil || !strings.Contains(err.Error(), missing) {
		t.Errorf("error = %v, want one that names %s", err, missing)
	}
}

func TestLoadRefusesWhatOthersMayReach(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cluster.secrets")
	if _, _, err := loadOrCreate(path, rand.Reader, testNow); err != nil {
		t.Fatal(err)
	}
	for _, mode := range []fs.FileMode{0o604, 0o640, 0o602, 0o660, 0o644, 0o611, 0o777} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(path); err == nil || !strings.Contains(err.Error(), "chmod 600") {
			t.Errorf("mode %o: error = %v", mode, err)
		}
	}
	for _, mode := range []fs.FileMode{0o600, 0o400} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(path); err != nil {
			t.Errorf("mode %o: %v", mode, err)
		}
	}
}

// The owner's check compares with the user of the process, so a file information with another owner stands for a file
// of another user; chown needs root.
func TestLoadRefusesAnotherOwner(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cluster.secrets")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := checkAccess(path, info); err != nil {
		t.Errorf("own file: %v", err)
	}
	info.Sys().(*syscall.Stat_t).Uid++
	if err := checkAccess(path, info); err == nil || !strings.Contains(err.Error(), "chown") {
		t.Errorf("another's file: %v", err)
	}
}

func TestLoadRefusesForeignAndDamagedFiles(t *testing.T) {
	good, err := testBundle(t, 1).encode()
	if err != nil {
		t.Fatal(err)
	}
	changed := func(key, value string) string {
		var fields map[string]string
		if err := json.Unmarshal(good, &fields); err != nil {
			t.Fatal(err)
		}
		if _, ok := fields[key]; !ok {
			t.Fatalf("no field %s", key)
		}
		fields[key] = value
		text, err := json.Marshal(fields)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	for name, c := range map[string]struct {
		text string
		want error
	}{
		"empty":           {"", errForeign},
		"a spec":          {"apiVersion: muster/v1\nkind: Cluster\n", errForeign},
		"cut short":       {string(good[:len(good)/2]), errForeign},
		"twice":           {string(good) + string(good), errForeign},
		"huge":            {string(good) + strings.Repeat(" ", 1<<20), errForeign},
		"later format":    {changed("apiVersion", "muster/v2"), errForeign},
		"another kind":    {changed("kind", "Cluster"), errForeign},
		"another seed":    {changed("seed", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="), errDamaged},
		"short seed":      {changed("seed", "AAEC"), errDamaged},
		"no base64":       {changed("seed", "???"), errDamaged},
		"another time":    {changed("created", "2020-01-01T00:00:00Z"), errDamaged},
		"no time":         {changed("created", "yesterday"), errDamaged},
		"another sum":     {changed("checksum", "0000000000000000"), errDamaged},
		"no sum":          {changed("checksum", ""), errDamaged},
		"the test bundle": {changed("seed", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="), ErrTestBundle},
	} {
		path := filepath.Join(t.TempDir(), "a.secrets")
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(path); !errors.Is(err, c.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: error = %v, want %v", name, err, c.want)
		}
	}
}

func TestLoadRefusesAFolder(t *testing.T) {
	if _, err := Load(t.TempDir()); err == nil {
		t.Error("loaded a folder")
	}
}

// Another note, indentation or order of the fields is the same bundle: people edit files.
func TestNoteAndLayoutDoNotCount(t *testing.T) {
	b := testBundle(t, 1)
	text, err := b.encode()
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]string
	if err := json.Unmarshal(text, &fields); err != nil {
		t.Fatal(err)
	}
	fields["note"] = "in the safe, second shelf"
	edited, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	got, err := decode(edited)
	if err != nil {
		t.Fatal(err)
	}
	sameBundle(t, got, b)
}

// Whatever mode git gives to the file, the answer is that it is the test bundle.
func TestTheTestBundleSaysSoAndIsRefused(t *testing.T) {
	text, err := Test().encode()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), "TEST BUNDLE") {
		t.Errorf("its file does not say so: %s", text)
	}
	path := filepath.Join(t.TempDir(), "a.secrets")
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path); !errors.Is(err, ErrTestBundle) {
		t.Errorf("error = %v", err)
	}
	if !Test().IsTest() || testBundle(t, 1).IsTest() {
		t.Error("IsTest does not tell them apart")
	}
}

// TestModeWhateverTheUmask: a umask that takes rights from the owner would leave a bundle that the next run cannot
// read.
func TestModeWhateverTheUmask(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	old := syscall.Umask(0o777)
	_, _, err := loadOrCreate(path, rand.Reader, testNow)
	syscall.Umask(old)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("the bundle has mode %v, %v", info.Mode(), err)
	}
}

// TestNoFolder: what cannot be created is told with what helps.
func TestNoFolder(t *testing.T) {
	_, _, err := loadOrCreate(filepath.Join(t.TempDir(), "none/s"), rand.Reader, testNow)
	if err == nil || !strings.HasSuffix(err.Error(), "name a file in a folder that you can write to") {
		t.Errorf("%v", err)
	}
}
