#!/bin/sh
# From here to the hosts
# Rendered by `skywatch render` for mycloud: change the inventory and render again.
# Copies files to hosts as root, and makes them take effect; restarts nothing. Shows what changed.
#   ./push.sh meta1           one host, or several
#   ./push.sh all
#   RSYNC_RSH='ssh -i key' ./push.sh all
set -eu
cd "$(dirname "$0")"
[ $# -gt 0 ] || { echo 'usage: push.sh HOST... | all' >&2; exit 2; }
[ "$*" != all ] || set -- meta1 meta2 meta3 data1 data2 front1 front2 kafka1 kafka2 kafka3 graf1 kvm1 kvm2
for host in "$@"; do
    [ -d "hosts/$host" ] || { echo "push.sh: no host $host here" >&2; exit 1; }
    address=$(awk -v name="$host" '$NF == name { print $1; exit }' cluster/hosts)
    case $address in *:*) target="[$address]" ;; *) target=$address ;; esac
    echo "== $host ($address)"
    # What is there keeps its owner and permissions (apply.sh gives services theirs): a key that its service could not read
    # for a moment would be missed. New files get those that they have here.
    rsync -rlE --checksum --rsync-path='umask 022; rsync' --out-format='%o %n' "hosts/$host/" "root@$target:/"
    ${RSYNC_RSH:-ssh} "root@$address" sh /etc/skywatch/apply.sh
done
