# shellcheck shell=bash
step "joining the cluster through the rendezvous" "see rendezvous status on a control plane, or gen status; journalctl -u kubelet; $ENDPOINT must answer"

GRANT=/etc/muster/rendezvous/grant

# done_already: the join is reported and this machine's credential is gone. A machine whose credential is gone has nothing
# more to report, whatever else is missing.
done_already() { recorded join.done && [[ ! -e $GRANT ]]; }

joined() {
  [[ -s /etc/kubernetes/kubelet.conf && -s /var/lib/kubelet/pki/kubelet-client-current.pem ]] &&
    [[ $(curl -sS --noproxy '*' -m 10 http://127.0.0.1:10248/healthz) == ok ]]
}

# ask CALL BODY FILE: one control plane after the other, until one answers for all. The answer goes to FILE, which only root
# reads; what the rendezvous says against it to $message, its status to $code. Grant and token are on no command line.
ask() {
  local server new=$3.new
  for server in "${RENDEZVOUS[@]}"; do
    code=$(umask 077 && curl -sS --noproxy '*' -K "$GRANT" --cacert /etc/muster/rendezvous/ca.crt "${RENDEZVOUS_CURL[@]}" --connect-timeout 3 -m 60 \
      -H 'Content-Type: application/json' -d "$2" -o "$new" -w '%{http_code}' "https://$server/v1/$1") || code=000
    case $code in
    200) put "$new" "$3" && return ;;
    000) message="$server does not answer" ;;
    *) message=$(sed -n 's/.*"message":"\([^"]*\)".*/\1/p' "$new") ;;
    esac
    rm -f "$new"
    [[ $code == 000 || $code == 5?? ]] || break
  done
  return 1
}

# ask_until CALL BODY FILE: 409 and 5xx pass by themselves. All else is for a person, and a failure of the step.
ask_until() {
  until ask "$@"; do
    case $code in
    000 | 409 | 5??) waiting "the rendezvous: $message" && sleep "$POLL" ;;
    *) echo "the rendezvous refuses $1 ($code): $message" && return 1 ;;
    esac
  done
}

# forget: what could enrol a machine in this one's name is worth nothing any more, and goes.
forget() {
  rm -f /var/lib/cloud/instances/*/{user-data.txt,user-data.txt.i,cloud-config.txt,obj.pkl} "$RUN/discovery.conf"
  rm -f "$GRANT"
  sync
}

run_step() {
  local machine claim code message
  machine=$(</etc/machine-id)
  claim="{\"name\":\"$NODE_NAME\",\"machine\":\"$machine\"}"
  if [[ -e $STATE/join.started ]] && joined; then commit join.done; fi
  if ! recorded join.done; then
    ask_until enrol "$claim" "$RUN/discovery.conf"
    kubeadm_once join --config "$KUBEADM_JOIN" "${KUBEADM_FLAGS[@]}"
  fi
  ask_until "done" "$claim" "$RUN/done"
  forget
}
