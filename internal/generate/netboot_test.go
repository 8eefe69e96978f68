package generate

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"muster/internal/consumer"
	"muster/internal/problem"
)

// metal is a cluster that boots over the network; %s is where it is served.
const metal = `apiVersion: muster/v1
kind: Cluster
metadata: {name: metal}
spec:
  profile: debian12-containerd
  kubernetes: {version: v1.34.11}
  cni: {flannel: {}}
  pxe: {baseURL: "%s"}
  nodes:
    - {name: cp1, role: control-plane, address: 192.0.2.11, mac: "52:54:00:12:34:56", disk: /dev/vda, network: {prefixLength: 24}}
    - {name: live1, role: worker, mac: "52:54:00:12:34:57"}
    - {name: flat1, role: worker, mac: "52:54:00:12:34:58", disk: /dev/sda, profile: flatcar-containerd}
    - {name: elsewhere, role: worker}
  pools:
    - {name: burst, role: worker, maxNodes: 10, profile: flatcar-containerd}
    - {name: live, role: worker, maxNodes: 10}
  users: [{name: admin, sshAuthorizedKeys: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJAJC6axw6Inw5ATjf7512pnWYu0WwQwZAnUU5m9cZw+ you@example.com]}]
`

// generated runs gen's stages on a spec and returns the tree by path, and the problems.
func generated(t *testing.T, text string, profiles map[string]string) (map[string][]byte, []problem.Problem) {
	t.Helper()
	dir := t.TempDir()
	for name, contents := range profiles {
		write(t, filepath.Join(dir, name), []byte(contents))
	}
	spec := filepath.Join(dir, "cluster.yaml")
	write(t, spec, []byte(text))
	var problems problem.List
	result, err := FromFile(spec, ForTests(), &problems)
	if err != nil {
		t.Fatal(err)
	}
	tree := map[string][]byte{}
	for _, f := range result.Tree {
		tree[f.Path] = f.Bytes()
	}
	return tree, problems.Sorted()
}

func write(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// server is a plain HTTP server of a tree's pxe folder, with the same kernel and initrd for every machine.
type server struct {
	tree           map[string][]byte
	kernel, initrd []byte
	port           string

	mu      sync.Mutex
	asked   []string
	missing map[string]int // how often a path is not there yet
}

func serve(t *testing.T, tree func(port string) map[string][]byte) *server {
	t.Helper()
	s := &server{kernel: assembled(t), initrd: []byte("an initrd of 24 bytes..\n"), missing: map[string]int{}}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, s.port, _ = net.SplitHostPort(listener.Addr().String())
	s.tree = tree(s.port)
	web := &httptest.Server{Listener: listener, Config: &http.Server{Handler: s}}
	web.Start()
	t.Cleanup(web.Close)
	return s
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.asked = append(s.asked, r.URL.Path)
	gone := s.missing[r.URL.Path] > 0
	s.missing[r.URL.Path]--
	s.mu.Unlock()
	data, ok := s.tree["pxe"+r.URL.Path]
	switch {
	case strings.HasPrefix(r.URL.Path, "/assets/") && path.Ext(r.URL.Path) == ".gz":
		data, ok = s.initrd, true
	case strings.HasPrefix(r.URL.Path, "/assets/") && path.Ext(r.URL.Path) == ".img":
		data, ok = s.initrd, true
	case strings.HasPrefix(r.URL.Path, "/assets/"):
		data, ok = s.kernel, true
	}
	if gone || !ok {
		http.NotFound(w, r)
		return
	}
	_, _ = w.Write(data) // a client that goes away is no fault of ours
}

// requests returns what was asked for since the last call.
func (s *server) requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.asked
	s.asked = nil
	return out
}

// assembled is a kernel that prints its command line.
func assembled(t *testing.T) []byte {
	t.Helper()
	dir := t.TempDir()
	program(t, nil, "x86_64-linux-gnu-as", "--32", "-o", dir+"/kernel.o", "testdata/kernel.s")
	program(t, nil, "x86_64-linux-gnu-objcopy", "-O", "binary", dir+"/kernel.o", dir+"/kernel")
	data, err := os.ReadFile(dir + "/kernel")
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// program runs a program to its end and returns what it printed; a missing one fails the test.
func program(t *testing.T, stdin []byte, argv ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Stdin = bytes.NewReader(stdin)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v (make test-deps and make tools install what is missing)\n%s%s", argv[0], err, out, stderr.String())
	}
	return string(out)
}

var handedOver = regexp.MustCompile(`<(initrd=[^>]*)>([0-9a-f]{8})\.`)

// boot starts a machine with iPXE in its firmware that DHCP points at a script, and returns the kernel's command line. The machine boots from
// an interface that no spec knows; mac is its second one. QEMU's user network shows it the host's 127.0.0.1 as 10.0.2.2.
func boot(t *testing.T, s *server, script, mac string) (commandLine, console string) {
	t.Helper()
	serial := filepath.Join(t.TempDir(), "serial")
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, "qemu-system-x86_64", "-accel", "tcg", "-machine", "pc,graphics=off", "-m", "256",
		"-display", "none", "-monitor", "none", "-serial", "file:"+serial, "-boot", "n",
		"-device", "isa-debug-exit,iobase=0xf4,iosize=4",
		"-netdev", "user,id=first,bootfile=http://10.0.2.2:"+s.port+"/"+script, "-device", "virtio-net-pci,netdev=first,mac=52:54:00:aa:aa:aa",
		"-netdev", "user,id=second", "-device", "virtio-net-pci,netdev=second,mac="+mac).CombinedOutput()
	text, _ := os.ReadFile(serial) // without it the match below fails
	found := handedOver.FindSubmatch(text)
	if found == nil {
		t.Fatalf("the machine did not start the kernel: %v (make test-deps installs qemu-system-x86)\n%s\n%s\nasked for: %q", err, out, text, s.requests())
	}
	if want := fmt.Sprintf("%08x", len(s.initrd)); string(found[2]) != want {
		t.Errorf("the kernel got initrds of %s bytes, want %s", found[2], want)
	}
	return string(found[1]), string(text)
}

// TestNetBoot boots machines with real iPXE from what gen writes, and hands the command lines that their kernels got to cloud-init and Ignition.
func TestNetBoot(t *testing.T) {
	s := serve(t, func(port string) map[string][]byte {
		tree, problems := generated(t, fmt.Sprintf(metal, "http://10.0.2.2:"+port), nil)
		for _, p := range problems {
			if p.Severity == problem.Error {
				t.Fatal(p)
			}
		}
		return tree
	})
	base := "http://10.0.2.2:" + s.port
	t.Run("unknown at first, then cloud-init in memory", func(t *testing.T) {
		script := "/mac/52-54-00-12-34-57.ipxe"
		s.missing[script] = 1
		line, console := boot(t, s, "boot.ipxe", "52:54:00:12:34:57")
		if !strings.Contains(console, "muster: no script at "+base+" for this machine") || !strings.Contains(console, "52:54:00:aa:aa:aa 52:54:00:12:34:57") {
			t.Errorf("the console does not say that the machine has no script:\n%s", console)
		}
		other := "/mac/52-54-00-aa-aa-aa.ipxe"
		want := []string{"/boot.ipxe", other, script, other, script, "/assets/debian12/vmlinuz", "/assets/debian12/initrd.img"}
		if got := s.requests(); !slices.Equal(got, want) {
			t.Errorf("the machine asked for %q, want %q", got, want)
		}
		cloudInit(t, s, line, "nodes/live1", "metal.live1", "live1")
	})
	t.Run("the installer of Flatcar", func(t *testing.T) {
		line, _ := boot(t, s, "boot.ipxe", "52:54:00:12:34:58")
		s.requests()
		ignition(t, s, line, "/nodes/flat1/config.ign")
	})
	t.Run("a pool", func(t *testing.T) {
		line, _ := boot(t, s, "pool-burst.ipxe", "52:54:00:bb:bb:bb")
		s.requests()
		if want := "systemd.hostname=burst-52-54-00-aa-aa-aa"; !strings.Contains(line, want) {
			t.Errorf("the command line %q has no %s", line, want)
		}
		ignition(t, s, line, "/pools/burst/config.ign")
	})
	t.Run("a pool with cloud-init", func(t *testing.T) {
		line, _ := boot(t, s, "pool-live.ipxe", "52:54:00:bb:bb:bb")
		s.requests()
		cloudInit(t, s, line, "pools/live", "metal.live", "live-52-54-00-aa-aa-aa")
	})
}

// cloudInit lets Debian 12's cloud-init act on a kernel's command line; folder has the machine's documents.
func cloudInit(t *testing.T, s *server, line, folder, instance, hostname string) {
	t.Helper()
	script, err := os.ReadFile("testdata/seed.py")
	if err != nil {
		t.Fatal(err)
	}
	answer := program(t, script, "chroot", "../../build/chroot-debian12",
		"env", "DEBUG_PROC_CMDLINE="+reachable(line), "python3", "-B", "-")
	var got struct {
		UserData []byte
		Mode     string
		MetaData map[string]any
		Trusted  bool
	}
	if err := json.Unmarshal([]byte(answer), &got); err != nil {
		t.Fatalf("%v: %s", err, answer)
	}
	if !bytes.Equal(got.UserData, s.tree[folder+"/user-data"]) {
		t.Error("cloud-init gets other user-data than the node's")
	}
	if got.MetaData["instance-id"] != instance || got.MetaData["local-hostname"] != hostname || got.Mode != "net" || !got.Trusted {
		t.Errorf("cloud-init makes %+v of %q", got, line)
	}
}

// ignition lets Ignition's engine fetch what a kernel's command line says.
func ignition(t *testing.T, s *server, line, document string) {
	t.Helper()
	dir := t.TempDir()
	write(t, dir+"/cmdline", []byte(reachable(line)))
	program(t, nil, "unshare", "--mount", "--propagation", "private", "sh", "-euc", `
mount --bind "$1/cmdline" /proc/cmdline
exec ../../build/tools/ignition -platform metal -stage fetch -root "$1" -config-cache "$1/config" -state-file "$1/state" -neednet "$1/neednet" -log-to-stdout`,
		"sh", dir)
	if got := s.requests(); !slices.Equal(got, []string{document}) {
		t.Errorf("Ignition asked for %q, want %s", got, document)
	}
	cached, err := os.ReadFile(dir + "/config")
	if err != nil {
		t.Fatal(err)
	}
	var config struct {
		Storage struct {
			Files []struct{ Path string }
		}
	}
	if err := json.Unmarshal(cached, &config); err != nil || len(config.Storage.Files) == 0 {
		t.Errorf("Ignition made %q of %s: %v", cached, document, err)
	}
}

// reachable replaces the host as the machine sees it by the host as programs on it do.
func reachable(line string) string { return strings.ReplaceAll(line, "//10.0.2.2:", "//127.0.0.1:") }

// TestNetInstallers applies the documents of the systems that install others, and looks for what they need: the documents of the machine to be,
// and something that is started.
func TestNetInstallers(t *testing.T) {
	tree, _ := generated(t, fmt.Sprintf(metal, "http://192.0.2.1:8080"), nil)
	installed := func(root, node string, names ...string) {
		t.Helper()
		for _, name := range names {
			got, err := os.ReadFile(filepath.Join(root, "/etc/muster/install", name))
			if err != nil {
				t.Error(err)
			} else if !bytes.Equal(got, tree["nodes/"+node+"/"+name]) {
				t.Errorf("the installer hands over another %s than that of %s", name, node)
			}
		}
		unit, err := os.ReadFile(root + "/etc/systemd/system/muster-install.service")
		if err != nil {
			t.Fatal(err)
		}
		consumer.SystemdVerify(t, map[string][]byte{"muster-install.service": unit})
	}
	t.Run("Debian", func(t *testing.T) {
		root := t.TempDir()
		consumer.CloudInitSchema(t, tree["pxe/nodes/cp1/user-data"])
		consumer.CloudInitApply(t, tree["pxe/nodes/cp1/user-data"], root)
		installed(root, "cp1", "user-data", "meta-data", "network-config")
		script, err := os.ReadFile(root + "/usr/local/lib/muster/install.sh")
		if err != nil {
			t.Fatal(err)
		}
		consumer.Shellcheck(t, map[string][]byte{"install.sh": script})
	})
	t.Run("Flatcar", func(t *testing.T) {
		root := t.TempDir()
		consumer.IgnitionValidate(t, tree["pxe/nodes/flat1/config.ign"])
		consumer.IgnitionApply(t, tree["pxe/nodes/flat1/config.ign"], root)
		installed(root, "flat1", "config.ign")
	})
}

// TestNetBootTree says what is served and what is not.
func TestNetBootTree(t *testing.T) {
	tree, problems := generated(t, fmt.Sprintf(metal, "http://192.0.2.1:8080"), nil)
	var got []string
	for name := range tree {
		if rest, ok := strings.CutPrefix(name, "pxe/"); ok {
			got = append(got, rest)
		}
	}
	slices.Sort(got)
	want := []string{
		"README.txt", "boot.ipxe", "mac/52-54-00-12-34-56.ipxe", "mac/52-54-00-12-34-57.ipxe", "mac/52-54-00-12-34-58.ipxe",
		"matchbox/groups/flat1.json", "matchbox/ignition/flat1.ign", "matchbox/profiles/flat1.json",
		"nodes/cp1/meta-data", "nodes/cp1/user-data", "nodes/cp1/vendor-data",
		"nodes/flat1/config.ign", "nodes/live1/meta-data", "nodes/live1/user-data", "nodes/live1/vendor-data",
		"pool-burst.ipxe", "pool-live.ipxe", "pools/burst/config.ign", "pools/live/meta-data", "pools/live/user-data", "pools/live/vendor-data",
	}
	if !slices.Equal(got, want) {
		t.Errorf("served are %q, want %q", got, want)
	}
	for _, name := range []string{"user-data", "meta-data"} {
		if !bytes.Equal(tree["pxe/nodes/live1/"+name], tree["nodes/live1/"+name]) {
			t.Errorf("live1 is served another %s than its own", name)
		}
	}
	var said []string
	for _, p := range problems {
		said = append(said, fmt.Sprintf("%d %s: %s", p.Line, p.Severity, p.Message[:strings.IndexAny(p.Message, ",:")]))
	}
	wantSaid := []string{"11 warning: live1 runs from memory", "13 notice: elsewhere has no mac", "15 warning: burst runs from memory", "16 warning: live runs from memory"}
	if !slices.Equal(said, wantSaid) {
		t.Errorf("the problems are %q, want %q", said, wantSaid)
	}
}

// TestNetBootOfArm64: whoever serves a machine of another architecture is told that the README's sources are not its own.
func TestNetBootOfArm64(t *testing.T) {
	spec := strings.Replace(fmt.Sprintf(metal, "http://192.0.2.1:8080"), `"52:54:00:12:34:57"}`, `"52:54:00:12:34:57", architecture: arm64}`, 1)
	_, problems := generated(t, spec, nil)
	if !slices.ContainsFunc(problems, func(p problem.Problem) bool {
		return p.Severity == problem.Notice && p.Line == 11 && strings.HasPrefix(p.Message, "live1 is arm64: serve builds for it")
	}) {
		t.Errorf("the problems are %v", problems)
	}
}

// TestNetBootRefusals: what cannot be booted as the spec says is refused at the line that says it.
func TestNetBootRefusals(t *testing.T) {
	spec := fmt.Sprintf(metal, "http://192.0.2.1:8080")
	debian, err := os.ReadFile("../../profiles/debian12-containerd.yaml")
	if err != nil {
		t.Fatal(err)
	}
	with := func(block string) map[string]string {
		own := strings.Replace(string(debian), "name: debian12-containerd", "name: own", 1)
		return map[string]string{"own.yaml": own[:strings.Index(own, "\npxe:")+1] + block}
	}
	own := strings.Replace(spec, "profile: debian12-containerd", "profile: ./own.yaml", 1)
	kernel := "kernel: k\n    source: somewhere\n    units: [{name: a.service, contents: \"[Service]\\nExecStart=/bin/true\\n\"}]\n"
	for _, c := range []struct {
		name, spec string
		profiles   map[string]string
		line       int
		want       string
	}{
		{"base URL", strings.Replace(spec, "192.0.2.1:8080", "192.0.2.1:8080/a;b", 1), nil, 8, "the base URL stands in iPXE scripts"},
		{"percent", strings.Replace(spec, "192.0.2.1:8080", "192.0.2.1:8080/%41", 1), nil, 8, "the base URL stands in iPXE scripts"},
		{"static network in memory", strings.Replace(spec, `"52:54:00:12:34:57"}`, `"52:54:00:12:34:57", address: 192.0.2.12, network: {prefixLength: 24}}`, 1), nil, 11,
			"live1 runs from memory and keeps the network that DHCP gives it"},
		{"no way at all", own, with(""), 5, "profile ./own.yaml does not say how cp1 boots over the network"},
		{"no installer", own, with("pxe:\n  boot:\n    " + kernel), 10, "profile ./own.yaml installs nothing over the network"},
		{"only an installer", own, with("pxe:\n  install:\n    " + kernel), 11, "profile ./own.yaml only installs over the network, and live1 names no disk"},
		{"unknown word", own, with("pxe:\n  boot:\n    " + kernel + "    args: [\"a={documnts}\"]\n  install:\n    " + kernel), 5, "{documnts} means nothing for live1"},
		{"pool's name", strings.Replace(spec, "name: burst", "name: "+strings.Repeat("b", 46), 1), nil, 15, "are too long for a host name"},
		{"disk in memory", own, with("pxe:\n  boot:\n    " + kernel + "    args: [\"root={disk}\"]\n  install:\n    " + kernel), 5, "{disk} means nothing for live1"},
		{"mode", own, with("pxe:\n  boot:\n    " + kernel + "  install:\n    " + kernel + "    files: [{path: /a, mode: \"9\", contents: a}]\n"), 5, `"9" is no mode`},
		{"no unit", own, with("pxe:\n  boot:\n    " + kernel + "  install:\n    kernel: k\n    source: somewhere\n"), 5, "pxe.install.units is empty"},
		{"unit", own, with("pxe:\n  boot:\n    " + kernel + "  install:\n    kernel: k\n    source: somewhere\n    units: [{name: a, contents: b}]\n"), 5, "pxe.install: "},
		{"two parameters", own, with("pxe:\n  boot:\n    " + kernel + "  install:\n    " + kernel + "    args: [\"a b\"]\n"), 10, `the kernel argument "a b" has blanks`},
		{"iPXE's settings", own, with("pxe:\n  boot:\n    " + kernel + "  install:\n    " + kernel + "    args: [\"a=${net0/mac}\"]\n"), 10, "has blanks, quotes or characters"},
		{"path", own, with("pxe:\n  boot:\n    " + kernel + "  install:\n    " + strings.Replace(kernel, "k\n", "../k\n", 1)), 10, `"../k" is no path of a kernel`},
		{"two initrds", own, with("pxe:\n  boot:\n    " + kernel + "  install:\n    " + kernel + "    initrds: [a/i, b/i]\n"), 10, "two initrds are called i"},
		{"long line", own, with("pxe:\n  boot:\n    " + kernel + "  install:\n    " + kernel + "    args: [" + strings.Repeat("a", 2048) + "]\n"), 10, "the kernel's command line has 2048 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, problems := generated(t, c.spec, c.profiles)
			for _, p := range problems {
				if p.Severity == problem.Error && p.Line == c.line && strings.Contains(p.Message, c.want) {
					return
				}
			}
			t.Errorf("no error at line %d says %q; the problems are %v", c.line, c.want, problems)
		})
	}
}
