"""The store on real files: contents by digest, and secret ones by a digest that only the key gives."""

from __future__ import annotations

import hashlib
import hmac
import os
from pathlib import Path

import pytest

from obstack.agent import wire
from obstack.agent.faults import AgentError
from obstack.agent.paths import Paths
from obstack.agent.store import Store

KEY = bytes(range(wire.KEY_SIZE))
NAME = hashlib.sha256(KEY).hexdigest()
SECRET = b"correct battery"
KEYED = hmac.new(KEY, SECRET, hashlib.sha256).hexdigest()
MANIFEST = wire.Manifest(
    "web-1",
    "observability",
    "systemd",
    files=(wire.FileEntry("etc/a", KEYED, len(SECRET), 0o600, secret=True),),
    key=NAME,
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(Paths(str(tmp_path)))
    made.prepare()
    return made


def test_a_content_that_is_not_what_its_digest_says_is_refused_naming_both(store: Store) -> None:
    with pytest.raises(AgentError) as caught:
        store.put_blob("0" * 64, b"content")
    assert caught.value.code == "digest-mismatch"
    assert hashlib.sha256(b"content").hexdigest() in caught.value.where
    assert os.listdir(store.paths.blobs) == []


@pytest.mark.security
def test_a_secret_is_kept_under_the_digest_that_its_key_gives(store: Store) -> None:
    store.put_blob(NAME, KEY)
    store.put_blob(KEYED, SECRET, KEY)
    assert store.key(MANIFEST) == KEY
    assert store.has_blob(KEYED, KEY)
    assert store.read_blob(KEYED, KEY) == SECRET
    assert not store.has_blob(KEYED)
    assert hashlib.sha256(SECRET).hexdigest() not in os.listdir(store.paths.blobs)


@pytest.mark.security
def test_a_secret_that_was_altered_in_the_store_is_not_taken(store: Store) -> None:
    store.put_blob(KEYED, SECRET, KEY)
    Path(store.blob_path(KEYED)).write_bytes(b"correct batterY")
    assert not store.has_blob(KEYED, KEY)
    with pytest.raises(AgentError) as caught:
        store.read_blob(KEYED, KEY)
    assert caught.value.code == "blob-missing"
    with pytest.raises(AgentError, match="not what was promised"):
        store.put_blob(KEYED, b"another", KEY)


def test_a_key_that_is_lost_or_damaged_is_none_and_its_secrets_cannot_be_had(store: Store) -> None:
    store.put_blob(KEYED, SECRET, KEY)
    assert store.key(MANIFEST) is None
    store.put_blob(NAME, KEY)
    Path(store.blob_path(NAME)).write_bytes(KEY[::-1])
    assert store.key(MANIFEST) is None
    with pytest.raises(AgentError, match="no longer in the store"):
        store.read_blob(KEYED, store.key(MANIFEST))


def test_the_key_stays_as_long_as_a_generation_that_needs_it(store: Store) -> None:
    store.put_blob(NAME, KEY)
    store.put_blob(KEYED, SECRET, KEY)
    store.put_blob(hashlib.sha256(b"other").hexdigest(), b"other")
    assert store.prune([MANIFEST]) == 1
    assert set(os.listdir(store.paths.blobs)) == {NAME, KEYED}
    assert store.prune([]) == 2


def test_a_generation_of_an_older_program_has_plain_digests(store: Store) -> None:
    assert store.key(wire.Manifest("web-1", "observability", "systemd")) == b""
