"""The README's way to a real server and to its first host, word for word, with the defaults that a new user gets."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest

from machine.library.image import Image, ImageStore
from machine.library.session import Machines
from machine.modules.watched import watched_image
from machine.monitored import Monitored
from machine.server import CHECKOUT, FOLDER, UNITS, Server

pytestmark = pytest.mark.machine

CLEAR = "rm -rf config/global.yaml config/secrets"
"""What the tests' own configuration has put there. The lock stays: a booted machine has no network to draw it from."""


def commands(title: str = "Run a real server") -> list[str]:
    """The commands of a section of the README, in their order."""
    section = (CHECKOUT / "README.md").read_text().split(f"## {title}")[1].split("\n## ")[0]
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


def test_the_readme_makes_a_host_of_another_machine(
    machines: Machines, images: ImageStore, program_images: Mapping[str, Image], minimal_images: Mapping[str, Image]
) -> None:
    host = machines.create(watched_image(images, minimal_images["trixie"]), "web-1")
    fleet = Monitored(Server(machines.create(program_images["trixie"], "mon-1")), {"web-1": host}, {"web-1": "trixie"})
    fleet.forget("web-1")
    host.succeed("systemctl start nginx")
    fleet.server.succeed("preflight", "--observability-vps", "--fix")
    add, apply = (line.removeprefix("./observability ") for line in commands("Watch other machines"))

    fleet.server.succeed(*add.replace("192.0.2.10", host.address).split())
    fleet.server.succeed(*apply.split(), "--yes")  # nobody is there to be asked

    assert fleet.server.query('nginx_up{host="web-1"} == 1')
    assert "is healthy" in fleet.server.succeed("health", "--verbose").stdout
    host.succeed("logger an order came in")
    command = "./observability logs --host web-1 --grep 'an order came in' | grep order"
    fleet.server.machine.wait_until_succeeds(f"cd {FOLDER} && {command}")
    assert "php-fpm" in fleet.server.succeed("module", "list").stdout
    fleet.server.succeed("host", "bundle", "web-1", "-o", "web-1.bundle")
