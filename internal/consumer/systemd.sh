# shellcheck shell=bash
# Lays the units of /run/consumer/units into a sandbox and verifies those that are named as arguments.
set -euo pipefail

cp -r /run/consumer/units/. /etc/systemd/system/

# Only whether a program is there and executable is asked for: give each that is missing an empty one.
grep -rhoE '^Exec[A-Za-z]+=[-@:+!|]*/[^ ]+' /run/consumer/units | sed -E 's/^[^=]*=[^/]*//' | sort -u | while read -r program; do
  if [ ! -e "$program" ]; then
    mkdir -p "$(dirname "$program")"
    install -m 0755 /dev/null "$program"
  fi
done

files=()
for unit in "$@"; do
  # A unit that Debian's own packages bring, with only a drop-in of ours, is not in /etc.
  for dir in /etc/systemd/system /lib/systemd/system; do
    if [ -e "$dir/$unit" ]; then
      files+=("$dir/$unit")
      continue 2
    fi
  done
  echo "$unit: is drop-ins only, and nobody brings the unit: name it in packaged" >&2
  exit 1
done
systemd-analyze verify --man=no --recursive-errors=one "${files[@]}"
