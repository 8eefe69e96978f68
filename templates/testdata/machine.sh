# The first program inside new namespaces: makes a machine out of Debian 12 under an overlay and boots it as far as its
# tests need, then becomes the command. Arguments: LOWER UPPER WORK MERGED RUN STANDIN SERVER COMMAND...
# RUN is the machine's /run (fresh for each boot), STANDIN what lies outside of the machine.
lower=$1 upper=$2 work=$3 merged=$4 run=$5 standin=$6 server=$7
shift 7
mount -t overlay overlay -o "lowerdir=$lower,upperdir=$upper,workdir=$work" "$merged"
mount --bind "$run" "$merged/run"
mount -t proc proc "$merged/proc"
for dir in sys tmp dev; do mount -t tmpfs tmpfs "$merged/$dir"; done
for device in null zero urandom; do
  : >"$merged/dev/$device"
  mount --bind "/dev/$device" "$merged/dev/$device"
done
mkdir "$merged/tmp/upper"
mount --bind "$upper" "$merged/tmp/upper"
ln -s /proc/self/fd "$merged/dev/fd"
: >"$merged/dev/console"
: >>"$standin/console"
mount --bind "$standin/console" "$merged/dev/console"
mount --bind "$standin" "$merged/standin"
for name in modules swaps; do
  [ -e "/proc/$name" ] || continue # a kernel without loadable modules has no list of them
  : >"$run/proc-$name"
  mount --bind "$run/proc-$name" "$merged/proc/$name"
done
ip link set lo up
if [ -d "$standin/www" ]; then
  MUSTER_TEST_SERVE="$standin/www" "$server" &
  until [ -e "$standin/www/.ready" ]; do sleep 0.05; done
  rm "$standin/www/.ready"
fi
export BASH_ENV=/standin/bin/env
env -u CUTS chroot "$merged" /bin/bash /standin/bin/boot || exit 99
exec chroot "$merged" "$@"
