# shellcheck shell=bash
step "loading images" "the archives of images.preload must lie at their paths or be reachable, with the digests of the spec"

done_already() {
  local sum
  for sum in "${IMAGE_SHA256[@]}"; do recorded "images/$sum" || return; done
}

run_step() {
  local i sum archive
  for i in "${!IMAGE_SHA256[@]}"; do
    sum=${IMAGE_SHA256[i]} archive=${IMAGE_PATHS[i]}
    if recorded "images/$sum"; then continue; fi
    if [[ -z $archive ]]; then
      archive=$STATE/images/$sum.tar
      digest_is "$sum" "$archive" || fetch "${IMAGE_URLS[i]}" "$sum" "$archive"
    fi
    digest_is "$sum" "$archive" || { echo "$archive is missing, or its SHA-256 is not $sum" && return 1; }
    if [[ $RUNTIME == docker ]]; then
      docker load -i "$archive"
    else
      ctr --address "${CRI_SOCKET#unix://}" -n k8s.io images import "$archive"
    fi
    rm -f "$STATE/images/$sum.tar"
    sync
    commit "images/$sum"
  done
}
