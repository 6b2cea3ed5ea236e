"""A machine: a Debian booted with systemd as its process 1, on a network of its own."""

from __future__ import annotations

import time
from ipaddress import IPv4Interface

from machine.library.command import CommandFailed
from machine.library.control_group import ControlGroup
from machine.library.enclosure import Enclosure
from machine.library.network import Bridge, forget_cable, host_side
from machine.library.overlay import Overlay
from machine.library.sandbox import NSPAWN

_BOOT_S = 60
_LOG_LINES = 50


class Machine(Enclosure):
    """A machine of a test session. `address` is the one the other machines and the host reach it at."""

    def __init__(self, name: str, hostname: str, overlay: Overlay, group: ControlGroup, bridge: Bridge) -> None:
        """`name` is the host's name for it, unlike any other on the host; `hostname` is its own."""
        super().__init__(name, overlay, group)
        self.hostname = hostname
        self.interface = IPv4Interface(bridge.next_address())
        self._bridge = bridge

    @property
    def address(self) -> str:
        """Its IPv4 address."""
        return str(self.interface.ip)

    def boot(self) -> None:
        """Switch it on and return when it and its network have come up, with or without failed units.

        Raises:
            CommandFailed: it did not come up; its console is shown.
        """
        options = [f"--machine={self.name}", f"--hostname={self.hostname}", f"--network-bridge={self._bridge.name}"]
        quiet = ["--link-journal=no", "--resolv-conf=off", "--console=read-only"]
        forget_cable(self.name)
        self._launch([*NSPAWN, "--boot", *options, *quiet, "--directory", str(self.root)])
        deadline = time.monotonic() + _BOOT_S
        while self._state() not in ("running", "degraded"):
            if time.monotonic() > deadline or not self.running:
                raise CommandFailed(f"{self.hostname} did not come up within {_BOOT_S} s", self._log())
            time.sleep(0.05)
        self.succeed(["/usr/lib/systemd/systemd-networkd-wait-online", "--interface=host0", "--timeout=20"])

    def shutdown(self) -> None:
        """Switch it off in good order and return when it is off.

        Raises:
            CommandFailed: it did not go off in time.
        """
        self.run(["systemctl", "poweroff"])
        self.wait_until_off()

    def reboot(self) -> None:
        """Restart it in good order and return when it has come up again.

        Raises:
            CommandFailed: it did not go down or come up in time.
        """
        self.run(["systemctl", "reboot"])
        self.wait_until_off()
        self.boot()

    def wait_until_off(self, timeout_s: float = 100) -> None:
        """Return when the machine has gone off by itself; also after a reboot from inside, which `boot` completes.

        Raises:
            CommandFailed: it is still on.
        """
        if self._monitor is not None:
            self._monitor.wait(timeout_s)
        self.kill()

    def power_cut(self) -> None:
        """Take its power away: every process ends by SIGKILL at once. What the kernel has in its cache survives."""
        self.kill()

    def network_cut(self) -> None:
        """Separate it from all others. It sees its cable plugged in and gets no answers, as in a partition."""
        self._bridge.unplug(host_side(self._first_process()))

    def network_restore(self) -> None:
        """End what `network_cut` began."""
        self._bridge.plug(host_side(self._first_process()))

    def unit_property(self, unit: str, name: str) -> str:
        """Return a property of a unit as `systemctl show` prints it; empty when it is not set."""
        return self.succeed(["systemctl", "show", f"--property={name}", "--value", unit]).stdout.rstrip("\n")

    def main_pid(self, unit: str) -> int:
        """Return the process id, in the machine, of a unit's main process; 0 when it has none."""
        return int(self.unit_property(unit, "MainPID"))

    def wait_for_unit(self, unit: str, *, timeout_s: float = 60) -> None:
        """Return when the unit is active.

        Raises:
            CommandFailed: at once when it has failed, or is inactive with no job that would start it; else after the
                time. The unit's state and log are shown.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            shown = self.succeed(["systemctl", "show", "--property=ActiveState,SubState,Job", unit]).stdout
            state = dict(line.split("=", 1) for line in shown.splitlines())
            active, job = state["ActiveState"], state.get("Job")
            if active == "active":
                return
            if active == "failed":
                raise self._unit_error(unit, f"{unit} has failed")
            if active == "inactive" and not job:
                raise self._unit_error(unit, f"{unit} is inactive and nothing is going to start it")
            if time.monotonic() > deadline:
                raise self._unit_error(unit, f"{unit} is {active} ({state['SubState']}) after {timeout_s} s")
            time.sleep(0.1)

    def _unit_error(self, unit: str, what: str) -> CommandFailed:
        status = f"systemctl status --no-pager --full --lines=0 {unit}"
        log = f"journalctl --no-pager --output=short-precise --lines={_LOG_LINES} --unit={unit}"
        return CommandFailed(f"{self.hostname}: {what}", self.run(f"{status}; {log}"))

    def _state(self) -> str:
        try:
            return self.run(["systemctl", "is-system-running"], timeout_s=_BOOT_S).stdout.strip()
        except CommandFailed:  # no process 1 yet
            return ""
