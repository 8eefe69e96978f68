# shellcheck shell=bash
step "founding or joining the cluster through the rendezvous" "see rendezvous status; journalctl -u muster-rendezvous -u kubelet; the containers of kube-system. It waits for a majority of the control planes"

# Which control plane runs kubeadm init is decided by the rendezvous' lease, so every one has both configurations.
done_already() { kubeadm_done init || kubeadm_done join; }

run_step() {
  local rc=0
  if [[ ! -e $STATE/kubeadm.started ]]; then
    keep_files
    commit kubeadm.started
  fi
  if ! recorded init.done && ! recorded join.done; then
    rendezvous init -- kubeadm init --config "$KUBEADM_INIT" --skip-token-print "${KUBEADM_FLAGS[@]}" || rc=$?
    case $rc in
    0) commit init.done ;;
    10)
      rendezvous join -- kubeadm join --config "$KUBEADM_JOIN" "${KUBEADM_FLAGS[@]}"
      commit join.done
      ;;
    *) return "$rc" ;;
    esac
  fi
  rm -f "$STATE/kept"
}
