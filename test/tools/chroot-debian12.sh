#!/usr/bin/env bash
# Builds a small Debian 12 root, the node that the tests' real cloud-init, netplan, systemd and containerd 1.6 run on. They are in there instead of
# on the developer's machine because their packages start services and would take part in that machine's next boot. Must run as root.
#
#   test/tools/chroot-debian12.sh build/chroot-debian12
set -euo pipefail

target=${1:?usage: chroot-debian12.sh TARGET_FOLDER}
mirror=$("$(dirname "$0")"/debian-mirror.sh)
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
packages=(
  bash ca-certificates curl iproute2 kmod procps udev util-linux # what first-boot scripts call
  systemd cloud-init netplan.io containerd                       # what reads documents, network, units and config.toml
)

rm -rf "$target.new"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! mmdebstrap --quiet --mode=root --variant=minbase --include="$(IFS=,; echo "${packages[*]}")" \
  --aptopt='Acquire::Languages "none"' \
  --dpkgopt='force-unsafe-io' \
  --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
  bookworm "$target.new" "deb [signed-by=$keyring] $mirror bookworm main" >"$log" 2>&1; then
  cat "$log" >&2
  exit 1
fi
# mmdebstrap copies the host's name and resolver: a test root must not depend on them.
echo debian12 >"$target.new/etc/hostname"
: >"$target.new/etc/resolv.conf"
rm -rf "$target"
mv "$target.new" "$target"
