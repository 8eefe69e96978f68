# shellcheck shell=bash
step "running the spec's commands after kubeadm" "repair what commands.after of the spec runs: it is run again as it stands"

done_already() { commands_done after "${COMMANDS_AFTER[@]}"; }

run_step() {
  if [[ -e $ADMIN ]]; then export KUBECONFIG=$ADMIN; fi
  run_commands after "${COMMANDS_AFTER[@]}"
}
