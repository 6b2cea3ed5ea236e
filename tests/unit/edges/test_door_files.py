"""Certificates where they lie, and what is said of how the front door stands."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from obstack.edges.door_files import DoorFiles
from obstack.edges.secrets import FileSecrets
from obstack.model.door_certificate import LETS_ENCRYPT, LETS_ENCRYPT_STAGING
from obstack.model.layout import Layout, Manager
from obstack.model.site import Site
from obstack.operations.door import door_findings, file_findings
from obstack.operations.door_state import door_state, is_pending
from obstack.plan.certificates import Standing
from obstack.plan.door import NOTE, Attempts, Kind, failed, order_of
from rendering.issuing import DAY, DOMAIN, NOW, Issued, issue

pytestmark = pytest.mark.security

ROOT = issue("Example Root", authority=True)
LEAF = issue(DOMAIN, ROOT, names=(DOMAIN,))
NEWER = issue(DOMAIN, ROOT, names=(DOMAIN,))
SOON = issue(DOMAIN, ROOT, names=(DOMAIN,), ends=NOW + 10 * DAY)


@dataclass(frozen=True)
class Program:
    """Stands for certbot and its timer."""

    there: bool = True
    runs: bool = True

    def installed(self) -> bool:
        return self.there

    def renews(self) -> bool:
        return self.runs


@dataclass(frozen=True)
class Machine:
    """A machine's folders below one of the test's own."""

    root: Path

    @property
    def files(self) -> DoorFiles:
        layout = Layout(str(self.root), Manager.SYSTEMD)
        return DoorFiles(self.root / "config", layout, self.root / "letsencrypt")

    def put(self, folder: str, chain: str, key: str, leaf: Issued) -> None:
        place = self.root / folder
        place.mkdir(parents=True, exist_ok=True)
        (place / chain).write_bytes(leaf.pem)
        (place / key).write_bytes(leaf.key_pem)
        (place / key).chmod(0o600)
        (place / "authority.pem").write_bytes(ROOT.pem + ROOT.key_pem)

    def bring(self, leaf: Issued) -> None:
        self.put("config", "chain.pem", "key.pem", leaf)

    def certbot(self, leaf: Issued) -> None:
        self.put("letsencrypt/live/observability", "fullchain.pem", "privkey.pem", leaf)

    def show(self, leaf: Issued) -> None:
        self.put("etc/nginx/tls", "certificate.pem", "key.pem", leaf)
        (self.root / "etc/nginx/authority.pem").write_bytes(ROOT.pem)


def site(mode: str) -> Site:
    certificate = {"mode": mode, "chain": "chain.pem", "key": "key.pem", "authority": "authority.pem"}
    return Site.model_validate({"domain": DOMAIN, "front_door": {"certificate": certificate}})


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    made = Machine(tmp_path)
    made.bring(LEAF)
    return made


def test_a_relative_path_starts_at_the_configuration_and_no_key_slips_into_what_all_may_read(machine: Machine) -> None:
    found = machine.files.provided(site("provided"), NOW)
    assert found.flaws == ()
    assert found.certificate is not None
    assert "PRIVATE" not in found.certificate.chain + found.certificate.authority
    assert "PRIVATE" not in machine.files.authority(site("acme"))[0]


@pytest.mark.parametrize(
    ("mode", "bad"), [(0o600, False), (0o640, False), (0o400, False), (0o644, True), (0o602, True), (0o604, True)]
)
def test_a_key_is_for_its_owner_and_group_alone(machine: Machine, mode: int, bad: bool) -> None:
    (machine.root / "config/key.pem").chmod(mode)
    assert bool(file_findings(site("provided"), machine.files, NOW)) == bad


@pytest.mark.parametrize("what", ["missing", "folder", "pipe", "endless", "large"])
def test_what_is_no_file_is_told_and_holds_nobody_up(machine: Machine, what: str) -> None:
    chain = machine.root / "config/chain.pem"
    chain.unlink()
    if what == "folder":
        chain.mkdir()
    elif what == "pipe":
        os.mkfifo(chain)
    elif what == "endless":
        chain.symlink_to("/dev/zero")
    elif what == "large":
        chain.write_bytes(LEAF.pem * 500)
    (finding,) = file_findings(site("provided"), machine.files, NOW)
    assert finding.path == ("front_door", "certificate", "chain")
    assert "cannot be read" in finding.message


def test_a_certificate_of_another_authority_than_the_one_named_is_not_taken(machine: Machine) -> None:
    machine.certbot(LEAF)
    renewal = machine.root / "letsencrypt/renewal/observability.conf"
    renewal.parent.mkdir()
    for server, good in ((LETS_ENCRYPT, True), (LETS_ENCRYPT_STAGING, False), ("https://ca/\x1b[2J", False)):
        renewal.write_text(f"version = 4.0.0\n[renewalparams]\naccount = 1\nserver = {server}\nkey_type = ecdsa\n")
        found = machine.files.issued(site("acme"), NOW)
        assert found is not None
        assert (found.certificate is not None) == good
        assert [flaw.kind for flaw in found.flaws] == ([] if good else [Kind.AUTHORITY])
        assert all(flaw.message.isprintable() for flaw in found.flaws)


def test_files_that_a_mode_does_not_read_are_not_judged(machine: Machine) -> None:
    (machine.root / "config/chain.pem").write_text("nothing")
    assert file_findings(site("internal"), machine.files, NOW) == []
    assert file_findings(site("acme"), machine.files, NOW) == []
    (machine.root / "config/authority.pem").write_text("nothing")
    (finding,) = file_findings(site("acme"), machine.files, NOW)
    assert finding.path[-1] == "authority"


def test_preflight_warns_of_what_nobody_renews(machine: Machine) -> None:
    def codes(mode: str, program: Program) -> list[str]:
        return [finding.code for finding in door_findings(site(mode), machine.files, program, NOW)]

    assert codes("acme", Program(there=False)) == ["certbot-missing"]
    assert codes("acme", Program(runs=False)) == ["certbot-timer"]
    assert codes("acme", Program()) == codes("provided", Program()) == codes("internal", Program()) == []
    machine.bring(SOON)
    assert codes("provided", Program()) == ["certificate-ends"]


def stands(machine: Machine, mode: str, program: Program | None = None) -> tuple[str, bool, Standing | None]:
    notes = FileSecrets(machine.root / "secrets")
    state = door_state(site(mode), machine.files, program or Program(), notes, NOW)
    return state.renewal, state.sound, state.standing


def test_it_is_said_who_renews_what_is_shown(machine: Machine) -> None:
    for mode, words in (
        ("internal", "by observability-renew.timer"),
        ("provided", "by you"),
        ("acme", "by certbot.timer"),
    ):
        machine.certbot(LEAF)
        machine.show(LEAF)
        renewal, sound, standing = stands(machine, mode)
        assert renewal.startswith(words)
        assert (sound, standing) == (True, Standing.VALID)


def test_it_is_said_what_is_in_the_way(machine: Machine) -> None:
    assert stands(machine, "acme")[0].startswith("not signed yet by")
    assert is_pending(site("acme"), machine.files, NOW)
    order = order_of(site("acme"))
    note = failed(Attempts(order.mark, 1, 0.0, ""), NOW, "no such name").document()
    FileSecrets(machine.root / "secrets").keep(NOTE, note)
    assert (
        "attempts that failed: 2, the last: no such name; next from 2027-01-15T08:30:00Z" in stands(machine, "acme")[0]
    )
    machine.certbot(NEWER)
    machine.show(LEAF)
    assert "newer one than is in force" in stands(machine, "acme")[0]
    assert is_pending(site("acme"), machine.files, NOW)
    machine.bring(NEWER)
    assert "newer than what is in force" in stands(machine, "provided")[0]
    machine.show(NEWER)
    assert not is_pending(site("acme"), machine.files, NOW)
    assert stands(machine, "acme", Program(there=False))[:2] == (
        "nobody: certbot is not installed: apt-get install certbot",
        False,
    )
    assert stands(machine, "acme", Program(runs=False))[1] is False


def test_a_provided_one_is_due_by_the_days_that_are_left(machine: Machine) -> None:
    for days, standing, sound in ((22, Standing.VALID, True), (20, Standing.DUE, True), (6, Standing.OVERDUE, False)):
        leaf = issue(DOMAIN, ROOT, names=(DOMAIN,), ends=NOW + days * DAY)
        machine.bring(leaf)
        machine.show(leaf)
        assert stands(machine, "provided")[1:] == (sound, standing)


def test_what_certbot_renews_for_nobody_is_told(machine: Machine) -> None:
    (machine.root / "letsencrypt/renewal").mkdir(parents=True)
    (machine.root / "letsencrypt/renewal/observability.conf").touch()
    state = door_state(site("internal"), machine.files, Program(), FileSecrets(machine.root / "secrets"), NOW)
    assert "certbot delete --cert-name observability" in state.left_note
