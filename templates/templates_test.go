package templates

import (
	"bytes"
	"compress/gzip"
	"io/fs"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"muster/internal/consumer"
)

func stepNames() []string {
	var out []string
	for _, s := range Steps {
		out = append(out, s.ID())
	}
	return out
}

func TestStepsAreUnique(t *testing.T) {
	names := stepNames()
	slices.Sort(names)
	if unique := slices.Compact(slices.Clone(names)); len(unique) != len(names) {
		t.Errorf("a step stands twice among %q", names)
	}
}

// sourceFiles are the scripts as they are written here.
func sourceFiles(t *testing.T) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	must(t, fs.WalkDir(FS, "scripts", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := FS.ReadFile(path)
		out[strings.ReplaceAll(path, "/", "_")] = text
		return err
	}))
	return out
}

func TestShellcheck(t *testing.T) {
	t.Parallel()
	scripts := sourceFiles(t)
	if len(scripts) != len(Steps)+6 {
		t.Errorf("%d scripts for %d steps, four libraries, the runner and the modules of ipvs", len(scripts), len(Steps))
	}
	scripts["muster.sh"] = script(t, stepNames())
	consumer.Shellcheck(t, scripts)
}

// What leaves out comments must leave out nothing else: bash itself prints both alike.
func TestScriptLosesOnlyComments(t *testing.T) {
	t.Parallel()
	for name, text := range sourceFiles(t) {
		var short bytes.Buffer
		must(t, appendCode(&short, strings.Replace(strings.Replace(name, "_", "/", 1), "_", "/", strings.Count(name, "_")-1)))
		if want, got := canonical(t, string(text)), canonical(t, short.String()); want != got {
			t.Errorf("%s lost more than comments:\n%s", name, cmp.Diff(want, got))
		}
	}
}

// canonical is how bash prints a script, as a function's body.
func canonical(t *testing.T, text string) string {
	t.Helper()
	out, err := exec.Command("bash", "-c", "all() {\n"+text+"\n}\ndeclare -f all").CombinedOutput()
	if err != nil {
		t.Fatalf("bash does not read this: %v: %s\n%s", err, out, text)
	}
	return string(out)
}

func TestScriptOfUnknownStep(t *testing.T) {
	t.Parallel()
	if _, err := Script([]Step{{Phase: "prepare", Name: "swpa"}}); err == nil || !strings.Contains(err.Error(), "there is no step prepare/swpa") {
		t.Errorf("got %v", err)
	}
}

// CentOS 7 has bash 4.2: what came later must not be used.
func TestScriptsAreForBash42(t *testing.T) {
	t.Parallel()
	later := regexp.MustCompile(`local -n|declare -n|\bmapfile -d|\breadarray\b|\$\{[A-Za-z_]+@|wait -n|EPOCHSECONDS|\[\[ -v|inherit_errexit|local -|\[\[ \$BASH_COMMAND`) // which is itself in a trap
	for name, text := range sourceFiles(t) {
		if found := later.Find(text); found != nil {
			t.Errorf("%s uses %q", name, found)
		}
	}
}

var (
	use   = regexp.MustCompile(`\$\{?[#!]?([A-Z][A-Z0-9_]+)`)
	makes = regexp.MustCompile(`(?:^|[ (;])([A-Z][A-Z0-9_]+)\+?=`)
)

// Variables says exactly what the scripts take from node.conf.
func TestVariables(t *testing.T) {
	t.Parallel()
	used, made := map[string]bool{}, map[string]bool{"BASH_COMMAND": true, "SECONDS": true, "STEPS": true, "HOSTNAME": true} // STEPS comes from Script
	for _, text := range sourceFiles(t) {
		for line := range strings.Lines(string(text)) {
			if strings.HasPrefix(strings.TrimSpace(line), "#") {
				continue
			}
			for _, m := range use.FindAllStringSubmatch(line, -1) {
				used[m[1]] = true
			}
			for _, m := range makes.FindAllStringSubmatch(line, -1) {
				made[m[1]] = true
			}
		}
	}
	var got []string
	for name := range used {
		if !made[name] || slices.Contains([]string{"NODE_NAME", "CERTIFICATES_DIR"}, name) { // those have defaults
			got = append(got, name)
		}
	}
	var want []string
	for _, v := range Variables {
		want = append(want, strings.TrimSuffix(v, "[]"))
	}
	want = append(want, "MUSTER_WAIT", "MUSTER_POLL", "MUSTER_RETRY", "MUSTER_SPEED") // tests shorten waits by these
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Variables are not what scripts use:\n%s", diff)
	}
	for _, v := range Variables {
		name, array := strings.CutSuffix(v, "[]")
		if array != regexp.MustCompile(`(?m)(^| )`+name+`=\(`).MatchString(baseConf) {
			t.Errorf("tests assign %s as another kind, or not at all", v)
		}
	}
}

func TestInitTokenDescription(t *testing.T) {
	t.Parallel()
	text, err := FS.ReadFile("scripts/bootstrap/token-cleanup.sh")
	must(t, err)
	if !strings.Contains(string(text), "'"+InitTokenDescription+"'") {
		t.Error("the script looks for another description")
	}
}

func TestUnits(t *testing.T) {
	t.Parallel()
	units, err := Units("/opt/muster", "/opt/bin/rendezvous")
	must(t, err)
	files := map[string][]byte{}
	for _, u := range units {
		files[u.Name] = []byte(u.Contents)
		if strings.Contains(u.Contents, "[[") {
			t.Errorf("%s: a placeholder was left", u.Name)
		}
		// systemd 219 refuses Restart= of a oneshot unit and does not know the first of these; the others make a deadlock at the first boot or a cycle at the second.
		oneshot := strings.Contains(u.Contents, "Type=oneshot")
		for _, wrong := range []string{"StartLimitIntervalSec", "After=multi-user.target", "cloud-init", "cloud-final", "cloud-config"} {
			if strings.Contains(u.Contents, wrong) {
				t.Errorf("%s has %s", u.Name, wrong)
			}
		}
		if oneshot && strings.Contains(u.Contents, "Restart=") {
			t.Errorf("%s is a oneshot unit with Restart=", u.Name)
		}
	}
	for unit, file := range map[string]string{"muster-prepare": SetUp, "muster-bootstrap": SetUp, "muster-verify": "/var/lib/muster/done"} {
		if !strings.Contains(string(files[unit+".service"]), "\nConditionPathExists=!"+file+"\n") {
			t.Errorf("%s does not stay away once there is %s", unit, file)
		}
	}
	if !strings.Contains(string(files["muster-rendezvous.service"]), "\nLimitCORE=0\n") {
		t.Error("a core file of the rendezvous would hold its key")
	}
	consumer.SystemdVerify(t, files)
	for _, bad := range []string{"", "opt/muster", "/opt/my scripts", "/opt/%n", "/opt/a\nb", "/opt/$x"} {
		if _, err := Units(bad, ""); err == nil {
			t.Errorf("a folder %q got through", bad)
		}
		if _, err := Units("/opt/muster", bad); err == nil && bad != "" {
			t.Errorf("a program %q got through", bad)
		}
	}
}

// A worker's whole document has to stay under 16 KiB, in base64; this is the part of it that is ours.
func TestSizeOnAWorker(t *testing.T) {
	t.Parallel()
	worker := []string{"modules", "sysctl", "swap", "selinux", "firewall", "time", "packages-yum", "clock", "runtime", "kubelet"}
	for i, s := range worker {
		worker[i] = "prepare/" + s
	}
	worker = append(worker, "bootstrap/worker", "bootstrap/finish", "verify/nodes", "verify/done")
	size := compressed(t, script(t, worker)) + compressed(t, IPVSModules())
	units, err := Units("/usr/local/lib/muster", "")
	must(t, err)
	for _, u := range units {
		size += compressed(t, []byte(u.Contents))
	}
	t.Logf("%d bytes", size)
	if size > 9300 {
		t.Errorf("scripts and units of a worker have %d bytes compressed, more than 9300", size)
	}
}

func compressed(t *testing.T, data []byte) int {
	t.Helper()
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	must(t, err)
	_, err = w.Write(data)
	must(t, err)
	must(t, w.Close())
	return out.Len()
}
