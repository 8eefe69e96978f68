package templates

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"runtime"
	"strings"
	"testing"
)

func TestModules(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, conntrack string }{{"kernel before 4.19", "nf_conntrack_ipv4"}, {"kernel from 4.19 on", "nf_conntrack"}} {
		exercise{
			phase: "prepare", steps: []string{"modules"},
			conf: "MODULES=(overlay br_netfilter) IPVS=true\n",
			setup: func(m *machine) {
				m.outside("modules", "overlay\nbr_netfilter\nip_vs\nip_vs_rr\nip_vs_wrr\nip_vs_sh\n"+c.conntrack+"\n")
			},
			check: func(t *testing.T, m *machine) {
				log := m.readOutside("log") + m.outsideIfThere("first-log")
				for _, module := range []string{"overlay", "br_netfilter", "ip_vs", "ip_vs_rr", "ip_vs_wrr", "ip_vs_sh", c.conntrack} {
					if !strings.Contains(log, "modprobe ! -- "+module+"\n") {
						t.Errorf("%s: %s was not loaded:\n%s", c.name, module, log)
					}
				}
			},
			fewCuts: true,
		}.run(t)
	}
}

// Without ipvs too: a setting of connection tracking needs the module, and in an old kernel one of TCP needs the old one.
func TestModulesOfConnectionTracking(t *testing.T) {
	t.Parallel()
	for _, has := range []string{"nf_conntrack", "nf_conntrack\nnf_conntrack_ipv4"} {
		m := newMachine(t, []string{"prepare/modules"}, "MODULES=(overlay nf-conntrack)\n")
		m.outside("modules", "overlay\n"+has+"\n")
		out, err := m.run(nil, "/bin/bash", "-c", "timeout 60 /bin/bash "+runner+" prepare && ls /sys/module")
		if want := has[strings.LastIndex(has, "\n")+1:]; err != nil || !strings.Contains("\n"+out, "\n"+want+"\n") {
			t.Errorf("%s was not loaded: %v\n%s", want, err, out)
		}
	}
}

// A name may be an alias of a module, or of one that is built into the kernel.
func TestModuleByItsAlias(t *testing.T) {
	t.Parallel()
	m := newMachine(t, []string{"prepare/modules"}, "MODULES=(ext2 nvme-tcp)\n")
	m.outside("modules", "ext4\nnvme_tcp\n")
	m.outside("aliases", "ext2 ext4\nnvme-tcp nvme_tcp\n")
	out, err := m.run(nil, "/bin/bash", "-c", "timeout 60 /bin/bash "+runner+" prepare && ls /sys/module")
	if err != nil || strings.Contains(out, "FAILED") || !strings.Contains(out, "\next4\n") || !strings.Contains(out, "\nnvme_tcp\n") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestSysctl(t *testing.T) {
	t.Parallel()
	// Only settings of the machine's own network namespace: real ones of the kernel.
	const settings = "# of the plan\nnet.ipv4.ip_forward = 1\nnet/ipv4/conf/lo/forwarding = 1\nnet.ipv4.ip_local_port_range = 20000   30000\n\n; old\nnet.ipv4.conf.all.rp_filter=2"
	const show = "cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv4/ip_local_port_range /proc/sys/net/ipv4/conf/lo/forwarding /proc/sys/net/ipv4/conf/all/rp_filter"
	e := exercise{
		phase: "prepare", steps: []string{"sysctl"},
		conf:    "SYSCTL_FILE=/etc/sysctl.d/kubernetes.conf\n",
		setup:   func(m *machine) { m.write("etc/sysctl.d/kubernetes.conf", settings, 0o644) },
		check:   func(*testing.T, *machine) {},
		fewCuts: true,
	}
	e.run(t)
	for _, phase := range []string{"prepare", "modules"} {
		m := e.machine(t)
		out, err := m.run(nil, "/bin/bash", "-c", "/bin/bash "+runner+" "+phase+" >/dev/null && "+show)
		if want := "1\n20000\t30000\n1\n2\n"; err != nil || out != want {
			t.Errorf("phase %s: settings are %q (%v), not %q", phase, out, err, want)
		}
	}
}

// A kernel may show a setting in other words than it was given, or not at all; what it refuses is named.
func TestSysctlIsShownOtherwise(t *testing.T) {
	t.Parallel()
	const conf = "SYSCTL_FILE=/etc/sysctl.d/kubernetes.conf\n"
	const show = "/bin/bash " + runner + " prepare && cat /proc/sys/net/ipv4/ip_local_reserved_ports"
	m := newMachine(t, []string{"prepare/sysctl"}, conf)
	m.write("etc/sysctl.d/kubernetes.conf", "net.ipv4.ip_local_reserved_ports = 30000-32767,6443\nnet.ipv4.route.flush = 1\n", 0o644)
	if out, err := m.run(nil, "/bin/bash", "-c", "timeout 60 "+show); err != nil || strings.Contains(out, "FAILED") || !strings.HasSuffix(out, "\n6443,30000-32767\n") {
		t.Errorf("%v\n%s", err, out)
	}

	m = newMachine(t, []string{"prepare/sysctl"}, conf)
	m.write("etc/sysctl.d/kubernetes.conf", "net.ipv4.ip_local_port_range = 30000 20000\nnet.ipv4.ip_forward = 1\n", 0o644)
	p := m.start(nil, "/bin/bash", runner, "prepare")
	p.waitFor(t, "| net.ipv4.ip_local_port_range cannot be set to '30000 20000'", "what to do: look at /etc/sysctl.d/kubernetes.conf", "FAILED at try 2")
	p.write(t, "etc/sysctl.d/kubernetes.conf", "net.ipv4.ip_local_port_range = 20000 30000\n", 0o644)
	if out, err := p.wait(); err != nil {
		t.Errorf("the step did not go on once the setting was right: %v\n%s", err, out)
	}
}

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
		everyStatus: true,
	}.run(t)
}

// systemd has a unit for each name of a swap, and forgets those without a file as soon as the swap is off: to stop one then is no failure.
func TestSwapWithTwoNames(t *testing.T) {
	t.Parallel()
	m := newMachine(t, []string{"prepare/swap"}, "")
	m.write("etc/systemd/system/dev-vdb.swap", "[Swap]\n", 0o644)
	m.outside("swap-names", "dev-vdz.swap dev-vdb\n")
	m.mustRun("prepare")
	if swaps := m.readRun("proc-swaps"); strings.Contains(swaps, "/dev/") {
		t.Errorf("swap is still on: %s", swaps)
	}
	if log := m.readOutside("log"); !strings.Contains(log, "stop dev-vdz.swap") {
		t.Errorf("the other name was not met:\n%s", log)
	}
}

// Units without contents come with the image or with a package: those that are not enabled yet are, and run.
func TestEnabledUnits(t *testing.T) {
	t.Parallel()
	exercise{
		phase: "prepare", steps: []string{"units"},
		conf: "UNITS_ENABLED=(fstrim.timer ssh.service)\n",
		setup: func(m *machine) {
			m.unit("fstrim.timer", "")
			m.unit("ssh.service", "")
			m.link("ssh.service")
		},
		check: func(t *testing.T, m *machine) {
			for _, unit := range []string{"fstrim.timer", "ssh.service"} {
				m.wantLink(t, "etc/systemd/system/multi-user.target.wants/"+unit, "/usr/lib/systemd/system/"+unit)
			}
			if log := m.outsideIfThere("first-log"); log != "" && !strings.Contains(log, "systemctl ! start fstrim.timer") {
				t.Errorf("the timer was not started:\n%s", log)
			}
		},
	}.run(t)
}

// A unit that nothing brings is told of, and tried again.
func TestUnitThatIsMissing(t *testing.T) {
	t.Parallel()
	m := newMachine(t, []string{"prepare/units"}, "UNITS_ENABLED=(exporter.service)\n")
	m.outside("log", "")
	out, _ := m.run([]string{"MUSTER_RETRY=1"}, "/bin/bash", "-c", "(sleep 2; echo [Service] >/usr/lib/systemd/system/exporter.service) & timeout 60 /bin/bash "+runner+" prepare")
	for _, says := range []string{"FAILED at try 1", "Unit exporter.service could not be found", "has to come with the image or with a package", "units: done ("} {
		if !strings.Contains(out, says) {
			t.Errorf("it does not say %q:\n%s", says, out)
		}
	}
}

func TestSELinux(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"disabled", "permissive"} {
		exercise{
			phase: "prepare", steps: []string{"selinux"}, conf: "SELINUX=" + mode + "\n",
			setup: func(m *machine) {
				m.write("etc/selinux/config", "# SELINUX= one of three\nSELINUX=enforcing\nSELINUXTYPE=targeted\n", 0o644)
			},
			check: func(t *testing.T, m *machine) {
				if got, want := m.read("etc/selinux/config"), "# SELINUX= one of three\nSELINUXTYPE=targeted\nSELINUX="+mode+"\n"; got != want {
					t.Errorf("configuration is:\n%s\nnot:\n%s", got, want)
				}
				if log := m.outsideIfThere("first-log"); log != "" && !strings.Contains(log, "setenforce ! 0") {
					t.Error("SELinux was not switched to permissive for this boot")
				}
			},
			fewCuts: true,
		}.run(t)
	}
}

func TestNothingToChange(t *testing.T) {
	t.Parallel()
	m := newMachine(t, []string{"prepare/selinux", "prepare/firewall", "prepare/swap"}, "FIREWALL_SERVICES=(firewalld.service ufw.service)\n")
	out := m.mustRun("prepare")
	if got := strings.Count(out, "nothing to do"); got != 3 {
		t.Errorf("a machine without SELinux, firewall and swap needs nothing, but:\n%s", out)
	}
}

func TestFirewall(t *testing.T) {
	t.Parallel()
	t.Run("disabled", func(t *testing.T) {
		exercise{
			phase: "prepare", steps: []string{"firewall"}, conf: "FIREWALL_SERVICES=(iptables.service firewalld.service)\n",
			setup: func(m *machine) {
				m.unit("firewalld.service", "")
				m.link("firewalld.service")
			},
			check: func(t *testing.T, m *machine) {
				if m.exists("etc/systemd/system/multi-user.target.wants/firewalld.service") || m.runExists("active/firewalld.service") {
					t.Error("firewalld still runs, or would after a reboot")
				}
			},
			fewCuts: true,
		}.run(t)
	})
	t.Run("ports", func(t *testing.T) {
		exercise{
			phase: "prepare", steps: []string{"firewall-ports"}, conf: "FIREWALL_PORTS=(6443/tcp 30000-32767/udp) FIREWALL_SOURCES=(10.244.0.0/16)\n",
			setup: func(m *machine) { m.unit("firewalld.service", "") },
			check: func(t *testing.T, m *machine) {
				const want = "public port=6443/tcp\npublic port=30000-32767/udp\ntrusted source=10.244.0.0/16\n"
				if got := m.read("etc/firewalld.rules"); got != want {
					t.Errorf("permanent rules are %q, not %q", got, want)
				}
				if got := m.readRun("firewalld"); got != want {
					t.Errorf("rules of this boot are %q, not %q", got, want)
				}
			},
		}.run(t)
	})
}

func TestTime(t *testing.T) {
	t.Parallel()
	for _, systemd219 := range []bool{true, false} {
		exercise{
			phase: "prepare", steps: []string{"time"},
			conf: "TIMEZONE=Asia/Shanghai TIME_SERVICE=chrony.service TIME_CONFIG=/etc/chrony.conf NOT_BEFORE=1700000000\n",
			setup: func(m *machine) {
				m.unit("chrony.service", "/etc/chrony.conf")
				m.link("chrony.service")
				m.write("etc/chrony.conf", "server ntp.aliyun.com iburst\n", 0o644)
				m.outside("synchronised", "chrony.service")
				if systemd219 {
					m.outside("systemd219", "")
				}
			},
			check: func(t *testing.T, m *machine) {
				m.wantLink(t, "etc/localtime", "/usr/share/zoneinfo/Asia/Shanghai")
				if got := m.readRun("active/chrony.service"); got != "server ntp.aliyun.com iburst\n" {
					t.Errorf("chrony runs with %q", got)
				}
			},
		}.run(t)
	}
}

// A time service that comes with the packages is started after them; an image that has another, or no D-Bus, is no reason to wait for ever.
func TestTimeServiceComesWithThePackages(t *testing.T) {
	t.Parallel()
	m := newMachine(t, []string{"prepare/time", "prepare/clock"}, "TIMEZONE=Asia/Shanghai TIME_SERVICE=systemd-timesyncd.service NOT_BEFORE=1700000000\n")
	m.outside("no-dbus", "")
	out := m.mustRun("prepare")
	if !strings.Contains(out, "time: nothing to do") || !strings.Contains(out, "clock: the clock is not synchronised after 2 s; going on") {
		t.Errorf("a machine without time service did not go on:\n%s", out)
	}
	m.wantLink(t, "etc/localtime", "/usr/share/zoneinfo/Asia/Shanghai")

	conf := "TIME_SERVICE=systemd-timesyncd.service TIME_CONFIG=/etc/timesyncd.conf NOT_BEFORE=1700000000\n"
	m = newMachine(t, []string{"prepare/time", "prepare/clock"}, conf)
	m.write("etc/timesyncd.conf", "[Time]\n", 0o644)
	p := m.start(nil, "/bin/bash", runner, "prepare")
	p.waitFor(t, "time: nothing to do", "clock: FAILED at try 1")
	p.write(t, "usr/lib/systemd/system/systemd-timesyncd.service", "# reads /etc/timesyncd.conf\n", 0o644)
	if out, err := p.wait(); err != nil || m.readRun("active/systemd-timesyncd.service") != "[Time]\n" {
		t.Errorf("the time service does not ask the spec's servers: %v\n%s", err, out)
	}
}

// A machine that reaches no time server goes on after a while, but not if its clock stands before the cluster was made.
func TestTimeIsNotSynchronised(t *testing.T) {
	t.Parallel()
	const conf = "TIME_SERVICE=chrony.service NOT_BEFORE="
	m := newMachine(t, []string{"prepare/time"}, conf+"1700000000\n")
	m.unit("chrony.service", "")
	if out := m.mustRun("prepare"); !strings.Contains(out, "not synchronised after 2 s; going on") {
		t.Errorf("nobody was told that the clock is not synchronised:\n%s", out)
	}

	m = newMachine(t, []string{"prepare/time"}, conf+"9999999999\n")
	m.unit("chrony.service", "")
	p := m.start(nil, "/bin/bash", runner, "prepare")
	p.waitFor(t, "before this cluster was made", "FAILED at try 2")
}

func TestRuntime(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, conf, unit, file, text string }{
		{"docker", "RUNTIME=docker RUNTIME_SERVICE=docker.service CRI_SOCKET=/var/run/dockershim.sock\n", "docker.service", "etc/docker/daemon.json", `{"registry-mirrors":[]}`},
		{"containerd", "", "containerd.service", "etc/containerd/config.toml", "version = 2\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			exercise{
				phase: "prepare", steps: []string{"runtime"}, conf: c.conf,
				setup: func(m *machine) {
					m.unit(c.unit, "/"+c.file)
					m.write(c.file, c.text, 0o644)
				},
				check: func(t *testing.T, m *machine) {
					if got := m.readRun("active/" + c.unit); got != c.text {
						t.Errorf("%s runs with %q, not %q", c.unit, got, c.text)
					}
				},
				fewCuts: true,
			}.run(t)
		})
	}
}

// An image may bring a runtime that runs already when the document's configuration is written.
func TestRuntimeRunsWithAnOldConfiguration(t *testing.T) {
	t.Parallel()
	m := newMachine(t, []string{"prepare/runtime"}, "")
	m.unit("containerd.service", "/etc/containerd/config.toml")
	m.link("containerd.service")
	m.write("etc/containerd/config.toml", "new\n", 0o644)
	const script = "echo old >/run/active/containerd.service; /bin/bash " + runner + " prepare && cat /run/active/containerd.service"
	if out, err := m.run(nil, "/bin/bash", "-c", script); err != nil || !strings.HasSuffix(out, "\nnew\n") {
		t.Errorf("containerd was not started again with its configuration (%v):\n%s", err, out)
	}
}

// "started" is not ready: containerd runs, but its CRI plugin is disabled.
func TestRuntimeDoesNotAnswer(t *testing.T) {
	t.Parallel()
	m := newMachine(t, []string{"prepare/runtime"}, "")
	m.unit("containerd.service", "/etc/containerd/config.toml")
	m.write("etc/containerd/config.toml", "disabled_plugins = [\"cri\"]\n", 0o644)
	p := m.start(nil, "/bin/bash", runner, "prepare")
	p.waitFor(t, "| containerd runs, but does not answer on unix:///run/containerd/containerd.sock", "what to do: see journalctl -u containerd.service", "FAILED at try 2")
	p.write(t, "etc/containerd/config.toml", "version = 2\n", 0o644)
	if out, err := p.wait(); err != nil || !strings.Contains(out, "runtime: done") {
		t.Errorf("the step did not go on once the configuration was right: %v\n%s", err, out)
	}
}

func digest(data string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(data))) }

func TestBinaries(t *testing.T) {
	t.Parallel()
	const program = "#!/bin/sh\necho kubeadm\n"
	plugins := archive(t, map[string]string{"./bridge": "a plugin", "./host-local": "another"})
	list := func(name string, values ...string) string { return name + "=(" + strings.Join(values, " ") + ")\n" }
	conf := list("BINARY_PATHS", "/opt/bin/kubeadm", "/opt/cni/bin") + list("BINARY_EXTRACT", "false", "true")
	conf += list("BINARY_URLS", "http://127.0.0.1/kubeadm", "http://127.0.0.1/plugins.tgz") + list("BINARY_SHA256", digest(program), digest(plugins))
	conf += "ARCHITECTURE=" + runtime.GOARCH + "\n"
	exercise{
		phase: "prepare", steps: []string{"binaries"}, conf: "BIN_DIR=/opt/bin\n" + conf,
		setup: func(m *machine) {
			m.outside("www/kubeadm", program)
			m.outside("www/plugins.tgz", plugins)
		},
		check: func(t *testing.T, m *machine) {
			if m.read("opt/bin/kubeadm") != program || m.read("opt/cni/bin/bridge") != "a plugin" || m.read("opt/cni/bin/host-local") != "another" {
				t.Error("the programs are not what was served")
			}
			if got := m.mode("opt/bin/kubeadm"); got != 0o755 {
				t.Errorf("kubeadm has mode %o", got)
			}
			if got := m.mode("opt/cni/bin"); got != 0o755 {
				t.Errorf("the archive's mode for its own folder got through: %o", got)
			}
		},
	}.run(t)
}

// A document for another architecture says so, and fetches nothing.
func TestBinariesOfAnotherArchitecture(t *testing.T) {
	t.Parallel()
	m := newMachine(t, []string{"prepare/binaries"}, "BINARY_PATHS=(/opt/bin/kubeadm) BINARY_EXTRACT=(false) BINARY_URLS=(http://127.0.0.1/x) BINARY_SHA256=(00) ARCHITECTURE=riscv64\n")
	p := m.start(nil, "/bin/bash", runner, "prepare")
	p.waitFor(t, "binaries: FAILED at try 1", "this machine is "+runtime.GOARCH+", and its document is for riscv64: write architecture: "+runtime.GOARCH+" in the spec")
	if strings.Contains(p.out.String(), "curl") {
		t.Error("something was fetched")
	}
}

// archive is a .tar.gz whose folder has a mode that must not get through.
func archive(t *testing.T, files map[string]string) string {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	w := tar.NewWriter(z)
	must(t, w.WriteHeader(&tar.Header{Name: "./", Typeflag: tar.TypeDir, Mode: 0o700, Uid: 1000}))
	for _, name := range sorted(files) {
		must(t, w.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(files[name])), Uid: 1000}))
		_, err := w.Write([]byte(files[name]))
		must(t, err)
	}
	must(t, w.Close())
	must(t, z.Close())
	return out.String()
}

func TestRendezvousFromAnAddress(t *testing.T) {
	t.Parallel()
	const program = "#!/bin/sh\nexit 0\n"
	exercise{
		phase: "prepare", steps: []string{"rendezvous"},
		conf:  "RENDEZVOUS_URL=http://127.0.0.1/rendezvous RENDEZVOUS_SHA256=" + digest(program) + "\n",
		setup: func(m *machine) { m.outside("www/rendezvous", program) },
		check: func(t *testing.T, m *machine) {
			if m.read("usr/local/bin/rendezvous") != program || m.mode("usr/local/bin/rendezvous") != 0o755 {
				t.Error("the program is not what was served, or does not run")
			}
		},
	}.run(t)
}

func TestRendezvousFromTheMedium(t *testing.T) {
	t.Parallel()
	const program = "#!/bin/sh\nexit 0\n"
	const name = "muster/rendezvous-amd64.gz"
	conf := "RENDEZVOUS_MEDIUM=" + name + " RENDEZVOUS_SHA256=" + digest(program) + "\n"
	exercise{
		phase: "prepare", steps: []string{"rendezvous"}, conf: conf,
		setup: func(m *machine) { m.outside("medium/"+name, gzipped(t, program)) },
		check: func(t *testing.T, m *machine) {
			if m.read("usr/local/bin/rendezvous") != program || m.mode("usr/local/bin/rendezvous") != 0o755 {
				t.Error("the program is not the medium's, or does not run")
			}
		},
	}.run(t)
}

// A medium of another run of gen is refused by name; the right one may be put in while the machine waits.
func TestRendezvousOfAnotherMedium(t *testing.T) {
	t.Parallel()
	const name = "muster/rendezvous-amd64.gz"
	m := newMachine(t, []string{"prepare/rendezvous"}, "RENDEZVOUS_MEDIUM="+name+" RENDEZVOUS_SHA256="+digest("meant")+"\n")
	m.outside("medium/"+name, gzipped(t, "another"))
	p := m.start(nil, "/bin/bash", runner, "prepare")
	p.waitFor(t, "rendezvous: FAILED at try 1", "is not the program that this document was made with: use both from one run of gen")
	if m.exists("usr/local/bin/rendezvous") {
		t.Error("another program was put in place")
	}
	m.outside("medium/"+name, gzipped(t, "meant"))
	if out, err := p.wait(); err != nil || m.read("usr/local/bin/rendezvous") != "meant" {
		t.Errorf("%v\n%s", err, out)
	}
}

func gzipped(t *testing.T, text string) string {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, err := w.Write([]byte(text))
	must(t, err)
	must(t, w.Close())
	return out.String()
}

func TestDownloads(t *testing.T) {
	t.Parallel()
	exercise{
		phase: "prepare", steps: []string{"downloads"},
		conf: "DOWNLOAD_PATHS=(/etc/pki/site.pem '/srv/a file') DOWNLOAD_URLS=(http://127.0.0.1/site.pem http://127.0.0.1/file) DOWNLOAD_SHA256=(" + digest("pem") + " " + digest("file") +
			") DOWNLOAD_MODES=(0644 0044) DOWNLOAD_OWNERS=(root:root daemon:root)\n",
		setup: func(m *machine) {
			m.outside("www/site.pem", "pem")
			m.outside("www/file", "file")
		},
		check: func(t *testing.T, m *machine) {
			if m.read("etc/pki/site.pem") != "pem" || m.mode("etc/pki/site.pem") != 0o644 || m.read("srv/a file") != "file" || m.mode("srv/a file") != 0o044 || m.owner("srv/a file") != 1 {
				t.Error("the files are not there as they were asked for")
			}
		},
	}.run(t)
}

// A cut download goes on where it stopped; what lies there may also be of another file, or whole already.
func TestDownloadGoesOn(t *testing.T) {
	t.Parallel()
	body := strings.Repeat("0123456789", 50000)
	for name, part := range map[string]string{"half": body[:250000], "whole": body, "wrong": strings.Repeat("x", 100), "longer": body + "more"} {
		m := newMachine(t, []string{"prepare/downloads"}, "DOWNLOAD_PATHS=(/srv/file) DOWNLOAD_URLS=(http://127.0.0.1/file) DOWNLOAD_SHA256=("+digest(body)+") DOWNLOAD_MODES=(0644) DOWNLOAD_OWNERS=(root:root)\n")
		m.outside("www/file", body)
		m.write("srv/file."+digest(body)+".part", part, 0o644)
		out, err := m.run(nil, "/bin/bash", runner, "prepare")
		if err != nil || m.read("srv/file") != body {
			t.Errorf("%s: the file is not whole: %v\n%s", name, err, out)
		}
		if m.exists("srv/file." + digest(body) + ".part") {
			t.Errorf("%s: a part was left over", name)
		}
		if name != "wrong" && strings.Contains(out, "FAILED") {
			t.Errorf("%s: more than one try was needed:\n%s", name, out)
		}
	}
}

// What has another digest is never put in place, whatever else is right.
func TestDownloadIsNotWhatWasPinned(t *testing.T) {
	t.Parallel()
	m := newMachine(t, []string{"prepare/downloads"}, "DOWNLOAD_PATHS=(/srv/file) DOWNLOAD_URLS=(http://127.0.0.1/file) DOWNLOAD_SHA256=("+digest("good")+") DOWNLOAD_MODES=(0644) DOWNLOAD_OWNERS=(root:root)\n")
	m.outside("www/file", "evil")
	p := m.start(nil, "/bin/bash", runner, "prepare")
	p.waitFor(t, "| what was fetched for /srv/file has another SHA-256 than "+digest("good"), "what to do: the machine must reach the sources", "FAILED at try 2")
	if m.exists("srv/file") {
		t.Error("a file that nobody pinned was put in place")
	}
	m.outside("www/file", "good")
	if out, err := p.wait(); err != nil || m.read("srv/file") != "good" {
		t.Errorf("the step did not go on once the right file was served: %v\n%s", err, out)
	}
}

// A source that does not have the file is named as such, and not as one with another digest.
func TestDownloadIsMissing(t *testing.T) {
	t.Parallel()
	m := newMachine(t, []string{"prepare/downloads"}, "DOWNLOAD_PATHS=(/srv/file) DOWNLOAD_URLS=(http://127.0.0.1/file) DOWNLOAD_SHA256=("+digest("good")+") DOWNLOAD_MODES=(0644) DOWNLOAD_OWNERS=(root:root)\n")
	m.outside("www/.keep", "")
	p := m.start(nil, "/bin/bash", runner, "prepare")
	p.waitFor(t, "FAILED at try 1 (exit 22)", "| curl: (22) The requested URL returned error: 404")
	if out := p.out.String(); strings.Contains(out, "another SHA-256") {
		t.Errorf("a missing file is said to have another digest:\n%s", out)
	}
}

func TestImages(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, conf, unit, folder string }{
		{"docker", "RUNTIME=docker RUNTIME_SERVICE=docker.service CRI_SOCKET=/var/run/dockershim.sock\n", "docker.service", "var/lib/docker/"},
		{"containerd", "", "containerd.service", "var/lib/containerd/"},
	} {
		t.Run(c.name, func(t *testing.T) {
			exercise{
				phase: "prepare", steps: []string{"images"},
				conf: c.conf + "IMAGE_PATHS=(/media/flannel.tar '') IMAGE_URLS=('' http://127.0.0.1/pause.tar) IMAGE_SHA256=(" + digest("flannel") + " " + digest("pause") + ")\n",
				setup: func(m *machine) {
					m.unit(c.unit, "")
					m.link(c.unit)
					m.write("media/flannel.tar", "flannel", 0o644)
					m.outside("www/pause.tar", "pause")
				},
				check: func(t *testing.T, m *machine) {
					if m.read(c.folder+"flannel") != "flannel" || m.read(c.folder+digest("pause")) != "pause" {
						t.Error("an image is missing")
					}
				},
			}.run(t)
		})
	}
}

func TestKubelet(t *testing.T) {
	t.Parallel()
	exercise{
		phase: "prepare", steps: []string{"kubelet"},
		setup: func(m *machine) { m.unit("kubelet.service", "") },
		check: func(t *testing.T, m *machine) {
			m.wantLink(t, "etc/systemd/system/multi-user.target.wants/kubelet.service", "/usr/lib/systemd/system/kubelet.service")
		},
		fewCuts: true,
	}.run(t)
}

func TestPreinstalled(t *testing.T) {
	t.Parallel()
	m := newMachine(t, []string{"prepare/preinstalled"}, "ROLE=control-plane KUBERNETES_VERSION=v1.34.4\n")
	m.unit("containerd.service", "")
	m.write("usr/local/bin/kubelet", "#!/bin/sh\necho Kubernetes v1.33.1\n", 0o755)
	p := m.start(nil, "/bin/bash", runner, "prepare")
	p.waitFor(t, "| kubelet.service is missing", "what to do: the spec says packages.preinstalled")
	p.write(t, "usr/lib/systemd/system/kubelet.service", "", 0o644)
	p.waitFor(t, "| kubelet is Kubernetes v1.33.1, not v1.34.4")
	p.write(t, "usr/local/bin/kubelet", "#!/bin/sh\necho Kubernetes v1.34.4\n", 0o755)
	if out, err := p.wait(); err != nil {
		t.Errorf("the image holds all, but: %v\n%s", err, out)
	}
}

// Commands run once, in order; one that was cut runs again, since nobody can know how far it came.
func TestCommands(t *testing.T) {
	t.Parallel()
	for phase, c := range map[string][2]string{"prepare": {"commands-before", "COMMANDS_BEFORE"}, "bootstrap": {"commands-after", "COMMANDS_AFTER"}} {
		t.Run(phase, func(t *testing.T) {
			exercise{
				phase: phase, steps: []string{c[0]},
				conf: c[1] + `=('echo "a $x" >/srv/one' $'cat /srv/one >/srv/two\ncd /srv && touch three' 'printenv KUBECONFIG >/srv/four || :')` + "\n",
				setup: func(m *machine) {
					m.write("srv/.keep", "", 0o644)
					m.write("etc/kubernetes/admin.conf", "admin", 0o600)
				},
				check: func(t *testing.T, m *machine) {
					if m.read("srv/two") != "a \n" || !m.exists("srv/three") {
						t.Error("the commands did not run in order")
					}
					if want := map[string]string{"prepare": "", "bootstrap": "/etc/kubernetes/admin.conf\n"}[phase]; m.read("srv/four") != want {
						t.Errorf("KUBECONFIG was %q, not %q", m.read("srv/four"), want)
					}
				},
			}.run(t)
		})
	}
}

// A command may hold a password: every user may read a program's arguments. What the command starts has no use for its text.
func TestCommandIsNotShown(t *testing.T) {
	t.Parallel()
	m := newMachine(t, []string{"prepare/commands-before"}, `COMMANDS_BEFORE=('cat /proc/[0-9]*/cmdline >/srv/arguments; env >/srv/environment; wc -c >/srv/input; echo done >/srv/hunter2')`+"\n")
	m.write("srv/.keep", "", 0o644)
	m.mustRun("prepare")
	if !m.exists("srv/hunter2") || m.read("srv/input") != "0\n" {
		t.Error("the command did not run as it should")
	}
	if arguments := m.read("srv/arguments"); !strings.Contains(arguments, "prepare") || strings.Contains(arguments, "hunter2") || strings.Contains(m.read("srv/environment"), "hunter2") {
		t.Errorf("the command is shown to others: %q\n%s", arguments, m.read("srv/environment"))
	}
}

// A container has its host's kernel and clock: there is nothing to load, and settings that the kernel lacks are the host's.
func TestContainer(t *testing.T) {
	t.Parallel()
	m := newMachine(t, []string{"prepare/modules", "prepare/sysctl", "prepare/clock"}, "MODULES=(br_netfilter) IPVS=true SYSCTL_FILE=/etc/sysctl.d/kubernetes.conf NOT_BEFORE=1700000000\n")
	m.outside("container", "")
	m.write("etc/sysctl.d/kubernetes.conf", "net.bridge.bridge-nf-call-iptables = 1\nnet.ipv4.ip_forward = 1\n", 0o644)
	out, err := m.run(nil, "/bin/bash", "-c", "/bin/bash "+runner+" prepare && /bin/bash "+runner+" modules && cat /proc/sys/net/ipv4/ip_forward")
	if err != nil || strings.Contains(out, "FAILED") || !strings.Contains(out, "the modules are its host's") || !strings.Contains(out, "the clock is its host's") || !strings.HasSuffix(out, "\n1\n") {
		t.Errorf("%v\n%s", err, out)
	}
}

// A module or setting that the kernel lacks is named, with what to do.
func TestKernelLacksSomething(t *testing.T) {
	t.Parallel()
	m := newMachine(t, []string{"prepare/modules"}, "MODULES=(br_netfilter)\n")
	m.outside("modules", "overlay\n")
	m.start(nil, "/bin/bash", runner, "prepare").waitFor(t, "| modprobe: FATAL: Module br_netfilter not found", "what to do: the kernel of this image lacks a module", "FAILED at try 2")

	m = newMachine(t, []string{"prepare/sysctl"}, "SYSCTL_FILE=/etc/sysctl.d/kubernetes.conf\n")
	m.write("etc/sysctl.d/kubernetes.conf", "net.ipv4.no_such = 1\n", 0o644)
	m.start(nil, "/bin/bash", runner, "prepare").waitFor(t, "net.ipv4.no_such", "what to do: look at /etc/sysctl.d/kubernetes.conf", "FAILED at try 2")
}

// The order of the whole phase, and its output, on a machine as the tutorial has it.
func TestPrepareAsAWhole(t *testing.T) {
	t.Parallel()
	steps := []string{"modules", "sysctl", "swap", "selinux", "firewall", "time", "packages-yum", "runtime", "images", "kubelet", "commands-before"}
	var names []string
	for _, s := range steps {
		names = append(names, "prepare/"+s)
	}
	m := newMachine(t, names, `MODULES=(br_netfilter) IPVS=true SYSCTL_FILE=/etc/sysctl.d/kubernetes.conf FIREWALL_SERVICES=(firewalld.service)
RUNTIME=docker RUNTIME_SERVICE=docker.service CRI_SOCKET=/var/run/dockershim.sock PACKAGES_BASE=(ipset ipvsadm) PACKAGES_RUNTIME=(docker-ce)
PACKAGES_KUBERNETES=(kubeadm-1.17.4-0 kubelet-1.17.4-0) COMMANDS_BEFORE=('kill -0 $$') IMAGE_PATHS=(/media/flannel.tar) IMAGE_URLS=('') IMAGE_SHA256=(`+digest("flannel")+")\n")
	m.outside("modules", "br_netfilter\nip_vs\nip_vs_rr\nip_vs_wrr\nip_vs_sh\nnf_conntrack_ipv4\n")
	m.outside("repository", "ipset-7.1-1\nipvsadm-1.27-8\ndocker-ce-20.10-1\nkubeadm-1.17.4-0\nkubelet-1.17.4-0\n")
	m.outside("synchronised", "chrony.service")
	m.write("etc/sysctl.d/kubernetes.conf", "net.ipv4.ip_forward = 1\n", 0o644)
	m.write("etc/fstab", "/dev/sda2 none swap sw 0 0\n", 0o644)
	m.write("etc/selinux/config", "SELINUX=enforcing\n", 0o644)
	m.write("etc/docker/daemon.json", "{}", 0o644)
	m.write("media/flannel.tar", "flannel", 0o644)
	for _, unit := range []string{"firewalld.service", "chrony.service", "docker.service", "kubelet.service"} {
		m.unit(unit, "")
	}
	m.link("firewalld.service")
	out := m.mustRun("prepare")
	at := 0
	for i, s := range steps {
		line := fmt.Sprintf("muster: prepare %d/%d %s: done (", i+1, len(steps), s)
		found := strings.Index(out[at:], line)
		if found < 0 {
			t.Fatalf("%q is missing, or not in its place:\n%s", line, out)
		}
		at += found
	}
	if got, want := m.read("etc/issue.d/muster.issue"), "muster: node1: prepare: finished\n"; got != want {
		t.Errorf("the login screen says %q, not %q", got, want)
	}
}
