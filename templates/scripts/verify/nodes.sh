# shellcheck shell=bash
step "waiting for the nodes to be ready" "see journalctl -u kubelet, and kubectl get nodes,pods -A on a control plane"

healthy() { [[ -s /etc/kubernetes/kubelet.conf && $(curl -sS --noproxy '*' -m 10 http://127.0.0.1:10248/healthz) == ok ]]; }

# missing: the nodes of the spec that are not Ready.
missing() {
  local ready node names=()
  ready=$(kubectl_admin get nodes -o 'jsonpath={range .items[*]}{.metadata.name}={.status.conditions[?(@.type=="Ready")].status}{"\n"}{end}' 2>/dev/null) ||
    { echo "the API server" && return; }
  for node in "${NODES[@]}"; do
    grep -Fqx "$node=True" <<<"$ready" || names+=("$node")
  done
  echo "${names[*]}"
}

done_already() {
  if [[ $ROLE == worker ]]; then healthy; else [[ -z $(missing) ]]; fi
}

# Other machines may boot whenever they like: a control plane waits, and a worker looks only at itself.
run_step() {
  local names
  if [[ $ROLE == worker ]]; then
    wait_for healthy
    return
  fi
  names=$(missing)
  while [[ $names ]]; do
    waiting "these to be ready: $names"
    sleep "$POLL"
    names=$(missing)
  done
}
