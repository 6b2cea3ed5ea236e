"""A service that was broken into owns its data, and tries to make root follow it out of there; then the whole machine.

The user is a real one, on a real machine; races are run against a loop that exchanges names as fast as it can.
"""

from __future__ import annotations

import contextlib
import io
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from hostile.words import drives_a_terminal
from machine.library.image import Image
from machine.library.machine import Machine
from machine.library.session import Machines
from machine.small import small
from obstack.agent import wire
from obstack.cli import fleet_views, views
from obstack.cli.output import error_lines, print_line
from obstack.cli.progress import PlainReporter
from obstack.edges.ssh_channel import SshChannel
from obstack.errors import StackError
from obstack.model.host import Host
from obstack.operations import inspection
from obstack.operations.fleet import NodeResult
from obstack.ports import Contents

pytestmark = [pytest.mark.machine, pytest.mark.security]

USER = "guest"
DATA = "/var/lib/shop"
INNER = f"{DATA}/inner"
TREASURE = "/root/treasure"
"""A folder of root's with a file `secret`; nobody else may have either in the end."""
REPOSITORY = Path(__file__).parents[2]
RACE_S = 2

# Exchanges a folder, and a file in it, for links into the treasure and back.
SWAPPER = f"""
import ctypes, os
swap = ctypes.CDLL(None).renameat2
def exchange(a, b): swap(-100, a.encode(), -100, b.encode(), 2)
os.chdir("{DATA}")
os.symlink("{TREASURE}", "folder-link")
os.symlink("{TREASURE}/secret", "file-link")
for name in ("inner", "other"):
    os.makedirs(name, exist_ok=True)
open("file", "w").write("plain")
while True:
    exchange("inner", "folder-link"); exchange("file", "file-link")
"""
AGENT = """
import glob, os, sys, time
sys.path.insert(0, next(path for path in glob.glob("/var/lib/observability/agent/*") if os.path.isdir(path)))
from obstack.agent import durable, snapshot
from obstack.agent.faults import AgentError
end, tried, refused = time.monotonic() + {seconds}, 0, 0
while time.monotonic() < end:
    tried += 1
    try:
        {act}
    except (AgentError, OSError):
        refused += 1
print(tried, refused)
"""


@dataclass
class Shop:
    """The machine, and the way to apply to it."""

    machine: Machine
    channel: SshChannel

    def apply(self, text: str, *directories: str) -> wire.Reply:
        generation = small(text)
        entries = tuple(wire.DirectoryEntry(path, 0o750, USER, USER) for path in directories)
        manifest = replace(generation.manifest, directories=entries)
        return self.ask(wire.Request("apply", manifest=manifest, who="a test"), generation.contents)

    def ask(self, request: wire.Request, contents: Contents | None = None) -> wire.Reply:
        return self.channel.ask(request, contents or Contents(), lambda _: None)

    def as_user(self, script: str) -> None:
        self.machine.succeed(["python3", "-c", script], user=USER)

    def treasure(self) -> str:
        return self.machine.succeed(["stat", "--format=%n %U:%G %a", TREASURE, f"{TREASURE}/secret"]).stdout

    def race(self, act: str) -> int:
        """Let root do something again and again while the user exchanges names; return how often it was done."""
        self.machine.succeed(f"rm -rf {DATA}; install -d -o {USER} -g {USER} {DATA}")
        self.machine.succeed("rm -rf /root/copies; install -d -m 700 /root/copies")
        swapper = self.machine.start(["python3", "-c", SWAPPER], user=USER)
        self.machine.wait_until_succeeds(["test", "-e", f"{DATA}/file"])
        try:
            script = AGENT.format(seconds=RACE_S, act=act)
            done = self.machine.succeed(["python3", "-I", "-c", script]).stdout.split()
        finally:
            swapper.kill()
            swapper.wait()
        tried, refused = map(int, done)
        assert 0 < refused < tried, "the race was not run"
        return tried


@pytest.fixture(scope="module")
def shop(machines: Machines, sudo_image: Image, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("way")
    machine = machines.create(sudo_image, "shop-1")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / "key")], check=True)
    machine.write("/root/.ssh/authorized_keys", (folder / "key.pub").read_text())
    machine.wait_for_unit("ssh.service")
    options = [f"UserKnownHostsFile={folder / 'known_hosts'}", "StrictHostKeyChecking=accept-new", "IdentitiesOnly=yes"]
    ssh = {"identity": str(folder / "key"), "options": options}
    host = Host.model_validate({"address": machine.address, "ssh": ssh})
    shop = Shop(machine, SshChannel("shop-1", host, folder / "cache"))
    machine.succeed(f"install -d -m 700 {TREASURE}; umask 077; echo jewels > {TREASURE}/secret")
    assert shop.apply("first", DATA, INNER).outcome == "committed"
    yield shop
    machine.destroy()


def test_a_directory_that_became_a_link_is_refused_before_anything_changes(shop: Shop) -> None:
    before = shop.treasure()
    shop.as_user(f"import os; os.rmdir('{INNER}'); os.symlink('{TREASURE}', '{INNER}')")
    reply = shop.apply("second", DATA, INNER)
    assert reply.fault is not None
    assert (reply.outcome, reply.fault.code, reply.fault.where) == ("refused", "path-unsafe", INNER)
    assert shop.treasure() == before
    assert shop.machine.succeed(["cat", "/etc/example-worker/example-worker.conf"]).stdout == "first"
    shop.machine.succeed(["rm", INNER])
    assert shop.apply("second", DATA, INNER).outcome == "committed"


def test_a_link_that_root_made_to_a_larger_disk_is_followed(shop: Shop) -> None:
    shop.machine.succeed(f"mkdir -p /srv/disk; mv {DATA} /srv/disk/shop; ln -s /srv/disk/shop {DATA}")
    assert shop.apply("third", DATA, INNER).outcome == "committed"
    assert shop.machine.succeed(["stat", "--format=%U %a", "/srv/disk/shop"]).stdout == f"{USER} 750\n"
    shop.machine.succeed(f"rm {DATA}; mv /srv/disk/shop {DATA}")


def test_no_race_gives_away_what_is_not_the_service_s(shop: Shop) -> None:
    before = shop.treasure()
    shop.race(f"durable.own_directory('{INNER}', 0o777, '{USER}', '{USER}')")
    shop.race(f"durable.set_attributes('{DATA}/file', 0o666, '{USER}', '{USER}')")
    shop.race(f"durable.make_directory('{INNER}/' + str(tried), 0o777, '{USER}', '{USER}')")
    assert shop.treasure() == before
    assert shop.machine.succeed(["ls", TREASURE]).stdout == "secret\n"


def test_no_copy_of_data_holds_what_is_not_the_service_s(shop: Shop) -> None:
    before = shop.treasure()
    shop.as_user(f"import os; os.mkfifo('{DATA}/pipe') if not os.path.exists('{DATA}/pipe') else None")
    copies = shop.race(f"snapshot._copy_tree('{DATA}', '/root/copies/' + str(tried))")
    assert copies > 20
    assert shop.treasure() == before
    shop.machine.fail(["grep", "-rq", "jewels", "/root/copies"])
    kinds = shop.machine.succeed("find /root/copies -mindepth 1 -printf '%y%U\\n' | sort -u").stdout.split()
    guest = shop.machine.succeed(["id", "-u", USER]).stdout.strip()
    assert {kind for kind in kinds if kind[0] == "f"} == {f"f{guest}"}
    assert not any(kind[0] in "pscb" for kind in kinds)


def test_a_program_that_lends_rights_and_a_bottomless_folder_are_not_copied(shop: Shop) -> None:
    shop.machine.succeed(f"rm -rf {DATA} /root/copies; install -d -o {USER} {DATA}; mkdir /root/copies")
    shop.as_user(f"open('{DATA}/tool', 'w'); __import__('os').chmod('{DATA}/tool', 0o6755)")
    script = AGENT.format(seconds=0.05, act=f"snapshot._copy_tree('{DATA}', '/root/copies/' + str(tried))")
    shop.machine.succeed(["python3", "-I", "-c", script])
    assert shop.machine.succeed(["stat", "--format=%a", "/root/copies/1/tool"]).stdout == "755\n"
    shop.as_user(f"import os; os.chdir('{DATA}')\nfor _ in range(3000): os.mkdir('d'); os.chdir('d')")
    done = shop.machine.succeed(["python3", "-I", "-c", script.replace("str(tried)", "'deep'")]).stdout.split()
    assert done[0] == done[1]  # each time an error of ours


def test_a_purge_removes_the_data_and_nothing_that_they_lead_to(shop: Shop) -> None:
    before = shop.treasure()
    shop.machine.succeed(f"rm -rf {DATA}")
    assert shop.apply("fourth", DATA, INNER).outcome == "committed"
    shop.as_user(
        f"import os; os.rmdir('{INNER}'); os.symlink('{TREASURE}', '{INNER}'); "
        f"os.symlink('/etc', '{DATA}/etc'); os.symlink('{TREASURE}/secret', '{DATA}/file')"
    )
    reply = shop.ask(wire.Request("uninstall", {"purge": True}, who="a test"))
    assert reply.fault is None
    assert shop.treasure() == before
    shop.machine.fail(["test", "-e", DATA])
    shop.machine.succeed(["test", "-e", "/etc/passwd"])


@pytest.mark.parametrize("module", ["memcached", "fail2ban"])
def test_metrics_that_root_leaves_in_a_shared_folder_follow_no_link(shop: Shop, module: str) -> None:
    before = shop.treasure()
    shop.machine.push(REPOSITORY / "modules" / module / "collector.py", "/root/collector.py")
    shop.machine.succeed(f"rm -rf {DATA}; install -d -m 777 {DATA}")
    shop.as_user(f"import os; [os.symlink('{TREASURE}/secret', f'{DATA}/x.prom{{end}}') for end in ('', '.new')]")
    script = f"import sys; sys.path.insert(0, '/root'); import collector; collector.replace('{DATA}/x.prom', 'x 1\\n')"
    shop.machine.succeed(["python3", "-c", script])
    assert shop.machine.succeed(["cat", f"{DATA}/x.prom", f"{TREASURE}/secret"]).stdout == "x 1\njewels\n"
    assert shop.treasure() == before


# ------------------------------------------------------------------------- the whole machine, in the place of its agent

LIAR = """#!/usr/bin/python3 -I
import itertools, json, os, sys, time
request = sys.stdin.buffer.readline()
def say(**message): print(json.dumps(message), flush=True)
def reply(outcome="ok", **words): say(type="reply", outcome=outcome, **words)
"""
ESCAPE = "\x1b[2J\x1b]0;owned\x07\rweb-9: committed\n\u202eweb-9: committed"
LIES = {
    "talks without end": "while True: say(type='event', step='check', state='failed', message='x')",
    "asks without end": "while True: say(type='need', digests=['ab' * 32]); sys.stdin.readline()",
    "wants connections without end": "while True: say(type='confirm'); sys.stdin.readline()",
    "wants the agent without end": "while True: say(type='agent-absent'); sys.stdin.readline()",
    "says one line of gigabytes": "while True: sys.stdout.write('x' * 65536)",
    "drips": "while True: sys.stdout.write('x'); sys.stdout.flush(); time.sleep(0.5)",
    "is nested": "say(type='alive'); print('[' * 100000)",
    "answers another form": f"reply(data={{'manifest': 5, 'units': {ESCAPE!r}, 'transactions': [[]]}})",
    "complains in escapes": f"sys.stderr.write({ESCAPE!r} * 1000); sys.exit(255)",
    "poses as another": f"reply(data={{'manifest': None, 'units': [], 'transactions': []}}, generation={ESCAPE!r})",
    "faults in escapes": "words = dict.fromkeys('code what where do state detail'.split(), "
    f"{ESCAPE!r}); reply('failed', fault=dict(exit_code=3, **words))",
    "refuses in escapes": f"say(type='refused', code={ESCAPE!r}, detail={{'a': [1]}})",
}


@pytest.mark.parametrize("lie", LIES)
def test_a_machine_that_lies_is_told_as_one_and_changes_nothing_here(shop: Shop, lie: str) -> None:
    """The program that ssh starts there is python3, and whoever is root there can put anything in its place."""
    shop.machine.write("/usr/local/bin/python3", f"{LIAR}{LIES[lie]}\n", mode=0o755)
    before = sorted(shop.channel.cache.parent.rglob("*"))
    channel = replace(shop.channel, silence_s=4.0)
    began = time.monotonic()
    out = io.StringIO()
    try:
        seen = inspection.inspect(channel, PlainReporter(io.StringIO()))
        assert seen.node == "shop-1"
        lines = views.status_lines(seen, "/", "the test", 0.0)
        lines += fleet_views.fleet_status_lines([NodeResult("shop-1", "ok", seen)], 0)
    except StackError as error:
        assert error.exit_code in (3, 6)
        lines = error_lines(error, stream=out)
        lines += fleet_views.trouble_lines([NodeResult[Any]("shop-1", "failed", error=error)])
    with contextlib.redirect_stdout(out):
        for line in lines:
            print_line(line)
    assert not drives_a_terminal(out.getvalue())
    assert not any(line.startswith("web-9") for line in out.getvalue().split("\n"))
    assert len(out.getvalue()) < 100_000
    assert time.monotonic() - began < 30
    assert sorted(shop.channel.cache.parent.rglob("*")) == before
