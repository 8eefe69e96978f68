# shellcheck shell=bash
step "opening the firewall's ports" "see systemctl status firewalld.service, and firewall-cmd --list-all"

# After the packages, since an image may lack firewalld, and before the runtime, whose rules firewalld's start would undo.

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

done_already() { systemctl is-enabled --quiet firewalld.service && systemctl is-active --quiet firewalld.service && ports QUERY; }

run_step() {
  systemctl enable firewalld.service
  systemctl start firewalld.service
  ports ADD
}
