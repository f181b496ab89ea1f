# Who the operator is
# Rendered by `skywatch render` for mycloud: change the inventory and render again.
# In the shell of an operator, in the directory above this one, or on a host of the cloud:
#   . cluster/operator.sh
#   ctl show
#   skywatch query --db telegraf 'SHOW MEASUREMENTS'
SKYWATCH_CA=/etc/skywatch/tls/ca.pem
[ ! -e cluster/ca.pem ] || SKYWATCH_CA=$PWD/cluster/ca.pem
SKYWATCH_URL=https://skywatch.cloud.example:8086
SKYWATCH_USER=admin
SKYWATCH_PASSWORD=admin-of-the-example
SKYWATCH_SHARED_SECRET=token-secret-of-the-example
export SKYWATCH_CA SKYWATCH_URL SKYWATCH_USER SKYWATCH_PASSWORD SKYWATCH_SHARED_SECRET
ctl() {
    skywatch ctl -bind meta1.cloud.example:8091,meta2.cloud.example:8091,meta3.cloud.example:8091 -bind-tls -ca "$SKYWATCH_CA" -auth-type jwt -user admin "$@"
}
