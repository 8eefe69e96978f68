# shellcheck shell=bash
step "fetching programs" "the machine must reach the addresses of the profile's binaries, by system.proxy if there is one"

case $(uname -m) in
x86_64) URLS=("${BINARY_URLS_AMD64[@]}") SUMS=("${BINARY_SHA256_AMD64[@]}") ;;
aarch64) URLS=("${BINARY_URLS_ARM64[@]}") SUMS=("${BINARY_SHA256_ARM64[@]}") ;;
*) URLS=() SUMS=() ;;
esac

# in_place INDEX: an archive leaves a list of what came out of it, with digests.
in_place() {
  if [[ ${BINARY_EXTRACT[$1]} == true ]]; then
    sha256sum -c --status "$STATE/binaries/${SUMS[$1]}" 2>/dev/null
  else
    digest_is "${SUMS[$1]}" "${BINARY_PATHS[$1]}" && [[ -x ${BINARY_PATHS[$1]} ]]
  fi
}

# unpack FOLDER ARCHIVE SHA256: the archive's own owners and the folder's mode in it are not wanted.
unpack() {
  local list
  mkdir -p "$1"
  tar -xzf "$2" -C "$1" --no-same-owner --no-overwrite-dir
  list=$(tar -tzf "$2" | while IFS= read -r name; do if [[ -f $1/$name ]]; then sha256sum "$1/$name"; fi; done)
  rm -f "$2"
  sync
  commit "binaries/$3" "$list"
}

done_already() {
  local i
  for i in "${!BINARY_PATHS[@]}"; do
    [[ ${SUMS[i]} ]] || { echo "there is no build of ${BINARY_PATHS[i]} for $(uname -m)" && return 1; }
    in_place "$i" || return
  done
}

run_step() {
  local i archive
  for i in "${!BINARY_PATHS[@]}"; do
    if [[ -z ${SUMS[i]} ]] || in_place "$i"; then continue; fi
    if [[ ${BINARY_EXTRACT[i]} == true ]]; then
      archive=$STATE/binaries/${SUMS[i]}.tar.gz
      digest_is "${SUMS[i]}" "$archive" || fetch "${URLS[i]}" "${SUMS[i]}" "$archive"
      unpack "${BINARY_PATHS[i]}" "$archive" "${SUMS[i]}"
    else
      fetch "${URLS[i]}" "${SUMS[i]}" "${BINARY_PATHS[i]}" 755
    fi
  done
}
