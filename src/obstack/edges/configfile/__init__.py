"""Configuration files: YAML with the place of every key, overlays, and every problem at once in plain words."""

from obstack.edges.configfile.beginning import SECRETS_FOLDER, BeginningFolder
from obstack.edges.configfile.load import GLOBAL_FILE, FileConfigurations

__all__ = ["GLOBAL_FILE", "SECRETS_FOLDER", "BeginningFolder", "FileConfigurations"]
