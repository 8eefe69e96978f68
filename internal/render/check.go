package render

import (
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"muster/internal/node"
	"muster/internal/problem"
	"muster/internal/render/payload"
)

// What names may be made of. All are printable ASCII: cloud-init 19.4 runs under Python 2.7 in the C locale and fails on
// anything else in a path or a key, and no name of the field's own needs more.
var (
	printablePath = regexp.MustCompile(`^/[!-~]([ -~]*[!-~])?$`)
	accountName   = regexp.MustCompile(`^[a-z_][a-z0-9_-]{0,31}$`)
	instanceID    = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,254}$`) // a folder's name in /var/lib/cloud/instances
	hostname      = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*$`)
	unitName      = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9:_.\\-]*(@[A-Za-z0-9:_.\\-]+)?\.(service|socket|device|mount|automount|swap|target|path|timer|slice|scope)$`)
	templateName  = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9:_.\\-]*@\.(service|socket|mount|path|swap|target|timer|slice)$`)
	dropInName    = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9:_.@\\-]*\.conf$`)
	passwordHash  = regexp.MustCompile(`^[!-9;-~]+$`) // anything but the colon that separates fields of /etc/shadow
	loginShell    = regexp.MustCompile(`^/[!-9;-~]+$`)
	authorizedKey = regexp.MustCompile(`^[!"$-~]([ -~]*[!-~])?$`) // no comment line
)

// hostnameMax is Linux's limit of a hostname in bytes.
const hostnameMax = 64

// notKept are the places where a file of a first boot does not stay or does not belong. cloud-init asks not to write to
// /tmp, which systemd-tmpfiles cleans meanwhile.
var notKept = []string{"/tmp/", "/run/", "/var/run/", "/proc/", "/sys/", "/dev/"}

// check reports everything in cfg that some document could not carry exactly. Contents of files are free: they are bytes.
func check(cfg node.Config, refused *problem.List) {
	if !instanceID.MatchString(cfg.InstanceID) {
		refused.Errorf(cfg.At, "use letters, digits, dots, hyphens and underscores", "the instance-id %q cannot be a folder's name", cfg.InstanceID)
	}
	switch {
	case cfg.Hostname == "":
	case cfg.Pool:
		refused.Errorf(cfg.At, "leave the hostname out", "pool %s: all its machines would have the hostname %q", cfg.Name, cfg.Hostname)
	case len(cfg.Hostname) > hostnameMax || !hostname.MatchString(cfg.Hostname):
		refused.Errorf(cfg.At, "use letters, digits, hyphens and dots, 64 at most", "%q is no hostname", cfg.Hostname)
	}
	if !cleanPath(cfg.Done) {
		refused.Errorf(cfg.At, "name a file by its absolute path", "%q cannot be the file that stands when all is done", cfg.Done)
	}
	checkFiles(cfg, refused)
	checkUnits(cfg, refused)
	checkUsers(cfg, refused)
	if cfg.Network != nil {
		checkNetwork(*cfg.Network, cfg.At, refused)
	}
}

// cleanPath reports whether p is absolute, is written in the shortest way, and does not end in a slash.
func cleanPath(p string) bool {
	return printablePath.MatchString(p) && path.Clean(p) == p
}

// checkFiles checks everything that is written to a path: files, and programs, which differ from them in how they arrive.
func checkFiles(cfg node.Config, refused *problem.List) {
	written := map[string]problem.At{}
	for _, f := range cfg.Files {
		if !checkPath(cfg, f.Path, f.At, written, refused) {
			continue
		}
		checkMode(f.Path, f.Mode, f.At, refused)
		for _, owner := range []string{f.Owner, f.Group} {
			if owner != "" && !accountName.MatchString(owner) {
				refused.Errorf(f.At, "use the name of a user or a group", "%s: %q cannot own a file", f.Path, owner)
			}
		}
	}
	for _, p := range cfg.Programs {
		if checkPath(cfg, p.Path, p.At, written, refused) {
			checkMode(p.Path, p.Mode, p.At, refused)
			checkProgram(p, refused)
		}
	}
	for _, f := range cfg.Files {
		checkFolders(f.Path, f.At, written, refused)
	}
	for _, p := range cfg.Programs {
		checkFolders(p.Path, p.At, written, refused)
	}
}

// checkPath reports whether a path is one at all, and refuses those that something else is written to. It adds the path
// to written.
func checkPath(cfg node.Config, p string, at problem.At, written map[string]problem.At, refused *problem.List) bool {
	before, twice := written[p]
	switch {
	case !cleanPath(p):
		refused.Errorf(at, "write an absolute path of printable ASCII characters without . and .. in it", "%q is no path of a file", p)
		return false
	case twice:
		refused.Errorf(at.Or(before), "write it once", "%s is written twice", p)
	case p == "/etc/hostname" && cfg.Hostname != "":
		refused.Errorf(at, "leave the file out", "%s is written from the hostname", p)
	case strings.HasPrefix(p, node.UnitFolder):
		refused.Errorf(at, "write it as a unit or as a drop-in of one", "%s is a file of systemd's units", p)
	case strings.HasPrefix(p, "/etc/systemd/network/10-muster-"), strings.HasPrefix(p, "/etc/systemd/network/20-muster-"):
		refused.Errorf(at, "give it another name", "%s is a name of the files that the network is written to", p)
	case slices.ContainsFunc(notKept, func(folder string) bool { return strings.HasPrefix(p, folder) }):
		refused.Errorf(at, "write it to a folder that is kept", "%s does not stay on the disk", p)
	}
	written[p] = at
	return true
}

// checkFolders refuses a path below another one that is written.
func checkFolders(p string, at problem.At, written map[string]problem.At, refused *problem.List) {
	for folder := path.Dir(p); folder != "/" && folder != "."; folder = path.Dir(folder) {
		if above, isFile := written[folder]; isFile {
			refused.Errorf(at.Or(above), "rename one of them", "%s lies in %s, which is a file", p, folder)
		}
	}
}

func checkMode(p string, mode fs.FileMode, at problem.At, refused *problem.List) {
	if mode&^fs.ModePerm != 0 {
		refused.Errorf(at, "set it with a command", "%s: the mode %v is more than permissions", p, mode)
	}
}

// checkProgram unpacks a program, so that no document is written whose machine would refuse its program or, worse, run
// another one. A digest in capitals is refused with the rest: machines compare text.
func checkProgram(p node.Program, refused *problem.List) {
	if p.Size <= 0 || p.Size > payload.ProgramLimit {
		refused.Errorf(p.At, "deliver it by media or url", "%s: a program of %d bytes is none or is more than the %d that a document carries", p.Path, p.Size, payload.ProgramLimit)
		return
	}
	digest, size, err := payload.Measure(p.Gzip, p.Size)
	switch {
	case err != nil:
		refused.Errorf(p.At, "compress it with gzip again", "%s: the program cannot be unpacked: %v", p.Path, err)
	case size != p.Size:
		refused.Errorf(p.At, "give the size before compression", "%s: the program has %d bytes when unpacked, not %d", p.Path, size, p.Size)
	case digest != p.SHA256:
		refused.Errorf(p.At, "give the digest before compression, in lower case", "%s: the program's SHA-256 is %s when unpacked, not %q", p.Path, digest, p.SHA256)
	}
}

func checkUnits(cfg node.Config, refused *problem.List) {
	seen := map[string]bool{}
	for _, u := range cfg.Units {
		if !unitName.MatchString(u.Name) && !templateName.MatchString(u.Name) {
			refused.Errorf(u.At, "write a name such as mine.service", "%q is no name of a systemd unit", u.Name)
			continue
		}
		if seen[u.Name] {
			refused.Errorf(u.At, "write it once", "unit %s is there twice", u.Name)
		}
		seen[u.Name] = true
		checkUnit(u, u.Name == cfg.Start, refused)
	}
	if i := slices.IndexFunc(cfg.Units, func(u node.Unit) bool { return u.Name == cfg.Start }); i < 0 || cfg.Units[i].Contents == "" {
		refused.Errorf(cfg.At, "add it to the units", "the first unit, %q, is not written by the document", cfg.Start)
	}
}

func checkUnit(u node.Unit, isStart bool, refused *problem.List) {
	enabled := isStart || u.Enabled != nil && *u.Enabled
	switch {
	case u.Contents == "" && len(u.DropIns) == 0 && u.Enabled == nil && !u.Mask:
		refused.Errorf(u.At, "give it contents or a drop-in, enable, disable or mask it", "unit %s says nothing", u.Name)
	case u.Mask && (u.Contents != "" || len(u.DropIns) > 0 || u.Enabled != nil || isStart):
		refused.Errorf(u.At, "leave everything else out", "unit %s is masked and cannot say anything else", u.Name)
	case isStart && u.Enabled != nil && !*u.Enabled:
		refused.Errorf(u.At, "enable it", "unit %s has to start at every boot", u.Name)
	case enabled && templateName.MatchString(u.Name):
		refused.Errorf(u.At, "name an instance, such as mine@1.service", "unit %s is a template and cannot be enabled", u.Name)
	case enabled && u.Contents != "" && !node.Installable(u.Contents):
		refused.Errorf(u.At, "add [Install] with WantedBy=", "unit %s says nowhere what it is enabled for", u.Name)
	}
	checkUnitText(u, u.Name, u.Contents, refused)
	seen := map[string]bool{}
	for _, d := range u.DropIns {
		switch {
		case !dropInName.MatchString(d.Name):
			refused.Errorf(u.At, "write a name such as 10-mine.conf", "unit %s: %q is no name of a drop-in", u.Name, d.Name)
			continue
		case seen[d.Name]:
			refused.Errorf(u.At, "write it once", "unit %s: drop-in %s is there twice", u.Name, d.Name)
		case d.Contents == "":
			refused.Errorf(u.At, "give it contents", "unit %s: drop-in %s says nothing", u.Name, d.Name)
		}
		seen[d.Name] = true
		checkUnitText(u, u.Name+": "+d.Name, d.Contents, refused)
	}
}

// checkUnitText refuses what a JSON string or a systemd unit cannot hold.
func checkUnitText(u node.Unit, name, contents string, refused *problem.List) {
	if !utf8.ValidString(contents) || strings.ContainsRune(contents, 0) {
		refused.Errorf(u.At, "write text in UTF-8", "unit %s holds bytes that are no text", name)
	}
}

func checkUsers(cfg node.Config, refused *problem.List) {
	seen := map[string]bool{}
	for _, u := range cfg.Users {
		if !accountName.MatchString(u.Name) {
			refused.Errorf(u.At, "use lower-case letters, digits, hyphens and underscores, 32 at most", "%q is no name of a user", u.Name)
			continue
		}
		if seen[u.Name] {
			refused.Errorf(u.At, "write it once", "user %s is there twice", u.Name)
		}
		seen[u.Name] = true
		checkUser(u, refused)
	}
}

func checkUser(u node.User, refused *problem.List) {
	if u.PasswordHash != "" && !passwordHash.MatchString(u.PasswordHash) {
		refused.Errorf(u.At, "write what mkpasswd prints", "user %s: the password hash has characters that no hash has", u.Name)
	}
	if u.Shell != "" && (!loginShell.MatchString(u.Shell) || path.Clean(u.Shell) != u.Shell) {
		refused.Errorf(u.At, "write an absolute path", "user %s: %q is no shell", u.Name, u.Shell)
	}
	for i, key := range u.SSHAuthorizedKeys {
		switch {
		case !authorizedKey.MatchString(key):
			refused.Errorf(u.At, "write one line of ASCII, without white space around it", "user %s: SSH key %d is no line of authorized_keys", u.Name, i+1)
		case slices.Contains(u.SSHAuthorizedKeys[:i], key):
			refused.Errorf(u.At, "write it once", "user %s: SSH key %d is there twice", u.Name, i+1)
		}
	}
	for i, group := range u.Groups {
		switch {
		case !accountName.MatchString(group):
			refused.Errorf(u.At, "use the name of a group", "user %s: %q is no name of a group", u.Name, group)
		case slices.Contains(u.Groups[:i], group):
			refused.Errorf(u.At, "write it once", "user %s: group %s is there twice", u.Name, group)
		}
	}
}
