package spec

import (
	"strings"
	"testing"
)

// TestAdviceAboutTypes: what is written with another type is told what to write, in words that the next run takes.
func TestAdviceAboutTypes(t *testing.T) {
	base := readBase(t)
	for _, c := range []struct{ wrong, advice, right string }{
		{"cni: none", "write cni: {none: {}}", "cni: {none: {}}"},
		{"cni: flannel", "write cni: {flannel: {version: v0.28.4}}", "cni: {flannel: {version: v0.28.4}}"},
		{"cni: calico", "write for example cni: {flannel: {version: v0.28.4}}; here may stand flannel, manifests, none", "cni: {flannel: {version: v0.28.4}}"},
		{"cni: {none: }", "write none: {}", "cni: {none: {}}"},
		{"cni: {none: true}", "write none: {}", "cni: {none: {}}"},
		{"cni: {none: false}", "leave the key out", "cni: {}"},
		{"cni: {flannel: }", "write for example flannel: {version: v0.28.4}, or leave the key out", "cni: {flannel: {version: v0.28.4}}"},
		{"check: {nginx: true}", "write for example nginx: {image: nginx:1.28-alpine}; here may stand image", "check: {nginx: {image: nginx:1.28-alpine}}"},
		{"commands: [udevadm settle]", `write for example commands: {before: ["udevadm settle"]}; here may stand after, before`, `commands: {before: ["udevadm settle"]}`},
		{`system: {proxy: "http://p:3128"}`, `write for example proxy: {http: "http://proxy.example.com:3128"}; here may stand http, https, no`, `system: {proxy: {http: "http://proxy.example.com:3128"}}`},
		{"system: {ntp: [a.example.com]}", "write for example ntp: {servers: [ntp.aliyun.com]}; here may stand servers", "system: {ntp: {servers: [ntp.aliyun.com]}}"},
		{"controlPlane: {taints: }", "write for example taints: [{key: dedicated, value: db, effect: NoSchedule}], or taints: [] for none", "controlPlane: {taints: []}"},
	} {
		problems := check(strings.Replace(base, "# more", c.wrong, 1))
		if len(problems) != 1 || problems[0].Instead != c.advice {
			t.Errorf("%s: got %v, want one problem with the advice %q", c.wrong, problems, c.advice)
		}
		if problems := check(strings.Replace(base, "# more", c.right, 1)); len(problems) > 0 {
			t.Errorf("%s: was advised, and is refused: %v", c.right, problems)
		}
	}
}
