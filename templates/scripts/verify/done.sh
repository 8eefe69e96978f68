# shellcheck shell=bash
step "finishing" "see the output above: $STATE and /etc must be writable"
# The status of the rendezvous keeps what is told last: this step.
if [[ -e $STATE/check.txt ]]; then LABEL+=", nginx answers on all nodes"; fi

done_already() { [[ -e $STATE/done ]]; }

run_step() {
  local result
  result="$NODE_NAME ($ROLE) is in cluster $CLUSTER, Kubernetes $KUBERNETES_VERSION"
  if ! in_container; then result+=", $(cut -d. -f1 /proc/uptime) s after its last start"; fi # there it is the host's
  if [[ $DRY_RUN == true ]]; then
    result="$NODE_NAME is prepared and joins nothing: kubernetes.dryRun is set"
    if recorded init.done; then result="$NODE_NAME: the dry run of kubeadm went through; nothing was changed by it"; fi
  fi
  status "$result"
  commit "done" "$result"
  say "$result"
}
