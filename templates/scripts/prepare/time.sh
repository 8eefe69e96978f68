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
  [[ -z $TIMEZONE || $(readlink /etc/localtime) == */zoneinfo/$TIMEZONE ]] || { echo "the time zone is not $TIMEZONE" && return 1; }
  if in_container; then late_enough && say "$LABEL: this is a container: the clock is its host's"; return; fi
  service_current "$TIME_SERVICE" ${TIME_CONFIG:+"$TIME_CONFIG"} || { echo "$TIME_SERVICE does not run with its configuration" && return 1; }
  synchronised || [[ -e $RUN/clock ]] || { echo "the clock is not synchronised" && return 1; }
  late_enough
}

run_step() {
  if [[ $TIMEZONE && $(readlink /etc/localtime) != */zoneinfo/$TIMEZONE ]]; then timedatectl set-timezone "$TIMEZONE"; fi
  in_container || service_current "$TIME_SERVICE" ${TIME_CONFIG:+"$TIME_CONFIG"} || service_renew "$TIME_SERVICE" ${TIME_CONFIG:+"$TIME_CONFIG"}
  if ! in_container && ! wait_for synchronised; then
    late_enough
    say "$LABEL: the clock is not synchronised after $WAIT s; going on with $(date -u)"
    : >"$RUN/clock"
  fi
}
