# shellcheck shell=bash
step "running the spec's commands before kubeadm" "repair what commands.before of the spec runs: it is run again as it stands"

done_already() { commands_done before "${COMMANDS_BEFORE[@]}"; }
run_step() { run_commands before "${COMMANDS_BEFORE[@]}"; }
