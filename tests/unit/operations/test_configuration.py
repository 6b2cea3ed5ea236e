from pathlib import Path

import pytest

from obstack.edges.configfile import BeginningFolder, FileConfigurations
from obstack.edges.secrets import FileSecrets
from obstack.errors import ConfigurationError, UsageError
from obstack.model.site import Site
from obstack.operations.configuration import (
    Change,
    begin_configuration,
    compare,
    examine_configuration,
    examine_everything,
    load_configuration,
    rows,
)

SMTP = "alertmanager:\n  smtp: {host: m.test, sender: a@m.test, username: a, password: secret:smtp-password}\n"


def write(folder: Path, text: str) -> tuple[FileConfigurations, FileSecrets]:
    folder.mkdir(exist_ok=True)
    (folder / "global.yaml").write_text(text, encoding="utf-8")
    return FileConfigurations(folder), FileSecrets(folder / "secrets")


def begin(folder: Path, *, domain: str = "mon.test", force: bool = False) -> tuple[str, ...]:
    secrets = FileSecrets(folder / "secrets")
    return begin_configuration(
        BeginningFolder(folder), secrets, domain=domain, server="mon-1", schemas=("{}\n", "{}\n"), force=force
    ).written


def test_a_configuration_with_its_secrets_is_loaded(tmp_path: Path) -> None:
    configurations, secrets = write(tmp_path, "domain: mon.test\n")
    secrets.create("admin-password")
    assert load_configuration(configurations, lambda _: secrets, None).site.domain == "mon.test"


def test_problems_of_secrets_come_with_the_others_in_order_of_place(tmp_path: Path) -> None:
    configurations, secrets = write(tmp_path, f"name: CHANGE_ME\ndomain: mon.test\n{SMTP}logs: {{port: 9090}}\n")
    problems = examine_configuration(configurations, lambda _: secrets, None).problems
    assert [(problem.line, problem.path) for problem in problems] == [
        (0, "front_door.users[0].password"),
        (1, "name"),
        (4, "alertmanager.smtp.password"),
        (5, "logs.port"),
    ]
    configurations, secrets = write(tmp_path, f"domain: mon.test\n{SMTP}logs: {{port: 9090}}\n")
    with pytest.raises(ConfigurationError) as caught:
        load_configuration(configurations, lambda _: secrets, None)
    assert [(problem.line, problem.path) for problem in caught.value.problems] == [
        (0, "front_door.users[0].password"),
        (3, "alertmanager.smtp.password"),
        (4, "logs.port"),
    ]


def test_each_environment_is_judged_for_what_the_base_has_not_told(tmp_path: Path) -> None:
    configurations, secrets = write(tmp_path, "domain: mon.test\nserver: {name: Mon}\nlogs: {port: 9090}\n")
    secrets.create("admin-password")
    overlays = tmp_path / "environments"
    overlays.mkdir()
    (overlays / "drill.yaml").write_text("server: {name: mon-2}\n", encoding="utf-8")
    (overlays / "staging.yaml").write_text("alertmanager: {port: 9100, colour: red}\n", encoding="utf-8")
    told = {
        environment: [(problem.place, problem.path) for problem in examination.problems]
        for environment, examination in examine_everything(configurations, lambda _: secrets)
    }
    assert told == {
        None: [(f"{tmp_path}/global.yaml:2:16", "server.name"), (f"{tmp_path}/global.yaml:3:14", "logs.port")],
        "drill": [],
        "staging": [
            (f"{overlays}/staging.yaml:1:22", "node_exporter.port"),
            (f"{overlays}/staging.yaml:1:28", "alertmanager.colour"),
        ],
    }


def test_a_missing_secret_names_the_command_that_makes_it(tmp_path: Path) -> None:
    configurations, secrets = write(tmp_path, "domain: mon.test\n")
    (problem,) = examine_configuration(configurations, lambda _: secrets, None).problems
    assert problem.message == "refers to the secret admin-password, which does not exist"
    assert problem.remedy == "observability secrets set admin-password    or: observability secrets init"


def test_a_secret_that_others_can_read_is_a_problem_with_the_chmod_to_type(tmp_path: Path) -> None:
    configurations, secrets = write(tmp_path, "domain: mon.test\n")
    secrets.create("admin-password")
    (tmp_path / "secrets" / "admin-password").chmod(0o644)
    (problem,) = examine_configuration(configurations, lambda _: secrets, None).problems
    assert "its mode is 0644" in problem.message
    assert problem.remedy.startswith("chmod 600 ")


@pytest.mark.parametrize(
    ("password", "message"),
    [
        ("hunter2", "has 7 characters; at least 12 are needed"),
        ("CHANGE_ME_please_soon", "is still a placeholder"),
        ("observability1", "is little more than words that guessing begins with"),
    ],
)
def test_a_weak_password_is_found_and_not_shown(tmp_path: Path, password: str, message: str) -> None:
    configurations, secrets = write(tmp_path, "domain: mon.test\n")
    secrets.create("admin-password")
    (tmp_path / "secrets" / "admin-password").write_text(password + "\n")
    (problem,) = examine_configuration(configurations, lambda _: secrets, None).problems
    assert problem.message == f"the secret admin-password {message}"
    assert password not in repr(vars(problem))


def test_a_password_that_a_relay_gave_may_be_as_it_is(tmp_path: Path) -> None:
    configurations, secrets = write(tmp_path, f"domain: mon.test\n{SMTP}")
    secrets.create("admin-password")
    secrets.create("smtp-password")
    (tmp_path / "secrets" / "smtp-password").write_text("hunter2\n")
    assert examine_configuration(configurations, lambda _: secrets, None).problems == ()


def test_rows_give_every_value_its_origin(tmp_path: Path) -> None:
    configurations, _ = write(tmp_path, "domain: mon.test\nprometheus: {port: 9191}\n")
    found = {row.path: (row.value, row.origin) for row in rows(configurations.load())}
    assert found["domain"] == ("mon.test", f"{tmp_path / 'global.yaml'}:1:9")
    assert found["prometheus.port"] == (9191, f"{tmp_path / 'global.yaml'}:2:20")
    assert found["front_door.users[0].password"] == ("secret:admin-password", "default")


def test_two_sites_are_compared_by_meaning() -> None:
    def site(*names: str, port: int = 9090) -> Site:
        receivers = [{"name": name, "webhook": [f"https://{name}.test/"]} for name in names]
        return Site.model_validate(
            {"domain": "mon.test", "prometheus": {"port": port}, "alertmanager": {"receivers": receivers}}
        )

    assert compare(site("a", "b"), site("a", "b")) == []
    assert compare(site("a", "b"), site("b", "a")) == []  # the order of receivers means nothing
    assert compare(site("a"), site("a", port=9191)) == [Change("prometheus.port", 9090, 9191)]
    assert compare(site("a"), site("b")) == [
        Change("alertmanager.receivers[a].name", "a", None),
        Change("alertmanager.receivers[a].webhook", ["https://a.test/"], None),
        Change("alertmanager.receivers[b].name", None, "b"),
        Change("alertmanager.receivers[b].webhook", None, ["https://b.test/"]),
    ]


def test_the_order_of_routes_means_something() -> None:
    def site(*values: str) -> Site:
        routes = [{"receiver": "a", "match": {"severity": value}} for value in values]
        return Site.model_validate({"domain": "mon.test", "alertmanager": {"routes": routes}})

    assert len(compare(site("critical", "warning"), site("warning", "critical"))) == 2


def test_what_is_begun_is_valid_and_complete(tmp_path: Path) -> None:
    written = begin(tmp_path / "config")
    folder = tmp_path / "config"
    names = ("configuration.schema.json", "hosts/host.schema.json", ".gitignore", "global.yaml")
    assert written == tuple(str(folder / name) for name in names)
    assert (folder / ".gitignore").read_text() == "/secrets/\n"
    assert (
        examine_configuration(FileConfigurations(folder), lambda _: FileSecrets(folder / "secrets"), None).problems
        == ()
    )


def test_beginning_never_overwrites_unless_forced_and_then_keeps_a_copy(tmp_path: Path) -> None:
    begin(tmp_path)
    (tmp_path / "global.yaml").write_text("mine\n")
    (tmp_path / ".gitignore").write_text("/secrets/\n/mine\n")
    password = (tmp_path / "secrets" / "admin-password").read_text()
    with pytest.raises(UsageError) as caught:
        begin(tmp_path)
    assert caught.value.code == "configuration-exists"
    assert (tmp_path / "global.yaml").read_text() == "mine\n"
    begin(tmp_path, force=True)
    begin(tmp_path, force=True)
    assert (tmp_path / "global.yaml.1").read_text() == "mine\n"
    assert (tmp_path / "global.yaml.2").read_text() == (tmp_path / "global.yaml").read_text()
    assert (tmp_path / ".gitignore").read_text() == "/secrets/\n/mine\n"
    assert (tmp_path / "secrets" / "admin-password").read_text() == password


@pytest.mark.parametrize("domain", ["mon.example.org", "not a name", "CHANGE_ME"])
def test_a_domain_that_would_not_do_is_refused_before_anything_is_written(tmp_path: Path, domain: str) -> None:
    with pytest.raises(ConfigurationError):
        begin(tmp_path / "config", domain=domain)
    assert not (tmp_path / "config").exists()
