#!/bin/bash
# Put together by gen from its templates, whose comments are left out here.
STATE=/var/lib/muster RUN=/run/muster ISSUE=/etc/issue.d/muster.issue
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
say() {
echo "muster: $*" >&3
{ echo "muster: $*" >>/dev/console; } 2>/dev/null || :
}
status() {
atomic_write "$ISSUE" <<<"muster: $NODE_NAME: ${*//\\/}" && { agetty --reload 2>/dev/null || :; }
}
waiting() {
[[ ${waited:-} == "$*" ]] && return
waited=$*
say "$LABEL: waiting for $*"
status "waiting for $*"
}
wait_for() {
local end=$((SECONDS + WAIT))
until "$@"; do
((SECONDS < end)) || return 1
sleep "$POLL"
done
}
atomic_write() {
local text new=$1.muster-new
IFS= read -r -d '' text || :
[[ -f $1 ]] && cmp -s "$1" <(printf %s "$text") && [[ $(stat -c %a "$1") == "${2:-644}" ]] && return
mkdir -p "${1%/*}" && (umask 077 && printf %s "$text" >"$new") && chmod "${2:-644}" "$new" && put "$new" "$1"
}
put() { sync "$1" && mv -fT "$1" "$2" && sync "${2%/*}"; }
commit() { atomic_write "$STATE/$1" <<<"${2:-done}"; }
recorded() { [[ -f $STATE/$1 && $(<"$STATE/$1") == "${2:-done}" ]]; }
get() { curl -fsSL --retry 3 --connect-timeout 20 --speed-limit 1000 --speed-time "${MUSTER_SPEED:-60}" -o "$@"; }
config_sum() {
local service=$1
shift
{ cat "$@" "/etc/systemd/system/$service.d/"* 2>/dev/null || :; } | sha256sum
}
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
unit_exists() { [[ $(systemctl show -p LoadState "$1") == LoadState=loaded ]]; }
synchronised() { timedatectl | grep -E '(NTP|System clock) synchronized: yes' >/dev/null; }
late_enough() {
(($(date +%s) >= ${NOT_BEFORE:-0})) || { echo "the clock says $(date -u), which is before this cluster was made" && return 1; }
}
in_zone() { [[ -z $TIMEZONE || $(readlink /etc/localtime) == */zoneinfo/$TIMEZONE ]]; }
time_service() {
if [[ ! $TIME_CONFIG ]] && ! unit_exists "$TIME_SERVICE"; then return; fi
"service_$1" "$TIME_SERVICE" ${TIME_CONFIG:+"$TIME_CONFIG"}
}
clock_done() {
in_zone || { echo "the time zone is not $TIMEZONE" && return 1; }
if in_container; then late_enough && say "$LABEL: this is a container: the clock is its host's"; return; fi
time_service current || { echo "$TIME_SERVICE does not run with its configuration" && return 1; }
synchronised || [[ -e $RUN/clock ]] || { echo "the clock is not synchronised" && return 1; }
late_enough
}
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
in_container() { systemd-detect-virt --container --quiet; }
load_modules() {
local module rc=0
if in_container; then return; fi
for module in "${MODULES[@]/%nf?conntrack/$(conntrack_module)}"; do module_loaded "$module" || modprobe -- "$module" || rc=1; done
if [[ $IPVS == true ]]; then /bin/bash "$IPVS_SCRIPT" || rc=1; fi
return $rc
}
module_loaded() {
local name
read -r name < <(modprobe -R "$1" 2>/dev/null) || name=$1
name=${name//-/_}
grep -qs "^$name " /proc/modules || [[ -d /sys/module/$name ]] ||
grep -q "/$name\.ko" <(tr - _ 2>/dev/null <"/lib/modules/$(uname -r)/modules.builtin")
}
conntrack_module() { if modinfo nf_conntrack_ipv4 &>/dev/null; then echo nf_conntrack_ipv4; else echo nf_conntrack; fi; }
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
keep_files() {
if [[ -e $STATE/kept ]]; then return; fi
(umask 077 && tar -cPf "$STATE/kept.new" -T <(find "$CERTIFICATES_DIR/." /etc/kubernetes/manifests/. /var/lib/kubelet/. -maxdepth 0))
put "$STATE/kept.new" "$STATE/kept"
}
undo_kubeadm() {
kubeadm reset -f --cri-socket "$CRI_SOCKET" --cert-dir "$CERTIFICATES_DIR" || return
if [[ -e $STATE/kept ]]; then tar -xPf "$STATE/kept"; fi
}
kubeadm_done() { recorded "$1.done" && [[ ! -e $STATE/kept ]]; }
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
retire_cloud_init() {
sync
if [[ -e /var/lib/cloud/instance ]]; then
atomic_write /etc/cloud/cloud-init.disabled <<<"by Muster, since this machine is set up"
fi
}
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
keys_in_place() {
local file
for file in "${KEY_FILES[@]}"; do [[ -s $file ]] || return; done
}
accept_keys() {
local i home gpg
for i in "${!KEY_FILES[@]}"; do
if [[ -s ${KEY_FILES[i]} ]]; then continue; fi
home=$(mktemp -d -p "$RUN")
gpg=(gpg --homedir "$home" --batch --no-tty --quiet)
get "$home/fetched" "${KEY_URLS[i]}"
"${gpg[@]}" --import "$home/fetched" || : # it complains of any key in the file that is odd
if ! "${gpg[@]}" --with-colons --fingerprint --list-keys | grep -A1 '^pub:' | grep "^fpr:.*:${KEY_FINGERPRINTS[i]}:" >/dev/null; then
echo "the key for ${KEY_FILES[i]} has not the fingerprint ${KEY_FINGERPRINTS[i]}: the source is not what it was, or the profile is out of date"
return 1
fi
mkdir -p "${KEY_FILES[i]%/*}"
if [[ ${KEY_FILES[i]} != *.gpg ]]; then gpg+=(--armor); fi
"${gpg[@]}" --export "${KEY_FINGERPRINTS[i]}" >"${KEY_FILES[i]}.muster-new"
chmod 644 "${KEY_FILES[i]}.muster-new"
put "${KEY_FILES[i]}.muster-new" "${KEY_FILES[i]}"
rm -rf "$home"
done
}
define_step() {
case $1 in
prepare_swap)
step "switching swap off" "swapoff needs as much free memory as is swapped out: see free -m and /proc/swaps"
SWAP_LINE='^[[:space:]]*[^#[:space:]]+[[:space:]]+[^[:space:]]+[[:space:]]+swap([[:space:]]|$)'
swap_units() {
local word
for word in $(systemctl list-units --type=swap --all --no-legend --no-pager) $(systemctl list-unit-files --type=swap --no-legend --no-pager); do
[[ $word == *.swap && $word != */* && ! (-L /etc/systemd/system/$word && $(readlink "/etc/systemd/system/$word") == /dev/null) ]] && echo "$word"
done
for word in zramswap.service dphys-swapfile.service; do
if unit_exists "$word" && systemctl is-enabled --quiet "$word"; then echo "$word"; fi
done
}
mask() {
if [[ -f $1 && ! -L $1 ]]; then cp -p "$1" "$1.muster-off"; fi
ln -sfn /dev/null "$1.muster-new"
mv -fT "$1.muster-new" "$1"
}
done_already() {
[[ ! -e /proc/swaps || $(wc -l </proc/swaps) -le 1 ]] || { echo "swap is on" && return 1; }
! grep -Eqs "$SWAP_LINE" /etc/fstab && [[ -z $(swap_units) ]]
}
run_step() {
local unit
if grep -Eqs "$SWAP_LINE" /etc/fstab; then sed -E "/$SWAP_LINE/s/^/#/" /etc/fstab | atomic_write /etc/fstab "$(stat -c %a /etc/fstab)"; fi
systemctl daemon-reload
for unit in $(swap_units | sort -u); do
systemctl stop "$unit" || :
mask "/etc/systemd/system/$unit"
done
systemctl daemon-reload
if [[ -e /proc/swaps ]]; then swapoff -a; fi
}
;;
prepare_selinux)
step "setting SELinux to $SELINUX" "see getenforce and /etc/selinux/config"
SELINUX_FILE=/etc/selinux/config
done_already() {
if [[ -r /sys/fs/selinux/enforce && $(</sys/fs/selinux/enforce) == 1 ]]; then return 1; fi
[[ ! -f $SELINUX_FILE ]] || grep -q "^SELINUX=$SELINUX\$" "$SELINUX_FILE"
}
run_step() {
if [[ -f $SELINUX_FILE ]]; then
{ grep -v '^SELINUX=' "$SELINUX_FILE" || :; echo "SELINUX=$SELINUX"; } | atomic_write "$SELINUX_FILE"
fi
if [[ -r /sys/fs/selinux/enforce && $(</sys/fs/selinux/enforce) == 1 ]]; then setenforce 0; fi
}
;;
prepare_firewall)
step "switching the firewall off" "see systemctl status ${FIREWALL_SERVICES[*]}"
unwanted() { unit_exists "$1" && { systemctl is-active --quiet "$1" || systemctl is-enabled --quiet "$1"; }; }
done_already() {
local service
for service in "${FIREWALL_SERVICES[@]}"; do
if unwanted "$service"; then echo "$service is on" && return 1; fi
done
}
run_step() {
local service
for service in "${FIREWALL_SERVICES[@]}"; do
unwanted "$service" || continue
systemctl stop "$service"
systemctl disable "$service"
done
}
;;
prepare_time)
step "setting the clock" "see timedatectl and systemctl status $TIME_SERVICE: the machine must reach a time server, or have the right time in its hardware clock"
done_already() { ! unit_exists "$TIME_SERVICE" || clock_done; }
run_step() { set_clock; }
;;
prepare_packages-apt)
step "installing packages with apt" "the package sources must be reachable (system.proxy) and hold the versions that the spec asks for; see apt-get update and apt-cache policy"
export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1
MARK=$STATE/packages.started
WANTED=("${PACKAGES_BASE[@]}" "${PACKAGES_RUNTIME[@]}" "${PACKAGES_KUBERNETES[@]}" "${PACKAGES_EXTRA[@]}")
installed() {
local version='*'
if [[ $1 == *=* ]]; then version=${1#*=}; fi
# shellcheck disable=SC2053 # the right side is a pattern
[[ $(dpkg-query -W -f '${db:Status-Status} ${Version}' "${1%%=*}" 2>/dev/null) == "installed "$version ]] ||
dpkg-query -W -f '${db:Status-Status}, ${Provides},\n' | grep '^installed,' | grep -F -e ", $1," -e ", $1 (" >/dev/null
}
held() { [[ $(dpkg-query -W -f '${db:Status-Want}' "$1" 2>/dev/null) == hold ]]; }
unlocked() {
local rc end=$((SECONDS + 2 * WAIT))
while :; do
rc=0
"$@" >"$RUN/packages.out" 2>&1 || rc=$?
cat "$RUN/packages.out"
((rc)) && grep -Eiq 'could not get lock|locked by another process' "$RUN/packages.out" && ((SECONDS < end)) || return $rc
waiting "another program that holds the lock of the package manager"
sleep "$POLL"
done
}
update() {
local flags=()
synchronised || flags=(-o Acquire::Check-Date=false)
unlocked apt-get -q "${flags[@]}" update
}
apt_install() {
unlocked apt-get -q -y -o DPkg::Lock::Timeout="$WAIT" -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold install "$@"
}
complete() { if [[ $(dpkg --audit) ]]; then apt_install -f; fi; }
install_missing() {
local name names=() flags=()
for name; do installed "$name" || names+=("$name"); done
if [[ ${names[*]} == *=* ]]; then flags=(--allow-downgrades --allow-change-held-packages); fi
if ((${#names[@]})); then apt_install "${flags[@]}" "${names[@]}"; fi
}
done_already() {
local name
[[ ! -e $MARK ]] && keys_in_place || return
for name in "${WANTED[@]}"; do installed "$name" || { echo "$name is not installed" && return 1; }; done
for name in "${PACKAGES_HOLD[@]}"; do held "$name" || { echo "$name is not held" && return 1; }; done
}
run_step() {
commit "${MARK##*/}"
unlocked dpkg --force-confdef --force-confold --configure -a || :
if ! keys_in_place; then
if ! { installed ca-certificates && installed curl && installed gpg && unit_exists "$TIME_SERVICE"; }; then
update || :
complete
install_missing ca-certificates curl gpg "${PACKAGES_BASE[@]}"
fi
accept_keys
fi
update
complete
install_missing "${PACKAGES_BASE[@]}"
install_missing "${PACKAGES_RUNTIME[@]}"
install_missing "${PACKAGES_KUBERNETES[@]}" "${PACKAGES_EXTRA[@]}"
if ((${#PACKAGES_HOLD[@]})); then apt-mark hold "${PACKAGES_HOLD[@]}"; fi
sync
rm -f "$MARK"
}
;;
prepare_modules)
step "loading kernel modules" "the kernel of this image lacks a module: boot one that has it, name its package in packages.extra, or take it out of system.modules"
done_already() {
local module wanted=("${MODULES[@]/%nf?conntrack/$(conntrack_module)}")
if in_container; then say "$LABEL: this is a container: the modules are its host's" && return; fi
if [[ $IPVS == true ]]; then wanted+=(ip_vs ip_vs_rr ip_vs_wrr ip_vs_sh "$(conntrack_module)"); fi
for module in "${wanted[@]}"; do
module_loaded "$module" || { echo "$module is not loaded" && return 1; }
done
}
run_step() { load_modules; }
;;
prepare_sysctl)
step "applying kernel settings" "look at $SYSCTL_FILE: this kernel does not know the setting named above, or refuses its value"
done_already() { cmp -s "$SYSCTL_FILE" "$RUN/sysctl"; }
run_step() {
set_sysctl
cp "$SYSCTL_FILE" "$RUN/sysctl"
}
;;
prepare_clock)
step "setting the clock once more" "see timedatectl and systemctl status $TIME_SERVICE: the machine must reach a time server, or have the right time in its hardware clock"
done_already() { clock_done; }
run_step() { set_clock; }
;;
prepare_runtime)
step "starting $RUNTIME" "see journalctl -u $RUNTIME_SERVICE: its configuration, or the configuration that the spec merged into it, may be refused"
CONFIG=/etc/docker/daemon.json
if [[ $RUNTIME == containerd ]]; then CONFIG=/etc/containerd/config.toml; fi
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
;;
prepare_kubelet)
step "enabling the kubelet" "see systemctl status kubelet.service: the unit comes with the kubelet's package or with the profile"
done_already() { systemctl is-enabled --quiet kubelet.service; }
run_step() {
systemctl daemon-reload
systemctl enable kubelet.service
}
;;
bootstrap_control-plane)
step "founding or joining the cluster through the rendezvous" "see rendezvous status; journalctl -u muster-rendezvous -u kubelet; the containers of kube-system. It waits for a majority of the control planes"
done_already() { kubeadm_done init || kubeadm_done join; }
run_step() {
local rc=0
if [[ ! -e $STATE/kubeadm.started ]]; then
keep_files
commit kubeadm.started
fi
if ! recorded init.done && ! recorded join.done; then
rendezvous init -- kubeadm init --config "$KUBEADM_INIT" --skip-token-print "${KUBEADM_FLAGS[@]}" || rc=$?
case $rc in
0) commit init.done ;;
10)
rendezvous join -- kubeadm join --config "$KUBEADM_JOIN" "${KUBEADM_FLAGS[@]}"
commit join.done
;;
*) return "$rc" ;;
esac
fi
rm -f "$STATE/kept"
}
;;
bootstrap_token-cleanup)
step "deleting the token that kubeadm init made" "see kubectl --kubeconfig $ADMIN -n kube-system get secrets"
DESCRIPTION=$(printf %s 'muster: made by kubeadm init' | base64)
first_tokens() {
local list name description
list=$(kubectl_admin -n kube-system get secrets --field-selector type=bootstrap.kubernetes.io/token \
-o 'jsonpath={range .items[*]}{.metadata.name} {.data.description}{"\n"}{end}') || return
while read -r name description; do
if [[ $name && $description == "$DESCRIPTION" ]]; then echo "$name"; fi
done <<<"$list"
}
done_already() { recorded token-cleanup.done; }
run_step() {
local names
names=$(first_tokens)
for name in $names; do kubectl_admin -n kube-system delete secret "$name" >/dev/null; done
commit token-cleanup.done
}
;;
bootstrap_cni)
step "applying the network plugin's manifests" "see kubectl --kubeconfig $ADMIN get nodes,pods -A, and the manifests: ${MANIFESTS[*]}"
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
;;
bootstrap_kubeconfig)
step "giving root and the spec's users a kubeconfig" "the users of the spec must exist: see getent passwd ${KUBECONFIG_USERS[*]}"
USERS=(root "${KUBECONFIG_USERS[@]}")
home_of() { getent passwd "$1" | cut -d: -f6; }
done_already() {
local user file
for user in "${USERS[@]}"; do
file=$(home_of "$user")/.kube/config
if ! cmp -s "$ADMIN" "$file" || [[ $(stat -c '%a %U' "$file") != "600 $user" ]]; then echo "$user has no kubeconfig" && return 1; fi
done
}
run_step() {
local user
for user in "${USERS[@]}"; do
HOME=$(home_of "$user") runuser -u "$user" -- bash -c 'umask 077 && mkdir -p ~/.kube && cd ~/.kube && cat >config.muster-new && sync config.muster-new && mv -fT config.muster-new config' <"$ADMIN"
done
}
;;
bootstrap_finish)
step "finishing" "see the output above: $STATE and /etc must be writable"
done_already() { [[ -e $STATE/bootstrap.done ]]; }
run_step() {
retire_cloud_init
commit bootstrap.done
}
;;
verify_nodes)
step "waiting for the nodes to be ready" "see journalctl -u kubelet, and kubectl get nodes,pods -A on a control plane"
healthy() { [[ -s /etc/kubernetes/kubelet.conf && $(curl -sS --noproxy '*' -m 10 http://127.0.0.1:10248/healthz) == ok ]]; }
missing() {
local ready node names=()
ready=$(kubectl_admin get nodes -o 'jsonpath={range .items[*]}{.metadata.name}={.status.conditions[?(@.type=="Ready")].status}{"\n"}{end}' 2>/dev/null) ||
{ echo "the API server" && return; }
for node in "${NODES[@]}"; do
grep -Fqx "$node=True" <<<"$ready" || names+=("$node")
done
echo "${names[*]}"
}
done_already() {
if [[ $ROLE == worker ]]; then healthy; else [[ -z $(missing) ]]; fi
}
run_step() {
local names
if [[ $ROLE == worker ]]; then
wait_for healthy
return
fi
names=$(missing)
while [[ $names ]]; do
waiting "these to be ready: $names"
sleep "$POLL"
names=$(missing)
done
}
;;
verify_done)
step "finishing" "see the output above: $STATE and /etc must be writable"
if [[ -e $STATE/check.txt ]]; then LABEL+=", nginx answers on all nodes"; fi
done_already() { [[ -e $STATE/done ]]; }
run_step() {
local result
result="$NODE_NAME ($ROLE) is in cluster $CLUSTER, Kubernetes $KUBERNETES_VERSION"
if ! in_container; then result+=", $(cut -d. -f1 /proc/uptime) s after its last start"; fi # there it is the host's
if [[ $DRY_RUN == true ]]; then
result="$NODE_NAME is prepared and joins nothing: kubernetes.dryRun is set"
if recorded init.done; then result="$NODE_NAME: the dry run of kubeadm went through; nothing was changed by it"; fi
fi
status "$result"
commit "done" "$result"
say "$result"
}
;;
esac
}
STEPS=(prepare_swap prepare_selinux prepare_firewall prepare_time prepare_packages-apt prepare_modules prepare_sysctl prepare_clock prepare_runtime prepare_kubelet bootstrap_control-plane bootstrap_token-cleanup bootstrap_cni bootstrap_kubeconfig bootstrap_finish verify_nodes verify_done)
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
step() { TITLE=$1 ADVICE=$2; }
in_step() {
(
set -eE
if [[ $1 == RUN ]]; then
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
report() {
local line
say "$LABEL: FAILED at try $try (exit $rc): $TITLE"
tail -n 5 "$log" | tr -cd '\n -~' | while IFS= read -r line; do say "  | $line"; done
say "  what to do: $ADVICE"
say "  tried again in $delay s; the whole output: $log"
status "$LABEL: failed: $TITLE. What to do: $ADVICE"
tell "$LABEL" "$TITLE: $(tail -n 1 "$log")" 9>&- &
}
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
