#!/bin/bash
# A copy of a whole volume, and 1 % scattered dirty resynced: resync.sh [ROUNDS]. Volume of $SIZE (default 4G) on tmpfs. Ours is asked by
# its control socket; what it sent is counted by the kernel (bytes_sent of its connections to the standby). Times are of its journal:
# of a copy from the order, of a resync from the standby's going on (with all that making the connection anew takes), each until both
# are equal and in the record. A B A B as run.sh.
SIZE=${SIZE:-4G}
. "$(dirname "$0")/contenders.sh"
set -u
OUT=${OUT:-$WORK/resync.tsv}
LOCK=${LOCK:-/tmp/measure.lock}
MB=$(($(numfmt --from=iec "$SIZE") >> 20))
say() { printf '%s\t%s\t%s\t%s ms\t%s MiB sent\t%s\n' "$@" | tee -a "$OUT"; } # ROUND WHO WHAT MS MIB REMARK
lock() { exec 9>"$LOCK"; flock -w 600 9 || exit 1; }
unlock() { exec 9>&-; }
sent_mib() { ss -tinp 2>/dev/null | grep -A1 "pid=$PRIMARY_PID," | grep -o 'bytes_sent:[0-9]*' | cut -d: -f2 | awk '{s+=$1} END {print int(s/1048576)}'; }
control() { "$NODE" "$ROOT/dist/test/bench/mirror/control.js" "$IMAGES/a" "$1"; }
dirty() { # BLOCK: 1 % of the volume, scattered, each block once
  fio --name=dirty --ioengine=nbd --uri="$URI" --rw=randwrite --bs="$1" --io_size=$((MB * 1048576 / 100)) --size="$SIZE" --iodepth=16 --randseed="$RANDOM" >>"$WORK/processes.log"
}
RATE='"resyncMax":"1TiB","peerTimeout":"1s"'
PSK=$WORK/psk
(umask 077; echo "bench:$(openssl rand -hex 32)" >"$PSK")
uptime_ms() { awk '{print int($1 * 1000)}' /proc/uptime; }
last_ms() { awk -v kind="$1" '$1 == "journal" && $3 == kind {ms = $2} END {print ms + 0}' "$WORK/a.log"; } # of the primary's clock
nbdcopied() { # WHO URI: the source behind a socket of its own, as QEMU's copy has it
  start nbdkit -f -U "$SOCKET.src" file "$A"; until_true test -S "$SOCKET.src"
  lock; began=$(date +%s%3N); $SCHED nbdcopy "nbd+unix:///?socket=$SOCKET.src" "$2"; ms=$(($(date +%s%3N) - began)); unlock
  say "$round" "$1" initial-copy "$ms" "$MB" "$((MB * 1000 / ms)) MiB/s"; end_all; rm -f "$SOCKET.src"
}
for round in $(seq "${1:-3}"); do
  for mode in "$RATE" "$RATE,\"insecure\":false"; do
    [[ $mode == *insecure* ]] && who=ours-tls || who=ours
    images; ours "{$mode}" || exit 1
    lock; before=$(sent_mib); read -r began _ _ <<<"$(control full)"; ms=$(($(last_ms mirror.in-sync) - began)); unlock
    say "$round" $who initial-copy "$ms" $(($(sent_mib) - before)) "$((MB * 1000 / ms)) MiB/s"
    for block in 4k 64k; do
      kill -STOP "$STANDBY_PID"; dirty $block
      lock; began=$(uptime_ms); kill -CONT "$STANDBY_PID"; control equal >>"$WORK/processes.log"; unlock
      end=$(last_ms mirror.in-sync)
      say "$round" $who "resync-1%-$block" "$((end - $(last_ms mirror.resync-start)))" "$(sent_mib)" "$((end - began)) ms since the standby went on"
    done
    end_all; cmp "$A" "$B" || exit 1
  done
  images; nbd_standby; nbdcopied nbdcopy "nbd://127.0.0.1:$NBD_PORT/vol"
  nbd_standby --tls=require --tls-psk="$PSK"; nbdcopied nbdcopy-tls "nbds://bench@127.0.0.1:$NBD_PORT/vol?tls-psk-file=$PSK"
  nbd_standby; storage_daemon vol || exit 1
  lock; ms=$(qmp "$(mirror_job write-blocking)" wait:BLOCK_JOB_READY | tail -1); unlock
  say "$round" qemu-mirror initial-copy "$ms" "$MB" "$((MB * 1000 / ms)) MiB/s"; end_all
  for block in 4k 64k; do # blockdev-mirror has no bitmap in 7.2; a backup with one is what can resync, in units of 64 KiB
    images; nbd_standby; storage_daemon vol || exit 1
    qmp '{"execute":"block-dirty-bitmap-add","arguments":{"node":"vol","name":"b0","granularity":65536}}' >>"$WORK/processes.log"
    dirty $block
    mib=$(($(qmp '{"execute":"query-named-block-nodes"}' | jq '[.. | objects | select(.name == "b0") | .count] | first') >> 20))
    lock; ms=$(qmp '{"execute":"blockdev-backup","arguments":{"job-id":"k","device":"vol","target":"peer","sync":"bitmap","bitmap":"b0","bitmap-mode":"on-success"}}' wait:BLOCK_JOB_COMPLETED | tail -1); unlock
    say "$round" qemu-bitmap "resync-1%-$block" "$ms" "$mib" "$((MB / 100)) MiB dirty"; end_all
  done
done
