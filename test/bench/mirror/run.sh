#!/bin/bash
# Ours beside QEMU's replication, one command: run.sh [-n ROUNDS] [-j "JOBS"] CONTENDER… ; see README.md. In each round every contender
# runs all jobs (A B A B), so that ratios are of neighbours in time. Appends to $WORK/results.tsv, then prints summary.ts of it.
set -u
. "$(dirname "$0")/contenders.sh"
rounds=3
jobs="w4k-qd1 w4k-qd32 w64k-qd8 w1m-qd8 r4k-qd1 r4k-qd32"
while getopts n:j: option; do case $option in n) rounds=$OPTARG ;; j) jobs=$OPTARG ;; *) exit 2 ;; esac; done
shift $((OPTIND - 1))
OUT=${OUT:-$WORK/results.tsv}
LOCK=${LOCK:-/tmp/measure.lock}

job_lines() { # rw, block size and depth from a name like w4k-qd32, r64k-qd8, mix4k-qd16, w4k-flush
  local job=$1 kind=${1%%[0-9]*} bs depth=1 rest=
  bs=$(echo "$job" | sed -E 's/^[a-z]+([0-9]+[km]).*/\1/')
  case $job in *-qd*) depth=${job##*-qd} ;; *-flush) rest=fsync=1 ;; esac
  case $kind-$bs in w-4k) kind=randwrite ;; w-*) kind=write ;; r-*) kind=randread ;; mix-*) kind=randrw rest=rwmixread=70 ;; esac
  printf '[%s]\nioengine=nbd\nuri=%s\nrw=%s\nbs=%s\niodepth=%s\nsize=%s\ntime_based=1\nruntime=%s\nramp_time=0.5\nrandrepeat=0\nnorandommap=1\n%s\n' \
    "$job" "$URI" "$kind" "$bs" "$depth" "$SIZE" "$RUNTIME" "$rest"
}
# Milliseconds of processor time: of everything, and of those measured.
all_busy() { awk '/^cpu /{print ($2+$3+$4+$7+$8)*10}' /proc/stat; }
own_busy() { local pid sum=0 ms; for pid in "${pids[@]}"; do ms=$(awk '{sub(/.*\) /,""); print ($12+$13)*10}' "/proc/$pid/stat") && sum=$((sum + ms)); done; echo $sum; }

measure() { # ROUND CONTENDER JOB
  local before own after mine startedMs endedMs
  job_lines "$3" >"$WORK/job.fio"
  exec 9>"$LOCK"; flock -w 600 9 || { echo "another measurement holds $LOCK" >&2; return 1; }
  before=$(all_busy); own=$(own_busy); startedMs=$(date +%s%3N)
  $SCHED timeout 120 fio --output-format=json --output="$WORK/fio.json" "$WORK/job.fio" 2>>"$WORK/processes.log" 9>&- || { echo "FAILED $2 $3" >&2; exec 9>&-; return 1; }
  endedMs=$(date +%s%3N); after=$(all_busy); mine=$(own_busy); exec 9>&-
  sed -n '/^{/,$p' "$WORK/fio.json" | jq -r --arg round "$1" --arg name "$ON/$2" --arg job "$3" \
    --argjson others $((after - before - mine + own)) --argjson took $((endedMs - startedMs)) '
    .jobs[0] as $x | (if $x.write.total_ios > 0 then $x.write else $x.read end) as $d
    | [$round, $name, $job, ($x.write.iops + $x.read.iops | floor), ($d.clat_ns.percentile["50.000000"] / 1000), ($d.clat_ns.percentile["99.000000"] / 1000),
       ($d.clat_ns.max / 1000 | floor), ([$others * 100 / $took - $x.usr_cpu - $x.sys_cpu, 0] | max | floor)] | @tsv' | tee -a "$OUT"
}

for round in $(seq "$rounds"); do
  for contender in "$@"; do
    images
    if ! "begin_$contender"; then echo "FAILED to start $contender" >&2; end_all; continue; fi
    for job in $jobs; do measure "$round" "$contender" "$job"; done
    same=no
    for _ in $(seq 60); do cmp -s "$A" "$B" && { same=yes; break; }; sleep 1; done
    [ $same = yes ] || echo "NOT EQUAL after 60 s: $ON/$contender" | tee -a "$WORK/unequal"
    end_all
  done
done
"$NODE" "$HERE/summary.ts" "$OUT"
