"""What an authority's directory and a front door answer, before anything is asked: real servers on loopback."""

from __future__ import annotations

import http.server
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from obstack.edges.challenge import Challenges
from rendering.issuing import issue

pytestmark = pytest.mark.security

ROOT = issue("Example Root", authority=True)
LEAF = issue("localhost", ROOT, names=("localhost",))
STRANGER = issue("Stranger", authority=True)


class Answers(http.server.BaseHTTPRequestHandler):
    """Answers with a file of a folder, or with what is said for a path."""

    webroot = Path("/nonexistent")
    said: ClassVar[dict[str, bytes]] = {}

    def do_GET(self) -> None:
        """Answer."""
        file = self.webroot / self.path.lstrip("/")
        body = self.said.get(self.path) or (file.read_bytes() if file.is_file() else b"")
        self.send_response(200 if body else 404)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def serve(tmp_path: Path, said: dict[str, bytes], *, tls: bool, webroot: Path | None = None) -> http.server.HTTPServer:
    handler = type("Handler", (Answers,), {"said": said, "webroot": webroot or tmp_path / "none"})
    server = http.server.HTTPServer(("127.0.0.1", 0), handler)
    if tls:
        (tmp_path / "chain.pem").write_bytes(LEAF.pem + LEAF.key_pem)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tmp_path / "chain.pem")
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


@pytest.fixture
def authority(tmp_path: Path) -> Iterator[str]:
    said = {
        "/directory": b'{"newOrder": "https://localhost/order"}',
        "/page": b"<html>",
        "/list": b"[]",
        "/deep": b"[" * 60_000,
        "/endless": b'"' + b"x" * 200_000,
    }
    server = serve(tmp_path, said, tls=True)
    yield f"https://localhost:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("path", "trusted", "good"),
    [
        ("/directory", ROOT, True),
        ("/directory", STRANGER, False),
        ("/page", ROOT, False),
        ("/list", ROOT, False),
        ("/deep", ROOT, False),
        ("/endless", ROOT, False),
        ("/nothing", ROOT, False),
    ],
)
def test_only_a_directory_of_an_authority_that_is_known_is_one(
    authority: str, path: str, trusted: object, good: bool
) -> None:
    pem = (ROOT if trusted is ROOT else STRANGER).pem.decode()
    fault = Challenges("/nonexistent", 80).directory_fault(f"{authority}{path}", pem)
    assert (fault == "") == good
    assert fault.isprintable()


def test_nobody_at_the_address_is_told() -> None:
    assert Challenges("/nonexistent", 80).directory_fault("https://127.0.0.1:9/directory", "")


def test_a_challenge_is_answered_when_what_lies_in_the_folder_comes_back(tmp_path: Path) -> None:
    webroot = tmp_path / "challenges"
    webroot.mkdir()
    good, stranger = serve(tmp_path, {}, tls=False, webroot=webroot), serve(tmp_path, {}, tls=False)
    try:
        assert Challenges(str(webroot), good.server_port).own_fault("observability.example.org") == ""
        assert "with 404" in Challenges(str(webroot), stranger.server_port).own_fault("observability.example.org")
    finally:
        for server in (good, stranger):
            server.shutdown()
            server.server_close()
    assert "no answer" in Challenges(str(webroot), 9).own_fault("observability.example.org")
    # Nothing is left of having looked.
    assert [file for file in webroot.rglob("*") if file.is_file()] == []
