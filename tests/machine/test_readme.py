"""The README's way to a real server, word for word, with the defaults that a new user gets."""

from __future__ import annotations

import re

import pytest

from machine.server import CHECKOUT, FOLDER, UNITS, Server

pytestmark = pytest.mark.machine

CLEAR = "rm -rf config/global.yaml config/secrets"
"""What the tests' own configuration has put there. The lock stays: a booted machine has no network to draw it from."""


def commands() -> list[str]:
    """The commands of the README's section, in their order."""
    section = (CHECKOUT / "README.md").read_text().split("## Run a real server")[1].split("\n## ")[0]
    return re.findall(r"^    (\./\S.*)$", section, re.MULTILINE)


def test_the_readme_makes_a_server_of_a_fresh_machine(bare_server: Server) -> None:
    machine = bare_server.machine
    machine.succeed(CLEAR, directory=FOLDER)
    first, second, last = commands()
    machine.succeed(first, directory=FOLDER)
    machine.succeed(second, directory=FOLDER)
    machine.succeed(f"{last} --yes", directory=FOLDER, timeout_s=240)  # nobody is there to be asked

    machine.succeed(["systemctl", "status", *UNITS])
    ask = "curl -sS -o /dev/null -w '%{http_code}' --resolve mon-1.internal:443:127.0.0.1"
    ask += " --cacert /etc/nginx/authority.pem"
    assert machine.succeed(f"{ask} https://mon-1.internal/").stdout == "401"
    login = '--user "admin:$(cat config/secrets/admin-password)"'
    assert machine.succeed(f"{ask} {login} https://mon-1.internal/", directory=FOLDER).stdout == "200"


def test_what_the_readme_says_of_the_days_after_holds(bare_server: Server) -> None:
    machine, before = bare_server.machine, bare_server.current()
    machine.succeed("sed -i 's/# group_wait: 30s/group_wait: 45s/' config/global.yaml", directory=FOLDER)

    assert "alertmanager" in bare_server.succeed("plan").stdout
    bare_server.succeed("apply", "--yes")
    assert bare_server.current() != before
    assert "is healthy" in bare_server.succeed("health", "--verbose").stdout
    bare_server.succeed("rollback", "--auto")
    assert bare_server.current() == before
