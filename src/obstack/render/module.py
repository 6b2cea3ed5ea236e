"""One module on one host: its service, files, account and gate. Everything in it is data of the module's folder."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlencode

from obstack.agent.wire import DirectoryEntry, GateEntry, InputEntry, ReloadEntry
from obstack.catalog.modules import ResolvedModule
from obstack.catalog.modules.template import Values, fill_arguments, fill_text, has_values, names
from obstack.model.module import Access, Account
from obstack.model.module import Service as ModuleService
from obstack.render import gate_files
from obstack.render.emit import refuse, text_bytes
from obstack.render.module_files import has_web_config, render_files
from obstack.render.module_values import ModuleValues, module_values
from obstack.render.place import FOLDER, TEXTFILE, Place, unit_of
from obstack.render.programs import Programs, owner, users
from obstack.render.service import Sandbox, Service
from obstack.render.sizes import megabytes, whole_seconds
from obstack.render.targets import endpoint_values
from obstack.render.tree import RenderedFile, Rendering, combine

PROXY: Final = "exporter-proxy"
# What stands in the words of a service's own client: never a quote, so that no value can end the text it stands in.
ACCOUNT_VALUE: Final = re.compile(r"^[A-Za-z0-9_.:/@%+=,-]*$")
# $0 is the file and the rest the command: the words of the script never change.
FED: Final = ("/bin/sh", "-c", 'exec "$@" <"$0"')


def render_module(place: Place, resolved: ResolvedModule) -> Rendering:
    """Given a module on a host, return what it contributes to the host, its TLS proxy excepted.

    Raises UsageError when a value cannot be written where it must go.
    """
    module = resolved.shipped.module
    programs = None
    if module.artifact is not None:
        programs = Programs(place.layout, place.materials.artifacts[module.artifact.name])
    values = module_values(place, resolved, programs)
    user = _user(resolved)
    parts = [render_files(place, resolved, user, values)]
    account = _account(place, resolved, values)
    parts.append(account)
    if module.service is not None:
        after = tuple(service.name for service in account.services)
        parts.append(_service(place, resolved, programs, values.open, after=after))
    if programs is not None:
        parts.append(Rendering(artifacts=(programs.artifact.entry,)))
    return combine(parts)


def endpoint_gate(place: Place, resolved: ResolvedModule, carrier: ResolvedModule, digest: str) -> GateEntry:
    """Given a module and the one whose endpoint carries it, return the gate that its key metric is there.

    `digest` is that of the proxy's configuration; it counts only where the proxy is in front.
    """
    exporter = carrier.shipped.module.exporter
    path, parameters = endpoint(place, carrier)
    query = f"?{urlencode(parameters)}" if parameters else ""
    params = {
        "url": f"https://127.0.0.1:{carrier.port}{path}{query}",
        "server_name": place.name,
        "authority": gate_files.AUTHORITY,
        "certificate": gate_files.CERTIFICATE,
        "key": gate_files.KEY,
        "metric": resolved.shipped.module.exporter.key_metric,
    }
    proxied = exporter.tls == "proxy"
    if proxied:
        params["digest"] = digest
    unit = PROXY if proxied and carrier.shipped.module.service is None else unit_of(carrier)
    deadline_s = whole_seconds(place.site.gates.deadline)
    return GateEntry(f"{resolved.name} answers the server only", "exporter", unit, params, deadline_s)


def endpoint(place: Place, resolved: ResolvedModule) -> tuple[str, dict[str, str]]:
    """Given a module on a host, return the path of its metrics and the URL's parameters."""
    exporter = resolved.shipped.module.exporter
    values = endpoint_values(resolved, place.name, place.host.address)
    parameters = {
        name: fill_text(text, values) for name, text in exporter.parameters.items() if has_values(text, values)
    }
    return fill_text(exporter.path, values), parameters


def writes_textfile(resolved: ResolvedModule) -> bool:
    """Given a module, return whether its service reads or writes the folder of metrics that scripts leave behind."""
    service = resolved.shipped.module.service
    if service is None:
        return False
    return service.access.textfile or any("textfile" in names(word) for word in service.command)


def _user(resolved: ResolvedModule) -> str:
    service = resolved.shipped.module.service
    return "root" if service is None or service.access.root else service.name


def _service(
    place: Place, resolved: ResolvedModule, programs: Programs | None, values: Values, *, after: tuple[str, ...]
) -> Rendering:
    module = resolved.shipped.module
    service = module.service
    if service is None:
        return Rendering()
    layout, user = place.layout, _user(resolved)
    data = layout.data(service.name) if service.data else None
    environment = {
        name: fill_text(text, values) for name, text in service.environment.items() if has_values(text, values)
    }
    account = owner(layout, user)
    file = None if service.environment_file is None else f"{place.etc(service.name)}/{service.environment_file}"
    return Rendering(
        directories=() if data is None else (DirectoryEntry(data, 0o700, account, account),),
        users=() if user == "root" else users(layout, user),
        services=(
            Service(
                name=service.name,
                description=f"{module.title}, metrics",
                argv=fill_arguments(service.command, values),
                user=user,
                data=data,
                environment=environment,
                libraries=programs.libraries if programs else (),
                after=after,
                inputs=_inputs(resolved, service, programs),
                reload=ReloadEntry("signal", "HUP") if service.reload else None,
                sandbox=_sandbox(service.access, place),
                memory_max=f"{megabytes(service.memory_max)}M",
                stop_timeout_s=10,
                follows=service.after,
                environment_file=file,
            ),
        ),
    )


def _inputs(resolved: ResolvedModule, service: ModuleService, programs: Programs | None) -> tuple[InputEntry, ...]:
    folder = f"{FOLDER}/{service.name}"
    found = [InputEntry(f"{folder}/account/", "none")]
    if has_web_config(resolved):
        # Read anew for each connection, so that a certificate is renewed without a restart.
        found += [InputEntry(f"{folder}/tls/", "none"), InputEntry(f"{folder}/web.yml", "none")]
    # What is linked into the watched service's folders is read by that service.
    files = resolved.shipped.module.files
    found += [InputEntry(f"{folder}/{file.path}", "none") for file in files if file.link is not None]
    if service.environment_file is not None:
        found.append(InputEntry(f"{folder}/{service.environment_file}", "restart"))
    found.append(InputEntry(f"{folder}/", "reload" if service.reload else "restart"))
    return (*found, programs.input) if programs else tuple(found)


def _sandbox(access: Access, place: Place) -> Sandbox:
    return Sandbox(
        families=access.families,
        capabilities=access.capabilities,
        host_processes=access.host_processes,
        host_mounts=access.host_mounts,
        clock=access.clock,
        groups=(*access.groups, *((TEXTFILE,) if access.textfile else ())),
        writable=(place.textfile,) if access.textfile else (),
        # The node exporter, another user, must be able to read what is written for it.
        umask="0022" if access.textfile else "0077",
    )


def _account(place: Place, resolved: ResolvedModule, values: ModuleValues) -> Rendering:
    module, unit = resolved.shipped.module, unit_of(resolved)
    account = module.account
    if account is None or resolved.options.get(account.option) is not True:
        return Rendering()
    folder = f"{FOLDER}/{unit}/account"
    mode, group = (0o600, "root") if account.user == "root" else (0o640, account.user)
    files = tuple(
        RenderedFile(f"{folder}/{name}", _account_text(lines, values.secret), mode, "root", group, secret=True)
        for name, lines in (("create", account.create), ("remove", account.remove))
    )
    return Rendering(files=files, services=(_account_service(place, unit, account, module.title, values.open),))


def _account_service(place: Place, unit: str, account: Account, title: str, values: Values) -> Service:
    folder = f"{place.etc(unit)}/account"
    command = fill_arguments(account.command, values)
    return Service(
        name=f"{unit}-account",
        description=f"{title}, account of the exporter",
        argv=(*FED, f"{folder}/create", *command),
        user=account.user,
        oneshot=True,
        stop=((*FED, f"{folder}/remove", *command),),
        undoes=True,
        follows=account.after,
        inputs=(
            # Read when the unit stops, and not before.
            InputEntry(f"{FOLDER}/{unit}/account/remove", "none"),
            InputEntry(f"{FOLDER}/{unit}/account/", "restart"),
        ),
        sandbox=Sandbox(families=("AF_INET", "AF_INET6", "AF_UNIX")),
        stop_timeout_s=30,
    )


def _account_text(lines: tuple[str, ...], values: Values) -> bytes:
    texts = []
    for line in lines:
        if not has_values(line, values):
            continue
        for name in names(line):
            if not ACCOUNT_VALUE.fullmatch(fill_text(f"${{{name}}}", values)):
                # The value may be a secret: only its name is told.
                raise refuse("the commands of an account, as the option", name)
        texts.append(fill_text(line, values))
    return text_bytes(texts)


def textfile_rendering(place: Place) -> Rendering:
    """Given a host, return the folder of metrics that scripts leave behind, which the members of its group write."""
    return Rendering(
        directories=(DirectoryEntry(place.textfile, 0o775, "root", owner(place.layout, TEXTFILE)),),
        users=users(place.layout, TEXTFILE),
    )
