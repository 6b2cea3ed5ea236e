"""Which provider keeps the secrets: what the section `secrets` of the site says, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from obstack.edges.secrets.environment import EnvironmentProvider
from obstack.edges.secrets.files import FileProvider
from obstack.edges.secrets.folder import PrivateFolder
from obstack.edges.secrets.provider import SecretProvider
from obstack.edges.secrets.store import SecretStore
from obstack.model.secrets import Provider, Secrets

FOLDER: Final = "secrets"
"""The private folder, below the folder of the configuration."""


def open_secrets(configuration: Path, section: Secrets, environment: Mapping[str, str]) -> SecretStore:
    """Given the folder of the configuration, what the site says of its secrets and an environment, return the store.

    Nothing is read yet.
    """
    folder = PrivateFolder(configuration / FOLDER)
    return SecretStore(folder, _provider(configuration, section, environment, folder))


def _provider(
    configuration: Path, section: Secrets, environment: Mapping[str, str], folder: PrivateFolder
) -> SecretProvider:
    if section.provider is Provider.ENVIRONMENT:
        return EnvironmentProvider(environment)
    if section.provider is Provider.AGE:
        from obstack.edges.secrets.age import AgeProvider  # its library is only loaded where it is used

        age = section.age
        return AgeProvider(configuration / age.file, configuration / age.identity, age.recipients, folder)
    return FileProvider(folder)
