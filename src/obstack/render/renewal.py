"""The timer that renews certificates, and puts in force what certbot has got: on a server, unless a person does."""

from __future__ import annotations

from typing import Final

from obstack.agent.wire import UnitEntry
from obstack.model.layout import Layout, Manager
from obstack.model.site import Site
from obstack.render.emit import unit_bytes, unit_command
from obstack.render.hardening import Settings, limits
from obstack.render.materials import Materials
from obstack.render.sizes import whole_seconds
from obstack.render.tree import RenderedFile, Rendering

NAME: Final = "observability-renew"
TIMER: Final = f"{NAME}.timer"

DAY: Final = 86400
RHYTHMS: Final = (
    # The last third of a certificate's life must hold at least two tries.
    (6 * DAY, "daily", DAY // 4),
    (DAY // 4, "hourly", 300),
    (0, "minutely", 0),
)
"""How often for a life of at least so many seconds, in systemd's words, and over how many seconds it is spread."""


CAPABILITIES: Final = (
    # Files, data and users, whoever they belong to.
    *("CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID"),
    # The audit log may only grow.
    "CAP_LINUX_IMMUTABLE",
    # What the programs that judge staged files look at: ports, rules, and who holds a port.
    *("CAP_NET_ADMIN", "CAP_NET_BIND_SERVICE", "CAP_NET_RAW", "CAP_SYS_PTRACE"),
)
FENCES: Final[Settings] = [
    # It applies generations, by SSH too, with the configuration, the keys and the data wherever the machine's owner
    # has them: what an apply may write and whom it may reach cannot be fenced in. What no apply ever does can.
    ("NoNewPrivileges", "yes"),
    ("CapabilityBoundingSet", " ".join(CAPABILITIES)),
    ("LockPersonality", "yes"),
    ("MemoryDenyWriteExecute", "yes"),
    ("DevicePolicy", "closed"),
    ("PrivateDevices", "yes"),
    ("PrivateIPC", "yes"),
    ("PrivateTmp", "yes"),
    ("ProtectClock", "yes"),
    ("ProtectControlGroups", "yes"),
    ("ProtectHostname", "yes"),
    ("ProtectKernelLogs", "yes"),
    ("ProtectKernelModules", "yes"),
    ("ProtectKernelTunables", "yes"),
    ("ProtectSystem", "yes"),
    ("RestrictAddressFamilies", "AF_INET AF_INET6 AF_NETLINK AF_UNIX"),
    ("RestrictNamespaces", "yes"),
    ("RestrictRealtime", "yes"),
    ("RestrictSUIDSGID", "yes"),
    ("SystemCallArchitectures", "native"),
    ("SystemCallFilter", "@system-service"),
    ("SystemCallFilter", "~@resources"),
    ("SystemCallErrorNumber", "EPERM"),
    ("KeyringMode", "private"),
    ("UMask", "0077"),
]


def render_renewal(site: Site, layout: Layout, materials: Materials) -> Rendering:
    """Given the settled site, return the timer and what it starts; nothing where no certificate is renewed so."""
    wanted = site.certificates.automatic and bool(materials.renewal)
    if layout.manager is not Manager.SYSTEMD or not wanted:
        return Rendering()
    life = whole_seconds(site.certificates.lifetime)
    rhythm, spread = next((word, spread) for least, word, spread in RHYTHMS if life >= least)
    service = {
        "Unit": [
            ("Description", "Renew the certificates that are due, and apply the machines concerned"),
            ("Wants", "network-online.target"),
            ("After", "network-online.target"),
        ],
        "Service": [
            ("Type", "oneshot"),
            ("User", "root"),  # gives it a home
            ("ExecStart", unit_command(materials.renewal)),
            ("TimeoutStartSec", "6h"),
            *limits("1G", 512, 4096),
            *FENCES,
        ],
    }
    timer = {
        "Unit": [
            ("Description", "Look every day whether a certificate is due"),
            # Those of a timer have it start before the recovery at boot, which may have to take it back.
            ("DefaultDependencies", "no"),
            ("Conflicts", "shutdown.target"),
            ("Before", "shutdown.target"),
        ],
        "Timer": [("OnCalendar", rhythm), ("RandomizedDelaySec", f"{spread}s"), ("Persistent", "true")],
        "Install": [("WantedBy", "multi-user.target")],
    }
    files = {f"units/{NAME}.service": unit_bytes(service), f"units/{TIMER}": unit_bytes(timer)}
    return Rendering(
        files=tuple(RenderedFile(path, content) for path, content in files.items()),
        units=(
            UnitEntry(name=NAME, file=f"units/{NAME}.service", boot_only=True, enabled=False),
            UnitEntry(name=TIMER, file=f"units/{TIMER}"),
        ),
    )
