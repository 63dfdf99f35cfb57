#!/bin/sh
# An application as app-script wants it: start returns when it serves, stop when it has ended, status by LSB exit status.
#
#   app:
#     use: app-script
#     start: [/opt/app/app.sh, start]
#     stop: [/opt/app/app.sh, stop]
#     monitor: [/opt/app/app.sh, status]
#     pidfile: /run/app.pid
#
# Settings, from the environment (`env:` of the resource):
#   APP_COMMAND   the program and its arguments, as a shell would read them      required
#   APP_PIDFILE   default /run/app.pid; the same as `pidfile:`
#   APP_CHECK     a command that succeeds when the application serves; default: it is enough that it lives
#   APP_SECONDS   start and stop may take so long; default 20
set -u

pidfile=${APP_PIDFILE:-/run/app.pid}
seconds=${APP_SECONDS:-20}

# A dead process that nobody has waited for yet still takes signals: in a container that may last.
alive() {
  [ -r "$pidfile" ] && pid=$(cat "$pidfile") && [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null &&
    ! grep -q '^State:[[:space:]]*[ZX]' "/proc/$pid/status" 2>/dev/null
}
serves() { alive && { [ -z "${APP_CHECK:-}" ] || sh -c "$APP_CHECK" >/dev/null 2>&1; }; }
# Waits in steps of a tenth of a second: wait_for CONDITION...
wait_for() {
  left=$((seconds * 10))
  until "$@"; do
    [ "$left" -gt 0 ] || return 1
    left=$((left - 1))
    sleep 0.1
  done
}
gone() { ! alive; }
serves_or_died() { serves || gone; }

case ${1:-} in
  start)
    serves && exit 0
    [ -n "${APP_COMMAND:-}" ] || { echo 'app: APP_COMMAND is not set' >&2; exit 2; }
    rm -f "$pidfile"
    # Output goes where app-script sent ours: the resource's log file. The inner shells become the program: one pid for all.
    # shellcheck disable=SC2016
    setsid sh -c 'echo $$ >"$1"; exec sh -c "exec $2"' app "$pidfile" "$APP_COMMAND" </dev/null &
    wait_for test -s "$pidfile"
    wait_for serves_or_died
    serves || { echo 'app: does not serve' >&2; exit 1; }
    ;;
  stop)
    alive || { rm -f "$pidfile"; exit 0; }
    kill "$pid"
    # What is left after this is ended by app-script: it kills whatever remains.
    wait_for gone || { echo "app: still running after $seconds s" >&2; exit 1; }
    rm -f "$pidfile"
    ;;
  status)
    alive || exit 3
    serves || { echo 'app: runs but does not serve' >&2; exit 1; }
    ;;
  *)
    echo 'usage: app.sh start|stop|status' >&2
    exit 2
    ;;
esac
