"""systemd units: the hardened base, the deviations that a service asks for, and nothing else."""

from __future__ import annotations

import pytest

from obstack.agent.wire import ReloadEntry
from obstack.model.layout import Layout, Manager
from obstack.render.hardening import BASE
from obstack.render.service import Sandbox, Service, View
from obstack.render.systemd import START_INTERVAL_S, START_LIMIT, render_systemd

SERVER = Layout(root="", manager=Manager.SYSTEMD)


def unit(**changes: object) -> dict[str, list[str]]:
    given: dict[str, object] = {"name": "x", "description": "x", "argv": ("/bin/x",), "user": "x", **changes}
    content = render_systemd(Service(**given), SERVER).content.decode()  # type: ignore[arg-type]
    settings: dict[str, list[str]] = {}
    for line in content.splitlines():
        key, equals, value = line.partition("=")
        if equals:
            settings.setdefault(key, []).append(value)
    return settings


def test_the_whole_base_is_in_every_unit_and_its_process_files_are_not_hidden() -> None:
    settings = unit()
    assert all(value in settings[key] for key, value in BASE)
    assert "ProcSubset" not in settings


def test_a_plain_service_keeps_no_capability_and_a_namespace_of_its_own() -> None:
    settings = unit()
    assert settings["CapabilityBoundingSet"] == settings["AmbientCapabilities"] == [""]
    assert settings["PrivateUsers"] == ["yes"]


def test_capabilities_are_ambient_and_rule_out_private_users() -> None:
    settings = unit(sandbox=Sandbox(capabilities=("CAP_NET_RAW",)))
    assert settings["CapabilityBoundingSet"] == settings["AmbientCapabilities"] == ["CAP_NET_RAW"]
    assert settings["PrivateUsers"] == ["no"]


@pytest.mark.parametrize(
    ("sandbox", "key", "usual", "wanted"),
    [
        (Sandbox(host_processes=True), "ProtectProc", ["invisible"], ["default"]),
        (Sandbox(host_mounts=True), "ProtectHome", ["yes"], ["read-only"]),
        (Sandbox(host_mounts=True), "PrivateTmp", ["yes"], ["no"]),
        (Sandbox(clock=True), "ProtectClock", ["yes"], ["no"]),
        (Sandbox(writable_executable_memory=True), "MemoryDenyWriteExecute", ["yes"], ["no"]),
        (Sandbox(families=("AF_UNIX",)), "RestrictAddressFamilies", ["AF_INET AF_INET6"], ["AF_UNIX"]),
        (Sandbox(devices=("/dev/kmsg",)), "PrivateDevices", ["yes"], ["no"]),
    ],
)
def test_a_deviation_changes_its_own_setting(sandbox: Sandbox, key: str, usual: list[str], wanted: list[str]) -> None:
    assert unit()[key] == usual
    assert unit(sandbox=sandbox)[key] == wanted


def test_a_loopback_service_may_speak_to_nobody_else() -> None:
    settings = unit(sandbox=Sandbox(loopback_only=True))
    assert (settings["IPAddressDeny"], settings["IPAddressAllow"]) == (["any"], ["localhost"])
    assert "IPAddressDeny" not in unit()


def test_only_its_own_data_and_what_it_asks_for_can_be_written() -> None:
    settings = unit(data="/var/lib/x", sandbox=Sandbox(writable=("/run/x",)))
    assert settings["ReadWritePaths"] == ["/var/lib/x", "/run/x"]
    assert "ReadWritePaths" not in unit()


def test_a_view_is_bound_into_an_emptied_folder() -> None:
    settings = unit(views=(View("/srv/templates", "/usr/share/prometheus"),))
    assert settings["TemporaryFileSystem"] == ["/usr/share:ro"]
    assert settings["BindReadOnlyPaths"] == ["/srv/templates:/usr/share/prometheus", "-/usr/share/zoneinfo"]


def test_a_start_that_always_fails_ends_and_a_slow_crash_is_restarted_forever() -> None:
    settings = unit()
    assert settings["StartLimitBurst"] == [str(START_LIMIT)]
    assert settings["StartLimitIntervalSec"] == [f"{START_INTERVAL_S}s"]
    quick, slow = int(settings["RestartSec"][0].rstrip("s")) + 1, START_INTERVAL_S / START_LIMIT + 5
    assert quick * START_LIMIT < START_INTERVAL_S
    assert slow * START_LIMIT > START_INTERVAL_S


def test_it_starts_after_what_it_needs_and_wants_it() -> None:
    settings = unit(after=("a", "b"))
    assert settings["After"] == ["network.target a.service b.service"]
    assert settings["Wants"] == ["a.service b.service"]


def test_checks_limits_signals_and_libraries_are_said() -> None:
    settings = unit(
        preflight=(("/bin/check", "a b"),),
        libraries=("/l/a", "/l/b"),
        environment={"GREETING": 'a "b" %h'},
        reload=ReloadEntry("signal", "HUP"),
        stop_signal="QUIT",
        stop_timeout_s=7,
        memory_max="64M",
        tasks_max=9,
        open_files=99,
    )
    assert settings["ExecStartPre"] == ['/bin/check "a b"']
    assert settings["Environment"] == ['"GREETING=a \\"b\\" %%h"', "LD_LIBRARY_PATH=/l/a:/l/b"]
    assert settings["ExecReload"] == ["/bin/kill -HUP $MAINPID"]
    assert settings["KillSignal"] == ["SIGQUIT"]
    assert settings["TimeoutStopSec"] == ["7s"]
    assert (settings["MemoryMax"], settings["TasksMax"], settings["LimitNOFILE"]) == (["64M"], ["9"], ["99"])


def test_what_runs_once_as_a_user_of_the_machine_leaves_that_users_shared_memory_alone() -> None:
    assert unit(oneshot=True, user="postgres")["RemoveIPC"] == ["no"]
    assert unit()["RemoveIPC"] == ["yes"]
