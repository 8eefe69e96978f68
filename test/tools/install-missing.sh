#!/usr/bin/env bash
# Installs those of the named Debian packages that are missing, and nothing when none is. Asks for root only when it has something to do.
#
#   test/tools/install-missing.sh shellcheck xorriso
set -euo pipefail

missing=()
for package in "$@"; do
  status=$(dpkg-query --show --showformat '${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$status" = installed ] || missing+=("$package")
done
if [ ${#missing[@]} -eq 0 ]; then
  echo "test-deps: nothing to install, all $# packages are there"
  exit 0
fi
echo "test-deps: installing ${missing[*]} with apt-get"
as_root=()
[ "$(id -u)" -eq 0 ] || as_root=(sudo)
"${as_root[@]}" apt-get -qq update
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes --no-install-recommends "${missing[@]}"
