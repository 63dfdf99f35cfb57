#!/bin/bash
# Images larger than the page cache may be: whether a cold read or a throttled write stalls the others. cold.sh ROUNDS CONTENDER…
# (ours-sync, qemu-mirror; each with -direct past the page cache). Each measured process has LIMIT of memory in a cgroup of its own, page
# cache included. Prints round, contender, load, hot 4 KiB reads a second, their p50, p99, longest in µs, MiB/s of the load.
set -u
ON=disk SIZE=${SIZE:-2G}
. "$(dirname "$0")/contenders.sh"
rounds=$1; shift
LIMIT=${LIMIT:-256M}
LOCK=${LOCK:-/tmp/measure.lock}
cache() { case $contender in *-direct) echo cache.direct=on,aio=native ;; *) echo cache.direct=off,aio=threads ;; esac; }
begin_qemu-mirror-direct() { begin_qemu-mirror; }

if [ -f /sys/fs/cgroup/cgroup.controllers ]; then groups=/sys/fs/cgroup limit=memory.max; else groups=/sys/fs/cgroup/memory limit=memory.limit_in_bytes; fi
limited() { # PID…
  local pid group
  for pid in "$@"; do
    group=$groups/understudy-bench-$pid
    mkdir "$group" && numfmt --from=iec "$LIMIT" >"$group/$limit" && echo "$pid" >"$group/cgroup.procs" || { echo "no memory limit for $pid" >&2; return 1; }
  done
}
forget() { local file; for file in "$A" "$B"; do sync "$file"; dd if="$file" iflag=nocache count=0 status=none; done; }
name() { case $contender in ours-*) echo bench/data ;; *) echo vol ;; esac; }

for round in $(seq "$rounds"); do
  for contender in "$@"; do
    exec 9>"$LOCK"; flock -w 600 9 || exit 1
    images; forget
    if "begin_$contender" && limited "$PRIMARY_PID" "$STANDBY_PID"; then
      $SCHED "$NODE" "$ROOT/dist/test/bench/mirror/cold.js" "$SOCKET" "$(name)" "${RUNTIME:-4}" | sed "s/^/$round\t$contender\t/"
    else echo "FAILED $contender" >&2; fi
    measured=("$PRIMARY_PID" "$STANDBY_PID")
    end_all
    for pid in "${measured[@]}"; do rmdir "$groups/understudy-bench-$pid" 2>/dev/null; done
    exec 9>&-
  done
done
