from __future__ import annotations

from pathlib import Path

import pytest

from obstack.agent.faults import AgentError
from obstack.agent.ledger import Ledger


def test_claims_are_on_disk_and_kept_once(tmp_path: Path) -> None:
    path = str(tmp_path / "ledger.json")
    Ledger.load(path).claim([("directory", "/etc/a"), ("link", "/etc/a/b"), ("link", "/etc/a/b")])
    Ledger.load(path).claim([("link", "/etc/a/b"), ("user", "nginx")])
    assert Ledger.load(path).claims == [("directory", "/etc/a"), ("link", "/etc/a/b"), ("user", "nginx")]


def test_what_is_released_is_no_longer_ours(tmp_path: Path) -> None:
    path = str(tmp_path / "ledger.json")
    ledger = Ledger.load(path)
    ledger.claim([("link", "/etc/a"), ("link", "/etc/b")])
    ledger.release([("link", "/etc/a"), ("link", "/etc/never")])
    again = Ledger.load(path)
    assert not again.has("link", "/etc/a") and again.has("link", "/etc/b")


def test_a_claim_of_nothing_new_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "ledger.json"
    Ledger.load(str(path)).claim([])
    assert not path.exists()


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"claims":[1]}'])
def test_a_damaged_ledger_is_never_taken_for_an_empty_one(tmp_path: Path, content: str) -> None:
    path = tmp_path / "ledger.json"
    path.write_text(content)
    with pytest.raises(AgentError) as caught:
        Ledger.load(str(path))
    assert caught.value.code == "ledger-damaged"
