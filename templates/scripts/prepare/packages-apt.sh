# shellcheck shell=bash
step "installing packages with apt" "the package sources must be reachable (system.proxy) and hold the versions that the spec asks for; see apt-get update and apt-cache policy"

export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1
# While it stands, a run is under way or was cut.
MARK=$STATE/packages.started
WANTED=("${PACKAGES_BASE[@]}" "${PACKAGES_RUNTIME[@]}" "${PACKAGES_KUBERNETES[@]}" "${PACKAGES_EXTRA[@]}")

# installed NAME[=VERSION]: the version may be a pattern, as apt's. A name alone may be one that another package provides.
installed() {
  local version='*'
  if [[ $1 == *=* ]]; then version=${1#*=}; fi
  # shellcheck disable=SC2053 # the right side is a pattern
  [[ $(dpkg-query -W -f '${db:Status-Status} ${Version}' "${1%%=*}" 2>/dev/null) == "installed "$version ]] ||
    dpkg-query -W -f '${db:Status-Status}, ${Provides},\n' | grep '^installed,' | grep -F -e ", $1," -e ", $1 (" >/dev/null
}

held() { [[ $(dpkg-query -W -f '${db:Status-Want}' "$1" 2>/dev/null) == hold ]]; }

# unlocked COMMAND...: waits while another program, such as the daily upgrade, holds a lock; apt waits for dpkg's only.
unlocked() {
  local rc end=$((SECONDS + 2 * WAIT))
  while :; do
    rc=0
    "$@" >"$RUN/packages.out" 2>&1 || rc=$?
    cat "$RUN/packages.out"
    ((rc)) && grep -Eiq 'could not get lock|locked by another process' "$RUN/packages.out" && ((SECONDS < end)) || return $rc
    waiting "another program that holds the lock of the package manager"
    sleep "$POLL"
  done
}

# update: where nobody vouches for the clock, sources are not held to their dates; their signatures are checked all the same.
update() {
  local flags=()
  synchronised || flags=(-o Acquire::Check-Date=false)
  unlocked apt-get -q "${flags[@]}" update
}

# apt_install NAME...: files that the document wrote win over the packages' own.
apt_install() {
  unlocked apt-get -q -y -o DPkg::Lock::Timeout="$WAIT" -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold install "$@"
}

# complete: what a cut left unpacked without what it depends on is nothing that dpkg can configure by itself.
complete() { if [[ $(dpkg --audit) ]]; then apt_install -f; fi; }

# install_missing NAME...: what is there in the right version is not named, so that nothing is upgraded.
install_missing() {
  local name names=() flags=()
  for name; do installed "$name" || names+=("$name"); done
  if [[ ${names[*]} == *=* ]]; then flags=(--allow-downgrades --allow-change-held-packages); fi
  if ((${#names[@]})); then apt_install "${flags[@]}" "${names[@]}"; fi
}

done_already() {
  local name
  [[ ! -e $MARK ]] && keys_in_place || return
  for name in "${WANTED[@]}"; do installed "$name" || { echo "$name is not installed" && return 1; }; done
  for name in "${PACKAGES_HOLD[@]}"; do held "$name" || { echo "$name is not held" && return 1; }; done
}

run_step() {
  commit "${MARK##*/}"
  unlocked dpkg --force-confdef --force-confold --configure -a || :
  if ! keys_in_place; then
    # Sources whose keys are not there yet make the update fail, but not that of the system's own.
    # The clock has to be right for them, too.
    if ! { installed ca-certificates && installed curl && installed gpg && unit_exists "$TIME_SERVICE"; }; then
      update || :
      complete
      install_missing ca-certificates curl gpg "${PACKAGES_BASE[@]}"
    fi
    accept_keys
  fi
  update
  complete
  install_missing "${PACKAGES_BASE[@]}"
  install_missing "${PACKAGES_RUNTIME[@]}"
  install_missing "${PACKAGES_KUBERNETES[@]}" "${PACKAGES_EXTRA[@]}"
  if ((${#PACKAGES_HOLD[@]})); then apt-mark hold "${PACKAGES_HOLD[@]}"; fi
  sync
  rm -f "$MARK"
}
