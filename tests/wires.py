"""Wires between the hosts of a test (hosts.py) that lose, delay, repeat and reorder what they carry.

    wires = Wires(seed)                                            # which frames suffer follows from the seed
    with Network(directory, wires=wires) as network: ...           # the hosts are connected by them
    wires.link("data1", "data2", cut=True)                         # one way; the way back is another link
    wires.link("data1", "data2", loss=0.2, delay=0.05, jitter=0.02, duplicate=0.1, reorder=0.1)
    wires.mend()

Delays are seconds, the others chances of each frame; a frame that is reordered overtakes those that are delayed. They stand in
for `tc qdisc ... netem`, which many kernels are built without: each host has a TAP device, and one process in user space holds
the other ends and carries the frames. It runs by itself, so that a busy test does not slow the network.
"""

import fcntl
import heapq
import itertools
import json
import os
import random
import select
import socket
import struct
import subprocess
import sys
import time

import pytest

TUNSETIFF = 0x400454CA
IFF_TAP, IFF_NO_PI = 0x0002, 0x1000
# Few large frames cost less than many small ones; servers do not know the difference.
MTU = 9_000
FRAME_BYTES_MAX = 70_000
# More are not on their way at a time: a wire is no store.
DELAYED_FRAMES_MAX = 20_000
WHOLE = {"cut": False, "loss": 0.0, "delay": 0.0, "jitter": 0.0, "duplicate": 0.0, "reorder": 0.0}


class Wires:
    """See the head of the file."""

    def __init__(self, seed=0):
        if not os.path.exists("/dev/net/tun"):
            pytest.skip("this kernel has no TAP devices (/dev/net/tun)")
        self.names = set()
        self.control, end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with end:
            command = [sys.executable, __file__, str(seed), str(end.fileno())]
            self.process = subprocess.Popen(command, pass_fds=[end.fileno()], stdin=subprocess.DEVNULL)
        self.control.settimeout(30)

    def connect(self, host, run):
        """Gives a host its device, eth0; `run` runs a command where this thread stands."""
        end = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        try:
            device = f"t{os.getpid() % 100_000_000}x{len(self.names)}"
            fcntl.ioctl(end, TUNSETIFF, struct.pack("16sH", device.encode(), IFF_TAP | IFF_NO_PI))
            run("ip", "link", "set", device, "netns", host.holder.pid, "name", "eth0")
            host.run("ip", "link", "set", "eth0", "mtu", MTU)
            self.names.add(host.name)
            self.tell({"connect": host.name}, [end])
        finally:
            os.close(end)

    def link(self, source, target, **spoilt):
        """How frames travel from one host to another from now on: as new, but for what is told."""
        self.tell({"from": source, "to": target, **spoilt})

    def spoil(self, names, **spoilt):
        """All that passes between these hosts."""
        for source, target in itertools.permutations(names, 2):
            self.link(source, target, **spoilt)

    def isolate(self, name, but=()):
        """Nothing passes between a host and all others but some."""
        for other in self.names - {name} - set(but):
            self.link(name, other, cut=True)
            self.link(other, name, cut=True)

    def mend(self, source=None):
        """All links are as new, or all from one host."""
        for one, other in itertools.permutations(self.names, 2):
            if source in (None, one):
                self.link(one, other)

    def tell(self, message, descriptors=()):
        socket.send_fds(self.control, [json.dumps(message).encode()], descriptors)
        assert self.control.recv(16) == b"ok", "the wires are gone"

    def remove(self):
        self.control.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Switch:
    """The process: reads frames at all ends, and what it is told."""

    def __init__(self, seed, control):
        self.chance = random.Random(seed)
        self.control = control
        self.ends = {}
        self.names = {}
        # Which address of the hardware is where, learnt from what comes from there.
        self.places = {}
        self.links = {}
        self.delayed = []
        self.order = itertools.count()

    def run(self):
        while True:
            timeout = max(0.0, self.delayed[0][0] - time.monotonic()) if self.delayed else None
            readable, _, _ = select.select([self.control, *self.names], [], [], timeout)
            self.deliver_what_is_due()
            for end in readable:
                if end is not self.control:
                    self.carry(end)
                elif not self.listen():
                    return

    def listen(self):
        told, descriptors, _, _ = socket.recv_fds(self.control, 4096, 1)
        if not told:
            return False
        message = json.loads(told)
        if name := message.get("connect"):
            self.ends[name] = descriptors[0]
            self.names[descriptors[0]] = name
        else:
            self.links[message.pop("from"), message.pop("to")] = {**WHOLE, **message}
        self.control.sendall(b"ok")
        return True

    def carry(self, end):
        # So many at most, so that one end does not starve the others.
        for _ in range(64):
            try:
                frame = os.read(end, FRAME_BYTES_MAX)
            except OSError:
                return
            source = self.names[end]
            self.places[frame[6:12]] = source
            target = self.places.get(frame[:6])
            for name in [target] if target else list(self.ends):
                if name != source:
                    self.send(source, name, frame)

    def send(self, source, target, frame):
        link = self.links.get((source, target), WHOLE)
        if link == WHOLE:
            self.put(target, frame)
            return
        if link["cut"] or self.chance.random() < link["loss"]:
            return
        for _ in range(2 if self.chance.random() < link["duplicate"] else 1):
            delay = max(0.0, link["delay"] + link["jitter"] * self.chance.uniform(-1, 1))
            if delay == 0 or self.chance.random() < link["reorder"]:
                self.put(target, frame)
            elif len(self.delayed) < DELAYED_FRAMES_MAX:
                heapq.heappush(self.delayed, (time.monotonic() + delay, next(self.order), target, frame))

    def deliver_what_is_due(self):
        now = time.monotonic()
        while self.delayed and self.delayed[0][0] <= now:
            _, _, target, frame = heapq.heappop(self.delayed)
            self.put(target, frame)

    def put(self, target, frame):
        try:
            os.write(self.ends[target], frame)
        except OSError:
            # A device that is down, or whose queue is full, loses what comes: so does any.
            pass


if __name__ == "__main__":
    Switch(int(sys.argv[1]), socket.socket(fileno=int(sys.argv[2]))).run()
