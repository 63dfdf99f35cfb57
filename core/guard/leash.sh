#!/bin/sh
# leash --run-dir DIR [--self-fence-ms D] [--stop-budget-ms S] [--reset-command COMMAND] [--boot-id ID]
# The dead-man (SAFETY a.2): stops a group whose lease page has run out, when guard and controller are gone. POSIX sh, about
# 2 MB, no network, no Node. It fires only when the last deadline it read with a good checksum has passed, on this boot;
# then the tombstone comes first, is final, and only a verified stop renames it. Not verified in S: the host is reset.
set -fu
PATH=${PATH:-/usr/bin:/bin}:/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin
LC_ALL=C
export PATH LC_ALL
trap '' HUP

MARGIN_MS=50  # Beyond the deadline: a guard that is alive has stopped the group itself by then.
LONGEST_MS=500 # Between two looks, so that a new lease is learned and the beat is seen.

usage() {
  echo 'usage: leash --run-dir DIR [--self-fence-ms D] [--stop-budget-ms S] [--reset-command COMMAND] [--boot-id ID]' >&2
  exit 2
}
run='' self_fence_ms=8000 stop_budget_ms=3000 boot_id='' reset='echo b >/proc/sysrq-trigger'
while [ $# -gt 0 ]; do
  [ $# -ge 2 ] || usage
  case $1 in
    --run-dir) run=$2 ;;
    --self-fence-ms) self_fence_ms=$2 ;;
    --stop-budget-ms) stop_budget_ms=$2 ;;
    --reset-command) reset=$2 ;;
    --boot-id) boot_id=$2 ;;
    *) usage ;;
  esac
  shift 2
done
case $self_fence_ms$stop_budget_ms in *[!0-9]*) usage ;; esac
[ -n "$run" ] || usage
here=${0%/*}
[ "$here" != "$0" ] || here=.

say() { echo "leash: $*" >&2; }

read_now() {
  read -r now_up _ </proc/uptime
  now_fraction=${now_up#*.}00
  now_fraction=${now_fraction%"${now_fraction#??}"}
  now_ms=$((${now_up%%.*} * 1000 + (1$now_fraction - 100) * 10))
}
# Fractions of a second are not POSIX; without them it sleeps whole ones and is late by that much.
nap() {
  nap_rest=$((1000 + $1 % 1000))
  sleep "$(($1 / 1000)).${nap_rest#1}" 2>/dev/null || sleep 1
}

# The same as core/system/boot.ts: the kernel's boot id, and the salt of a lab host.
if [ -z "$boot_id" ]; then
  boot_id=$({ read -r kernel_boot </proc/sys/kernel/random/boot_id && printf '%s\n' "$kernel_boot"; [ ! -e "$run/boot-salt" ] || cat "$run/boot-salt"; } | sha256sum)
  boot_id=${boot_id%"${boot_id#????????????????????????????????}"}
fi
case $boot_id in
  '' | *[!0-9a-f]*)
    say "this boot has no id: cat /proc/sys/kernel/random/boot_id and sha256sum are needed, or --boot-id"
    exit 2 ;;
esac

# Reads the page of a group. 0: good and of this boot; sets page_epoch, page_state, page_deadline. 1: no good page.
# 2: a good page of another boot: nothing of it is alive.
read_page() {
  page_tries=0
  while [ "$page_tries" -lt 3 ]; do
    page_tries=$((page_tries + 1))
    page_line=
    { read -r page_line <"$run/lease/$1"; } 2>/dev/null
    set -- "$1" $page_line
    case $#:${2:-} in 11:USL1) ;; *) continue ;; esac # Torn or blank: once more, at once.
    page_sum=$(printf '%s' "$2 $3 $4 $5 $6 $7 $8 $9 ${10}" | cksum)
    [ "${page_sum%% *}" = "${11}" ] || continue
    case $3$6 in *[!0-9]*) continue ;; esac
    [ "$8" = "$boot_id" ] || return 2
    page_epoch=$3 page_state=$4 page_deadline=$6
    return 0
  done
  return 1
}

# Stops one group for good. Runs beside the others: S is each group's own.
fire() { # GROUP EPOCH
  dead=$run/lease/$1.dead.$2 stopped=$run/lease/$1.stopped.$2
  (set -C; : >"$dead") 2>/dev/null || [ -e "$dead" ] || say "$1: cannot create $dead"
  say "$1: the lease of epoch $2 has run out and nobody renewed it: stopping it"
  # Tried until it is verified, also after the reset was asked for.
  until [ -e "$stopped" ]; do
    if /bin/sh "$here/emergency-stop.sh" "$1" --run-dir "$run" --verify --limit-ms "$stop_budget_ms"; then
      mv -f "$dead" "$stopped"
    else
      nap 100
    fi
    [ -d "$run/lease" ] || exit 0
  done &
  read_now
  fire_end=$((now_ms + stop_budget_ms))
  until [ -e "$stopped" ]; do
    read_now
    [ -d "$run/lease" ] || exit 0
    if [ "$now_ms" -ge "$fire_end" ]; then
      say "$1: not verified stopped within $stop_budget_ms ms: resetting the host"
      sh -c "$reset" || say "the reset command failed: $reset"
      fire_end=$((now_ms + 10000))
    fi
    nap 50
  done
  say "$1: everything of epoch $2 is verified gone"
}

# What is known: `GROUP:DEADLINE:EPOCH` words; deadlines in ms of /proc/uptime. Epoch 0: a group with a hard-stop list but no
# good page, seen at the start.
known=' ' fired=' '
remember() { # GROUP DEADLINE EPOCH
  forget "$1"
  known="$known$1:$2:$3 "
}
forget() {
  case $known in
    *" $1:"*)
      forget_rest=${known#*" $1:"}
      known="${known%%" $1:"*} ${forget_rest#* }" ;;
  esac
}
fire_once() { # GROUP EPOCH
  forget "$1"
  case $fired in *" $1:$2 "*) return 0 ;; esac
  [ ! -e "$run/lease/$1.stopped.$2" ] || return 0
  fired="$fired$1:$2 "
  fire "$1" "$2" &
}
# The deadline that is known has passed, or none is known.
look() { # GROUP DEADLINE-OR-EMPTY EPOCH-OR-EMPTY
  read_page "$1"
  case $? in
    0)
      # The tombstone is final, whatever the page says by now.
      if [ -e "$run/lease/$1.dead.$page_epoch" ]; then fire_once "$1" "$page_epoch"; return 0; fi
      case $page_state in
        HELD | STOPPING)
          read_now
          if [ "$now_ms" -ge $((page_deadline + MARGIN_MS)) ]; then fire_once "$1" "$page_epoch"; else remember "$1" "$page_deadline" "$page_epoch"; fi ;;
        *) forget "$1" ;;
      esac ;;
    2) forget "$1" ;;
    *)
      [ -n "$2" ] || return 0
      if [ "$3" = 0 ] && /bin/sh "$here/emergency-stop.sh" "$1" --run-dir "$run" --verify-only --limit-ms 1000 2>/dev/null; then forget "$1"; return 0; fi
      fire_once "$1" "$3" ;;
  esac
}
# Whether a page that nothing is known of is worth its checksum, which costs two processes.
worth_a_look() {
  peek=
  { read -r _ _ peek _ <"$run/lease/$1"; } 2>/dev/null
  case $peek in HELD | STOPPING) ;; *) return 1 ;; esac
}
names() { # plain names in a directory: no tombstones, no drafts
  set +f
  for path in "$1"/*; do
    name=${path##*/}
    case $name in *[!a-z0-9-]*) ;; *) [ ! -f "$path" ] || printf '%s ' "$name" ;; esac
  done
}

read_now
for group in $(names "$run/hardstop"); do
  read_page "$group"
  [ $? -ne 1 ] || remember "$group" $((now_ms + self_fence_ms)) 0
done

# What an earlier leash began, this one ends.
set +f
for path in "$run"/lease/*.dead.*; do
  set -f
  name=${path##*/}
  epoch=${name##*.}
  name=${name%%.*}
  case $epoch in *[!0-9]*) continue ;; esac
  read_page "$name"
  case $? in
    0) [ "$page_epoch" != "$epoch" ] || fire_once "$name" "$epoch" ;;
    1) fire_once "$name" "$epoch" ;;
  esac
done
set -f

while :; do
  [ -d "$run" ] || exit 0 # The host was powered off with its run directory.
  read_now
  { echo "$now_ms" >"$run/leash.beat"; } 2>/dev/null
  next=$((now_ms + LONGEST_MS))
  set +f
  for path in "$run"/lease/*; do
    name=${path##*/}
    case $name in *[!a-z0-9-]*) continue ;; esac
    case $known in *" $name:"*) continue ;; esac
    set -f
    ! worth_a_look "$name" || look "$name" '' ''
    set +f
  done
  set -f
  read_now
  for entry in $known; do
    name=${entry%%:*} epoch=${entry##*:}
    due=${entry#*:}
    due=$((${due%:*} + MARGIN_MS))
    if [ "$now_ms" -ge "$due" ]; then
      look "$name" "$due" "$epoch"
      next=$now_ms # Look again at once: a renewed page has a new deadline to sleep for.
    elif [ "$due" -lt "$next" ]; then next=$due
    fi
  done
  read_now
  [ "$next" -le "$now_ms" ] || nap $((next - now_ms))
done
