# shellcheck shell=bash
# What both steps that install packages share: the keys of package sources.

# keys_in_place: they are written whole, and only after the check of their fingerprints.
keys_in_place() {
  local file
  for file in "${KEY_FILES[@]}"; do [[ -s $file ]] || return; done
}

# accept_keys: each key is taken alone, out of whatever its address gives, and only by its pinned fingerprint.
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
