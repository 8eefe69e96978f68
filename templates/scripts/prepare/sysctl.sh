# shellcheck shell=bash
step "applying kernel settings" "look at $SYSCTL_FILE: this kernel does not know the setting named above, or refuses its value"

done_already() { sysctl_each CHECK; }
run_step() { sysctl_each SET; }
