"""Images and sandboxes: built once, whole or not at all, and with the host's network where that is asked for."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from machine.library.command import CommandFailed
from machine.library.control_group import group_of_tree
from machine.library.image import Image, ImageStore
from machine.library.sandbox import run_with_network
from machine.library.session import Machines

pytestmark = pytest.mark.machine


@pytest.fixture
def base(tmp_path: Path) -> Image:
    """A tiny image: a base needs no Debian for what is tested of the store."""
    tree = tmp_path / "base"
    tree.mkdir()
    (tree / "from-base").write_text("base")
    return Image("base", "base-digest", (tree,))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ImageStore]:
    store = ImageStore(tmp_path / "images")
    yield store
    store.close()


def writes(text: str, runs: list[str]) -> Callable[[Path], None]:
    def prepare(root: Path) -> None:
        time.sleep(0.3)
        runs.append(text)
        (root / "added").write_text(text + (root / "from-base").read_text())

    return prepare


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".lock")


def test_an_image_is_built_once_for_a_key_whoever_asks(store: ImageStore, base: Image, tmp_path: Path) -> None:
    runs: list[str] = []
    other = ImageStore(tmp_path / "images")
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda each: each.derive(base, "app", "1", writes("one", runs)), [store, other]))
    other.close()
    assert both[0] == both[1]
    assert runs == ["one"]
    assert (both[0].layers[0] / "added").read_text() == "onebase"
    assert both[0].layers[1:] == base.layers
    assert store.derive(base, "app", "2", writes("two", runs)).digest != both[0].digest
    assert runs == ["one", "two"]


def test_a_failed_build_leaves_no_image_and_no_mount(store: ImageStore, base: Image, tmp_path: Path) -> None:
    def breaks(root: Path) -> None:
        (root / "half").write_text("half")
        raise ValueError("broken preparation")

    with pytest.raises(ValueError, match="broken preparation"):
        store.derive(base, "app", "1", breaks)
    assert str(tmp_path) not in Path("/proc/self/mounts").read_text()
    built = store.derive(base, "app", "1", writes("good", []))
    assert not (built.layers[0] / "half").exists()
    assert names(tmp_path / "images") == [f"app-{built.digest}"]


KILLED = """
import os, signal, sys
from pathlib import Path
from machine.library.image import Image, ImageStore
def prepare(root):
    (root / "half").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
base = Image("base", "base-digest", (Path(sys.argv[1]),))
ImageStore(Path(sys.argv[2])).derive(base, "app", "1", prepare)
"""


def test_a_killed_build_is_cleared_away_by_the_next(store: ImageStore, base: Image, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    argv = [sys.executable, "-c", KILLED, str(base.layers[0]), str(tmp_path / "images")]
    assert subprocess.run(argv, check=False, env=environment).returncode == -signal.SIGKILL
    assert str(tmp_path) in Path("/proc/self/mounts").read_text()
    built = store.derive(base, "app", "1", writes("good", []))
    assert str(tmp_path) not in Path("/proc/self/mounts").read_text()
    assert names(built.layers[0]) == ["added"]


KILLED_AT_WORK = """
import os, signal, sys, threading, time
from pathlib import Path
from machine.library.image import Image, ImageStore
from machine.library.sandbox import run_with_network
def prepare(root):
    threading.Thread(target=run_with_network, args=(root, ["sh", "-c", "touch /begun; sleep 1000"])).start()
    while not (root / "begun").exists():
        time.sleep(0.05)
    os.kill(os.getpid(), signal.SIGKILL)
base = Image("base", "base-digest", (Path(sys.argv[1]),))
ImageStore(Path(sys.argv[2])).derive(base, "app", "1", prepare)
"""


def test_what_a_killed_build_was_running_is_ended_by_the_next(
    store: ImageStore, base: Image, minimal: Image, tmp_path: Path
) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    argv = [sys.executable, "-c", KILLED_AT_WORK, str(minimal.layers[0]), str(tmp_path / "images")]
    assert subprocess.run(argv, check=False, env=environment, timeout=60).returncode == -signal.SIGKILL
    assert group_of_tree(tmp_path).processes()
    store.derive(base, "app", "1", writes("good", []))
    assert not group_of_tree(tmp_path).processes()


def test_images_of_an_old_key_go_when_nobody_uses_them(store: ImageStore, base: Image, tmp_path: Path) -> None:
    folder = tmp_path / "images"
    user = ImageStore(folder)
    used = user.derive(base, "app", "used", writes("used", []))
    fresh = store.derive(base, "app", "fresh", writes("fresh", []))
    old = store.derive(base, "app", "old", writes("old", []))
    other = store.derive(base, "app-other", "old", writes("other", []))
    store.close()
    for image in (used, old, other):
        os.utime(image.layers[0].parent, (0, 0))
    new = store.derive(base, "app", "new", writes("new", []))
    kept = {f"{image.name}-{image.digest}" for image in (used, fresh, other, new)}
    assert set(names(folder)) == kept
    user.close()


def test_a_root_with_network_reaches_the_mirror_and_the_package_index(images: ImageStore, minimal: Image) -> None:
    """A derived image is where things come from that a machine without a way out cannot fetch."""

    def prepare(root: Path) -> None:
        run_with_network(root, ["apt-get", "update"])
        run_with_network(root, ["apt-get", "install", "--yes", "--no-install-recommends", "python3-venv"])
        run_with_network(root, ["python3", "-m", "venv", "/opt/environment"])
        run_with_network(root, ["/opt/environment/bin/pip", "install", "click"])

    derived = images.derive(minimal, f"{minimal.name}-library-test", "1", prepare)
    tree = derived.layers[0]
    assert list(tree.glob("opt/environment/lib/python3*/site-packages/click"))
    assert not (tree / "run").exists() or not list((tree / "run").iterdir())
    assert (minimal.layers[0] / "etc/resolv.conf").read_text() == ""


def test_a_derived_image_boots_with_what_was_prepared(images: ImageStore, minimal: Image, machines: Machines) -> None:
    def prepare(root: Path) -> None:
        run_with_network(root, ["sh", "-c", "echo prepared > /etc/prepared"])

    derived = images.derive(minimal, f"{minimal.name}-prepared", "1", prepare)
    machine = machines.create(derived, "mon-1")
    assert machine.succeed(["cat", "/etc/prepared"]).stdout == "prepared\n"
    assert machine.succeed(["systemctl", "is-system-running"]).stdout == "running\n"
    machine.destroy()


def test_a_command_that_fails_in_a_root_with_network_is_shown(images: ImageStore, minimal: Image) -> None:
    def prepare(root: Path) -> None:
        run_with_network(root, ["sh", "-c", "echo reason >&2; exit 5"])

    with pytest.raises(CommandFailed, match=r"(?s)exit code: 5.*reason"):
        images.derive(minimal, f"{minimal.name}-broken", "1", prepare)


def test_a_sandbox_has_the_network_users_and_daemons_but_no_systemd(machines: Machines, minimal: Image) -> None:
    sandbox = machines.sandbox(minimal, "newcomer")
    sandbox.succeed(["useradd", "--create-home", "admin"])
    sandbox.succeed(["apt-get", "update"], timeout_s=120)
    download = ["apt-get", "download", "hello"]
    sandbox.succeed(download, user="admin", directory="/home/admin")
    sandbox.succeed("ls /home/admin/hello_*.deb", user="admin")
    assert sandbox.succeed(["hostname"]).stdout == "newcomer\n"
    assert sandbox.run(["systemctl", "is-system-running"]).stdout == "offline\n"
    sandbox.succeed("setsid sleep 6161 >/dev/null 2>&1 &", user="admin")
    assert sandbox.succeed("ps -o user= -p $(pgrep -f 'sleep [6]161')").stdout == "admin\n"
    assert sandbox.processes
    sandbox.destroy()
    assert not sandbox.processes
    assert not sandbox.root.exists()


INSTALLS = "from machine.library.host import install_missing_packages, mirror; install_missing_packages(); mirror()"


def test_a_host_without_the_programs_gets_them_from_its_own_mirror(machines: Machines, minimal: Image) -> None:
    """What happens on a new machine of CI: no debootstrap, no nspawn, no package lists."""
    host = machines.sandbox(minimal, "new-host")
    host.push(Path(__file__).parent / "library", "/opt/tests/machine/library")
    host.succeed("rm -rf /var/lib/apt/lists/*")
    host.fail("command -v debootstrap || command -v systemd-nspawn")
    host.succeed(f"PYTHONPATH=/opt/tests python3 -c '{INSTALLS}'", timeout_s=300)
    host.succeed("command -v debootstrap && command -v systemd-nspawn")
    host.destroy()
