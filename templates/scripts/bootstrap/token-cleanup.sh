# shellcheck shell=bash
step "deleting the token that kubeadm init made" "see kubectl --kubeconfig $ADMIN -n kube-system get secrets"

# Nodes get tokens of their own. kubeadm init always makes one; it is known by the description that its configuration
# gives it, so that no token of a node that joins at this moment is touched.
DESCRIPTION=$(printf %s 'muster: made by kubeadm init' | base64)

# first_tokens: the secrets' names.
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
