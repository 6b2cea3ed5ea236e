"""Configuration of the certificate that the front door shows, and the rules that it must keep."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Final, Literal

from pydantic import Field

from obstack.model.base import Section
from obstack.model.scalars import HostName, HttpUrl, MailAddress, Text

LETS_ENCRYPT: Final = "https://acme-v02.api.letsencrypt.org/directory"
LETS_ENCRYPT_STAGING: Final = "https://acme-staging-v02.api.letsencrypt.org/directory"
"""Where Let's Encrypt is asked for certificates, and where that may be tried out: nobody trusts what it then signs."""

LINEAGE: Final = "observability"
"""The name by which certbot knows the certificate of the front door."""


class DoorCertificate(Section):
    """The certificate that the front door shows.

    It is signed by the site's own authority (internal), brought by you (provided), or asked for at an authority that
    speaks ACME (acme), by certbot of the distribution; to use that mode is to agree to the authority's terms.
    Keys that belong to another mode count for nothing.
    """

    mode: Literal["internal", "provided", "acme"] = Field(
        default="internal",
        description="Who signs it: the site's own authority, you, or an authority that speaks ACME.",
        examples=["acme"],
    )
    chain: Text | None = Field(
        default=None,
        description="File of the provided certificate and those of its issuers, in this order; a relative path starts "
        "at the configuration.",
        examples=["/etc/ssl/front-door/fullchain.pem"],
    )
    key: Text | None = Field(
        default=None,
        description="File of the private key of the provided certificate; others must not be able to read it.",
        examples=["/etc/ssl/front-door/privkey.pem"],
    )
    authority: Text | None = Field(
        default=None,
        description="File of the certificate of the authority that signs, in the modes provided and acme, where it is "
        "none that every machine trusts anyway.",
        examples=["/etc/ssl/front-door/authority.pem"],
    )
    directory: HttpUrl = Field(
        default=LETS_ENCRYPT,
        description="Address of the directory of the authority that speaks ACME. That of Let's Encrypt for trying out "
        f"is {LETS_ENCRYPT_STAGING} (nobody trusts what it signs).",
        examples=["https://ca.example.org/acme/local/directory"],
    )
    mail: MailAddress | None = Field(
        default=None,
        description="Where that authority writes to when something is wrong with the certificate.",
        examples=["ops@example.org"],
    )
    names: tuple[HostName, ...] = Field(
        default=(),
        description="Further names that it is asked to sign; each must lead to this server.",
        examples=[["metrics.example.org"]],
    )


Fault = tuple[str, str, str]
"""A key of the section, what is wrong with it, and what to do."""


def certificate_faults(choice: DoorCertificate, domain: str) -> Iterator[Fault]:
    """Given the section and the site's domain, yield what is wrong with it. Keys of another mode may stay."""
    section = "front_door.certificate"
    if choice.mode == "provided":
        for key in ("chain", "key"):
            if getattr(choice, key) is None:
                yield (key, "is missing: the mode is provided", f"Give {section}.{key} the path of a file.")
    if choice.mode != "acme":
        return
    if not choice.directory.startswith("https://"):
        yield ("directory", "must begin with https://: who signs must be known", "Give the authority's https address.")
    if choice.directory == LETS_ENCRYPT_STAGING and choice.authority is None:
        yield (
            "authority",
            "is missing: nobody trusts what Let's Encrypt signs for trying out, the gate of the front door neither",
            f"Save the root certificate of its staging environment in a file, and give {section}.authority its path.",
        )
    for name in (domain, *choice.names):
        if _is_address(name) or "." not in name:
            yield ("mode", f"is acme, but an authority signs no certificate for {name}", "Use a full host name.")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
