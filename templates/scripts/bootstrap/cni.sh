# shellcheck shell=bash
step "applying the network plugin's manifests" "see kubectl --kubeconfig $ADMIN get nodes,pods -A, and the manifests: ${MANIFESTS[*]}"

done_already() {
  local file
  for file in "${MANIFESTS[@]}"; do kubectl_admin get -f "$file" >/dev/null || return; done
}

run_step() {
  local file
  for file in "${MANIFESTS[@]}"; do kubectl_admin apply -f "$file"; done
}
