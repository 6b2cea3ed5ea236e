"""A module as its folder holds it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from obstack.model.dashboard import Dashboard
from obstack.model.module import Module, ModuleRules, Option, OptionType


@dataclass(frozen=True)
class ShippedModule:
    """Everything of one module's folder.

    `tests` is the text of `alerts.test.yaml`, `dashboard` what `dashboard.json` holds, `files` are the further files
    by name, `runbooks` the pages by alert. `folder` is where it came from, as people write it: `modules/nginx` for the
    modules that this program brings, the whole path for those of others.
    """

    module: Module
    rules: ModuleRules
    tests: str = ""
    dashboard: Dashboard | None = None
    files: Mapping[str, bytes] = field(default_factory=dict)
    runbooks: Mapping[str, str] = field(default_factory=dict)
    folder: str = ""

    @property
    def name(self) -> str:
        """The module's name."""
        return self.module.name

    @property
    def job(self) -> str:
        """The scrape job whose targets carry its series: its own, or that of the module it goes through."""
        return self.module.exporter.through or self.module.name

    @property
    def options(self) -> Mapping[str, Option]:
        """Its options by name; `port` is among them when it has an endpoint, unless its manifest describes it."""
        return options_of(self.module)


ModuleSet = Mapping[str, ShippedModule]
"""All modules that there are, by name."""

PORT: str = "port"


def options_of(module: Module) -> Mapping[str, Option]:
    """Given a module, return its options by name, the implied option `port` among them."""
    port = module.exporter.port
    if port is None or PORT in module.options:
        return module.options
    implied = Option(
        type=OptionType.PORT,
        default=port,
        description="Port at which the server scrapes it.",
        minimum=1024,
    )
    return {**module.options, PORT: implied}
