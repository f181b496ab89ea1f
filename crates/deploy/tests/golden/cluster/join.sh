#!/bin/sh
# Members of the cluster
# Rendered by `skywatch render` for mycloud: change the inventory and render again.
# Forms the cluster of nodes that run and wait for it; a node that is a member stays one. From here:
#   ssh root@meta1 sh -s <cluster/join.sh
set -eu
# Lets this in while there is no user yet.
export SKYWATCH_SHARED_SECRET=token-secret-of-the-example
ctl() {
    /usr/bin/skywatch ctl -bind meta1.cloud.example:8091,meta2.cloud.example:8091,meta3.cloud.example:8091 -bind-tls -ca /etc/skywatch/tls/ca.pem -auth-type jwt -user admin "$@"
}

ctl add-meta meta1.cloud.example:8091
ctl add-meta meta2.cloud.example:8091
ctl add-meta meta3.cloud.example:8091
ctl add-data data1.cloud.example:8088
ctl add-data data2.cloud.example:8088

ctl show
