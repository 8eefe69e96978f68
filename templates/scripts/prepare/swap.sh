# shellcheck shell=bash
step "switching swap off" "swapoff needs as much free memory as is swapped out: see free -m and /proc/swaps"

# A line of fstab that is a comment already does not match, so it stays as it is.
SWAP_LINE='^[[:space:]]*[^#[:space:]]+[[:space:]]+[^[:space:]]+[[:space:]]+swap([[:space:]]|$)'

# swap_units: what would switch swap on again at the next boot, such as units of generators (zram, GPT).
swap_units() {
  local word
  for word in $(systemctl list-units --type=swap --all --no-legend --no-pager) $(systemctl list-unit-files --type=swap --no-legend --no-pager); do
    [[ $word == *.swap && $word != */* && ! (-L /etc/systemd/system/$word && $(readlink "/etc/systemd/system/$word") == /dev/null) ]] && echo "$word"
  done
  for word in zramswap.service dphys-swapfile.service; do
    if unit_exists "$word" && systemctl is-enabled --quiet "$word"; then echo "$word"; fi
  done
}

# mask FILE: as systemctl mask, which refuses where a unit's own file lies in the way; that one is kept under another name.
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
    # systemd knows the second name of a swap no more when that is off. What stays on, swapoff tells.
    systemctl stop "$unit" || :
    mask "/etc/systemd/system/$unit"
  done
  systemctl daemon-reload
  if [[ -e /proc/swaps ]]; then swapoff -a; fi
}
