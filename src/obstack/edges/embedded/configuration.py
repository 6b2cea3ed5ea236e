"""The configuration file of a private root: written once, then the user's own; `up --port-base` moves its ports."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from obstack.agent import durable
from obstack.model.embedded import PORT_BASE, embedded_ports, embedded_settings

HEADER: Final = """\
# What `observability up` runs. Change it as you like, then run `observability up` again: only what changed is acted on.
# `observability config schema` lists every setting.
"""


def write_embedded_configuration(file: Path, port_base: int | None) -> None:
    """Write the configuration when there is none; given a port base, move the ports of the one that is there.

    What a user wrote stays, with its comments. A file that is not YAML is left alone: reading it says what is wrong.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        settings = embedded_settings(PORT_BASE if port_base is None else port_base)
        _write(file, HEADER + _dump(settings))
        return
    if port_base is not None:
        moved = _move_ports(text, port_base)
        if moved != text:
            _write(file, moved)


def _move_ports(text: str, port_base: int) -> str:
    try:
        document = _yaml().load(text)
    except YAMLError:
        return text
    if not isinstance(document, dict):
        return text
    changed = False
    for section, ports in embedded_ports(port_base).items():
        settings = document.get(section)
        if not isinstance(settings, dict):
            settings = document[section] = {}
        for setting, port in ports.items():
            changed |= settings.get(setting) != port
            settings[setting] = port
    return _dump(document) if changed else text


def _yaml() -> YAML:
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 120
    return yaml


def _dump(document: Any) -> str:
    stream = io.StringIO()
    _yaml().dump(document, stream)
    return stream.getvalue()


def _write(file: Path, text: str) -> None:
    durable.write_file(str(file), text.encode(), 0o600)
