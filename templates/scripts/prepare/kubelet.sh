# shellcheck shell=bash
step "enabling the kubelet" "see systemctl status kubelet.service: the unit comes with the kubelet's package or with the profile"

done_already() { systemctl is-enabled --quiet kubelet.service; }

run_step() {
  systemctl daemon-reload
  systemctl enable kubelet.service
}
