#!/usr/bin/env bash
# Unpacks the Debian packages that cmd/rendezvous is linked with into a sysroot for one architecture, and writes a C compiler command that sees
# that sysroot and nothing of the machine's own headers and libraries. Needs no root.
#
#   test/tools/apt-suite.sh must have prepared the apt configuration for both architectures.
#   mk/rendezvous-sysroot.sh build/rendezvous/apt/apt.conf amd64 build/rendezvous/amd64
#
# Leaves in the folder: root/ (the sysroot), bin/rendezvous-cc (the compiler), packages (what was unpacked, one "name version" a line) and
# notices (the copyright files of those packages; dqlite's licence asks that they travel with a static link).
set -euo pipefail

usage='usage: rendezvous-sysroot.sh APT_CONF ARCHITECTURE FOLDER'
apt_conf=$(realpath "${1:?$usage}")
architecture=${2:?$usage}
folder=$(realpath --canonicalize-missing "${3:?$usage}")

case $architecture in
  amd64) triplet=x86_64-linux-gnu ;;
  arm64) triplet=aarch64-linux-gnu ;;
  *) echo "rendezvous-sysroot: architecture $architecture: want amd64 or arm64" >&2; exit 2 ;;
esac
compiler=$triplet-gcc
command -v "$compiler" >/dev/null || {
  echo "rendezvous-sysroot: $compiler is missing: run make rendezvous-deps" >&2
  exit 1
}

rm -rf "$folder"
mkdir -p "$folder/debs" "$folder/root/usr/lib" "$folder/root/usr/lib64" "$folder/bin"

# The kernel's headers are one package for all architectures.
packages=(linux-libc-dev)
for package in libc6 libc6-dev libdqlite-dev liblz4-dev libsqlite3-dev libuv1-dev libxxhash-dev; do
  packages+=("$package:$architecture")
done
(cd "$folder/debs" && APT_CONFIG=$apt_conf apt-get -qq download "${packages[@]}")

# Debian's packages put files into /lib and /lib64, which are links into /usr since its merge of the two.
ln -s usr/lib usr/lib64 "$folder/root/"
for deb in "$folder"/debs/*.deb; do
  dpkg-deb --extract "$deb" "$folder/root"
  # shellcheck disable=SC2016 # ${Package} is for dpkg-deb to expand
  dpkg-deb --show --showformat='${Package} ${Version}\n' "$deb"
done | LC_ALL=C sort >"$folder/packages"
rm -r "$folder/debs"

for package in libc6-dev libdqlite-dev liblz4-dev libsqlite3-dev libuv1-dev libxxhash-dev; do
  printf '=== %s\n\n' "$(grep "^$package " "$folder/packages")"
  cat "$folder/root/usr/share/doc/$package/copyright"
  printf '\n'
done >"$folder/notices"

# Go sees the compiler by this name only, so no path of this machine enters the build's identity. Without -B and -L the compiler finds the machine's
# own start files and libraries first.
cat >"$folder/bin/rendezvous-cc" <<CC
#!/bin/sh
exec $compiler "--sysroot=$folder/root" "-B$folder/root/usr/lib/$triplet" "-L$folder/root/usr/lib/$triplet" "\$@"
CC
chmod 0755 "$folder/bin/rendezvous-cc"
