package templates

import (
	"strings"
	"testing"
)

func TestSwap(t *testing.T) {
	t.Parallel()
	const fstab = "# swap was here\n#UUID=old none swap sw 0 0\nUUID=1 / ext4 defaults 0 1\n  /dev/sda2\tnone   swap\tsw 0 0\n/dev/sdb1 /swap ext4 defaults 0 2"
	exercise{
		phase: "prepare", steps: []string{"swap"},
		setup: func(m *machine) {
			m.write("etc/fstab", fstab, 0o664)
			m.unit("dev-zram0.swap", "")
			m.unit("zramswap.service", "")
			m.write("etc/systemd/system/dev-vdb.swap", "[Swap]\n", 0o644)
			m.link("zramswap.service")
		},
		check: func(t *testing.T, m *machine) {
			want := strings.Replace(fstab, "  /dev/sda2", "#  /dev/sda2", 1)
			if got := strings.TrimSuffix(m.read("etc/fstab"), "\n"); got != want {
				t.Errorf("fstab is:\n%s\nnot:\n%s", got, want)
			}
			for _, unit := range []string{"dev-zram0.swap", "dev-vdb.swap", "zramswap.service"} {
				m.wantLink(t, "etc/systemd/system/"+unit, "/dev/null")
			}
			if swaps := m.readRun("proc-swaps"); swaps != "" {
				t.Errorf("swap is still on: %s", swaps)
			}
		},
	}.run(t)
}
