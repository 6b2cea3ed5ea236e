"""What a host says of a module."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from obstack.model.host import ModuleUse


def test_an_option_may_be_a_list_of_texts() -> None:
    use = ModuleUse.model_validate_json('{"options": {"programs": ["sshd", "cron"]}}', strict=True)
    assert use.options == {"programs": ("sshd", "cron")}


def test_what_no_option_can_be_is_said_once() -> None:
    with pytest.raises(ValidationError) as caught:
        ModuleUse.model_validate_json('{"options": {"programs": [1]}}', strict=True)
    assert [error["msg"] for error in caught.value.errors()] == [
        "Value error, must be true or false, a number, text or a list of texts"
    ]
