# shellcheck shell=bash
step "founding the cluster with kubeadm init" "see the output above, journalctl -u kubelet and the containers of kube-system: the next try undoes this one first"

done_already() { kubeadm_done init; }
run_step() { kubeadm_once init --config "$KUBEADM_INIT" --skip-token-print "${KUBEADM_FLAGS[@]}"; }
