#!/usr/bin/env bash
# Unpacks, not installs, what the images of kube-proxy and flannel need besides their program: Debian 12's iptables, and ipset and modprobe for ipvs,
# with their libraries, and a busybox for cp. Must run as root.
#
#   test/e2e/base.sh build/e2e/base
set -euo pipefail

target=${1:?usage: base.sh TARGET_FOLDER}
mirror=$("$(dirname "$0")"/../tools/debian-mirror.sh)
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

rm -rf "$target.new"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! mmdebstrap --quiet --mode=root --variant=extract --include=iptables,ipset,kmod,busybox-static \
  --dpkgopt='path-exclude=/usr/share/*' --dpkgopt='path-exclude=/usr/lib/*/gconv/*' \
  bookworm "$target.new" "deb [signed-by=$keyring] $mirror bookworm main" >"$log" 2>&1; then
  cat "$log" >&2
  exit 1
fi

# What the packages' scripts would have linked: iptables speaks to nftables, as on the machine itself, or both would not see each other's rules.
for name in iptables iptables-save iptables-restore ip6tables ip6tables-save ip6tables-restore; do
  ln -sf xtables-nft-multi "$target.new/usr/sbin/$name"
done
for name in sh cp mkdir; do
  [ -e "$target.new/bin/$name" ] || ln -s busybox "$target.new/bin/$name"
done
rm -rf "$target.new"/{dev,proc,sys,var,etc/apt,etc/resolv.conf,etc/hostname}
chroot "$target.new" /usr/sbin/iptables --version >/dev/null
chroot "$target.new" /sbin/modprobe --version >/dev/null
chroot "$target.new" /bin/cp --help >/dev/null 2>&1
mkdir -p "$target.new/tmp"

rm -rf "$target.old"
[ ! -e "$target" ] || mv "$target" "$target.old"
mv "$target.new" "$target"
rm -rf "$target.old"
