"""A secret that only the server's systemd has: where its program finds it, and who may not refer to it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from obstack.errors import UsageError
from obstack.model.rules import cross_rules
from obstack.model.site import Site
from obstack.plan.generation import build_generation
from obstack.render.node import render_node
from rendering.settled import KEY, PRIVATE, SERVER, full_site, materials, small_site


def site(**credentials: str) -> Site:
    whole: dict[str, Any] = full_site().model_dump(mode="json", exclude_none=True)
    return Site.model_validate(whole | {"secrets": {"credentials": credentials}})


NAME = "smtp-password"


def files(chosen: Site) -> dict[str, str]:
    given = materials()
    lacking = replace(given, secrets={name: value for name, value in given.secrets.items() if name != NAME})
    manifest, blobs = build_generation("mon-1", "observability", SERVER, render_node(chosen, SERVER, lacking), KEY)
    return {file.path: blobs[file.digest].decode() for file in manifest.files}


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        ("plain", "LoadCredential=smtp-password:/etc/credstore/smtp-password"),
        ("encrypted", "LoadCredentialEncrypted=smtp-password:/etc/credstore.encrypted/smtp-password"),
    ],
)
def test_the_program_reads_a_credential_where_systemd_puts_it(kind: str, line: str) -> None:
    rendered = files(site(**{NAME: kind}))
    assert line in rendered["units/alertmanager.service"].splitlines()
    assert "/run/credentials/alertmanager.service/smtp-password" in rendered["etc/alertmanager/alertmanager.yml"]
    assert "etc/alertmanager/secrets/smtp-password" not in rendered


def test_a_private_root_has_no_systemd_that_could_hand_one_over() -> None:
    with pytest.raises(UsageError) as caught:
        build_generation(
            "mon-1", "observability", PRIVATE, render_node(site(**{NAME: "plain"}), PRIVATE, materials()), KEY
        )
    assert caught.value.code == "credentials-need-systemd"


def test_what_the_front_door_needs_here_cannot_be_a_credential() -> None:
    user = full_site().front_door.users[0]
    name = user.password.removeprefix("secret:")
    (finding,) = cross_rules(site(**{name: "plain"}))
    assert finding.path == ("front_door", "users", 0, "password")
    assert f"Remove {name} from secrets.credentials" in finding.remedy


def test_a_credential_that_nothing_reads_is_found() -> None:
    (finding,) = cross_rules(site(**{NAME: "plain", "left-over": "plain"}))
    assert finding.path == ("secrets", "credentials", "left-over")


def test_only_what_reads_its_secret_as_a_credential_may_refer_to_one() -> None:
    whole: dict[str, Any] = small_site().model_dump(mode="json", exclude_none=True)
    whole |= {"dashboards": {"engine": "grafana"}, "secrets": {"credentials": {"grafana-secret-key": "plain"}}}
    found = [finding.path for finding in cross_rules(Site.model_validate(whole))]
    assert ("grafana", "secret_key") in found
