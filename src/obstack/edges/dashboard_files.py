"""Dashboards as files: those that are written for a Grafana, and those of the site's own, which are read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from obstack.agent import durable
from obstack.agent.faults import AgentError
from obstack.errors import WHOLE_FILE, ChangeFailed, ConfigurationError, Problem
from obstack.model.scalars import MEANINGS, NAME_PATTERN

FOLDER: Final = "dashboards"
"""Below the folder of the configuration."""
LARGEST: Final = 2 * 1024 * 1024
_UID: Final = re.compile(r"[A-Za-z0-9_-]{1,40}")
OURS: Final = "obs-"
"""How the identities of our own dashboards begin."""


def write_dashboards(folder: Path, documents: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
    """Given a folder and Grafana's documents by name, write NAME.json for each, replacing it; return the paths.

    Raises ChangeFailed when one cannot be written.
    """
    written = []
    try:
        durable.make_directory(str(folder.absolute()))
        for name, document in documents.items():
            file = folder / f"{name}.json"
            text = json.dumps(document, indent=2, ensure_ascii=False)
            durable.write_file(str(file.absolute()), f"{text}\n".encode(), 0o644)
            written.append(str(file))
    except AgentError as error:
        raise ChangeFailed(
            code=error.code, what=error.what, where=error.where, do=error.do, state=error.state, detail=error.detail
        ) from error
    return tuple(written)


def read_dashboards(configuration: Path) -> dict[str, dict[str, Any]]:
    """Given the folder of the configuration, return Grafana's documents in its `dashboards/`, by name.

    Raises ConfigurationError with all problems of all files.
    """
    found: dict[str, dict[str, Any]] = {}
    problems: list[Problem] = []
    for file in sorted((configuration / FOLDER).glob("*.json")):
        document, fault = _read(file)
        if fault is None and document is not None:
            found[file.stem] = document
            problems += _faults(file, document, found)
        else:
            problems.append(_problem(file, *(fault or ("cannot be read", f"ls -l {file}"))))
    if problems:
        raise ConfigurationError(problems, do="correct these files, or move them out of the folder")
    return found


def _read(file: Path) -> tuple[dict[str, Any] | None, tuple[str, str] | None]:
    """Return the document of a file, or what is wrong with it and what to do."""
    try:
        if file.is_symlink() or not file.is_file() or file.stat().st_size > LARGEST:
            return None, (f"is not a regular file of at most {LARGEST} bytes", f"ls -l {file}")
        document = json.loads(file.read_bytes())
    except OSError as error:
        return None, (f"cannot be read: {error.strerror}", f"ls -l {file}    and correct its permissions")
    except (ValueError, RecursionError) as error:
        return None, (f"is not JSON: {error}", f"python3 -m json.tool {file}")
    if not isinstance(document, dict):
        return None, ("is not a dashboard: its content is no JSON object", "Export it from Grafana anew.")
    return document, None


def _faults(file: Path, document: Mapping[str, Any], found: Mapping[str, Mapping[str, Any]]) -> Iterator[Problem]:
    if not re.fullmatch(NAME_PATTERN, file.stem):
        yield _problem(file, f"has a name that is not {MEANINGS[NAME_PATTERN]}", "Rename it.")
    uid, title = document.get("uid"), document.get("title")
    if not isinstance(uid, str) or not _UID.fullmatch(uid):
        yield _problem(file, "has no uid of at most 40 letters, digits, hyphens and underscores", 'Write "uid": "…".')
    elif uid.startswith(OURS) and uid != f"{OURS}{file.stem}":
        yield _problem(file, f"has the uid {uid}, which is that of another dashboard", "Give it another uid.")
    elif any(other.get("uid") == uid for name, other in found.items() if name != file.stem):
        yield _problem(file, f"has the uid {uid}, as another file has", "Give one of them another uid.")
    if not isinstance(title, str) or not title:
        yield _problem(file, "has no title", 'Write "title": "…".')


def _problem(file: Path, message: str, remedy: str) -> Problem:
    return Problem(str(file), 0, 0, WHOLE_FILE, message, remedy)
