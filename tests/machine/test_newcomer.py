"""Somebody with a minimal Debian follows the README: a clean clone, `./observability up`, and away with it again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from machine.library.command import call
from machine.library.image import Image
from machine.library.sandbox import Sandbox
from machine.library.session import Machines

pytestmark = pytest.mark.machine

CHECKOUT = Path(__file__).parents[2]
PORT_BASE = 28600
# The sandbox is on the host's network; so the ports are others than the README's, and that is the only difference.
UP = f"./observability up --port-base {PORT_BASE}"


@pytest.fixture(scope="module", params=["root", "alice"])
def user(request: pytest.FixtureRequest) -> str:
    """The administrator, and a person who may administer nothing."""
    return str(request.param)


@pytest.fixture(scope="module")
def newcomer(
    machines: Machines, minimal: Image, user: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Sandbox]:
    """A minimal Debian with a clone of the repository as it is committed, and nothing installed for it."""
    bare = tmp_path_factory.mktemp("newcomer") / "stack.git"
    call(["git", "clone", "--quiet", "--bare", str(CHECKOUT), str(bare)])
    sandbox = machines.sandbox(minimal, "newcomer")
    sandbox.push(bare, "/srv/stack.git")
    if user != "root":
        sandbox.succeed(f"useradd --create-home --shell /bin/bash {user}")
    for missing in ("python3 -m pip --version", "python3 -c 'import ensurepip'"):
        sandbox.fail(missing)
    # git trusts a repository of another owner only when it is told to.
    sandbox.succeed("git config --system --add safe.directory /srv/stack.git")
    sandbox.succeed("git clone --quiet /srv/stack.git stack", user=user, directory=home(user))
    yield sandbox
    sandbox.destroy()


def home(user: str) -> str:
    return "/root" if user == "root" else f"/home/{user}"


def test_the_readme_names_the_commands_that_are_tried_here() -> None:
    readme = (CHECKOUT / "README.md").read_text(encoding="utf-8").splitlines()

    assert "    ./observability up" in readme
    assert any("`./observability down --purge`" in line for line in readme)


def test_a_newcomer_gets_the_whole_stack_and_leaves_nothing_behind(newcomer: Sandbox, user: str) -> None:
    checkout = f"{home(user)}/stack"
    newcomer.succeed("touch /srv/before; dpkg-query --show > /srv/packages")

    first = newcomer.succeed(UP, user=user, directory=checkout, timeout_s=180)

    assert "Every gate is green" in first.stdout
    words = first.stdout.split()
    told = next(line for line in first.stdout.splitlines() if line.startswith("login")).split()
    kept = newcomer.succeed(["cat", told[-1]], user=user, directory=checkout).stdout.strip()
    login = told[1].rstrip(","), kept
    door = f"https://localhost:{PORT_BASE}"
    assert f"{door}/" in words
    ask = f"curl --silent --show-error --cacert {words[words.index('authority') + 1]}"
    up = newcomer.succeed(
        f"{ask} --user {':'.join(login)} '{door}/prometheus/api/v1/query?query=up'", user=user, directory=checkout
    ).json()
    assert {series["metric"]["job"]: series["value"][1] for series in up["data"]["result"]} == dict.fromkeys(
        ("prometheus", "alertmanager", "node-exporter", "blackbox-exporter", "front-door"), "1"
    )
    refused = f"{ask} --user admin:wrong --output /dev/null --write-out '%{{http_code}}' {door}/"
    assert newcomer.succeed(refused, user=user, directory=checkout).stdout == "401"

    again = newcomer.succeed(
        "{ time -p ./observability up --json 2>/dev/null; } 2>time", user=user, directory=checkout
    ).json()
    assert again["outcome"] == "unchanged"
    # Seconds of the processor, for other tests may run beside this one; tests/contract/test_up.py measures the clock.
    figures = dict(line.split() for line in newcomer.succeed(f"cat {checkout}/time").stdout.splitlines()[-3:])
    assert float(figures["user"]) + float(figures["sys"]) < 1.5, figures

    newcomer.succeed("./observability health", user=user, directory=checkout)
    assert newcomer.succeed("./observability logs prometheus", user=user, directory=checkout).stdout.strip()

    newcomer.succeed("./observability down", user=user, directory=checkout)
    newcomer.fail(f"curl --silent --insecure {door}/")
    newcomer.succeed("./observability down --purge", user=user, directory=checkout)

    assert newcomer.run(f"test -e {checkout}/.observability").code != 0
    # Beside the checkout and the downloads kept in the caller's own cache, the machine is as it was.
    newcomer.succeed("dpkg-query --show | cmp - /srv/packages")
    changed = "find / -xdev -newer /srv/before -type f -not -path '/root/*' -not -path '/home/*' -not -path '/srv/*'"
    assert newcomer.succeed(changed).stdout.split() == []
    assert newcomer.run("pgrep --full 'supervisord|prometheus|nginx|journal-remote'").code != 0
