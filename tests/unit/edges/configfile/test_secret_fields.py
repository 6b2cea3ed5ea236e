"""A field for a secret takes a reference and nothing else, and says so without showing what stands there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from obstack.edges.configfile import FileConfigurations
from obstack.errors import Problem
from obstack.model.base import Section
from obstack.model.describe import describe
from obstack.model.site import Site

pytestmark = pytest.mark.security

CANARY = "N7kqTz4wRm2X"
USERS = "front_door: {{users: [{{name: ada, password: {}}}]}}\n"
FIELDS = {
    "front_door.users.password": ("global.yaml", USERS),
    "front_door.machines.password": (
        "global.yaml",
        "front_door: {{machines: [{{name: edge-1, may: [read-metrics], password: {}}}]}}\n",
    ),
    "alertmanager.smtp.password": (
        "global.yaml",
        "alertmanager: {{smtp: {{host: m.test, sender: a@m.test, username: a, password: {}}}}}\n",
    ),
    "grafana.admin_password": ("global.yaml", "grafana: {{admin_password: {}}}\n"),
    "grafana.secret_key": ("global.yaml", "grafana: {{secret_key: {}}}\n"),
    "grafana.postgres.password": ("global.yaml", "grafana: {{postgres: {{host: db.test, password: {}}}}}\n"),
    "grafana.oidc.client_secret": (
        "global.yaml",
        "grafana: {{oidc: {{client_id: a, authorize_url: 'https://a.test/', token_url: 'https://a.test/',"
        " api_url: 'https://a.test/', client_secret: {}}}}}\n",
    ),
    "an option of a module": (
        "hosts/db-1.yaml",
        "address: 192.0.2.1\nmodules: {{redis: {{options: {{password: {}}}}}}}\n",
    ),
}
VALUES = (
    CANARY,
    f"secret:{CANARY}",  # capital letters are no name
    f"secret {CANARY}",
    f'" secret:{CANARY.lower()}"',
    f"file:{CANARY}",
    f'"${{{CANARY}}}"',
    f"[{CANARY}]",
    f"{{value: {CANARY}}}",
    f'"https://ada:{CANARY}@mail.example.org"',
)


def secret_fields(section: type[Section], before: str = "") -> Iterator[str]:
    """Yield the path of every field of the model that is for a secret."""
    for key in describe(section):
        path = f"{before}{key.name}"
        if key.secret:
            yield path
        if key.section is not None and key.name != "hosts":
            yield from secret_fields(key.section, f"{path}.")


def problems(folder: Path, field: str, value: str) -> tuple[Problem, ...]:
    file, text = FIELDS[field]
    (folder / "hosts").mkdir()
    base = "environment: testing\ndomain: mon.test\nserver: {address: 192.0.2.9}\n"
    (folder / "global.yaml").write_text(base, encoding="utf-8")
    text = text.format(value) if file != "global.yaml" else base + text.format(value)
    (folder / file).write_text(text, encoding="utf-8")
    return FileConfigurations(folder).examine().problems


def test_every_field_for_a_secret_is_tried_here() -> None:
    assert set(secret_fields(Site)) == {field for field in FIELDS if "." in field}


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("value", VALUES)
def test_anything_but_a_reference_is_refused_with_its_place_and_without_being_shown(
    tmp_path: Path, field: str, value: str
) -> None:
    found = problems(tmp_path, field, value)
    assert found
    for problem in found:
        assert CANARY.lower() not in str(problem).lower()
    (problem,) = [item for item in found if item.path.endswith(field.rpartition(".")[2]) or "password" in item.path]
    assert problem.file.endswith(FIELDS[field][0])
    assert problem.line > 0 and problem.column > 0
    assert "secret:" in f"{problem.message} {problem.remedy}"
    assert problem.remedy


@pytest.mark.parametrize("field", FIELDS)
def test_a_reference_is_taken(tmp_path: Path, field: str) -> None:
    assert problems(tmp_path, field, "secret:a-name") == ()
