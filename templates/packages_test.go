package templates

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
)

const yumConf = "PACKAGES_BASE=(ipset) PACKAGES_RUNTIME=(docker-ce) PACKAGES_KUBERNETES=(kubeadm-1.17.4-0 kubelet-1.17.4-*) PACKAGES_EXTRA=(nfs-utils vim)\n"

// A name may be one that another package provides. A yum that is killed leaves locks, and packages whose files are not whole although the database has them.
func TestYum(t *testing.T) {
	t.Parallel()
	exercise{
		phase: "prepare", steps: []string{"packages-yum"}, conf: yumConf,
		setup: func(m *machine) {
			m.outside("repository", "ipset-7.1-1\ndocker-ce-20.10-1\nkubeadm-1.17.4-0\nkubelet-1.17.4-0\nnfs-utils-1.3-2\nvim-enhanced-7.4-8\n")
			m.outside("provides", "vim vim-enhanced-7.4-8\n")
			m.write("var/lib/rpm/ipset-6.0-1", "1 installed", 0o644)
			m.write("opt/packages/ipset-6.0-1", "the image's own", 0o644)
		},
		check: func(t *testing.T, m *machine) {
			for _, p := range []string{"docker-ce-20.10-1", "kubeadm-1.17.4-0", "kubelet-1.17.4-0", "nfs-utils-1.3-2", "vim-enhanced-7.4-8"} {
				if got, want := m.read("opt/packages/"+p), "the files of "+p+"\n"; got != want {
					t.Errorf("%s has %q", p, got)
				}
			}
			if m.exists("var/lib/rpm/ipset-7.1-1") {
				t.Error("a package of the image was upgraded")
			}
			if m.exists("var/lib/rpm/__db.001") {
				t.Error("the database is locked")
			}
		},
		differs: []string{"/var/lib/rpm/"}, // the time of each package's installation
	}.run(t)
}

func TestYumIsOffline(t *testing.T) {
	t.Parallel()
	m := newMachine(t, []string{"prepare/packages-yum"}, yumConf)
	m.outside("repository", "ipset-7.1-1\ndocker-ce-20.10-1\nkubeadm-1.17.4-0\nkubelet-1.17.4-0\nnfs-utils-1.3-2\nvim-enhanced-7.4-8\n")
	m.outside("provides", "vim vim-enhanced-7.4-8\n")
	m.outside("offline", "")
	p := m.start(nil, "/bin/bash", runner, "prepare")
	p.waitFor(t, "| Cannot find a valid baseurl for repo: kubernetes/x86_64", "what to do: the package sources must be reachable", "FAILED at try 2")
	must(t, os.Remove(filepath.Join(m.base, "standin/offline")))
	if out, err := p.wait(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// aptSources is what an apt machine installs from: the system's own source, and one whose key has to be fetched first.
type aptSources struct {
	www         string
	fingerprint string
}

// sources are made once: packages by dpkg-deb, signed by a key that gpg makes.
var sources = sync.OnceValues(makeSources)

func makeSources() (aptSources, error) {
	base, err := os.MkdirTemp("", "sources-")
	if err != nil {
		return aptSources{}, err
	}
	scratch = append(scratch, base)
	s := aptSources{www: filepath.Join(base, "www")}
	if s.fingerprint, err = makeKey(filepath.Join(base, "gpg"), filepath.Join(s.www, "key.asc")); err != nil {
		return s, err
	}
	gpg, err := packagedGPG()
	if err != nil {
		return s, err
	}
	// Scripts count as places to cut at: before a package is unpacked, and before it is configured.
	kubelet := map[string]string{
		"DEBIAN/preinst":   "#!/bin/bash\nset -e\nmkdir -p /opt/kubelet\n",
		"DEBIAN/postinst":  "#!/bin/bash\nset -e\ntouch /opt/kubelet/begun\ntouch /opt/kubelet/configured\n",
		"DEBIAN/conffiles": "/etc/default/kubelet\n", "etc/default/kubelet": "KUBELET_EXTRA_ARGS=of-the-package\n",
	}
	curl, err := os.ReadFile("../build/chroot-debian12/usr/bin/curl")
	if err != nil {
		return s, err
	}
	if err := s.repository(base, "base", "", debs{{"curl", "99-1", "", map[string]string{"usr/bin/curl": string(curl)}}, {"gpg", "2.2.40", "", gpg}, {"bash", "99-1", "", nil},
		{"ipset", "7.17-1", "Depends: libipset13\n", unpacked("ipset")}, {"libipset13", "7.17-1", "Depends: ipset\n", unpacked("libipset13")},
		{"systemd-timesyncd", "252.39-1", timeDaemon, map[string]string{"usr/lib/systemd/system/systemd-timesyncd.service": "[Service]\n"}},
		{"nfs-common", "2.6.2-4", "Provides: nfs-client, nfs-tools (= 2)\n", nil}}); err != nil {
		return s, err
	}
	return s, s.repository(base, "kubernetes", filepath.Join(base, "gpg"), debs{
		{"kubelet", "1.34.4-1.1", "Depends: kubernetes-cni\n", kubelet}, {"kubelet", "1.34.9-1.1", "Depends: kubernetes-cni\n", kubelet},
		{"kubeadm", "1.34.4-1.1", "", nil}, {"kubeadm", "1.34.9-1.1", "", nil}, {"kubernetes-cni", "1.7.1-1.1", "", nil},
	})
}

// unpacked is a package with a place to cut at before it is unpacked.
func unpacked(name string) map[string]string {
	return map[string]string{"DEBIAN/preinst": "#!/bin/bash\nset -e\nmkdir -p /opt/" + name + "\n"}
}

type debs []struct {
	name, version string
	// fields are further lines of the package's control file.
	fields string
	files  map[string]string
}

// repository writes a flat source of packages, signed if there is a key.
func (s aptSources) repository(base, name, gpgHome string, packages debs) error {
	folder := filepath.Join(s.www, name)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	var index strings.Builder
	for _, p := range packages {
		control := fmt.Sprintf("Package: %s\nVersion: %s\nArchitecture: all\nMaintainer: tests <t@example.org>\nDescription: for tests\n%s", p.name, p.version, p.fields)
		tree, file := filepath.Join(base, "tree", p.name+p.version), p.name+"_"+p.version+"_all.deb"
		if err := writeTree(tree, p.files, control); err != nil {
			return err
		}
		if err := command(nil, "dpkg-deb", "--root-owner-group", "-Znone", "--build", tree, filepath.Join(folder, file)); err != nil {
			return err
		}
		content, err := os.ReadFile(filepath.Join(folder, file))
		if err != nil {
			return err
		}
		fmt.Fprintf(&index, "%sFilename: ./%s\nSize: %d\nSHA256: %x\n\n", control, file, len(content), sha256.Sum256(content))
	}
	list := index.String()
	// The machine's clock is far behind, and nobody vouches for it.
	release := fmt.Sprintf("Suite: %s\nDate: Thu, 01 Jan 2099 00:00:00 UTC\nSHA256:\n %x %d Packages\n", name, sha256.Sum256([]byte(list)), len(list))
	for file, text := range map[string]string{"Packages": list, "Release": release} {
		if err := os.WriteFile(filepath.Join(folder, file), []byte(text), 0o644); err != nil {
			return err
		}
	}
	if gpgHome == "" {
		return nil
	}
	return command([]string{"GNUPGHOME=" + gpgHome}, "gpg", "--batch", "--yes", "--local-user", "kubernetes", "--clearsign", "-o", filepath.Join(folder, "InRelease"), filepath.Join(folder, "Release"))
}

func writeTree(root string, files map[string]string, control string) error {
	all := map[string]string{"DEBIAN/control": control}
	for name, text := range files {
		all[name] = text
	}
	for name, text := range all {
		file := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		mode := os.FileMode(0o644)
		if strings.HasPrefix(text, "#!") || strings.HasPrefix(text, "\x7fELF") {
			mode = 0o755
		}
		if err := os.WriteFile(file, []byte(text), mode); err != nil {
			return err
		}
	}
	return nil
}

// makeKey makes a signing key, and a file that holds it together with a stranger's.
func makeKey(home, file string) (fingerprint string, err error) {
	if err := os.MkdirAll(home, 0o700); err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return "", err
	}
	env := []string{"GNUPGHOME=" + home}
	defer func() { err = firstError(err, command(env, "gpgconf", "--kill", "all")) }()
	for _, who := range []string{"stranger", "kubernetes"} {
		if err := command(env, "gpg", "--batch", "--passphrase", "", "--quick-gen-key", who, "rsa2048", "sign", "never"); err != nil {
			return "", err
		}
	}
	if err := command(env, "gpg", "--batch", "--armor", "-o", file, "--export"); err != nil {
		return "", err
	}
	list := exec.Command("gpg", "--batch", "--with-colons", "--fingerprint", "--list-keys", "kubernetes")
	list.Env = append(os.Environ(), env...)
	out, err := list.Output()
	if err != nil {
		return "", err
	}
	found := regexp.MustCompile(`(?m)^fpr:+([0-9A-F]{40}):`).FindSubmatch(out)
	if found == nil {
		return "", fmt.Errorf("gpg names no fingerprint: %s", out)
	}
	return string(found[1]), nil
}

// packagedGPG is the gpg of the machine that runs the tests, with its libraries: Debian's minimal system has none.
func packagedGPG() (map[string]string, error) {
	program, err := exec.LookPath("gpg")
	if err != nil {
		return nil, err
	}
	out, err := exec.Command("ldd", program).Output()
	if err != nil {
		return nil, err
	}
	files := map[string]string{}
	loader := ""
	for _, path := range append(regexp.MustCompile(`/\S+`).FindAllString(string(out), -1), program) {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		files["opt/gpg/"+filepath.Base(path)] = string(text)
		if strings.HasPrefix(filepath.Base(path), "ld-") {
			loader = filepath.Base(path)
		}
	}
	if loader == "" {
		return nil, fmt.Errorf("ldd names no loader of %s: %s", program, out)
	}
	files["usr/bin/gpg"] = "#!/bin/sh\nexec /opt/gpg/" + loader + " --library-path /opt/gpg /opt/gpg/gpg \"$@\"\n"
	return files, nil
}

func command(env []string, argv ...string) error {
	c := exec.Command(argv[0], argv[1:]...)
	c.Env = append(os.Environ(), env...)
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(argv, " "), err, out)
	}
	return nil
}

func firstError(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// aptMachine installs from the test's sources only.
func aptMachine(t *testing.T) (string, func(*machine)) {
	t.Helper()
	s, err := sources()
	must(t, err)
	conf := "PACKAGES_BASE=(bash ipset) PACKAGES_KUBERNETES=('kubeadm=1.34.4-*' 'kubelet=1.34.4-1.1') PACKAGES_HOLD=(kubeadm kubelet) PACKAGES_EXTRA=(nfs-client)\n" +
		"KEY_URLS=(http://127.0.0.1/key.asc) KEY_FILES=(/etc/apt/keyrings/muster-kubernetes-0.asc) KEY_FINGERPRINTS=(" + s.fingerprint + ")\n"
	return conf, func(m *machine) {
		must(m.t, os.CopyFS(filepath.Join(m.base, "standin/www"), os.DirFS(s.www)))
		m.write("etc/apt/sources.list", "deb [trusted=yes] http://127.0.0.1/base ./\n", 0o644)
		m.write("etc/apt/sources.list.d/kubernetes.list", "deb [signed-by=/etc/apt/keyrings/muster-kubernetes-0.asc] http://127.0.0.1/kubernetes /\n", 0o644)
		m.write("etc/default/kubelet", "KUBELET_EXTRA_ARGS=of-the-document\n", 0o644)
		for _, program := range []string{"yum", "rpm", "curl"} {
			must(m.t, os.Remove(m.path("usr/local/sbin/"+program)))
		}
	}
}

// The real apt, dpkg and gpg: a key that is fetched first, exact versions, a name that another package provides, nothing upgraded, our configuration kept.
// Of two packages that depend on each other a cut leaves one, which dpkg cannot configure.
func TestApt(t *testing.T) {
	t.Parallel()
	conf, setup := aptMachine(t)
	exercise{
		phase: "prepare", steps: []string{"packages-apt"}, conf: conf, setup: setup,
		check: func(t *testing.T, m *machine) {
			status := m.read("var/lib/dpkg/status")
			for _, want := range []string{
				"Package: kubeadm\nStatus: hold ok installed\n(.+\n)*Version: 1.34.4-1.1\n", "Package: kubelet\nStatus: hold ok installed\n(.+\n)*Version: 1.34.4-1.1\n",
				"Package: ipset\nStatus: install ok installed\n", "Package: libipset13\nStatus: install ok installed\n", "Package: nfs-common\nStatus: install ok installed\n", "Package: bash\n(.+\n)*Version: 5.2.15",
			} {
				if !regexp.MustCompile("(?m)^" + want).MatchString(status) {
					t.Errorf("the packages are not as wanted: no %q", want)
				}
			}
			if got := m.read("etc/default/kubelet"); got != "KUBELET_EXTRA_ARGS=of-the-document\n" {
				t.Errorf("the document's file became %q", got)
			}
			if !m.exists("opt/kubelet/configured") {
				t.Error("the kubelet's package is not configured")
			}
		},
		// Lists, caches and logs; and the order and times of dpkg's own notes.
		differs: []string{"/var/lib/apt", "/var/cache", "/var/log", "/var/lib/dpkg", "/etc/apt/keyrings/muster-kubernetes-0.asc"},
	}.run(t)
}

const timeDaemon = "Provides: time-daemon\nConflicts: time-daemon\nReplaces: time-daemon\n"

// Where an image has another time service, the profile's takes its place; a key is fetched after that.
func TestAptReplacesTheTimeService(t *testing.T) {
	t.Parallel()
	conf, setup := aptMachine(t)
	m := newMachine(t, []string{"prepare/time", "prepare/packages-apt", "prepare/clock"}, conf+"PACKAGES_BASE=(systemd-timesyncd) TIME_SERVICE=systemd-timesyncd.service TIME_CONFIG=/etc/timesyncd.conf\n")
	setup(m)
	m.write("etc/timesyncd.conf", "[Time]\n", 0o644)
	status, err := os.ReadFile(filepath.Join(chrootFolder(t), "var/lib/dpkg/status"))
	must(t, err)
	m.write("var/lib/dpkg/status", string(status)+"\nPackage: chrony\nStatus: install ok installed\nMaintainer: tests <t@example.org>\nArchitecture: all\nVersion: 4.3-2\n"+timeDaemon+"Description: for tests\n", 0o644)
	m.write("var/lib/dpkg/info/chrony.list", "", 0o644)
	out := m.mustRun("prepare")
	if !m.runExists("active/systemd-timesyncd.service") || !strings.Contains(out, "clock: done") {
		t.Errorf("the time service does not run:\n%s", out)
	}
	if got := m.read("var/lib/dpkg/status"); strings.Contains(got, "Package: chrony\nStatus: install") {
		t.Error("chrony is still there")
	}
}

// Keys are fetched with curl, which an image may lack.
func TestAptInstallsCurlBeforeItFetchesKeys(t *testing.T) {
	t.Parallel()
	conf, setup := aptMachine(t)
	m := newMachine(t, []string{"prepare/packages-apt"}, conf)
	setup(m)
	status, err := os.ReadFile(filepath.Join(chrootFolder(t), "var/lib/dpkg/status"))
	must(t, err)
	m.write("var/lib/dpkg/status", regexp.MustCompile(`(?m)^Package: curl\n(.+\n)*\n`).ReplaceAllString(string(status), ""), 0o644)
	m.write("usr/bin/curl", "#!/bin/sh\necho curl: not found >&2\nexit 127\n", 0o755)
	m.mustRun("prepare")
	if got := m.read("var/lib/dpkg/status"); !strings.Contains(got, "Package: curl\nStatus: install ok installed\n") {
		t.Error("curl is not installed")
	}
}

// A key is accepted by its fingerprint alone, whatever else its address gives.
func TestKeyIsNotWhatWasPinned(t *testing.T) {
	t.Parallel()
	conf, setup := aptMachine(t)
	pinned := strings.Repeat("0123456789", 4)
	m := newMachine(t, []string{"prepare/packages-apt"}, conf+"KEY_FINGERPRINTS=("+pinned+")\n")
	setup(m)
	p := m.start(nil, "/bin/bash", runner, "prepare")
	p.waitFor(t, "| the key for /etc/apt/keyrings/muster-kubernetes-0.asc has not the fingerprint "+pinned, "FAILED at try 1")
	if m.exists("etc/apt/keyrings/muster-kubernetes-0.asc") || m.exists("opt/kubelet") {
		t.Error("a key that nobody pinned was accepted")
	}
}

// Of a file with several keys only the pinned one gets in.
func TestKeyIsTakenAlone(t *testing.T) {
	t.Parallel()
	conf, setup := aptMachine(t)
	m := newMachine(t, []string{"prepare/packages-apt"}, conf)
	setup(m)
	m.mustRun("prepare")
	show := exec.Command("gpg", "--batch", "--with-colons", "--show-keys", m.path("etc/apt/keyrings/muster-kubernetes-0.asc"))
	show.Env = append(os.Environ(), "GNUPGHOME="+t.TempDir())
	out, err := show.Output()
	if err != nil || strings.Count(string(out), "\npub:")+strings.Count(string(out)[:4], "pub:") != 1 || !strings.Contains(string(out), ":kubernetes:") {
		t.Errorf("the key file holds (%v):\n%s", err, out)
	}
}

// Another program at work with packages, such as the daily upgrade, is waited for.
func TestAptWaitsForTheLock(t *testing.T) {
	t.Parallel()
	conf, setup := aptMachine(t)
	m := newMachine(t, []string{"prepare/packages-apt"}, conf)
	setup(m)
	const lock = `import fcntl, time
f = open("/var/lib/dpkg/lock-frontend", "w"); fcntl.lockf(f, fcntl.LOCK_EX)
open("/standin/locked", "w").close()
while "waiting for another program" not in open("/standin/console").read(): time.sleep(0.1)`
	m.write("srv/lock.py", lock, 0o644)
	out, err := m.run([]string{"MUSTER_WAIT=60"}, "/bin/bash", "-c", "python3 /srv/lock.py & until [[ -e /standin/locked ]]; do sleep 0.1; done; exec /bin/bash "+runner+" prepare")
	if err != nil || strings.Contains(out, "FAILED") || !strings.Contains(out, "waiting for another program that holds the lock") {
		t.Errorf("%v\n%s", err, out)
	}
}

// A server that takes the call and stays silent makes no step wait for ever, neither for a key nor for a file.
func TestSilentServer(t *testing.T) {
	t.Parallel()
	const script = `
ip link set lo up
python3 -c 'import socket, time; s = socket.create_server(("127.0.0.1", 81)); open("/run/listens", "w"); time.sleep(1000)' &
until [[ -e /run/listens ]]; do sleep 0.05; done
exec /bin/bash $1 prepare`
	for step, conf := range map[string]string{
		"packages-yum": "KEY_URLS=(http://127.0.0.1:81/key) KEY_FILES=(/etc/pki/key) KEY_FINGERPRINTS=(0)\n",
		"downloads":    "DOWNLOAD_URLS=(http://127.0.0.1:81/file) DOWNLOAD_PATHS=(/srv/file) DOWNLOAD_SHA256=(0) DOWNLOAD_MODES=(644) DOWNLOAD_OWNERS=(root:root)\n",
	} {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			m := newMachine(t, []string{"prepare/" + step}, conf)
			p := m.start([]string{"MUSTER_SPEED=1"}, "/bin/bash", "-c", script, "silent", runner)
			p.waitFor(t, step+": FAILED at try 1 (exit 28)", "Operation too slow")
		})
	}
}
