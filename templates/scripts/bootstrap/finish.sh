# shellcheck shell=bash
step "noting that this machine is set up" "see the output above: $STATE must be writable"

# From here on the machine is its operator's: prepare and bootstrap do not run again, and cloud-init repairs nothing. verify may wait
# for other machines for months, and what is upgraded meanwhile must stay upgraded.
done_already() { recorded bootstrap.done; }

run_step() {
  sync
  commit bootstrap.done
}
