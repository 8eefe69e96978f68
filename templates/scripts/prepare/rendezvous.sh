# shellcheck shell=bash
step "putting the rendezvous in place" "see ${RENDEZVOUS_URL:-the boot medium with the label cidata}: it must hold the program of which the spec or gen gave the digest"

done_already() { digest_is "$RENDEZVOUS_SHA256" "$RENDEZVOUS_PROGRAM" && [[ -x $RENDEZVOUS_PROGRAM ]]; }

# from_medium: the medium is only looked at, and may be taken away afterwards.
from_medium() {
  local new=$RENDEZVOUS_PROGRAM.muster-new
  mkdir -p "$RUN/medium" "${RENDEZVOUS_PROGRAM%/*}"
  mountpoint -q "$RUN/medium" || mount -o ro /dev/disk/by-label/cidata "$RUN/medium"
  gzip -dc "$RUN/medium/$RENDEZVOUS_MEDIUM" >"$new"
  umount "$RUN/medium"
  if ! digest_is "$RENDEZVOUS_SHA256" "$new"; then
    rm -f "$new"
    echo "$RENDEZVOUS_MEDIUM of the boot medium is not the program that this document was made with: use both from one run of gen"
    return 1
  fi
  chmod 755 "$new"
  put "$new" "$RENDEZVOUS_PROGRAM"
}

run_step() {
  if [[ $RENDEZVOUS_URL ]]; then
    fetch "$RENDEZVOUS_URL" "$RENDEZVOUS_SHA256" "$RENDEZVOUS_PROGRAM" 755
  else
    from_medium
  fi
}
