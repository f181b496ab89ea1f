#!/bin/sh
# Applies what was copied
# Rendered by `skywatch render` for mycloud: change the inventory and render again.
# Makes what was copied to this host take effect: users, permissions, names, kernel, units. Restarts nothing; may be
# run again at any time.
set -eu
systemd-sysusers /etc/sysusers.d/skywatch.conf
systemd-tmpfiles --create /etc/tmpfiles.d/skywatch.conf

# Names go between two marks; the rest of /etc/hosts stays as it is.
new=$(mktemp)
trap 'rm -f "$new"' EXIT
sed '/^# BEGIN skywatch$/,/^# END skywatch$/d' /etc/hosts >"$new"
{
    echo '# BEGIN skywatch'
    cat /etc/skywatch/hosts
    echo '# END skywatch'
} >>"$new"
# Written in place: in containers the file is mounted.
cmp -s "$new" /etc/hosts || cat "$new" >/etc/hosts

if [ -e /etc/sysctl.d/60-skywatch.conf ]; then
    sysctl --quiet --load /etc/sysctl.d/60-skywatch.conf
fi
# In an image that is only being made nobody listens.
[ ! -d /run/systemd/system ] || systemctl daemon-reload
