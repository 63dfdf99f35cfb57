#!/bin/bash
# What "sync" claims, looked at: with the standby stopped (SIGSTOP) no write may be answered; going on, it must be. stopped.sh CONTENDER…
# The mirror's own time limit for a silent peer is put out of the way, else it would (rightly) take the peer out of the record and go on.
set -u
. "$(dirname "$0")/contenders.sh"
patience='"peerTimeout":"60s"'
begin_ours-sync() { ours "{$patience}"; }
begin_ours-sync-tls() { ours "{$patience,\"insecure\":false}"; }
begin_ours-parallel() { ours "{$patience,\"order\":\"parallel\"}"; }
begin_ours-async() { ours "{$patience,\"mode\":\"async\"}"; }
failed=0
for contender in "$@"; do
  images
  "begin_$contender" || { failed=1; continue; }
  qemu-io -f raw "$URI" -c 'write -P 0x5a 4096 4096' >>"$WORK/processes.log" || { echo "$contender: no write at all"; failed=1; }
  kill -STOP "$STANDBY_PID"
  timeout -s KILL 4 qemu-io -f raw "$URI" -c 'write -P 0xa5 8192 4096' 2>&1 | grep -q '^wrote' && answered=ANSWERED || answered='not answered'
  kill -CONT "$STANDBY_PID"
  timeout 30 qemu-io -f raw "$URI" -c 'write -P 0xa5 8192 4096' 2>&1 | grep -q '^wrote' && after='answered' || after='NOT ANSWERED'
  sleep 1
  cmp -s "$A" "$B" && same=equal || same='NOT EQUAL'
  echo "$contender: with the standby stopped a write was $answered, then $after, copies $same"
  case $contender-$answered in *sync-ANSWERED | *tls-ANSWERED | *parallel-ANSWERED) [[ $contender == *async* ]] || failed=1 ;; esac
  end_all
done
exit $failed
