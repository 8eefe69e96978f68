#!/usr/bin/env bash
# Makes sure that there is a Go that builds this module. Debian 12's own is 1.19, which cannot; but it can fetch the release as the module that newer
# versions of Go fetch by themselves, and it is unpacked into build/go.
#
#   mk/go.sh           install what is missing
#   mk/go.sh --where   print the folder of the fetched Go, or nothing when the machine's own will do
set -euo pipefail

release=go1.26.0
home=build/go/$release

# usable: Go 1.21 and later fetch the version that go.mod asks for.
usable() {
  local minor
  minor=$(go env GOVERSION 2>/dev/null | sed -n 's/^go1\.\([0-9]*\).*/\1/p')
  [ -n "$minor" ] && [ "$minor" -ge 21 ]
}

if [ "${1:-}" = --where ]; then
  usable || echo "$PWD/$home"
  exit 0
fi
if usable; then exit 0; fi

arch=$(dpkg --print-architecture)
case $arch in
  amd64) sum=h1:1p2G5COR51f8Q3EQ4HLJQDDL2ytLEqfL/yTawB0Jr8w= ;;
  arm64) sum=h1:lAFrRm35hIzvRSMYiELtaPaitr22pp6iaBbdPBuJg2U= ;;
  *) echo "go: install Go 1.26 or later by hand, there is no pinned release for $arch" >&2; exit 1 ;;
esac
test/tools/install-missing.sh golang-go ca-certificates
if usable; then exit 0; fi # Debian 13 and later
module=golang.org/toolchain@v0.0.1-$release.linux-$arch
cache=$PWD/build/go/cache
echo "go: fetching $release"
found=$(PATH=$PATH:/usr/lib/go/bin GOMODCACHE=$cache GOFLAGS=-modcacherw go mod download -json "$module")
if ! grep -qF "\"Sum\": \"$sum\"" <<<"$found"; then
  echo "go: $module has another digest than $sum" >&2
  exit 1
fi
mkdir -p build/go
cp -r "$cache/$module" "$home.new"
chmod -R u+w "$home.new"
chmod +x "$home.new"/bin/* "$home.new"/pkg/tool/*/*
mv "$home.new" "$home"
