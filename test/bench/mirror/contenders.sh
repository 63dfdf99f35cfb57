# The contenders: `begin_NAME` starts one on $A and $B and sets URI, `pids` are ended by `end_all`. Read by run.sh, resync.sh, stopped.sh.
# Ours is two real mirror processes with everything on: durable bitmap and log, lease page, CRC, acknowledgements.
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=$(cd "$HERE/../../.." && pwd)
NODE=${NODE:-$ROOT/node_modules/.bin/node}
SCHED=${SCHED-chrt -r 1}
WORK=${WORK:-/tmp/understudy-mirror-bench}
ON=${ON:-shm}
SIZE=${SIZE:-1G}
RUNTIME=${RUNTIME:-3}
OURS_PORT=${OURS_PORT:-24490}
NBD_PORT=${NBD_PORT:-24491}
NODE_FLAGS=${NODE_FLAGS:-}
case $ON in shm) IMAGES=${IMAGES:-/dev/shm/understudy-mirror-bench} ;; disk) IMAGES=${IMAGES:-/var/tmp/understudy-mirror-bench} ;; *) echo "ON=shm or ON=disk" >&2; exit 2 ;; esac
A=$IMAGES/a.img
B=$IMAGES/b.img
SOCKET=$WORK/vol.sock
MONITOR=$WORK/monitor.sock
URI=
pids=()
mkdir -p "$WORK" "$IMAGES"

start() { $SCHED "$@" >>"$WORK/processes.log" 2>&1 & pids+=($!); }
end_all() {
  local pid
  for pid in "${pids[@]:-}"; do [ -z "$pid" ] || kill -CONT "$pid" 2>/dev/null; [ -z "$pid" ] || kill "$pid" 2>/dev/null; done
  for pid in "${pids[@]:-}"; do
    [ -n "$pid" ] || continue
    timeout 10 tail --pid="$pid" -f /dev/null || kill -9 "$pid"
    wait "$pid" 2>/dev/null
  done
  pids=()
}
trap end_all EXIT
until_true() { local i; for i in $(seq 600); do "$@" && return 0; sleep 0.1; done; echo "not in 60 s: $*" >&2; return 1; }
listens() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# Two equal images of bytes that nothing can make smaller: a pair starts in sync.
images() {
  local bytes; bytes=$(numfmt --from=iec "$SIZE")
  [ "$(stat -c %s "$A" 2>/dev/null)" = "$bytes" ] || head -c "$bytes" /dev/zero | openssl enc -aes-128-ctr -nosalt -pass pass:a 2>/dev/null >"$A"
  cmp -s "$A" "$B" || cp "$A" "$B"
  sync "$A" "$B"
}

# --- ours: ours NAME OPTIONS [KEEP]; KEEP: with the metadata that is there
volume() { # NODE OPTIONS EXTRA…
  local node=$1 options=$2 peer=b own=127.0.0.1 other=127.0.0.2; shift 2
  [ "$node" = a ] || { peer=a; own=127.0.0.2; other=127.0.0.1; }
  (umask 077; mkdir -p "$IMAGES/$node")
  # shellcheck disable=SC2086
  $SCHED "$NODE" $NODE_FLAGS "$ROOT/dist/test/bench/mirror/volume.js" --node "$node" --peer "$peer" --address "$own" --peer-address "$other" \
    --backing "$IMAGES/$node.img" --dir "$IMAGES/$node" --port "$OURS_PORT" --options "$options" "$@" >"$WORK/$node.log" 2>&1 &
  pids+=($!)
}
# A process that has ended will not serve: no minute is waited for it.
serving() { grep -qs '^serving' "$WORK/a.log" || ! kill -0 "$PRIMARY_PID" 2>/dev/null; }
ours() {
  local options=$1
  [ -n "${KEEP:-}" ] || rm -rf "$IMAGES/a" "$IMAGES/b"
  # The last one's word that it serves is not this one's.
  rm -f "$SOCKET" "$WORK/a.log" "$WORK/b.log"
  volume b "$options"; STANDBY_PID=$!
  volume a "$options" --primary --socket "$SOCKET"; PRIMARY_PID=$!
  { until_true serving && grep -q '^serving' "$WORK/a.log"; } || { tail -n 5 "$WORK/a.log" "$WORK/b.log" >&2; return 1; }
  URI="nbd+unix:///bench%2Fdata?socket=$SOCKET"
}
begin_ours-sync() { ours '{}'; }
begin_ours-sync-tls() { ours '{"insecure":false}'; }
begin_ours-parallel() { ours '{"order":"parallel"}'; }
begin_ours-semi-sync() { ours '{"mode":"semi-sync"}'; }
begin_ours-async() { ours '{"mode":"async"}'; }
begin_ours-sync-direct() { ours '{"direct":true}'; }
begin_ours-parallel-direct() { ours '{"order":"parallel","direct":true}'; }

# --- the field. The standby's server is nbdkit, which answers with TCP_NODELAY (qemu-nbd 7.2 does not, and is far slower for it).
cache() { if [ "$ON" = disk ]; then echo cache.direct=on,aio=native; else echo cache.direct=off,aio=threads; fi; }
nbd_standby() { start nbdkit -f -i 127.0.0.1 -p "$NBD_PORT" -e vol -t 8 "$@" file "$B"; STANDBY_PID=$!; until_true listens "$NBD_PORT"; }
storage_daemon() { # NODE-NAME-OF-THE-LOCAL-DISK EXTRA…
  local name=$1; shift
  rm -f "$SOCKET" "$MONITOR"
  start qemu-storage-daemon --blockdev "driver=file,node-name=file,filename=$A,$(cache)" --blockdev "driver=raw,node-name=$name,file=file" \
    --blockdev "driver=nbd,node-name=peer,server.type=inet,server.host=127.0.0.1,server.port=$NBD_PORT,export=vol" "$@" \
    --nbd-server "addr.type=unix,addr.path=$SOCKET" --export type=nbd,id=e,node-name=vol,name=vol,writable=on \
    --chardev "socket,id=m,path=$MONITOR,server=on,wait=off" --monitor chardev=m
  PRIMARY_PID=$!
  until_true test -S "$SOCKET" && until_true test -S "$MONITOR" && URI="nbd+unix:///vol?socket=$SOCKET"
}
qmp() { "$NODE" "$HERE/qmp.ts" "$MONITOR" "$@"; }
mirror_job() { printf '{"execute":"blockdev-mirror","arguments":{"job-id":"m","device":"vol","target":"peer","sync":"full","copy-mode":"%s"}}' "$1"; }
qemu_mirror() { nbd_standby && storage_daemon vol && qmp "$(mirror_job "$1")" wait:BLOCK_JOB_READY >>"$WORK/processes.log"; }
begin_qemu-mirror() { qemu_mirror write-blocking; }
begin_qemu-background() { qemu_mirror background; }
begin_qemu-quorum() {
  nbd_standby && storage_daemon here --blockdev driver=quorum,node-name=vol,vote-threshold=2,read-pattern=fifo,children.0=here,children.1=peer
}
