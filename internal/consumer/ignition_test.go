package consumer

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const ignitionConfig = `{
  "ignition": {"version": "3.4.0"},
  "passwd": {"users": [{"name": "admin", "groups": ["sudo"], "sshAuthorizedKeys": ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHPZcFdbNKq3OwT4gE3vQXdEvVZj7r0z0Gm3OK9Yp6kq a"]}]},
  "storage": {"files": [
    {"path": "/etc/muster/credential", "mode": 384, "overwrite": true, "contents": {"source": "data:,secret%0A"}},
    {"path": "/home/admin/.kube/config", "mode": 384, "overwrite": true, "user": {"name": "admin"}, "group": {"name": "admin"}, "contents": {"source": "data:,x"}}
  ]},
  "systemd": {"units": [{"name": "muster.target", "enabled": true, "contents": "[Unit]\nDescription=muster\n[Install]\nWantedBy=multi-user.target\n"}]}
}`

func TestIgnitionValidate(t *testing.T) {
	IgnitionValidate(t, []byte(ignitionConfig))
}

func TestIgnitionValidateRefuses(t *testing.T) {
	for name, c := range map[string]struct{ old, new, want string }{
		"a version of the future": {"3.4.0", "3.99.0", "version"},
		"an unknown key":          {`"overwrite": true, "contents"`, `"overwrites": true, "contents"`, "overwrites"},
		"a relative path":         {"/etc/muster/credential", "credential", "path not absolute"},
		"a unit with no name":     {"muster.target", "muster", "systemd"},
		"no JSON":                 {"}", "", "error"},
	} {
		t.Run(name, func(t *testing.T) {
			doc := strings.Replace(ignitionConfig, c.old, c.new, 1)
			refused(t, c.want, func(tb testing.TB) { IgnitionValidate(tb, []byte(doc)) })
		})
	}
}

func TestIgnitionApply(t *testing.T) {
	root := t.TempDir()
	IgnitionApply(t, []byte(ignitionConfig), root)
	credential, err := os.ReadFile(filepath.Join(root, "etc/muster/credential"))
	if err != nil || string(credential) != "secret\n" {
		t.Errorf("credential is %q, %v", credential, err)
	}
	if uid, gid, mode := owner(t, filepath.Join(root, "home/admin/.kube/config")); uid != 1000 || gid != 1000 || mode != 0o600 {
		t.Errorf("kubeconfig: owner %d:%d, mode %o", uid, gid, mode)
	}
	preset, err := os.ReadFile(filepath.Join(root, "etc/systemd/system-preset/20-ignition.preset"))
	if err != nil || string(preset) != "enable muster.target\n" {
		t.Errorf("preset is %q, %v", preset, err)
	}
	if _, err := os.Stat(filepath.Join(root, "usr/bin")); !os.IsNotExist(err) {
		t.Errorf("root holds files of Debian itself: %v", err)
	}
	IgnitionApply(t, []byte(ignitionConfig), root)
}

func TestIgnitionApplyRefuses(t *testing.T) {
	for name, c := range map[string]struct{ old, new, want string }{
		"an owner that is not there": {`{"name": "admin"}, "group"`, `{"name": "nobody-of-ours"}, "group"`, "nobody-of-ours"},
		"something to be fetched":    {"data:,secret%0A", "http://192.0.2.1/x", "over the network"},
	} {
		t.Run(name, func(t *testing.T) {
			doc := strings.Replace(ignitionConfig, c.old, c.new, 1)
			refused(t, c.want, func(tb testing.TB) { IgnitionApply(tb, []byte(doc), t.TempDir()) })
		})
	}
	t.Run("a second try with no overwrite", func(t *testing.T) {
		doc := []byte(strings.Replace(ignitionConfig, `"overwrite": true, "contents": {"source": "data:,secret`, `"contents": {"source": "data:,secret`, 1))
		root := t.TempDir()
		IgnitionApply(t, doc, root)
		changed := []byte(strings.Replace(string(doc), "secret", "other", 1))
		refused(t, "credential", func(tb testing.TB) { IgnitionApply(tb, changed, root) })
	})
}

func TestButaneStrict(t *testing.T) {
	const config = "variant: flatcar\nversion: 1.1.0\nstorage:\n  files:\n  - {path: /opt/x, mode: 0644, contents: {inline: x}}\n"
	IgnitionValidate(t, ButaneStrict(t, []byte(config)))
	unknown := strings.Replace(config, "mode:", "modus:", 1)
	refused(t, "modus", func(tb testing.TB) { ButaneStrict(tb, []byte(unknown)) })
}
