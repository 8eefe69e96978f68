# shellcheck shell=bash
# Ignition's engine in a sandbox: the config in /run/consumer/config.ign, the target root in /mnt, as it is in /sysroot in an initramfs.
set -euo pipefail

mount --bind / /mnt
export IGNITION_CONFIG_FILE=/run/consumer/config.ign
stage() {
  /run/consumer/bin/ignition -platform file -stage "$1" -root /mnt -log-to-stdout
}

# With no network the engine would try for ever: it says beforehand whether the config needs one.
stage fetch-offline
if [ -e /run/ignition/neednet ]; then
  echo "the config fetches something over the network" >&2
  exit 1
fi
stage fetch
stage files
