"""Who would be cut off by the server's firewall, and what keeps them."""

from typing import Any

import pytest

from obstack.agent.openings import Opening
from obstack.agent.wire import Fact
from obstack.plan.closing import Closing, decide_closings
from obstack.plan.preflight import Severity, closing_findings

pytestmark = pytest.mark.security

DOOR = (Opening("tcp", 443), Opening("tcp", 80))
DATABASE = {"address": "0.0.0.0", "port": 3306, "program": "mariadbd", "unit": "mariadb.service", "protocol": "tcp"}
CLOSING = Closing("tcp", 3306, "0.0.0.0", "mariadbd", "mariadb.service")


def decide(*listeners: dict[str, Any], openings: tuple[Opening, ...] = DOOR, **facts: Any) -> tuple[Closing, ...]:
    values = {"listeners": listeners, "ssh": [22], **facts}
    found = [Fact(name, "absent" if value is None else "known", value) for name, value in values.items()]
    return decide_closings(found, openings, ("nginx",))


def test_a_program_of_others_that_can_be_reached_is_told_once() -> None:
    assert decide(DATABASE, {**DATABASE, "address": "::"}) == (CLOSING,)


@pytest.mark.parametrize(
    "change",
    [
        {"address": "127.0.0.1"},
        {"address": "::1"},
        {"port": 22},
        {"port": 443},
        {"program": "nginx", "unit": "nginx.service"},
    ],
)
def test_what_stays_reachable_or_never_was_and_what_is_ours_is_not_told(change: dict[str, Any]) -> None:
    assert decide({**DATABASE, **change}) == ()


def test_what_is_admitted_by_one_protocol_is_not_by_the_other() -> None:
    assert decide(DATABASE, openings=(Opening("udp", 3306),)) == (CLOSING,)
    assert decide(DATABASE, openings=(Opening("tcp", 3306, ("192.0.2.0/24",)),)) == ()


def test_what_is_shut_already_is_not_told_again() -> None:
    opening = {"protocol": "tcp", "port": 3306, "sources": [], "purpose": "admitted"}
    assert decide(DATABASE, firewall={"method": "nft", "closed": True, "openings": []}) == ()
    assert decide(DATABASE, firewall={"method": "nft", "closed": True, "openings": [opening]}) == (CLOSING,)
    assert decide(DATABASE, firewall=None) == (CLOSING,)


def test_the_finding_says_what_to_write() -> None:
    (finding,) = closing_findings((CLOSING,), "mon-1")
    assert finding.severity is Severity.WARN
    assert finding.what.startswith("mariadbd (mariadb.service) listens on TCP port 3306")
    assert finding.do.endswith('server.firewall.admit in config/global.yaml: {"port": 3306, "comment": "mariadbd"}')
    (unseen,) = closing_findings((Closing("udp", 53, "::", "", ""),), "mon-1")
    assert "a process that cannot be seen listens on UDP port 53" in unseen.what
    assert unseen.do.endswith('{"port": 53, "protocol": "udp", "comment": "unknown"}')
