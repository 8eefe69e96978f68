# shellcheck shell=bash
step "looking for what the image should hold" "the spec says packages.preinstalled: put what is missing into the image, or take that line out"

done_already() {
  local name rc=0 names=(kubeadm kubelet "$RUNTIME")
  if [[ $ROLE == control-plane ]]; then names+=(kubectl); fi
  for name in "${names[@]}"; do
    command -v "$name" >/dev/null || { echo "$name is missing" && rc=1; }
  done
  unit_exists "$RUNTIME_SERVICE" || { echo "$RUNTIME_SERVICE is missing" && rc=1; }
  unit_exists kubelet.service || { echo "kubelet.service is missing" && rc=1; }
  ((rc == 0)) || return
  [[ $(kubeadm version -o short) == "$KUBERNETES_VERSION" ]] || { echo "kubeadm is $(kubeadm version -o short), not $KUBERNETES_VERSION" && rc=1; }
  [[ $(kubelet --version) == "Kubernetes $KUBERNETES_VERSION" ]] || { echo "kubelet is $(kubelet --version), not $KUBERNETES_VERSION" && rc=1; }
  return $rc
}

run_step() { :; }
