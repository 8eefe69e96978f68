# shellcheck shell=bash
step "checking the cluster with nginx" "see kubectl --kubeconfig $ADMIN get deployment,service,pods -o wide for muster-check, and whether the nodes can pull $NGINX_IMAGE"

# Only one control plane checks: the one whose kubeadm init stands.
done_already() {
  local left
  if recorded join.done; then return; fi
  grep -qs '^ok$' "$STATE/check.txt" || return
  left=$(kubectl_admin get deployment,service muster-check --ignore-not-found -o name) && [[ -z $left ]]
}

# deployment: for nodes that take no ordinary pods, too: a cluster may have no others. One that is evicted (NoExecute), as from a node that is
# not ready any more, has to go. The spec lets nothing into an image's name that JSON would have to escape.
deployment() {
  echo '{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "muster-check"}, "spec":' \
    '{"selector": {"matchLabels": {"app": "muster-check"}}, "template": {"metadata": {"labels": {"app": "muster-check"}}, "spec":' \
    '{"containers": [{"name": "nginx", "image": "'"$NGINX_IMAGE"'"}], "tolerations": [{"operator": "Exists", "effect": "NoSchedule"}]}}}}'
}

fetches() { curl -fsS --noproxy '*' -m 10 "$1" >/dev/null; }

# pages PORT: one line a node; an IPv6 address needs brackets.
pages() {
  local list node address all=ok
  list=$(kubectl_admin get nodes -o 'jsonpath={range .items[*]}{.metadata.name} {.status.addresses[?(@.type=="InternalIP")].address}{"\n"}{end}')
  [[ $list ]]
  while read -r node address _; do
    if [[ $address == *:* ]]; then address="[$address]"; fi
    if wait_for fetches "http://$address:$1/"; then
      echo "$node http://$address:$1/ ok"
    else
      echo "$node http://$address:$1/ failed"
      all=failed
    fi
  done <<<"$list"
  echo $all
}

run_step() {
  local port
  kubectl_admin get deployment muster-check >/dev/null || deployment | kubectl_admin create -f -
  kubectl_admin get service muster-check >/dev/null || kubectl_admin expose deployment muster-check --port=80 --target-port=80 --type=NodePort
  kubectl --kubeconfig "$ADMIN" rollout status deployment muster-check --timeout="${WAIT}s"
  port=$(kubectl_admin get service muster-check -o 'jsonpath={.spec.ports[0].nodePort}')
  pages "$port" | atomic_write "$STATE/check.txt"
  while read -r line; do say "$LABEL: $line"; done <"$STATE/check.txt"
  # The last line is what the status of the rendezvous shows.
  if grep ' failed$' "$STATE/check.txt" | paste -sd,; then return 1; fi
  kubectl_admin delete deployment,service muster-check
}
