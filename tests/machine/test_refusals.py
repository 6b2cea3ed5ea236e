"""Broken configurations and broken materials: each is refused before the switch, and the running stack stays as it is.

What the model can see is told with file, line and column and exit code 2. What only a product itself can judge is
refused by that product's own checker on the staged files, with exit code 3. Where the model rightly leaves no way to
write such a fault down (a directive of nginx, a rule), the generation is altered by hand and sent to the real agent.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from machine.library.command import Result
from machine.server import FOLDER, LOCKS, Server
from machine.witness import Witness, assert_no_gap

pytestmark = pytest.mark.machine

BASE = """version: 1
environment: testing
domain: observability.example.org
server: {name: mon-1}
gates: {deadline: 30s}
prometheus:
  scrape_interval: 2s
  evaluation_interval: 2s
"""
"""The configuration in force. The lines of a case follow as lines 9 and on, in the section prometheus."""

SMTP = """alertmanager:
  smtp:
    host: mail.example.net
    sender: alerts@example.net
"""


@dataclass(frozen=True)
class Case:
    """A fault: lines added to the configuration, or shell commands that spoil something; `mend` undoes those."""

    lines: str = ""
    spoil: str = ""
    mend: str = ""
    arguments: tuple[str, ...] = ("apply", "--yes")
    says: tuple[str, ...] = ()
    hides: str = ""
    code: int = 2


MODEL = {
    "yaml that does not end": Case("  targets: [{job: web,\n", says=("config/global.yaml:10:1",)),
    "a tab": Case("\tport: 9090\n", says=("config/global.yaml:9:1", "tab")),
    "a key twice": Case("  scrape_interval: 5s\n", says=("config/global.yaml:9:3", "scrape_interval")),
    "an unknown key": Case(
        "  scrape_intervall: 5s\n", says=("config/global.yaml:9:3", "scrape_intervall", "Did you mean scrape_interval?")
    ),
    "a wrong type": Case("  port: ninety\n", says=("config/global.yaml:9:9", "must be a whole number")),
    "a value out of range": Case("  port: 80\n", says=("config/global.yaml:9:9", "1024")),
    "a path for a name": Case(
        "  targets:\n  - {job: ../../shadow, addresses: ['web-1:9100']}\n",
        says=("config/global.yaml:10:11", "prometheus.targets[0].job", "must be a name"),
    ),
    "a placeholder": Case(
        SMTP.replace("mail.example.net", "change-me.example.net"),
        says=("config/global.yaml:11:11", "alertmanager.smtp.host", "placeholder"),
    ),
    "a port twice": Case(
        "alertmanager: {port: 9090}\n", says=("config/global.yaml:9:22", "which is also prometheus.port")
    ),
    "a receiver that is not there": Case(
        "alertmanager:\n"
        "  receivers: [{name: operators, webhook: ['https://hooks.example.net/']}]\n"
        "  default_receiver: operator\n",
        says=("config/global.yaml:11:21", "Did you mean operators?"),
    ),
    "a gate that could not see a scrape": Case(
        "  external_labels: {job: a}\nlogs: {retention_time: 1s}\n",
        says=("config/global.yaml:10:24", "must be at least 1m"),
    ),
    "a secret in the open": Case(
        "front_door:\n  users:\n  - {name: admin, password: Tr0ub4dor-and-3}\n",
        says=("config/global.yaml:11:19", "front_door.users[0].password", "secret:"),
        hides="Tr0ub4dor-and-3",
    ),
    "a secret that is missing": Case(
        SMTP + "    username: alerts\n    password: secret:smtp-password\n",
        says=("config/global.yaml:14:15", "observability secrets set smtp-password"),
    ),
    "a weak password": Case(
        spoil="cp -p config/secrets/admin-password /tmp/kept; echo password123 > config/secrets/admin-password",
        mend="cp -p /tmp/kept config/secrets/admin-password",
        says=("at least 12", "front_door.users[0].password", "observability secrets set admin-password"),
        hides="password123",
    ),
    "a secret that others may read": Case(
        spoil="chmod 644 config/secrets/admin-password",
        mend="chmod 600 config/secrets/admin-password",
        says=("config/secrets/admin-password", "chmod"),
    ),
    "an environment that is not there": Case(
        arguments=("apply", "--yes", "--environment", "nowhere"), says=("nowhere",)
    ),
    "a damaged lock file": Case(
        spoil="cp -p config/artifacts.lock.json /tmp/kept; head -c 700 /tmp/kept > config/artifacts.lock.json",
        mend="cp -p /tmp/kept config/artifacts.lock.json",
        says=("config/artifacts.lock.json", "observability lock"),
    ),
}
"""Refused by this program, before the machine is asked anything."""

CHECKERS = {
    "promtool": Case(
        "  remote_write:\n  - url: https://metrics.example.net/%zz\n",
        says=("refused by: prometheus configuration", 'invalid URL escape "%zz"'),
        code=3,
    ),
    "amtool": Case(
        "alertmanager:\n"
        "  receivers: [{name: operators, webhook: ['https://hooks.example.net/%zz']}]\n"
        "  default_receiver: operators\n",
        says=("refused by: alertmanager configuration", 'invalid URL escape "%zz"'),
        code=3,
    ),
}
"""These the model lets pass: only the product itself can tell."""


@dataclass(frozen=True)
class Alteration:
    """A text of a rendered file replaced by another, and what the product's checker says to it."""

    path: str
    old: str
    new: str
    says: tuple[str, ...] = field(default=())


ALTERATIONS = {
    "a rule that is no PromQL": Alteration(
        "etc/prometheus/rules/configuration.yml", "vector(1)", "vector(1", ("prometheus configuration", "unclosed left")
    ),
    "a directive that nginx does not know": Alteration(
        "etc/nginx/nginx.conf", "server_tokens off;", "server_token off;", ("nginx", 'unknown directive "server_token"')
    ),
    "a prober that is not there": Alteration(
        "etc/blackbox-exporter/blackbox.yml", "timeout: 10s", "timeout: ten", ("blackbox configuration", "ten")
    ),
    "a unit that systemd cannot read": Alteration(
        "units/nginx.service", "Type=exec", "Type=execute", ("units", "nginx.service", "execute")
    ),
}


@pytest.fixture(scope="module")
def running(server: Server) -> Server:
    """A server that runs BASE, with the program that alters generations on it."""
    server.machine.push(Path(__file__).with_name("altered.py"), f"{FOLDER}/altered.py")
    server.machine.write(f"{FOLDER}/config/global.yaml", BASE)
    server.apply()
    return server


@pytest.fixture
def witness(running: Server) -> Iterator[Witness]:
    """Compares the stack before and after each test."""
    since = time.time()
    before = Witness.of(running)
    yield before
    running.machine.write(f"{FOLDER}/config/global.yaml", BASE)
    assert Witness.of(running) == before
    assert_no_gap(running, since)


def refused(server: Server, case: Case) -> Result:
    """Spoil, run, mend; assert what the program says."""
    server.machine.write(f"{FOLDER}/config/global.yaml", BASE + case.lines)
    if case.spoil:
        server.machine.succeed(case.spoil, directory=FOLDER)
    result = server.run(*case.arguments)
    if case.mend:
        server.machine.succeed(case.mend, directory=FOLDER)
    assert result.code == case.code, result
    missing = [text for text in case.says if text not in result.stderr]
    assert not missing, f"{missing} not in\n{result}"
    assert "  do:  " in result.stderr
    assert not case.hides or case.hides not in result.stdout + result.stderr
    return result


@pytest.mark.parametrize("name", MODEL)
def test_a_fault_the_model_sees_touches_nothing(running: Server, witness: Witness, name: str) -> None:
    result = refused(running, MODEL[name])
    assert "nothing was touched" in result.stderr


@pytest.mark.parametrize("name", CHECKERS)
def test_a_fault_only_the_product_sees_is_refused_by_its_checker(running: Server, witness: Witness, name: str) -> None:
    result = refused(running, CHECKERS[name])
    assert "state: nothing was changed" in result.stderr


@pytest.mark.parametrize("name", ALTERATIONS)
def test_a_fault_no_configuration_can_hold_is_refused_by_the_checker(
    running: Server, witness: Witness, name: str
) -> None:
    case = ALTERATIONS[name]
    wish = json.dumps({"replace": [[case.path, case.old, case.new]]})
    result = running.machine.run([".venv/bin/python", "-I", "altered.py", wish], directory=FOLDER)
    assert result.code == 3, result
    assert "error[check-failed]" in result.stderr
    assert "state: nothing was changed" in result.stderr
    assert all(text in result.stderr for text in case.says), result


ANOTHER = "artifacts:\n  components: {prometheus: {suite: sid}}\n"
"""A change that needs an archive which the machine's agent has not unpacked yet."""


@pytest.fixture
def archive(running: Server) -> Iterator[str]:
    """The cached archive of another Prometheus, which the lock names and the agent has not seen; whole again after."""
    lock = running.machine.succeed(["cat", f"{LOCKS}/sid.json"]).json()
    (components,) = lock["architectures"].values()
    digest = components["prometheus"]["archives"][0]["entry"]["digest"]
    path = f"/var/cache/observability/archives/sha256/{digest}"
    running.use_lock("sid")
    running.machine.succeed(["cp", "-p", path, "/tmp/archive"])
    yield path
    running.machine.succeed(["cp", "-p", "/tmp/archive", path])
    running.use_lock("own")


@pytest.mark.security
def test_an_archive_that_somebody_changed_is_refused_naming_both_digests(
    running: Server, archive: str, witness: Witness
) -> None:
    running.machine.succeed(f"printf X | dd of={archive} bs=1 seek=5000 conv=notrunc status=none")
    found = running.machine.succeed(["sha256sum", archive]).stdout.split()[0]
    says = ("error[archive-digest-mismatch]", Path(archive).name, found, "nothing outside the staging folder")
    case = Case(ANOTHER, says=says, code=3)
    refused(running, case)


def test_an_archive_that_is_not_whole_and_cannot_be_fetched_changes_nothing(
    running: Server, archive: str, witness: Witness
) -> None:
    running.machine.succeed(["truncate", "--size=1M", archive])
    # The machine has no way out to its Debian mirror.
    refused(running, Case(ANOTHER, says=("error[archive-unreachable]", "or set artifacts.mirror"), code=6))
    away = ANOTHER.replace("artifacts:\n", "artifacts:\n  mirror: http://127.0.0.1:9\n")
    refused(running, Case(away, says=("http://127.0.0.1:9",), code=6))
    other = ANOTHER.replace("artifacts:\n", "artifacts:\n  mirror: /srv/mirror\n")
    spoil = f"mkdir -p /srv/mirror/sha256; cp {archive} /srv/mirror/sha256/"
    says = ("error[archive-digest-mismatch]", f"/srv/mirror/sha256/{Path(archive).name}: expected SHA-256")
    refused(running, Case(other, spoil=spoil, says=says, code=3))


def test_what_is_not_ours_is_not_replaced(running: Server, witness: Witness) -> None:
    case = Case(
        "  external_labels: {region: eu}\n",
        spoil="mv /etc/nginx /etc/nginx.link; mkdir /etc/nginx; touch /etc/nginx/nginx.conf",
        mend="rm -r /etc/nginx; mv /etc/nginx.link /etc/nginx",
        says=("error[occupied]", "/etc/nginx", "mv /etc/nginx /etc/nginx.before-observability", "nothing was changed"),
        code=3,
    )
    refused(running, case)


def test_a_port_that_a_stranger_holds_is_found_by_preflight(running: Server, witness: Witness) -> None:
    running.machine.succeed("systemd-run --unit=stranger python3 -m http.server --bind 127.0.0.1 9101")
    running.machine.wait_until_succeeds("bash -c '</dev/tcp/127.0.0.1/9101'")
    case = Case(
        "node_exporter: {port: 9101}\n",
        arguments=("setup", "--observability", "--yes"),
        mend="systemctl stop stranger",
        says=("error[preflight-blocked]", "9101", "stranger.service", "state: nothing was changed"),
        code=1,
    )
    refused(running, case)
