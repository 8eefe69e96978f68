package ignition

import (
	"bytes"
	"fmt"
	"io/fs"
	"strings"

	"github.com/coreos/ignition/v2/config/v3_6"
	"github.com/coreos/ignition/v2/config/v3_6/types"
	"github.com/vincent-petithory/dataurl"

	"muster/internal/node"
	"muster/internal/render/payload"
)

// Read is the inverse of Encode, through Ignition's own parser: the configuration that the document gives a machine. What
// Ignition does not carry stays empty: Name, Pool, InstanceID, Start (which comes back as a unit that is enabled), Done,
// and what only the spec knows. An error never shows contents.
func Read(document []byte) (node.Config, error) {
	parsed, err := parse(document)
	if err != nil {
		return node.Config{}, err
	}
	if packed := parsed.Ignition.Config.Replace; packed.Source != nil {
		if document, err = read(packed); err != nil {
			return node.Config{}, fmt.Errorf("ignition.config.replace: %w", err)
		}
		if parsed, err = parse(document); err != nil {
			return node.Config{}, fmt.Errorf("ignition.config.replace: %w", err)
		}
	}
	var cfg node.Config
	if err := readFiles(parsed.Storage, &cfg); err != nil {
		return node.Config{}, err
	}
	for _, u := range parsed.Systemd.Units {
		cfg.Units = append(cfg.Units, readUnit(u))
	}
	for _, u := range parsed.Passwd.Users {
		cfg.Users = append(cfg.Users, readUser(u))
	}
	return cfg, nil
}

// parse reads a document with Ignition's parser; warnings are errors.
func parse(document []byte) (types.Config, error) {
	parsed, complaints, err := v3_6.ParseCompatibleVersion(document)
	if err != nil {
		return types.Config{}, fmt.Errorf("%w: %s", err, complaints.String())
	}
	if len(complaints.Entries) > 0 {
		return types.Config{}, fmt.Errorf("ignition complains: %s", complaints.String())
	}
	return parsed, nil
}

// readFiles splits files into programs, the hostname, the network and the rest.
func readFiles(s types.Storage, cfg *node.Config) error {
	var network []node.File
	for _, f := range s.Files {
		if f.Contents.Verification.Hash != nil {
			p, err := readProgram(f)
			if err != nil {
				return fmt.Errorf("%s: %w", f.Path, err)
			}
			cfg.Programs = append(cfg.Programs, p)
			continue
		}
		read, err := readFile(f)
		if err != nil {
			return fmt.Errorf("%s: %w", f.Path, err)
		}
		switch {
		case read.Path == hostnameFile:
			name, ended := bytes.CutSuffix(read.Contents, []byte("\n"))
			if !ended {
				return fmt.Errorf("%s does not end its line", hostnameFile)
			}
			cfg.Hostname = string(name)
		case strings.HasPrefix(read.Path, virtualPrefix), strings.HasPrefix(read.Path, ethernetPrefix):
			network = append(network, read)
		default:
			cfg.Files = append(cfg.Files, read)
		}
	}
	var err error
	cfg.Network, err = readNetwork(network)
	return err
}

// readProgram reads a program without the general reader of data URLs, which is slow. The digest and the size are those
// of the bytes that are really there.
func readProgram(f types.File) (node.Program, error) {
	if err := checkFile(f); err != nil {
		return node.Program{}, err
	}
	body, inBase64 := strings.CutPrefix(*f.Contents.Source, base64URL)
	if !inBase64 || or(f.Contents.Compression, "") != gzipCompression || f.User != (types.NodeUser{}) || f.Group != (types.NodeGroup{}) {
		return node.Program{}, fmt.Errorf("has a digest, and is no compressed program of root's")
	}
	p := node.Program{Path: f.Path, Mode: fs.FileMode(*f.Mode)}
	var err error
	if p.Gzip, err = payload.FromBase64(body); err != nil {
		return node.Program{}, fmt.Errorf("data url: %w", err)
	}
	if p.SHA256, p.Size, err = payload.Measure(p.Gzip, payload.ProgramLimit); err != nil {
		return node.Program{}, fmt.Errorf("gzip: %w", err)
	}
	if *f.Contents.Verification.Hash != programHash+p.SHA256 {
		return node.Program{}, fmt.Errorf("is another program than its digest says")
	}
	return p, nil
}

// checkFile refuses a file that does not say all that our files say.
func checkFile(f types.File) error {
	if f.Mode == nil || f.Overwrite == nil || !*f.Overwrite || f.Contents.Source == nil || len(f.Append) > 0 {
		return fmt.Errorf("has no mode or no source, or does not overwrite")
	}
	return nil
}

func readFile(f types.File) (node.File, error) {
	if err := checkFile(f); err != nil {
		return node.File{}, err
	}
	contents, err := read(f.Contents)
	if err != nil {
		return node.File{}, err
	}
	return node.File{Path: f.Path, Mode: fs.FileMode(*f.Mode), Owner: or(f.User.Name, root), Group: or(f.Group.Name, root), Contents: contents}, nil
}

// read returns the bytes of a resource, which are all in its data URL.
func read(r types.Resource) ([]byte, error) {
	url, err := dataurl.DecodeString(*r.Source)
	if err != nil {
		return nil, fmt.Errorf("data url: %w", err)
	}
	if or(r.Compression, "") != gzipCompression {
		return url.Data, nil
	}
	contents, err := payload.Gunzip(url.Data)
	if err != nil {
		return nil, fmt.Errorf("gzip: %w", err)
	}
	return contents, nil
}

func readUnit(u types.Unit) node.Unit {
	out := node.Unit{Name: u.Name, Contents: or(u.Contents, ""), Enabled: u.Enabled, Mask: u.Mask != nil && *u.Mask}
	for _, d := range u.Dropins {
		out.DropIns = append(out.DropIns, node.DropIn{Name: d.Name, Contents: or(d.Contents, "")})
	}
	return out
}

func readUser(u types.PasswdUser) node.User {
	out := node.User{Name: u.Name, PasswordHash: or(u.PasswordHash, ""), Shell: or(u.Shell, "")}
	for _, key := range u.SSHAuthorizedKeys {
		out.SSHAuthorizedKeys = append(out.SSHAuthorizedKeys, string(key))
	}
	for _, group := range u.Groups {
		out.Groups = append(out.Groups, string(group))
	}
	return out
}

func or(value *string, otherwise string) string {
	if value == nil {
		return otherwise
	}
	return *value
}
