"""The front door's TLS: its profile, its certificate, and the files that hold it."""

from __future__ import annotations

from typing import Final

from obstack.render.emit import Directive, directive
from obstack.render.materials import Certificate
from obstack.render.nginx_names import AUTHORITY, FOLDER
from obstack.render.tree import RenderedFile

# The intermediate profile: forward secrecy and authenticated encryption only, for every client of the last ten years.
CIPHERS: Final = ":".join(
    f"ECDHE-{key}-{cipher}"
    for cipher in ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305")
    for key in ("ECDSA", "RSA")
)


def tls_profile() -> list[Directive]:
    """Return what holds for every connection with TLS."""
    return [
        directive("ssl_protocols", "TLSv1.2", "TLSv1.3"),
        directive("ssl_ciphers", CIPHERS),
        directive("ssl_prefer_server_ciphers", "off"),
        directive("ssl_session_cache", "shared:tls:10m"),
        directive("ssl_session_timeout", "1d"),
        directive("ssl_session_tickets", "off"),
    ]


def certificate_directives() -> list[Directive]:
    """Return what names the certificate in the server that presents it."""
    return [
        directive("ssl_certificate", "tls/certificate.pem"),
        directive("ssl_certificate_key", "tls/key.pem"),
    ]


def certificate_files(certificate: Certificate, group: str) -> tuple[RenderedFile, ...]:
    """Given the certificate and the group of the workers, return its files; only that group reads the key."""
    return (
        RenderedFile(f"{FOLDER}/tls/certificate.pem", certificate.chain.encode()),
        RenderedFile(f"{FOLDER}/tls/key.pem", certificate.key.reveal().encode(), 0o640, "root", group, secret=True),
        # What every machine trusts needs no file.
        *([RenderedFile(AUTHORITY, certificate.authority.encode())] if certificate.authority else []),
    )
