"""A server, a Debian 12 and a Debian 13 with every service, and a host without any: who they are and what is seen."""

from __future__ import annotations

import difflib
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, TypeVar

from machine.library.image import Image, ImageStore
from machine.library.machine import Machine
from machine.library.session import Machines
from machine.modules.watched import CASES, watched_image
from machine.monitored import Monitored
from machine.server import Server

OLD: Final = "old-1"
NEW: Final = "new-1"
PLAIN: Final = "plain-1"
SUITES: Final[Mapping[str, str]] = {OLD: "bookworm", NEW: "trixie", PLAIN: "trixie"}
WATCHED: Final = (OLD, NEW)
PHP: Final[Mapping[str, str]] = {"bookworm": "php8.2-fpm", "trixie": "php8.4-fpm"}

T = TypeVar("T")

# What services and systemd themselves write while they run is left out, everything else must be as it was.
TRACES: Final = r"""
find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp -o -path /var/tmp \
  -o -path /var/log -o -path /var/cache -o -path /var/lib/mysql -o -path /var/lib/postgresql \
  -o -path /var/lib/redis -o -path /var/lib/prometheus -o -path /root/.ssh \
  -o -path /var/lib/fail2ban -o -path /var/lib/haproxy -o -path /var/lib/systemd -o -path /var/lib/nginx \
  -o -name __pycache__ -o -path /etc/machine-id -o -name '.updated' -o -name '*.cache' \
  -o -path '/etc/*-' -o -name '.pwd.lock' \) \
  -prune -o \( -type d -printf '%p %y %m %u:%g\n' -o -printf '%p %y %m %u:%g %s %l\n' \) | sort
echo '# users'; getent passwd; getent group
echo '# units'; systemctl list-units --plain --no-legend --type=service | awk '{print $1, $3}' | grep -v @ | sort
echo '# ports'; ss -Htln | awk '{print $4}' | sort
"""

ACCOUNTS: Final = """
mariadb --batch --skip-column-names --execute="SELECT user, host FROM mysql.user ORDER BY 1, 2"
runuser -u postgres -- psql --no-psqlrc --tuples-only --no-align --command="SELECT rolname FROM pg_roles ORDER BY 1"
"""


class Before(NamedTuple):
    """A host with its services running and nothing of ours: all that can be seen of it, and its databases' accounts."""

    traces: str
    accounts: str


class Story:
    """The machines, and what the tests ask of them."""

    def __init__(self, fleet: Monitored) -> None:
        self.fleet = fleet
        self.server = fleet.server
        self.before: dict[str, Before] = {}
        self._detected: dict[str, dict[str, Any]] = {}
        self._worked: set[str] = set()

    def host(self, name: str) -> Machine:
        """Return the machine of a host."""
        return self.fleet.hosts[name]

    def detected(self, name: str) -> dict[str, Any]:
        """Return what `host detect` says of each module; it is asked once."""
        if name not in self._detected:
            document = self.fleet.document("host", "detect", name)
            self._detected[name] = {one["module"]: one for one in document["modules"]}
        return self._detected[name]

    def work(self, name: str) -> None:
        """Let a host have something to show: a batch job that reports."""
        if name not in self._worked:
            report = "printf 'backup_size_bytes 1\\n' | curl -sS --fail --data-binary @- "
            self.host(name).succeed(f"{report} http://127.0.0.1:19091/metrics/job/backup")
            self._worked.add(name)

    def services(self, name: str, *modules: str) -> list[str]:
        """Return the units that the modules' cases stop, as the host calls them."""
        units = (CASES[module].stopped.format(php=PHP[SUITES[name]]) for module in modules)
        return list(dict.fromkeys(units))

    def systemctl(self, verb: str, name: str, *modules: str) -> None:
        """Start or stop the services of modules on a host."""
        self.host(name).succeed(["systemctl", verb, *self.services(name, *modules)], timeout_s=120)

    def rivals(self, verb: str, name: str) -> None:
        """Start or stop Debian's own exporters on a host."""
        self.host(name).succeed(["systemctl", verb, *(case.rival for case in CASES.values() if case.rival)])

    def traces(self, name: str) -> str:
        """Return all files, users, services and ports of a host: equal texts mean that nothing is left behind."""
        return self.host(name).succeed(TRACES, timeout_s=120).stdout

    def remember(self, name: str) -> None:
        """Keep what a host is like before anything of ours is there."""
        self.before[name] = Before(self.traces(name), self.accounts(name))

    def accounts(self, name: str) -> str:
        """Return the accounts in the databases of a host."""
        return self.host(name).succeed(ACCOUNTS).stdout

    def series(self, expression: str, name: str) -> list[Any]:
        """Return what Prometheus knows of a host."""
        return [found for found in self.server.query(expression) if found["metric"].get("host") == name]

    def firing(self, module: str, name: str) -> bool:
        """Whether the alert of a module's case fires for a host, in Prometheus and in Alertmanager."""
        case = CASES[module]
        labels = {"alertname": case.alert, "host": name, **case.labels}
        chosen = ",".join(f'{key}="{value}"' for key, value in labels.items())
        if not self.series(f'ALERTS{{alertstate="firing",{chosen}}}', name):
            return False
        url = "http://127.0.0.1:9093/api/v2/alerts?active=true"
        listed = self.server.machine.succeed(["curl", "-sS", "--fail", url]).json()
        return any(labels.items() <= alert["labels"].items() for alert in listed)


def story_machines(
    machines: Machines, programs: Mapping[str, Image], images: ImageStore, minimal: Mapping[str, Image]
) -> Story:
    """Return the machines booted, the services running, SSH open, and nothing of ours on any host."""
    hosts = {name: machines.create(watched_image(images, minimal[SUITES[name]]), name) for name in WATCHED}
    hosts[PLAIN] = machines.create(minimal[SUITES[PLAIN]], PLAIN)
    fleet = Monitored(Server(machines.create(programs["trixie"], "mon-1")), hosts, SUITES)
    for name in hosts:
        fleet.forget(name)  # the tests add them as a user does
    return Story(fleet)


def differences(before: str, after: str) -> list[str]:
    """Return the lines that came and went."""
    return [line for line in difflib.ndiff(before.splitlines(), after.splitlines()) if line[0] in "+-"]


def eventually(look: Callable[[], T], *, timeout_s: float = 60, interval_s: float = 0.5) -> T:
    """Look again and again until there is something to be seen, and return it.

    Raises:
        AssertionError: there never was within the time.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        seen = look()
        if seen:
            return seen
        assert time.monotonic() < deadline, f"not within {timeout_s} s"
        time.sleep(interval_s)
