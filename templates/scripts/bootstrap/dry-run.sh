# shellcheck shell=bash
step "trying kubeadm init without founding a cluster" "see the output above, and journalctl -u kubelet"

done_already() { kubeadm_done init; }
run_step() { kubeadm_once init --config "$KUBEADM_INIT" --skip-token-print "${KUBEADM_FLAGS[@]}"; }
