"""Looking at the certificates of a site, and giving some of them up, with a real authority and real files."""

from pathlib import Path

import pytest

from obstack.edges.certificates import InternalAuthority
from obstack.edges.secrets import FileSecrets
from obstack.errors import UsageError
from obstack.model.site import Site
from obstack.operations.certificates import (
    Certificate,
    choose,
    give_up,
    list_certificates,
    settle,
    waiting_nodes,
)
from obstack.plan.certificates import Standing

NOW = 1_800_000_000.0
DAY = 86400.0
SITE = Site.model_validate(
    {
        "domain": "observability.example.org",
        "server": {"name": "mon-1", "address": "192.0.2.1"},
        "hosts": {"web-1": {"address": "192.0.2.10"}, "web-2": {"address": "192.0.2.11"}},
    }
)


@pytest.fixture
def secrets(tmp_path: Path) -> FileSecrets:
    return FileSecrets(tmp_path / "secrets")


def authority(secrets: FileSecrets, signed: float = NOW) -> InternalAuthority:
    """Return the authority after it has signed for the server and both hosts; web-2 got a short life."""
    book = InternalAuthority(secrets, SITE.name)
    book.certificate("front-door", ("observability.example.org",), signed)
    book.certificate("scrape-client", ("scrape-client",), signed, purpose="client", by="scrape")
    for host, life in (("web-1", 90 * DAY), ("web-2", 3 * DAY)):
        book.certificate(f"host-{host}", (host,), signed, life, "both")
        book.self_signed(f"gate-{host}", signed, life)
    return book


def looked(secrets: FileSecrets, now: float) -> tuple[Certificate, ...]:
    return list_certificates(SITE, InternalAuthority(secrets, SITE.name), secrets, now)


def names(certificates: tuple[Certificate, ...]) -> list[str]:
    return [certificate.issued.name for certificate in certificates]


def test_each_certificate_is_told_with_its_node_and_standing(secrets: FileSecrets) -> None:
    authority(secrets)
    found = {certificate.issued.name: certificate for certificate in looked(secrets, NOW + 2 * DAY)}
    assert list(found)[:4] == ["authority", "scrape-authority", "front-door", "scrape-client"]
    assert {name: c.node for name, c in found.items() if c.node != "mon-1"} == {
        "host-web-1": "web-1",
        "gate-web-1": "web-1",
        "host-web-2": "web-2",
        "gate-web-2": "web-2",
    }
    assert {name for name, c in found.items() if c.standing is Standing.DUE} == {"host-web-2", "gate-web-2"}
    assert all(c.sound for c in found.values())
    assert not all(c.sound for c in looked(secrets, NOW + 2.6 * DAY))


def test_what_is_due_is_chosen_and_its_node_alone_is_concerned(secrets: FileSecrets) -> None:
    book = authority(secrets)
    due = choose(looked(secrets, NOW + 2 * DAY), (), everything=False, if_due=True)
    assert names(due) == ["host-web-2", "gate-web-2"]
    assert give_up(SITE, due, book, secrets) == ("web-2",)
    assert "host-web-2" not in names(looked(secrets, NOW))
    assert "host-web-1" in names(looked(secrets, NOW))


def test_a_node_that_was_not_reached_waits_for_the_next_run(secrets: FileSecrets) -> None:
    book = authority(secrets)
    due = choose(looked(secrets, NOW + 2 * DAY), (), everything=False, if_due=True)
    give_up(SITE, due, book, secrets)
    authority(secrets, NOW + 2 * DAY)
    assert [c.issued.name for c in looked(secrets, NOW + 2 * DAY) if c.waiting] == ["host-web-2", "gate-web-2"]
    assert give_up(SITE, (), book, secrets) == ("web-2",)
    settle(secrets, ("web-2",))
    assert waiting_nodes(SITE, secrets) == ()
    assert give_up(SITE, (), book, secrets) == ()


def test_all_are_chosen_but_the_authorities_which_need_their_name(secrets: FileSecrets) -> None:
    book = authority(secrets)
    every = choose(looked(secrets, NOW), (), everything=True, if_due=False)
    assert not any(certificate.issued.is_authority for certificate in every)
    assert len(every) == 6
    named = choose(looked(secrets, NOW), ("scrape-authority",), everything=False, if_due=False)
    assert give_up(SITE, named, book, secrets) == ("web-1", "web-2", "mon-1")
    before = book.issued("scrape-client")
    assert before is not None
    renewed = book.certificate("scrape-client", ("scrape-client",), NOW + 5, purpose="client", by="scrape")
    assert renewed.authority == book.authority_pem("scrape", NOW + 5)
    after = book.issued("scrape-client")
    assert after is not None
    assert after.begins == NOW + 5


def test_an_unknown_name_is_refused_with_the_nearest(secrets: FileSecrets) -> None:
    authority(secrets)
    with pytest.raises(UsageError, match="Did you mean host-web-1"):
        choose(looked(secrets, NOW), ("host-web1",), everything=False, if_due=False)


def test_a_host_served_by_bundles_keeps_its_certificate_in_sight_until_its_next_bundle(secrets: FileSecrets) -> None:
    book = authority(secrets)
    due = choose(looked(secrets, NOW + 2 * DAY), (), everything=False, if_due=True, apart=("web-2",))
    assert due == ()
    named = choose(looked(secrets, NOW), ("authority",), everything=False, if_due=False, apart=("web-2",))
    assert give_up(SITE, named, book, secrets, apart=("web-2",)) == ("web-1", "mon-1")


def test_a_host_that_is_removed_no_longer_waits(secrets: FileSecrets) -> None:
    book = authority(secrets)
    due = choose(looked(secrets, NOW + 2 * DAY), (), everything=False, if_due=True)
    assert give_up(SITE, due, book, secrets) == ("web-2",)
    book.forget_host("web-2")
    assert waiting_nodes(SITE, secrets) == ()
