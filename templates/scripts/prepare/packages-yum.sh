# shellcheck shell=bash
step "installing packages with yum" "the package sources must be reachable (system.proxy) and hold the versions that the spec asks for; see yum repolist and yum list --showduplicates"

# While it stands, a run is under way or was cut; its time tells since when.
MARK=$STATE/packages.started
WANTED=("${PACKAGES_BASE[@]}" "${PACKAGES_RUNTIME[@]}" "${PACKAGES_KUBERNETES[@]}" "${PACKAGES_EXTRA[@]}")

# installed NAME[-VERSION-RELEASE]: each part may be a pattern, as yum's. A name alone may be one that another package provides.
installed() { [[ $(rpm -qa "$1") ]] || rpm -q --whatprovides "$1" >/dev/null; }

# The Kubernetes source excludes its packages from upgrades; only here are they wanted. yum waits for its lock itself.
run_yum() { yum -y --setopt=obsoletes=0 --disableexcludes=all "$@"; }

install_missing() {
  local name names=()
  for name; do installed "$name" || names+=("$name"); done
  if ((${#names[@]})); then run_yum install "${names[@]}"; fi
}

# repair: a killed yum can leave locks in the database of packages, on which even a query hangs, and, since rpm does not
# sync, packages that are known but whose files are not whole.
repair() {
  local since when name
  if ! timeout 60 rpm -q rpm >/dev/null; then
    rm -f /var/lib/rpm/__db.*
    rpm --rebuilddb
  fi
  if command -v yum-complete-transaction >/dev/null; then yum-complete-transaction -y --cleanup-only; fi
  since=$(stat -c %Y "$MARK")
  while read -r when name; do
    ((when >= since)) || continue
    rpm -V "$name" >"$RUN/packages.out" || : # it fails as soon as a configuration file was edited
    if grep -Eqv '^(.{9}|missing) +c ' "$RUN/packages.out"; then run_yum reinstall "$name"; fi
  done < <(rpm -qa --qf '%{INSTALLTIME} %{NAME}-%{VERSION}-%{RELEASE}.%{ARCH}\n')
}

done_already() {
  local name
  [[ ! -e $MARK ]] && keys_in_place || return
  for name in "${WANTED[@]}"; do installed "$name" || { echo "$name is not installed" && return 1; }; done
}

run_step() {
  if [[ -e $MARK ]]; then repair; else commit "${MARK##*/}"; fi
  accept_keys
  install_missing "${PACKAGES_BASE[@]}"
  install_missing "${PACKAGES_RUNTIME[@]}"
  install_missing "${PACKAGES_KUBERNETES[@]}" "${PACKAGES_EXTRA[@]}"
  sync
  rm -f "$MARK"
}
