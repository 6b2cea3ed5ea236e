import json
from typing import Any

import pytest

from obstack.agent.wire import Fact, Look, Sighting
from obstack.model.module import Module
from obstack.plan.detection import Detected, decide_detected, left_out, looks_of, missing, proposal


def module(*probes: dict[str, Any], name: str = "mysqld", **options: dict[str, Any]) -> Module:
    described = {key: {"type": "string", "description": "x", **value} for key, value in options.items()}
    return Module.model_validate_json(
        json.dumps(
            {
                "name": name,
                "title": "MariaDB",
                "description": "x",
                "detect": probes,
                "options": described,
                "exporter": {"key_metric": "mysql_up", "port": 9104},
            }
        )
    )


def seen(kind: str, subject: str, answer: str = "yes", state: str = "") -> Sighting:
    return Sighting(kind, subject, answer, f"{kind} {subject}: {answer}", state)


UNIT = {"unit": "mariadb.service"}
COMMAND = {"command": "mariadbd"}
PACKAGE = {"package": "mariadb-server"}
PORT = {"port": 3306, "confidence": "low"}
SOCKET = {"socket": "/run/mysqld/mysqld.sock", "confidence": "high"}


@pytest.mark.parametrize(
    ("probes", "sightings", "verdict", "confidence"),
    [
        ([UNIT], [seen("unit", "mariadb.service", state="active")], "yes", "high"),
        ([UNIT], [seen("unit", "mariadb.service", state="enabled")], "yes", "medium"),
        ([UNIT], [seen("unit", "mariadb.service", state="idle")], "yes", "low"),
        ([UNIT | {"confidence": "low"}], [seen("unit", "mariadb.service", state="active")], "yes", "low"),
        ([COMMAND], [seen("command", "mariadbd")], "yes", "medium"),
        ([COMMAND, PACKAGE], [seen("command", "mariadbd"), seen("package", "mariadb-server")], "yes", "high"),
        ([COMMAND, {"command": "mysqld"}], [seen("command", "mariadbd"), seen("command", "mysqld")], "yes", "medium"),
        ([PORT], [seen("port", "3306", state="active")], "yes", "low"),
        ([SOCKET], [seen("socket", "/run/mysqld/mysqld.sock", state="active")], "yes", "high"),
        (
            [UNIT, COMMAND, PACKAGE],
            [
                seen("unit", "mariadb.service", state="idle"),
                seen("command", "mariadbd"),
                seen("package", "mariadb-server"),
            ],
            "yes",
            "low",
        ),
        (
            [UNIT, SOCKET],
            [seen("unit", "mariadb.service", state="idle"), seen("socket", "/run/mysqld/mysqld.sock", state="active")],
            "yes",
            "high",
        ),
        (
            [UNIT, COMMAND, PORT],
            [
                seen("unit", "mariadb.service", state="idle"),
                seen("command", "mariadbd"),
                seen("port", "3306", state="active"),
            ],
            "yes",
            "low",
        ),
        ([UNIT, COMMAND], [seen("unit", "mariadb.service", "no"), seen("command", "mariadbd", "no")], "no", None),
        (
            [UNIT, COMMAND],
            [seen("unit", "mariadb.service", "unknown"), seen("command", "mariadbd", "no")],
            "unknown",
            None,
        ),
        ([UNIT, COMMAND], [seen("unit", "mariadb.service", "unknown"), seen("command", "mariadbd")], "yes", "medium"),
        ([UNIT], [], "unknown", None),
    ],
)
def test_the_confidence_follows_the_rule(
    probes: list[dict[str, Any]], sightings: list[Sighting], verdict: str, confidence: str | None
) -> None:
    (found,) = decide_detected([module(*probes)], sightings)
    assert (found.verdict, found.confidence) == (verdict, confidence)
    assert found.evidence


def test_every_look_is_taken_once_and_modules_without_probes_are_not_judged() -> None:
    modules = [module(UNIT, PORT), module(PORT, name="proxysql"), module(name="node")]
    assert looks_of(modules) == (Look("unit", "mariadb.service"), Look("port", "3306"))
    assert [one.module for one in decide_detected(modules, [])] == ["mysqld", "proxysql"]


FACTS = (
    Fact("os", "known", {"id": "debian", "version": "12", "codename": "bookworm", "name": "Debian"}),
    Fact("architecture", "known", "amd64"),
)


def test_a_proposal_names_suite_architecture_and_the_modules_that_need_nothing_more() -> None:
    modules = [
        module(UNIT),
        module(UNIT, name="redis"),
        module(UNIT, name="postgres", password={}),
        module(COMMAND, name="haproxy", stats={"optional": True}),
        module(PORT, name="apache"),
    ]
    sightings = [seen("unit", "mariadb.service", state="active"), seen("command", "mariadbd"), seen("port", "3306")]
    detected = decide_detected(modules, sightings)
    assert [one.module for one in detected] == ["mysqld", "postgres", "redis", "haproxy", "apache"]
    assert proposal(detected, FACTS) == {
        "suite": "bookworm",
        "architecture": "amd64",
        "modules": {"haproxy": {}, "mysqld": {}, "redis": {}},
    }
    assert [(one.module, one.needed) for one in left_out(detected)] == [("postgres", ("password",))]


def test_what_was_seen_tells_options_and_what_is_active_goes_first() -> None:
    old = {"unit": "php8.2-fpm.service", "options": {"version": "8.2"}}
    new = {"unit": "php8.4-fpm.service", "options": {"version": "8.4"}}
    php = module(old, new, name="php-fpm", version={})
    sightings = [seen("unit", "php8.2-fpm.service", state="idle"), seen("unit", "php8.4-fpm.service", state="active")]
    detected = decide_detected([php], sightings)
    assert proposal(detected, ()) == {"modules": {"php-fpm": {"options": {"version": "8.4"}}}}
    assert left_out(detected) == ()
    detected = decide_detected([php], [seen("unit", "php8.2-fpm.service", state="enabled")])
    assert proposal(detected, ()) == {"modules": {"php-fpm": {"options": {"version": "8.2"}}}}


@pytest.mark.parametrize("facts", [(), (Fact("os", "unknown"), Fact("architecture", "known", "riscv64"))])
def test_what_is_not_known_is_not_proposed(facts: tuple[Fact, ...]) -> None:
    assert proposal([Detected("redis", "Redis", "no", None, ("nothing",))], facts) == {}


def test_what_a_person_wrote_stays() -> None:
    proposed = {"suite": "trixie", "architecture": "amd64", "modules": {"redis": {}, "nginx": {}}}
    written = {"suite": "bookworm", "modules": {"redis": {"enabled": False}}}
    assert missing(proposed, written) == ((("architecture",), "amd64"), (("modules", "nginx"), {}))
    assert missing(proposed, {"modules": None})[-1] == (("modules", "nginx"), {})
