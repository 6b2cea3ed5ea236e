"""Whether a program may have a view of its own is tried, and what forbids it is named."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from obstack.edges.embedded.surroundings import LocalSurroundings

SOURCES = Path(__file__).parents[4] / "src"

TRY = """
import sys
from obstack.edges.embedded.surroundings import LocalSurroundings
from obstack.errors import CheckFailed
try:
    LocalSurroundings().demand_private_views()
except CheckFailed as error:
    print(error.code, error.do, sep="|")
else:
    print("granted")
"""


def test_this_machine_grants_private_views() -> None:
    LocalSurroundings().demand_private_views()


def test_a_machine_that_forbids_namespaces_is_told_apart_with_the_remedy() -> None:
    # The limit counts below the namespace in which it is set, so this machine is not touched. Without capabilities
    # the program is left to ask for a namespace of its own, as an ordinary user is.
    forbid = 'echo 0 > /proc/sys/user/max_user_namespaces && exec setpriv --bounding-set=-all --inh-caps=-all -- "$@"'

    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "sh", "-c", forbid, "sh", sys.executable, "-c", TRY],
        env=os.environ | {"PYTHONPATH": str(SOURCES)},
        capture_output=True,
        check=True,
        text=True,
    )

    code, _, remedy = done.stdout.strip().partition("|")
    assert code == "namespaces-forbidden"
    assert "sysctl -w user.max_user_namespaces=10000" in remedy
