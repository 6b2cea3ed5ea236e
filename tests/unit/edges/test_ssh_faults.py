"""What ssh and sudo say, as they say it, becomes an error that names the cause and the next command."""

from __future__ import annotations

import pytest

from obstack.edges.ssh_faults import Login, ended, refused, silent, unintelligible
from obstack.errors import Lost

LOGIN = Login("web-1", ("-p", "2222"), "admin@web-1.example.org")


@pytest.mark.parametrize(
    ("code", "complaints", "answered", "expected"),
    [
        (255, "ssh: connect to host web-1.example.org port 22: Connection refused", False, "ssh-refused"),
        (255, "ssh: connect to host web-1.example.org port 22: Connection timed out", False, "ssh-timed-out"),
        (255, "ssh: connect to host web-1.example.org port 22: No route to host", False, "ssh-timed-out"),
        (
            255,
            "ssh: Could not resolve hostname web-1.example.org: Name or service not known",
            False,
            "ssh-name-unknown",
        ),
        (255, "No ED25519 host key is known for web-1 …\nHost key verification failed.", False, "ssh-host-key-unknown"),
        (
            255,
            "@ REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed.",
            False,
            "ssh-host-key-changed",
        ),
        (255, "admin@web-1.example.org: Permission denied (publickey).", False, "ssh-permission-denied"),
        (255, "command-line: line 0: Bad configuration option: proxyjmp", False, "ssh-configuration"),
        (255, "Timeout, server web-1.example.org not responding.", True, "connection-lost"),
        (255, "client_loop: send disconnect: Broken pipe", True, "connection-lost"),
        (255, "Connection to web-1.example.org closed by remote host.", False, "connection-lost"),
        (-9, "", True, "connection-lost"),
        (255, "", True, "agent-died"),
        (1, "Traceback", True, "agent-died"),
        (127, "bash: line 1: exec: python3: not found", False, "python-missing"),
        (1, "sudo: a password is required", False, "sudo-refused"),
        (1, "sudo: interactive authentication is required", False, "sudo-refused"),
        (1, "Sorry, user admin is not allowed to execute 'python3' as root; sudo", False, "sudo-refused"),
        (1, "Connection refused", False, "agent-died"),
    ],
)
def test_each_cause_has_a_name_and_a_remedy(code: int, complaints: str, answered: bool, expected: str) -> None:
    error = ended(LOGIN, code, complaints.encode(), answered=answered)
    assert (error.code, error.exit_code) == (expected, 6)
    assert isinstance(error, Lost) == answered
    assert error.detail == (complaints or None)
    assert error.where == "web-1, ssh admin@web-1.example.org"
    assert error.state
    assert "{" not in error.what + error.do


def test_a_remedy_can_be_typed_as_it_is() -> None:
    error = ended(LOGIN, 255, b"Connection refused", answered=False)
    assert "ssh -p 2222 admin@web-1.example.org true" in error.do
    denied = ended(LOGIN, 255, b"Permission denied (publickey)", answered=False)
    assert denied.do.startswith("ssh-copy-id -p 2222 admin@web-1.example.org ")


@pytest.mark.parametrize("code", ["python-too-old", "sudo-missing", "agent-damaged", "agent-not-installed", "other"])
def test_what_the_loader_refuses_is_told_with_its_reason(code: str) -> None:
    error = refused(LOGIN, code, "3.9.2")
    assert (error.code, error.exit_code) == (code, 6)
    assert "again" in error.do
    assert "{" not in error.what + error.do


@pytest.mark.parametrize("error", [silent(LOGIN, 120.0, b"said"), unintelligible(LOGIN, "a list came", b"said")])
def test_a_machine_that_makes_no_sense_may_have_been_changed(error: Lost) -> None:
    assert (error.exit_code, error.detail) == (6, "said")
    assert "in the old or the new generation" in (error.state or "")
