"""What `up` and `down` share: the private root they work on, which need not exist yet."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from obstack.cli.options import CONFIGURATION, PRIVATE_ROOT, Target
from obstack.model.layout import Layout, Manager


def root_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--root`."""
    return click.option(
        "--root",
        type=click.Path(path_type=Path, file_okay=False),
        envvar="OBSERVABILITY_ROOT",
        metavar="DIR",
        help=f"Everything lives below DIR. [default: {PRIVATE_ROOT}]",
    )(function)


def private_target(root: Path | None) -> Target:
    """Given `--root` or None for the one in the working directory, return the target."""
    place = Path(os.path.abspath(root or PRIVATE_ROOT))
    chosen_by = "--root" if root is not None else f"{PRIVATE_ROOT} in the working directory"
    return Target(Layout(str(place), Manager.SUPERVISOR), place / CONFIGURATION, None, chosen_by)
