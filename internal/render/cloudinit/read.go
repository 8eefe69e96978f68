package cloudinit

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"muster/internal/node"
	"muster/internal/render/payload"
)

// Read is the inverse of Encode: the configuration that the documents give a machine. Name, Pool and what only the spec
// knows (places, templates, secrecy) stay empty; files that lie in systemd's folder come back as units. An error names
// the document and what is wrong in it, and never shows contents.
func Read(docs Documents) (node.Config, error) {
	configuration, programs, err := splitPrograms(docs.UserData)
	if err != nil {
		return node.Config{}, fmt.Errorf("user-data: %w", err)
	}
	unpacked, err := unpack(configuration)
	if err != nil {
		return node.Config{}, fmt.Errorf("user-data: %w", err)
	}
	user, err := readUserData(unpacked)
	if err != nil {
		return node.Config{}, fmt.Errorf("user-data: %w", err)
	}
	var meta metaData
	if err := unmarshal(docs.MetaData, &meta); err != nil {
		return node.Config{}, fmt.Errorf("meta-data: %w", err)
	}
	cfg, awaited, err := user.config()
	if err != nil {
		return node.Config{}, fmt.Errorf("user-data: %w", err)
	}
	if !bytes.Equal(docs.UserData, withPrograms(configuration, programs, cfg.Done)) {
		return node.Config{}, fmt.Errorf("user-data: holds more than the parts that were read from it")
	}
	cfg.Programs = programs
	if string(meta.LocalHostname) != cfg.Hostname {
		return node.Config{}, fmt.Errorf("meta-data: local-hostname %q is not user-data's hostname %q", meta.LocalHostname, cfg.Hostname)
	}
	cfg.InstanceID = string(meta.InstanceID)
	if docs.NetworkConfig != nil {
		var network networkConfig
		if err := unmarshal(docs.NetworkConfig, &network); err != nil {
			return node.Config{}, fmt.Errorf("network-config: %w", err)
		}
		if cfg.Network, err = network.network(); err != nil {
			return node.Config{}, fmt.Errorf("network-config: %w", err)
		}
	}
	if !slices.Equal(awaited, networkArgs(cfg.Network)) {
		return node.Config{}, fmt.Errorf("user-data: bootcmd waits for another network than network-config gives")
	}
	return cfg, nil
}

// unmarshal reads one YAML document. That it encodes to the same bytes again proves that it holds nothing else: no
// further key anywhere, no second document, no other way to write a value.
func unmarshal[T any](document []byte, into *T) error {
	if err := yaml.Unmarshal(document, into); err != nil {
		return err
	}
	again, err := marshal(*into)
	if err != nil {
		return err
	}
	if !bytes.Equal(document, again) {
		return errMore
	}
	return nil
}

var errMore = errors.New("holds more than what was read from it")

// readUserData is unmarshal for user-data. It reads entries of write_files that many machines have once for all.
func readUserData(document []byte) (user userData, err error) {
	body, isConfig := bytes.CutPrefix(document, []byte(Header))
	if !isConfig {
		return user, fmt.Errorf("does not start with %q", Header)
	}
	cached := takeCached(body)
	if err := yaml.Unmarshal(cached.rest, &user); err != nil {
		return user, err
	}
	if err := cached.complete(&user); err != nil {
		return user, err
	}
	if again, _, err := user.marshal(); err != nil || !bytes.Equal(document, again) {
		return user, cmp.Or(err, errMore)
	}
	return user, nil
}

// config is the configuration but for its network, and what bootcmd knows of that.
func (doc userData) config() (cfg node.Config, awaited []string, err error) {
	b, err := readBoot(doc.BootCmd, doc.RunCmd)
	if err != nil {
		return node.Config{}, nil, err
	}
	cfg = node.Config{Hostname: string(doc.Hostname), Start: b.start, Done: b.done}
	named := doc.Hostname != ""
	if doc.FQDN != doc.Hostname || named != (doc.PreserveHostname != nil) || named && !isFalse(doc.PreserveHostname) || !isFalse(doc.ManageEtcHosts) {
		return node.Config{}, nil, fmt.Errorf("hostname, fqdn, preserve_hostname and manage_etc_hosts do not fit together")
	}
	if cfg.Users, err = doc.users(); err != nil {
		return node.Config{}, nil, err
	}
	files, err := doc.files(b)
	if err != nil {
		return node.Config{}, nil, err
	}
	units := newUnitReader(b)
	for _, f := range files {
		if name, isUnit := strings.CutPrefix(f.path, node.UnitFolder); isUnit {
			if err := units.add(name, f); err != nil {
				return node.Config{}, nil, err
			}
			continue
		}
		cfg.Files = append(cfg.Files, node.File{Path: f.path, Mode: fs.FileMode(f.mode), Owner: f.owner, Group: f.group, Contents: f.contents})
	}
	cfg.Units = units.all()
	return cfg, b.network, nil
}

// isFalse is not the same as not to be true: what the document leaves out is up to the image.
func isFalse(b *bool) bool { return b != nil && !*b }

// files reads write_files and the owners that runcmd sets afterwards, and holds them against the paths and the digest of
// the repair.
func (doc userData) files(b boot) ([]diskFile, error) {
	var all []diskFile
	var paths []string
	for _, w := range doc.WriteFiles {
		f, err := w.read()
		if err != nil {
			return nil, fmt.Errorf("write_files: %s: %w", w.Path, err)
		}
		if owner, other := b.owners[f.path]; other {
			f.owner, f.group, _ = strings.Cut(owner, ":")
			delete(b.owners, f.path)
		}
		all, paths = append(all, f), append(paths, f.path)
	}
	if len(b.owners) > 0 {
		return nil, fmt.Errorf("runcmd sets the owner of a file that write_files does not write")
	}
	if !slices.Equal(paths, b.paths) || digest(all) != b.digest {
		return nil, fmt.Errorf("bootcmd checks other files than write_files writes")
	}
	return all, nil
}

func (w writeFile) read() (diskFile, error) {
	f := diskFile{path: string(w.Path), owner: root, group: root}
	mode, err := strconv.ParseUint(string(w.Permissions), 8, 12)
	if err != nil {
		return diskFile{}, fmt.Errorf("permissions: %w", err)
	}
	if w.Owner != rootOwner {
		return diskFile{}, fmt.Errorf("owner %s may not exist yet", w.Owner)
	}
	f.mode = uint32(mode)
	switch w.Encoding {
	case "":
		f.contents = []byte(w.Content)
	case encodingBase64:
		f.contents, err = payload.FromBase64(string(w.Content))
	case encodingGzip:
		f.contents, err = payload.FromGzipBase64(string(w.Content))
	default:
		err = fmt.Errorf("encoding %s is unknown", w.Encoding)
	}
	return f, err
}

func (doc userData) users() ([]node.User, error) {
	if len(doc.Users) == 0 {
		return nil, nil
	}
	if doc.Users[0].Name != "" {
		return nil, fmt.Errorf("users do not start with the image's own")
	}
	var all []node.User
	for _, u := range doc.Users[1:] {
		if u.LockPasswd != (u.HashedPasswd == "") {
			return nil, fmt.Errorf("user %s has a password that is locked, or none that is not", u.Name)
		}
		all = append(all, node.User{Name: string(u.Name), PasswordHash: string(u.HashedPasswd), SSHAuthorizedKeys: textStrings(u.SSHAuthorizedKeys),
			Groups: textStrings(u.Groups), Shell: string(u.Shell)})
	}
	return all, nil
}

// unitReader gathers units from their files and from the commands that set their state, in order of appearance.
type unitReader struct {
	order  []string
	byName map[string]*node.Unit
}

func newUnitReader(b boot) *unitReader {
	r := &unitReader{byName: map[string]*node.Unit{}}
	for _, name := range b.on {
		r.unit(name).Enabled = new(true)
	}
	for _, name := range b.off {
		r.unit(name).Enabled = new(false)
	}
	for _, name := range b.masked {
		r.unit(name).Mask = true
	}
	return r
}

func (r *unitReader) unit(name string) *node.Unit {
	if r.byName[name] == nil {
		r.byName[name] = &node.Unit{Name: name}
		r.order = append(r.order, name)
	}
	return r.byName[name]
}

// add takes a file in systemd's folder; name is its path below that.
func (r *unitReader) add(name string, f diskFile) error {
	if f.mode != 0o644 || f.owner != root || f.group != root {
		return fmt.Errorf("unit %s has mode %04o and owner %s:%s", name, f.mode, f.owner, f.group)
	}
	folder, base := path.Split(name)
	if folder == "" {
		r.unit(base).Contents = string(f.contents)
		return nil
	}
	unit, isDropIn := strings.CutSuffix(path.Clean(folder), ".d")
	if !isDropIn || strings.Contains(unit, "/") {
		return fmt.Errorf("%s is neither a unit nor a drop-in", f.path)
	}
	u := r.unit(unit)
	u.DropIns = append(u.DropIns, node.DropIn{Name: base, Contents: string(f.contents)})
	return nil
}

func (r *unitReader) all() []node.Unit {
	var all []node.Unit
	for _, name := range r.order {
		all = append(all, *r.byName[name])
	}
	return all
}
