"""The Python libraries that this program runs on, as they are installed: names, versions and licences."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Final

from obstack.catalog.licences import Licence
from obstack.catalog.parts import Part, python_part

OURS: Final = "observability-stack"
LOCK: Final = Path(__file__).parents[3] / "requirements.lock"
_NAME: Final = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)")
_CLASSIFIER: Final = "License :: OSI Approved :: "


def installed_parts() -> tuple[Part, ...]:
    """Return the libraries that this program runs on, in order of their names."""
    try:
        pending = list(_names(metadata.requires(OURS) or ()))
    except metadata.PackageNotFoundError:  # it runs from a checkout, whose lock names them
        pending = list(_names(LOCK.read_text(encoding="utf-8").splitlines() if LOCK.is_file() else ()))
    found: dict[str, Part] = {}
    while pending:
        name = pending.pop()
        if name in found:
            continue
        try:
            distribution = metadata.distribution(name)
        except metadata.PackageNotFoundError:  # for another version of Python, or another system
            continue
        found[name] = python_part(distribution.metadata["Name"], distribution.version, _licence(distribution))
        pending += _names(distribution.requires or ())
    return tuple(sorted(found.values()))


def _names(requirements: Iterable[str]) -> Iterator[str]:
    for line in requirements:
        match = _NAME.match(line)
        if match and "extra ==" not in line:
            yield re.sub(r"[-_.]+", "-", match[1]).lower()


def _licence(distribution: metadata.Distribution) -> Licence:
    known = distribution.metadata
    expression = (known.get_all("License-Expression") or [""])[0]
    if expression:
        return Licence(expression)
    text = (known.get_all("License") or [""])[0].strip()
    if text and "\n" not in text and len(text) < 80:
        return Licence(note=text)
    classifiers = [line.removeprefix(_CLASSIFIER) for line in known.get_all("Classifier") or () if _CLASSIFIER in line]
    return Licence(note=", ".join(classifiers) or "its metadata name no licence")
