# shellcheck shell=bash
# Inside new namespaces: DISCOVERY_FILE KUBEADM ARGUMENTS...
discovery=$1
shift
mount -t tmpfs tmpfs /run
# kubeadm derives defaults from the address of the default route's interface: give it one that leads nowhere.
ip link set lo up
ip address add 192.0.2.10/24 dev lo
ip route add default dev lo
if [ -n "$discovery" ]; then
  mkdir -p "$(dirname "$discovery")"
  cat >"$discovery" <<'EOF'
apiVersion: v1
kind: Config
clusters: [{name: muster, cluster: {server: "https://192.0.2.10:6443"}}]
users: [{name: muster, user: {token: abcdef.0123456789abcdef}}]
contexts: [{name: muster, context: {cluster: muster, user: muster}}]
current-context: muster
EOF
fi
exec "$@"
