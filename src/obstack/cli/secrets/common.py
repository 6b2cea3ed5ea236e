"""What the commands about secrets share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from obstack.cli.composition import configurations, load_modules, site_secrets
from obstack.cli.host.common import read_configuration
from obstack.cli.options import Target
from obstack.edges.secrets import SecretStore
from obstack.errors import UsageError
from obstack.model.secrets import Credential
from obstack.model.site import Site
from obstack.operations.secrets import Use, uses_of


@dataclass(frozen=True)
class SiteUse:
    """A site, where its secrets are kept, and who uses each, by its name."""

    site: Site
    store: SecretStore
    uses: Mapping[str, tuple[Use, ...]]


def read_uses(target: Target) -> SiteUse:
    """Given a target, return who uses which secret. The values are not read, and need not be there.

    Raises ConfigurationError when the form of the configuration is not valid.
    """
    site = read_configuration(target).site
    modules = load_modules(target, site) if site.hosts else {}
    return SiteUse(site, site_secrets(target, site), uses_of(site, modules))


def names_everywhere(target: Target) -> tuple[str, ...]:
    """Given a target, return the names that the base or any environment refers to, as far as these can be read."""
    files = configurations(target)
    found: set[str] = set()
    for environment in (None, *files.environments()):
        legible = files.examine(environment).legible
        if legible is not None:
            modules = load_modules(target, legible.site) if legible.site.hosts else {}
            found |= uses_of(legible.site, modules).keys()
    return tuple(sorted(found))


def refuse_credential(site: Site, name: str) -> None:
    """Raise UsageError, saying what to type there, for a secret that only the server's systemd has."""
    credential = site.secrets.credentials.get(name)
    if credential is None:
        return
    where = f"/etc/credstore.encrypted/{name}"
    do = (
        f"on {site.server.name}, as root: systemd-creds encrypt --name={name} - {where}    then: systemctl restart UNIT"
    )
    if credential is Credential.PLAIN:
        where = f"/etc/credstore/{name}"
        do = f"on {site.server.name}, as root: install -d -m 700 /etc/credstore; (umask 077; cat > {where})"
    raise UsageError(
        code="secret-on-server",
        what=f"The secret {name} is a credential of the server's systemd; its value is not known here.",
        where=f"{site.server.name}, {where}",
        state="nothing was touched",
        do=do,
    )
