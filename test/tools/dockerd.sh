#!/usr/bin/env bash
# Unpacks, not installs, Debian 13's dockerd and docker-proxy into a folder: Debian 12's dockerd is 20.10, which has no `--validate`.
#
#   test/tools/dockerd.sh build/apt/trixie build/tools
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
apt_folder=${1:?usage: dockerd.sh APT_FOLDER TARGET_FOLDER}
target=$(cd "${2:?usage: dockerd.sh APT_FOLDER TARGET_FOLDER}" && pwd)
"$here/apt-suite.sh" trixie "$apt_folder"
conf=$(cd "$apt_folder" && pwd)/apt.conf

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
(cd "$scratch" && APT_CONFIG=$conf apt-get -qq download docker.io)
dpkg-deb -x "$scratch"/docker.io_*.deb "$scratch/root"
install -m 0755 "$scratch/root/usr/sbin/dockerd" "$scratch/root/usr/sbin/docker-proxy" "$target"
