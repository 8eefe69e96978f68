//go:build e2e

package e2e

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

const (
	// slow bounds the way of an emulated machine; a quarter of an hour is usual with two cores to itself.
	slow = 45 * time.Minute

	address     = "10.77.0.140" // of examples/e2e/machine.yaml
	placeholder = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA reader"
)

// A whole machine: Debian's own kernel and its modules, control groups of version 2, kube-proxy in ipvs mode, the documents on seed.iso, and a real
// reboot. Of all cases only this one has nothing of the host's.
func TestK_WholeMachine(t *testing.T) {
	c := newCluster(t, "machine.yaml")
	v := newVM(c, "machine")
	serveTime(t)
	v.boot()
	v.ready()
	v.isWhole(look{"cat /run/cloud-init/result.json", `DataSourceNoCloud \[seed=/dev/vdb\]`}, look{"cat /run/cloud-init/result.json", `"errors": \[\]`})
	v.servesByIPVS()
	c.nginx(1)
	v.reboot()
	v.ready()
	v.isWhole(look{"ls /run/cloud-init/disabled", `^/run/cloud-init/disabled\n$`}) // although the medium is still there
	v.servesByIPVS()
	c.nginxAnswers(1)
	c.table()
	c.oneInit()
	c.noWarnings()
	v.stop()
}

// vm is a machine under QEMU. Its disk cannot be read while it is on: what the harness wants to know it reads over ssh, as a user of the spec, and lays
// copies where files of a machine are looked for.
type vm struct {
	*machine
	c *cluster
}

// newVM makes a machine of c, and has the spec let the harness look at it.
func newVM(c *cluster, name string) *vm {
	c.t.Helper()
	v := &vm{c.machine(name), c}
	must(c.t, os.MkdirAll(v.path(""), 0o755))
	run(c.t, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "reader", "-f", v.file("key"))
	public, err := os.ReadFile(v.file("key.pub"))
	must(c.t, err)
	c.edit(placeholder, strings.TrimSpace(string(public)))
	run(c.t, "qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", absolute(build+"/disk/disk.raw"), v.file("disk.qcow2"))
	run(c.t, "ip", "tuntap", "add", "mode", "tap", "name", "tap0")
	run(c.t, "ip", "link", "set", "tap0", "master", bridge, "up")
	c.t.Cleanup(v.keepJournal)
	return v
}

func (v *vm) file(name string) string { return filepath.Join(v.disk, name) }

// boot switches the machine on, with the disk as it is.
func (v *vm) boot() {
	v.c.t.Helper()
	if v.booted.IsZero() {
		v.booted = time.Now()
	}
	v.host = exec.Command("qemu-system-x86_64", v.qemu()...)
	output, err := v.host.StdoutPipe()
	must(v.c.t, err)
	v.host.Stderr = v.host.Stdout
	must(v.c.t, v.host.Start())
	v.ended = make(chan struct{})
	go v.follow(v.host, output, v.ended)
}

// qemu are the machine's parts. The processor is emulated everywhere, so that the case is the same everywhere; it has four levels of page tables and
// its kernel no mitigations, because the emulation pays for both.
func (v *vm) qemu() []string {
	return []string{"-name", v.name, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-machine", "q35", "-accel", "tcg,thread=multi,tb-size=1024", "-cpu", "max,la57=off", "-smp", "2", "-m", "4096",
		"-kernel", build + "/disk/vmlinuz", "-initrd", build + "/disk/initrd.img",
		"-append", "root=LABEL=root rw console=ttyS0 mitigations=off tsc=reliable",
		"-serial", "stdio", "-monitor", "unix:" + v.file("monitor") + ",server=on,wait=off",
		"-netdev", "tap,id=net,ifname=tap0,script=no,downscript=no", "-device", "virtio-net-pci,netdev=net,addr=3,mac=52:54:00:77:00:8c,romfile=",
		"-drive", "id=disk,if=none,format=qcow2,cache=unsafe,file=" + v.file("disk.qcow2"), "-device", "virtio-blk-pci,drive=disk,addr=4",
		"-drive", "id=seed,if=none,format=raw,readonly=on,file=" + filepath.Join(v.seed, "seed.iso"), "-device", "virtio-blk-pci,drive=seed,addr=5",
		"-device", "virtio-rng-pci,addr=6"}
}

// stop presses the power button and waits until the machine is off.
func (v *vm) stop() {
	v.c.t.Helper()
	monitor, err := net.Dial("unix", v.file("monitor"))
	must(v.c.t, err)
	defer monitor.Close()
	_, err = monitor.Write([]byte("system_powerdown\n"))
	must(v.c.t, err)
	select {
	case <-v.ended:
		v.host = nil
	case <-time.After(15 * time.Minute):
		v.c.t.Fatalf("%s does not shut down; see %s", v.name, v.kept)
	}
}

// reboot switches the machine off and on, and waits until the cluster has seen it.
func (v *vm) reboot() {
	v.c.t.Helper()
	before, err := v.c.nodes("{.status.nodeInfo.bootID}")
	must(v.c.t, err)
	v.stop()
	v.boot()
	v.c.wait(slow, "the node reports a new boot", func() string {
		now, err := v.c.nodes("{.status.nodeInfo.bootID}")
		switch {
		case err != nil:
			return err.Error()
		case now[v.name] == before[v.name]:
			return "it has reported none"
		}
		return ""
	})
}

// ready waits until the machine says that it is done, and Kubernetes says that its node is Ready. The console tells first: all else costs the machine time.
func (v *vm) ready() {
	v.c.t.Helper()
	v.c.wait(slow, "the machine is done", func() string {
		if !v.running() {
			v.c.t.Fatalf("%s went off by itself; see %s", v.name, v.kept)
		}
		steps := v.stepsDone()
		if len(steps) == 0 {
			return "no step is done"
		}
		if name := steps[len(steps)-1].name; name != "verify done" {
			return "the last step that was done is " + name
		}
		return ""
	})
	for _, name := range []string{"etc/hosts", "etc/kubernetes/admin.conf", "var/lib/muster/done", "var/lib/muster/init.done"} {
		must(v.c.t, os.MkdirAll(filepath.Dir(v.path(name)), 0o755))
		must(v.c.t, os.WriteFile(v.path(name), []byte(v.tell("sudo cat /"+name)), 0o600))
	}
	v.c.ready(v.name)
}

// tell runs a command that only looks, on the machine, and returns what it prints.
func (v *vm) tell(command string) string {
	v.c.t.Helper()
	ssh := exec.Command("ssh", "-F", "none", "-i", v.file("key"), "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
		"-o", "LogLevel=ERROR", "-o", "ConnectTimeout=60", "reader@"+address, command)
	var stderr strings.Builder
	ssh.Stderr = &stderr
	out, err := ssh.Output()
	if err != nil {
		v.c.t.Fatalf("%s on %s: %v: %s%s", command, v.name, err, out, stderr.String())
	}
	return string(out)
}

// look is a command that only looks, and the pattern of what it has to print.
type look struct{ command, want string }

// isWhole looks at what containers on a shared kernel cannot show, and at more.
func (v *vm) isWhole(more ...look) {
	v.c.t.Helper()
	for _, look := range append([]look{
		{"systemd-detect-virt", `^qemu\n$`},
		{"stat -f -c %T /sys/fs/cgroup", `^cgroup2fs\n$`},
		{"cat /proc/$(pgrep -o kube-apiserver)/cgroup", `^0::/kubepods\.slice/kubepods-burstable\.slice/\S+\.slice/cri-containerd-[0-9a-f]{64}\.scope\n$`},
		{"cut -d' ' -f1 /proc/modules", `(?s)\bbr_netfilter\b`},
		{"cut -d' ' -f1 /proc/modules", `(?s)\bip_vs_rr\b`},
		{"cat /proc/sys/net/bridge/bridge-nf-call-iptables", `^1\n$`},
		{"systemctl is-active muster-modules muster-rendezvous containerd kubelet", `^active\nactive\nactive\nactive\n$`},
		{"systemctl list-units --state=failed --plain --no-legend", `^$`},
	}, more...) {
		if is := v.tell(look.command); !regexp.MustCompile(look.want).MatchString(is) {
			v.c.t.Errorf("%s on %s says %q, not %s", look.command, v.name, is, look.want)
		}
	}
}

var (
	virtualServer = regexp.MustCompile(`^(TCP|UDP) +(\S+)`)
	realServer    = regexp.MustCompile(`^ +-> (\S+:[0-9]+) `)
)

// servesByIPVS waits until the kernel's table has the cluster's own services, each with a server behind it, and asks one of them.
func (v *vm) servesByIPVS() {
	v.c.t.Helper()
	v.c.wait(slow, "ipvs has the services", func() string {
		servers, at := map[string]int{}, ""
		for line := range strings.Lines(v.tell("sudo ipvsadm -Ln")) {
			if match := virtualServer.FindStringSubmatch(line); match != nil {
				at = match[1] + " " + match[2]
			} else if realServer.MatchString(line) {
				servers[at]++
			}
		}
		for _, service := range []string{"TCP 10.96.0.1:443", "TCP 10.96.0.10:53", "UDP 10.96.0.10:53"} {
			if servers[service] == 0 {
				return fmt.Sprintf("nothing serves %s: %v", service, servers)
			}
		}
		return ""
	})
	if is := v.tell("curl --silent --show-error --cacert /etc/kubernetes/pki/ca.crt https://10.96.0.1/livez"); is != "ok" {
		v.c.t.Errorf("the API server says %q by the address of its service", is)
	}
	v.c.t.Logf("ipvsadm -Ln:\n%s", v.tell("sudo ipvsadm -Ln"))
}

// keepJournal takes the journal from the disk, when the power is cut: a machine that cannot be reached has one as well.
func (v *vm) keepJournal() {
	v.cut(v.c.t)
	raw := v.file("disk.raw")
	run(v.c.t, "qemu-img", "convert", "-O", "raw", v.file("disk.qcow2"), raw)
	_ = exec.Command("e2fsck", "-fy", raw).Run() // after a cut there is something to repair, which it says by its status
	must(v.c.t, os.RemoveAll(filepath.Join(v.kept, "journal")))
	run(v.c.t, "debugfs", "-R", "rdump /var/log/journal "+v.kept, raw)
}

// serveTime answers who asks the gateway for the time, as a network of machines has somebody do.
func serveTime(t *testing.T) {
	t.Helper()
	server, err := net.ListenPacket("udp", gateway+":123")
	must(t, err)
	t.Cleanup(func() { server.Close() })
	go func() {
		request := make([]byte, 1024)
		for {
			n, from, err := server.ReadFrom(request)
			if err != nil {
				return
			}
			if n >= 48 {
				_, _ = server.WriteTo(timeAnswer(request[:48], time.Now()), from) // who gets none asks again
			}
		}
	}()
}

// timeAnswer is an answer of NTP version 4: a server of stratum 1 whose time is the host's.
func timeAnswer(request []byte, now time.Time) []byte {
	const since1900 = 2208988800 // seconds up to 1970
	stamp := binary.BigEndian.AppendUint32(nil, uint32(now.Unix()+since1900))
	stamp = binary.BigEndian.AppendUint32(stamp, uint32(uint64(now.Nanosecond())<<32/1e9))
	answer := []byte{0<<6 | 4<<3 | 4, 1, request[2], 0xec} // no leap second, version 4, a server; its stratum, how often, how exact
	answer = append(answer, make([]byte, 8)...)            // no way to the reference clock, no error
	answer = append(answer, "LOCL"...)
	return bytes.Join([][]byte{answer, stamp, request[40:48], stamp, stamp}, nil)
}

func run(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}
