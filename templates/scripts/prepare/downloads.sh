# shellcheck shell=bash
step "fetching files" "the machine must reach the sources of the spec's files, by system.proxy if there is one"

in_place() {
  digest_is "${DOWNLOAD_SHA256[$1]}" "${DOWNLOAD_PATHS[$1]}" &&
    [[ $(stat -c '%a %U:%G' "${DOWNLOAD_PATHS[$1]}") == "$(printf %o "0${DOWNLOAD_MODES[$1]}") ${DOWNLOAD_OWNERS[$1]}" ]]
}

done_already() {
  local i
  for i in "${!DOWNLOAD_PATHS[@]}"; do
    in_place "$i" || { echo "${DOWNLOAD_PATHS[i]} is not there as the spec says" && return 1; }
  done
}

run_step() {
  local i
  for i in "${!DOWNLOAD_PATHS[@]}"; do
    digest_is "${DOWNLOAD_SHA256[i]}" "${DOWNLOAD_PATHS[i]}" || fetch "${DOWNLOAD_URLS[i]}" "${DOWNLOAD_SHA256[i]}" "${DOWNLOAD_PATHS[i]}" 600
    chown "${DOWNLOAD_OWNERS[i]}" "${DOWNLOAD_PATHS[i]}"
    chmod "${DOWNLOAD_MODES[i]}" "${DOWNLOAD_PATHS[i]}"
  done
}
