# shellcheck shell=bash
step "starting $RUNTIME" "see journalctl -u $RUNTIME_SERVICE: its configuration, or the configuration that the spec merged into it, may be refused"

CONFIG=/etc/docker/daemon.json
if [[ $RUNTIME == containerd ]]; then CONFIG=/etc/containerd/config.toml; fi

# answers: "started" is not ready, and containerd runs happily with its CRI plugin disabled.
answers() {
  local socket="unix://${CRI_SOCKET#unix://}"
  if [[ $RUNTIME == docker ]]; then
    timeout 20 docker info >/dev/null || return
    if [[ $CRI_SOCKET == */dockershim.sock ]]; then return; fi
  fi
  if command -v crictl >/dev/null; then
    timeout 20 crictl --runtime-endpoint "$socket" info >/dev/null
  elif [[ $RUNTIME == containerd ]]; then
    timeout 20 ctr --address "${socket#unix://}" plugins ls | grep -E '^io\.containerd\.grpc\.v1 +cri .* ok *$' >/dev/null
  else
    [[ -S ${socket#unix://} ]]
  fi
}

done_already() { service_current "$RUNTIME_SERVICE" "$CONFIG" && answers; }

run_step() {
  service_current "$RUNTIME_SERVICE" "$CONFIG" || service_renew "$RUNTIME_SERVICE" "$CONFIG"
  wait_for answers || { echo "$RUNTIME runs, but does not answer on $CRI_SOCKET" && return 1; }
}
