package consumer

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

const cloudConfig = `#cloud-config
users:
- {name: admin, groups: sudo, shell: /bin/bash, sudo: "ALL=(ALL) NOPASSWD:ALL"}
write_files:
- {path: /usr/local/lib/muster/prepare, permissions: "0755", content: "#!/bin/bash\ntrue\n"}
- {path: /etc/muster/credential, permissions: "0600", encoding: b64, content: c2VjcmV0Cg==}
- {path: /home/admin/.kube/config, permissions: "0600", owner: "admin:admin", defer: true, content: "x\n"}
runcmd:
- [systemctl, daemon-reload]
`

const metaData = "instance-id: k8s-k8s-node1\nlocal-hostname: k8s-node1\n"

const networkStatic = `version: 2
ethernets:
  ens33:
    addresses: [192.168.31.128/24]
    nameservers: {addresses: [223.5.5.5]}
    routes: [{to: 0.0.0.0/0, via: 192.168.31.2}]
`

// mime is a MIME document with a compressed boothook before the cloud-config, as a control plane's is.
func mime(t *testing.T) []byte {
	t.Helper()
	var hook bytes.Buffer
	w := gzip.NewWriter(&hook)
	if _, err := w.Write([]byte("#cloud-boothook\n#!/bin/bash\necho hook >/usr/local/bin/rendezvous\n")); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return []byte("Content-Type: multipart/mixed; boundary=\"b\"\nMIME-Version: 1.0\n\n--b\n" +
		"Content-Type: application/gzip\nMIME-Version: 1.0\nContent-Transfer-Encoding: base64\n" +
		"Content-Disposition: attachment; filename=\"rendezvous\"\n\n" + base64.StdEncoding.EncodeToString(hook.Bytes()) +
		"\n--b\nContent-Type: text/cloud-config; charset=\"utf-8\"\nMIME-Version: 1.0\nContent-Transfer-Encoding: 7bit\n\n" + cloudConfig + "\n--b--\n")
}

func TestCloudInitSchema(t *testing.T) {
	CloudInitSchema(t, []byte(cloudConfig))
	parts := CloudInitSchema(t, mime(t))
	if len(parts) != 2 || parts[0].ContentType != "text/cloud-boothook" || parts[0].Filename != "rendezvous" || !bytes.HasPrefix(parts[0].Content, []byte("#cloud-boothook\n")) {
		t.Errorf("parts are %+v", parts)
	}
}

func TestCloudInitSchemaRefuses(t *testing.T) {
	for name, c := range map[string]struct{ doc, want string }{
		"a wrong type":             {"#cloud-config\nwrite_files: {path: /x}\n", "not of type 'array'"},
		"an unknown key":           {"#cloud-config\nwrite_files: [{path: /x, contents: y}]\n", "contents"},
		"a deprecated key":         {"#cloud-config\napt_update: true\n", "deprecat"},
		"no header":                {"write_files: []\n", "finds no cloud-config"},
		"a script, no config":      {"#!/bin/sh\ntrue\n", "finds no cloud-config"},
		"a part of a MIME file":    {strings.Replace(string(mime(t)), "permissions", "permission", 1), "permission"},
		"YAML that does not parse": {"#cloud-config\na: [\n", "Failed loading yaml blob"},
	} {
		t.Run(name, func(t *testing.T) {
			refused(t, c.want, func(tb testing.TB) { CloudInitSchema(tb, []byte(c.doc)) })
		})
	}
}

func TestNetConvert(t *testing.T) {
	for renderer, want := range map[string]struct{ file, line string }{
		"eni":             {"etc/network/interfaces.d/50-cloud-init", "address 192.168.31.128/24"},
		"sysconfig":       {"etc/sysconfig/network-scripts/ifcfg-ens33", "IPADDR=192.168.31.128"},
		"networkd":        {"etc/systemd/network/10-cloud-init-ens33.network", "Address=192.168.31.128/24"},
		"netplan":         {"etc/netplan/50-cloud-init.yaml", "192.168.31.128/24"},
		"network-manager": {"etc/NetworkManager/system-connections/cloud-init-ens33.nmconnection", "192.168.31.128/24"},
	} {
		t.Run(renderer, func(t *testing.T) {
			files := NetConvert(t, []byte(networkStatic), renderer)
			if !strings.Contains(files[want.file], want.line) {
				t.Errorf("%s has no %q; all files: %v", want.file, want.line, files)
			}
		})
	}
}

func TestNetConvertRefuses(t *testing.T) {
	for name, c := range map[string]struct{ doc, renderer, want string }{
		"no version":             {"ethernets: {}\n", "eni", "net-convert"},
		"a netplan typing error": {strings.Replace(networkStatic, "addresses: [192", "adresses: [192", 1), "netplan", "adresses"},
		"an unknown renderer":    {networkStatic, "ifupdown", "use eni"},
	} {
		t.Run(name, func(t *testing.T) {
			refused(t, c.want, func(tb testing.TB) { NetConvert(tb, []byte(c.doc), c.renderer) })
		})
	}
}

// seedFolder writes the files of a seed, given as name and content in turn.
func seedFolder(t *testing.T, files ...string) string {
	t.Helper()
	dir := t.TempDir()
	for i := 0; i < len(files); i += 2 {
		writeFile(t, filepath.Join(dir, files[i]), []byte(files[i+1]), 0o600)
	}
	return dir
}

func isoOf(t *testing.T, label, folder string) string {
	t.Helper()
	image := filepath.Join(t.TempDir(), "seed.iso")
	if res := command(nil, installed(t, "genisoimage"), "-quiet", "-V", label, "-J", "-r", "-o", image, folder); res.err != nil {
		res.fail(t, "genisoimage")
	}
	return image
}

func TestNoCloud(t *testing.T) {
	folder := seedFolder(t, "user-data", cloudConfig, "meta-data", metaData, "network-config", networkStatic)
	for name, seed := range map[string]string{"folder": folder, "image": isoOf(t, "cidata", folder)} {
		t.Run(name, func(t *testing.T) {
			got := NoCloud(t, seed)
			if string(got.UserData) != cloudConfig {
				t.Errorf("user-data is %q", got.UserData)
			}
			if got.MetaData["instance-id"] != "k8s-k8s-node1" || got.NetworkConfig["version"] != 2.0 {
				t.Errorf("meta-data is %v, network-config %v", got.MetaData, got.NetworkConfig)
			}
		})
	}
}

func TestNoCloudRefuses(t *testing.T) {
	for name, c := range map[string]struct{ seed, want string }{
		"no meta-data":          {seedFolder(t, "user-data", cloudConfig), "does not take this seed"},
		"no user-data":          {seedFolder(t, "meta-data", metaData), "does not take this seed"},
		"no instance-id":        {seedFolder(t, "user-data", cloudConfig, "meta-data", "local-hostname: a\n"), "no instance-id"},
		"a network key":         {seedFolder(t, "user-data", cloudConfig, "meta-data", metaData, "network-config", "network: {version: 2}\n"), "top-level key network"},
		"meta-data of no YAML":  {seedFolder(t, "user-data", cloudConfig, "meta-data", "a: [\n"), "NoCloud"},
		"an image of any label": {isoOf(t, "seed", seedFolder(t, "user-data", cloudConfig, "meta-data", metaData)), "labelled cidata"},
	} {
		t.Run(name, func(t *testing.T) {
			refused(t, c.want, func(tb testing.TB) { NoCloud(tb, c.seed) })
		})
	}
}

// owner is the numeric owner and group of a file, with its mode.
func owner(t *testing.T, path string) (uid, gid uint32, mode os.FileMode) {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	stat := info.Sys().(*syscall.Stat_t)
	return stat.Uid, stat.Gid, info.Mode().Perm()
}

func TestCloudInitApply(t *testing.T) {
	root := t.TempDir()
	CloudInitApply(t, mime(t), root)
	files := readTree(t, filepath.Join(root, "usr/local"))
	if files["lib/muster/prepare"] != "#!/bin/bash\ntrue\n" || files["bin/rendezvous"] != "hook\n" {
		t.Errorf("files below /usr/local: %v", files)
	}
	if uid, gid, mode := owner(t, filepath.Join(root, "etc/muster/credential")); uid != 0 || gid != 0 || mode != 0o600 {
		t.Errorf("credential: owner %d:%d, mode %o", uid, gid, mode)
	}
	if uid, _, mode := owner(t, filepath.Join(root, "home/admin/.kube/config")); uid != 1000 || mode != 0o600 {
		t.Errorf("kubeconfig: owner %d, mode %o", uid, mode)
	}
	if host, err := os.ReadFile("/etc/passwd"); err != nil || bytes.Contains(host, []byte("\nadmin:x:1000:")) {
		t.Errorf("the machine's own users changed: %v", err)
	}
	// A second boot finds its semaphores: what was deleted in between stays deleted.
	prepare := filepath.Join(root, "usr/local/lib/muster/prepare")
	mustDo(t, os.Remove(prepare))
	CloudInitApply(t, mime(t), root)
	if _, err := os.Lstat(prepare); !os.IsNotExist(err) {
		t.Errorf("the second boot ran write-files again: %v", err)
	}
}

func TestCloudInitApplyRefuses(t *testing.T) {
	for name, c := range map[string]struct{ doc, want string }{
		"an owner that is not there": {"#cloud-config\nwrite_files: [{path: /x, owner: nobody-of-ours, content: y}]\n", "nobody-of-ours"},
		"a failing bootcmd":          {"#cloud-config\nbootcmd: [[sh, -c, exit 3]]\n", "bootcmd"},
		"no cloud-config":            {"#cloud-confi\n", "nhandled non-multipart"},
	} {
		t.Run(name, func(t *testing.T) {
			refused(t, c.want, func(tb testing.TB) { CloudInitApply(tb, []byte(c.doc), t.TempDir()) })
		})
	}
}
