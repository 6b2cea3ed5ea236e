"""Hostile values of configuration: refused, or text wherever they are written. No field can be forgotten.

The fields are enumerated from the model itself. Whatever takes free text must be named in `FREE`, and is then rendered
with everything that means something to a parser: each file must have the very structure that it has with plain words.
"""

from __future__ import annotations

import configparser
import contextlib
import json
import re
import shlex
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError, create_model
from pydantic.fields import FieldInfo
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from hostile.effort import effort
from hostile.site import PLAIN, TARGETS, hostile_site
from hostile.words import SYNTAX, TERMINAL, TEXTS
from obstack.edges.configfile import FileConfigurations
from obstack.edges.configfile.editing import block
from obstack.errors import UsageError
from obstack.model.base import Section
from obstack.model.dashboard import Dashboard
from obstack.model.host import Host
from obstack.model.module import Module, ModuleRules
from obstack.model.scalars import hidden
from obstack.model.site import Site
from obstack.plan.generation import build_generation
from obstack.render import emit
from obstack.render.grafana import render_grafana
from obstack.render.host import ROLE, render_host
from obstack.render.node import render_node
from rendering.grafana import grafana_materials, grafana_site
from rendering.hosts import DATABASE, NGINX, NODE, SYSTEMD, fleet_site, host_materials, modules, server_materials
from rendering.settled import KEY, PRIVATE, SERVER, materials

pytestmark = pytest.mark.security

# ---------------------------------------------------------------------------------------- every field of the model


def sections(*roots: type[Section]) -> dict[str, type[Section]]:
    """Return the sections that can be reached from some, by name."""
    found: dict[str, type[Section]] = {}
    waiting: list[Any] = list(roots)
    while waiting:
        kind = waiting.pop()
        if isinstance(kind, type) and issubclass(kind, Section):
            name = f"{kind.__module__.rpartition('.')[2]}.{kind.__name__}"
            if name not in found:
                found[name] = kind
                waiting += [field.annotation for field in kind.model_fields.values()]
        else:
            waiting += [*typing.get_args(kind), *([kind.__value__] if hasattr(kind, "__value__") else [])]
    return found


FIELDS = {
    f"{name}.{field}": info
    for name, section in sorted(sections(Site, Host, Module, ModuleRules, Dashboard).items())
    for field, info in section.model_fields.items()
}


def texts(data: Any) -> list[str]:
    """Return every text in plain data, the keys too."""
    if isinstance(data, dict):
        return [*data, *(text for value in data.values() for text in texts(value))]
    if isinstance(data, list):
        return [text for item in data for text in texts(item)]
    return [data] if isinstance(data, str) else []


def accepts(name: str, info: FieldInfo, text: str) -> bool:
    """Tell whether a field takes the text, as itself or somewhere in it."""
    holder = create_model("Holder", __base__=Section, value=(Any if info.annotation is None else info.annotation, info))
    keyed: tuple[Any, ...] = ({"a": text}, {text: "1"}, {"a": [text]}, {text: {}}, {"a": {"b": text}})
    for value in (text, [text], [[text]], *keyed):
        try:
            held = holder.model_validate_json(json.dumps({"value": value}), strict=True)
        except ValidationError:
            continue
        if text in texts(held.model_dump(mode="json")):
            return True
    return False


FREE = frozenset(
    {
        # Written into files of the server and of hosts; the tests below render each of them.
        "alertmanager.Route.match",
        "alertmanager.Smtp.username",
        "blackbox.Probe.target",
        "grafana.Oidc.client_id",
        "grafana.Oidc.name",
        "grafana.Oidc.role",
        "host.Group.labels",
        "host.Host.labels",
        "host.ModuleUse.options",
        "prometheus.Prometheus.external_labels",
        "prometheus.ScrapeTarget.labels",
        "server_firewall.Admission.comment",
        "site.Server.labels",
        # Paths on the machine of the controller; nothing of them is written anywhere, and no shell sees them.
        "components.Artifacts.mirror",
        "components.Artifacts.components",  # a key that is no component is refused by a rule
        "door_certificate.DoorCertificate.authority",
        "door_certificate.DoorCertificate.chain",
        "door_certificate.DoorCertificate.key",
        "host.Ssh.destination",
        "host.Ssh.identity",
        "secrets.Age.file",
        "secrets.Age.identity",
        "site.Modules.folder",
    }
)
"""The fields of a configuration that take free text."""

OF_MODULES = frozenset({"dashboard", "module"})
"""What whoever writes a module says in it: its words reach files by the same serializers, its commands run on hosts."""


def test_no_field_takes_free_text_without_a_test_of_where_it_goes() -> None:
    words = [word for word in SYNTAX if not word.isalnum() and word not in ("/etc/passwd", "190:20:30", "secret:x")]
    found = {name for name, info in FIELDS.items() if any(accepts(name, info, word) for word in words)}
    assert {name for name in found if name.partition(".")[0] not in OF_MODULES} == FREE


def test_no_field_takes_what_cannot_be_seen() -> None:
    words = [word for word in TERMINAL if hidden(word)]
    found = {name for name, info in FIELDS.items() if any(accepts(name, info, word) for word in words)}
    # A key that names no component is refused by a rule, and content of files by the serializers.
    assert found == {"components.Artifacts.components", "module.ModuleFile.content"}


# ------------------------------------------------------------------------------------------- what is written of them


def trees(site: Site) -> dict[str, bytes]:
    """Return every file of the server, of its private form and of the hosts, by node and path."""
    known = modules()
    private = site.model_copy(update={"hosts": {}})
    renderings = {
        "server": (SERVER, render_node(site, SERVER, server_materials(), known)),
        "private": (PRIVATE, render_node(private, PRIVATE, materials())),
        **{host: (SERVER, render_host(site, host, SERVER, host_materials(), known)) for host in site.hosts},
    }
    built = {node: build_generation(node, ROLE, layout, made, KEY) for node, (layout, made) in renderings.items()}
    return {
        f"{node}/{file.path}": blobs[file.digest]
        for node, (manifest, blobs) in built.items()
        for file in manifest.files
    }


def structure(path: str, content: bytes) -> object:
    """Return everything of a file but the texts in it."""
    text = content.decode()
    if path.endswith((".yml", ".json")):
        data = YAML(typ="safe", pure=True).load(text) if path.endswith(".yml") else json.loads(text)
        return shape(data)
    if path.endswith((".service", ".timer", ".ini", ".cnf")) or "/units/" in path:
        parser = configparser.RawConfigParser(strict=False, delimiters=("=",), comment_prefixes=("#",))
        parser.read_string(text)
        return [(section, list(parser[section])) for section in parser.sections()]
    if path.endswith(".conf"):
        return words_of(text)
    return len(text.split("\n"))


def shape(data: Any) -> object:
    if isinstance(data, dict):
        return {key: shape(value) for key, value in data.items()}
    if isinstance(data, list):
        return [shape(item) for item in data]
    return type(data).__name__


WORD = re.compile(
    r'"((?:[^"\\]|\\.)*)"|\'((?:[^\'\\]|\\.)*)\'|([^\s;{}"\']\S*?)(?=[\s;{}])|([;{}])|#[^\n]*|\s+', re.DOTALL
)


def words_of(configuration: str) -> list[str]:
    """Return the directives of an nginx file with the number of their words, as nginx itself splits them."""
    found, words, end = [], list[str](), 0
    for match in WORD.finditer(configuration):
        assert match.start() == end, configuration[end : end + 40]
        end = match.end()
        if match[4]:
            found.append(f"{words[0] if words else ''} {len(words)} {match[4]}")
            words = []
        elif any(part is not None for part in match.groups()):
            words.append(match[0])
    assert end == len(configuration)
    return found


@pytest.fixture(scope="module")
def usual() -> Mapping[str, object]:
    return {path: structure(path, content) for path, content in trees(hostile_site(PLAIN)).items()}


@pytest.mark.parametrize("word", SYNTAX)
def test_what_means_something_somewhere_is_text_everywhere(word: str, usual: Mapping[str, object]) -> None:
    try:
        files = trees(hostile_site(word, TARGETS[1]))
    except UsageError as error:
        assert error.code == "value-not-writable"
        assert "$" in word or word.endswith("\\")
        files = trees(hostile_site(PLAIN, TARGETS[1]))
    assert {path: structure(path, content) for path, content in files.items()} == usual


@pytest.mark.parametrize("word", SYNTAX)
def test_no_setting_of_grafana_reads_a_file_or_a_variable(word: str) -> None:
    """Grafana replaces `$__file{…}` and `${…}` in its settings by what they name, and shows a name to everybody."""
    urls = {f"{kind}_url": f"https://sso.example.org/{kind}" for kind in ("authorize", "token", "api")}
    for text in (word, "$__file{/etc/grafana/secrets/admin-password}", "${HOME}", '"""', "x\\\\"):
        oidc = {"name": text, "client_id": text, "role": text, "client_secret": "secret:client", **urls}
        site = grafana_site(grafana={"sign_in": "oidc", "oidc": oidc})
        try:
            rendering = render_grafana(site, SERVER, grafana_materials(), {})
        except UsageError as error:
            assert error.code == "value-not-writable"
            continue
        (file,) = [item for item in rendering.files if item.path.endswith("grafana.ini")]
        parser = configparser.RawConfigParser(strict=True)
        parser.read_string(file.content.decode())
        section = parser["auth.generic_oauth"]
        for key in ("name", "client_id", "role_attribute_path"):
            assert section[key].strip('"') == text.strip('"')
            assert "$" not in section[key]


@pytest.mark.parametrize("word", [word for word in TERMINAL if word.isascii() or hidden(word)])
def test_what_cannot_be_seen_is_refused(word: str) -> None:
    with pytest.raises((ValidationError, UnicodeEncodeError)):
        hostile_site(word)


# --------------------------------------------------------------------------------------------------- the serializers

WORDS = TEXTS | st.sampled_from(SYNTAX)


@effort(150)
@given(st.lists(WORDS, min_size=1, max_size=4))
def test_each_serializer_writes_what_its_reader_reads_or_refuses(words: list[str]) -> None:
    clean = [word for word in words if word.encode("utf-8", "ignore").decode() == word]
    document = {"a": clean, "b": {word: word for word in clean}}
    assert YAML(typ="safe", pure=True).load(emit.yaml_bytes(document).decode()) == document
    assert json.loads(emit.json_bytes(document)) == document
    for word in clean:
        try:
            written = emit.nginx_bytes([emit.directive(word, word), emit.directive("end")]).decode()
        except UsageError:
            continue
        assert len(words_of(written)) == 2
    for word in clean:
        try:
            unit = emit.unit_bytes({"Service": [("ExecStart", emit.unit_command(("/bin/echo", word))), ("User", "a")]})
        except UsageError:
            continue
        first, second = unit.decode().split("\n")[1:3]
        assert second == "User=a"
        assert not first.endswith("\\")
        assert "%" not in first.replace("%%", "")
        assert "$" not in first.replace("$$", "")
        assert shlex.split(first.removeprefix("ExecStart="))[1:] == [word.replace("%", "%%").replace("$", "$$")]
    for word in clean:
        try:
            lines = emit.ini_bytes({"a": {"b": word, "c": "d"}}).decode().split("\n")
        except UsageError:
            continue
        assert [line.partition("=")[0] for line in lines] == ["[a]", "b", "c", ""]
    for name in clean:
        with contextlib.suppress(UsageError):
            assert emit.ini_bytes({"a": {name: "b"}}).decode() == f"[a]\n{name}=b\n"
        with contextlib.suppress(UsageError):
            assert emit.environment_bytes({name: "b"}).decode() == f"{name}=b\n"


def test_a_third_party_module_cannot_write_directives_by_the_name_of_one() -> None:
    evil = json.loads(json.dumps(NGINX))
    evil["files"][0]["content"] = [["return 200; } server { listen 8080; #", "x"]]
    rendering = render_host(fleet_site(), "web-1", SERVER, host_materials(), modules(evil, NODE, SYSTEMD, DATABASE))
    (file,) = [item for item in rendering.files if item.path.endswith("status.conf")]
    assert len(words_of(file.content.decode())) == 1


# --------------------------------------------------------------------------------------------- by way of the files


def test_a_hostile_value_in_a_file_is_refused_with_its_place(tmp_path: Path) -> None:
    """As an escape of YAML, raw in the line, and in a comment, where only people read it."""
    hosts = tmp_path / "hosts"
    hosts.mkdir()
    (tmp_path / "global.yaml").write_text("domain: observability.test\nserver: {address: 192.0.2.1}\n")
    cases = {
        "escaped": 'address: 192.0.2.1\nlabels: {a: "x\\u202ey"}\n',
        "raw": "address: 192.0.2.1\nlabels: {a: x\u202ey}\n",
        "comment": "address: 192.0.2.1\n# x\u2066y\n",
        "control": 'address: 192.0.2.1\nlabels: {a: "\\e[2J"}\n',
        "option": 'address: 192.0.2.1\nssh: {destination: "-oProxyCommand=id"}\n',
        "tag": "address: 192.0.2.1\nlabels: !!python/object/apply:os.system [id]\n",
        "alias": "address: &a 192.0.2.1\nlabels: {a: *a}\n",
        "twice": "address: 192.0.2.1\naddress: 192.0.2.2\n",
        "merge": "address: 192.0.2.1\n<<: {labels: {}}\n",
        "number": f"address: 192.0.2.1\nssh: {{port: {'9' * 400}}}\n",
    }
    for name, text in cases.items():
        (hosts / f"{name}.yaml").write_text(text)
    problems = FileConfigurations(tmp_path).examine().problems
    for name in cases:
        assert [problem.line for problem in problems if problem.file.endswith(f"/{name}.yaml")] != [], name
        assert all(problem.line for problem in problems if problem.file.endswith(f"/{name}.yaml"))


def test_a_file_with_a_hostile_name_is_named_so_that_no_shell_obeys_it(tmp_path: Path) -> None:
    (tmp_path / "hosts").mkdir()
    (tmp_path / "global.yaml").write_text("domain: observability.test\n")
    (tmp_path / "hosts" / "x; touch owned.yaml").write_text("address: 192.0.2.1\n")
    (problem,) = [item for item in FileConfigurations(tmp_path).examine().problems if "owned" in item.file]
    assert shlex.split(problem.remedy)[:2] == ["mv", str(tmp_path / "hosts" / "x; touch owned.yaml")]


PROPOSED = st.dictionaries(st.sampled_from(["suite", "architecture"]), TEXTS) | st.fixed_dictionaries(
    {"labels": st.dictionaries(TEXTS, TEXTS)}
)


@effort(60)
@given(PROPOSED)
def test_what_is_proposed_for_a_host_s_file_is_one_value_whatever_the_host_says(values: dict[str, Any]) -> None:
    clean = json.loads(json.dumps(values).encode("utf-8", "replace"))
    try:
        text = "".join(f"{line}\n" for line in block(clean))
        read = YAML(typ="safe", pure=True).load(text)
    except (YAMLError, UsageError):
        return  # the editor judges what it is about to write, and refuses it
    assert read == (clean or None)
