# shellcheck shell=bash
step "waiting for the cluster" "see muster-rendezvous on the control planes. By hand: put a kubeconfig with the cluster's address, its CA and a token of kubeadm token create --ttl 15m into $RUN/discovery.conf"

done_already() { [[ -s $RUN/discovery.conf || -e $STATE/join.done ]]; }

run_step() {
  until done_already; do
    waiting "a control plane of $CLUSTER to hand out $RUN/discovery.conf. $ADVICE"
    sleep "$POLL"
  done
}
