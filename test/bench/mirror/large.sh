#!/bin/bash
# Memory, metadata and start of a large volume (default 1T, sparse): large.sh. Written to a little, at random, before memory is read.
SIZE=${SIZE:-1T}
ON=${ON:-disk}
. "$(dirname "$0")/contenders.sh"
set -u
rm -rf "$IMAGES/a" "$IMAGES/b"; rm -f "$A" "$B"; truncate -s "$SIZE" "$A" "$B"
resident() { awk '/^(VmRSS|VmHWM)/ {printf "%s %d MB  ", $1, $2 / 1024} END {print ""}' "/proc/$1/status"; }
timed() { local began; began=$(date +%s%3N); KEEP=$1 ours '{}' || exit 1; echo "$2: serving after $(($(date +%s%3N) - began)) ms (to 100 ms)"; }
timed '' "both processes, metadata made anew"
ls -ls --block-size=M "$IMAGES"/[ab]/*.metadata
echo "primary $(resident "$PRIMARY_PID") standby $(resident "$STANDBY_PID")"
fio --name=some --ioengine=nbd --uri="$URI" --rw=randwrite --bs=4k --iodepth=16 --size="$SIZE" --io_size=20M --norandommap >>"$WORK/processes.log"
echo "after 5 120 writes all over it: primary $(resident "$PRIMARY_PID") standby $(resident "$STANDBY_PID")"
end_all
timed yes "both processes, with their metadata"
echo "primary $(resident "$PRIMARY_PID") standby $(resident "$STANDBY_PID")"
end_all
rm -f "$A" "$B"
