#!/bin/sh
# emergency-stop GROUP --run-dir DIR [--verify | --verify-only] [--limit-ms MS]
# Executes the hard-stop list of a group (SAFETY a.6), <run>/hardstop/GROUP, and proves each line: the one thing that guard,
# leash and operator have in common. POSIX sh, no Node, no stop scripts, a closed vocabulary in a fixed order. Idempotent.
# Exit 0: every line is verified gone. 1: not every one (stderr says which). 2: usage. 3: a HELD page without a list.
# --verify (default) makes it true and proves it; --verify-only changes nothing.
set -fu
PATH=${PATH:-/usr/bin:/bin}:/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin
LC_ALL=C
export PATH LC_ALL

usage() {
  echo "usage: emergency-stop GROUP --run-dir DIR [--verify | --verify-only] [--limit-ms MS]" >&2
  exit 2
}

# This process and its children must not look like the application they look for.
if [ -n "${UNDERSTUDY_RESOURCE+marked}" ]; then
  unset UNDERSTUDY_RESOURCE
  exec /bin/sh "$0" "$@"
fi

group='' run='' act=yes limit_ms=5000
while [ $# -gt 0 ]; do
  case $1 in
    --run-dir) [ $# -ge 2 ] || usage; run=$2; shift ;;
    --limit-ms) [ $# -ge 2 ] || usage; limit_ms=$2; shift ;;
    --verify) act=yes ;;
    --verify-only) act=no ;;
    -*) usage ;;
    *) [ -z "$group" ] || usage; group=$1 ;;
  esac
  shift
done
case $group in '' | */* | .*) usage ;; esac
case $limit_ms in '' | *[!0-9]*) usage ;; esac
[ -n "$run" ] || usage

UNDERSTUDY_NO_CGROUP_KILL=${UNDERSTUDY_NO_CGROUP_KILL:-no} # A test of the way without cgroup.kill.
UNDERSTUDY_SYS_BLOCK=${UNDERSTUDY_SYS_BLOCK:-/sys/block}   # A test on a host without such devices.
left=
missed() { # what is not verified gone, and why
  left="$left
emergency-stop: $group: $1"
}

# ---- time: /proc/uptime, CLOCK_BOOTTIME in steps of 10 ms. Sets now_ms.
read_now() {
  read -r now_up _ </proc/uptime
  now_fraction=${now_up#*.}00
  now_fraction=${now_fraction%"${now_fraction#??}"}
  now_ms=$((${now_up%%.*} * 1000 + (1$now_fraction - 100) * 10))
}
read_now
end_ms=$((now_ms + limit_ms))
DETACH_MS=500
FREEZE_MS=300 # So long an answer may take: in its process it is a few milliseconds.
# True, after a short pause, while there is time for another look.
again() {
  read_now
  [ "$now_ms" -lt "$end_ms" ] || return 1
  sleep 0.01 2>/dev/null || sleep 1 # Fractions are not POSIX.
}
# A command that could hang is ended with the time that is left.
if command -v timeout >/dev/null 2>&1; then
  bounded() {
    read_now
    bounded_s=$(((end_ms - now_ms) / 1000 + 1))
    [ "$bounded_s" -gt 0 ] || bounded_s=1
    timeout -s KILL "$bounded_s" "$@"
  }
else
  bounded() { "$@"; }
fi

# ---- freeze SOCKET: whoever serves data behind it shall answer no application any more. Spoken by files beside the socket, which sh
# can write: SOCKET.pid is the process (pid, start time), SOCKET.idle the same words as long as it serves nobody, SOCKET.freeze
# asks it to end everything with errors. Whoever does not answer is killed, which ends its I/O too.
serves() { # 0 somebody may be served, 1 nobody is. Sets serving_pid, empty when it cannot be told who.
  serving_pid= serving_start= idle_pid= idle_start=
  { read -r serving_pid serving_start <"$1.pid"; } 2>/dev/null
  case $serving_pid in '' | *[!0-9]* | 0 | 1) serving_pid=; [ -e "$1" ] || [ -e "$1.pid" ]; return ;; esac
  read_stat "$serving_pid" && [ "$stat_start" = "$serving_start" ] || return 1
  { read -r idle_pid idle_start <"$1.idle"; } 2>/dev/null
  [ "$idle_pid $idle_start" != "$serving_pid $serving_start" ]
}
do_freeze() {
  freeze_asked=
  while serves "$1"; do
    [ "$act" = yes ] && [ -n "$serving_pid" ] || break
    read_now
    if [ -z "$freeze_asked" ]; then
      freeze_asked=$now_ms
      : >"$1.freeze" || freeze_asked=0
    elif [ $((now_ms - freeze_asked)) -ge "$FREEZE_MS" ]; then
      kill -9 "$serving_pid" 2>/dev/null
    fi
    again || break
  done
  if serves "$1"; then missed "freeze $1: ${serving_pid:+process $serving_pid }may still answer"; return 0; fi
  [ -z "$freeze_asked" ] || rm -f "$1.freeze"
}

# ---- addr DEV CIDR: gone when no interface of the host has the address.
has_address() { # 0 has, 1 has not, 2 cannot be said
  has_found=$(bounded ip -o addr show to "$1" 2>/dev/null) || return 2
  [ -n "$has_found" ]
}
do_addr() { # DEV CIDR
  addr=${2%/*}
  case $addr in *:*) host=$addr/128 ;; *) host=$addr/32 ;; esac
  while :; do
    has_address "$host"
    case $? in
      1) return 0 ;;
      2) missed "addr $1 $2: ip cannot be asked"; return 0 ;;
    esac
    [ "$act" = yes ] || break
    # By what is there, not by what the list says: another interface, another prefix.
    while read -r _ found_dev _ found_cidr _; do
      [ -z "$found_dev" ] || bounded ip addr del "$found_cidr" dev "$found_dev" 2>/dev/null
    done <<LIST
$has_found
LIST
    again || break
  done
  has_address "$host" && missed "addr $1 $2: the address is still there"
  return 0
}

# ---- table FILE ADDRESS: the lab's addresses without root, one `IFACE ADDRESS PREFIX` a line, changed by rename.
table_has() {
  [ -e "$1" ] || return 1
  while read -r _ table_address _ || [ -n "${table_address:-}" ]; do
    [ "$table_address" = "$2" ] && return 0
  done <"$1"
  return 1
}
do_table() { # FILE ADDRESS
  while table_has "$1" "$2"; do
    if [ "$act" = yes ]; then
      while read -r table_line || [ -n "$table_line" ]; do
        set -- "$1" "$2" $table_line
        [ "${4:-}" = "$2" ] || printf '%s\n' "$table_line"
      done <"$1" >"$1.stop.$$" && mv -f "$1.stop.$$" "$1"
    fi
    { [ "$act" = yes ] && again; } || break
  done
  table_has "$1" "$2" && missed "table $1 $2: the address is still there"
  return 0
}

# ---- cgroup PATH: every process in it and below, by cgroup.kill where the kernel has it (Linux 5.14).
cgroup_populated() {
  [ -e "$1/cgroup.events" ] || return 1
  while read -r events_key events_value; do
    [ "$events_key $events_value" = 'populated 0' ] && return 1
  done <"$1/cgroup.events"
  [ -e "$1/cgroup.events" ]
}
signal_members() {
  while read -r member_pid; do
    kill -9 "$member_pid" 2>/dev/null
  done 2>/dev/null <"$1/cgroup.procs"
  set +f
  set -- "$1"/*/
  set -f
  for below in "$@"; do
    [ -e "${below}cgroup.procs" ] && (signal_members "${below%/}")
  done
}
# Frozen, nothing can fork while its members are killed one by one.
kill_members() {
  { echo 1 >"$1/cgroup.freeze"; } 2>/dev/null
  signal_members "$1"
  { echo 0 >"$1/cgroup.freeze"; } 2>/dev/null
}
kill_cgroup() { # 0 when nothing lives in it
  while cgroup_populated "$1"; do
    [ "$act" = yes ] || return 1
    [ "$UNDERSTUDY_NO_CGROUP_KILL" = no ] && [ -e "$1/cgroup.kill" ] && { echo 1 >"$1/cgroup.kill"; } 2>/dev/null || kill_members "$1"
    cgroup_populated "$1" || return 0
    again || return 1
  done
}
do_cgroup() {
  case $1 in
    /*/cgroup/*/..* | */../* | /sys/fs/cgroup | /sys/fs/cgroup/ | /sys/fs/cgroup/unified | /sys/fs/cgroup/unified/) missed "cgroup $1: not a cgroup of one resource" ;;
    *) kill_cgroup "$1" || missed "cgroup $1: processes live in it" ;;
  esac
}

# ---- unit NAME: systemd must not start it again; then its own cgroup.
do_unit() {
  if ! command -v systemctl >/dev/null 2>&1; then
    missed "unit $1: there is no systemctl"
    return 0
  fi
  [ "$act" = no ] || bounded systemctl mask --runtime --quiet "$1" 2>/dev/null
  unit_cgroup=$(bounded systemctl show --property ControlGroup --value "$1" 2>/dev/null) || { missed "unit $1: systemd does not answer"; return 0; }
  [ -n "$unit_cgroup" ] && [ "$unit_cgroup" != / ] || return 0
  for unit_root in /sys/fs/cgroup/unified /sys/fs/cgroup /sys/fs/cgroup/systemd; do
    [ -e "$unit_root$unit_cgroup/cgroup.procs" ] || continue
    kill_cgroup "$unit_root$unit_cgroup" || missed "unit $1: processes live in $unit_root$unit_cgroup"
    return 0
  done
}

# ---- pidfile PATH: pid on the first line, its start time (field 22 of /proc/PID/stat) on the second if there is one.
# Sets stat_state, stat_session, stat_start of a living process; the name may hold blanks and brackets.
read_stat() {
  stat_line=
  { read -r stat_line <"/proc/$1/stat"; } 2>/dev/null
  [ -n "$stat_line" ] || return 1
  set -- ${stat_line##*) }
  stat_state=$1 stat_session=$4 stat_start=${20:-}
  [ "$stat_state" != Z ] && [ "$stat_state" != X ]
}
session_pids() { # every living process of session $1
  set +f
  cat /proc/[0-9]*/stat 2>/dev/null | awk -v session="$1" '{ pid = $1; sub(/^.*\) /, ""); if ($4 == session && $1 != "Z" && $1 != "X") print pid }'
  set -f
}
do_pidfile() {
  pid= start= start_beside=
  [ -e "$1" ] || return 0
  [ -r "$1" ] || { missed "pidfile $1: cannot be read"; return 0; }
  { read -r pid start_beside; read -r start; } <"$1"
  start=${start:-$start_beside}
  case $pid in '') return 0 ;; *[!0-9]* | 0 | 1) missed "pidfile $1: \"$pid\" is no pid"; return 0 ;; esac
  read_stat "$pid" || return 0
  case $start in '' | *[!0-9]*) ;; *) [ "$start" = "$stat_start" ] || return 0 ;; esac # The pid is another's by now.
  first_start=$stat_start session=$stat_session
  read_stat $$ && [ "$session" != "$stat_session" ] && [ "$session" -gt 1 ] || session=
  while :; do
    victims=
    read_stat "$pid" && [ "$stat_start" = "$first_start" ] && victims=$pid
    [ -z "$session" ] || victims="$victims $(session_pids "$session")"
    case $victims in *[0-9]*) ;; *) return 0 ;; esac
    [ "$act" = yes ] || break
    kill -9 $victims 2>/dev/null
    again || break
  done
  missed "pidfile $1: alive: $victims"
}

# ---- pids GROUP/RESOURCE: processes whose environment says that they belong to it. In the lab several hosts share one
# /proc: there a process is ours only with our host's mark as well.
marked_pids() {
  set +f
  marked=$(grep -lF -e "$1" /proc/[0-9]*/environ 2>/dev/null)
  set -f
  for environ in $marked; do
    marked_pid=${environ#/proc/}
    marked_pid=${marked_pid%/environ}
    [ "$marked_pid" != $$ ] && read_stat "$marked_pid" || continue
    # Each command's word is taken from what it found, so that a process that ends meanwhile is none.
    tr '\000' '\n' 2>/dev/null <"$environ" | grep -qxF -e "$1" || continue
    [ -z "${UNDERSTUDY_LAB_HOST:-}" ] || tr '\000' '\n' 2>/dev/null <"$environ" | grep -qxF -e "UNDERSTUDY_LAB_HOST=$UNDERSTUDY_LAB_HOST" || continue
    printf '%s ' "$marked_pid"
  done
}
do_pids() {
  case $1 in *=*) mark=$1 ;; *) mark=UNDERSTUDY_RESOURCE=$1 ;; esac
  while :; do
    victims=$(marked_pids "$mark")
    [ -n "$victims" ] || return 0
    [ "$act" = yes ] || break
    kill -9 $victims 2>/dev/null
    again || break
  done
  missed "pids $1: alive: $victims"
}

# ---- nbd DEV
do_nbd() {
  nbd_pid=$UNDERSTUDY_SYS_BLOCK/${1##*/}/pid
  while [ -e "$nbd_pid" ]; do
    [ "$act" = yes ] || break
    bounded nbd-client -d "$1" >/dev/null 2>&1
    [ -e "$nbd_pid" ] || return 0
    # The process that lends the device its thread, if that is what it is: its end disconnects as well.
    nbd_keeper= nbd_comm=
    { read -r nbd_keeper <"$nbd_pid"; } 2>/dev/null
    case $nbd_keeper in '' | *[!0-9]* | 0 | 1) ;; *) { read -r nbd_comm <"/proc/$nbd_keeper/comm"; } 2>/dev/null ;; esac
    [ "$nbd_comm" != nbd-client ] || kill -9 "$nbd_keeper" 2>/dev/null
    again || break
  done
  [ ! -e "$nbd_pid" ] || missed "nbd $1: still connected"
}

# ---- mount DIR: blanks and the like in /proc/mounts are octal.
mounted() {
  while read -r _ mount_dir _; do
    case $mount_dir in *\\*) mount_dir=$(printf '%b' "$(printf '%s' "$mount_dir" | sed 's/\\\([0-7][0-7][0-7]\)/\\0\1/g')") ;; esac
    [ "$mount_dir" = "$1" ] && return 0
  done </proc/self/mounts
  return 1
}
do_mount() {
  mount_since=
  while mounted "$1"; do
    [ "$act" = yes ] || break
    bounded umount "$1" 2>/dev/null || bounded umount -f "$1" 2>/dev/null
    mounted "$1" || return 0
    read_now
    mount_since=${mount_since:-$now_ms}
    # Detached while somebody still has it open it goes on writing: only where the device below ends every request with an error.
    [ "$errors" = no ] || [ $((now_ms - mount_since)) -lt "$DETACH_MS" ] || bounded umount -l "$1" 2>/dev/null
    again || break
  done
  mounted "$1" && missed "mount $1: still mounted"
  return 0
}

# ---- the list
list=$run/hardstop/$group
if [ ! -e "$list" ]; then
  page=$run/lease/$group
  [ -e "$page" ] || exit 0
  page_magic= page_state=
  read -r page_magic _ page_state _ <"$page"
  case $page_magic:$page_state in
    : | USL1:STOPPING | USL1:RELEASED | USL1:DEAD) exit 0 ;;
  esac
  echo "emergency-stop: $group: the lease page says ${page_state:-nothing readable} and there is no list $list: nothing is verified" >&2
  exit 3
fi

if [ ! -f "$list" ] || [ ! -r "$list" ]; then
  echo "emergency-stop: $group: cannot read $list" >&2
  exit 1
fi
text=
while read -r line || [ -n "$line" ]; do
  case ${line%% *} in
    '' | '#'*) ;;
    freeze | addr | table | unit | cgroup | pidfile | pids | nbd | mount)
      case $line in
        *' '?*) text="$text$line
" ;;
        *) missed "\"$line\": says no on what" ;;
      esac ;;
    *) missed "\"$line\": not in the vocabulary" ;;
  esac
done <"$list"

case $text in 'freeze '* | *'
freeze '* | 'nbd '* | *'
nbd '*) errors=yes ;; *) errors=no ;; esac

for kind in freeze addr table unit cgroup pidfile pids nbd mount; do
  while read -r word operand <&3; do
    [ "$word" = "$kind" ] || continue
    case $kind in
      addr) do_addr "${operand%% *}" "${operand##* }" ;;
      table) do_table "${operand% *}" "${operand##* }" ;;
      *) "do_$kind" "$operand" ;;
    esac
  done 3<<LIST
$text
LIST
done

[ -z "$left" ] && exit 0
[ "$(id -u)" = 0 ] || left="$left
emergency-stop: $group: (run as user $(id -un), not as root)"
printf '%s\n' "${left#?}" >&2
exit 1
