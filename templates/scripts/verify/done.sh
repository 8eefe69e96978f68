# shellcheck shell=bash
step "finishing" "see the output above: $STATE must be writable"

done_already() { [[ -e $STATE/done ]]; }

run_step() {
  local up result
  read -r up _ </proc/uptime
  result="$NODE_NAME ($ROLE) is in cluster $CLUSTER, Kubernetes $KUBERNETES_VERSION"
  if ! in_container; then result+=", ${up%.*} s after its last start"; fi # there it is the host's
  if [[ $DRY_RUN == true ]]; then
    result="$NODE_NAME is prepared and joins nothing: kubernetes.dryRun is set"
    if recorded init.done; then result="$NODE_NAME: the dry run of kubeadm went through; nothing was changed by it"; fi
  fi
  status "$result"
  commit "done" "$result"
  say "$result"
}
