#!/bin/sh
# Databases and users
# Rendered by `skywatch render` for mycloud: change the inventory and render again.
# Makes databases, retention policies and users; where they are there, they are made as the inventory says. From here:
#   ssh root@data1 sh -s <cluster/databases.sh
set -eu
export SKYWATCH_URL=https://data1.cloud.example:8086 SKYWATCH_CA=/etc/skywatch/tls/ca.pem
anybody() { /usr/bin/skywatch query "$@"; }
admin() { SKYWATCH_USER=admin SKYWATCH_PASSWORD=admin-of-the-example /usr/bin/skywatch query "$@"; }
there() { admin --format csv "$1" </dev/null | tr -d '"' | grep -qxE "(.*,)?$2(,.*)?"; }
# Of two statements the first where a question has no row with a word, else the second.
made() { if there "$1" "$2"; then sed -n 2p; else sed -n 1p; fi | admin >/dev/null; }

# The first user is an administrator; until there is one nothing else is answered.
admin 'SHOW DATABASES' </dev/null >/dev/null 2>&1 || anybody >/dev/null <<'END'
CREATE USER admin WITH PASSWORD 'admin-of-the-example' WITH ALL PRIVILEGES
END

made 'SHOW RETENTION POLICIES ON telegraf' 'autogen' <<'END'
CREATE DATABASE telegraf WITH DURATION 30d REPLICATION 2 SHARD DURATION 1d NAME autogen
ALTER RETENTION POLICY autogen ON telegraf DURATION 30d REPLICATION 2 SHARD DURATION 1d DEFAULT
END

made 'SHOW RETENTION POLICIES ON telegraf' 'year' <<'END'
CREATE RETENTION POLICY year ON telegraf DURATION 365d REPLICATION 2 SHARD DURATION 1w
ALTER RETENTION POLICY year ON telegraf DURATION 365d REPLICATION 2 SHARD DURATION 1w
END

made 'SHOW USERS' 'agent' <<'END'
CREATE USER agent WITH PASSWORD 'agent-of-the-example'
SET PASSWORD FOR agent = 'agent-of-the-example'
END

made 'SHOW USERS' 'grafana' <<'END'
CREATE USER grafana WITH PASSWORD 'grafana-user-of-the-example'
SET PASSWORD FOR grafana = 'grafana-user-of-the-example'
END

made 'SHOW USERS' 'reader' <<'END'
CREATE USER reader WITH PASSWORD 'reader-of-the-example'
SET PASSWORD FOR reader = 'reader-of-the-example'
END

admin >/dev/null <<'END'
GRANT WRITE ON telegraf TO agent
GRANT READ ON telegraf TO grafana
GRANT READ ON telegraf TO reader
END

admin 'SHOW DATABASES; SHOW USERS' </dev/null
