"""The secrets of a site: a provider that keeps the values, and a private folder for what is made of them."""

from obstack.edges.secrets.choice import open_secrets
from obstack.edges.secrets.files import GATE_LOGIN
from obstack.edges.secrets.store import FileSecrets, SecretStore

__all__ = ["GATE_LOGIN", "FileSecrets", "SecretStore", "open_secrets"]
