# shellcheck shell=bash
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

# The file is written by its owner: root must not follow what a user may have put in the way.
run_step() {
  local user
  for user in "${USERS[@]}"; do
    HOME=$(home_of "$user") runuser -u "$user" -- bash -c 'umask 077 && mkdir -p ~/.kube && cd ~/.kube && cat >config.muster-new && sync config.muster-new && mv -fT config.muster-new config' <"$ADMIN"
  done
}
