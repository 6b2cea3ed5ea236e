"""The launcher starts the program from anywhere, lets nothing in between, and explains what it cannot do."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from obstack import __version__

CHECKOUT = Path(__file__).parents[2]
NOBODY = 65534


@pytest.fixture
def checkout() -> Iterator[Path]:
    """A checkout whose environment is complete; its folder is open, so that other users can be tried."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "checkout"
        place.mkdir()
        Path(folder).chmod(0o755)
        for name in ("observability", "obs", "requirements.lock"):
            shutil.copy2(CHECKOUT / name, place / name, follow_symlinks=False)
        shutil.copytree(CHECKOUT / "scripts", place / "scripts")
        shutil.copytree(CHECKOUT / "src", place / "src", ignore=shutil.ignore_patterns("__pycache__"))
        environment = place / ".venv"
        subprocess.run([sys.executable, "-I", "-m", "venv", "--without-pip", environment], check=True)
        shutil.copy2(CHECKOUT / "requirements.lock", environment / "requirements.lock")
        (packages,) = environment.glob("lib/python3*/site-packages")
        (packages / "test.pth").write_text(f"../../../../src\n{sysconfig.get_path('purelib')}\n")
        yield place


def run(program: Path, *arguments: str, **settings: object) -> subprocess.CompletedProcess[str]:
    options: dict[str, object] = {"capture_output": True, "text": True, "check": False, **settings}
    return subprocess.run([program, *arguments], **options)  # type: ignore[call-overload,no-any-return]


@pytest.mark.parametrize("name", ["observability", "obs"])
def test_it_starts_from_any_folder(checkout: Path, name: str, tmp_path: Path) -> None:
    done = run(checkout / name, "version", cwd=tmp_path)

    assert __version__ in done.stdout
    assert done.returncode == 0


def test_it_starts_through_links_to_links(checkout: Path, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "first").symlink_to(checkout / "obs")
    (tmp_path / "bin" / "second").symlink_to("../first")

    assert run(tmp_path / "bin" / "second", "version", cwd="/").returncode == 0
    assert (
        run(Path("second"), "version", env=os.environ | {"PATH": f"{tmp_path}/bin:{os.environ['PATH']}"}).returncode
        == 0
    )


def test_neither_the_folder_nor_the_environment_of_the_caller_gets_in(checkout: Path, tmp_path: Path) -> None:
    for module in ("click", "obstack", "json"):
        (tmp_path / f"{module}.py").write_text("raise SystemExit('a stranger was imported')")

    done = run(checkout / "obs", "version", cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(tmp_path)})

    assert done.returncode == 0, done.stderr


def test_exit_code_and_arguments_are_passed_on(checkout: Path) -> None:
    done = run(checkout / "obs", "no such command")

    assert done.returncode == 2
    assert "no such command" in done.stderr


@pytest.fixture
def no_python(tmp_path: Path) -> dict[str, str]:
    """An environment whose PATH has what the launcher needs, but no Python."""
    for tool in ("sh", "readlink", "dirname", "cmp", "flock", "mkdir", "id", "rm"):
        (tmp_path / tool).symlink_to(f"/usr/bin/{tool}")
    return {"PATH": str(tmp_path)}


def test_without_a_new_enough_python_it_says_what_to_do(checkout: Path, no_python: dict[str, str]) -> None:
    shutil.rmtree(checkout / ".venv")

    done = run(checkout / "obs", "version", env=no_python)

    assert done.returncode == 2
    assert done.stderr.startswith("error[python-too-old]")
    assert "do:" in done.stderr
    assert not (checkout / ".venv").exists()


def test_a_complete_environment_needs_no_bootstrap(checkout: Path, no_python: dict[str, str]) -> None:
    assert run(checkout / "obs", "version", env=no_python).returncode == 0


def test_an_interpreter_that_is_gone_is_noticed(checkout: Path, no_python: dict[str, str]) -> None:
    for link in (checkout / ".venv" / "bin").glob("python*"):
        link.unlink()
        link.symlink_to("/usr/bin/python3.7")

    assert "error[python-too-old]" in run(checkout / "obs", "version", env=no_python).stderr


def test_other_requirements_are_noticed(checkout: Path, no_python: dict[str, str]) -> None:
    with (checkout / "requirements.lock").open("a") as file:
        file.write("# one more\n")

    assert "error[python-too-old]" in run(checkout / "obs", "version", env=no_python).stderr


def test_a_place_that_cannot_be_written_is_explained(checkout: Path) -> None:
    shutil.rmtree(checkout / ".venv")
    checkout.chmod(0o555)
    as_nobody = ["setpriv", f"--reuid={NOBODY}", "--clear-groups"] if os.geteuid() == 0 else []

    done = subprocess.run(
        [*as_nobody, checkout / "obs", "version"],
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 2
    assert done.stderr.startswith("error[environment-unwritable]")
    assert "XDG_CACHE_HOME" in done.stderr


def test_a_complete_environment_serves_other_users(checkout: Path) -> None:
    checkout.chmod(0o555)
    as_nobody = ["setpriv", f"--reuid={NOBODY}", "--clear-groups"] if os.geteuid() == 0 else []
    interpreter = (checkout / ".venv" / "bin" / "python").resolve()
    if os.geteuid() == 0 and not interpreter.is_relative_to("/usr"):
        # An interpreter in a private folder is of no use to others; theirs would be made in their own cache.
        as_nobody = []

    done = subprocess.run([*as_nobody, checkout / "obs", "version"], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
