# shellcheck shell=bash
step "setting the firewall: $FIREWALL" "see systemctl status of ${FIREWALL_SERVICES[*]:-firewalld.service}, and firewall-cmd --list-all"

# unwanted SERVICE: it is on the machine, and runs or would run after the next boot.
unwanted() { unit_exists "$1" && { systemctl is-active --quiet "$1" || systemctl is-enabled --quiet "$1"; }; }

# ports QUERY|ADD: now and after a reboot; networks in FIREWALL_SOURCES (pods, services) are trusted.
ports() {
  local item when
  for when in --permanent ''; do
    for item in "${FIREWALL_PORTS[@]/#/port=}" "${FIREWALL_SOURCES[@]/#/source=}"; do
      set -- "$1" ${when:+"$when"}
      if [[ $item == source=* ]]; then set -- "$@" --zone=trusted; fi
      firewall-cmd --quiet "${@:2}" "--query-$item" && continue
      [[ $1 == ADD ]] && firewall-cmd --quiet "${@:2}" "--add-$item" || return
    done
  done
}

done_already() {
  local service
  if [[ $FIREWALL == ports ]]; then
    systemctl is-enabled --quiet firewalld.service && systemctl is-active --quiet firewalld.service && ports QUERY
    return
  fi
  for service in "${FIREWALL_SERVICES[@]}"; do
    if unwanted "$service"; then echo "$service is on" && return 1; fi
  done
}

run_step() {
  local service
  if [[ $FIREWALL == ports ]]; then
    systemctl enable firewalld.service
    systemctl start firewalld.service
    ports ADD
    return
  fi
  for service in "${FIREWALL_SERVICES[@]}"; do
    unwanted "$service" || continue
    systemctl stop "$service"
    systemctl disable "$service"
  done
}
