#!/usr/bin/env bash
# Builds the disk of the end-to-end test's machines before their first boot: Debian 12 with what the packages.base of the profile, its runtime and
# Debian's own cloud image bring. Kubernetes is laid over it, not into it, so that another release does not build Debian again. Must run as root.
#
#   test/e2e/root.sh build/e2e/root
set -euo pipefail

target=${1:?usage: root.sh TARGET_FOLDER}
here=$(cd "$(dirname "$0")" && pwd)
mirror=$("$here"/../tools/debian-mirror.sh)
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
packages=(
  systemd systemd-sysv systemd-resolved libnss-resolve libnss-myhostname dbus udev  # boots
  cloud-init netplan.io openssh-server                                              # reads the documents, and what it expects to be there
  containerd runc                                                                   # the runtime
  ca-certificates conntrack curl ebtables ethtool gpg ipset iptables ipvsadm kmod socat # the profile's base
  iproute2 iputils-ping less netbase passwd procps sudo util-linux                  # a Debian machine's own
)

rm -rf "$target.new"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! mmdebstrap --quiet --mode=root --variant=minbase --include="$(IFS=,; echo "${packages[*]}")" \
  --aptopt='Acquire::Languages "none"' --dpkgopt='force-unsafe-io' \
  --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
  bookworm "$target.new" "deb [signed-by=$keyring] $mirror bookworm main" >"$log" 2>&1; then
  cat "$log" >&2
  exit 1
fi

# What mmdebstrap took from this machine, and what each machine makes for itself. Packages started nothing: containerd runs as on Debian, at boot.
echo blank >"$target.new/etc/hostname"
: >"$target.new/etc/machine-id"
rm -f "$target.new/etc/resolv.conf" "$target.new/var/lib/dbus/machine-id"
ln -s ../run/systemd/resolve/stub-resolv.conf "$target.new/etc/resolv.conf"
mkdir -p "$target.new/var/log/journal"
cp -r --no-preserve=ownership "$here/machine/." "$target.new/"
systemctl --root="$target.new" --quiet enable systemd-networkd.service systemd-resolved.service container-host.service
systemctl --root="$target.new" --quiet set-default multi-user.target

rm -rf "$target.old"
[ ! -e "$target" ] || mv "$target" "$target.old"
mv "$target.new" "$target"
rm -rf "$target.old"
