# shellcheck shell=bash
step "applying kernel settings" "look at $SYSCTL_FILE: this kernel does not know the setting named above, or refuses its value"

# What the kernel took in this boot is done. It cannot be read back: the kernel may show a setting in other words, round it, or not show it.
done_already() { cmp -s "$SYSCTL_FILE" "$RUN/sysctl"; }

run_step() {
  set_sysctl
  cp "$SYSCTL_FILE" "$RUN/sysctl"
}
