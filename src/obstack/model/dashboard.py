"""The neutral form of a dashboard: what to show, not how one engine draws it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints

from obstack.model.base import Section
from obstack.model.scalars import Text, visible


class Thresholds(Section):
    """From where on a value asks for attention, and from where on for action."""

    warning: float | None = Field(default=None, description="From here on it asks for attention.", examples=[0.8])
    critical: float | None = Field(default=None, description="From here on it asks for action.", examples=[0.95])
    worse: Literal["above", "below"] = Field(
        default="above", description="On which side of them it is worse.", examples=["above"]
    )


class Panel(Section):
    """One panel: a query and how its result is shown."""

    title: Text = Field(description="What it shows.", examples=["Requests a second"])
    description: Text = Field(description="What to read from it.", examples=["A fall to zero means that nobody comes."])
    kind: Literal["line", "number", "state", "table"] = Field(
        description="line: its course. number: its last value. state: 1 is well, 0 is not. table: the last values.",
        examples=["line"],
    )
    unit: Annotated[str, StringConstraints(pattern=r"^[a-z]+(/(s|min|h|d))?$")] = Field(
        default="none",
        description="none, ratio, seconds, bytes, bytes/s, time (seconds since 1970), or a noun such as requests/s.",
        examples=["requests/s"],
    )
    expr: Annotated[str, StringConstraints(min_length=1, max_length=2048), AfterValidator(visible)] = Field(
        description="PromQL; its series keep the label host, by which the dashboard is narrowed down to one host.",
        examples=["rate(nginx_http_requests_total[5m])"],
    )
    legend: Annotated[str, StringConstraints(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$")] | None = Field(
        default=None,
        description="Label that tells the series of one host apart.",
        examples=["mountpoint"],
    )
    thresholds: Thresholds | None = Field(
        default=None,
        description="From where on its value is bad; a state needs none.",
        examples=[{"warning": 0.8, "critical": 0.95}],
    )


class Dashboard(Section):
    """The whole of `dashboard.json`."""

    title: Text = Field(description="Its title.", examples=["nginx"])
    panels: tuple[Panel, ...] = Field(
        min_length=1, description="Its panels, the most telling first.", examples=[[{"title": "Answers"}]]
    )
