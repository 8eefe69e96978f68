# shellcheck shell=bash
step "joining the cluster through the rendezvous" "see gen status, or rendezvous status on a control plane; journalctl -u kubelet; $ENDPOINT must answer"

# done_already: the join is reported and this machine's credential is gone. A machine whose credential is gone has nothing
# more to report, whatever else is missing.
done_already() { kubeadm_done join && [[ ! -e $GRANT ]]; }

# joined: a worker that was cut between its join and the stamp is a member already, and kubeadm would refuse the name.
joined() {
  [[ -e $STATE/join.started && -s /etc/kubernetes/kubelet.conf && -s /var/lib/kubelet/pki/kubelet-client-current.pem ]] &&
    [[ $(curl -sS --noproxy '*' -m 10 http://127.0.0.1:10248/healthz) == ok ]]
}

# ask_until CALL BODY FILE: 409 and 5xx pass by themselves. All else is for a person, and a failure of the step.
ask_until() {
  until ask "$@"; do
    case $code in
    000 | 409 | 5??)
      waiting "the rendezvous: $message"
      sleep "$POLL"
      ;;
    *) echo "the rendezvous refuses $1 ($code): $message" && return 1 ;;
    esac
  done
}

# forget: what could enrol a machine in this one's name is worth nothing any more, and goes. Without obj.pkl cloud-init knows no
# instance; a seed that an installer copied stays one, without user-data, and one that is a medium stays as it is.
forget() {
  retire_cloud_init
  rm -f /var/lib/cloud/instances/*/{*.txt*,obj.pkl} "$RUN/discovery.conf"
  truncate -cs0 /var/lib/cloud/seed/*/user-data || :
  rm -f "$GRANT"
  sync
}

run_step() {
  local machine claim code message
  machine=$(</etc/machine-id)
  claim="{\"name\":\"$NODE_NAME\",\"machine\":\"$machine\"}"
  if ! recorded join.done; then
    if joined; then
      rm -f /etc/kubernetes/bootstrap-kubelet.conf # holds a token; kubeadm takes it away at its end
      commit join.done
    else
      ask_until enrol "$claim" "$RUN/discovery.conf"
    fi
  fi
  kubeadm_once join --config "$KUBEADM_JOIN" "${KUBEADM_FLAGS[@]}"
  ask_until "done" "$claim" "$RUN/done"
  forget
}
