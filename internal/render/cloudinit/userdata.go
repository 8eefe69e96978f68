package cloudinit

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"muster/internal/node"
	"muster/internal/render/payload"
)

// text is a string that every YAML reader takes for the same string. It is always quoted, or a literal block where
// payload.Plain allows one: readers of YAML 1.1, as cloud-init's is, take yes, 0888, 1_000, 12:30:45, = and more for
// something else, and know more line ends than YAML 1.2.
type text string

// MarshalYAML implements yaml.Marshaler.
func (t text) MarshalYAML() (any, error) {
	style := yaml.DoubleQuotedStyle
	if payload.Plain([]byte(t)) {
		style = yaml.LiteralStyle
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Style: style, Value: string(t)}, nil
}

// UnmarshalYAML implements yaml.Unmarshaler. A string that is not quoted is an error: another reader may see no string.
func (t *text) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind != yaml.ScalarNode || n.Style&(yaml.DoubleQuotedStyle|yaml.LiteralStyle) == 0 {
		return fmt.Errorf("line %d: not a quoted string", n.Line)
	}
	*t = text(n.Value)
	return nil
}

func texts(of []string) []text {
	var all []text
	for _, s := range of {
		all = append(all, text(s))
	}
	return all
}

func textStrings(of []text) []string {
	var all []string
	for _, t := range of {
		all = append(all, string(t))
	}
	return all
}

// command is a program and its arguments. cloud-init quotes each for the shell, so none of them is ever shell code
// unless the program is a shell.
type command []text

// userData is cloud-init's own configuration: https://docs.cloud-init.io/en/latest/reference/modules.html
type userData struct {
	WriteFiles       []writeFile `yaml:"write_files"`
	Hostname         text        `yaml:"hostname"`
	FQDN             text        `yaml:"fqdn"`
	PreserveHostname *bool       `yaml:"preserve_hostname"`
	ManageEtcHosts   *bool       `yaml:"manage_etc_hosts"`
	Users            []user      `yaml:"users"`
	BootCmd          []command   `yaml:"bootcmd"`
	RunCmd           []command   `yaml:"runcmd"`
}

// writeFile is one entry of write_files. There is no defer: cloud-init 19.4 does not know it.
type writeFile struct {
	Path        text `yaml:"path"`
	Permissions text `yaml:"permissions"`
	Owner       text `yaml:"owner"`
	Encoding    text `yaml:"encoding"`
	Content     text `yaml:"content"`
}

const (
	encodingBase64 = "b64"
	encodingGzip   = "gz+b64"
	// rootOwner is every file's owner while write_files runs; see chownCommands.
	rootOwner = root + ":" + root
)

// user is one entry of users: someone, or, when everything is empty, the word default: the image's own user, whom naming
// any other user would drop.
type user struct {
	Name              text   `yaml:"name"`
	SSHAuthorizedKeys []text `yaml:"ssh_authorized_keys,omitempty"`
	Groups            []text `yaml:"groups,omitempty"`
	Shell             text   `yaml:"shell,omitempty"`
	// HashedPasswd rather than passwd: only this one is set again when a cut left a user without its password.
	HashedPasswd text `yaml:"hashed_passwd,omitempty"`
	LockPasswd   bool `yaml:"lock_passwd"`
}

const defaultUser text = "default"

// MarshalYAML implements yaml.Marshaler.
func (u user) MarshalYAML() (any, error) {
	if u.Name == "" {
		return defaultUser, nil
	}
	type plain user
	return plain(u), nil
}

// UnmarshalYAML implements yaml.Unmarshaler.
func (u *user) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		if n.Value != string(defaultUser) {
			return fmt.Errorf("line %d: user %q has no settings", n.Line, n.Value)
		}
		return nil
	}
	type plain user
	return n.Decode((*plain)(u))
}

// metaData is what the NoCloud data source needs beside user-data, even when a platform brings its own.
type metaData struct {
	InstanceID    text `yaml:"instance-id"`
	LocalHostname text `yaml:"local-hostname,omitempty"`
}

func userDataOf(cfg node.Config) userData {
	files := largeFirst(diskFiles(cfg))
	doc := userData{
		ManageEtcHosts: new(bool), // Debian's cloud images would write /etc/hosts anew at every boot
		Users:          usersOf(cfg.Users),
		BootCmd:        []command{repairCommand(cfg, files)},
		RunCmd:         startCommands(cfg, files),
	}
	if cfg.Hostname != "" {
		// Both keys, alike: from hostname alone cloud-init takes the first label on Debian, and on CentOS 7 prefers a
		// domain name that the platform's meta-data gives.
		doc.Hostname, doc.FQDN, doc.PreserveHostname = text(cfg.Hostname), text(cfg.Hostname), new(bool)
	}
	for _, f := range files {
		doc.WriteFiles = append(doc.WriteFiles, writeFileOf(f))
	}
	return doc
}

// Files of at least large bytes come first. There is one, the script, which is the same on all machines: documents that begin
// alike are compressed, and read, that far only once.
const large = 4 << 10

// largeFirst orders files, on which nothing in the document or on the machine depends.
func largeFirst(files []diskFile) []diskFile {
	var first, then []diskFile
	for _, f := range files {
		if len(f.contents) >= large {
			first = append(first, f)
		} else {
			then = append(then, f)
		}
	}
	return append(first, then...)
}

// writeFileOf writes a text as it is.
func writeFileOf(f diskFile) writeFile {
	w := writeFile{Path: text(f.path), Permissions: text(fmt.Sprintf("%04o", f.mode)), Owner: rootOwner}
	switch {
	case len(f.contents) == 0 || payload.Plain(f.contents):
		w.Content = text(f.contents)
	default:
		body, compressed := payload.Shorter(f.contents, len(encodingGzip)-len(encodingBase64))
		w.Content, w.Encoding = text(body), encodingBase64
		if compressed {
			w.Encoding = encodingGzip
		}
	}
	return w
}

// Header makes cloud-init take user-data as configuration; it must be the very first line. Packed user-data has another.
const Header = "#cloud-config\n"

const (
	listStart  = "write_files:\n"
	entryStart = "  - path: "
)

// marshal returns user-data, and the length of its beginning, up to the end of the large files.
//
// Written by hand, except users, because yaml.v3 was the slowest part of making a document. All values are strings in one of
// text's two styles. yaml.v3 still reads the result back.
func (doc userData) marshal() (to []byte, shared int, err error) {
	size := 16 << 10
	for _, f := range doc.WriteFiles {
		size += len(f.Content) + len(f.Content)/4 // with its indentation
	}
	to = append(make([]byte, 0, size), Header+listStart...)
	first := true
	for _, f := range doc.WriteFiles {
		to = f.appendYAML(to)
		if first = first && len(f.Content) >= large; first {
			shared = len(to)
		}
	}
	if doc.Hostname != "" {
		to = appendYAML(to, "hostname: ", doc.Hostname)
	}
	if doc.FQDN != "" {
		to = appendYAML(to, "fqdn: ", doc.FQDN)
	}
	if doc.PreserveHostname != nil {
		to = fmt.Appendf(to, "preserve_hostname: %t\n", *doc.PreserveHostname)
	}
	if doc.ManageEtcHosts != nil {
		to = fmt.Appendf(to, "manage_etc_hosts: %t\n", *doc.ManageEtcHosts)
	}
	if len(doc.Users) > 0 {
		users, err := marshal(map[string][]user{"users": doc.Users})
		if err != nil {
			return nil, 0, err
		}
		to = append(to, users...)
	}
	to = appendCommands(append(to, "bootcmd:\n"...), doc.BootCmd)
	to = appendCommands(append(to, "runcmd:\n"...), doc.RunCmd)
	return to, shared, nil
}

// appendCommands writes one line for a command, unless one of its words is a script.
func appendCommands(to []byte, all []command) []byte {
	for _, c := range all {
		if slices.ContainsFunc(c, func(word text) bool { return strings.Contains(string(word), "\n") }) {
			key := "  - - "
			for _, word := range c {
				to = appendYAML(to, key, word)
				key = "    - "
			}
			continue
		}
		to = append(to, "  - ["...)
		for i, word := range c {
			if i > 0 {
				to = append(to, ", "...)
			}
			to = strconv.AppendQuoteToASCII(to, string(word))
		}
		to = append(to, "]\n"...)
	}
	return to
}

// appendYAML writes an entry of write_files as yaml.v3 does.
func (w writeFile) appendYAML(to []byte) []byte {
	to = appendYAML(to, entryStart, w.Path)
	to = appendYAML(to, "    permissions: ", w.Permissions)
	to = appendYAML(to, "    owner: ", w.Owner)
	if w.Encoding != "" {
		to = appendYAML(to, "    encoding: ", w.Encoding)
	}
	return appendYAML(to, "    content: ", w.Content)
}

// appendYAML writes a key and its value as text.MarshalYAML has it. The escapes of a Go string that has nothing but
// ASCII are those of YAML; bytes that are no UTF-8 would come out otherwise, and are not in any text.
func appendYAML(to []byte, key string, value text) []byte {
	to = append(to, key...)
	if !payload.Plain([]byte(value)) {
		return append(strconv.AppendQuoteToASCII(to, string(value)), '\n')
	}
	to = append(to, "|\n"...)
	for line := range strings.Lines(string(value)) {
		if line != "\n" {
			to = append(to, "      "...)
		}
		to = append(to, line...)
	}
	return to
}

func usersOf(all []node.User) []user {
	if len(all) == 0 {
		return nil
	}
	list := []user{{}}
	for _, u := range all {
		list = append(list, user{
			Name:              text(u.Name),
			SSHAuthorizedKeys: texts(u.SSHAuthorizedKeys),
			Groups:            texts(u.Groups),
			Shell:             text(u.Shell),
			HashedPasswd:      text(u.PasswordHash),
			LockPasswd:        u.PasswordHash == "",
		})
	}
	return list
}
