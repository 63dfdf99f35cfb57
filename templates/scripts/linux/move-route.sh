#!/bin/sh
# Moves the route of a floating address to this node in one or more route tables, with the AWS CLI.
# A hook for `beforeFailover` (the route is there before the service) and `afterSwitchover` (the new node's own hook of a planned
# move; `beforeSwitchover` runs on the node that is left):
#
#   hooks:
#     beforeFailover:  [{ run: [/etc/understudy/move-route.sh], timeout: 30s, onFailure: abort }]
#     afterSwitchover: [{ run: [/etc/understudy/move-route.sh], timeout: 30s, onFailure: fault }]
#
# Settings, from the environment or from move-route.conf beside this script (NAME=value lines; different on each node):
#   ROUTE_TABLES   route tables, separated by blanks                       required
#   ADDRESS        the floating address, with or without /32 (or /128)     required
#   ENI            network interface of this node; default: asked from IMDSv2 for the first interface
#   REGION         default: the AWS CLI's own setting
#   CREATE_ROUTE   yes: make the route where a table has none; default no
#   TRIES          attempts for each table; default 3
#   CALL_SECONDS   one call of the AWS CLI may take so long; default 8
#
# From understudy: UNDERSTUDY_NODE, UNDERSTUDY_TO and UNDERSTUDY_POINT, _CLUSTER, _GROUP, _EPOCH, _FROM, _INCIDENT, _BECAUSE.
# Moves nothing when UNDERSTUDY_TO names another node. Exit status: 0 every table points here, read back; 1 some do not
# (they are named); 2 the settings are wrong.
# Rights: ec2:ReplaceRoute, ec2:DescribeRouteTables, and ec2:CreateRoute with CREATE_ROUTE=yes.
# The agent overlay-ip does all this, also puts right what others change, and is to be preferred.
set -u
export LC_ALL=C AWS_PAGER='' AWS_MAX_ATTEMPTS=1

say() { printf 'move-route: %s\n' "$*" >&2; }

here=$(dirname -- "$0")
# shellcheck source=/dev/null
if [ -r "$here/move-route.conf" ]; then . "$here/move-route.conf"; fi

if [ -n "${UNDERSTUDY_TO:-}" ] && [ "$UNDERSTUDY_TO" != "${UNDERSTUDY_NODE:-}" ]; then
  say "nothing to do on ${UNDERSTUDY_NODE:-this node}: the group goes to $UNDERSTUDY_TO"
  exit 0
fi
if [ -z "${ROUTE_TABLES:-}" ] || [ -z "${ADDRESS:-}" ]; then
  say 'ROUTE_TABLES and ADDRESS must be set, here or in move-route.conf'
  exit 2
fi

case $ADDRESS in
  */*) cidr=$ADDRESS ;;
  *:*) cidr=$ADDRESS/128 ;;
  *) cidr=$ADDRESS/32 ;;
esac
case $cidr in
  *:*) destination=--destination-ipv6-cidr-block key=DestinationIpv6CidrBlock ;;
  *) destination=--destination-cidr-block key=DestinationCidrBlock ;;
esac

imds() { curl -sS -f --max-time 2 "$@"; }
own_interface() {
  base=${IMDS:-http://169.254.169.254}/latest
  token=$(imds -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' "$base/api/token") || return 1
  mac=$(imds -H "X-aws-ec2-metadata-token: $token" "$base/meta-data/mac") || return 1
  imds -H "X-aws-ec2-metadata-token: $token" "$base/meta-data/network/interfaces/macs/$mac/interface-id"
}
eni=${ENI:-$(own_interface)}
if [ -z "$eni" ]; then
  say 'the network interface of this node is unknown: set ENI, or allow IMDSv2'
  exit 2
fi

# `timeout` bounds what the AWS CLI does not: name resolution, credentials, its own start.
ec2() {
  timeout -k 1 "${CALL_SECONDS:-8}" aws ec2 "$@" ${REGION:+--region "$REGION"} --output text \
    --cli-connect-timeout 2 --cli-read-timeout 5
}

# Where the table's route points now: an interface, `None` when elsewhere, nothing when there is no such route.
target_of() {
  ec2 describe-route-tables --route-table-ids "$1" \
    --query "RouteTables[0].Routes[?$key=='$cidr'].NetworkInterfaceId | [0]"
}

move() {
  try=1
  while :; do
    if ec2 replace-route --route-table-id "$1" "$destination" "$cidr" --network-interface-id "$eni" >/dev/null ||
      { [ "${CREATE_ROUTE:-no}" = yes ] &&
        ec2 create-route --route-table-id "$1" "$destination" "$cidr" --network-interface-id "$eni" >/dev/null; }; then
      # The answer is believed only when the table says the same.
      if [ "$(target_of "$1")" = "$eni" ]; then
        say "$1: $cidr -> $eni"
        return 0
      fi
      say "$1: replaced, but read back something else (try $try)"
    else
      say "$1: could not be replaced (try $try)"
    fi
    [ "$try" -lt "${TRIES:-3}" ] || return 1
    try=$((try + 1))
    sleep 1
  done
}

# All tables at once: the slowest one decides, not their sum.
jobs=''
for table in $ROUTE_TABLES; do
  move "$table" &
  jobs="$jobs $!:$table"
done
failed=''
for job in $jobs; do
  wait "${job%%:*}" || failed="$failed ${job#*:}"
done
[ -z "$failed" ] && exit 0
say "NOT moved:$failed"
exit 1
