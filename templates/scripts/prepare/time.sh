# shellcheck shell=bash
step "setting the clock" "see timedatectl and systemctl status $TIME_SERVICE: the machine must reach a time server, or have the right time in its hardware clock"

# Certificates of package sources are checked by this clock, so it is set before them if it can be. A time service that comes with
# the packages is left to the step clock.
done_already() { ! unit_exists "$TIME_SERVICE" || clock_done; }
run_step() { set_clock; }
