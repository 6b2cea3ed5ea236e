"""Drift beside the files themselves: the folders that services reach them through."""

from __future__ import annotations

import os
import stat

from crash.world import World


def test_a_folder_that_services_cannot_enter_or_others_can_write_is_seen_and_healed(small: World) -> None:
    one = small.generation("one")
    small.apply(one)
    pids = small.pids()
    closed, open_to_all = (small.root / "etc" / name for name in ("alpha", "beta"))
    os.chmod(closed, 0o700)
    os.chmod(open_to_all, 0o777)
    if os.geteuid() == 0:
        os.chown(small.state / "current/units", 12345, 12345)
    kinds = {(item.kind, item.subject) for item in small.inspect().drift}
    assert kinds >= {("mode-changed", "etc/alpha"), ("mode-changed", "etc/beta")}
    assert os.geteuid() != 0 or ("owner-changed", "units") in kinds
    small.apply(one)
    assert [stat.S_IMODE(folder.stat().st_mode) for folder in (closed, open_to_all)] == [0o755, 0o755]
    assert small.pids() == pids
