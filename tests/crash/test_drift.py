"""Drift beside the files themselves: the folders that services reach them through."""

from __future__ import annotations

import os
import stat

from crash.world import KEY, WORKER, World
from obstack.agent import wire
from obstack.ports import Contents


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


def test_a_folder_in_the_place_of_a_file_gives_way_and_what_is_in_it_is_kept(small: World) -> None:
    one = small.generation("one")
    small.apply(one)
    place = small.root / "etc/alpha/alpha.conf"
    place.unlink()
    (place / "deeper").mkdir(parents=True)
    (place / "deeper/note").write_text("made by hand\n")
    reply = small.apply(one)
    assert reply.outcome == "committed"
    aside = small.state / "transactions" / str(reply.data["transaction"]) / "aside/etc/alpha"
    assert (aside / "alpha.conf/deeper/note").read_text() == "made by hand\n"


def test_a_unit_file_changed_by_hand_is_kept_and_the_old_one_of_a_change_is_not(small: World) -> None:
    small.apply(small.generation("one"))
    unit = small.root / "etc/supervisor/conf.d/alpha.conf"
    edited = unit.read_text() + "priority=5\n"
    unit.write_text(edited)
    changed = small.apply(small.generation("two", version=2, program=WORKER.format(version=2)))
    kept = [
        path.relative_to(small.state / "transactions" / str(changed.data["transaction"]) / "aside")
        for path in (small.state / "transactions").rglob("aside/units/*")
    ]
    assert [str(path) for path in kept] == ["units/alpha.conf"]
    assert (small.state / "transactions" / str(changed.data["transaction"]) / "aside" / kept[0]).read_text() == edited


def test_units_that_a_failed_way_back_left_behind_are_acted_on_by_the_next_run(small: World) -> None:
    one = small.generation("one")
    small.apply(one)
    two = small.generation("two", version=2, gate="red")
    definition = small.root / "etc/supervisor/conf.d/beta.conf"

    def obstruct(event: wire.Event) -> None:
        if (event.step, event.state) == ("gate", "started"):
            definition.unlink()
            definition.mkdir()

    request = wire.Request("apply", manifest=two.manifest)
    reply = small.channel().ask(request, Contents(blobs=two.blobs), obstruct)
    assert reply.fault is not None and reply.fault.exit_code == 4
    definition.rmdir()
    refused = small.generation("three", checks=(wire.CheckEntry("never", ("false",)),))
    assert small.ask("apply", refused).outcome == "refused"
    small.apply(one)
    assert small.ask("apply", one).outcome == "unchanged"


def test_secret_files_whose_key_is_lost_count_as_changed_until_it_is_there_again(small: World) -> None:
    one = small.generation("one")
    small.apply(one)
    pids = small.pids()
    key = small.state / "store/blobs" / one.manifest.key
    key.unlink()
    assert {item.subject for item in small.inspect().drift} == {"etc/alpha/secret", "etc/beta/secret"}
    small.apply(one)
    assert key.read_bytes() == KEY
    assert small.ask("apply", one).outcome == "unchanged"
    assert small.pids() == pids
