# shellcheck shell=bash
step "setting the clock" "see timedatectl and systemctl status $TIME_SERVICE: the machine must reach a time server, or have the right time in its hardware clock"

# Certificates are made with this clock, so it must be synchronised first. A machine that reaches no server goes on
# after a bounded wait ($RUN/clock), but never while the clock stands before the cluster's secrets were made.
synchronised() { timedatectl | grep -E '(NTP|System clock) synchronized: yes' >/dev/null; } # systemd 219, and later

# late_enough: NOT_BEFORE is in seconds since 1970.
late_enough() {
  (($(date +%s) >= ${NOT_BEFORE:-0})) || { echo "the clock says $(date -u), which is before this cluster was made" && return 1; }
}

done_already() {
  [[ -z $TIMEZONE || $(readlink /etc/localtime) == */zoneinfo/$TIMEZONE ]] || return
  service_current "$TIME_SERVICE" ${TIME_CONFIG:+"$TIME_CONFIG"} || return
  synchronised || [[ -e $RUN/clock ]] || return
  late_enough
}

run_step() {
  if [[ $TIMEZONE && $(readlink /etc/localtime) != */zoneinfo/$TIMEZONE ]]; then timedatectl set-timezone "$TIMEZONE"; fi
  service_current "$TIME_SERVICE" ${TIME_CONFIG:+"$TIME_CONFIG"} || service_renew "$TIME_SERVICE" ${TIME_CONFIG:+"$TIME_CONFIG"}
  if ! wait_for synchronised; then
    late_enough
    say "$LABEL: the clock is not synchronised after $WAIT s; going on with $(date -u)"
    : >"$RUN/clock"
  fi
}
