"""The controller's side of the conversation, with real processes at the other end that speak as a script says."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from obstack.agent import wire
from obstack.edges.conversation import Conversation, Hook, Unintelligible
from obstack.edges.interruption import Interruption
from obstack.ports import Contents

SCRIPT = """
import json, sys
def say(**message): print(json.dumps(message), flush=True)
def hear(): return json.loads(sys.stdin.buffer.readline())
def reply(**data): say(type="reply", outcome="ok", data=data)
"""
REQUEST = wire.Request("inspect")
BIG = b"\x00\n{" * (1 << 20)


def hold(
    script: str,
    contents: Contents | None = None,
    *,
    confirm: Callable[[], bool] = lambda: True,
    hooks: Mapping[str, Hook] | None = None,
    silence_s: float | None = None,
    before: Callable[[Conversation], None] = lambda _: None,
) -> tuple[wire.Reply | None, list[wire.Event]]:
    events: list[wire.Event] = []
    argv = [sys.executable, "-c", SCRIPT + script]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        conversation = Conversation(
            process, REQUEST, contents or Contents(), events.append, confirm=confirm, hooks=hooks, silence_s=silence_s
        )
        before(conversation)
        reply = conversation.hold()
        conversation.close()
    return reply, events


def data(reply: wire.Reply | None) -> dict[str, Any]:
    assert reply is not None
    return reply.data


def test_what_is_printed_before_the_agent_speaks_is_passed_over() -> None:
    reply, _ = hold("print('Welcome'); print('[1]'); print(); reply(request=hear())")
    assert data(reply)["request"]["verb"] == "inspect"


def test_an_agent_that_goes_away_gives_no_reply() -> None:
    reply, events = hold("hear(); say(type='event', step='check', state='started')")
    assert reply is None
    assert [event.step for event in events] == ["check"]


@pytest.mark.parametrize("possible", [True, False])
def test_a_confirmation_is_given_only_when_a_connection_could_be_opened(possible: bool) -> None:
    asked: list[bool] = []
    script = """
hear(); say(type="confirm"); say(type="need", digests=["0"])
first = hear()
reply(first=first["type"])
"""

    def confirm() -> bool:
        asked.append(True)
        return possible

    reply, _ = hold(script, confirm=confirm)
    assert data(reply) == {"first": "confirmed" if possible else "blob"}
    assert asked == [True]


def test_an_interruption_never_comes_in_the_midst_of_a_content() -> None:
    digest = hashlib.sha256(BIG).hexdigest()
    script = f"""
import hashlib, time
hear(); say(type="need", digests=["{digest}"])
time.sleep(0.3)
blob = hear(); content = sys.stdin.buffer.read(blob["size"])
reply(whole=hashlib.sha256(content).hexdigest() == blob["digest"], then=hear()["type"])
"""

    def interrupt_soon(conversation: Conversation) -> None:
        threading.Timer(0.15, conversation.interrupt).start()

    reply, _ = hold(script, Contents({digest: BIG}), before=interrupt_soon)
    assert data(reply) == {"whole": True, "then": "interrupt"}


def test_an_interruption_that_came_first_follows_the_request() -> None:
    def interrupt(conversation: Conversation) -> None:
        conversation.interrupt()
        time.sleep(0.1)

    reply, _ = hold("reply(heard=[hear().get('verb'), hear().get('type')])", before=interrupt)
    assert data(reply) == {"heard": ["inspect", "interrupt"]}


def test_what_is_not_the_agent_yet_is_given_no_interruption() -> None:
    """While the agent is being sent, a wish waits; it follows the request that is asked anew."""

    def send(conversation: Conversation, message: dict[str, Any]) -> None:
        del message
        conversation.withdraw(b"agent\n")
        conversation.interrupt()
        time.sleep(0.1)

    def ask(conversation: Conversation, message: dict[str, Any]) -> None:
        del message
        conversation.ask()

    script = """
hear(); say(type="agent-absent")
line = sys.stdin.buffer.readline().decode().strip(); say(type="agent-installed")
reply(heard=[line, hear().get("verb"), hear().get("type")])
"""
    reply, _ = hold(script, hooks={"agent-absent": send, "agent-installed": ask})
    assert data(reply) == {"heard": ["agent", "inspect", "interrupt"]}


def test_an_interruption_is_handed_on_once_whenever_it_is_wished() -> None:
    sent: list[int] = []
    early, late = Interruption(), Interruption()
    early.wish()
    early.concern(lambda: sent.append(1))
    late.concern(lambda: sent.append(2))
    late.wish()
    late.wish()
    assert sent == [1, 2]


def test_who_wishes_an_interruption_again_no_longer_waits_for_the_answer() -> None:
    told: list[str] = []
    hasty, patient = Interruption(patience_s=60), Interruption(patience_s=0)
    for interruption in (hasty, patient):
        interruption.concern(lambda: told.append("leave off"), lambda: told.append("given up"))
    hasty.wish()
    hasty.wish()  # a key pressed twice
    assert told == ["leave off"]
    patient.wish()
    patient.wish()
    assert told == ["leave off", "leave off", "given up"]


@pytest.mark.parametrize(
    "script",
    [
        "hear(); say(type='event', step='check', state='started'); time.sleep(60)",
        "hear(); sys.stdout.write('{'); sys.stdout.flush(); time.sleep(60)",
        "say(type='need', digests=[BIG]); time.sleep(60)",
    ],
)
def test_a_machine_that_hangs_is_given_up(script: str) -> None:
    """In the midst of its work, in the midst of a line, and when it does not take what it asked for."""
    digest = hashlib.sha256(BIG).hexdigest()
    began = time.monotonic()
    reply, _ = hold(f"import time; BIG = '{digest}'; {script}", Contents({digest: BIG}), silence_s=0.5)
    assert reply is None
    assert time.monotonic() - began < 30


def test_a_machine_that_is_alive_or_waited_for_by_nobody_is_not_given_up() -> None:
    script = """
import time
hear()
for _ in range(10): say(type="alive"); time.sleep(0.1)
say(type="confirm"); hear(); reply()
"""

    def confirm() -> bool:
        time.sleep(1)  # it is this side that takes its time
        return True

    reply, _ = hold(script, silence_s=0.5, confirm=confirm)
    assert data(reply) == {}


@pytest.mark.parametrize(
    "said",
    [
        "say(type='event', step=[], state=5)",
        "say(type='reply', outcome={})",
        "say(type='need', digests=7)",
        "say(type='event', step='check', state='started'); print('{{{')",
        "say(type='event', step='check', state='started'); print('[' * 100_000)",
        "print('#' * (2 << 20)); print('#')",
        "print('#' * (65 << 20))",
    ],
)
def test_what_no_agent_says_is_told_apart_from_a_defect_of_ours(said: str) -> None:
    with pytest.raises(Unintelligible):
        hold(f"hear(); {said}")
