"""What a configuration may say of the front door's certificate."""

from __future__ import annotations

from typing import Any

import pytest

from obstack.model.door_certificate import LETS_ENCRYPT, LETS_ENCRYPT_STAGING
from obstack.model.rules import cross_rules
from obstack.model.site import Site


def told(certificate: dict[str, Any], domain: str = "observability.example.org") -> list[str]:
    site = Site.model_validate({"domain": domain, "front_door": {"certificate": certificate}})
    return [f"{finding.path[-1]} {finding.message}" for finding in cross_rules(site)]


@pytest.mark.parametrize(
    "certificate",
    [
        {},
        {"mode": "provided", "chain": "tls/chain.pem", "key": "tls/key.pem"},
        {"mode": "acme"},
        {"mode": "acme", "directory": LETS_ENCRYPT_STAGING, "authority": "tls/staging.pem"},
        # Whoever tries another mode need not take apart what the one before was told.
        {"mode": "internal", "chain": "tls/chain.pem", "key": "tls/key.pem", "names": ["metrics.example.org"]},
    ],
)
def test_what_is_whole_is_taken(certificate: dict[str, Any]) -> None:
    assert told(certificate) == []


def test_the_authority_is_the_one_that_everybody_trusts_unless_another_is_named() -> None:
    assert Site(domain="observability.example.org").front_door.certificate.directory == LETS_ENCRYPT


@pytest.mark.parametrize(
    ("certificate", "domain", "message"),
    [
        ({"mode": "provided", "chain": "c"}, "observability.example.org", "key is missing: the mode is provided"),
        ({"mode": "provided", "key": "k"}, "observability.example.org", "chain is missing: the mode is provided"),
        (
            {"mode": "acme", "directory": "http://ca.example.org/directory"},
            "observability.example.org",
            "directory must begin with https://",
        ),
        (
            {"mode": "acme", "directory": LETS_ENCRYPT_STAGING},
            "observability.example.org",
            "authority is missing: nobody trusts what",
        ),
        ({"mode": "acme"}, "192.0.2.1", "mode is acme, but an authority signs no certificate for 192.0.2.1"),
        ({"mode": "acme"}, "mon-1", "mode is acme, but an authority signs no certificate for mon-1"),
        ({"mode": "acme", "names": ["metrics"]}, "observability.example.org", "mode is acme, but an authority signs"),
    ],
)
def test_what_contradicts_itself_is_told(certificate: dict[str, Any], domain: str, message: str) -> None:
    (finding,) = told(certificate, domain)
    assert finding.startswith(message)
