package consumer

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	//go:embed nocloud.py
	noCloudScript string
	//go:embed boot.py
	bootScript string
)

// Part is one part of user-data as cloud-init's user-data processor hands it to the handlers of its content type.
type Part struct {
	// ContentType is the type that cloud-init settled on, for example text/cloud-config or text/cloud-boothook.
	ContentType string
	Filename    string
	// Content is decoded: no transfer encoding, not compressed.
	Content []byte
}

// Seed is what cloud-init's NoCloud data source read.
type Seed struct {
	UserData []byte
	// MetaData includes cloud-init's own dsmode.
	MetaData map[string]any
	// NetworkConfig is nil when the seed has none.
	NetworkConfig map[string]any
	Parts         []Part
}

// NoCloud reads a seed with cloud-init's own DataSourceNoCloud, in Debian 12. The seed is a folder with user-data, meta-data and maybe network-config, or an
// ISO image. The test fails when cloud-init would not take the seed as it is: a missing file, no instance-id, a label other than cidata, a network-config under a
// top-level network key, a part of user-data of no known type.
//
// Of an image, blkid says type and label, as cloud-init asks it on a node, and xorriso reads the files by their Rock Ridge names; the kernel's own ISO
// driver has no part.
func NoCloud(tb testing.TB, seed string) Seed {
	tb.Helper()
	info, err := os.Stat(seed)
	mustDo(tb, err)
	if !info.IsDir() {
		seed = extractSeed(tb, seed)
	}
	files := map[string][]byte{}
	entries, err := os.ReadDir(seed)
	mustDo(tb, err)
	for _, entry := range entries {
		if entry.IsDir() {
			continue
		}
		content, err := os.ReadFile(filepath.Join(seed, entry.Name()))
		mustDo(tb, err)
		files[entry.Name()] = content
	}
	return readSeed(tb, files)
}

// extractSeed returns a folder with the files of an ISO image that cloud-init would pick by its label.
func extractSeed(tb testing.TB, image string) string {
	tb.Helper()
	res := command(nil, installed(tb, "blkid"), "--probe", "--output", "export", image)
	if res.err != nil {
		res.fail(tb, image+": blkid finds no file system")
	}
	lines := "\n" + res.stdout
	if !strings.Contains(lines, "\nTYPE=iso9660\n") || !strings.Contains(lines, "\nLABEL=cidata\n") && !strings.Contains(lines, "\nLABEL=CIDATA\n") {
		tb.Fatalf("%s: cloud-init looks for an iso9660 file system labelled cidata, blkid says\n%s", image, res.stdout)
	}
	folder := tempDir(tb, "")
	res = command(nil, installed(tb, "xorriso"), "-osirrox", "on", "-indev", image, "-extract", "/", folder)
	if res.err != nil {
		res.fail(tb, image+": xorriso cannot read it")
	}
	return folder
}

// readSeed runs nocloud.py on the files of a seed, with the checks that are named.
func readSeed(tb testing.TB, files map[string][]byte, checks ...string) Seed {
	tb.Helper()
	box := sandbox{Files: map[string][]byte{"nocloud.py": []byte(noCloudScript)}}
	for name, content := range files {
		box.Files["seed/"+name] = content
	}
	res, _ := box.run(tb, append([]string{"/usr/bin/python3", shared + "/nocloud.py"}, checks...)...)
	if res.err != nil {
		res.fail(tb, strings.Join(append([]string{"cloud-init's NoCloud data source"}, checks...), " and "))
	}
	var seed Seed
	if err := json.Unmarshal([]byte(res.stdout), &seed); err != nil {
		res.fail(tb, fmt.Sprintf("read the answer of cloud-init's NoCloud data source: %v", err))
	}
	return seed
}

// CloudInitSchema checks user-data with `cloud-init schema` of Debian 12 (22.4.2): every cloud-config in it, be it the whole document or parts of a MIME
// document, compressed or not. Deprecations count as failures. It returns the parts.
func CloudInitSchema(tb testing.TB, userData []byte) []Part {
	tb.Helper()
	return readSeed(tb, map[string][]byte{"user-data": userData, "meta-data": []byte("instance-id: schema\n")}, "schema").Parts
}

// NetConvert lets `cloud-init devel net-convert` of Debian 12 write network-config in the way of one renderer (eni, sysconfig, networkd, netplan or network-manager) and
// returns the files by their path on the node, with no leading slash. What netplan gets is read by `netplan generate` as well.
func NetConvert(tb testing.TB, networkConfig []byte, renderer string) map[string]string {
	tb.Helper()
	distro, known := map[string]string{"eni": "debian", "sysconfig": "centos", "networkd": "arch", "netplan": "ubuntu", "network-manager": "fedora"}[renderer]
	if !known {
		tb.Fatalf("renderer %q: use eni, sysconfig, networkd, netplan or network-manager", renderer)
	}
	box := sandbox{Files: map[string][]byte{"network-config": networkConfig}}
	check := "cloud-init devel net-convert --network-data $0/network-config --kind yaml --directory $0/out --distro $1 --output-kind $2"
	if renderer == "netplan" {
		// cloud-init 22.4 writes the file 0644, and netplan warns of that.
		check += "\nchmod 0600 $0/out/etc/netplan/*\nnetplan generate --root-dir $0/out\nrm -rf $0/out/run"
	}
	res, folder := box.run(tb, "sh", "-euc", check, shared, distro, renderer)
	if res.err != nil || !onlyNetConvertNotices(res.stderr) {
		res.fail(tb, "cloud-init devel net-convert to "+renderer)
	}
	files := readTree(tb, filepath.Join(folder, "out"))
	if len(files) == 0 {
		res.fail(tb, "cloud-init devel net-convert to "+renderer+" wrote nothing")
	}
	return files
}

// netConvertNotices are what net-convert may say: what it read and wrote, and netplan's deprecation of gateway4, which
// documents keep because cloud-init 19.4's sysconfig and ENI renderers read the default gateway nowhere else.
var netConvertNotices = regexp.MustCompile("^(Read input format .*|Wrote output format .*|\\*\\* \\(generate:\\d+\\): WARNING \\*\\*: [0-9:.]+: `gateway4` has been deprecated, use default routes instead\\.|See the 'Default routes' section of the documentation for more details\\.)?$")

func onlyNetConvertNotices(stderr string) bool {
	for line := range strings.Lines(stderr) {
		if !netConvertNotices.MatchString(strings.TrimSpace(line)) {
			return false
		}
	}
	return true
}

func readTree(tb testing.TB, root string) map[string]string {
	tb.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(root, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		content, err := os.ReadFile(path)
		files[name] = string(content)
		return err
	})
	mustDo(tb, err)
	return files
}

// CloudInitApply boots user-data with Debian 12's real cloud-init (init-local, init, config and final stage) on an overlay whose upper folder is root: root, which
// must exist, gets exactly what cloud-init and the document changed, with modes and owners; the rest of Debian 12 is not in it. Users and groups that the document
// names are created in root's etc/passwd.
//
// What runs: boothooks, bootcmd, write-files (deferred ones too), users-groups and the writing of runcmd's script, but not the script itself: there is no
// systemd. A second call with the same root is a second boot with the same instance-id, semaphores and all. The network is cut off. Every warning in cloud-init's log
// fails the test.
func CloudInitApply(tb testing.TB, userData []byte, root string) {
	tb.Helper()
	box := sandbox{Root: root, Files: map[string][]byte{
		"boot.py":        []byte(bootScript),
		"seed/user-data": userData,
		"seed/meta-data": []byte("instance-id: consumer\nlocal-hostname: consumer\n"),
	}}
	res, folder := box.run(tb, "/usr/bin/python3", shared+"/boot.py")
	if res.err != nil {
		log, err := os.ReadFile(filepath.Join(folder, "log"))
		if err != nil {
			log = []byte(err.Error())
		}
		res.stdout += string(log)
		res.fail(tb, "cloud-init applies user-data")
	}
}
