# shellcheck shell=bash
step "finishing" "see the output above: $STATE and /etc must be writable"

# From here on the machine is its operator's: prepare and bootstrap do not run again, and cloud-init does nothing more. verify may wait
# for other machines for months, and what is upgraded meanwhile must stay upgraded.
done_already() { [[ -e $STATE/bootstrap.done ]]; }

run_step() {
  retire_cloud_init
  commit bootstrap.done
}
