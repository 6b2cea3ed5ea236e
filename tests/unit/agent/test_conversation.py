"""The agent's side of the conversation, over real streams."""

from __future__ import annotations

import hashlib
from io import BytesIO
from pathlib import Path

import pytest

from obstack.agent import wire
from obstack.agent.conversation import Conversation
from obstack.agent.faults import AgentError

PIPE = 65_536


def test_what_is_said_while_contents_arrive_fits_into_a_pipe_that_nobody_reads(tmp_path: Path) -> None:
    contents = [str(number).encode() for number in range(3000)]
    blobs = {hashlib.sha256(content).hexdigest(): content for content in contents}
    source = BytesIO(b"".join(wire.line(wire.Blob(name, len(body))) + body for name, body in blobs.items()))
    sink = BytesIO()
    Conversation(source, sink).receive({name: len(body) for name, body in blobs.items()}, str(tmp_path))
    need, *events = sink.getvalue().splitlines()
    assert b'"need"' in need
    assert events
    assert b'"done":3000,"total":3000' in events[-1]
    assert sum(len(event) + 1 for event in events) < PIPE // 8
    assert {path.name for path in tmp_path.iterdir()} == set(blobs)


@pytest.mark.parametrize("line", [b"[" * 200_000, b'{"a":' * 200_000, b"\xff\xfe", b"0" * 10_000])
def test_a_malformed_request_is_named_as_one(line: bytes) -> None:
    with pytest.raises(AgentError) as caught:
        Conversation(BytesIO(line + b"\n"), BytesIO()).request()
    assert (caught.value.exit_code, caught.value.code) == (2, "bad-request")
