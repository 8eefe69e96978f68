package render_test

import (
	"bytes"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"

	"muster/internal/node"
	"muster/internal/render"
)

// TestReadBack asks for what came back by hand: Encode's own comparison must not be the only one.
func TestReadBack(t *testing.T) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			cfg := fit(sample(), k.butane.Variant)
			read, err := render.ReadBack(k.format, mustEncode(t, k.format, k.butane, cfg))
			if err != nil {
				t.Fatal(err)
			}
			if read.Hostname != "node1.example.com" || len(read.Files) != len(cfg.Files) || len(read.Units) != len(cfg.Units) {
				t.Errorf("hostname %q, %d files, %d units came back", read.Hostname, len(read.Files), len(read.Units))
			}
			for i, f := range read.Files {
				want := cfg.Files[i]
				if f.Path != want.Path || f.Mode != want.Mode || !bytes.Equal(f.Contents, want.Contents) {
					t.Errorf("file %s %v came back as %s %v", want.Path, want.Mode, f.Path, f.Mode)
				}
			}
			if f := read.Files[4]; f.Owner != "admin" || f.Group != "admin" {
				t.Errorf("%s came back with owner %s:%s", f.Path, f.Owner, f.Group)
			}
			units := map[string]node.Unit{}
			for _, u := range read.Units {
				units[u.Name] = u
			}
			for _, name := range []string{"muster.target", "mine.service"} {
				if e := units[name].Enabled; e == nil || !*e {
					t.Errorf("unit %s is not enabled", name)
				}
			}
			if u := units["fstrim.timer"]; u.Enabled == nil || *u.Enabled || !units["e2scrub_all.timer"].Mask {
				t.Error("a disabled or a masked unit came back otherwise")
			}
			if diff := cmp.Diff(cfg.Users, read.Users); diff != "" {
				t.Error(diff)
			}
			if k.format == render.CloudInit && (read.InstanceID != cfg.InstanceID || read.Start != cfg.Start || read.Done != cfg.Done) {
				t.Errorf("instance-id, first unit and done file came back as %q, %q, %q", read.InstanceID, read.Start, read.Done)
			}
		})
	}
}

func TestSameBytesAndSameInput(t *testing.T) {
	for _, k := range kinds {
		cfg := fit(sample(), k.butane.Variant)
		first := mustEncode(t, k.format, k.butane, cfg)
		if !reflect.DeepEqual(cfg, fit(sample(), k.butane.Variant)) {
			t.Errorf("%s: encoding changed its input", k.name)
		}
		if second := mustEncode(t, k.format, k.butane, fit(sample(), k.butane.Variant)); !reflect.DeepEqual(first, second) {
			t.Errorf("%s: two runs differ", k.name)
		}
	}
}

func TestIgnitionVersions(t *testing.T) {
	for _, k := range kinds {
		if k.format != render.Ignition {
			continue
		}
		want := map[string]string{"1.0.0": "3.3.0", "1.1.0": "3.4.0", "1.4.0": "3.3.0", "1.5.0": "3.4.0", "1.6.0": "3.5.0", "1.7.0": "3.6.0"}[k.butane.Version]
		doc := data(t, mustEncode(t, k.format, k.butane, small()), render.IgnitionConfig)
		if !bytes.HasPrefix(doc, []byte(`{"ignition":{"version":"`+want+`"}`)) || !bytes.HasSuffix(doc, []byte("}\n")) {
			t.Errorf("%s: %s", k.name, doc)
		}
	}
}

// TestUserDataAsText shows the whole of the smallest user-data, which has to stay readable.
func TestUserDataAsText(t *testing.T) {
	doc := mustEncode(t, render.CloudInit, render.Butane{}, small())
	got := string(data(t, doc, render.UserData))
	for _, want := range []string{
		"\nmanage_etc_hosts: false\nbootcmd:\n  - - \"sh\"\n    - \"-c\"\n    - |\n      done=$1 start=$2 digest=$3 addresses=$4 own=$5\n",
		"    - \"repair\"\n    - \"/var/lib/muster/done\"\n    - \"muster.target\"\n",
		`#cloud-config
write_files:
  - path: "/etc/systemd/system/muster.target"
    permissions: "0644"
    owner: "root:root"
    content: |
      [Unit]
      Description=first boot

      [Install]
      WantedBy=multi-user.target
manage_etc_hosts: false
`,
		`
runcmd:
  - ["set", "-e"]
  - ["systemctl", "daemon-reload"]
  - ["systemctl", "enable", "muster.target"]
  - ["systemctl", "start", "--no-block", "muster.target"]
`} {
		if !strings.Contains(got, want) {
			t.Errorf("user-data does not hold\n%s\nbut is\n%s", want, got)
		}
	}
	if got := string(data(t, doc, render.MetaData)); got != "instance-id: \"p\"\n" {
		t.Errorf("meta-data is %q", got)
	}
	if len(doc.Files) != 2 {
		t.Errorf("%d files, want no network-config without a network", len(doc.Files))
	}
}

// TestPoolHasNoHostname guards against a pool's machines that all take one name.
func TestPoolHasNoHostname(t *testing.T) {
	for _, k := range kinds {
		for _, f := range mustEncode(t, k.format, k.butane, small()).Files {
			if bytes.Contains(f.Data, []byte("hostname")) && f.Name != render.UserData || bytes.Contains(f.Data, []byte("hostname:")) {
				t.Errorf("%s: %s names a hostname", k.name, f.Name)
			}
		}
	}
}

// TestReadersAgree compares how YAML 1.2 and YAML 1.1 see a full document: Encode compared the first with the
// configuration already.
func TestReadersAgree(t *testing.T) {
	doc := mustEncode(t, render.CloudInit, render.Butane{}, sample())
	var all [][]byte
	for _, f := range doc.Files {
		all = append(all, f.Data)
	}
	checkReadersAgree(t, all)
}

func checkReadersAgree(t *testing.T, docs [][]byte) {
	t.Helper()
	for i, seen := range pyYAML(t, docs) {
		var ours any
		if err := yaml.Unmarshal(docs[i], &ours); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(numbers(ours), seen); diff != "" {
			t.Errorf("PyYAML reads %s\notherwise: %s", docs[i], diff)
		}
		for at, c := range docs[i] {
			if c != '\n' && (c < ' ' || c > '~') {
				t.Errorf("byte %d of a document is %#x: not printable ASCII", at, c)
				break
			}
		}
	}
}

// numbers turns integers into the only kind of number that JSON knows.
func numbers(v any) any {
	switch v := v.(type) {
	case int:
		return float64(v)
	case []any:
		for i := range v {
			v[i] = numbers(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = numbers(v[k])
		}
	}
	return v
}

func TestReadBackRefusesAnythingElse(t *testing.T) {
	good := mustEncode(t, render.CloudInit, render.Butane{}, sample())
	for name, c := range map[string]struct{ file, old, new string }{
		"no header":                {render.UserData, "#cloud-config\n", ""},
		"an unknown key":           {render.UserData, "manage_etc_hosts", "packages: []\nmanage_etc_hosts"},
		"an unquoted string":       {render.UserData, `"0644"`, `0644`},
		"another mode":             {render.UserData, `permissions: "0600"`, `permissions: "0640"`},
		"another path":             {render.UserData, `- path: "/etc/empty"`, `- path: "/etc/void"`},
		"another owner":            {render.UserData, `"chown", "--", "admin:admin"`, `"chown", "-h", "admin:admin"`},
		"one command more":         {render.UserData, `  - ["systemctl", "daemon-reload"]`, "  - [\"true\"]\n  - [\"systemctl\", \"daemon-reload\"]"},
		"no stop at a failure":     {render.UserData, `  - ["set", "-e"]` + "\n", ""},
		"no first unit":            {render.UserData, `"enable", "mine.service", "muster.target"`, `"enable", "mine.service"`},
		"another instance":         {render.MetaData, "local-hostname: \"node1", "local-hostname: \"node2"},
		"a network key":            {render.NetworkConfig, "version: 2", "version: 1"},
		"a mode that is none":      {render.UserData, `permissions: "0600"`, `permissions: "0900"`},
		"an owner too early":       {render.UserData, `owner: "root:root"`, `owner: "admin:admin"`},
		"an owner of nothing":      {render.UserData, `"/var/lib/mine/owned by admin"]`, `"/var/lib/mine/disowned"]`},
		"an unknown encoding":      {render.UserData, `encoding: "b64"`, `encoding: "b32"`},
		"hosts left to the image":  {render.UserData, "manage_etc_hosts: false\n", ""},
		"hosts by cloud-init":      {render.UserData, "manage_etc_hosts: false", "manage_etc_hosts: true"},
		"a name left to the image": {render.UserData, "preserve_hostname: false\n", ""},
		"the image's name":         {render.UserData, "preserve_hostname: false", "preserve_hostname: true"},
		"another full name":        {render.UserData, `fqdn: "node1`, `fqdn: "node2`},
		"no users of its own":      {render.UserData, "users:\n  - \"default\"\n", "users:\n"},
		"an open password":         {render.UserData, "lock_passwd: true", "lock_passwd: false"},
		"another interface":        {render.NetworkConfig, `set-name: "eth3"`, `set-name: "eth4"`},
		"another address":          {render.NetworkConfig, `"192.168.31.128/24"`, `"192.168.31.129/24"`},
		"no prefix length":         {render.NetworkConfig, `"10.1.0.2/24"`, `"10.1.0.2"`},
	} {
		var bad render.Document
		for _, f := range good.Files {
			if f.Name == c.file {
				changed := bytes.Replace(f.Data, []byte(c.old), []byte(c.new), 1)
				if bytes.Equal(changed, f.Data) {
					t.Fatalf("%s: %q is not in %s", name, c.old, c.file)
				}
				f.Data = changed
			}
			bad.Files = append(bad.Files, f)
		}
		if _, err := render.ReadBack(render.CloudInit, bad); err == nil {
			t.Errorf("%s was read without an error", name)
		}
	}
}

func TestReadBackOfIgnitionRefuses(t *testing.T) {
	good := data(t, mustEncode(t, render.Ignition, flatcar, sample()), render.IgnitionConfig)
	for name, c := range map[string]struct{ old, new string }{
		"no overwriting":     {`"overwrite":true`, `"overwrite":false`},
		"a fetched file":     {`"source":"data:,`, `"source":"https://example.com/`},
		"cut compression":    {`"compression":"gzip","source":"data:;base64,H4sI`, `"compression":"gzip","source":"data:;base64,AAAA`},
		"an unknown key":     {`"path":"/etc/empty"`, `"path":"/etc/empty","paths":"x"`},
		"another version":    {`"3.4.0"`, `"3.99.0"`},
		"a foreign setting":  {`DHCP=no`, `DHCQ=no`},
		"no mode":            {`"mode":420,`, ``},
		"a cut hostname":     {`node1.example.com%0A`, `node1.example.com`},
		"another interface":  {`%5BLink%5D%0AName=ens33`, `%5BLink%5D%0AName=ens34`},
		"another bond":       {`%5BNetDev%5D%0AName=bond0`, `%5BNetDev%5D%0AName=bond1`},
		"another kind":       {`Kind=vlan`, `Kind=vxlan`},
		"a tag that is none": {`Id=7`, `Id=seven`},
		"no prefix length":   {`Address=10.1.0.2/24`, `Address=10.1.0.2`},
	} {
		bad := bytes.Replace(good, []byte(c.old), []byte(c.new), 1)
		if bytes.Equal(bad, good) {
			t.Fatalf("%s: %q is not in the document", name, c.old)
		}
		if _, err := render.ReadBack(render.Ignition, render.Document{Files: []render.File{{Name: render.IgnitionConfig, Data: bad}}}); err == nil {
			t.Errorf("%s was read without an error", name)
		}
	}
}

func TestUnknownFormat(t *testing.T) {
	if _, err := render.Encode("kickstart", render.Butane{}, small()); err == nil || !strings.Contains(err.Error(), "cloud-init or ignition") {
		t.Errorf("the error is %v", err)
	}
	if _, err := render.ReadBack("kickstart", render.Document{}); err == nil {
		t.Error("an unknown format was read")
	}
}
