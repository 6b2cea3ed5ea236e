"""The schemas for editors: every reference in them leads somewhere, and nothing is defined for nobody."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from obstack.model.describe import describe
from obstack.model.host import Host
from obstack.model.reference import host_schema, json_schema


@pytest.mark.parametrize("make", [json_schema, host_schema])
def test_every_reference_leads_somewhere_and_every_definition_is_used(make: Callable[[], dict[str, Any]]) -> None:
    schema = make()
    referred = set(re.findall(r"'#/\$defs/(\w+)'", repr(schema)))
    assert referred == set(schema["$defs"])


def test_hosts_have_a_schema_of_their_own() -> None:
    assert "hosts" not in json_schema()["properties"]
    schema = host_schema()
    assert list(schema["properties"]) == [key.name for key in describe(Host)]
    assert schema["required"] == ["address"]
    assert schema["additionalProperties"] is False


@pytest.mark.parametrize("key", ["ssh", "logs", "labels", "modules", "groups", "suite", "architecture"])
def test_a_key_of_a_host_may_be_left_without_a_value(key: str) -> None:
    assert {"type": "null"} in host_schema()["properties"][key]["anyOf"]


def test_a_module_may_be_just_its_name() -> None:
    (mapping,) = [form for form in host_schema()["properties"]["modules"]["anyOf"] if form["type"] == "object"]
    assert list(mapping["patternProperties"].values()) == [{"anyOf": [{"$ref": "#/$defs/ModuleUse"}, {"type": "null"}]}]
