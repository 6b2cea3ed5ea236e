"""What an authority finds at the front door, and what certbot is given to run."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from obstack.model.secret import Secret
from obstack.model.site import Site
from obstack.render.materials import Certificate, Materials
from obstack.render.nginx_challenge import DROP_IN, HOOK, LIVE
from obstack.render.node import render_node
from obstack.render.tree import Rendering
from rendering.settled import SERVER, materials

pytestmark = pytest.mark.security

COMMAND = ("/srv/it's here/observability", "cert", "deploy", "--config", "/srv/$HOME `id`")


def rendering(mode: str, *, authority: str = "", certificate: Certificate | None = None) -> Rendering:
    site = Site.model_validate({"domain": "observability.example.org", "front_door": {"certificate": {"mode": mode}}})
    settled: Materials = replace(materials(certificate=certificate), deploy=COMMAND, acme_authority=authority)
    return render_node(site, SERVER, settled)


def text(found: Rendering, path: str) -> str:
    return next(file.content.decode() for file in found.files if file.path == path)


def links(found: Rendering) -> dict[str, str]:
    return {link.path: link.target for link in found.links}


def test_challenges_are_answered_on_the_port_for_http_alone() -> None:
    configuration = text(rendering("acme"), "etc/nginx/nginx.conf")
    before, _, after = configuration.partition("location ^~ /.well-known/acme-challenge/")
    assert "root /var/lib/observability-acme;" in after.partition("}")[0]
    assert "443" not in before
    assert after.count("acme-challenge") == 0
    assert "return 308" in after
    for mode in ("internal", "provided"):
        found = rendering(mode)
        assert "acme-challenge" not in text(found, "etc/nginx/nginx.conf")
        assert HOOK not in links(found)


def test_the_hook_runs_for_our_certificate_only_and_its_words_stay_words(tmp_path: Path) -> None:
    found = rendering("acme")
    (file,) = (file for file in found.files if file.path == links(found)[HOOK])
    assert file.mode == 0o755
    # The command's own words are printed, one a line, in place of being run.
    spoken = file.content.decode().replace("exec ", "exec printf '%s\\n' ")
    hook = tmp_path / "hook"
    hook.write_text(spoken)
    for lineage, said in ((LIVE, list(COMMAND)), (f"{LIVE}-0001", []), ("", [])):
        done = subprocess.run(["/bin/sh", hook], env={"RENEWED_LINEAGE": lineage}, capture_output=True, text=True)
        assert (done.returncode, done.stdout.splitlines()) == (0, said)


def test_certbots_timer_is_told_of_an_authority_that_only_this_site_knows() -> None:
    found = rendering("acme", authority="AUTHORITY OF ACME\n")
    assert text(found, links(found)[DROP_IN]).startswith("[Service]\n")
    assert text(found, "etc/observability-acme/authority.pem") == "AUTHORITY OF ACME\n"
    assert DROP_IN not in links(rendering("acme"))


def test_the_gate_verifies_with_what_signed_the_certificate() -> None:
    def authority(found: Rendering) -> tuple[str, bool]:
        (gate,) = (gate for gate in found.gates if gate.kind == "front-door")
        return gate.params["authority"], any(file.path == "etc/nginx/authority.pem" for file in found.files)

    assert authority(rendering("internal")) == ("etc/nginx/authority.pem", True)
    public = Certificate("CHAIN\n", Secret("KEY\n"), "")
    assert authority(rendering("acme", certificate=public)) == ("", False)


def test_hosts_are_shown_what_they_know_whatever_people_are_shown() -> None:
    public = Certificate("PUBLIC\n", Secret("KEY\n"), "")
    internal = Certificate("INTERNAL\n", Secret("KEY\n"), "OWN AUTHORITY\n")
    settled = replace(materials(certificate=public), internal=internal)
    assert settled.towards_hosts is internal
    assert replace(settled, internal=None).towards_hosts is public
