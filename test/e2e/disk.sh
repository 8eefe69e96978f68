#!/usr/bin/env bash
# Builds the disk of the machine that QEMU boots: the root of the other machines with a kernel and what only a machine of its own needs, Kubernetes laid
# over it, and the container images in containerd's store, where importing them would take an emulated machine minutes. Must run as root.
#
#   test/e2e/disk.sh build/e2e/root build/e2e/layer build/e2e/disk
#
# The target folder gets disk.raw, a sparse ext4 without partitions, and the kernel and initrd that lie on it as well.
set -euo pipefail

root=${1:?usage: disk.sh ROOT LAYER TARGET_FOLDER}
layer=${2:?usage: disk.sh ROOT LAYER TARGET_FOLDER}
target=${3:?usage: disk.sh ROOT LAYER TARGET_FOLDER}

# As the first process of its own namespaces, so that mounts and processes go with it, however it ends.
if [ $$ -ne 1 ]; then exec unshare --mount --propagation private --pid --fork --kill-child "$0" "$@"; fi

tree=$target.new/tree
log=$(mktemp)
ended() {
  local rc=$?
  if [ $rc -ne 0 ]; then cat "$log" >&2; fi
  rm -f "$log"
  rm -rf --one-file-system "$target.new"
}
trap ended EXIT
trap 'exit 1' INT TERM

# The nodes in /dev are the tree's own and /sys is read-only: nothing of this machine can be written or removed through the tree.
mount_kernels() {
  mount -t proc proc "$tree/proc"
  mount -t sysfs -o ro sysfs "$tree/sys"
  mount -t tmpfs tmpfs "$tree/run"
  mount -t tmpfs tmpfs "$tree/tmp"
  mount -t tmpfs -o mode=755 tmpfs "$tree/dev"
  mknod -m 666 "$tree/dev/null" c 1 3
  mknod -m 666 "$tree/dev/zero" c 1 5
  mknod -m 666 "$tree/dev/random" c 1 8
  mknod -m 666 "$tree/dev/urandom" c 1 9
  ln -s /proc/self/fd "$tree/dev/fd"
}

# What the profile's base has and a container needs not, and a kernel. Nothing is started: systemd does not run in here.
install_packages() {
  local apt=(env DEBIAN_FRONTEND=noninteractive chroot "$tree" apt-get --quiet --yes)
  mkdir -p "$tree/run/systemd/resolve"
  cp /etc/resolv.conf "$tree/run/systemd/resolve/stub-resolv.conf"
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $("${0%/*}"/../tools/debian-mirror.sh) bookworm main" >"$tree/etc/apt/sources.list"
  "${apt[@]}" update
  "${apt[@]}" --no-install-recommends -o DPkg::Options::=--force-unsafe-io install linux-image-cloud-amd64 initramfs-tools zstd systemd-timesyncd
  "${apt[@]}" clean
  rm -rf "$tree"/var/lib/apt/lists/*
}

# By the machine's own containerd.
import_images() {
  local containerd archive try
  chroot "$tree" /usr/bin/containerd &
  containerd=$!
  for ((try = 0; try < 100; try++)); do
    if chroot "$tree" ctr version; then break; fi
    sleep 0.1
  done
  for archive in "$tree"/opt/images/*.tar; do
    chroot "$tree" ctr --namespace k8s.io images import "/opt/images/${archive##*/}"
  done
  kill "$containerd"
  wait "$containerd"
  rm -rf "$tree/opt/images"
}

rm -rf --one-file-system "$target.new"
mkdir -p "$target.new"
cp -a "$root" "$tree"
rm "$tree/etc/systemd/system/container-host.service" "$tree/etc/systemd/system/sysinit.target.wants/container-host.service"
mount_kernels
{
  install_packages
  cp -a "$layer/." "$tree/"
  import_images
} >"$log" 2>&1
umount "$tree"/{tmp,run,sys,proc,dev}

cp -L "$tree/vmlinuz" "$tree/initrd.img" "$target.new/"
truncate --size=10G "$target.new/disk.raw"
mke2fs -q -t ext4 -L root -E assume_storage_prezeroed=1 -d "$tree" "$target.new/disk.raw" >"$log" 2>&1
rm -rf --one-file-system "$tree"

rm -rf "$target.old"
[ ! -e "$target" ] || mv "$target" "$target.old"
mv "$target.new" "$target"
rm -rf "$target.old"
