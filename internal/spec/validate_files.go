package spec

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"muster/internal/node"
)

var (
	fileRules        = []func(*validator, Scope){ruleFilePath, ruleFilePlace, ruleFileOwned, ruleFileTwice, ruleFileMode, ruleFileModeSpecial, ruleFileOwner, ruleFileContents, ruleFileSource, ruleFileDigest}
	fileTargetRules  = []func(*validator, Target){ruleFileReadOnly, ruleFileHome, ruleFileOwnerMade, ruleUnitNeeded}
	fileClusterRules = []func(*validator){ruleFileRead}
	unitRules        = []func(*validator, Scope){ruleUnitName, ruleUnitOwned, ruleUnitTwice, ruleUnitEffect, ruleUnitMask, ruleUnitContents, ruleUnitTemplate, ruleUnitInstall, ruleDropInName, ruleDropInTwice}
)

// Rule: a file's path is absolute, clean and made of plain characters.
func ruleFilePath(v *validator, s Scope) {
	for _, file := range s.Files.Items {
		if !file.Path.Set {
			continue
		}
		if what, instead := pathMistake(file.Path.V); what != "" {
			v.errorf(file.Path.At, instead, "%s", what)
		} else if !plainPath.MatchString(file.Path.V) {
			v.errorf(file.Path.At, "write letters, digits and ._+@:=,-", "a file's path holds no other characters")
		}
	}
}

// volatileTrees are folders that are empty at boot, or no files at all.
var volatileTrees = []string{"/tmp", "/var/tmp", "/run", "/var/run", "/proc", "/sys", "/dev"}

// inTree reports whether a path is a folder or lies below it.
func inTree(p, folder string) bool { return p == folder || strings.HasPrefix(p, folder+"/") }

// Rule: a file lies where it stays: not below /tmp, /run, /proc, /sys or /dev.
func ruleFilePlace(v *validator, s Scope) {
	for _, file := range s.Files.Items {
		for _, folder := range volatileTrees {
			if file.Path.Set && inTree(file.Path.V, folder) {
				v.errorf(file.Path.At, "write a place that stays, such as /etc or /opt", "what lies below %s is gone after a boot", folder)
			}
		}
	}
}

// Rule: a file lies where the operating system of its machine can be written to.
func ruleFileReadOnly(v *validator, t Target) {
	for _, file := range t.Files.Items {
		for _, folder := range v.facts.Profiles[t.Profile.V].ReadOnly {
			if file.Path.Set && inTree(file.Path.V, folder) {
				v.errorf(file.Path.At, "write a path below /opt or /etc", "%s is read-only on %s", folder, t.Profile.V)
			}
		}
	}
}

// ownedPaths are files and folders that muster or kubeadm writes, with what to write instead.
var ownedPaths = map[string]string{
	"/etc/muster":                 "choose another folder",
	"/var/lib/muster":             "choose another folder",
	"/etc/hosts":                  "write nodes[].aliases",
	"/etc/hostname":               "write nodes[].name",
	"/etc/docker/daemon.json":     "write docker.daemon",
	"/etc/containerd/config.toml": "write containerd.config",
	"/etc/kubernetes/manifests/kube-apiserver.yaml":          "write kubernetes.apiServer",
	"/etc/kubernetes/manifests/kube-controller-manager.yaml": "write kubernetes.controllerManager",
	"/etc/kubernetes/manifests/kube-scheduler.yaml":          "write kubernetes.scheduler",
	"/etc/kubernetes/manifests/etcd.yaml":                    "write kubernetes.etcd",
	"/etc/kubernetes/admin.conf":                             "leave it out; kubeadm makes it",
	"/etc/kubernetes/kubelet.conf":                           "leave it out; kubeadm makes it",
	"/var/lib/etcd":                                          "leave it out; etcd makes it",
	"/var/lib/kubelet/config.yaml":                           "write spec.kubernetes.patches: {KubeletConfiguration: ...}",
	"/etc/sysconfig/kubelet":                                 "write kubernetes.kubelet.extraArgs",
	"/etc/default/kubelet":                                   "write kubernetes.kubelet.extraArgs",
	"/etc/shadow":                                            "write users[].passwordHash",
	"/etc/passwd":                                            "write users",
	"/etc/group":                                             "write users[].groups",
	"/etc/sudoers":                                           "write users[].sudo",
	"/etc/fstab":                                             "write a mount unit under units",
}

// Rule: a file is none that muster or kubeadm writes itself, and no certificate or key of the cluster.
func ruleFileOwned(v *validator, s Scope) {
	for _, file := range s.Files.Items {
		for folder, instead := range ownedPaths {
			if file.Path.Set && inTree(file.Path.V, folder) {
				v.errorf(file.Path.At, instead, "muster, kubeadm or the operating system writes %s", folder)
			}
		}
		for _, t := range v.targets {
			if scripts := v.facts.Profiles[t.Profile.V].ScriptsDir; file.Path.Set && scripts != "" && inTree(file.Path.V, scripts) {
				v.errorf(file.Path.At, "choose another folder", "%s is the folder of muster's own scripts", scripts)
			}
		}
		if dir := v.Spec.Kubernetes.CertificatesDir.V; file.Path.Set && dir != "" && inTree(file.Path.V, dir) {
			v.errorf(file.Path.At, "leave it out; kubeadm makes them", "no certificate or key of the cluster stands in a document")
		}
	}
}

// Rule: a path stands once in one list, and no file is a folder of another.
func ruleFileTwice(v *validator, s Scope) {
	seen := map[string]bool{}
	for _, file := range s.Files.Items {
		if file.Path.Set && seen[file.Path.V] {
			v.errorf(file.Path.At, "keep one of the two", "the file %s stands before it", file.Path.V)
		}
		seen[file.Path.V] = true
	}
	for _, file := range s.Files.Items {
		for folder := path.Dir(file.Path.V); len(folder) > 1; folder = path.Dir(folder) {
			if file.Path.Set && seen[folder] {
				v.errorf(file.Path.At, "move one of the two", "%s is a file of this list and cannot be a folder", folder)
			}
		}
	}
}

var octalMode = regexp.MustCompile(`^0?[0-7]{3}$|^[0-7]{4}$`)

// Rule: a mode is four octal digits in quotes.
func ruleFileMode(v *validator, s Scope) {
	for _, file := range s.Files.Items {
		mode := file.Mode
		switch {
		case !mode.Set || octalMode.MatchString(mode.V) && len(mode.V) == 4:
		case octalMode.MatchString(mode.V):
			v.errorf(mode.At, `write "0`+mode.V+`"`, "a mode has four digits")
		default:
			v.errorf(mode.At, `write four octal digits in quotes, such as "0644"`, "%.20q is no mode", mode.V)
		}
	}
}

// Rule: a file that a document carries has no setuid, setgid and sticky bit, which documents cannot set; one from a URL may.
func ruleFileModeSpecial(v *validator, s Scope) {
	for _, file := range s.Files.Items {
		if mode := file.Mode.V; octalMode.MatchString(mode) && len(mode) == 4 && mode[0] != '0' && !strings.Contains(file.Source.V, "://") {
			v.errorf(file.Mode.At, fmt.Sprintf(`write "0%s", and commands: {before: ["chmod %s %s"]}`, mode[1:], mode, file.Path.V), "a document cannot set more than permissions")
		}
	}
}

// Rule: with cloud-init no file but one from a URL lies below /home: files come before users, and the home folder would stay root's.
func ruleFileHome(v *validator, t Target) {
	for _, file := range t.Files.Items {
		if v.facts.Profiles[t.Profile.V].Format == "cloud-init" && strings.HasPrefix(file.Path.V, "/home/") && !strings.Contains(file.Source.V, "://") {
			v.errorf(file.Path.At, "write it elsewhere and copy it with a command", "%s cannot be written by cloud-init: files come before users, and the home folder would stay root's", file.Path.V)
		}
	}
}

var fileOwner = regexp.MustCompile(`^[a-z_][a-z0-9_-]{0,31}(:[a-z_][a-z0-9_-]{0,31})?$`)

// Rule: an owner is USER or USER:GROUP, by names.
func ruleFileOwner(v *validator, s Scope) {
	for _, file := range s.Files.Items {
		if file.Owner.Set && !fileOwner.MatchString(file.Owner.V) {
			v.errorf(file.Owner.At, "write USER or USER:GROUP, such as root:root", "%.70q is no owner", file.Owner.V)
		}
	}
}

// Rule: the owner and group of a file are there when the machine's files are written: root, its users and their groups,
// and the groups that every image has. What is fetched comes after the packages, which bring accounts of their own.
func ruleFileOwnerMade(v *validator, t Target) {
	profile := v.facts.Profiles[t.Profile.V]
	users, groups := []string{"root"}, append([]string{"root"}, profile.Groups...)
	for _, user := range t.Users.Items {
		users, groups = append(users, user.Name.V), append(groups, user.Name.V)
		for _, group := range user.Groups.Items {
			groups = append(groups, group.V)
		}
	}
	for _, file := range t.Files.Items {
		owner, group, grouped := strings.Cut(file.Owner.V, ":")
		instead := `leave it out, and write commands: {before: ["chown ` + file.Owner.V + " " + file.Path.V + `"]}`
		switch {
		case !file.Owner.Set || strings.Contains(file.Source.V, "://") && profile.PackageManager != "":
		case !slices.Contains(users, owner):
			v.errorf(file.Owner.At, instead, "%s has no user %s when its files are written", t.Name.V, owner)
		case grouped && !slices.Contains(groups, group):
			v.errorf(file.Owner.At, instead, "%s has no group %s when its files are written", t.Name.V, group)
		}
	}
}

// Rule: a file has either contents or a source.
func ruleFileContents(v *validator, s Scope) {
	for _, file := range s.Files.Items {
		switch {
		case file.Contents.Known() && file.Source.Known():
			v.errorf(file.Source.At, "keep one of the two", "contents and source do not go together")
		case !file.Contents.Known() && !file.Source.Known():
			v.errorf(below(file.At, "contents"), `write contents: "", or source: ./FILE`, "the file has neither contents nor source")
		}
	}
}

// Rule: a file's source is a relative path beside the spec, or an http or https URL.
func ruleFileSource(v *validator, s Scope) {
	for _, file := range s.Files.Items {
		switch source := file.Source; {
		case !source.Set:
		case strings.Contains(source.V, "://"):
			v.checkURL(source)
		default:
			v.checkLocalPath(source)
		}
	}
}

// checkLocalPath refuses a path of the operator's machine that is not one beside the spec.
func (v *validator) checkLocalPath(local Value[string]) {
	switch {
	case strings.HasPrefix(local.V, "/") || strings.HasPrefix(local.V, "~"):
		v.errorf(local.At, "put the file beside the spec and write ./"+path.Base(local.V), "a path from / or ~ on is another on every machine")
	case strings.Contains(local.V, `\`):
		v.errorf(local.At, "write it with forward slashes", "a backslash is no separator here")
	case strings.HasSuffix(local.V, "/") || path.Clean(local.V) == ".":
		v.errorf(local.At, "write the path of one file", "this is a folder")
	}
}

// Rule: a file beside the spec can be read, and has the sha256 that the spec gives for it.
func ruleFileRead(v *validator) {
	looked := map[[2]string]bool{} // a thousand machines may have one file
	for _, t := range v.targets {
		for _, file := range t.Files.Items {
			at := [2]string{file.Source.Path, file.SHA256.Path}
			if looked[at] || strings.Contains(file.Source.V, "://") {
				continue
			}
			looked[at] = true
			data, read := v.readBeside(file.Source, "file")
			if !read || !file.SHA256.Set {
				continue
			}
			if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != file.SHA256.V {
				v.errorf(file.SHA256.At, "write "+hex.EncodeToString(sum[:])+", if the file is the one you mean", "%s has another digest", file.Source.V)
			}
		}
	}
}

// readBeside reads a file that the spec names, unless another rule refuses its name, and reports one that cannot be read.
func (v *validator) readBeside(name Value[string], what string) (data []byte, read bool) {
	if v.facts.ReadFile == nil || !name.Set || v.failed[name.Path] {
		return nil, false
	}
	data, err := v.facts.ReadFile(name.V)
	if err != nil {
		v.errorf(name.At, "name a file beside the spec", "the %s cannot be read: %v", what, err)
	}
	return data, err == nil
}

// sha256Hex is a SHA-256 in lower case.
var sha256Hex = regexp.MustCompile(`^[0-9a-f]{64}$`)

func (v *validator) checkDigest(digest Value[string]) {
	switch bare := strings.ToLower(strings.TrimPrefix(digest.V, "sha256:")); {
	case !digest.Set || sha256Hex.MatchString(digest.V):
	case sha256Hex.MatchString(bare):
		v.errorf(digest.At, "write "+bare, "a digest is written in lower case and without sha256:")
	default:
		v.errorf(digest.At, "write the 64 hexadecimal digits that sha256sum prints", "%d characters are no SHA-256", len(digest.V))
	}
}

// Rule: a file from a URL has a sha256, one beside the spec needs none, and a sha256 belongs to a source.
func ruleFileDigest(v *validator, s Scope) {
	for _, file := range s.Files.Items {
		v.checkDigest(file.SHA256)
		switch {
		case strings.Contains(file.Source.V, "://") && !file.SHA256.Known():
			v.errorf(below(file.At, "sha256"), "write the digest that sha256sum prints", "a file from a URL needs one")
		case file.SHA256.Set && !file.Source.Known():
			v.errorf(file.SHA256.At, "leave it out", "only a source has a digest")
		}
	}
}

var (
	unitName   = regexp.MustCompile(`^[A-Za-z0-9:_.-]+@?[A-Za-z0-9:_.-]*\.(service|socket|target|timer|path|mount|automount|swap|slice)$`)
	dropInName = regexp.MustCompile(`^[A-Za-z0-9_.@:-]+\.conf$`)
)

// Rule: a unit's name ends in its kind.
func ruleUnitName(v *validator, s Scope) {
	for _, unit := range s.Units.Items {
		if unit.Name.Set && (!unitName.MatchString(unit.Name.V) || len(unit.Name.V) > 255) {
			v.errorf(unit.Name.At, "write it with its suffix, such as node-exporter.service", "%.70q is no unit", unit.Name.V)
		}
	}
}

// Rule: a unit is none of muster's own.
func ruleUnitOwned(v *validator, s Scope) {
	for _, unit := range s.Units.Items {
		if name := unit.Name.V; strings.HasPrefix(name, "muster-") || strings.HasPrefix(name, "muster.") {
			v.errorf(unit.Name.At, "write another name, or commands", "units that start with muster are muster's own")
		}
	}
}

// Rule: a unit stands once in one list.
func ruleUnitTwice(v *validator, s Scope) {
	seen := map[string]bool{}
	for _, unit := range s.Units.Items {
		if unit.Name.Set && seen[unit.Name.V] {
			v.errorf(unit.Name.At, "keep one of the two", "the unit %s stands before it", unit.Name.V)
		}
		seen[unit.Name.V] = true
	}
}

// Rule: an entry of units says something about its unit.
func ruleUnitEffect(v *validator, s Scope) {
	for _, unit := range s.Units.Items {
		if !unit.Contents.Known() && !unit.Enabled.Known() && !unit.Mask.Known() && len(unit.DropIns.Items) == 0 && !unit.DropIns.Known() {
			v.errorf(below(unit.At, "contents"), "write contents, enabled, mask or dropIns, or leave the unit out", "nothing is said about %s", unit.Name.V)
		}
	}
}

// Rule: a masked unit is neither enabled nor given contents or drop-ins.
func ruleUnitMask(v *validator, s Scope) {
	for _, unit := range s.Units.Items {
		if unit.Mask.V && (unit.Enabled.V || unit.Contents.Set || len(unit.DropIns.Items) > 0) {
			v.errorf(unit.Mask.At, "write mask alone, or leave it out", "a masked unit cannot be started")
		}
	}
}

// neededUnits are what a node does not come up without, by the runtime of its profile; Docker runs on containerd.
var neededUnits = map[string][]string{
	"containerd": {"kubelet.service", "containerd.service"},
	"docker":     {"kubelet.service", "docker.service", "docker.socket", "containerd.service"},
}

// Rule: the kubelet and the container runtime are neither masked nor disabled.
func ruleUnitNeeded(v *validator, t Target) {
	needed := neededUnits[v.facts.Profiles[t.Profile.V].Runtime]
	for _, unit := range t.Units.Items {
		off := unit.Mask
		if !unit.Mask.V {
			off = unit.Enabled
		}
		if !slices.Contains(needed, unit.Name.V) || !unit.Mask.V && (!unit.Enabled.Set || unit.Enabled.V) {
			continue
		}
		instead := "leave the unit out"
		if unit.Contents.Known() || unit.DropIns.Known() {
			instead = "leave it out"
		}
		v.errorf(off.At, instead, "a node of the cluster does not come up without %s", unit.Name.V)
	}
}

// Rule: a unit file and a drop-in start a section before they set anything.
func ruleUnitContents(v *validator, s Scope) {
	check := func(contents Value[string]) {
		for _, line := range strings.Split(contents.V, "\n") {
			line = strings.TrimSpace(line)
			switch {
			case line == "" || line[0] == '#' || line[0] == ';':
				continue
			case line[0] != '[' && !v.failed[contents.Path]:
				v.errorf(contents.At, "write for example [Service] before it", "systemd ignores settings before the first section")
			}
			return
		}
	}
	for _, unit := range s.Units.Items {
		check(unit.Contents)
		for _, dropIn := range unit.DropIns.Items {
			check(dropIn.Contents)
		}
	}
}

// Rule: a unit that is enabled is no template, but an instance of one.
func ruleUnitTemplate(v *validator, s Scope) {
	for _, unit := range s.Units.Items {
		if name, suffix, template := strings.Cut(unit.Name.V, "@."); unit.Enabled.V && template {
			v.errorf(unit.Enabled.At, "name an instance, such as "+name+"@1."+suffix, "%s is a template and cannot be enabled", unit.Name.V)
		}
	}
}

// Rule: a unit file that is enabled says in [Install] what for.
func ruleUnitInstall(v *validator, s Scope) {
	for _, unit := range s.Units.Items {
		if unit.Enabled.V && unit.Contents.Set && !node.Installable(unit.Contents.V) {
			v.errorf(unit.Contents.At, "add [Install] with for example WantedBy=multi-user.target", "%s is enabled, and says nowhere what for", unit.Name.V)
		}
	}
}

// Rule: a drop-in's name ends in .conf.
func ruleDropInName(v *validator, s Scope) {
	for _, unit := range s.Units.Items {
		for _, dropIn := range unit.DropIns.Items {
			switch name := dropIn.Name; {
			case !name.Set || dropInName.MatchString(name.V):
			case dropInName.MatchString(name.V + ".conf"):
				v.errorf(name.At, "write "+name.V+".conf", "systemd reads only drop-ins that end in .conf")
			default:
				v.errorf(name.At, "write a file name such as 10-nice.conf", "%.70q is no drop-in", name.V)
			}
		}
	}
}

// Rule: a drop-in stands once at a unit, and none is called as one of muster's.
func ruleDropInTwice(v *validator, s Scope) {
	for _, unit := range s.Units.Items {
		seen := map[string]bool{}
		for _, dropIn := range unit.DropIns.Items {
			name := dropIn.Name.V
			switch {
			case !dropIn.Name.Set:
			case seen[name]:
				v.errorf(dropIn.Name.At, "keep one of the two", "the drop-in %s stands before it", name)
			case strings.Contains(name, "muster"):
				v.errorf(dropIn.Name.At, "write another name", "drop-ins with muster in their name are muster's own")
			}
			seen[name] = true
		}
	}
}
