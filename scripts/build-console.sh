#!/usr/bin/env bash
# Builds the console's web app into console/dist, unless it is newer than all of its sources.
set -euo pipefail
cd "$(dirname "$0")/../console"
[ -x ../.node/bin/node ] && PATH="$PWD/../.node/bin:$PATH"

if [ ! -e node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
    echo 'console: installing its packages (npm ci)' >&2
    npm ci --no-audit --no-fund --loglevel=error >&2
    touch node_modules/.package-lock.json
fi
if [ ! -e dist/index.html ] ||
    [ -n "$(find . -path ./node_modules -prune -o -path ./dist -prune -o -type f -newer dist/index.html -print -quit)" ]; then
    echo 'console: building the web app (npm run build)' >&2
    npm run --silent build >&2
fi
