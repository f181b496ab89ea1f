"""A stand-in for systemd's manager on a private bus: org.freedesktop.systemd1 as its documentation has it (signatures of the methods used, types of properties), with a few units. dbus-fast enforces the signatures of calls and answers.

Usage: systemd_stand_in.py ADDRESS PID   where PID is the main process of web.service
"""

import asyncio
import fnmatch
import sys

from dbus_fast import DBusError
from dbus_fast.aio import MessageBus
from dbus_fast.annotations import DBusObjectPath, DBusSignature  # noqa: F401
from dbus_fast.constants import PropertyAccess
from dbus_fast.service import ServiceInterface, dbus_property, method

UNSET = 2**64 - 1

# name: (load, active, sub, unit file state, preset)
UNITS = {
    "web.service": ("loaded", "active", "running", "enabled", "enabled"),
    "batch.service": ("loaded", "failed", "failed", "disabled", "enabled"),
    "odd.service": ("loaded", "active", "dancing", "static", ""),
    "gone.service": ("not-found", "inactive", "dead", "", ""),
    "web.socket": ("loaded", "active", "listening", "enabled", "enabled"),
    "data.mount": ("loaded", "active", "mounted", "generated", ""),
}
NOT_LOADED = {"off.service": ("loaded", "inactive", "dead", "disabled", "disabled")}


def path_of(name):
    escaped = "".join(c if c.isalnum() else f"_{ord(c):02x}" for c in name)
    return f"/org/freedesktop/systemd1/unit/{escaped}"


class Unit(ServiceInterface):
    def __init__(self, states):
        super().__init__("org.freedesktop.systemd1.Unit")
        self.states = states

    @dbus_property(access=PropertyAccess.READ)
    def LoadState(self) -> "s":  # noqa: N802, F821
        return self.states[0]

    @dbus_property(access=PropertyAccess.READ)
    def ActiveState(self) -> "s":  # noqa: N802, F821
        return self.states[1]

    @dbus_property(access=PropertyAccess.READ)
    def SubState(self) -> "s":  # noqa: N802, F821
        return self.states[2]

    @dbus_property(access=PropertyAccess.READ)
    def UnitFileState(self) -> "s":  # noqa: N802, F821
        return self.states[3]

    @dbus_property(access=PropertyAccess.READ)
    def UnitFilePreset(self) -> "s":  # noqa: N802, F821
        return self.states[4]

    @dbus_property(access=PropertyAccess.READ)
    def ActiveEnterTimestamp(self) -> "t":  # noqa: N802, F821
        return 1790000000123456

    @dbus_property(access=PropertyAccess.READ)
    def Conditions(self) -> "a(sbbsi)":  # noqa: N802, F722
        return [["ConditionPathExists", False, False, "/etc/web.conf", 1]]


class Service(ServiceInterface):
    def __init__(self, pid):
        super().__init__("org.freedesktop.systemd1.Service")
        self.pid = pid

    @dbus_property(access=PropertyAccess.READ)
    def MainPID(self) -> "u":  # noqa: N802, F821
        return self.pid

    @dbus_property(access=PropertyAccess.READ)
    def StatusErrno(self) -> "i":  # noqa: N802, F821
        return -5

    @dbus_property(access=PropertyAccess.READ)
    def NRestarts(self) -> "u":  # noqa: N802, F821
        return 3

    @dbus_property(access=PropertyAccess.READ)
    def MemoryCurrent(self) -> "t":  # noqa: N802, F821
        return 123456789

    @dbus_property(access=PropertyAccess.READ)
    def MemoryPeak(self) -> "t":  # noqa: N802, F821
        return 223456789

    @dbus_property(access=PropertyAccess.READ)
    def MemoryAvailable(self) -> "t":  # noqa: N802, F821
        return UNSET

    @dbus_property(access=PropertyAccess.READ)
    def MemorySwapCurrent(self) -> "t":  # noqa: N802, F821
        return 4096

    @dbus_property(access=PropertyAccess.READ)
    def ControlGroup(self) -> "s":  # noqa: N802, F821
        return "/system.slice/web.service"

    @dbus_property(access=PropertyAccess.READ)
    def ExecStart(self) -> "a(sasbttttuii)":  # noqa: N802, F722
        return [["/usr/bin/web", ["/usr/bin/web", "-f"], False, 1, 2, 3, 4, self.pid, 0, 0]]

    @dbus_property(access=PropertyAccess.READ)
    def EnvironmentFiles(self) -> "a(sb)":  # noqa: N802, F722
        return []


class Manager(ServiceInterface):
    def __init__(self):
        super().__init__("org.freedesktop.systemd1.Manager")

    @method()
    def ListUnitsByPatterns(self, states: "as", patterns: "as") -> "a(ssssssouso)":  # noqa: N802, F722
        return [
            [name, f"unit {name}", s[0], s[1], s[2], "", path_of(name), 0, "", "/"]
            for name, s in UNITS.items()
            if (not states or s[1] in states) and any(fnmatch.fnmatchcase(name, p) for p in patterns)
        ]

    @method()
    def ListUnitFilesByPatterns(self, states: "as", patterns: "as") -> "a(ss)":  # noqa: N802, F722
        files = [(n, s[3]) for n, s in {**UNITS, **NOT_LOADED}.items()] + [("getty@.service", "disabled")]
        return [
            [f"/usr/lib/systemd/system/{name}", state]
            for name, state in files
            if state in states and any(fnmatch.fnmatchcase(name, p) for p in patterns)
        ]

    @method()
    def GetUnit(self, name: "s") -> "o":  # noqa: N802, F821
        if name not in UNITS:
            raise DBusError("org.freedesktop.systemd1.NoSuchUnit", f"Unit {name} not loaded.")
        return path_of(name)

    @method()
    def LoadUnit(self, name: "s") -> "o":  # noqa: N802, F821
        return path_of(name)


async def main(address, pid):
    bus = await MessageBus(bus_address=address).connect()
    bus.export("/org/freedesktop/systemd1", Manager())
    for name, states in {**UNITS, **NOT_LOADED}.items():
        bus.export(path_of(name), Unit(states))
        if name.endswith(".service"):
            bus.export(path_of(name), Service(pid if name == "web.service" else 0))
    await bus.request_name("org.freedesktop.systemd1")
    print("ready", flush=True)
    await bus.wait_for_disconnect()


asyncio.run(main(sys.argv[1], int(sys.argv[2])))
