#!/usr/bin/env bash
# A cluster on this machine: meta and data nodes as processes on 127.0.0.1, joined as docs/cluster.md says.
#
#   scripts/cluster.sh BINARY [--meta N] [--data N] [--dir DIR]
#
# Meta node i answers on 8091 + 100 (i - 1), data node i on 8086 + 100 (i - 1), its console on 3000 + 100 (i - 1). What is
# below DIR stays: started again, the cluster goes on where it was. Ctrl-C stops all of it in good order.
set -euo pipefail

die() { echo "error: $*" >&2; exit 1; }

binary=$(realpath "${1:?usage: scripts/cluster.sh BINARY [--meta N] [--data N] [--dir DIR]}")
shift
metas=3 datas=2 dir=./skywatch-cluster
while [ $# -gt 0 ]; do
  case $1 in
    --meta) metas=${2:?--meta needs a number} ;;
    --data) datas=${2:?--data needs a number} ;;
    --dir) dir=${2:?--dir needs a directory} ;;
    *) die "unknown option $1: expected --meta N, --data N or --dir DIR" ;;
  esac
  shift 2
done
[[ $metas =~ ^[1-9]$ ]] || die "--meta $metas: from 1 to 9; 3 survive the loss of one, 5 of two"
[[ $datas =~ ^[1-9]$ ]] || die "--data $datas: from 1 to 9"
mkdir -p "$dir"
dir=$(realpath "$dir")

# Each node in a process group of its own: Ctrl-C reaches this script, which then stops them one after the other.
set -m
declare -A pids=()
names=()

start() { # NAME ROLE
  "$binary" "$2" --config "$dir/$1/$2.toml" >>"$dir/$1/log" 2>&1 &
  pids[$1]=$!
  # No job of bash's any more, which would tell of one that is killed in words of its own.
  disown "$!"
  names+=("$1")
}

stop_all() {
  trap - EXIT INT TERM
  # Data nodes first, last one first: they still have somebody to tell.
  for ((i = ${#names[@]} - 1; i >= 0; i--)); do
    local pid=${pids[${names[i]}]}
    kill -TERM "$pid" 2>/dev/null || continue
    while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
  done
  echo "stopped; everything is kept in $dir"
}
trap stop_all EXIT
trap 'exit 130' INT TERM

check_running() {
  for name in "${names[@]}"; do
    kill -0 "${pids[$name]}" 2>/dev/null || die "$name has ended; the end of $dir/$name/log:
$(tail -5 "$dir/$name/log")"
  done
}

await() { # PORT WHAT
  for _ in $(seq 300); do
    (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null && return
    check_running
    sleep 0.1
  done
  die "$2 does not listen on 127.0.0.1:$1 after 30 s; see its log below $dir"
}

free() { # PORT
  ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null || die "something listens on 127.0.0.1:$1 already; stop it first"
}

ctl() { "$binary" ctl -bind 127.0.0.1:8091 "$@"; }

for ((i = 0; i < metas; i++)); do
  name=meta-$((i + 1)) raft=$((8089 + 100 * i)) http=$((8091 + 100 * i))
  free $raft; free $http
  mkdir -p "$dir/$name"
  cat >"$dir/$name/meta.toml" <<END
hostname = "127.0.0.1"
[meta]
dir = "$dir/$name/meta"
bind-address = "127.0.0.1:$raft"
http-bind-address = "127.0.0.1:$http"
END
  start "$name" meta
done
for ((i = 0; i < datas; i++)); do
  name=data-$((i + 1)) http=$((8086 + 100 * i)) tcp=$((8088 + 100 * i)) console=$((3000 + 100 * i))
  free $http; free $tcp; free $console
  mkdir -p "$dir/$name"
  cat >"$dir/$name/data.toml" <<END
hostname = "127.0.0.1"
bind-address = "127.0.0.1:$tcp"
[data]
dir = "$dir/$name/data"
memory-budget = "512m"
[http]
bind-address = "127.0.0.1:$http"
[console]
enabled = true
bind = "127.0.0.1:$console"
END
  start "$name" data
done

for ((i = 0; i < metas; i++)); do await $((8091 + 100 * i)) "meta-$((i + 1))"; done
for ((i = 0; i < datas; i++)); do await $((8088 + 100 * i)) "data-$((i + 1))"; done
for ((i = 0; i < metas; i++)); do ctl add-meta "127.0.0.1:$((8091 + 100 * i))"; done
for ((i = 0; i < datas; i++)); do ctl add-data "127.0.0.1:$((8088 + 100 * i))"; done
for ((i = 0; i < datas; i++)); do await $((8086 + 100 * i)) "data-$((i + 1))"; done

echo
ctl show
cat <<END

The cluster runs. Each data node answers for all of it:

  $binary query --url http://127.0.0.1:8086 'CREATE DATABASE cloud WITH REPLICATION $datas'
  curl -i 'http://127.0.0.1:8086/write?db=cloud' --data-binary 'cpu,host=a usage=42'
  $binary query --url http://127.0.0.1:$((8086 + 100 * (datas - 1))) --db cloud 'SELECT * FROM cpu'
  $binary ctl show-shards

Nodes, what they keep for each other and what to do: http://127.0.0.1:3000/cluster

Kill a node and go on writing: kill -9 ${pids[data-$datas]}   (data-$datas; this script then only tells)
Logs and data: $dir. Ctrl-C stops all of it.
END

# A node that ends is told, once; the others go on.
declare -A told=()
while :; do
  for name in "${names[@]}"; do
    if [ -z "${told[$name]:-}" ] && ! kill -0 "${pids[$name]}" 2>/dev/null; then
      echo "$name has ended; start it again: $binary ${name%-*} --config $dir/$name/${name%-*}.toml"
      told[$name]=1
    fi
  done
  sleep 1
done
