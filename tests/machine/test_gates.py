"""Changes that every check passes and that then do not work: each is taken back by itself, and the message says why.

Half of the faults are plain configuration. The other half is what no configuration can ask for (a unit that dies, a
limit that is too small): there the generation is altered by hand after rendering, and the real agent applies it.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import pytest

from machine.library.command import Result
from machine.server import FOLDER, Server
from machine.witness import DEFAULT_INTERVAL_S, JOBS, Witness, assert_no_gap, widest_gaps

pytestmark = pytest.mark.machine

QUICK: Final = {"gates": {"deadline": "6s"}}
"""A change that is going to fail need not take long for it."""

STRANGER: Final = """[Service]
WorkingDirectory=/srv/stranger
ExecStart=/usr/bin/python3 -m http.server --bind 127.0.0.1 9101
"""


@dataclass(frozen=True)
class Fault:
    """A change and what is to be said about it.

    `sections` are laid over the configuration; `replace` and `modes` alter what was rendered. `acts` are the units that
    may get another process. Prometheus keeps scraping all others.
    """

    says: tuple[str, ...]
    sections: dict[str, Any] = field(default_factory=dict)
    replace: tuple[tuple[str, str, str], ...] = ()
    modes: dict[str, int] = field(default_factory=dict)
    acts: frozenset[str] = frozenset()


def unit(name: str, old: str, new: str) -> tuple[tuple[str, str, str], ...]:
    return ((f"units/{name}.service", old, new),)


FAULTS: Final = {
    "a setting that only a running Prometheus refuses": Fault(
        says=("error[gate-failed]", "Prometheus refused its new configuration"),
        sections={"prometheus": {"remote_write": [{"url": "https://metrics.example.net/write"}] * 2}},
    ),
    "a target that is down": Fault(
        says=("error[gate-failed]", "target shop 127.0.0.1:9999 is down", "connection refused"),
        # Prometheus takes up to 7 s to find a new target and to have tried it.
        sections={
            "prometheus": {"targets": [{"job": "shop", "addresses": ["127.0.0.1:9999"]}]},
            "gates": {"deadline": "12s"},
        },
    ),
    "a port that a stranger has taken": Fault(
        says=("node-exporter", "address already in use"),
        sections={"node_exporter": {"port": 9101}},
        acts=frozenset({"node-exporter"}),
    ),
    "a unit that exits after some seconds": Fault(
        says=("blackbox-exporter",),
        replace=unit("blackbox-exporter", "ExecStart=/", "ExecStart=/usr/bin/timeout --signal=KILL 3 /"),
        acts=frozenset({"blackbox-exporter"}),
    ),
    "a unit that its own limit kills": Fault(
        says=("blackbox-exporter", "failed"),
        # Without the look at its configuration first, which the limit would end as well.
        replace=(
            *unit("blackbox-exporter", "LimitNOFILE=", "LimitAS=64M\nLimitNOFILE="),
            *unit("blackbox-exporter", "ExecStartPre=", "# "),
        ),
        acts=frozenset({"blackbox-exporter"}),
    ),
    "an upstream that is not there": Fault(
        says=("error[gate-failed]", "/prometheus/-/ready", "502"),
        # With a change of its own, or nginx could not tell the gate from before and after the reload.
        sections={"front_door": {"http_port": 81}},
        replace=(("etc/nginx/nginx.conf", "proxy_pass http://127.0.0.1:9090/", "proxy_pass http://127.0.0.1:9999/"),),
    ),
    "a file that the service's user cannot read": Fault(
        says=("error[gate-failed]", "alertmanager"),
        replace=(("etc/alertmanager/alertmanager.yml", "group_wait: 30s", "group_wait: 31s"),),
        modes={"etc/alertmanager/alertmanager.yml": 0o600},
    ),
    "a start that takes longer than the deadline": Fault(
        says=("error[gate-failed]", "node-exporter"),
        replace=unit("node-exporter", "ExecStart=/", "ExecStart=/bin/sh -c 'sleep 30; exec \"$@\"' - /"),
        acts=frozenset({"node-exporter"}),
    ),
    "a start that takes longer than its own time": Fault(
        says=("error[act-failed]", "node-exporter"),
        replace=unit("node-exporter", "TimeoutStartSec=60s", "TimeoutStartSec=2s\nExecStartPre=/bin/sleep 30"),
        acts=frozenset({"node-exporter"}),
    ),
    "Prometheus itself cannot start": Fault(
        says=("prometheus",),
        replace=unit("prometheus", "--web.route-prefix=/", "--web.route-prefix=/ --web.no-such-flag"),
        acts=frozenset({"prometheus"}),
    ),
}


@pytest.fixture(scope="module")
def running(server: Server) -> Server:
    """A server with the program that alters generations on it, and a stranger on port 9101."""
    server.machine.push(Path(__file__).with_name("altered.py"), f"{FOLDER}/altered.py")
    server.machine.write("/srv/stranger/metrics", "orders_total 7\n")
    server.machine.write("/etc/systemd/system/stranger.service", STRANGER)
    server.machine.succeed("systemctl daemon-reload; systemctl start stranger")
    return server


def change(server: Server, fault: Fault) -> Result:
    """Apply the faulty change and return the result."""
    server.configure(**QUICK | fault.sections)
    if not (fault.replace or fault.modes):
        return server.run("apply", "--yes")
    wish = json.dumps({"replace": fault.replace, "modes": fault.modes})
    return server.machine.run([".venv/bin/python", "-I", "altered.py", wish], directory=FOLDER, timeout_s=180)


@pytest.mark.parametrize("name", FAULTS)
def test_a_change_that_does_not_work_is_taken_back(running: Server, name: str) -> None:
    fault = FAULTS[name]
    before, since = Witness.of(running), time.time()
    result = change(running, fault)
    running.configure()

    assert result.code == 3, result
    missing = [text for text in fault.says if text not in result.stderr]
    assert not missing, f"{missing} not in\n{result}"
    back = f"state: rolled back to generation {before.generation[:12]}, its gates are green; evidence is kept in "
    assert f"{back}/var/lib/observability/transactions/" in result.stderr
    assert "  where: " in result.stderr
    assert "  do:    observability logs" in result.stderr

    assert running.current() == before.generation
    assert before.moved(running) <= fault.acts
    assert running.document("drift")["drift"] == []
    running.succeed("health")
    if "prometheus" in fault.acts:
        # Started anew, it takes several of the tests' short intervals to find its targets again, whatever the interval.
        assert_no_gap(running, since, interval_s=DEFAULT_INTERVAL_S)
    else:
        assert_no_gap(running, since, jobs=JOBS - fault.acts)
    run = result.stderr.partition("transactions/")[2].split()[0]
    assert_evidence_without_secrets(running, run)
    print(f"{name}: {summary(running, run, since)}")


def test_a_monitored_machine_that_goes_down_stops_no_change_and_no_way_back(running: Server) -> None:
    shop = {"targets": [{"job": "shop", "addresses": ["127.0.0.1:9101"]}]}
    running.configure(prometheus=shop)
    assert running.apply()["outcome"] == "committed"
    running.machine.succeed(["systemctl", "stop", "stranger"])
    down = quote('up{instance="127.0.0.1:9101"} == 0')
    seen = f"curl -sS 'http://127.0.0.1:9090/api/v1/query?query={down}' | grep -q shop"
    running.machine.wait_until_succeeds(seen)

    verbose = running.succeed("health", "--verbose").stdout
    assert "not of this stack: target shop 127.0.0.1:9101 is down" in verbose
    running.configure(prometheus={**shop, "external_labels": {"region": "eu"}})
    assert running.apply()["outcome"] == "committed"
    twice = [{"url": "https://metrics.example.net/write"}] * 2
    running.configure(prometheus={**shop, "remote_write": twice}, **QUICK)
    assert "state: rolled back to generation" in running.exits(3, "apply", "--yes").stderr

    running.machine.succeed(["systemctl", "start", "stranger"])
    running.configure()
    assert running.apply()["outcome"] == "committed"


def assert_evidence_without_secrets(server: Server, run: str) -> None:
    """Assert that the run left evidence of what was red, and that no password of the machine is in it."""
    folder = f"/var/lib/observability/transactions/{run}/evidence"
    assert server.machine.succeed(["cat", f"{folder}/error.txt"]).stdout.strip()
    secrets = "config/secrets/admin-password config/secrets/observability-gate"
    leak = f'for file in {secrets}; do grep -rF -e "$(cat $file)" {folder} && exit 9; done; true'
    server.machine.succeed(leak, directory=FOLDER)


def summary(server: Server, run: str, since: float) -> str:
    """Return, for the reader of the tests' output, how long the way back took and the widest gap between scrapes."""
    record = server.machine.succeed(["cat", f"/var/lib/observability/transactions/{run}/record.jsonl"]).stdout
    times = {entry["step"]: entry["time"] for line in record.splitlines() if (entry := json.loads(line)["entry"])}
    back_s = times["rolled-back"] - times["rolling-back"]
    return f"back and green {back_s:.1f} s after the red gate; widest gaps {widest_gaps(server, since)}"
