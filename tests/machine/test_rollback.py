"""Going back: what is asked for is found or refused in one clear sentence, and what is pruned is really gone."""

from __future__ import annotations

import re

import pytest

from machine.server import FOLDER, Server

pytestmark = pytest.mark.machine

STATE = "/var/lib/observability"
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")

UNCLEAR = {
    ("--to", "../../../etc"): "generation-unknown",
    ("--to", ""): "generation-unknown",
    ("--to", "."): "generation-unknown",
    ("--backup", "../../etc/passwd"): "bad-timestamp",
    ("--backup", "20261301T000000Z"): "bad-timestamp",
    ("--backup", "yesterday"): "bad-timestamp",
    ("--backup", "20200101T000000Z"): "generation-unknown",
    ("--auto", "--list"): "usage",
    (): "usage",
}
"""What `rollback` cannot mean anything by, and the error it must end with."""


def deploy(server: Server, turn: str) -> str:
    """Apply a configuration of its own and return its generation."""
    server.configure(prometheus={"external_labels": {"turn": turn}})
    return str(server.apply()["generation"])


def running(server: Server) -> tuple[str, str]:
    """The generation in force, and the turn in the configuration that Prometheus runs; empty for none."""
    found = re.search(r"^ +turn: (.*)$", server.prometheus("status/config")["yaml"], re.MULTILINE)
    return server.current(), found[1] if found else ""


def test_where_there_is_nothing_to_go_back_to_it_says_so(server: Server) -> None:
    pids, traces = server.pids(), server.traces()
    refused = server.exits(2, "rollback", "--auto", "--quiet").stderr
    assert "error[generation-unknown] There is no earlier generation to go back to." in refused
    assert (server.pids(), server.traces()) == (pids, traces)


def test_each_way_back_leads_to_the_generation_meant(server: Server) -> None:
    generations = {turn: deploy(server, turn) for turn in ("one", "two", "three")}
    pids = server.pids()

    told = server.succeed("rollback", "--auto").stdout
    assert re.match(rf"mon-1: committed, generation {generations['two'][:12]}, (\d+) of \1 gates green", told)
    assert re.search(r"^  reload +prometheus +etc/prometheus/\S+ changed$", told, re.MULTILINE)
    assert running(server) == (generations["two"], "two")

    server.succeed("rollback", "--to", generations["one"][:9])
    assert running(server) == (generations["one"], "one")

    script = ["./scripts/rollback-deployment.sh", "--auto"]
    server.machine.succeed(script, directory=FOLDER)
    assert running(server) == (generations["two"], "two")
    assert server.pids() == pids, "a reload is enough on every way"


def test_every_time_that_is_listed_leads_to_its_generation(server: Server) -> None:
    header, *lines = server.succeed("rollback", "--list", "--quiet").stdout.splitlines()
    assert header.split()[:4] == ["generation", "came", "into", "force"]
    assert len(lines) == 4
    assert [line.split()[1] for line in lines if line.startswith("*")] == [server.current()[:12]]
    newest, oldest = lines[0], lines[-1]
    script = ["./scripts/rollback-deployment.sh", "--backup", TIME.findall(oldest)[-1]]
    server.machine.succeed(script, directory=FOLDER)
    assert server.current()[:12] in oldest
    server.succeed("rollback", "--backup", TIME.findall(newest)[0])
    assert server.current()[:12] in newest


def test_what_cannot_be_meant_is_refused_and_nothing_is_changed(server: Server) -> None:
    pids, traces = server.pids(), server.traces()
    for arguments, code in UNCLEAR.items():
        refused = server.exits(2, "rollback", *arguments, "--quiet").stderr
        assert re.fullmatch(rf"error\[{code}\] .+\n  where: .+\n  state: .+\n  do:    .+\n", refused), refused
    assert (server.pids(), server.traces()) == (pids, traces)


def test_a_beginning_that_fits_two_generations_is_refused(server: Server) -> None:
    current = server.current()
    twin = current[:10] + current[10:][::-1]
    server.machine.succeed(f"cp -a {STATE}/generations/{current} {STATE}/generations/{twin}")
    refused = server.exits(2, "rollback", "--to", current[:10], "--quiet").stderr
    server.machine.succeed(f"rm -r {STATE}/generations/{twin}")
    assert f"error[generation-ambiguous] '{current[:10]}' fits 2 generations" in refused
    assert server.current() == current


def test_what_is_pruned_is_gone_and_what_is_kept_can_be_gone_back_to(server: Server) -> None:
    listed = [item["identity"] for item in server.document("generations", "list")["generations"]]
    current, previous, *others = listed
    assert current == server.current()
    contents = {
        identity: {file["digest"] for file in server.document("generations", "show", identity)["manifest"]["files"]}
        for identity in listed
    }
    told = server.succeed("generations", "prune", "--keep", "2", "--quiet").stdout
    assert told.splitlines() == [*(f"dropped {identity[:12]}" for identity in others), "mon-1: 2 generations dropped"]

    assert set(server.machine.succeed(f"ls {STATE}/generations").stdout.split()) == {current, previous}
    blobs = set(server.machine.succeed(f"ls {STATE}/store/blobs").stdout.split())
    key = server.document("generations", "show", current)["manifest"]["key"]
    assert blobs == contents[current] | contents[previous] | {current, previous, key}
    assert set.union(*contents.values()) - blobs, "the others had contents of their own"
    assert "error[generation-unknown]" in server.exits(2, "rollback", "--to", others[0], "--quiet").stderr
    assert "error[generation-unknown]" in server.exits(2, "generations", "show", others[0], "--quiet").stderr

    server.succeed("rollback", "--auto")
    assert server.current() == previous
    assert server.document("health")["healthy"] is True
