# shellcheck shell=bash
# Inside new namespaces: LOWER UPPER WORK MERGED SHARED PROGRAMS COMMAND...
lower=$1 upper=$2 work=$3 merged=$4 shared=$5 programs=$6
shift 6
mount -t overlay overlay -o "lowerdir=$lower,upperdir=$upper,workdir=$work" "$merged"
mount -t proc proc "$merged/proc"
mount -t tmpfs tmpfs "$merged/run"
mount -t tmpfs tmpfs "$merged/tmp"
mkdir "$merged/run/consumer"
mount --bind "$shared" "$merged/run/consumer"
printf '%s\n' "$programs" | while read -r program; do
  [ -z "$program" ] || mount --bind -o ro "$program" "$merged/run/consumer/bin/${program##*/}"
done
exec chroot "$merged" "$@"
