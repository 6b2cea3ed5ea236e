"""Writes dashboards as files, for a Grafana that is not ours."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from obstack.agent import durable
from obstack.agent.faults import AgentError
from obstack.errors import ChangeFailed


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
