# shellcheck shell=bash
step "applying the network plugin's manifests" "see kubectl --kubeconfig $ADMIN get nodes,pods -A, and the manifests: ${MANIFESTS[*]}"

# Whoever ran kubeadm init applies them. Should it die before that, another control plane does, but only where no node has
# ever become Ready: to one that is added years later the network is none of its business.
somebodys() { ! recorded init.done && kubectl_admin get nodes -o 'jsonpath={.items[*].status.conditions[?(@.type=="Ready")].status}' | grep -w True >/dev/null; }

done_already() {
  local file
  if somebodys; then return; fi
  for file in "${MANIFESTS[@]}"; do kubectl_admin get -f "$file" >/dev/null || return; done
}

run_step() {
  local file
  for file in "${MANIFESTS[@]}"; do kubectl_admin apply "${APPLY_FLAGS[@]}" -f "$file"; done
}
