# shellcheck shell=bash
# muster.sh PHASE brings this machine through one phase of its first boot (prepare, bootstrap or verify): every step of
# the phase, in order, each tried until it is done. A step looks at the machine first and leaves alone what is as it
# should be, so a run that was cut at any point is simply run again. The loop is here and not in systemd because
# systemd 219 knows no Restart= for oneshot units.
#
# PHASE modules is what every boot needs before the kubelet. It applies the settings too, because those of bridges and
# of ipvs exist only once their modules are there. PHASE reset is what the rendezvous runs to undo a kubeadm that was cut.
set -o pipefail
export LC_ALL=C
phase=${1:?say which phase: modules, prepare, bootstrap, verify or reset}
load_conf || exit
case $phase in
modules)
  load_modules
  rc=$?
  if [[ $SYSCTL_FILE ]]; then set_sysctl || rc=1; fi
  exit $rc
  ;;
reset)
  undo_kubeadm
  exit
  ;;
prepare | bootstrap | verify) ;;
*) echo "there is no phase $phase" >&2 && exit 2 ;;
esac
[[ -e $STATE/done || -e $STATE/bootstrap.done && $phase != verify ]] && exit 0
mkdir -p "$STATE" "$RUN" && chmod 0700 "$RUN" || exit # discovery.conf is secret
exec 3>&1 9>"$RUN/$phase.lock"
flock 9 # a second runner waits, and finds all done
child="" rc=0
trap 'kill ${child:+"$child"} 2>/dev/null; exit 143' TERM INT

# step TITLE ADVICE: how a step introduces itself; the advice is what a person can do when it fails.
step() { TITLE=$1 ADVICE=$2; }

# in_step CHECK|RUN: in a shell of its own, so that one step changes nothing for the next, with its result in rc. Never
# call it in a condition: bash would ignore set -e inside. It runs in the background because only then does a signal to
# the runner act at once. What a step says goes to the journal while it works.
in_step() {
  (
    set -eE
    if [[ $1 == RUN ]]; then
      # In bash 4.2 the trap's own commands become BASH_COMMAND, and its result the exit code.
      failed=
      trap 'rc=$? failed=$BASH_COMMAND; [[ $failed == return* ]] || echo "this failed: $failed" >&2; exit $rc' ERR
      run_step
    else
      done_already
    fi
  ) >>"$log" 2>&1 </dev/null 9>&- &
  child=$!
  if [[ $1 == RUN ]]; then tail -f -s.1 -n+1 --pid=$child "$log" 9>&- & fi
  local follower=$!
  wait "$child"
  rc=$?
  child=
  wait "$follower"
}

# report: which step failed, why, what to do, and when it is tried again.
report() {
  local line
  say "$LABEL: FAILED at try $try (exit $rc): $TITLE"
  tail -n 5 "$log" | tr -cd '\n -~' | while IFS= read -r line; do say "  | $line"; done
  say "  what to do: $ADVICE"
  say "  tried again in $delay s; the whole output: $log"
  status "$LABEL: failed: $TITLE. What to do: $ADVICE"
  tell "$LABEL" "$TITLE: $(tail -n 1 "$log")" 9>&- &
}

# run_until_done: the step whose functions were defined last.
run_until_done() {
  local begin=$SECONDS delay=${MUSTER_RETRY:-5} try=1
  : >"$log"
  in_step CHECK
  if ((rc == 0)); then
    say "$LABEL: nothing to do"
    return
  fi
  tell "$LABEL" 9>&- &
  while :; do
    status "$LABEL: $TITLE (try $try)"
    : >"$log"
    in_step RUN
    if ((rc == 0)); then in_step CHECK; fi
    if ((rc == 0)); then break; fi
    report
    sleep "$delay" 9>&- &
    wait $!
    delay=$((delay * 2 > 300 ? 300 : delay * 2)) try=$((try + 1))
  done
  say "$LABEL: done ($((SECONDS - begin)) s)"
}

names=()
for name in "${STEPS[@]}"; do
  if [[ $name == "$phase"_* ]]; then names+=("${name#*_}"); fi
done
number=0
for name in "${names[@]}"; do
  LABEL="$phase $((++number))/${#names[@]} $name" log=$RUN/$phase-$name.log
  define_step "${phase}_$name"
  run_until_done
done
[[ -e $STATE/done ]] || status "$phase: finished"
