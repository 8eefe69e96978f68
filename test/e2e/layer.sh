#!/usr/bin/env bash
# Lays together what the image of a machine holds over Debian when the spec says packages.preinstalled and images.preload: Kubernetes with the units of
# its Debian packages, the CNI plugins, and the archives of container images.
#
#   test/e2e/layer.sh build/e2e/bin build/e2e/base build/e2e/layer
set -euo pipefail

programs=${1:?usage: layer.sh PROGRAMS BASE TARGET_FOLDER}
base=${2:?usage: layer.sh PROGRAMS BASE TARGET_FOLDER}
target=${3:?usage: layer.sh PROGRAMS BASE TARGET_FOLDER}

rm -rf "$target.new"
mkdir -p "$target.new"/{usr/bin,opt/cni/bin,opt/images}
cp -r --no-preserve=ownership "$(dirname "$0")/layer/." "$target.new"
install -m 0755 "$programs"/{kubeadm,kubelet,kubectl} "$target.new/usr/bin"
install -m 0755 "$programs"/cni/{bridge,loopback,host-local,portmap} "$target.new/opt/cni/bin" # flannel's own comes by its DaemonSet
"$programs/images" -programs "$programs" -base "$base" -out "$target.new/opt/images"

rm -rf "$target.old"
[ ! -e "$target" ] || mv "$target" "$target.old"
mv "$target.new" "$target"
rm -rf "$target.old"
