#!/usr/bin/env python3
"""Fills an InfluxDB-compatible store with made-up hosts and virtual machines, shaped like Telegraf's points.

    demo_data.py http://127.0.0.1:8086 [--hours 6] [--live]

Three hosts and six virtual machines, a point each 10 s; with --live it goes on in real time until stopped.
For developing the console without a cloud at hand; the numbers mean nothing.
"""
import argparse
import gzip
import math
import random
import time
import urllib.parse
import urllib.request

STEP = 10
KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
RUNNING, PAUSED, SHUTOFF = 1, 3, 5


def wave(t, period, phase=0.0):
    """0..1, slowly up and down."""
    return 0.5 + 0.5 * math.sin(2 * math.pi * (t / period + phase))


class Noise:
    """A wandering value in 0..1."""

    def __init__(self, rng, calm=0.02):
        self.rng, self.calm, self.value = rng, calm, rng.random()

    def next(self):
        self.value += self.rng.gauss(0, self.calm) + (0.5 - self.value) * 0.01
        self.value = min(1.0, max(0.0, self.value))
        return self.value


class Counter:
    def __init__(self, start=0):
        self.value = start

    def add(self, amount):
        self.value += max(0, int(amount))
        return self.value


class Host:
    CORES = 8

    def __init__(self, name, datacenter, rack, seed, memory, boot):
        self.rng = random.Random(seed)
        self.tags = f"datacenter={datacenter},host={name},rack={rack}"
        self.memory, self.boot, self.seed = memory, boot, seed
        self.busy, self.mem, self.disk_use = Noise(self.rng), Noise(self.rng, 0.004), Noise(self.rng, 0.05)
        self.counters = {}
        self.load = 1.0

    def count(self, name, amount):
        counter = self.counters.setdefault(name, Counter(self.rng.randrange(1 << 33)))
        return counter.add(amount)

    def lines(self, t):
        rng, tags, out = self.rng, self.tags, []
        spike = 0.55 if (t // 60 + self.seed * 17) % 97 < 4 else 0.0
        busy = min(0.97, 0.08 + 0.35 * wave(t, 5400, self.seed / 3) * self.busy.next() + spike + rng.random() * 0.04)
        total = dict.fromkeys(("user", "system", "iowait", "irq", "softirq", "steal", "nice", "guest", "guest_nice"), 0.0)
        for core in range(self.CORES):
            share = min(0.99, max(0.01, busy * (0.7 + 0.6 * rng.random())))
            modes = self.modes(share)
            for mode, value in modes.items():
                total[mode] += value / self.CORES
            out.append(self.cpu_line(f"cpu{core}", modes, t))
        out.append(self.cpu_line("cpu-total", total, t))
        self.load += (busy * self.CORES * 1.1 - self.load) * 0.1
        out.append(f"system,{tags} load1={self.load:.2f},load5={self.load * .92:.2f},load15={self.load * .85:.2f},"
                   f"n_cpus={self.CORES}i,n_physical_cpus=4i,n_users=2i,n_unique_users=1i {t}")
        out.append(f"system,{tags} uptime={t - self.boot}i {t}")
        out += self.memory_lines(t)
        out += self.disk_lines(t, busy)
        out += self.net_lines(t)
        running = 1 + int(busy * 9)
        out.append(f"processes,{tags} blocked={int(rng.random() * 1.3)}i,zombies=0i,stopped=0i,running={running}i,"
                   f"sleeping={310 + self.seed * 9}i,total={460 + running}i,unknown=0i,dead=0i,paging=0i,"
                   f"total_threads={1220 + running * 3}i,idle=142i {t}")
        out.append(f"kernel,{tags} interrupts={self.count('intr', 70000 + busy * 2e5)}i,"
                   f"context_switches={self.count('ctxt', 1e5 + busy * 6e5)}i,"
                   f"processes_forked={self.count('fork', 20 + busy * 300)}i,boot_time={self.boot}i,entropy_avail=256i {t}")
        return out

    @staticmethod
    def modes(busy):
        return {"user": busy * 64, "system": busy * 21, "iowait": busy * 9, "irq": 0.0, "softirq": busy * 3,
                "steal": busy * 1.5, "nice": busy * 1.5, "guest": 0.0, "guest_nice": 0.0}

    def cpu_line(self, cpu, modes, t):
        idle = max(0.0, 100 - sum(modes.values()))
        fields = ",".join(f"usage_{mode}={value:.4f}" for mode, value in modes.items())
        return f"cpu,cpu={cpu},{self.tags} {fields},usage_idle={idle:.4f} {t}"

    def memory_lines(self, t):
        used = int(self.memory * (0.35 + 0.4 * self.mem.next()))
        cached = int((self.memory - used) * 0.62)
        buffered = int((self.memory - used) * 0.06)
        available = self.memory - used
        free = available - cached - buffered
        swap_used = int(180 * MIB * (1 + wave(t, 9000, self.seed)))
        return [
            f"mem,{self.tags} total={self.memory}i,available={available}i,used={used}i,cached={cached}i,"
            f"buffered={buffered}i,free={free}i,dirty={3 * MIB}i,slab={220 * MIB}i,shared={41 * MIB}i,"
            f"used_percent={used / self.memory * 100:.4f},available_percent={available / self.memory * 100:.4f} {t}",
            f"swap,{self.tags} total={8 * GIB}i,used={swap_used}i,free={8 * GIB - swap_used}i,"
            f"used_percent={swap_used / (8 * GIB) * 100:.4f} {t}",
            f"swap,{self.tags} in={self.count('swpin', 9000 * self.disk_use.value)}i,"
            f"out={self.count('swpout', 12000 * self.disk_use.value)}i {t}",
        ]

    def disk_lines(self, t, busy):
        out = []
        for path, device, size, fill in (("/", "vda1", 120 * GIB, 0.41), ("/boot", "vda2", GIB, 0.22),
                                         ("/var/lib/libvirt", "nvme0n1p1", 1800 * GIB, 0.68 + 0.07 * self.seed)):
            used = int(size * min(0.97, fill + (t % 86400) / 86400 * 0.05))
            free = int(size * 0.98) - used
            inodes = size // 16384
            out.append(f"disk,device={device},fstype=ext4,mode=rw,path={path},{self.tags} total={size}i,free={free}i,"
                       f"used={used}i,used_percent={used / (used + free) * 100:.4f},inodes_total={inodes}i,"
                       f"inodes_free={inodes - inodes // 50}i,inodes_used={inodes // 50}i,inodes_used_percent=2.0 {t}")
        level = self.disk_use.next()
        for name, scale in (("vda", 0.25), ("nvme0n1", 1.0)):
            reads, writes = level * 900 * scale * STEP * busy, (60 + level * 1500) * scale * STEP
            out.append(f"diskio,name={name},{self.tags} reads={self.count(name + 'r', reads)}i,"
                       f"writes={self.count(name + 'w', writes)}i,read_bytes={self.count(name + 'rb', reads * 48 * KIB)}i,"
                       f"write_bytes={self.count(name + 'wb', writes * 22 * KIB)}i,"
                       f"read_time={self.count(name + 'rt', reads * .4)}i,write_time={self.count(name + 'wt', writes * .7)}i,"
                       f"io_time={self.count(name + 'it', level * 7000 * scale)}i,weighted_io_time=0i,iops_in_progress=0i,"
                       f"merged_reads=0i,merged_writes=0i,io_await={.3 + level:.3f},io_svctm=0.1,"
                       f"io_util={min(100, level * 70 * scale):.3f} {t}")
        return out

    def net_lines(self, t):
        out = []
        for interface, scale in (("eno1", 1.0), ("br0", 0.6)):
            level = (0.15 + wave(t, 7200, self.seed / 5 + scale) * 0.7 + self.rng.random() * 0.15) * scale
            recv, sent = level * 38e6 * STEP, level * 22e6 * STEP
            drops = 3 if self.rng.random() < 0.01 else 0
            out.append(f"net,interface={interface},{self.tags} bytes_recv={self.count(interface + 'rx', recv)}i,"
                       f"bytes_sent={self.count(interface + 'tx', sent)}i,packets_recv={self.count(interface + 'rp', recv / 900)}i,"
                       f"packets_sent={self.count(interface + 'tp', sent / 850)}i,err_in={self.count(interface + 'ei', 0)}i,"
                       f"err_out={self.count(interface + 'eo', 0)}i,drop_in={self.count(interface + 'di', drops)}i,"
                       f"drop_out={self.count(interface + 'do', 0)}i,speed=10000i {t}")
        return out


class Guest:
    def __init__(self, name, host, vcpus, memory, seed, state=RUNNING):
        self.name, self.vcpus, self.memory, self.state, self.seed = name, vcpus, memory, state, seed
        self.rng = random.Random(seed * 1009)
        self.tags = f"{host.tags.split(',')[0]},domain_name={name},{','.join(host.tags.split(',')[1:])}"
        self.busy, self.used = Noise(self.rng, 0.03), Noise(self.rng, 0.01)
        self.counters = {}

    count = Host.count

    def lines(self, t):
        state = self.state
        if self.name == "batch-01" and (t // 600) % 9 == 4:
            state = PAUSED
        out = [f"libvirt_state,{self.tags} state={state}i,reason=1i {t}"]
        on = state == RUNNING
        busy = (0.04 + self.busy.next() * wave(t, 4000, self.seed / 7)) if on else 0.0
        if state == SHUTOFF:
            return out
        ns = busy * self.vcpus * STEP * 1e9
        out.append(f"libvirt_cpu,{self.tags} time={self.count('cpu', ns)}i,user={self.count('cpuu', ns * .7)}i,"
                   f"system={self.count('cpus', ns * .2)}i {t}")
        out.append(f"libvirt_vcpu_total,{self.tags} current={self.vcpus}i,maximum={self.vcpus}i {t}")
        for vcpu in range(self.vcpus):
            share = ns / self.vcpus * (0.8 + 0.4 * self.rng.random())
            out.append(f"libvirt_vcpu,{self.tags},vcpu_id={vcpu} state=1i,time={self.count(f'v{vcpu}', share)}i,"
                       f"wait={self.count(f'w{vcpu}', share * .05)}i,delay={self.count(f'd{vcpu}', share * .02)}i {t}")
        kib = self.memory // KIB
        used = int(kib * (0.3 + 0.4 * self.used.next()))
        out.append(f"libvirt_balloon,{self.tags} current={kib}i,maximum={kib}i,rss={int(used * 1.1) + 60000}i,"
                   f"unused={kib - used}i,available={kib - 20000}i,usable={kib - used + 9000}i,"
                   f"swap_in=0i,swap_out=0i,major_fault=120i,minor_fault=90000i {t}")
        level = (0.1 + busy) * 9e6 * STEP if on else 0
        out.append(f"libvirt_net,{self.tags},interface_id=0 name=\"vnet{self.seed}\",rx_bytes={self.count('rx', level)}i,"
                   f"rx_pkts={self.count('rxp', level / 800)}i,rx_errs=0i,rx_drop=0i,tx_bytes={self.count('tx', level * .6)}i,"
                   f"tx_pkts={self.count('txp', level / 900)}i,tx_errs=0i,tx_drop=0i {t}")
        for index, device in enumerate(("vda", "vdb")[: 1 + self.vcpus // 4]):
            ops = (20 + 700 * busy) * STEP / (1 + index) if on else 0
            out.append(f"libvirt_block,block_id={index},{self.tags} name=\"{device}\",rd_reqs={self.count(device + 'r', ops * .4)}i,"
                       f"rd_bytes={self.count(device + 'rb', ops * .4 * 32 * KIB)}i,rd_times={self.count(device + 'rt', ops * 3e5)}i,"
                       f"wr_reqs={self.count(device + 'w', ops)}i,wr_bytes={self.count(device + 'wb', ops * 16 * KIB)}i,"
                       f"wr_times={self.count(device + 'wt', ops * 5e5)}i,allocation={20 * GIB}i,capacity={40 * GIB}i,physical={21 * GIB}i {t}")
        return out


def send(base, lines):
    body = gzip.compress("\n".join(lines).encode(), 1)
    request = urllib.request.Request(f"{base}/write?db=telegraf&precision=s", body, {"Content-Encoding": "gzip"})
    urllib.request.urlopen(request).close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url")
    parser.add_argument("--hours", type=float, default=6)
    parser.add_argument("--live", action="store_true")
    arguments = parser.parse_args()
    form = urllib.parse.urlencode({"q": "CREATE DATABASE telegraf"}).encode()
    urllib.request.urlopen(f"{arguments.url}/query", form).close()

    now = int(time.time()) // STEP * STEP
    begin = now - int(arguments.hours * 3600)
    hosts = [Host("hv-01", "fra1", "r1", 1, 64 * GIB, begin - 3_456_789),
             Host("hv-02", "fra1", "r2", 2, 64 * GIB, begin - 1_234_567),
             Host("hv-03", "ams2", "r1", 3, 128 * GIB, begin - 86_400)]
    guests = [Guest("web-01", hosts[0], 4, 8 * GIB, 1), Guest("web-02", hosts[1], 4, 8 * GIB, 2),
              Guest("db-01", hosts[0], 8, 32 * GIB, 3), Guest("cache-01", hosts[2], 2, 16 * GIB, 4),
              Guest("batch-01", hosts[2], 4, 8 * GIB, 5), Guest("old-wiki", hosts[1], 1, 2 * GIB, 6, SHUTOFF)]
    lines = []
    for t in range(begin, now + 1, STEP):
        for thing in (*hosts, *guests):
            lines += thing.lines(t)
        if len(lines) > 20_000:
            send(arguments.url, lines)
            lines = []
    send(arguments.url, lines)
    while arguments.live:
        now += STEP
        time.sleep(max(0.0, now - time.time()))
        send(arguments.url, [line for thing in (*hosts, *guests) for line in thing.lines(now)])


if __name__ == "__main__":
    main()
