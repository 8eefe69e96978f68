// Package templates owns the text that lands on nodes and runs there: the steps of the first boot, the runner that
// brings a machine through them, and their systemd units. The scripts are static: whatever differs between nodes comes
// from /etc/muster/node.conf, which the plan writes. Nothing here knows a spec or a profile.
//
// The scripts lie here one file a step, with comments. A node gets them as one file without comments and indentation, because a worker's
// whole document has to stay under 16 KiB and thirty small files do not compress.
package templates

import (
	"bytes"
	"embed"
	"fmt"
	"slices"
	"strings"
	"text/template"
)

// FS holds the scripts and units as they are written here.
//
//go:embed scripts units
var FS embed.FS

// InitTokenDescription is what InitConfiguration has to give as the description of its bootstrap token: the step
// bootstrap/token-cleanup finds the token by it.
const InitTokenDescription = "muster: made by kubeadm init"

// Step is one step of a phase. It looks at the machine, acts if something is not as it should be, and is repeated until
// all is.
type Step struct {
	// Phase is prepare, bootstrap or verify; each is a unit.
	Phase string
	// Name is unique within the phase, and is what consoles and logs call the step.
	Name string
	// For says which machines need the step.
	For string
}

// ID is PHASE/NAME, which is unique.
func (s Step) ID() string { return s.Phase + "/" + s.Name }

// Steps are all steps in the order in which they run. A plan leaves out what does not apply to a node; with
// kubernetes.dryRun that is all that needs a cluster. Modules and kernel settings come after the packages, which may bring a
// module; those that are there already muster-modules.service has loaded before.
var Steps = []Step{
	{"prepare", "swap", "system.swap: disabled"},
	{"prepare", "selinux", "system.selinux: disabled or permissive"},
	{"prepare", "firewall", "system.firewall: disabled"},
	{"prepare", "time", "every machine whose image has the time service"},
	{"prepare", "packages-apt", "packages by apt, not preinstalled"},
	{"prepare", "packages-yum", "packages by yum, not preinstalled"},
	{"prepare", "binaries", "profiles with binaries in place of packages"},
	{"prepare", "preinstalled", "packages.preinstalled"},
	{"prepare", "modules", "every machine"},
	{"prepare", "sysctl", "every machine"},
	{"prepare", "clock", "every machine"},
	{"prepare", "firewall-ports", "system.firewall: ports"},
	{"prepare", "downloads", "files with a source"},
	{"prepare", "units", "cloud-init, units that are enabled without contents"},
	{"prepare", "rendezvous", "control planes with rendezvous.delivery media or url"},
	{"prepare", "runtime", "every machine"},
	{"prepare", "images", "images.preload"},
	{"prepare", "kubelet", "every machine"},
	{"prepare", "commands-before", "commands.before"},
	{"bootstrap", "control-plane", "control planes"},
	{"bootstrap", "worker", "workers"},
	{"bootstrap", "dry-run", "the first control plane, with kubernetes.dryRun"},
	{"bootstrap", "token-cleanup", "control planes"},
	{"bootstrap", "cni", "control planes with manifests"},
	{"bootstrap", "kubeconfig", "control planes"},
	{"bootstrap", "commands-after", "commands.after"},
	{"bootstrap", "finish", "every machine"},
	{"verify", "nodes", "every machine"},
	{"verify", "nginx", "control planes with check.nginx"},
	{"verify", "done", "every machine"},
}

// Script is the file muster.sh for a machine that needs the given steps, in their order. It fails for a step that is
// none of Steps.
func Script(steps []Step) ([]byte, error) {
	var out bytes.Buffer
	var names []string
	out.WriteString("#!/bin/bash\n# Put together by gen from its templates, whose comments are left out here.\n")
	ids := make([]string, len(steps))
	for i, s := range steps {
		ids[i] = s.ID()
	}
	for _, file := range Libraries(ids) {
		if err := appendCode(&out, file); err != nil {
			return nil, err
		}
	}
	out.WriteString("define_step() {\ncase $1 in\n")
	for _, s := range steps {
		fmt.Fprintf(&out, "%s_%s)\n", s.Phase, s.Name)
		if err := appendCode(&out, "scripts/"+s.ID()+".sh"); err != nil {
			return nil, fmt.Errorf("there is no step %s", s.ID())
		}
		out.WriteString(";;\n")
		names = append(names, s.Phase+"_"+s.Name)
	}
	fmt.Fprintf(&out, "esac\n}\nSTEPS=(%s)\n", strings.Join(names, " "))
	if err := appendCode(&out, "scripts/main.sh"); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// libraries are the files of what several steps share, and which steps these are. A machine with none of them does without,
// for a worker's document has no room to spare.
var libraries = []struct {
	file  string
	steps []string
}{
	{"scripts/keys.sh", []string{"prepare/packages-apt", "prepare/packages-yum"}},
	{"scripts/fetch.sh", []string{"prepare/binaries", "prepare/downloads", "prepare/rendezvous", "prepare/images"}},
	{"scripts/commands.sh", []string{"prepare/commands-before", "bootstrap/commands-after"}},
}

// Libraries are the files that stand before the given steps, by their ids: what all use, and what they share.
func Libraries(ids []string) []string {
	files := []string{"scripts/lib.sh"}
	for _, l := range libraries {
		if slices.ContainsFunc(ids, func(id string) bool { return slices.Contains(l.steps, id) }) {
			files = append(files, l.file)
		}
	}
	return files
}

// appendCode leaves out indentation, lines that are comments, and blank ones. No script here has a string or here-document
// over several lines (a test looks); directives that switch a check of shellcheck off stay, so that the result passes as well.
func appendCode(out *bytes.Buffer, file string) error {
	text, err := FS.ReadFile(file)
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(text)) {
		code := strings.TrimSpace(line)
		if code == "" || strings.HasPrefix(code, "#") && !strings.HasPrefix(code, "# shellcheck disable=") && code != "# shellcheck source=/dev/null" {
			continue
		}
		out.WriteString(code + "\n")
	}
	return nil
}

// IPVSModules is the script that loads the kernel modules of ipvs; it is meant for mode 0755 at the profile's path.
func IPVSModules() []byte {
	text, err := FS.ReadFile("scripts/ipvs.modules")
	if err != nil {
		panic(err) // it is embedded
	}
	return text
}

// Variables are all that the scripts read from node.conf. The plan assigns those that are not empty, as a string or, if
// it ends in [], as an array; arrays of one group (BINARY, DOWNLOAD, IMAGE, KEY) have the same length.
var Variables = []string{
	"APPLY_FLAGS[]", "ARCHITECTURE", "BINARY_EXTRACT[]", "BINARY_PATHS[]", "BINARY_SHA256[]", "BINARY_URLS[]", "BIN_DIR",
	"CERTIFICATES_DIR", "CLUSTER", "COMMANDS_AFTER[]", "COMMANDS_BEFORE[]", "CRI_SOCKET", "CURL_ARGS[]",
	"DOWNLOAD_MODES[]", "DOWNLOAD_OWNERS[]", "DOWNLOAD_PATHS[]", "DOWNLOAD_SHA256[]", "DOWNLOAD_URLS[]", "DRY_RUN", "ENDPOINT",
	"FIREWALL_PORTS[]", "FIREWALL_SERVICES[]", "FIREWALL_SOURCES[]", "HTTPS_PROXY", "HTTP_PROXY",
	"IMAGE_PATHS[]", "IMAGE_SHA256[]", "IMAGE_URLS[]", "IPVS", "IPVS_SCRIPT",
	"KEY_FILES[]", "KEY_FINGERPRINTS[]", "KEY_URLS[]", "KUBEADM_FLAGS[]", "KUBEADM_INIT", "KUBEADM_JOIN", "KUBECONFIG_USERS[]", "KUBERNETES_VERSION",
	"MANIFESTS[]", "MODULES[]", "NGINX_IMAGE", "NODES[]", "NODE_NAME", "NOT_BEFORE", "NO_PROXY",
	"PACKAGES_BASE[]", "PACKAGES_EXTRA[]", "PACKAGES_HOLD[]", "PACKAGES_KUBERNETES[]", "PACKAGES_RUNTIME[]",
	"RENDEZVOUS[]", "RENDEZVOUS_MEDIUM", "RENDEZVOUS_PROGRAM", "RENDEZVOUS_SHA256", "RENDEZVOUS_URL", "ROLE", "RUNTIME", "RUNTIME_SERVICE",
	"SELINUX", "SYSCTL_FILE", "TIMEZONE", "TIME_CONFIG", "TIME_SERVICE", "UNITS_ENABLED[]",
}

// SetUp is the file that stands once the phase bootstrap has ended: the machine is its operator's from then on, and neither its
// first boot's work nor cloud-init changes it again. Only verify goes on, until a file of its own.
const SetUp = "/var/lib/muster/bootstrap.done"

// Target is the unit that starts all others: at the first boot by hand of the document, later because it is enabled.
const Target = "muster.target"

// unitNames are the units in the order in which they run.
var unitNames = []string{Target, "muster-modules.service", "muster-prepare.service", "muster-bootstrap.service", "muster-verify.service"}

// rendezvousUnit is on control planes only.
const rendezvousUnit = "muster-rendezvous.service"

var units = parseUnits()

func parseUnits() *template.Template {
	all := template.New("units").Delims("[[", "]]").Option("missingkey=error")
	return template.Must(all.ParseFS(FS, "units/*"))
}

// Unit is one systemd unit.
type Unit struct{ Name, Contents string }

// Units are muster's units for a machine that has muster.sh in the folder scripts and, on control planes, the program
// rendezvous; empty on others. They fail for a path that would need quotes in a unit.
func Units(scripts, rendezvous string) ([]Unit, error) {
	if !plainPath(scripts) {
		return nil, fmt.Errorf("%q is no folder for scripts: name an absolute path of letters, digits, and . _ - /", scripts)
	}
	names := unitNames
	if rendezvous != "" {
		if !plainPath(rendezvous) {
			return nil, fmt.Errorf("%q is no path for the rendezvous: name an absolute path of letters, digits, and . _ - /", rendezvous)
		}
		names = append(slices.Clone(names), rendezvousUnit)
	}
	var out []Unit
	for _, name := range names {
		var text strings.Builder
		if err := units.ExecuteTemplate(&text, name, struct{ Scripts, Rendezvous string }{scripts, rendezvous}); err != nil {
			return nil, fmt.Errorf("unit %s: %w", name, err)
		}
		out = append(out, Unit{name, text.String()})
	}
	return out, nil
}

func plainPath(path string) bool {
	return strings.HasPrefix(path, "/") && !strings.ContainsFunc(path, needsQuotes)
}

// needsQuotes reports whether systemd would take a character of a path for anything but itself.
func needsQuotes(r rune) bool {
	return !strings.ContainsRune("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-/", r)
}
