# shellcheck shell=bash
# What the runner and the steps share. What has to outlive a power cut lies in $STATE, what belongs to one boot in $RUN.
STATE=/var/lib/muster RUN=/run/muster ISSUE=/etc/issue.d/muster.issue
# Functions that act count on the runner's set -e; functions that ask, and those the runner itself uses, do not.
#
# Seconds: the longest wait of a step before it counts as failed, and the pause between two looks.
WAIT=${MUSTER_WAIT:-300} POLL=${MUSTER_POLL:-2}

load_conf() {
  # shellcheck source=/dev/null
  . /etc/muster/node.conf || return
  NODE_NAME=${NODE_NAME:-$HOSTNAME} CERTIFICATES_DIR=${CERTIFICATES_DIR:-/etc/kubernetes/pki}
  export PATH=${BIN_DIR:+$BIN_DIR:}/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
  if [[ $HTTP_PROXY ]]; then export HTTP_PROXY http_proxy=$HTTP_PROXY; fi
  if [[ $HTTPS_PROXY ]]; then export HTTPS_PROXY https_proxy=$HTTPS_PROXY; fi
  if [[ $NO_PROXY ]]; then export NO_PROXY no_proxy=$NO_PROXY; fi
  ADMIN=/etc/kubernetes/admin.conf GRANT=/etc/muster/rendezvous/grant
}

# say TEXT: one line for the journal and the console; a machine without a console is no error.
say() {
  echo "muster: $*" >&3
  { echo "muster: $*" >>/dev/console; } 2>/dev/null || :
}

# status TEXT: what the login screen says. agetty from 2.35 on reads the folder; it would expand a backslash.
status() {
  atomic_write "$ISSUE" <<<"muster: $NODE_NAME: ${*//\\/}" && { agetty --reload 2>/dev/null || :; }
}

# waiting TEXT: for a step that waits for somebody else, which is no failure; each text is said once.
waiting() {
  [[ ${waited:-} == "$*" ]] && return
  waited=$*
  say "$LABEL: waiting for $*"
  status "waiting for $*"
}

# wait_for COMMAND...: until it succeeds, $WAIT seconds at most.
wait_for() {
  local end=$((SECONDS + WAIT))
  until "$@"; do
    ((SECONDS < end)) || return 1
    sleep "$POLL"
  done
}

# atomic_write FILE [MODE]: standard input becomes the file, whole or not at all; one that is equal stays untouched.
atomic_write() {
  local text new=$1.muster-new
  IFS= read -r -d '' text || :
  [[ -f $1 ]] && cmp -s "$1" <(printf %s "$text") && [[ $(stat -c %a "$1") == "${2:-644}" ]] && return
  mkdir -p "${1%/*}" && (umask 077 && printf %s "$text" >"$new") && chmod "${2:-644}" "$new" && put "$new" "$1"
}

# put FILE TARGET: renames for good. coreutils before 8.24 take no names and sync everything, which serves as well.
put() { sync "$1" && mv -fT "$1" "$2" && sync "${2%/*}"; }

# commit NAME [TEXT]: a stamp in $STATE that stands after a power cut; recorded NAME [TEXT] tells whether it is there.
commit() { atomic_write "$STATE/$1" <<<"${2:-done}"; }
recorded() { [[ -f $STATE/$1 && $(<"$STATE/$1") == "${2:-done}" ]]; }

# get FILE URL: no server makes a step wait for ever, not even one that takes the call and stays silent.
get() { curl -fsSL --retry 3 --connect-timeout 20 --speed-limit 1000 --speed-time "${MUSTER_SPEED:-60}" -o "$@"; }

# config_sum SERVICE FILE...: a digest of what the service reads when it starts.
config_sum() {
  local service=$1
  shift
  { cat "$@" "/etc/systemd/system/$service.d/"* 2>/dev/null || :; } | sha256sum
}

# service_current SERVICE FILE...: it runs, starts at boot, and was last started by us with the files as they are now.
service_current() {
  systemctl is-active --quiet "$1" && systemctl is-enabled --quiet "$1" && recorded "$1.config" "$(config_sum "$@")"
}

service_renew() {
  local sum
  sum=$(config_sum "$@")
  systemctl daemon-reload
  systemctl reset-failed "$1" 2>/dev/null || :
  systemctl enable "$1"
  systemctl restart "$1"
  commit "$1.config" "$sum"
}

# unit_exists UNIT
unit_exists() { [[ $(systemctl show -p LoadState "$1") == LoadState=loaded ]]; }

# synchronised: in the words of systemd 219, and of later ones. Without D-Bus nobody knows.
synchronised() { timedatectl | grep -E '(NTP|System clock) synchronized: yes' >/dev/null; }

# late_enough: NOT_BEFORE is in seconds since 1970.
late_enough() {
  (($(date +%s) >= ${NOT_BEFORE:-0})) || { echo "the clock says $(date -u), which is before this cluster was made" && return 1; }
}

in_zone() { [[ -z $TIMEZONE || $(readlink /etc/localtime) == */zoneinfo/$TIMEZONE ]]; }

# time_service current|renew: one that an image lacks matters only if it is to ask the spec's servers.
time_service() {
  if [[ ! $TIME_CONFIG ]] && ! unit_exists "$TIME_SERVICE"; then return; fi
  "service_$1" "$TIME_SERVICE" ${TIME_CONFIG:+"$TIME_CONFIG"}
}

# clock_done: a machine that reaches no server goes on after a bounded wait ($RUN/clock), but never while the clock stands before the
# cluster's secrets were made.
clock_done() {
  in_zone || { echo "the time zone is not $TIMEZONE" && return 1; }
  if in_container; then late_enough && say "$LABEL: this is a container: the clock is its host's"; return; fi
  time_service current || { echo "$TIME_SERVICE does not run with its configuration" && return 1; }
  synchronised || [[ -e $RUN/clock ]] || { echo "the clock is not synchronised" && return 1; }
  late_enough
}

# set_clock sets the zone by hand, since timedatectl needs D-Bus.
set_clock() {
  if ! in_zone; then
    [[ -e /usr/share/zoneinfo/$TIMEZONE ]] || { echo "this machine does not know the time zone $TIMEZONE" && return 1; }
    if [[ -f /etc/timezone ]]; then atomic_write /etc/timezone <<<"$TIMEZONE"; fi
    ln -sfn "/usr/share/zoneinfo/$TIMEZONE" /etc/localtime.muster-new
    mv -fT /etc/localtime.muster-new /etc/localtime
  fi
  if in_container; then return; fi
  time_service current || time_service renew
  if ! wait_for synchronised; then
    late_enough
    say "$LABEL: the clock is not synchronised after $WAIT s; going on with $(date -u)"
    : >"$RUN/clock"
  fi
}

# in_container: kernel and clock are then the host's business (nodes under systemd-nspawn, for tests).
in_container() { systemd-detect-virt --container --quiet; }

load_modules() {
  local module rc=0
  if in_container; then return; fi
  for module in "${MODULES[@]/%nf?conntrack/$(conntrack_module)}"; do module_loaded "$module" || modprobe -- "$module" || rc=1; done
  if [[ $IPVS == true ]]; then /bin/bash "$IPVS_SCRIPT" || rc=1; fi
  return $rc
}

# module_loaded NAME: as a module, or built into the kernel. The name may be an alias (ext2, which is ext4).
module_loaded() {
  local name
  read -r name < <(modprobe -R "$1" 2>/dev/null) || name=$1
  name=${name//-/_}
  grep -qs "^$name " /proc/modules || [[ -d /sys/module/$name ]] ||
    grep -q "/$name\.ko" <(tr - _ 2>/dev/null <"/lib/modules/$(uname -r)/modules.builtin")
}

# conntrack_module: an old kernel has nf_conntrack too, but makes the settings of TCP only with nf_conntrack_ipv4, which
# brings it. The kernel's version does not tell which one it has (RHEL's 4.18 lost the old one).
conntrack_module() { if modinfo nf_conntrack_ipv4 &>/dev/null; then echo nf_conntrack_ipv4; else echo nf_conntrack; fi; }

# set_sysctl writes every setting of $SYSCTL_FILE under /proc/sys. As with sysctl(8), the first separator of a key
# decides whether dots or slashes part it. What a container cannot write is its host's.
set_sysctl() {
  local key value path rc=0
  while IFS='=' read -r key value || [[ $key ]]; do
    read -r key <<<"$key" && read -r value <<<"$value"
    case $key in '' | '#'* | ';'*) continue ;; esac
    path=$key
    [[ ${key%%[./]*} == "${key%%.*}" ]] && path=$(tr ./ /. <<<"$key")
    path=/proc/sys/$path
    if [[ ! -w $path ]] && in_container; then continue; fi
    echo "$value" >"$path" || { echo "$key cannot be set to '$value'" && rc=1; }
  done <"$SYSCTL_FILE"
  return $rc
}

# keep_files: kubeadm reset empties three folders. What lies there before kubeadm (a CA of the user's, static pods, a registry's login) is
# kept for undo_kubeadm, by names that follow a link in a folder's place.
keep_files() {
  if [[ -e $STATE/kept ]]; then return; fi
  (umask 077 && tar -cPf "$STATE/kept.new" -T <(find "$CERTIFICATES_DIR/." /etc/kubernetes/manifests/. /var/lib/kubelet/. -maxdepth 0))
  put "$STATE/kept.new" "$STATE/kept"
}

# undo_kubeadm undoes a run that was cut, since kubeadm does not continue, and puts back what lay there before it.
undo_kubeadm() {
  kubeadm reset -f --cri-socket "$CRI_SOCKET" --cert-dir "$CERTIFICATES_DIR" || return
  if [[ -e $STATE/kept ]]; then tar -xPf "$STATE/kept"; fi
}

# kubeadm_done init|join: committed, and no copy is left of what may be secret.
kubeadm_done() { recorded "$1.done" && [[ ! -e $STATE/kept ]]; }

# kubeadm_once init|join FLAG...: at most one finished run. What was kept goes last: before the commit it may
# still be needed.
kubeadm_once() {
  if ! recorded "$1.done"; then
    if [[ -e $STATE/$1.started ]]; then
      echo "kubeadm $1 was cut before its end: undoing it"
      undo_kubeadm
    else
      keep_files
      commit "$1.started"
    fi
    kubeadm "$@"
    sync
    commit "$1.done"
  fi
  rm -f "$STATE/kept"
}

# retire_cloud_init, for good, once the document has done its work and all of it is on the disk: at a start without its medium or metadata
# it would take this machine for a new one, with DHCP in place of its network, other host keys and another name.
retire_cloud_init() {
  sync
  if [[ -e /var/lib/cloud/instance ]]; then
    atomic_write /etc/cloud/cloud-init.disabled <<<"by Muster, since this machine is set up"
  fi
}

# ask CALL BODY FILE: a worker asks one control plane after the other, until one answers for all. The answer goes to FILE,
# which only root reads; its status to $code, and what speaks against it to $message: of several reasons the one of who
# knows most, which is a control plane that waits for something itself. Grant and token are on no command line.
ask() {
  local server new=$3.new text knows known=0
  for server in "${RENDEZVOUS[@]}"; do
    code=$(umask 077 && curl -sS --noproxy '*' -K "$GRANT" --cacert /etc/muster/rendezvous/ca.crt "${CURL_ARGS[@]}" --connect-timeout 3 -m 60 \
      -H 'Content-Type: application/json' -d "$2" -o "$new" -w '%{http_code}' "https://$server/v1/$1" 2>"$new.err") || code=000
    text=$(sed -n 's/.*"message":"\([^"]*\)".*/\1/p' "$new" 2>/dev/null) knows=2
    case $code in
    200) put "$new" "$3" && return ;;
    000) text="$server does not answer ($(sed 's/^curl: //; s/ after .* ms//' "$new.err"))" knows=1 ;;
    503) if grep -q '"code":"waiting"' "$new"; then knows=3; fi ;;
    esac
    # shellcheck disable=SC2034 # the caller shows it
    if ((knows >= known)); then message=$text known=$knows; fi
    rm -f "$new" "$new.err"
    [[ $code == 000 || $code == 5?? ]] || break
  done
  return 1
}

# tell STEP [ERROR]: the rendezvous, for whoever looks at its status. Nothing depends on it.
tell() {
  local error
  error=$(tr -cd 'a-zA-Z0-9 .,:;/()=+-' <<<"${2:-}")
  if [[ -e $GRANT ]]; then
    ask progress "{\"name\":\"$NODE_NAME\",\"machine\":\"$(</etc/machine-id)\",\"step\":\"$1\",\"error\":\"$error\"}" "$RUN/told"
  elif [[ -e /etc/muster/rendezvous/config.json ]]; then
    timeout 60 rendezvous progress "$1" "$error"
  fi &>/dev/null
}

kubectl_admin() { kubectl --kubeconfig "$ADMIN" --request-timeout 30s "$@"; }
