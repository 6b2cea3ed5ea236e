"""What the templates of one module stand for on one host."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from obstack.catalog.modules import ResolvedModule
from obstack.catalog.modules.template import FILE, PROGRAM, Values
from obstack.errors import UsageError
from obstack.model.module import OptionType
from obstack.render.place import Place, unit_of
from obstack.render.programs import Programs

FILES: Final = "files"
"""The folder, below the module's own, of the further files that it brings."""


@dataclass(frozen=True)
class ModuleValues:
    """The values of a module's templates. `secret` has those of `open` and the secrets beside them."""

    open: Values
    secret: Values


def module_values(place: Place, resolved: ResolvedModule, programs: Programs | None) -> ModuleValues:
    """Given a module on a host, return what its templates stand for.

    Raises UsageError when an option names a secret that was not settled.
    """
    module = resolved.shipped.module
    unit = unit_of(resolved)
    etc = place.etc(unit)
    options = module.options
    hidden = {name for name, option in options.items() if option.type is OptionType.SECRET}
    port = listening_port(resolved)
    open_values: dict[str, bool | int | float | str | tuple[str, ...]] = {
        **{name: value for name, value in resolved.options.items() if name not in hidden},
        "listen": f"127.0.0.1:{port}" if module.exporter.tls == "proxy" else f":{port}",
        "port": port,
        "web_config": f"{etc}/web.yml",
        "etc": etc,
        "data": place.layout.data(unit),
        "textfile": place.textfile,
        "python": place.layout.python,
        "host": place.name,
        "address": place.host.address,
        **{f"{PROGRAM}{name}": path for name, path in (programs.paths() if programs else {}).items()},
        **{f"{FILE}{name}": f"{etc}/{FILES}/{name}" for name in resolved.shipped.files},
    }
    secrets = {name: _secret(place, str(resolved.options[name])) for name in hidden if name in resolved.options}
    return ModuleValues(open_values, {**open_values, **secrets})


def listening_port(resolved: ResolvedModule) -> int:
    """Given a module, return the port at which its exporter listens: behind the proxy it is another than the public."""
    backend = resolved.shipped.module.exporter.backend_port
    return backend if backend is not None else resolved.port


def _secret(place: Place, reference: str) -> str:
    name = reference.removeprefix("secret:")
    if name not in place.materials.secrets:
        raise UsageError(
            code="secret-missing",
            what=f"The secret {name}, which a module of {place.name} needs, has no value.",
            where=f"config/hosts/{place.name}.yaml",
            do=f"observability secrets set {name}",
            state="nothing was touched",
        )
    return place.materials.secrets[name].reveal()
