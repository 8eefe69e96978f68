package consumer

import (
	"strings"
	"testing"
)

func TestSystemdVerify(t *testing.T) {
	units := map[string][]byte{
		"muster.target":                    []byte("[Unit]\nDescription=first boot\nWants=muster-prepare.service\n[Install]\nWantedBy=multi-user.target\n"),
		"muster-prepare.service":           []byte("[Unit]\nDescription=prepare\nWants=network-online.target\nAfter=network-online.target\n[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStartPre=-/opt/muster/check a\nExecStart=/bin/bash /usr/local/lib/muster/prepare\n"),
		"kubelet.service.d/10-muster.conf": []byte("[Unit]\nAfter=containerd.service\nRequires=containerd.service\n"),
		"containerd.service.d/10-x.conf":   []byte("[Service]\nLimitNOFILE=1048576\n"),
	}
	SystemdVerify(t, units, "kubelet.service")
	for name, c := range map[string]struct{ unit, old, new, want string }{
		"an unknown key":              {"muster-prepare.service", "RemainAfterExit", "RemainsAfterExit", "Unknown key 'RemainsAfterExit'"},
		"an unknown section":          {"muster.target", "[Install]", "[Instal]", "Unknown section"},
		"a unit that nobody brings":   {"muster-prepare.service", "Wants=network-online.target", "Requires=docker.service", "docker.service"},
		"an ordering cycle":           {"muster-prepare.service", "After=network-online.target", "After=muster-b.service\nRequires=muster-b.service", "cycle"},
		"a drop-in's unknown key":     {"kubelet.service.d/10-muster.conf", "After=", "Afterwards=", "Afterwards"},
		"a wrong value":               {"muster-prepare.service", "Type=oneshot", "Type=oneshots", "oneshots"},
		"a program by relative path":  {"muster-prepare.service", "ExecStart=/bin/bash", "ExecStart=./bash", "absolute"},
		"a packaged unit's wrong key": {"containerd.service.d/10-x.conf", "LimitNOFILE", "LimitNFILE", "LimitNFILE"},
	} {
		t.Run(name, func(t *testing.T) {
			broken := map[string][]byte{"muster-b.service": []byte("[Unit]\nDescription=b\nAfter=muster-prepare.service\n[Service]\nExecStart=/bin/true\n")}
			for unit, content := range units {
				broken[unit] = content
			}
			broken[c.unit] = []byte(strings.Replace(string(units[c.unit]), c.old, c.new, 1))
			refused(t, c.want, func(tb testing.TB) { SystemdVerify(tb, broken, "kubelet.service") })
		})
	}
	t.Run("a drop-in of a unit that nobody brings", func(t *testing.T) {
		refused(t, "kubelet.service: is drop-ins only", func(tb testing.TB) { SystemdVerify(tb, units) })
	})
}

func TestShellcheck(t *testing.T) {
	Shellcheck(t, map[string][]byte{
		"ignition.sh": []byte(ignitionScript), "kubeadm.sh": []byte(kubeadmScript), "sandbox.sh": []byte(sandboxScript), "systemd.sh": []byte(systemdScript),
	})
	Shellcheck(t, map[string][]byte{"prepare": []byte("#!/bin/bash\nset -eu\necho \"$1\"\n")})
	refused(t, "SC2086", func(tb testing.TB) {
		Shellcheck(tb, map[string][]byte{"good": []byte("#!/bin/sh\ntrue\n"), "bad": []byte("#!/bin/sh\nrm -rf $1\n")})
	})
	refused(t, "SC1", func(tb testing.TB) { Shellcheck(tb, map[string][]byte{"broken": []byte("#!/bin/sh\nif true; then\n")}) })
	refused(t, "no script", func(tb testing.TB) { Shellcheck(tb, nil) })
}
