"""A host that was broken into speaks in the agent's place: what it says ends in an error, in bounded time and space."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import time
from typing import Any

import pytest

from obstack.agent import wire
from obstack.edges.conversation import Bounds, Conversation, Unintelligible
from obstack.edges.ssh_channel import HOST, bounds_of
from obstack.ports import Contents

pytestmark = pytest.mark.security

SCRIPT = """
import itertools, json, sys, time
def say(**message): print(json.dumps(message), flush=True)
def raw(text): sys.stdout.buffer.write(text + b"\\n"); sys.stdout.flush()
def hear(): return json.loads(sys.stdin.buffer.readline())
def reply(**data): say(type="reply", outcome="ok", data=data)
hear()
"""
BOUNDS = Bounds(line=1 << 16, messages=200, served=8, confirmed=2, asked=2, patience_s=3.0)
OFFERED = b"the configuration of web-1"
DIGEST = hashlib.sha256(OFFERED).hexdigest()
OTHERS = hashlib.sha256(b"the secrets of web-2").hexdigest()


def hold(script: str, bounds: Bounds = BOUNDS, silence_s: float = 2.0) -> tuple[wire.Reply | None, Conversation]:
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT + script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        conversation = Conversation(
            process,
            wire.Request("inspect"),
            Contents({DIGEST: OFFERED}),
            lambda _: None,
            hooks={"agent-absent": lambda talk, _: talk.withdraw(b"agent\n"), "agent-installed": lambda *_: None},
            silence_s=silence_s,
            bounds=bounds,
        )
        try:
            return conversation.hold(), conversation
        finally:
            process.kill()
            conversation.close()


@pytest.mark.parametrize(
    "script",
    [
        "while True: say(type='event', step='check', state='started')",
        "while True: say(type='alive')",
        "while True: say(type='unheard-of')",
        f"while True: say(type='need', digests=['{DIGEST}']); hear(); sys.stdin.buffer.read({len(OFFERED)})",
        f"while True: say(type='need', digests=['{OTHERS}']); hear()",
        f"say(type='need', digests=['{DIGEST}'] * 1000); time.sleep(60)",
        "while True: say(type='confirm'); hear()",
        "while True: say(type='agent-absent'); sys.stdin.readline()",
        "while True: say(type='agent-installed')",
        "raw(b'{' + b' ' * (1 << 17) + b'}')",
        "sys.stdout.write('#' * (1 << 17)); sys.stdout.flush(); time.sleep(60)",
        "say(type='alive'); raw(b'{\"type\": \"alive\", \"x\": ' + b'[' * 100 + b']' * 100 + b'}')",
        "say(type='alive'); raw(b'[' * 60000)",
        'say(type=\'alive\'); raw(b\'{"type": "reply", "outcome": "ok", "data": {"a": NaN}}\')',
        'say(type=\'alive\'); raw(b\'{"type": "reply", "outcome": "ok", "data": {"a": 1e999}}\')',
        'say(type=\'alive\'); raw(b\'{"type": "reply", "outcome": "ok", "data": {"a": \' + b\'9\' * 5000 + b\'}}\')',
        "say(type='alive'); raw(b'\\xff\\xfe{}')",
        "say(type='reply', outcome='done before')",
        "say(type='reply', outcome='ok\\x1b[2J')",
        "say(type='reply', outcome='ok', fault=dict(exit_code=0, code='', what='', where='', do=''))",
        "say(type='alive'); say(type='reply', outcome='ok', generation=[], data={})",
        "say(type='alive'); say(type='reply', outcome='ok', data={'seconds': 10**400})",
    ],
)
def test_what_a_host_demands_without_end_or_sense_ends_the_conversation(script: str) -> None:
    began = time.monotonic()
    with pytest.raises(Unintelligible) as caught:
        hold(script)
    assert len(str(caught.value)) < 500
    assert time.monotonic() - began < 20


@pytest.mark.parametrize(
    "script",
    [
        "while True: say(type='event', step='check', state='started'); time.sleep(0.1)",
        "while True: say(type='alive'); time.sleep(0.5)",
    ],
)
def test_a_host_that_comes_to_no_end_is_given_up(script: str) -> None:
    began = time.monotonic()
    reply, conversation = hold(script)
    assert (reply, conversation.endless) == (None, True)
    assert time.monotonic() - began < 20


@pytest.mark.parametrize("script", ["while True: sys.stdout.write('x'); sys.stdout.flush(); time.sleep(0.1)"])
def test_a_line_that_drips_is_given_up(script: str) -> None:
    reply, conversation = hold(script)
    assert (reply, conversation.silent) == (None, True)


def test_a_host_is_sent_nothing_that_was_not_meant_for_it() -> None:
    reply, _ = hold(f"say(type='need', digests=['{OTHERS}', '{DIGEST}']); reply(first=hear(), second=hear())")
    assert reply is not None
    assert (reply.data["first"]["size"], reply.data["second"]["size"]) == (-1, len(OFFERED))


def test_an_honest_host_with_slow_units_is_not_given_up_before_its_time() -> None:
    gates = (wire.GateEntry("a", "http", "", deadline_s=7200),)
    units = (wire.UnitEntry("a", "units/a.service", start_timeout_s=100, stop_timeout_s=50),)
    manifest = wire.Manifest("web-1", "monitored-host", "systemd", gates=gates, units=units)
    bounds: Any = bounds_of(wire.Request("apply", manifest=manifest, wait_s=300))
    assert bounds.patience_s == HOST.patience_s + 300 + 2 * (7200 + 150)
