# The four stages of a boot with cloud-init, in a sandbox: seed in /run/consumer/seed, everything that was said in /run/consumer/log.
set -euo pipefail

cat >/run/consumer/cloud.cfg <<'EOF'
datasource_list: [NoCloud]
datasource: {NoCloud: {seedfrom: /run/consumer/seed/}}
network: {config: disabled}
cloud_init_modules: [bootcmd, write-files, set_hostname, update_hostname, update_etc_hosts, users-groups]
cloud_config_modules: [runcmd]
cloud_final_modules: [write-files-deferred]
EOF
# Of a boot before this one, in the same root.
rm -f /var/log/cloud-init.log
: >/run/consumer/log
trap 'cat /var/log/cloud-init.log >>/run/consumer/log' EXIT
for stage in 'init --local' init 'modules --mode=config' 'modules --mode=final'; do
  # shellcheck disable=SC2086 # the stage's words
  cloud-init --file /run/consumer/cloud.cfg $stage >>/run/consumer/log 2>&1
done
if grep -E ' - .*\[(WARNING|ERROR|CRITICAL)\]: ' /var/log/cloud-init.log >&2; then
  exit 1
fi
