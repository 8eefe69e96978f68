#!/usr/bin/env bash
# Prints the URI of the Debian archive that this machine's own apt uses, so that no mirror is named in the project.
set -euo pipefail

# shellcheck disable=SC2016 # apt's own placeholder
uri='$(REPO_URI)'
mirror=$(apt-get indextargets --format "$uri" 'Created-By: Packages' 'Origin: Debian' 'Label: Debian' | sort -u | head -n 1)
if [ -z "$mirror" ]; then
  # Before the first `apt-get update` the origin of a source is not known; the layout of Debian's archive tells it from others.
  mirror=$(apt-get indextargets --format "$uri" 'Created-By: Packages' | grep -E '/debian/?$' | sort -u | head -n 1 || true)
fi
if [ -z "$mirror" ]; then
  echo "no Debian archive in this machine's apt sources: add one to /etc/apt/sources.list.d and run apt-get update" >&2
  exit 1
fi
printf '%s\n' "$mirror"
