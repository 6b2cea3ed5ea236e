"""The agent's side of the conversation, over real pipes and files."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import pytest

from obstack.agent import wire
from obstack.agent.conversation import Conversation
from obstack.agent.faults import AgentError

PIPE = 65_536


def announced(content: bytes) -> bytes:
    return wire.line(wire.Blob(hashlib.sha256(content).hexdigest(), len(content))) + content


@dataclass
class Line:
    """A conversation whose other end is in the hands of the test."""

    conversation: Conversation
    write: int
    output: BytesIO
    interrupted: threading.Event

    def say(self, content: bytes) -> None:
        os.write(self.write, content)

    def hang_up(self) -> None:
        os.close(self.write)
        self.write = -1


@pytest.fixture
def line() -> Iterator[Line]:
    source, write = os.pipe()
    interrupted = threading.Event()
    output = BytesIO()
    made = Line(Conversation(source, output, interrupted.set), write, output, interrupted)
    made.conversation.listen()
    yield made
    if made.write >= 0:
        made.hang_up()


def test_what_is_said_while_contents_arrive_fits_into_a_pipe_that_nobody_reads(tmp_path: Path) -> None:
    contents = [str(number).encode() for number in range(3000)]
    blobs = {hashlib.sha256(content).hexdigest(): content for content in contents}
    said = tmp_path / "said"
    said.write_bytes(b"".join(map(announced, contents)))
    folder = tmp_path / "received"
    folder.mkdir()
    sink = BytesIO()
    with said.open("rb") as stream:
        listening = Conversation(stream.fileno(), sink)
        listening.listen()
        listening.receive({name: len(body) for name, body in blobs.items()}, str(folder))
    need, *events = sink.getvalue().splitlines()
    assert b'"need"' in need
    assert events
    assert b'"done":3000,"total":3000' in events[-1]
    assert sum(len(event) + 1 for event in events) < PIPE // 8
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == blobs


@pytest.mark.parametrize("said", [b"[" * 200_000, b'{"a":' * 200_000, b"\xff\xfe", b"0" * 10_000])
def test_a_malformed_request_is_named_as_one(said: bytes, tmp_path: Path) -> None:
    (tmp_path / "said").write_bytes(said + b"\n")
    with (tmp_path / "said").open("rb") as stream, pytest.raises(AgentError) as caught:
        Conversation(stream.fileno(), BytesIO()).request()
    assert (caught.value.exit_code, caught.value.code) == (2, "bad-request")


def test_an_interruption_is_heard_before_between_and_behind_contents_that_look_like_one(
    line: Line, tmp_path: Path
) -> None:
    looks_alike = wire.line(wire.Interrupt()) * 3
    digest = hashlib.sha256(looks_alike).hexdigest()
    line.say(announced(looks_alike))
    line.conversation.receive({digest: len(looks_alike)}, str(tmp_path))
    assert (tmp_path / digest).read_bytes() == looks_alike
    assert not line.interrupted.is_set()
    line.say(wire.line(wire.Interrupt()))
    assert line.interrupted.wait(5)


def test_the_end_of_the_input_is_no_interruption_and_ends_every_wait(line: Line, tmp_path: Path) -> None:
    line.hang_up()
    assert not line.conversation.confirm(limit_s=60)
    with pytest.raises(AgentError, match="not sent") as caught:
        line.conversation.receive({"0" * 64: 1}, str(tmp_path))
    assert "the connection ended" in caught.value.where
    assert not line.interrupted.is_set()


def test_a_confirmation_counts_only_when_it_was_asked_for(line: Line) -> None:
    line.say(wire.line(wire.Confirmed()))
    line.say(wire.line(wire.Interrupt()))
    assert line.interrupted.wait(5)  # so the confirmation before it was heard
    assert not line.conversation.confirm(limit_s=0.05)
    threading.Timer(0.05, line.say, [wire.line(wire.Confirmed())]).start()
    assert line.conversation.confirm(limit_s=60)
    assert line.output.getvalue() == wire.line(wire.Confirm()) * 2


def test_whoever_is_given_the_number_of_a_closed_input_is_not_read_from(tmp_path: Path) -> None:
    source, write = os.pipe()
    interrupted = threading.Semaphore(0)
    Conversation(source, BytesIO(), interrupted.release).listen()
    (tmp_path / "other").write_bytes(b"belongs to somebody else\n")
    with (tmp_path / "other").open("rb") as other:
        os.dup2(other.fileno(), source)  # the input is closed, and its number given away
        for _ in range(3):
            os.write(write, wire.line(wire.Interrupt()))
            assert interrupted.acquire(timeout=5)
        os.close(write)
        assert os.read(source, 100) == b"belongs to somebody else\n"
        os.close(source)


@pytest.mark.parametrize("said", [b"", announced(b"content")[:-1]])
def test_a_controller_that_falls_silent_is_not_waited_for(said: bytes, tmp_path: Path) -> None:
    source, write = os.pipe()
    os.write(write, said)
    silent = Conversation(source, BytesIO(), silence_s=0.1)
    silent.listen()
    with pytest.raises(AgentError) as caught:
        silent.receive({hashlib.sha256(b"content").hexdigest(): 7}, str(tmp_path))
    assert "nothing came" in caught.value.where
    os.close(write)


def test_the_agent_says_that_it_is_alive_until_its_reply_which_is_the_last_word() -> None:
    source, write = os.pipe()
    output, heard = os.pipe()
    with open(heard, "wb") as sink, open(output, "rb") as listening:
        talking = Conversation(source, sink, alive_s=0.02)
        os.write(write, wire.line(wire.Request("inspect")))
        talking.request()
        assert [listening.readline() for _ in range(3)] == [wire.line(wire.Alive())] * 3
        talking.send(wire.Reply("ok"))
        talking.send(wire.Alive())
        sink.close()
        *alive, reply = listening.readlines()
    assert set(alive) <= {wire.line(wire.Alive())}
    assert reply == wire.line(wire.Reply("ok"))
    os.close(write)
