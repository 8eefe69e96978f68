# shellcheck shell=bash
step "setting SELinux to $SELINUX" "see getenforce and /etc/selinux/config"

# Until the next boot permissive does what disabled would: no reboot is needed. Where SELinux is absent nothing is done.
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
