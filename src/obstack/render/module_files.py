"""The files of a module: written by serializers, placed in its folder, linked into folders of the watched service."""

from __future__ import annotations

import re
from typing import Any, Final

from obstack.agent.wire import InputEntry, LinkEntry, UnitEntry
from obstack.catalog.modules import ResolvedModule
from obstack.catalog.modules.template import Values, fill_arguments, fill_content, fill_text, has_values, names
from obstack.model.module import ABSOLUTE_PATH_PATTERN, UNIT_PATTERN, FileFormat, ModuleFile
from obstack.render.emit import (
    Directive,
    Expression,
    environment_bytes,
    ini_bytes,
    json_bytes,
    nginx_bytes,
    refuse,
    scalar_text,
    text_bytes,
    yaml_bytes,
)
from obstack.render.module_values import FILES, ModuleValues
from obstack.render.place import FOLDER, Place, unit_of
from obstack.render.programs import owner
from obstack.render.tree import RenderedFile, Rendering

WEB_CONFIG: Final = {
    "tls_server_config": {
        # Relative to the file, so that a staged tree is judged with its own certificates.
        "cert_file": "tls/certificate.pem",
        "key_file": "tls/key.pem",
        "client_auth_type": "RequireAndVerifyClientCert",
        "client_ca_file": "tls/clients.pem",
        "min_version": "TLS12",
    }
}


def render_files(place: Place, resolved: ResolvedModule, user: str, values: ModuleValues) -> Rendering:
    """Given a module on a host, its user and values, return its files with their links and the units that read them."""
    module, unit = resolved.shipped.module, unit_of(resolved)
    folder = f"{FOLDER}/{unit}"
    given = [file for file in module.files if has_values(file.link or "", values.open)]
    files = [_file(place, folder, file, user, values) for file in given]
    files += [RenderedFile(f"{folder}/{FILES}/{name}", content) for name, content in resolved.shipped.files.items()]
    if module.service is not None and has_web_config(resolved):
        files += [RenderedFile(f"{folder}/web.yml", yaml_bytes(WEB_CONFIG)), *place.tls_files(unit, user)]
    linked = [(file, file.link) for file in given if file.link is not None]
    return Rendering(
        files=tuple(files),
        links=tuple(
            LinkEntry(f"{place.layout.root}{_filled(link, ABSOLUTE_PATH_PATTERN, values)}", f"{folder}/{file.path}")
            for file, link in linked
        ),
        units=tuple(_foreign(folder, file, file.unit, values) for file, _ in linked if file.unit is not None),
    )


def has_web_config(resolved: ResolvedModule) -> bool:
    """Given a module, return whether its exporter speaks TLS itself."""
    exporter = resolved.shipped.module.exporter
    return exporter.through is None and exporter.tls == "web-config"


def _foreign(folder: str, file: ModuleFile, unit: str, values: ModuleValues) -> UnitEntry:
    inputs = (InputEntry(f"{folder}/{file.path}", file.effect),)
    check = fill_arguments(file.check, values.open)
    return UnitEntry(_filled(unit, UNIT_PATTERN, values), "", inputs=inputs, check=check)


def _filled(template: str, pattern: str, values: ModuleValues) -> str:
    """Fill the place of a link or the name of a unit; what a value made of it must have the form that it had."""
    text = fill_text(template, values.open)
    if not re.fullmatch(pattern, text) or ".." in text.split("/"):
        raise refuse("the place of a link or the name of a unit", text)
    return text


def _file(place: Place, folder: str, file: ModuleFile, user: str, values: ModuleValues) -> RenderedFile:
    path = f"{folder}/{file.path}"
    content = _content(file, values.secret if file.secret else values.open)
    if file.secret:
        return RenderedFile(path, content, 0o640, "root", owner(place.layout, user), secret=True)
    return RenderedFile(path, content)


def _content(file: ModuleFile, values: Values) -> bytes:
    if file.format is FileFormat.NGINX:
        return nginx_bytes(_directives(file.content, values))
    content = fill_content(file.content, values)
    match file.format:
        case FileFormat.YAML:
            return yaml_bytes(content)
        case FileFormat.JSON:
            return json_bytes(content)
        case FileFormat.INI:
            return ini_bytes(content)
        case FileFormat.ENVIRONMENT:
            return environment_bytes(content)
        case FileFormat.TEXT:
            return text_bytes([scalar_text(line) for line in content])


def _directives(items: Any, values: Values) -> list[Directive]:
    """Given directives as lists of words, return them filled; one that names an option not given is left out."""
    found = []
    for item in items:
        words, block = (item[:-1], item[-1]) if isinstance(item[-1], list) else (item, None)
        if all(has_values(str(word), values) for word in words):
            arguments = tuple(_word(str(word), values) for word in words[1:])
            inner = None if block is None else tuple(_directives(block, values))
            found.append(Directive(fill_text(str(words[0]), values), arguments, inner))
    return found


def _word(template: str, values: Values) -> Expression:
    """Fill one word. A dollar sign of the template itself is a variable of nginx; one from a value is refused."""
    for name in names(template):
        value = fill_text(f"${{{name}}}", values)
        if "$" in value:
            raise refuse("an nginx file", value)
    return Expression(fill_text(template, values))
