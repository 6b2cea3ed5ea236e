"""What a rule is: typed values that each metrics engine's document is made from."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Severity(StrEnum):
    """How soon a person must look: at once, today, when there is time, or never (a sign of life)."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"
    NONE = "none"


@dataclass(frozen=True)
class Alert:
    """One alerting rule. `hold` is how long the expression must hold before anybody is told.

    `labels` are added to those of the expression. `summary` and `description` may use the engine's `{{ $labels.x }}`
    and `{{ $value }}`. The runbook is `runbook`, or docs/runbooks/<name>.md where that is empty.
    """

    name: str
    expression: str
    hold: str
    severity: Severity
    summary: str
    description: str
    labels: dict[str, str] = field(default_factory=dict)
    runbook: str = ""

    def document(self) -> dict[str, Any]:
        """Return the rule as Prometheus reads it."""
        return {
            "alert": self.name,
            "expr": self.expression,
            "for": self.hold,
            "labels": {"severity": self.severity.value} | self.labels,
            "annotations": {
                "summary": self.summary,
                "description": self.description,
                "runbook": self.runbook or f"docs/runbooks/{self.name}.md",
            },
        }


@dataclass(frozen=True)
class Recording:
    """One recording rule: an expression worth computing once."""

    name: str
    expression: str

    def document(self) -> dict[str, Any]:
        """Return the rule as Prometheus reads it."""
        return {"record": self.name, "expr": self.expression}


@dataclass(frozen=True)
class Group:
    """Rules that are evaluated together, in order."""

    name: str
    rules: tuple[Alert | Recording, ...]

    def document(self) -> dict[str, Any]:
        """Return the group as Prometheus reads it."""
        return {"name": self.name, "rules": [rule.document() for rule in self.rules]}
