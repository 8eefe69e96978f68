# shellcheck shell=bash
step "joining the cluster with kubeadm join" "see the output above and journalctl -u kubelet: $ENDPOINT must answer, and no other machine may be in the cluster as $NODE_NAME; the next try undoes this one first"

# joined_before: a worker that was cut between its join and the stamp is a member already, and kubeadm would refuse the
# name. What a control plane lacks in such a case cannot be seen from here: it starts anew.
joined_before() {
  [[ $ROLE == worker && -e $STATE/join.started && -s /etc/kubernetes/kubelet.conf && -s /var/lib/kubelet/pki/kubelet-client-current.pem ]] &&
    [[ $(curl -sS --noproxy '*' -m 10 http://127.0.0.1:10248/healthz) == ok ]]
}

done_already() { kubeadm_done join; }

run_step() {
  if joined_before; then
    rm -f /etc/kubernetes/bootstrap-kubelet.conf # holds a token; kubeadm takes it away at its end
    commit join.done
  fi
  kubeadm_once join --config "$KUBEADM_JOIN" "${KUBEADM_FLAGS[@]}"
}
