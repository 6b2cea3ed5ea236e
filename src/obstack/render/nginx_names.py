"""What the front door's files are called in the tree; every part of its configuration refers to them by these names."""

from __future__ import annotations

from typing import Final

NAME: Final = "nginx"
FOLDER: Final = "etc/nginx"
HTPASSWD: Final = f"{FOLDER}/htpasswd"
KNOWN: Final = f"{FOLDER}/known.conf"
CREDENTIALS: Final = f"{FOLDER}/gate-credentials"
AUTHORITY: Final = f"{FOLDER}/authority.pem"
