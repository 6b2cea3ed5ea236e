"""Asks Prometheus's own tool whether a module's queries are right and its alerts behave as its tests say."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from obstack.agent.paths import Paths
from obstack.catalog.modules import ShippedModule
from obstack.content.module_tests import queries_document, rules_document, tests_document

NAME: Final = "promtool"
DEADLINE_S: Final = 120


@dataclass(frozen=True)
class Promtool:
    """The tool at `program`."""

    program: Path

    def judge(self, module: ShippedModule, tests: Mapping[str, Any]) -> str:
        """Given a module and what its tests hold, return what the tool refuses; nothing when it accepts everything."""
        documents = {
            "rules.yml": rules_document(module),
            "queries.yml": queries_document(module),
            "tests.yml": tests_document(tests, "rules.yml"),
        }
        with tempfile.TemporaryDirectory(prefix="observability-module-") as folder:
            for name, document in documents.items():
                Path(folder, name).write_text(json.dumps(document), encoding="utf-8")
            return self._refused(
                folder, "check", "rules", "--lint=all", "--lint-fatal", "rules.yml", "queries.yml"
            ) or (self._refused(folder, "test", "rules", "tests.yml"))

    def _refused(self, folder: str, *arguments: str) -> str:
        judged = subprocess.run(
            [self.program, *arguments], cwd=folder, capture_output=True, text=True, check=False, timeout=DEADLINE_S
        )
        return "" if judged.returncode == 0 else f"{judged.stdout}{judged.stderr}".strip()


def find_promtool(root: str) -> Promtool | None:
    """Given a machine's root, return the tool: of the generation in force there, else of the PATH; None without one."""
    deployed = Path(Paths(root).current, "artifacts", "prometheus")
    for place in (deployed / "usr/bin" / NAME, deployed / NAME):
        if os.access(place, os.X_OK):
            return Promtool(place)
    found = shutil.which(NAME)
    return None if found is None else Promtool(Path(found))
