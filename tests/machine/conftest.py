"""Fixtures of the tests on real machines. The library beside is described in docs/how-to/test-machines.md."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from machine.library.host import install_missing_packages
from machine.library.image import Image, ImageStore
from machine.library.machine import Machine
from machine.library.sandbox import run_with_network
from machine.library.session import Machines, Session
from machine.server import Server, program_image

SUITES = ("bookworm", "trixie")
"""Debian 12 and 13."""


@pytest.fixture(scope="session")
def session() -> Iterator[Session]:
    install_missing_packages()
    session = Session()
    session.open()
    yield session
    session.close()


@pytest.fixture(scope="session")
def images(session: Session) -> Iterator[ImageStore]:
    store = ImageStore()
    yield store
    store.close()


@pytest.fixture(scope="session")
def minimal_images(images: ImageStore) -> Mapping[str, Image]:
    """The minimal image of each suite. Both are built at the same time: most of it is waiting for the mirror."""
    with ThreadPoolExecutor(len(SUITES)) as pool:
        return dict(zip(SUITES, pool.map(images.base, SUITES), strict=True))


@pytest.fixture(scope="module", params=SUITES)
def suite(request: pytest.FixtureRequest) -> str:
    """Each Debian suite in turn."""
    return str(request.param)


@pytest.fixture(scope="module")
def minimal(suite: str, minimal_images: Mapping[str, Image]) -> Image:
    """The minimal image of the suite."""
    return minimal_images[suite]


@pytest.fixture(scope="module")
def machines(session: Session) -> Iterator[Machines]:
    """Makes machines that live as long as the tests of the module."""
    machines = session.machines()
    yield machines
    machines.destroy()


@pytest.fixture(scope="module")
def machine(machines: Machines, minimal: Image) -> Iterator[Machine]:
    """One booted machine of the suite for the tests of the module."""
    machine = machines.create(minimal, "web-1")
    yield machine
    machine.destroy()


@pytest.fixture(scope="session")
def program_images(images: ImageStore, minimal_images: Mapping[str, Image]) -> Mapping[str, Image]:
    """The image of each suite with this program's packages and the archives it deploys."""
    with ThreadPoolExecutor(len(SUITES)) as pool:
        made = pool.map(lambda suite: program_image(images, minimal_images[suite]), SUITES)
        return dict(zip(SUITES, made, strict=True))


@pytest.fixture(scope="module")
def bare_server(machines: Machines, suite: str, program_images: Mapping[str, Image]) -> Iterator[Server]:
    """A machine of the suite with the program on it and nothing deployed, for the tests of the module."""
    server = Server(machines.create(program_images[suite], "mon-1"))
    yield server
    server.machine.destroy()


@pytest.fixture(scope="module")
def server(machines: Machines, program_images: Mapping[str, Image]) -> Iterator[Server]:
    """A Debian 13 with the stack running on it, for the tests of the module."""
    server = Server(machines.create(program_images["trixie"], "mon-1"))
    server.set_up()
    yield server
    server.machine.destroy()


@pytest.fixture(scope="session")
def sudo_image(images: ImageStore, minimal_images: Mapping[str, Image]) -> Image:
    """A Debian 13 with sudo and two users: `admin` may become root without a password, `guest` may not."""
    users = "".join(
        f"useradd --create-home --shell /bin/bash {name}; install -d -o {name} -m 700 /home/{name}/.ssh\n"
        for name in ("admin", "guest")
    )
    rule = "echo 'admin ALL=(root) NOPASSWD: ALL' > /etc/sudoers.d/admin\n"
    script = f"apt-get update; apt-get install --yes --no-install-recommends sudo; apt-get clean\n{users}{rule}"

    def prepare(root: Path) -> None:
        run_with_network(root, ["sh", "-ec", script])

    return images.derive(minimal_images["trixie"], "trixie-sudo", script, prepare)
