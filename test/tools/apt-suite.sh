#!/usr/bin/env bash
# Writes an apt configuration of its own for one Debian suite, so that packages of another release can be downloaded on this machine, without
# root and without touching /etc/apt or /var/lib/apt.
#
#   [ARCHITECTURES=amd64,arm64] test/tools/apt-suite.sh trixie build/apt/trixie
#   APT_CONFIG=build/apt/trixie/apt.conf apt-get download docker.io
#
# The mirror is the machine's own Debian mirror, and the suite's signature is checked with Debian's keyring.
set -euo pipefail

suite=${1:?usage: apt-suite.sh SUITE FOLDER}
mkdir -p "${2:?usage: apt-suite.sh SUITE FOLDER}"
folder=$(cd "$2" && pwd)
architectures=${ARCHITECTURES:-$(dpkg --print-architecture)}
mirror=$("$(dirname "$0")"/debian-mirror.sh)

mkdir -p "$folder"/{lists/partial,cache/archives/partial,state,sources}
touch "$folder/state/status"
cat >"$folder/sources/$suite.sources" <<EOF
Types: deb
URIs: $mirror
Suites: $suite
Components: main
Architectures: ${architectures//,/ }
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
EOF
cat >"$folder/apt.conf" <<EOF
Dir::Etc::SourceList "/dev/null";
Dir::Etc::SourceParts "$folder/sources";
Dir::Etc::Preferences "/dev/null";
Dir::Etc::PreferencesParts "/dev/null";
Dir::State "$folder/state";
Dir::State::Lists "$folder/lists";
Dir::State::Status "$folder/state/status";
Dir::Cache "$folder/cache";
APT::Architecture "${architectures%%,*}";
APT::Architectures "$architectures";
APT::Sandbox::User "$(id -un)";
Acquire::Languages "none";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
EOF
APT_CONFIG=$folder/apt.conf apt-get -qq update
