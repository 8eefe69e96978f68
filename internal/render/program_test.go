package render_test

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"

	"muster/internal/consumer"
	"muster/internal/node"
	"muster/internal/render"
)

// programOf returns a program of bytes that compress about as well as machine code does.
func programOf(size int) (node.Program, []byte) {
	rng := rand.New(rand.NewPCG(7, 8))
	contents := append(make([]byte, 0, size+64), "\x7fELF\r\n"...)
	for len(contents) < size {
		for range 24 {
			contents = append(contents, byte(rng.Uint32()))
		}
		contents = append(contents, "\r\nexit\n--muster\r\n#!/bin/sh\x00\x00\x00"...)
	}
	contents = contents[:size]
	return pack(contents), contents
}

// pack returns a program of some bytes. Writing to memory cannot fail; if it did, the digest would not fit.
func pack(contents []byte) node.Program {
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	w.Write(contents)
	w.Close()
	digest := sha256.Sum256(contents)
	return node.Program{Path: "/usr/local/lib/mine/rendezvous", Mode: 0o755, Gzip: packed.Bytes(), SHA256: hex.EncodeToString(digest[:]), Size: int64(len(contents))}
}

// withProgram returns the sample with a program of the size of the real one, and the program's bytes.
func withProgram() (node.Config, []byte) {
	p, contents := programOf(12 << 20)
	cfg := sample()
	cfg.Programs = []node.Program{p}
	return cfg, contents
}

// TestProgramComesBack asks for what came back by hand, in every kind of document, and for the same bytes in two runs.
func TestProgramComesBack(t *testing.T) {
	small, _ := programOf(5000)
	other := pack([]byte("#!/bin/sh\n"))
	other.Path, other.Mode = "/opt/it's a $(program)", 0o500
	for name, files := range map[string][]node.File{"readable": sample().Files, "packed": large().Files} {
		for _, k := range kinds {
			cfg := fit(sample(), k.butane.Variant)
			cfg.Files, cfg.Programs = files, []node.Program{small, other}
			before := slices.Clone(cfg.Programs)
			before[0].Gzip = bytes.Clone(small.Gzip)
			doc := mustEncode(t, k.format, k.butane, cfg)
			if !reflect.DeepEqual(cfg.Programs, before) || !reflect.DeepEqual(doc, mustEncode(t, k.format, k.butane, cfg)) {
				t.Errorf("%s, %s: encoding changes its input, or two runs differ", name, k.name)
			}
			read, err := render.ReadBack(k.format, doc)
			if err != nil || !reflect.DeepEqual(read.Programs, before) {
				t.Errorf("%s, %s: programs came back as %v, %v", name, k.name, read.Programs, err)
			}
			if len(read.Files) != len(files) {
				t.Errorf("%s, %s: %d files came back with the programs, want %d", name, k.name, len(read.Files), len(files))
			}
			if packed := bytes.Contains(doc.Files[0].Data, []byte("application/gzip")); k.format == render.CloudInit && packed != (name == "packed") {
				t.Errorf("%s: the configuration beside a program is compressed: %v", name, packed)
			}
		}
	}
}

// TestProgramIsNotInTheConfiguration is the reason for all this: what YAML's reader sees must not grow with programs.
func TestProgramIsNotInTheConfiguration(t *testing.T) {
	for name, cfg := range map[string]node.Config{"readable": sample(), "packed": large()} {
		plain := consumer.CloudInitSchema(t, data(t, mustEncode(t, render.CloudInit, render.Butane{}, cfg), render.UserData))
		p, _ := programOf(5000)
		cfg.Programs = []node.Program{p}
		doc := mustEncode(t, render.CloudInit, render.Butane{}, cfg)
		parts := consumer.CloudInitSchema(t, data(t, doc, render.UserData))
		if len(parts) != 2 || parts[0].ContentType != "text/cloud-config" || !bytes.Equal(parts[0].Content, plain[0].Content) {
			t.Fatalf("%s: cloud-init sees %d parts, the first of type %s", name, len(parts), parts[0].ContentType)
		}
		if parts[1].ContentType != "text/cloud-boothook" || len(parts[1].Content) < len(p.Gzip) {
			t.Errorf("%s: the second part is of type %s and has %d bytes", name, parts[1].ContentType, len(parts[1].Content))
		}
	}
	cfg, contents := withProgram()
	for _, format := range []string{render.CloudInit, render.Ignition} {
		size := len(mustEncode(t, format, flatcar, cfg).Files[0].Data)
		if most := len(cfg.Programs[0].Gzip)/3*4 + 64<<10; size > most {
			t.Errorf("%s: %d bytes for a program of %d, compressed %d; want at most %d", format, size, len(contents), len(cfg.Programs[0].Gzip), most)
		}
	}
}

// TestRealCloudInitUnpacksPrograms boots a machine with the real cloud-init, damages its programs as a cut would, and
// boots it again.
func TestRealCloudInitUnpacksPrograms(t *testing.T) {
	cfg, contents := withProgram()
	other := pack([]byte("#!/bin/sh\necho a second program\n"))
	other.Path, other.Mode = "/opt/it's a $(program)\\n", 0o500
	cfg.Programs = append(cfg.Programs, other)
	userData := data(t, mustEncode(t, render.CloudInit, render.Butane{}, cfg), render.UserData)
	root := t.TempDir()
	program := filepath.Join(root, cfg.Programs[0].Path)
	consumer.CloudInitApply(t, userData, root)
	checkProgramFile(t, program, 0o755, contents)
	checkProgramFile(t, filepath.Join(root, other.Path), 0o500, []byte("#!/bin/sh\necho a second program\n"))
	if got := disk(t, root, sample()); got["/usr/local/lib/muster/prepare"] == "" {
		t.Error("the configuration beside the program is not applied")
	}
	inRoot(t, root, "sh", "/"+runScript)

	first, err := os.Stat(program)
	check(t, err)
	written := stamp(t, root)
	consumer.CloudInitApply(t, userData, root)
	if second, err := os.Stat(program); err != nil || !os.SameFile(first, second) || !second.ModTime().Equal(first.ModTime()) {
		t.Errorf("a second boot unpacks a whole program again: %v", err)
	}

	write(t, root, cfg.Programs[0].Path+".unpacking", "cut while unpacking")
	check(t, os.Truncate(program, 4<<20))
	check(t, os.Remove(filepath.Join(root, other.Path)))
	consumer.CloudInitApply(t, userData, root)
	checkProgramFile(t, program, 0o755, contents)
	checkProgramFile(t, filepath.Join(root, other.Path), 0o500, []byte("#!/bin/sh\necho a second program\n"))
	if stamp(t, root) != written {
		t.Error("a damaged program makes cloud-init write all files again")
	}
}

func checkProgramFile(t *testing.T, path string, mode fs.FileMode, contents []byte) {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Error(err)
		return
	}
	owner := info.Sys().(*syscall.Stat_t)
	got, err := os.ReadFile(path)
	if err != nil || info.Mode() != mode || owner.Uid != 0 || owner.Gid != 0 || !bytes.Equal(got, contents) {
		t.Errorf("%s has mode %v, owner %d:%d and %d bytes (%v), the right ones: %v", path, info.Mode(), owner.Uid, owner.Gid, len(got), err, bytes.Equal(got, contents))
	}
	if _, err := os.Lstat(path + ".unpacking"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s.unpacking is left: %v", path, err)
	}
}

// TestProgramRepairsItself runs the boothook alone, in the shells of both families of systems, over a program in every
// state.
func TestProgramRepairsItself(t *testing.T) {
	contents := []byte("#!/bin/sh\necho a program\n")
	cfg := small()
	cfg.Programs = []node.Program{pack(contents)}
	cfg.Programs[0].Path = "/opt/new/folder/program"
	path := cfg.Programs[0].Path
	parts := consumer.CloudInitSchema(t, data(t, mustEncode(t, render.CloudInit, render.Butane{}, cfg), render.UserData))
	for name, c := range map[string]struct {
		damage func(t *testing.T, root string)
		want   string
	}{
		"missing":               {func(*testing.T, string) {}, "whole"},
		"whole":                 {func(t *testing.T, root string) { write(t, root, path, string(contents)) }, "whole"},
		"cut":                   {func(t *testing.T, root string) { write(t, root, path, string(contents[:9])) }, "whole"},
		"empty":                 {func(t *testing.T, root string) { write(t, root, path, "") }, "whole"},
		"other bytes":           {func(t *testing.T, root string) { write(t, root, path, strings.ToUpper(string(contents))) }, "whole"},
		"cut temporary":         {func(t *testing.T, root string) { write(t, root, path+".unpacking", "#!/bin") }, "whole"},
		"temporary is a folder": {func(t *testing.T, root string) { write(t, root, path+".unpacking/x", "") }, "whole"},
		"link to another": {func(t *testing.T, root string) {
			write(t, root, "opt/new/other", "other")
			check(t, os.MkdirAll(filepath.Dir(filepath.Join(root, path)), 0o755))
			check(t, os.Symlink("/opt/new/other", filepath.Join(root, path)))
		}, "whole"},
		"done": {func(t *testing.T, root string) { write(t, root, doneFile, "") }, "missing"},
		"done and cut": {func(t *testing.T, root string) {
			write(t, root, doneFile, "")
			write(t, root, path, "cut")
		}, "cut"},
		"mode": {func(t *testing.T, root string) {
			write(t, root, path, string(contents))
			check(t, os.Chmod(filepath.Join(root, path), 0o600))
			check(t, os.Chown(filepath.Join(root, path), 7, 7))
		}, "whole"},
	} {
		for _, shell := range []string{"dash", "bash --posix"} {
			t.Run(name+" in "+shell, func(t *testing.T) {
				root := t.TempDir()
				write(t, root, "hook", string(parts[1].Content))
				c.damage(t, root)
				if out := inRoot(t, root, "sh", "-c", "umask 077; "+shell+" /hook"); out != "" {
					t.Errorf("the boothook said %s", out)
				}
				switch _, err := os.Lstat(filepath.Join(root, path)); {
				case c.want == "whole":
					checkProgramFile(t, filepath.Join(root, path), 0o755, contents)
					if folder, err := os.Stat(filepath.Join(root, "opt/new/folder")); err != nil || folder.Mode().Perm() != 0o755 {
						t.Errorf("the folder has mode %v, %v", folder.Mode(), err)
					}
				case c.want == "missing" && !errors.Is(err, fs.ErrNotExist):
					t.Errorf("a program was unpacked although the machine is done: %v", err)
				case c.want == "cut":
					checkProgramFile(t, filepath.Join(root, path), 0o644, []byte("cut"))
				}
			})
		}
	}
}

// TestDamagedProgramKeepsTheOld wants a boothook that cannot unpack its program to say so, and to leave what is there.
func TestDamagedProgramKeepsTheOld(t *testing.T) {
	cfg := small()
	cfg.Programs = []node.Program{pack(bytes.Repeat([]byte("a program "), 1000))}
	path := cfg.Programs[0].Path
	hook := consumer.CloudInitSchema(t, data(t, mustEncode(t, render.CloudInit, render.Butane{}, cfg), render.UserData))[1].Content
	root := t.TempDir()
	write(t, root, "hook", string(hook[:len(hook)-20]))
	write(t, root, path, "old")
	out := inRoot(t, root, "sh", "-c", "sh /hook || echo ended with $?")
	if !strings.Contains(out, path+" cannot be unpacked") || !strings.HasSuffix(out, "ended with 1\n") {
		t.Errorf("the boothook said %s", out)
	}
	checkProgramFile(t, filepath.Join(root, path), 0o644, []byte("old"))
}

func TestRealIgnitionWritesPrograms(t *testing.T) {
	cfg, contents := withProgram()
	config := data(t, mustEncode(t, render.Ignition, flatcar, cfg), render.IgnitionConfig)
	consumer.IgnitionValidate(t, config)
	root := t.TempDir()
	program := filepath.Join(root, cfg.Programs[0].Path)
	consumer.IgnitionApply(t, config, root)
	checkProgramFile(t, program, 0o755, contents)
	if got := disk(t, root, sample()); got["/usr/local/lib/muster/prepare"] == "" {
		t.Error("the files beside the program are not written")
	}
	check(t, os.Truncate(program, 1<<20))
	consumer.IgnitionApply(t, config, root)
	checkProgramFile(t, program, 0o755, contents)
}

func TestProgramIsRefused(t *testing.T) {
	good, _ := programOf(5000)
	good.At = here
	bomb := pack(make([]byte, 65<<20))
	bomb.At = here
	for name, c := range map[string]struct {
		change func(*node.Program)
		want   string
	}{
		"path with a newline":   {func(p *node.Program) { p.Path = "/opt/a\nb" }, "no path of a file"},
		"path of a file":        {func(p *node.Program) { p.Path = "/etc/empty" }, "twice"},
		"path in a file":        {func(p *node.Program) { p.Path = "/etc/empty/program" }, "which is a file"},
		"path in /run":          {func(p *node.Program) { p.Path = "/run/program" }, "does not stay"},
		"path of a unit":        {func(p *node.Program) { p.Path = "/etc/systemd/system/x.service" }, "systemd's units"},
		"setuid":                {func(p *node.Program) { p.Mode |= fs.ModeSetuid }, "more than permissions"},
		"another digest":        {func(p *node.Program) { p.SHA256 = strings.Repeat("0", 64) }, "SHA-256 is " + good.SHA256},
		"digest in capitals":    {func(p *node.Program) { p.SHA256 = strings.ToUpper(p.SHA256) }, "lower case"},
		"no digest":             {func(p *node.Program) { p.SHA256 = "" }, "SHA-256"},
		"digest with a newline": {func(p *node.Program) { p.SHA256 += "\nid" }, "SHA-256"},
		"size too small":        {func(p *node.Program) { p.Size-- }, "holds more than 4999 bytes"},
		"size too large":        {func(p *node.Program) { p.Size++ }, "has 5000 bytes when unpacked, not 5001"},
		"no size":               {func(p *node.Program) { p.Size = 0 }, "program of 0 bytes"},
		"no program":            {func(p *node.Program) { p.Gzip = nil }, "cannot be unpacked"},
		"cut":                   {func(p *node.Program) { p.Gzip = p.Gzip[:len(p.Gzip)-9] }, "cannot be unpacked"},
		"damaged checksum": {func(p *node.Program) {
			p.Gzip = bytes.Clone(p.Gzip)
			p.Gzip[len(p.Gzip)-6] ^= 1
		}, "cannot be unpacked"},
		"more after the end":         {func(p *node.Program) { p.Gzip = append(bytes.Clone(p.Gzip), "more"...) }, "cannot be unpacked"},
		"not compressed":             {func(p *node.Program) { p.Gzip = []byte("#!/bin/sh\n") }, "cannot be unpacked"},
		"larger than 64 MiB":         {func(p *node.Program) { *p = bomb }, "more than the 67108864"},
		"larger than 64 MiB, untold": {func(p *node.Program) { *p = bomb; p.Size = 64 << 20 }, "holds more than"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, format := range []string{render.CloudInit, render.Ignition} {
				cfg := sample()
				cfg.Programs = []node.Program{good}
				c.change(&cfg.Programs[0])
				_, err := render.Encode(format, flatcar, cfg)
				checkRefused(t, format, err, c.want)
			}
		})
	}
	cfg := sample()
	good.Path = "/home/admin/program"
	cfg.Programs = []node.Program{good}
	_, err := render.Encode(render.CloudInit, render.Butane{}, cfg)
	checkRefused(t, render.CloudInit, err, "home folder")
	good.Path, good.Mode = "/opt/program", 0o620
	cfg.Programs = []node.Program{good}
	_, err = render.Encode(render.Ignition, flatcar, cfg)
	checkRefused(t, render.Ignition, err, "/opt/program: ignition: ")
}

func TestReadBackRefusesOtherPrograms(t *testing.T) {
	p, _ := programOf(5000)
	cfg := sample()
	cfg.Programs = []node.Program{p}
	cloud := mustEncode(t, render.CloudInit, render.Butane{}, cfg)
	ign := mustEncode(t, render.Ignition, flatcar, cfg)
	packed := base64.StdEncoding.EncodeToString(p.Gzip)
	cut := base64.StdEncoding.EncodeToString(p.Gzip[:600])
	for name, c := range map[string]struct {
		doc      render.Document
		old, new string
	}{
		"another boundary":       {cloud, "\n--muster--\n", "\n--master--\n"},
		"bytes after the end":    {cloud, "\n--muster--\n", "\n--muster--\nmore\n"},
		"bytes before the parts": {cloud, "\n--muster\nMIME", "more\n--muster\nMIME"},
		"an unknown part":        {cloud, "text/cloud-boothook", "text/x-shellscript"},
		"a configuration twice":  {cloud, "text/cloud-boothook", "text/cloud-config"},
		"no configuration":       {cloud, "text/cloud-config", "text/cloud-boothook"},
		"another path":           {cloud, "file='/usr/local/lib/mine/rendezvous'", "file='/usr/local/lib/mine/rendezvous'';id'"},
		"another digest":         {cloud, "digest=" + p.SHA256, "digest=" + strings.Repeat("0", 64)},
		"another done file":      {cloud, "done='/var/lib/muster/done'", "done='/dev/null'"},
		"no mode":                {cloud, "mode=0755", "mode=u+s"},
		"another script":         {cloud, "umask 022", "umask 000"},
		"another program":        {cloud, packed[:40], base64.StdEncoding.EncodeToString([]byte("#!/bin/sh\nand more than 30 bytes"))[:40]},
		"a cut program":          {cloud, packed[:960], cut[:720]},
		"another hash":           {ign, "sha256-" + p.SHA256, "sha256-" + strings.Repeat("0", 64)},
		"another kind of hash":   {ign, "sha256-" + p.SHA256, "sha512-" + strings.Repeat("0", 128)},
		"a cut data URL":         {ign, packed, cut},
		"no compression":         {ign, `"compression":"gzip","source":"data:;base64,` + packed, `"source":"data:;base64,` + packed},
	} {
		data := c.doc.Files[0].Data
		bad := bytes.Replace(data, []byte(c.old), []byte(c.new), 1)
		if bytes.Equal(bad, data) {
			t.Fatalf("%s: %.40q is not in the document", name, c.old)
		}
		format := render.Ignition
		doc := render.Document{Files: append([]render.File{{Name: c.doc.Files[0].Name, Data: bad}}, c.doc.Files[1:]...)}
		if doc.Files[0].Name == render.UserData {
			format = render.CloudInit
		}
		if _, err := render.ReadBack(format, doc); err == nil {
			t.Errorf("%s was read without an error", name)
		}
	}
}

func BenchmarkEncodeProgram(b *testing.B) {
	cfg, _ := withProgram()
	for _, format := range []string{render.CloudInit, render.Ignition} {
		b.Run(format, func(b *testing.B) {
			for b.Loop() {
				doc := mustEncode(b, format, flatcar, cfg)
				b.ReportMetric(float64(len(doc.Files[0].Data)), "bytes")
			}
		})
	}
}
