package cloudinit

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strings"

	"muster/internal/node"
)

// repairScript runs at every boot before write_files, through /bin/sh with the arguments of repairCommand, and does nothing
// once the file $done is there. In this order:
//
//  1. It syncs, for what cloud-init wrote before: the network's files, which it writes once, and its record of the hostname,
//     which stops it before bootcmd when a cut left it empty.
//  2. With a static network it removes netplan's file of Debian's cloud images, by which all interfaces ask DHCP: netplan
//     makes 10-netplan-all-en.network of it, which comes before 10-netplan-ens3.network and would win over a static network.
//     The same where an interface asks DHCP for less than it does by that file.
//  3. It looks for the network. cloud-init writes the network's files once, after it has recorded that it knows this
//     instance, and a cut between the two leaves a machine that it never gives a network. The mark in /run means that they
//     were written in this boot. cloud-init 22.4.2 writes this mark; older releases may not, and then only the addresses
//     count. If the mark is missing and after 30 seconds the machine lacks one of its static addresses, or has no global
//     address at all, the script removes the instance record and reboots, as for the first time. That can be wrong, when a
//     cable is out or DHCP is silent, so it happens three times at most.
//  4. It compares the modes and bytes of all files, in order, with their digest, and asks whether the first unit is enabled,
//     which is the last thing that runcmd does. On a difference it removes the marks of the modules that made all this, so
//     that cloud-init runs them again later in this boot. The names of marks are those of every cloud-init from 19.4 on:
//     config_ and the module, in instance/sem.
//
// It always exits 0: cloud-init would only report a failure.
const repairScript = `done=$1 start=$2 digest=$3 addresses=$4 own=$5
shift 5
[ ! -e "$done" ] || exit 0
sync
cd /var/lib/cloud/instance/sem || exit 0
if [ "$own" ] && [ -e /etc/netplan/90-default.yaml ]; then
  rm -f /etc/netplan/90-default.yaml
  timeout 60 netplan apply
fi
lost() {
  for address in $addresses; do
    [ "$(ip -o address show to "$address")" ] || return 0
  done
  [ ! "$(ip -o address show scope global)" ]
}
comes() {
  for _ in $(seq 30); do
    lost || return 0
    sleep 1
  done
  return 1
}
if [ ! -e /run/cloud-init/sem/apply_network_config.once ] && command -v ip >/dev/null && ! comes &&
  echo >>muster_network && [ "$(wc -l <muster_network)" -le 3 ]; then
  echo "muster: this machine has no network of its own: starting again, to have it set up"
  rm -f /var/lib/cloud/data/instance-id
  sync
  systemctl reboot && sleep 300
fi
found=$( (stat -L -c %a -- "$@"; cat -- "$@") 2>/dev/null | sha256sum)
if [ "${found%% *}" = "$digest" ] && systemctl -q is-enabled "$start" 2>/dev/null; then
  exit 0
fi
rm -f config_write_files config_set_hostname config_users_groups config_runcmd config_scripts_user
exit 0
`

// stopScript stops those of its arguments that run: stopping a unit that the machine does not have would fail.
const stopScript = `set -e; for unit; do ! systemctl -q is-active "$unit" || systemctl stop "$unit"; done`

// disableScript disables those of its arguments that are enabled, for the same reason.
const disableScript = `set -e; for unit; do ! systemctl -q is-enabled "$unit" 2>/dev/null || systemctl disable "$unit"; done`

// maskScript masks its arguments. systemctl refuses where a unit's own file lies in the way, or a link to another unit;
// that is kept under another name.
const maskScript = `set -e
for unit; do
  file=/etc/systemd/system/$unit
  [ ! -e "$file" -a ! -L "$file" ] || [ "$(readlink "$file")" = /dev/null ] || mv -fT "$file" "$file.muster-off"
done
systemctl mask "$@"`

// shell returns a command that runs a script with arguments; name is what the shell calls itself in its messages.
func shell(script, name string, args ...string) command {
	return append(command{"sh", "-c", text(script), text(name)}, texts(args)...)
}

func repairCommand(cfg node.Config, files []diskFile) command {
	args := append([]string{cfg.Done, cfg.Start, digest(files)}, networkArgs(cfg.Network)...)
	for _, f := range files {
		args = append(args, f.path)
	}
	return shell(repairScript, "repair", args...)
}

// addresses are the static addresses that a machine of a network has to have, without their prefixes, with blanks between.
func addresses(n *node.Network) string {
	var all []string
	if n != nil {
		for _, l := range links(*n) {
			for _, a := range l.Addresses {
				if !l.Optional { // without a cable it has none
					all = append(all, a.Addr().String())
				}
			}
		}
	}
	slices.Sort(all) // interfaces have no order when they are read back
	return strings.Join(all, " ")
}

// networkArgs are what repairScript has to know of a network: the addresses, and a word if it is another network than the one
// in which all interfaces ask DHCP.
func networkArgs(n *node.Network) []string {
	own := ""
	differs := func(l node.Link) bool { return len(l.Addresses) > 0 || l.DHCPMetric != 0 || l.DHCPWithoutDNS }
	if n != nil && slices.ContainsFunc(links(*n), differs) {
		own = "own"
	}
	return []string{addresses(n), own}
}

// digest is the SHA-256, in hexadecimal, of what repairScript reads: the octal modes, one a line, then all bytes. One
// digest instead of one for each file keeps documents small.
func digest(files []diskFile) string {
	h := sha256.New()
	for _, f := range files {
		fmt.Fprintf(h, "%o\n", f.mode)
	}
	for _, f := range files {
		h.Write(f.contents)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// startCommands are what runcmd does, stopping at the first failure, so that the first unit is enabled last. Units are
// started as well as enabled, and stopped as well as disabled or masked, for a first boot that runs what later boots
// run: systemd had decided on this boot before the units were there.
func startCommands(cfg node.Config, files []diskFile) []command {
	var on, off, masked []string
	for _, u := range cfg.Units {
		switch {
		case u.Name == cfg.Start:
		case u.Mask:
			masked = append(masked, u.Name)
		case u.Enabled != nil && *u.Enabled:
			on = append(on, u.Name)
		case u.Enabled != nil:
			off = append(off, u.Name)
		}
	}
	all := append([]command{{"set", "-e"}}, chownCommands(files)...)
	all = append(all, command{"systemctl", "daemon-reload"})
	if len(off) > 0 {
		all = append(all, shell(disableScript, "disable", off...))
	}
	if stop := slices.Concat(off, masked); len(stop) > 0 {
		all = append(all, shell(stopScript, "stop", stop...))
	}
	if len(masked) > 0 {
		all = append(all, shell(maskScript, "mask", masked...))
	}
	on = append(on, cfg.Start)
	return append(all,
		append(command{"systemctl", "enable"}, texts(on)...),
		append(command{"systemctl", "start", "--no-block"}, texts(on)...))
}

// chownCommands give files to owners other than root, one command for each owner in order of appearance.
func chownCommands(files []diskFile) []command {
	var all []command
	place := map[string]int{}
	for _, f := range files {
		owner := f.owner + ":" + f.group
		if owner == rootOwner {
			continue
		}
		at, met := place[owner]
		if !met {
			at = len(all)
			place[owner] = at
			all = append(all, command{"chown", "--", text(owner)})
		}
		all[at] = append(all[at], text(f.path))
	}
	return all
}

// boot is what bootcmd and runcmd hold, read back.
type boot struct {
	done, start, digest string
	network             []string
	paths               []string
	owners              map[string]string
	on, off, masked     []string
}

// readBoot reads the commands that repairCommand and startCommands made. Any other command, and any order in which the
// commands would do something else, is an error.
func readBoot(bootCmd, runCmd []command) (boot, error) {
	b := boot{owners: map[string]string{}}
	repair := shell(repairScript, "repair")
	if len(bootCmd) != 1 || !hasPrefix(bootCmd[0], repair) || len(bootCmd[0]) < len(repair)+5 {
		return boot{}, fmt.Errorf("bootcmd is not the repair of a cut write")
	}
	args := textStrings(bootCmd[0][len(repair):])
	b.done, b.start, b.digest, b.network, b.paths = args[0], args[1], args[2], args[3:5], args[5:]
	var stopped, started []string
	steps := []struct {
		prefix command
		into   *[]string
	}{
		{shell(disableScript, "disable"), &b.off},
		{shell(stopScript, "stop"), &stopped},
		{shell(maskScript, "mask"), &b.masked},
		{command{"systemctl", "enable"}, &b.on},
		{command{"systemctl", "start", "--no-block"}, &started},
	}
	rest, err := b.readOwners(runCmd)
	if err != nil {
		return boot{}, err
	}
	for _, step := range steps {
		if len(rest) > 0 && hasPrefix(rest[0], step.prefix) {
			*step.into, rest = textStrings(rest[0][len(step.prefix):]), rest[1:]
		}
	}
	if len(rest) > 0 {
		return boot{}, fmt.Errorf("runcmd has an unknown command, or one out of order: %s", rest[0][0])
	}
	if !slices.Equal(started, b.on) || !slices.Equal(stopped, slices.Concat(b.off, b.masked)) || len(b.on) == 0 || b.on[len(b.on)-1] != b.start {
		return boot{}, fmt.Errorf("runcmd does not start what it enables and stop what it disables, the first unit last")
	}
	return b, nil
}

// readOwners reads the beginning of runcmd, up to the reload of systemd, and returns what comes after.
func (b *boot) readOwners(runCmd []command) ([]command, error) {
	if len(runCmd) == 0 || !slices.Equal(runCmd[0], command{"set", "-e"}) {
		return nil, fmt.Errorf("runcmd does not stop at the first failure")
	}
	for i, c := range runCmd[1:] {
		switch {
		case slices.Equal(c, command{"systemctl", "daemon-reload"}):
			return runCmd[i+2:], nil
		case hasPrefix(c, command{"chown", "--"}) && len(c) > 3:
			for _, path := range c[3:] {
				b.owners[string(path)] = string(c[2])
			}
		default:
			return nil, fmt.Errorf("runcmd has an unknown command before the reload of systemd: %s", strings.Join(textStrings(c[:min(1, len(c))]), ""))
		}
	}
	return nil, io.ErrUnexpectedEOF
}

func hasPrefix(c, prefix command) bool {
	return len(c) >= len(prefix) && slices.Equal(c[:len(prefix)], prefix)
}
