# shellcheck shell=bash
step "enabling units" "see systemctl status ${UNITS_ENABLED[*]}: a unit of the spec without contents has to come with the image or with a package"

# Only now, since a unit may come with a package, or read what is fetched. One that is enabled was started, by its package or at boot.

done_already() {
  local unit
  for unit in "${UNITS_ENABLED[@]}"; do
    systemctl is-enabled --quiet "$unit" || { echo "$unit is not enabled" && return 1; }
  done
}

run_step() {
  local unit
  systemctl daemon-reload
  for unit in "${UNITS_ENABLED[@]}"; do
    systemctl enable "$unit"
    systemctl start --no-block "$unit" # it may be ordered after muster's own
  done
}
