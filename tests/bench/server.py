"""A server, as a booted Debian 13: a run that changes nothing, two kinds of failure, and a killed agent."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from bench.measure import CHECKOUT, Row, Stopwatch
from machine.library.command import CommandFailed
from machine.library.host import install_missing_packages
from machine.library.image import ImageStore
from machine.library.session import Session
from machine.server import FOLDER, Server, program_image

SUITE: Final = "trixie"
TIMES: Final = 9
ON: Final = "Debian 13 under systemd, 5 units"

ALTERED: Final = CHECKOUT / "tests/machine/altered.py"
RECORDS: Final = "var/lib/observability/transactions"

STRANGER: Final = "[Service]\nExecStart=/usr/bin/python3 -m http.server --bind 127.0.0.1 9101\n"
"""Holds the port that a unit is told to move to."""

DOWN: Final = {"prometheus": {"targets": [{"job": "shop", "addresses": ["127.0.0.1:9999"]}]}}
"""A target where nothing answers: every check passes, and one gate stays red."""

UPSTREAM: Final = {
    "replace": [["etc/nginx/nginx.conf", "proxy_pass http://127.0.0.1:9090/", "proxy_pass http://127.0.0.1:9999/"]]
}
"""A wrong upstream, which no configuration can ask for: what was rendered is altered by hand before it is applied."""

QUICK: Final = {"gates": {"deadline": "6s"}}
"""A change that is going to fail need not take long for it: what is measured begins when it has."""


def rows() -> Iterator[Row]:
    """Set a machine up and measure on it."""
    with _server() as server:
        setting_up = Stopwatch()
        server.succeed("preflight", "--observability-vps", "--fix")
        setting_up.time(lambda: server.document("setup", "--observability", "--yes"))
        yield Row("setup of a bare machine, archives at hand", ON, setting_up.figures())
        yield from _unchanged(server)
        yield from _undone(server)
        yield _recovered(server)


@contextmanager
def _server() -> Iterator[Server]:
    install_missing_packages()
    session, images = Session(), ImageStore()
    session.open()
    machines = session.machines()
    try:
        yield Server(machines.create(program_image(images, images.base(SUITE)), "mon-1"))
    finally:
        machines.destroy()
        images.close()
        session.close()


def _unchanged(server: Server) -> Iterator[Row]:
    """Measure a command of the machine that does nothing, which is the share of entering it, and an apply."""
    entering, applying, asking = Stopwatch(), Stopwatch(), Stopwatch()
    document: Any = server.apply()
    for _ in range(TIMES):
        entering.time(lambda: server.machine.run(["true"]))
        document = applying.time(server.apply)
        if document["outcome"] != "unchanged":
            raise RuntimeError(f"an apply of what is in force answered {document['outcome']}, not unchanged")
        asking.time(lambda: server.document("health"))
    manifest = server.document("generations", "show", server.current())["manifest"]
    counts = f"{len(manifest['files'])} files hashed, {len(document['gates'])} gates, one request"
    yield Row("apply that changes nothing", ON, applying.figures(), ("wall_s", 1.0), f"median of {TIMES}; {counts}")
    yield Row("health, every gate", ON, asking.figures(), note=f"median of {TIMES}")
    yield Row("of these, entering the machine", ON, entering.figures())


def _undone(server: Server) -> Iterator[Row]:
    """Measure the way back, from the red gate or the failed act to the green gates of the generation before."""
    server.machine.write("/etc/systemd/system/stranger.service", STRANGER)
    server.machine.succeed("systemctl daemon-reload; systemctl start stranger")
    server.machine.push(ALTERED, f"{FOLDER}/altered.py")
    # With something of nginx's own configured too, so that its old configuration cannot pass for the new one.
    server.configure(**QUICK, front_door={"http_port": 8080})
    alter = [".venv/bin/python", "-I", "altered.py", json.dumps(UPSTREAM)]
    result = server.machine.run(alter, directory=FOLDER, timeout_s=180)
    if result.code != 3:
        raise CommandFailed("the altered generation should have been taken back", result)
    yield _way_back(server, "a wrong upstream of nginx", limit_s=5)
    server.configure(**QUICK, node_exporter={"port": 9101})
    server.apply(code=3)
    yield _way_back(server, "a unit that cannot start", limit_s=5)
    server.configure(**QUICK, **DOWN)
    server.apply(code=3)
    yield _way_back(server, "a target of Prometheus that is down", limit_s=None)
    server.configure()
    server.machine.succeed("systemctl stop stranger")


def _way_back(server: Server, fault: str, *, limit_s: float | None) -> Row:
    """Read the record of the last run, which must have been taken back.

    Without a limit it is one that ends with a reload of Prometheus: that looks only every five seconds at where its
    Alertmanagers are, and the gates wait until it has.
    """
    times = {entry["step"]: entry["time"] for entry in _record(server)}
    if "rolled-back" not in times:
        raise RuntimeError(f"{fault}: it was not taken back; the record says {', '.join(times)}")
    figures = {"wall_s": times["rolled-back"] - times["rolling-back"]}
    note = "from rolling-back to rolled-back in the record"
    return Row(f"{fault}: from red to green", ON, figures, ("wall_s", limit_s) if limit_s else None, note)


def _recovered(server: Server) -> Row:
    """Kill the agent while it waits for a gate, and measure the command that puts the machine right."""
    before, number = server.current(), len(_records(server))
    server.configure(**DOWN)
    running = server.start("apply", "--yes", "--quiet")
    deadline = time.monotonic() + 60
    while len(_records(server)) == number or _record(server)[-1]["step"] != "acting":
        if time.monotonic() > deadline:
            raise RuntimeError(f"the agent did not come to act within 60 s:\n{running.so_far()}")
        time.sleep(0.1)
    server.machine.succeed(["pkill", "--signal", "KILL", "--full", "agent.* serve$"])
    running.wait()
    recovering = Stopwatch()
    recovering.time(lambda: server.succeed("recover"))
    if server.current() != before:
        raise RuntimeError("recovery did not go back to the generation before")
    note = "the agent was killed after the switch"
    return Row("recover, to the generation before and its green gates", ON, recovering.figures(), note=note)


def _records(server: Server) -> list[Path]:
    folder = server.machine.root / RECORDS
    return sorted(folder.glob("*/record.jsonl"))


def _record(server: Server) -> list[dict[str, Any]]:
    """Return the entries of the last run."""
    return [json.loads(line)["entry"] for line in _records(server)[-1].read_text().splitlines()]
