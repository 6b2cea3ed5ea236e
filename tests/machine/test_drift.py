"""Every way in which a machine drifts is named, healed, and acted on only where a unit may have read it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from machine.server import Server

pytestmark = pytest.mark.machine

BINARIES = "/var/lib/observability/current/artifacts"


@dataclass(frozen=True)
class Damage:
    """What is done to the machine, what `drift` calls it, and what the healing must do to which unit."""

    command: str
    kind: str
    subject: str
    acted: dict[str, str] = field(default_factory=dict)


QUIET = (
    Damage("chmod 666 /etc/prometheus/prometheus.yml", "mode-changed", "etc/prometheus/prometheus.yml"),
    Damage("chown games /etc/nginx/nginx.conf", "owner-changed", "etc/nginx/nginx.conf"),
    Damage("chmod 755 /var/lib/alertmanager", "mode-changed", "/var/lib/alertmanager"),
    Damage("chown root /var/lib/nginx", "owner-changed", "/var/lib/nginx"),
    Damage("rm /etc/alertmanager", "link-missing", "/etc/alertmanager"),
    Damage("systemctl disable nginx", "unit-disabled", "nginx"),
    Damage("rm /etc/systemd/system/observability-recover.service", "unit-file-changed", "observability-recover"),
    Damage("echo edited >> /etc/nginx/www/index.html", "file-changed", "etc/nginx/www/index.html"),
)
"""No process has read anything else than the generation says, or it takes the file up by itself."""

LOUD = {
    "an edited file": Damage(
        "sed -i 's/interval: 2s/interval: 9s/' /etc/prometheus/prometheus.yml; systemctl reload prometheus",
        "file-changed",
        "etc/prometheus/prometheus.yml",
        {"prometheus": "reload"},
    ),
    "a removed file": Damage("rm /etc/nginx/nginx.conf", "file-missing", "etc/nginx/nginx.conf", {"nginx": "reload"}),
    "a file added": Damage(
        "echo 'groups: []' > /etc/prometheus/rules/own.yml; systemctl reload prometheus",
        "file-changed",
        "etc/prometheus/rules/own.yml",
        {"prometheus": "reload"},
    ),
    "a link that leads elsewhere": Damage(
        "ln -sfn /tmp /etc/blackbox-exporter", "link-changed", "/etc/blackbox-exporter", {"blackbox-exporter": "reload"}
    ),
    "a stopped unit": Damage(
        "systemctl stop node-exporter", "unit-stopped", "node-exporter", {"node-exporter": "start"}
    ),
    "a failed unit": Damage(
        "for number in 1 2 3 4 5; do systemctl restart alertmanager || true; done",  # until its start limit is hit
        "unit-failed",
        "alertmanager",
        {"alertmanager": "start"},
    ),
    "an edited unit file": Damage(
        "sed -i 's/^Type=exec/Type=exec\\nNice=5/' /etc/systemd/system/alertmanager.service",
        "unit-file-changed",
        "alertmanager",
        {"alertmanager": "restart"},
    ),
    "another program": Damage(
        f"cp --remove-destination /bin/true {BINARIES}/node-exporter/usr/bin/prometheus-node-exporter",
        "artifact-changed",
        "node-exporter",
        {"node-exporter": "restart"},
    ),
    "a data folder moved away": Damage(
        "mv /var/lib/prometheus /var/lib/prometheus.moved",
        "directory-missing",
        "/var/lib/prometheus",
        {"prometheus": "restart"},
    ),
}
"""What must be acted on, each by itself."""


@pytest.fixture(autouse=True)
def whole(server: Server) -> Iterator[None]:
    """Leave no damage to the test that follows, however this one ends."""
    yield
    server.run("apply", "--yes", "--quiet")


def seen(server: Server, *damages: Damage) -> None:
    """Do the damage, and see that `drift` tells exactly that, to people and to programs."""
    for damage in damages:
        server.machine.succeed(damage.command)
    told = server.document("drift", code=1)["drift"]
    assert {(item["kind"], item["subject"]) for item in told} == {(damage.kind, damage.subject) for damage in damages}
    *lines, verdict = server.exits(1, "drift", "--quiet").stdout.splitlines()
    assert [line.split()[:2] for line in lines] == [[item["kind"], item["subject"]] for item in told]
    number = f"{len(told)} difference{'s' if len(told) > 1 else ''}"
    assert verdict.startswith(f"mon-1: {number} from generation {server.current()[:12]}")


def healed(server: Server, *damages: Damage) -> None:
    """Apply, and see that nothing else was acted on and that the machine is as it was."""
    generation, pids = server.current(), server.pids()
    document = server.apply()
    assert (document["outcome"], document["generation"]) == ("committed", generation)
    acted = {unit["unit"]: unit["action"] for unit in document["units"] if unit["action"] != "none"}
    assert acted == {unit: action for damage in damages for unit, action in damage.acted.items()}
    anew = {unit for unit, action in acted.items() if action in ("start", "restart")}
    after = server.pids()
    assert {unit for unit in pids if pids[unit] != after[unit]} == anew
    assert server.exits(0, "drift", "--quiet").stdout == f"mon-1: no drift from generation {generation[:12]}\n"


def test_what_no_process_has_read_is_healed_without_acting_on_any(server: Server) -> None:
    before = server.traces()
    seen(server, *QUIET)
    healed(server, *QUIET)
    assert attributes(server.traces()) == attributes(before)


def attributes(traces: str) -> set[tuple[str, ...]]:
    """What the traces say without inodes, times and sizes, and without the runs' own record."""
    lines = (line.split(" ") for line in traces.splitlines() if "/transactions" not in line)
    return {(path, kind, mode, owner) for path, kind, _inode, mode, owner, *_ in lines}


@pytest.mark.parametrize("damage", LOUD.values(), ids=[name.replace(" ", "-") for name in LOUD])
def test_what_a_unit_may_have_read_is_healed_and_taken_up(server: Server, damage: Damage) -> None:
    seen(server, damage)
    healed(server, damage)


def test_a_drop_in_of_an_administrator_is_shown_and_is_no_drift(server: Server) -> None:
    folders = ("/etc/systemd/system/prometheus.service.d", "/run/systemd/system/node-.service.d")
    try:
        for folder in folders:
            server.machine.succeed(f"mkdir {folder}; printf '[Service]\\nNice=5\\n' > {folder}/nice.conf")
        server.machine.succeed("systemctl daemon-reload")
        pids = server.pids()
        document = server.document("drift")
        shown = {(item["subject"], item["detail"].split()[0]) for item in document["additions"]}
        expected = {
            (unit, f"{folder}/nice.conf") for unit, folder in zip(("prometheus", "node-exporter"), folders, strict=True)
        }
        assert (document["drift"], shown) == ([], expected)
        *lines, verdict = server.exits(0, "drift", "--quiet").stdout.splitlines()
        assert [line.split()[:2] for line in lines] == [["unit-extended", unit] for unit, _ in sorted(expected)]
        assert verdict.startswith("mon-1: no drift")
        assert server.apply()["outcome"] == "unchanged"
        assert server.pids() == pids
    finally:
        server.machine.succeed(f"rm -r {' '.join(folders)}; systemctl daemon-reload")


def test_what_a_hand_has_changed_is_kept_aside(server: Server) -> None:
    server.machine.succeed("echo '# my precious note' >> /etc/alertmanager/alertmanager.yml")
    run = server.apply()
    assert [item["subject"] for item in run["drift"]] == ["etc/alertmanager/alertmanager.yml"]
    kept = server.machine.succeed(
        "tail -n 1 /var/lib/observability/transactions/*/aside/etc/alertmanager/alertmanager.yml"
    )
    assert kept.stdout == "# my precious note\n"
