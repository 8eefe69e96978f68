# shellcheck shell=bash
step "switching the firewall off" "see systemctl status ${FIREWALL_SERVICES[*]}"

# unwanted SERVICE: it is on the machine, and runs or would run after the next boot.
unwanted() { unit_exists "$1" && { systemctl is-active --quiet "$1" || systemctl is-enabled --quiet "$1"; }; }

done_already() {
  local service
  for service in "${FIREWALL_SERVICES[@]}"; do
    if unwanted "$service"; then echo "$service is on" && return 1; fi
  done
}

run_step() {
  local service
  for service in "${FIREWALL_SERVICES[@]}"; do
    unwanted "$service" || continue
    systemctl stop "$service"
    systemctl disable "$service"
  done
}
