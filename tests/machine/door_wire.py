"""Runs on a test machine, of its standard library alone: what no client of HTTP says, said to the front door.

`door_wire.py WHAT` takes a JSON document on standard input ({"host", "address", ...}) and prints one:
`hellos` which versions and ciphers of TLS are spoken; `texts` the answers to {"texts": [[port, text]]} as they come,
with TLS on port 443 unless the text begins with `GET /plain`; `socket` the answers to {"text", "frame"}.
"""

import contextlib
import json
import socket
import ssl
import sys
import warnings
from typing import Any

AUTHORITY = "/etc/nginx/authority.pem"
VERSIONS = (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)
OLD_CIPHERS = ("AES128-SHA", "ECDHE-ECDSA-AES128-SHA256", "ECDHE-RSA-AES256-SHA", "ECDHE-ECDSA-AES128-SHA")


def connect(order: dict[str, Any], context: ssl.SSLContext) -> ssl.SSLSocket:
    """Connect with TLS that is verified for the host."""
    plain = socket.create_connection((order["address"], 443), 10)
    return context.wrap_socket(plain, server_hostname=order["host"])


def hello(order: dict[str, Any], context: ssl.SSLContext) -> list[str | None]:
    """Shake hands; return the cipher and the protocol, or why not."""
    try:
        with connect(order, context) as wire:
            agreed = wire.cipher()
            return [agreed[0] if agreed else None, wire.selected_alpn_protocol()]
    except ssl.SSLError as error:
        return [error.reason, None]


def hellos(order: dict[str, Any]) -> dict[str, list[str | None]]:
    """Shake hands in every way, old ones too."""
    warnings.simplefilter("ignore")
    found = {}
    for version in VERSIONS:
        context = ssl.create_default_context(cafile=AUTHORITY)
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = version
        context.set_alpn_protocols(["h2", "http/1.1"])
        found[version.name] = hello(order, context)
    for cipher in OLD_CIPHERS:
        context = ssl.create_default_context(cafile=AUTHORITY)
        context.set_ciphers(f"{cipher}:@SECLEVEL=0")
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        found[cipher] = hello(order, context)
    return found


def texts(order: dict[str, Any]) -> list[str]:
    """Say each text on a connection of its own, and listen until the other side ends it."""
    told = []
    for port, text in order["texts"]:
        wire: socket.socket
        if port == 443 and not text.startswith("GET /plain"):
            wire = connect(order, ssl.create_default_context(cafile=AUTHORITY))
        else:
            wire = socket.create_connection((order["address"], port), 10)
        heard = b""
        # Whoever has been refused with something still to say is cut off.
        with contextlib.suppress(ConnectionError), wire:
            wire.sendall(text.encode())
            while part := wire.recv(65536):
                heard += part
        told.append(heard.decode("latin-1"))
    return told


def web_socket(order: dict[str, Any]) -> list[str]:
    """Ask for another protocol, and where it is granted, send a frame."""
    with connect(order, ssl.create_default_context(cafile=AUTHORITY)) as wire:
        wire.sendall(order["text"].encode())
        told = [wire.recv(4096).decode("latin-1")]
        if " 101 " in told[0]:
            wire.sendall(order["frame"].encode("latin-1"))
            told.append(wire.recv(4096).decode("latin-1"))
        return told


if __name__ == "__main__":
    what = {"hellos": hellos, "texts": texts, "socket": web_socket}[sys.argv[1]]
    json.dump(what(json.load(sys.stdin)), sys.stdout)
