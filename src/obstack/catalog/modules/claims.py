"""What only one module of a host may have: the name of a unit with its user and folders, and the place of a link."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from obstack.catalog.modules.shipped import ShippedModule
from obstack.catalog.modules.template import fill_text, has_values
from obstack.model.host import OptionValue

SAME_ON_A_HOST: Final = {name: f"${{{name}}}" for name in ("host", "address")}
"""What stands for the same in every module of a host need not be known to tell two places apart."""


def claims(module: ShippedModule, options: Mapping[str, OptionValue]) -> Iterator[str]:
    """Given a module and its options on a host, yield in words what no other module of that host may have.

    The name of a service is also that of its user, of its folder of files and of its directory of data; a module
    without a service has a folder of its own name.
    """
    described = module.module
    name = described.service.name if described.service is not None else described.name
    yield f"the unit or folder {name}"
    if described.account is not None and options.get(described.account.option) is True:
        yield f"the unit or folder {name}-account"
    values = {**SAME_ON_A_HOST, **options}
    for file in described.files:
        if file.link is not None and has_values(file.link, values):
            yield f"the link {fill_text(file.link, values)}"
