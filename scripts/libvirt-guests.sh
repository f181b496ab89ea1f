#!/bin/sh
# Two (or N) tiny virtual machines under a real libvirtd, for trying the libvirt input by hand and
# for the end-to-end tests. Needs root, and Debian's libvirt-daemon-system and qemu-system-x86.
#
#   scripts/libvirt-guests.sh start [N]   start virtlogd and libvirtd if they do not run, then create
#                                         N guests (2 by default): web-1, db-1, web-2, db-2, ...
#   scripts/libvirt-guests.sh stop        destroy the guests and end the daemons that `start` began
#   scripts/libvirt-guests.sh status      what runs, and which of it is ours
#
# The guests are emulated (TCG, so no /dev/kvm is needed) and have 64 MiB, one CPU, an empty disk of
# 16 MiB and, where /dev/net/tun allows it, an interface on a tap device that is connected to nothing.
# There is nothing to boot: their firmware tries disk and network, waits 30 s and starts over, which
# shows as a little work on CPU, disk and network.
# What was started is written down in $SKYWATCH_GUESTS_DIR (/run/skywatch-guests); `stop` touches
# nothing else.
set -eu
PATH=$PATH:/usr/sbin:/sbin

STATE=${SKYWATCH_GUESTS_DIR:-/run/skywatch-guests}
URI=qemu:///system
SOCKET=/run/libvirt/libvirt-sock

say() { echo "libvirt-guests: $*"; }
die() { echo "libvirt-guests: $*" >&2; exit 1; }

need() {
    for program in virsh libvirtd virtlogd qemu-system-x86_64; do
        command -v "$program" >/dev/null 2>&1 ||
            die "$program is missing: apt-get install libvirt-daemon-system libvirt-clients qemu-system-x86"
    done
    [ "$(id -u)" = 0 ] || die "must be run as root"
}

# Whether a pid file names a living process of that program.
alive() { # pid-file program
    [ -s "$1" ] && pid=$(cat "$1") && [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = "$2" ]
}

# A /dev/kvm that is there and that QEMU's user may not open: libvirtd, as root, finds it usable when
# it probes QEMU and then not, and so probes anew before every guest, half a minute each time.
kvm_confuses() {
    [ -c /dev/kvm ] || return 1
    ! su -s /bin/sh -c 'test -r /dev/kvm && test -w /dev/kvm' libvirt-qemu 2>/dev/null
}

# Starts a daemon unless it runs; notes it as ours only if we started it.
daemon() { # program
    program=$1
    default=/run/$program.pid
    if alive "$default" "$program" || alive "$STATE/$program.pid" "$program"; then
        say "$program runs already"
        return
    fi
    if [ "$program" = libvirtd ] && kvm_confuses; then
        say "hiding /dev/kvm from libvirtd, since its guests may not use it"
        : >"$STATE/no-kvm"
        # In guests' own namespaces libvirtd cannot carry that mount along.
        cp /etc/libvirt/qemu.conf "$STATE/qemu.conf"
        printf '\nnamespaces = []\n' >>"$STATE/qemu.conf"
        # shellcheck disable=SC2016
        unshare -m sh -c 'mount --bind "$1/no-kvm" /dev/kvm && mount -o remount,bind,ro /dev/kvm &&
            mount --bind "$1/qemu.conf" /etc/libvirt/qemu.conf &&
            exec libvirtd -d -p "$1/libvirtd.pid"' sh "$STATE" || die "libvirtd does not start"
    else
        "$program" -d -p "$STATE/$program.pid" || die "$program does not start"
    fi
    say "started $program (pid $(cat "$STATE/$program.pid"))"
}

name_of() { # number, from 1
    n=$(( ($1 + 1) / 2 ))
    if [ $(( $1 % 2 )) = 1 ]; then echo "web-$n"; else echo "db-$n"; fi
}

# libvirt counts the traffic of a tap device; of QEMU's own user networking it knows nothing.
interface_xml() {
    if [ -c /dev/net/tun ] && [ -z "${SKYWATCH_GUESTS_NO_TAP:-}" ]; then
        echo "<interface type='ethernet'><model type='virtio'/></interface>"
    else
        echo "<interface type='user'><model type='virtio'/></interface>"
    fi
}

guest_xml() { # name
    cat <<XML
<domain type='qemu'>
  <name>$1</name>
  <title>Skywatch demo guest $1</title>
  <memory unit='MiB'>64</memory>
  <vcpu>1</vcpu>
  <os>
    <type arch='x86_64' machine='pc'>hvm</type>
    <boot dev='hd'/>
    <boot dev='network'/>
    <bios rebootTimeout='30000'/>
  </os>
  <features><acpi/></features>
  <clock offset='utc'/>
  <on_poweroff>destroy</on_poweroff>
  <on_reboot>restart</on_reboot>
  <on_crash>destroy</on_crash>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <disk type='file' device='disk'>
      <driver name='qemu' type='raw'/>
      <source file='$STATE/$1.img'/>
      <target dev='vda' bus='virtio'/>
    </disk>
    $(interface_xml)
    <memballoon model='virtio'/>
  </devices>
</domain>
XML
}

start() {
    count=${1:-2}
    case $count in ''|*[!0-9]*) die "not a number of guests: $count" ;; esac
    need
    mkdir -p "$STATE"
    # Guests may run as another user than root, who has to reach the disks.
    chmod 755 "$STATE"
    daemon virtlogd
    daemon libvirtd
    tries=0
    until [ -S "$SOCKET" ] && virsh -q -c "$URI" list >/dev/null 2>&1; do
        tries=$((tries + 1))
        [ "$tries" -lt 60 ] || die "libvirtd does not answer at $SOCKET"
        sleep 0.5
    done
    i=0
    while [ "$i" -lt "$count" ]; do
        i=$((i + 1))
        name=$(name_of "$i")
        if virsh -q -c "$URI" domstate "$name" >/dev/null 2>&1; then
            say "$name exists already"
            continue
        fi
        truncate -s 16M "$STATE/$name.img"
        guest_xml "$name" >"$STATE/$name.xml"
        if ! virsh -q -c "$URI" create "$STATE/$name.xml"; then
            say "$name: trying without a tap device"
            SKYWATCH_GUESTS_NO_TAP=1
            guest_xml "$name" >"$STATE/$name.xml"
            virsh -q -c "$URI" create "$STATE/$name.xml" || die "$name cannot be created"
        fi
        echo "$name" >>"$STATE/guests"
        say "created $name"
    done
}

# Ends a daemon that `start` began, and waits until it is gone.
end() { # program
    program=$1
    file=$STATE/$program.pid
    alive "$file" "$program" || { rm -f "$file"; return 0; }
    pid=$(cat "$file")
    kill "$pid" 2>/dev/null || true
    tries=0
    while [ -d "/proc/$pid" ] && [ "$tries" -lt 40 ]; do tries=$((tries + 1)); sleep 0.25; done
    [ ! -d "/proc/$pid" ] || kill -9 "$pid" 2>/dev/null || true
    rm -f "$file"
    say "ended $program (pid $pid)"
}

stop() {
    [ -d "$STATE" ] || { say "nothing of ours runs"; return 0; }
    if [ -f "$STATE/guests" ]; then
        while read -r name; do
            # Only a guest made from our description: the name alone could be someone else's by now.
            virsh -q -c "$URI" domblklist "$name" 2>/dev/null | grep -qF "$STATE/$name.img" || continue
            virsh -q -c "$URI" destroy "$name" >/dev/null 2>&1 && say "destroyed $name" || true
        done <"$STATE/guests"
    fi
    end libvirtd
    end virtlogd
    rm -rf "$STATE"
}

status() {
    for program in virtlogd libvirtd; do
        if alive "$STATE/$program.pid" "$program"; then say "$program: ours, pid $(cat "$STATE/$program.pid")"
        elif alive "/run/$program.pid" "$program"; then say "$program: not ours, pid $(cat "/run/$program.pid")"
        else say "$program: not running"; fi
    done
    virsh -q -c "$URI" list --all 2>/dev/null || true
}

case ${1:-} in
    start) shift; start "$@" ;;
    stop) stop ;;
    status) status ;;
    *) sed -n '2,15s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
