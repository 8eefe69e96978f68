#!/usr/bin/env bash
# Checks one build of cmd/rendezvous: it needs no library and no program interpreter, its sizes are inside their limits, and, when this machine can
# run it, it starts in a root folder that holds nothing else. Prints the sizes.
#
#   mk/rendezvous-check.sh bin/rendezvous-amd64 internal/rendezvous/binaries/builds/rendezvous-amd64.gz amd64
set -euo pipefail

usage='usage: rendezvous-check.sh BINARY COMPRESSED ARCHITECTURE'
binary=${1:?$usage}
compressed=${2:?$usage}
architecture=${3:?$usage}

# Bytes. A control plane's document carries the compressed file, and some platforms refuse large ones.
readonly binary_limit=12000000 compressed_limit=5000000

fail() { echo "rendezvous-check: $binary: $*" >&2; exit 1; }

case $architecture in
  amd64) machine='Advanced Micro Devices X86-64' ;;
  arm64) machine=AArch64 ;;
  *) fail "architecture $architecture: want amd64 or arm64" ;;
esac
readelf --wide --file-header "$binary" | grep -q "Machine: *$machine\$" || fail "is not built for $architecture"
if readelf --wide --program-headers --dynamic "$binary" 2>/dev/null | grep -qE 'INTERP|\(NEEDED\)'; then
  fail "is not static: it names an interpreter or a shared library"
fi
gzip --decompress --stdout "$compressed" | cmp --silent - "$binary" || fail "$compressed holds another build: run make rendezvous"

size=$(stat --format %s "$binary")
compressed_size=$(stat --format %s "$compressed")
echo "$binary: $size bytes (limit $binary_limit), compressed $compressed_size (limit $compressed_limit)"
[ "$size" -le "$binary_limit" ] || fail "$size bytes is over the limit of $binary_limit"
[ "$compressed_size" -le "$compressed_limit" ] || fail "$compressed_size bytes compressed is over the limit of $compressed_limit"

[ "$architecture" = "$(dpkg --print-architecture)" ] || exit 0
empty=$(mktemp -d)
trap 'rm -rf "$empty"' EXIT
install -m 0755 "$binary" "$empty/rendezvous"
unshare --map-root-user --root="$empty" /rendezvous --help >"$empty/output" 2>&1 || {
  cat "$empty/output" >&2
  fail "does not start in an empty root folder"
}
