"""An agent's fault is the controller's error, by its exit code and never by its text."""

import pytest

from obstack.agent.wire import Fault, Reply
from obstack.errors import FAMILIES, Bug
from obstack.operations.asking import demand, error_of


@pytest.mark.parametrize("code", FAMILIES)
def test_every_exit_code_has_its_family(code: int) -> None:
    fault = Fault(code, "some-code", "It failed.", "mon-1", "observability apply", "nothing was changed", "detail")
    error = error_of(fault)
    assert type(error) is FAMILIES[code]
    assert error.to_json() == {
        "code": "some-code",
        "what": "It failed.",
        "where": "mon-1",
        "do": "observability apply",
        "state": "nothing was changed",
        "detail": "detail",
        "exit_code": code,
    }


def test_an_exit_code_that_nobody_knows_is_a_defect() -> None:
    assert type(error_of(Fault(99, "x", "x.", "x", "x"))) is Bug


def test_a_reply_without_fault_is_returned() -> None:
    reply = Reply("ok")
    assert demand(reply) is reply
    with pytest.raises(FAMILIES[3]):
        demand(Reply("refused", fault=Fault(3, "x", "x.", "x", "x")))
