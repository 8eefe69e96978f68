# shellcheck shell=bash
# What the steps share that fetch files by their digests.

# digest_is SHA256 FILE
digest_is() { [[ -f $2 ]] && echo "$1  $2" | sha256sum -c --status -; }

# fetch URL SHA256 FILE [MODE]: a cut download goes on where it stopped; its name carries the digest, so that it is
# never continued as something else.
fetch() {
  local part=$3.$2.part rc=0
  mkdir -p "${3%/*}"
  if ! digest_is "$2" "$part"; then
    get "$part" -C - "$1" || rc=$?
    case $rc in
    0) ;;
    22 | 33 | 36) # the server cannot go on from there
      rm -f "$part"
      get "$part" "$1"
      ;;
    *) return $rc ;;
    esac
  fi
  if ! digest_is "$2" "$part"; then
    rm -f "$part"
    echo "what was fetched for $3 has another SHA-256 than $2: the source or the spec's digest is wrong"
    return 1
  fi
  chmod "${4:-644}" "$part"
  put "$part" "$3"
}
