package iso

import (
	"bytes"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// seed is the medium that cloud-init's NoCloud source reads.
func seed() []File {
	return []File{
		{Name: "user-data", Mode: 0o600, Data: []byte("#cloud-config\nhostname: k8s-master\n")},
		{Name: "meta-data", Mode: 0o600, Data: []byte("instance-id: k8s-k8s-master\n")},
		{Name: "network-config", Mode: 0o644, Data: []byte("version: 2\n")},
	}
}

// mixed has folders, a file of several MB, an empty one, and names that need
// every kind of care.
func mixed() []File {
	binary := make([]byte, 5<<20+3)
	for i := range binary {
		binary[i] = byte(i * 7 >> 3)
	}
	return append(seed(),
		File{Name: "muster/rendezvous-amd64", Mode: 0o755, Data: binary},
		File{Name: "muster/rendezvous-arm64", Mode: 0o755, Data: binary[1:]},
		File{Name: "muster/keys/seed", Mode: 0o400, Data: []byte{0}},
		File{Name: "empty", Mode: 0o000},
		File{Name: ".hidden", Mode: 0o444, Data: []byte("dot")},
		File{Name: "b/c/d/e/f/g/h/deepest", Mode: 0o640, Data: bytes.Repeat([]byte{1}, 2048)},
		File{Name: "b/c.d/x.tar.gz", Mode: 0o666, Data: bytes.Repeat([]byte{2}, 2049)},
		File{Name: "über schön/日本語.txt", Mode: 0o600, Data: []byte("名")},
		File{Name: strings.Repeat("l", 64) + "/" + strings.Repeat("n", 60) + ".txt", Mode: 0o600, Data: []byte("long")},
		File{Name: strings.Repeat("節", 64), Mode: 0o600, Data: []byte("192 bytes of name")},
	)
}

// crowded has one folder of many files with long and much alike names, so that
// the folder and its continuation area both take several sectors, and so many
// folders that the path tables do.
func crowded() []File {
	var files []File
	for i := range 200 {
		name := fmt.Sprintf("many/%s-%03d.conf", strings.Repeat("節", 55), i)
		files = append(files, File{Name: name, Mode: 0o600, Data: fmt.Appendf(nil, "file %d", i)})
	}
	for i := range 300 {
		files = append(files, File{Name: fmt.Sprintf("folder-%03d/same name %d", i, i), Mode: 0o644})
	}
	return files
}

func mustISO(t testing.TB, volumeID string, files []File) []byte {
	t.Helper()
	image, err := Image(volumeID, files)
	if err != nil {
		t.Fatalf("ISO: %v", err)
	}
	return bytes.Join(image, nil)
}

// wantTree is what an exact tree must hold for files.
func wantTree(files []File, withPosix bool) readTree {
	root := readFile{}
	if withPosix {
		root = readFile{mode: fs.ModeDir | 0o755, links: 2}
	}
	want := readTree{"": root}
	for _, f := range files {
		entry := readFile{data: f.Data}
		if withPosix {
			entry.mode, entry.links = f.Mode, 1
		}
		want[f.Name] = entry
		parts := strings.Split(f.Name, "/")
		for i := 1; i < len(parts); i++ {
			folder, parent := strings.Join(parts[:i], "/"), strings.Join(parts[:i-1], "/")
			if _, known := want[folder]; known {
				continue
			}
			want[folder] = root
			if withPosix {
				want[folder] = readFile{mode: fs.ModeDir | 0o755, links: 2}
				above := want[parent]
				above.links++
				want[parent] = above
			}
		}
	}
	if !withPosix {
		delete(want, "") // Joliet has no entry for the root to compare
	}
	return want
}

// bareName is what ISO 9660 level 1 allows for one name.
var bareName = regexp.MustCompile(`^[A-Z0-9_]{1,8}(\.[A-Z0-9_]{0,3})?$`)

// checkImage reads image with the independent reader and compares everything
// in it with files.
func checkImage(t testing.TB, image []byte, volumeID string, files []File) {
	t.Helper()
	label, rockRidge, bare, joliet := readISO(t, image)
	if label != volumeID {
		t.Errorf("label is %q, want %q", label, volumeID)
	}
	compareTrees(t, "Rock Ridge", wantTree(files, true), rockRidge)
	compareTrees(t, "Joliet", wantTree(files, false), joliet)
	if len(bare) != len(joliet) {
		t.Errorf("the ISO 9660 tree has %d entries, Joliet %d", len(bare), len(joliet))
	}
	for path, f := range bare {
		name := path[strings.LastIndexByte(path, '/')+1:]
		if !bareName.MatchString(name) || f.mode.IsDir() == strings.Contains(name, ".") {
			t.Errorf("%q is not a level 1 name", path)
		}
	}
}

func compareTrees(t testing.TB, what string, want, got readTree) {
	t.Helper()
	if diff := cmp.Diff(slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(got))); diff != "" {
		t.Fatalf("%s names (-want +got):\n%s", what, diff)
	}
	for name, w := range want {
		g := got[name]
		if w.mode != g.mode || w.links != g.links || !bytes.Equal(w.data, g.data) {
			t.Errorf("%s: %q is %v with %d links and %d bytes, want %v, %d, %d, or the bytes differ",
				what, name, g.mode, g.links, len(g.data), w.mode, w.links, len(w.data))
		}
	}
}

func TestISOReadsBack(t *testing.T) {
	for name, files := range map[string][]File{
		"no files": nil, "seed": seed(), "mixed": mixed(), "crowded": crowded(),
	} {
		t.Run(name, func(t *testing.T) {
			checkImage(t, mustISO(t, "cidata", files), "cidata", files)
		})
	}
}

func TestISOBareNames(t *testing.T) {
	files := []File{
		{Name: "meta-data"}, {Name: "user-data"}, {Name: "network-config"}, {Name: ".bashrc"}, {Name: "a.b.json"},
		{Name: "dir.name/x"}, {Name: "collision-1.txt"}, {Name: "collision-2.txt"}, {Name: "collision-3.txt"},
		{Name: "COLLISI1.TXT"}, {Name: "same"}, {Name: "Same/x"}, {Name: "é.x"},
	}
	_, _, bare, _ := readISO(t, mustISO(t, "cidata", files))
	want := []string{
		"A_B.JSO", "COLLISI1.TXT", "COLLISI2.TXT", "COLLISI3.TXT", "COLLISIO.TXT", "DIR_NAME", "DIR_NAME/X.",
		"META_DAT.", "NETWORK_.", "SAME", "SAME/X.", "SAME1.", "USER_DAT.", "_.BAS", "_.X",
	}
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(bare))); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
}

func TestISOIsReproducible(t *testing.T) {
	files := append(mixed(), crowded()...)
	image := mustISO(t, "cidata", files)
	random := rand.New(rand.NewPCG(1, 2))
	for range 3 {
		random.Shuffle(len(files), func(i, j int) { files[i], files[j] = files[j], files[i] })
		if !bytes.Equal(image, mustISO(t, "cidata", files)) {
			t.Fatal("the image depends on the order of its files")
		}
	}
	changed := slices.Clone(files)
	changed[0].Mode ^= 0o001
	if bytes.Equal(image, mustISO(t, "cidata", changed)) {
		t.Error("another mode gives the same image")
	}
}

func TestISOLeavesItsInputAlone(t *testing.T) {
	files, untouched := seed(), seed()
	image := mustISO(t, "cidata", files)
	for i := range image {
		image[i] = 0xFF
	}
	if diff := cmp.Diff(untouched, files); diff != "" {
		t.Errorf("the files were modified, or the image shares their bytes (-want +got):\n%s", diff)
	}
}

func TestISOProblems(t *testing.T) {
	// Pages without access cost address space only, and prove that a file that
	// is refused is not read.
	big, err := syscall.Mmap(-1, 0, 1<<32, syscall.PROT_NONE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Munmap(big); err != nil {
			t.Error(err)
		}
	})
	for name, test := range map[string]struct {
		files []File
		want  string
	}{
		"empty name":     {[]File{{Name: "a"}, {}}, `files[1] has no name: give it a path such as "user-data"`},
		"absolute":       {[]File{{Name: "/etc/x"}}, `file "/etc/x": the path is absolute: write it relative to the root folder of the image`},
		"parent":         {[]File{{Name: "a/../b"}}, `file "a/../b": the path has the part "..": write it without`},
		"self":           {[]File{{Name: "./b"}}, `file "./b": the path has the part ".": write it without`},
		"empty part":     {[]File{{Name: "a//b"}}, `file "a//b": the path has an empty part: remove the extra "/"`},
		"trailing slash": {[]File{{Name: "a/"}}, `file "a/": the path has an empty part: remove the extra "/"`},
		"twice":          {[]File{{Name: "a/b"}, {Name: "a/b"}}, `file "a/b": the name is given twice: every file of an image needs its own`},
		"file as folder": {[]File{{Name: "a"}, {Name: "a/b"}}, `file "a/b": "a" is a file as well: rename one of the two`},
		"folder as file": {[]File{{Name: "a/b/c"}, {Name: "a/b"}}, `file "a/b": other files use this name as their folder: rename one of the two`},
		"backslash":      {[]File{{Name: `a\b`}}, `file "a\\b": "a\\b" has a control character or one of *:;?\, which Joliet forbids: rename it`},
		"newline":        {[]File{{Name: "d/a\nb"}}, `file "d/a\nb": "a\nb" has a control character or one of *:;?\, which Joliet forbids: rename it`},
		"trailing dot":   {[]File{{Name: "a."}}, `file "a.": "a." ends with a dot or a space, which readers of Joliet drop: rename it`},
		"trailing space": {[]File{{Name: "a /b"}}, `file "a /b": "a " ends with a dot or a space, which readers of Joliet drop: rename it`},
		"not UTF-8":      {[]File{{Name: "a\xff"}}, `file "a\xff": the name is not valid UTF-8: rename the file`},
		"too long": {[]File{{Name: strings.Repeat("x", 65)}},
			fmt.Sprintf(`file %[1]q: %[1]q has 65 characters: Joliet allows at most 64`, strings.Repeat("x", 65))},
		"surrogates":  {[]File{{Name: "😀"}}, `file "😀": "😀" has a character beyond U+FFFF, which Joliet cannot hold: rename it`},
		"too deep":    {[]File{{Name: "1/2/3/4/5/6/7/8/9"}}, `file "1/2/3/4/5/6/7/8/9": the path has 9 levels: ISO 9660 allows at most 8, the file counted`},
		"not a file":  {[]File{{Name: "a", Mode: fs.ModeSymlink | 0o777}}, `file "a": mode Lrwxrwxrwx: give permission bits only, such as 0o600`},
		"setuid":      {[]File{{Name: "a", Mode: fs.ModeSetuid | 0o755}}, `file "a": mode urwxr-xr-x: give permission bits only, such as 0o600`},
		"4 GiB":       {[]File{{Name: "big", Data: big}}, `file "big": 4294967296 bytes: ISO 9660 holds less than 4 GiB in a file`},
		"all at once": {[]File{{Name: "/x"}, {Name: "ok"}, {Name: "ok"}}, "file \"/x\": the path is absolute: write it relative to the root folder of the image\nfile \"ok\": the name is given twice: every file of an image needs its own"},
	} {
		t.Run(name, func(t *testing.T) {
			image, err := Image("cidata", test.files)
			if err == nil || err.Error() != test.want || image != nil {
				t.Errorf("got %d pieces and the error\n%v\nwant\n%v", len(image), err, test.want)
			}
		})
	}
}

func TestISOTooManyFolders(t *testing.T) {
	files := make([]File, 65535)
	for i := range files {
		files[i].Name = fmt.Sprintf("%d/f", i)
	}
	_, err := Image("cidata", files)
	if want := "the files lie in 65536 folders: an image holds at most 65535"; err == nil || err.Error() != want {
		t.Errorf("error is %v, want %s", err, want)
	}
}

func TestISOVolumeID(t *testing.T) {
	for _, id := range []string{"", "seventeen-letters", "ci data", "cidäta", "a/b", "cidata\n"} {
		if _, err := Image(id, nil); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("volume identifier %q: use 1 to 16", id)) {
			t.Errorf("%q: error is %v", id, err)
		}
	}
	for _, id := range []string{"CIDATA", "config-2", "A.b_C-0123456789"} {
		checkImage(t, mustISO(t, id, seed()), id, seed())
	}
}

// randomFiles returns a tree that ISO must accept.
func randomFiles(random *rand.Rand) []File {
	letters := []rune("abcXYZ019._- +~é節")
	name := func() string {
		for {
			var b strings.Builder
			for range 1 + random.IntN(64) {
				b.WriteRune(letters[random.IntN(len(letters))])
			}
			if s := strings.TrimRight(b.String(), ". "); s != "" {
				return s
			}
		}
	}
	folders, taken := []string{""}, map[string]bool{}
	for range random.IntN(12) {
		folder := folders[random.IntN(len(folders))]
		if path := folder + name(); strings.Count(path, "/") < 7 && !taken[path] {
			taken[path] = true
			folders = append(folders, path+"/")
		}
	}
	var files []File
	for range random.IntN(80) {
		path := folders[random.IntN(len(folders))] + name()
		if taken[path] {
			continue
		}
		taken[path] = true
		data := make([]byte, random.IntN(3)*random.IntN(3000))
		for i := range data {
			data[i] = byte(random.Uint32())
		}
		files = append(files, File{Name: path, Mode: fs.FileMode(random.IntN(0o1000)), Data: data})
	}
	return files
}

func TestISORandomTrees(t *testing.T) {
	for n := range uint64(300) {
		files := randomFiles(rand.New(rand.NewPCG(n, 9660)))
		checkImage(t, mustISO(t, "cidata", files), "cidata", files)
		if t.Failed() {
			t.Fatalf("with the tree of seed %d", n)
		}
	}
}

// FuzzISO gives two files with any name: ISO refuses them, or they read back.
func FuzzISO(f *testing.F) {
	f.Add("user-data", "meta-data", uint32(0o600), []byte("#cloud-config\n"))
	f.Add("a/b", "a/c", uint32(0o755), []byte{})
	f.Add("a.b.c", "a/b/c/d/e/f/g/h", uint32(0), bytes.Repeat([]byte{1}, 2049))
	f.Add("a", "a/../b", uint32(1<<31), []byte(nil))
	f.Add(strings.Repeat("節", 64), strings.Repeat("😀", 33), uint32(0o777), []byte("x"))
	f.Fuzz(func(t *testing.T, first, second string, mode uint32, data []byte) {
		files := []File{{first, fs.FileMode(mode), data}, {second, fs.FileMode(mode), append(data, 1)}}
		image, err := Image("cidata", files)
		if err == nil {
			checkImage(t, bytes.Join(image, nil), "cidata", files)
			return
		}
		if image != nil || strings.ContainsAny(err.Error(), "\x00\r") {
			t.Errorf("image of %d pieces with the error %q", len(image), err)
		}
	})
}

func BenchmarkISO(b *testing.B) {
	files := append(seed(), File{Name: "muster/rendezvous-amd64", Mode: 0o755, Data: make([]byte, 11<<20)})
	b.SetBytes(11 << 20)
	b.ReportAllocs()
	for b.Loop() {
		mustISO(b, "cidata", files)
	}
}

// tool runs a program that reads images; a machine without it fails the test.
func tool(t *testing.T, name string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%v: these tests read images with it: apt-get install genisoimage xorriso util-linux", err)
	}
	cmd := exec.Command(path, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s%s", cmd, err, out, stderr.Bytes())
	}
	for line := range strings.Lines(stderr.String()) {
		if regexp.MustCompile(`(?i)warn|fail|sorry|error|corrupt|damaged`).MatchString(line) {
			t.Errorf("%v complains: %s", cmd, line)
		}
	}
	return string(out)
}

// onDisk writes image to a file and returns its path.
func onDisk(t *testing.T, image []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "seed.iso")
	if err := os.WriteFile(path, image, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestBlkidFindsTheLabel(t *testing.T) {
	image := onDisk(t, mustISO(t, "cidata", seed()))
	lines := strings.Split(tool(t, "blkid", "-p", "-o", "export", image), "\n")
	for _, want := range []string{"LABEL=cidata", "TYPE=iso9660", "UUID=2000-01-01-00-00-00-00", "USAGE=filesystem"} {
		if !slices.Contains(lines, want) {
			t.Errorf("blkid does not print %s but\n%s", want, strings.Join(lines, "\n"))
		}
	}
}

func TestIsoinfoReadsBothTrees(t *testing.T) {
	files := mixed()
	image := onDisk(t, mustISO(t, "cidata", files))
	about := tool(t, "isoinfo", "-d", "-i", image)
	for _, want := range []string{"Volume id: cidata\n", "Joliet with UCS level 3 found", "Rock Ridge signatures version 1 found", "Application id: MUSTER\n"} {
		if !strings.Contains(about, want) {
			t.Errorf("isoinfo -d does not print %q but\n%s", want, about)
		}
	}
	for _, f := range files {
		for _, tree := range []string{"-R", "-J"} {
			// isoinfo prints Joliet names in the locale's encoding, one byte each.
			if tree == "-J" && strings.ContainsFunc(f.Name, func(r rune) bool { return r > 0x7e }) {
				continue
			}
			if got := tool(t, "isoinfo", tree, "-i", image, "-x", "/"+f.Name); got != string(f.Data) {
				t.Errorf("isoinfo %s reads %d bytes of %q, want %d, or they differ", tree, len(got), f.Name, len(f.Data))
			}
		}
	}
	if listing := tool(t, "isoinfo", "-R", "-l", "-i", image); !regexp.MustCompile(`-rw-------\s+1\s+0\s+0\s+35 Jan  1 2000 .* user-data`).MatchString(listing) {
		t.Errorf("isoinfo -R -l prints\n%s", listing)
	}
	bare := tool(t, "isoinfo", "-f", "-i", image)
	for _, want := range []string{"/USER_DAT.;1\n", "/META_DAT.;1\n", "/NETWORK_.;1\n", "/MUSTER/RENDEZVO.;1\n"} {
		if !strings.Contains(bare, want) {
			t.Errorf("isoinfo -f does not list %q but\n%s", want, bare)
		}
	}
}

func TestXorrisoExtracts(t *testing.T) {
	for name, files := range map[string][]File{
		"seed": seed(), "mixed": mixed(), "crowded": crowded(), "random": randomFiles(rand.New(rand.NewPCG(7, 9660))),
	} {
		t.Run(name, func(t *testing.T) {
			image := onDisk(t, mustISO(t, "cidata", files))
			for _, without := range []string{"nojoliet", "norock"} {
				target := filepath.Join(t.TempDir(), without)
				tool(t, "xorriso", "-abort_on", "WARNING", "-osirrox", "on:auto_chmod_on", "-read_fs", without,
					"-indev", image, "-extract", "/", target)
				compareExtracted(t, target, files, without == "nojoliet")
			}
		})
	}
}

// compareExtracted compares the folder that xorriso wrote with files, the modes
// as well if it read them from Rock Ridge.
func compareExtracted(t *testing.T, target string, files []File, modes bool) {
	t.Helper()
	got := readTree{}
	err := filepath.WalkDir(target, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil || path == target {
			return err
		}
		entry := readFile{}
		if modes {
			entry.mode = info.Mode()
		}
		if !d.IsDir() {
			entry.data, err = os.ReadFile(path)
		}
		got[strings.TrimPrefix(path, target+"/")] = entry
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	want := wantTree(files, modes)
	delete(want, "")
	for name, entry := range want {
		entry.links = 0
		want[name] = entry
	}
	compareTrees(t, "xorriso in "+target, want, got)
}

func TestFitFieldsLeavesRoomForTheContinuation(t *testing.T) {
	fields := [][]byte{bytes.Repeat([]byte("a"), 20), bytes.Repeat([]byte("b"), 20), bytes.Repeat([]byte("c"), 20)}
	for _, test := range []struct{ room, inline int }{
		{60, 60}, // all fit, no CE entry
		{59, 20}, // two would fit, but not with the 28 bytes of a CE entry
		{48, 20},
		{47, 0},
	} {
		inline, rest := fitFields(fields, test.room)
		if len(inline) != test.inline || string(inline)+string(rest) != string(bytes.Join(fields, nil)) {
			t.Errorf("room %d: %q stays and %q goes, want %d bytes to stay", test.room, inline, rest, test.inline)
		}
	}
}
