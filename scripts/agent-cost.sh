#!/usr/bin/env bash
# What the agent costs the host it watches: memory and processor time with the default host inputs, every 10 s.
#
# usage: scripts/agent-cost.sh SKYWATCH [SECONDS] [CONFIG]
#
# Wanted: less than 30 MB resident, less than 0.3 % of one core. Without CONFIG the inputs are those of
# `skywatch config default agent`, and what they gather is written to /dev/null as line protocol.
set -euo pipefail

skywatch=${1:?usage: $0 SKYWATCH [SECONDS] [CONFIG]}
seconds=${2:-120}
warm_up=25
dir=$(mktemp -d)
pid=
finish() {
  if [ -n "$pid" ]; then kill "$pid" 2>/dev/null || true; wait "$pid" 2>/dev/null || true; fi
  rm -rf "$dir"
}
trap finish EXIT

config=${3:-$dir/agent.conf}
if [ $# -lt 3 ]; then
  # Everything of the default configuration but where it sends to.
  "$skywatch" config default agent | awk '/^\[\[outputs\./ { skip = 1 } /^\[\[inputs\./ { skip = 0 } !skip' >"$config"
  printf '[[outputs.file]]\n  files = ["/dev/null"]\n' >>"$config"
fi

# Ticks of the processor spent so far, by itself and for it by the kernel.
ticks() { sed 's/.*) //' "/proc/$pid/stat" | awk '{ print $12 + $13 }'; }
status() { awk -v key="$1:" '$1 == key { print $2 }' "/proc/$pid/status"; }

"$skywatch" agent --config "$config" >"$dir/log" 2>&1 &
pid=$!
sleep "$warm_up"
kill -0 "$pid" 2>/dev/null || { cat "$dir/log"; exit 1; }
before=$(ticks)
sleep "$seconds"
after=$(ticks)
awk -v ticks=$((after - before)) -v hz="$(getconf CLK_TCK)" -v seconds="$seconds" -v rss="$(status VmRSS)" \
  -v anon="$(status RssAnon)" -v threads="$(status Threads)" -v inputs="$(grep -c '^\[\[inputs\.' "$config")" 'BEGIN {
    printf "agent with %d inputs, %d s: %.3f %% of one core, %.1f MB resident (%.1f MB of it its own), %d threads\n",
      inputs, seconds, 100 * ticks / hz / seconds, rss / 1000, anon / 1000, threads
  }'
