# shellcheck shell=bash
step "fetching programs" "the machine must reach the addresses of the profile's binaries, by system.proxy if there is one"

# for_this_machine: a document names the builds of one architecture.
for_this_machine() {
  case $(uname -m) in
  x86_64) is=amd64 ;;
  aarch64) is=arm64 ;;
  *) is=$(uname -m) ;;
  esac
  [[ $is == "$ARCHITECTURE" ]] || { echo "this machine is $is, and its document is for $ARCHITECTURE: write architecture: $is in the spec" && return 1; }
}

# in_place INDEX: an archive leaves a list of what came out of it, with digests.
in_place() {
  if [[ ${BINARY_EXTRACT[$1]} == true ]]; then
    sha256sum -c --status "$STATE/binaries/${BINARY_SHA256[$1]}" 2>/dev/null
  else
    digest_is "${BINARY_SHA256[$1]}" "${BINARY_PATHS[$1]}" && [[ -x ${BINARY_PATHS[$1]} ]]
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
  local i is
  for_this_machine || return
  for i in "${!BINARY_PATHS[@]}"; do
    in_place "$i" || return
  done
}

run_step() {
  local i archive is
  for_this_machine
  for i in "${!BINARY_PATHS[@]}"; do
    if in_place "$i"; then continue; fi
    if [[ ${BINARY_EXTRACT[i]} == true ]]; then
      archive=$STATE/binaries/${BINARY_SHA256[i]}.tar.gz
      digest_is "${BINARY_SHA256[i]}" "$archive" || fetch "${BINARY_URLS[i]}" "${BINARY_SHA256[i]}" "$archive"
      unpack "${BINARY_PATHS[i]}" "$archive" "${BINARY_SHA256[i]}"
    else
      fetch "${BINARY_URLS[i]}" "${BINARY_SHA256[i]}" "${BINARY_PATHS[i]}" 755
    fi
  done
}
