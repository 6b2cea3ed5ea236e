"""What the modules watch: an image with all the real services, and for each module what is stopped and what fires."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from machine.library.image import Image, ImageStore
from machine.library.sandbox import run_with_network

PACKAGES: Final = (
    "nginx",
    "php-fpm",
    "apache2",
    "haproxy",
    "memcached",
    "mariadb-server",
    "postgresql",
    "redis-server",
    "fail2ban",
    "python3-systemd",
    "prometheus-blackbox-exporter",
    "prometheus-process-exporter",
    "prometheus-pushgateway",
)
"""All on one machine, as they never are: so one machine of each suite is enough."""

# Nothing is started while it is installed; each is switched off, so that a machine is quiet until a test starts it.
INSTALL: Final = f"""
printf '#!/bin/sh\\nexit 101\\n' > /usr/sbin/policy-rc.d
chmod 755 /usr/sbin/policy-rc.d
apt-get --quiet update
DEBIAN_FRONTEND=noninteractive apt-get --quiet install --yes --no-install-recommends {" ".join(PACKAGES)}
rm /usr/sbin/policy-rc.d
systemctl disable nginx apache2 haproxy memcached mariadb postgresql redis-server fail2ban
systemctl disable $(cd /lib/systemd/system; ls php*-fpm.service prometheus-*.service)
# nginx has port 80.
sed -i 's/^Listen 80$/Listen 8080/' /etc/apache2/ports.conf
sed -i 's/:80>/:8080>/' /etc/apache2/sites-available/000-default.conf
sed -i 's|^;pm.status_path = .*|pm.status_path = /status|' /etc/php/*/fpm/pool.d/www.conf
printf 'listen site\\n    bind 127.0.0.1:8082\\n    server nginx 127.0.0.1:80 check\\n' >> /etc/haproxy/haproxy.cfg
# The machine has a journal, and no log files.
printf '[DEFAULT]\\nbackend = systemd\\n' > /etc/fail2ban/jail.local
apt-get clean
"""


def watched_image(images: ImageStore, base: Image) -> Image:
    """Return the minimal image of a suite with every service that a module watches, all off."""

    def prepare(root: Path) -> None:
        run_with_network(root, ["sh", "-ec", INSTALL], timeout_s=1200)

    return images.derive(base, f"{base.name}-watched", INSTALL, prepare)


@dataclass(frozen=True)
class Case:
    """What is done to a module's service, and what must come of it.

    `stopped` are the units that are stopped, `alert` is what then fires, with these `labels` beside the host's.
    `options` are thresholds so low that it takes seconds. `detected` says whether the service, while it runs, makes
    `host detect` propose the module. `rival` is Debian's own unit, whose place the module would take: it is seen, and
    not proposed. `late` is for alerts whose patience is not an option: they are waited for together, at the end.
    """

    alert: str
    stopped: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    detected: bool = True
    rival: str = ""
    late: bool = False


QUICK: Final[Mapping[str, Any]] = {"down_for": "1s"}

CASES: Final[Mapping[str, Case]] = {
    "apache": Case("ApacheDown", "apache2", QUICK),
    "blackbox": Case(
        "TargetDown",
        "blackbox-exporter",
        labels={"job": "blackbox"},
        detected=False,
        rival="prometheus-blackbox-exporter",
        late=True,
    ),
    "fail2ban": Case("Fail2banDown", "fail2ban", {**QUICK, "read_seconds": 1}),
    "haproxy": Case("HaproxyDown", "haproxy", QUICK),
    "memcached": Case("MemcachedDown", "memcached", {**QUICK, "read_seconds": 1}),
    "mysqld": Case("MysqldDown", "mariadb", QUICK),
    "nginx": Case("NginxDown", "nginx", QUICK),
    "node": Case("TargetDown", "node-exporter", labels={"job": "node"}, detected=False, late=True),
    "php-fpm": Case("PhpFpmDown", "{php}", QUICK),
    "postgres": Case("PostgresDown", "postgresql", QUICK),
    "process": Case(
        "ProcessGone",
        "redis-server",
        {**QUICK, "programs": "redis-server"},
        {"groupname": "redis-server"},
        detected=False,
        rival="prometheus-process-exporter",
    ),
    "pushgateway": Case(
        "TargetDown",
        "pushgateway",
        labels={"job": "pushgateway"},
        detected=False,
        rival="prometheus-pushgateway",
        late=True,
    ),
    "redis": Case("RedisDown", "redis-server", QUICK),
    "systemd": Case("SystemdServiceDown", "memcached", QUICK, {"name": "memcached.service"}),
}
