package spec

import (
	"encoding/base64"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"

	"muster/internal/decode"
)

var userRules = []func(*validator, Scope){ruleUserName, ruleUserTwice, ruleSSHKey, ruleSSHKeyTwice, rulePasswordHash, ruleGroup, ruleSudo, ruleRootUser, ruleKubeconfig}

var userTargetRules = []func(*validator, Target){ruleGroupMade}

var userClusterRules = []func(*validator){ruleNobodyLogsIn, ruleUserLogsIn}

// loginName is what useradd takes on every distribution, of at most 32 characters.
var loginName = regexp.MustCompile(`^[a-z_][a-z0-9_-]{0,31}$`)

// systemUsers are accounts that programs of the operating system own.
var systemUsers = []string{"bin", "daemon", "sys", "sync", "mail", "nobody", "systemd-network", "systemd-resolve", "sshd", "dbus", "messagebus", "etcd", "polkitd", "chrony", "ntp"}

// systemGroups are groups that an operating system brings without a user of that name: useradd refuses such a name, and
// with it every user that a document names after it.
var systemGroups = []string{
	"adm", "audio", "backup", "cdrom", "crontab", "dialout", "dip", "disk", "fax", "floppy", "input", "kmem", "kvm", "lock", "operator", "plugdev", "render", "sasl", "sgx",
	"shadow", "src", "staff", "sudo", "systemd-journal", "tape", "tty", "users", "utempter", "utmp", "video", "voice", "wheel",
}

// Rule: a user's name is a login name in lower case, and none of the operating system's own accounts and groups.
func ruleUserName(v *validator, s Scope) {
	for _, user := range s.Users.Items {
		switch name := user.Name; {
		case !name.Set:
		case slices.Contains(systemUsers, name.V):
			v.errorf(name.At, "write another name", "%s is an account of the operating system", name.V)
		case slices.Contains(systemGroups, name.V):
			v.errorf(name.At, "write another name", "%s is a group of the operating system, and a user needs one of their own by that name", name.V)
		case !loginName.MatchString(name.V) && loginName.MatchString(strings.ToLower(name.V)):
			v.errorf(name.At, "write "+strings.ToLower(name.V), "a login name has no upper case letters")
		case !loginName.MatchString(name.V):
			v.errorf(name.At, "write at most 32 lower case letters, digits, dashes and underscores, a letter first", "%.70q is no login name", name.V)
		}
	}
}

// Rule: a user stands once in one list.
func ruleUserTwice(v *validator, s Scope) {
	seen := map[string]bool{}
	for _, user := range s.Users.Items {
		if user.Name.Set && seen[user.Name.V] {
			v.errorf(user.Name.At, "keep one of the two", "the user %s stands before it", user.Name.V)
		}
		seen[user.Name.V] = true
	}
}

// Rule: root exists already and may do everything: it may be given keys and a password, no groups and no sudo rule.
func ruleRootUser(v *validator, s Scope) {
	for _, user := range s.Users.Items {
		if user.Name.V != "root" {
			continue
		}
		if user.Groups.Set {
			v.errorf(user.Groups.At, "leave it out", "root needs no groups")
		}
		if user.Sudo.Set {
			v.errorf(user.Sudo.At, "leave it out", "root needs no sudo rule")
		}
	}
}

// sshKeyTypes are the kinds of public keys that OpenSSH takes; DSA keys are refused since 7.0.
var sshKeyTypes = []string{
	"ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com",
}

// sshKeyMistake tells what keeps a line from being a public key. Options before the key are taken.
func sshKeyMistake(line string) (what, instead string) {
	const whole = "paste the whole line of the .pub file"
	fields := strings.Fields(line)
	if strings.Contains(line, "PRIVATE KEY") {
		return "this is a private key", "paste the .pub file, and make a new key: this one is no longer private"
	}
	at := slices.IndexFunc(fields, func(f string) bool { return slices.Contains(sshKeyTypes, f) })
	switch {
	case slices.Contains(fields, "ssh-dss"):
		return "OpenSSH no longer takes DSA keys", "make an ssh-ed25519 key"
	case at < 0:
		return "this is no SSH public key", whole + ", which starts with " + sshKeyTypes[0] + " or another type"
	case at+1 >= len(fields):
		return "the key itself is missing after its type", whole
	}
	blob, err := base64.StdEncoding.DecodeString(fields[at+1])
	if err != nil || !holdsKey(blob, fields[at]) {
		return "the key after " + fields[at] + " is cut or changed", whole
	}
	return "", ""
}

// holdsKey reports whether a blob is one whole public key of a type, to its last byte.
func holdsKey(blob []byte, keyType string) bool {
	key, err := ssh.ParsePublicKey(blob)
	return err == nil && key.Type() == keyType
}

// Rule: an SSH key is a whole public key.
func ruleSSHKey(v *validator, s Scope) {
	for _, user := range s.Users.Items {
		for _, key := range user.SSHAuthorizedKeys.Items {
			if !key.Set {
				continue
			}
			if what, instead := sshKeyMistake(key.V); what != "" {
				v.errorf(key.At, instead, "%s", what)
			}
		}
	}
}

// Rule: an SSH key stands once at a user.
func ruleSSHKeyTwice(v *validator, s Scope) {
	for _, user := range s.Users.Items {
		seen := map[string]bool{}
		for _, key := range user.SSHAuthorizedKeys.Items {
			if key.Set && seen[key.V] {
				v.errorf(key.At, "keep one of the two", "the key stands before it")
			}
			seen[key.V] = true
		}
	}
}

// cryptHash are the hashes of crypt(3) that the supported systems take: SHA-512, SHA-256, yescrypt, bcrypt.
var cryptHash = regexp.MustCompile(`^(\$[56]\$(rounds=[0-9]{4,9}\$)?[A-Za-z0-9./]{1,16}\$([A-Za-z0-9./]{43}|[A-Za-z0-9./]{86})|\$y\$[A-Za-z0-9./]+\$[A-Za-z0-9./]{1,86}\$[A-Za-z0-9./]{43}|\$2[aby]\$[0-9]{2}\$[A-Za-z0-9./]{53})$`)

// Rule: a passwordHash is a crypt(3) hash; a password in clear, or a hash by MD5 or DES, is refused and not repeated.
func rulePasswordHash(v *validator, s Scope) {
	for _, user := range s.Users.Items {
		hash := user.PasswordHash
		if hash.Set && !cryptHash.MatchString(hash.V.Reveal()) {
			v.errorf(hash.At, "write the output of mkpasswd -m sha-512, in quotes", "this is no crypt(3) hash by SHA-256, SHA-512, yescrypt or bcrypt")
		}
	}
}

// Rule: a group's name is a login name.
func ruleGroup(v *validator, s Scope) {
	for _, user := range s.Users.Items {
		seen := map[string]bool{}
		for _, group := range user.Groups.Items {
			switch {
			case !group.Set:
			case !loginName.MatchString(group.V):
				v.errorf(group.At, "write one group an entry, at most 32 lower case letters, digits, dashes and underscores", "%.70q is no group", group.V)
			case seen[group.V]:
				v.errorf(group.At, "keep one of the two", "the group %s stands before it", group.V)
			}
			seen[group.V] = true
		}
	}
}

// Rule: a user's group is there when the user is made: every image has it, or it is the group of a user made before.
// Any other group cloud-init makes and Ignition does not; the group of a user made later stands in that user's way.
func ruleGroupMade(v *validator, t Target) {
	profile, there := v.facts.Profiles[t.Profile.V], map[string]bool{}
	for i, user := range t.Users.Items {
		for _, group := range user.Groups.Items {
			later := slices.ContainsFunc(t.Users.Items[i+1:], func(u User) bool { return u.Name.V == group.V })
			switch {
			case !group.Set || there[group.V] || slices.Contains(profile.Groups, group.V):
			case group.V == user.Name.V:
				v.errorf(group.At, "leave it out", "%s is in the group of their own name anyway", group.V)
			case later:
				v.errorf(group.At, "write the user "+group.V+" before "+user.Name.V, "the group %s comes with the user of that name, who is made later", group.V)
			case profile.Format == "ignition":
				v.errorf(group.At, fmt.Sprintf(`write one of %s, or commands: {before: ["groupadd --force %s; usermod --append --groups %s %s"]}`,
					strings.Join(profile.Groups, ", "), group.V, group.V, user.Name.V), "%s has no group %s, and Ignition makes none", t.Profile.V, group.V)
			}
		}
		there[user.Name.V] = true
	}
}

// sudoRule is WHO_AND_WHERE=(AS) [TAGS] COMMANDS of sudoers(5), without the user's name.
var sudoRule = regexp.MustCompile(`^[A-Za-z0-9_.,!-]+ ?= ?(\([^()]+\) ?)?\S.*$`)

// Rule: sudo is one sudoers rule without the user's name.
func ruleSudo(v *validator, s Scope) {
	for _, user := range s.Users.Items {
		switch sudo := user.Sudo; {
		case !sudo.Set:
		case strings.HasPrefix(sudo.V, user.Name.V+" "):
			v.errorf(sudo.At, "write it without the user's name", "muster puts %s in front of it", user.Name.V)
		case strings.ContainsAny(sudo.V, "#\\") || !sudoRule.MatchString(sudo.V):
			v.errorf(sudo.At, "write it like ALL=(ALL) NOPASSWD:ALL", "%.70q is no sudoers rule", sudo.V)
		}
	}
}

// Rule: only a control plane has the admin kubeconfig to give.
func ruleKubeconfig(v *validator, s Scope) {
	for _, user := range s.Users.Items {
		if user.Kubeconfig.V && v.workersOnly(s) {
			v.errorf(user.Kubeconfig.At, "write it at a control plane, or under spec.users", "a worker has no admin kubeconfig")
		}
	}
}

// workersOnly reports whether what a scope says holds for workers alone.
func (v *validator) workersOnly(s Scope) bool {
	if s.Path == v.Spec.Worker.Path && s.Known() {
		return true
	}
	return slices.ContainsFunc(v.targets, func(t Target) bool {
		own := t.Node != nil && t.Node.Path == s.Path || t.Pool != nil && t.Pool.Path == s.Path
		return own && !t.IsControlPlane()
	})
}

// givesKeys are platforms whose own data gives a machine the SSH key that its owner chose there.
var givesKeys = []string{"ec2", "openstack", "gce", "azure"}

// Rule: somebody can log in to some machine of the cluster, unless its platform gives it a key (a warning).
func ruleNobodyLogsIn(v *validator) {
	if slices.ContainsFunc(v.targets, v.letsIn) {
		return
	}
	unread := func(s Scope) bool { return s.Users.Known() && !s.Users.Set }
	if len(v.targets) == 0 || slices.ContainsFunc(v.scopes, unread) {
		return
	}
	v.warnf(below(v.Spec.At, "users"), `write users: [{name: admin, sshAuthorizedKeys: ["ssh-ed25519 ..."], sudo: "ALL=(ALL) NOPASSWD:ALL", kubeconfig: true}]`,
		"nobody can log in to any of these machines")
}

// letsIn reports whether somebody can log in to a machine, as far as the spec shows.
func (v *validator) letsIn(t Target) bool {
	return slices.Contains(givesKeys, t.Platform.V) || slices.ContainsFunc(t.Users.Items, v.logsIn)
}

// Rule: where others can log in, each user can, but those whom a file or a group of another user is for, and those that the
// platform may give its key (a warning).
func ruleUserLogsIn(v *validator) {
	if !slices.ContainsFunc(v.targets, v.letsIn) {
		return // ruleNobodyLogsIn warns of all of them
	}
	for _, t := range v.targets {
		for _, user := range t.Users.Items {
			switch {
			case v.logsIn(user) || slices.Contains(givesKeys, t.Platform.V) || t.ownsSomething(user.Name.V):
			case user.Name.Set && !someBelow(v.failed, user.Path):
				v.warnf(user.Name.At, `write sshAuthorizedKeys: ["ssh-ed25519 ..."] or a passwordHash, or leave the user out`,
					"%s has neither a key nor a password, and cannot log in to %s", user.Name.V, t.Name.V)
			}
		}
	}
}

// ownsSomething reports whether a machine has a user for a file, or for a group that others are in.
func (t Target) ownsSomething(user string) bool {
	file := func(f File) bool {
		owner, group, _ := strings.Cut(f.Owner.V, ":")
		return owner == user || group == user
	}
	group := func(u User) bool { return slices.Contains(decode.Strings(u.Groups), user) }
	return slices.ContainsFunc(t.Files.Items, file) || slices.ContainsFunc(t.Users.Items, group)
}

// logsIn reports whether a user has a key or a password. One that is in the file and could not be read counts: what is
// wrong with it is said already.
func (v *validator) logsIn(u User) bool {
	keys := u.SSHAuthorizedKeys
	return len(keys.Items) > 0 || keys.Known() && !keys.Set || u.PasswordHash.Known() || v.unread[u.Path]
}
