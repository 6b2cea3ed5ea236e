"""Runs the engines on machines of their own and measures wall time, and processor time of controller and targets."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.incumbents import ansible
from bench.incumbents.endstate import PACKAGES, PROGRAM, USERS, EndState, end_state
from bench.incumbents.ours import Plan
from bench.measure import CHECKOUT, Row
from machine.library.control_group import ControlGroup
from machine.library.host import CACHE, install_missing_packages, locked
from machine.library.image import Image, ImageStore
from machine.library.machine import Machine
from machine.library.sandbox import run_with_network
from machine.library.session import Machines, Session
from obstack.agent import wire
from obstack.catalog.components import Component, Package
from obstack.cli.progress import QuietReporter
from obstack.edges.cache import ArtifactCache
from obstack.edges.debian.apt import own_architecture
from obstack.edges.debian.packages import DebianPackages
from obstack.model.components import ArtifactChoice

SUITE: Final = "trixie"
REQUIREMENTS: Final = CHECKOUT / "tests/bench/incumbents/requirements.txt"
COUNTS: Final = (1, 10)
HERE: Final = Path(__file__).parent

# What the issue of the fleet asks of a run that changes nothing, and of the first apply.
FLOOR_FACTOR: Final = 1.5
TEN_HOSTS_S: Final = 4.0
CHEAPER_THAN_ANSIBLE: Final = 50
CHEAPER_THAN_PYINFRA: Final = 10
FIRST_CHEAPER_THAN_PYINFRA: Final = 5


@dataclass(frozen=True)
class Cost:
    """What one run cost: seconds of wall time, and of processor time of the controller and of all targets."""

    wall_s: float
    controller_s: float
    targets_s: float

    @property
    def cpu_s(self) -> float:
        """All processor time."""
        return self.controller_s + self.targets_s


@dataclass(frozen=True)
class Site:
    """Booted machines that ssh reaches, and what an engine needs to work on them."""

    machines: Sequence[Machine]
    folder: Path
    identity: Path
    known_hosts: Path
    state: EndState
    plan: Plan
    controller: ControlGroup

    @property
    def hosts(self) -> dict[str, str]:
        """The machines' addresses by name."""
        return {machine.hostname: machine.address for machine in self.machines}

    def measure(self, argv: Sequence[str | Path], **environment: str) -> Cost:
        """Given a command of the controller, run it, which must succeed, and return what it cost."""
        spent = self._spent()
        began = time.perf_counter()
        command = self.controller.entered([str(word) for word in argv], "run")
        log = self.folder / "log"
        with log.open("ab") as output:
            subprocess.run(
                command,
                check=True,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, "ANSIBLE_CONFIG": str(self.folder / "ansible.cfg"), **environment},
            )
        wall = time.perf_counter() - began
        each = [now - before for now, before in zip(self._spent(), spent, strict=True)]
        return Cost(wall, each[0], sum(each[1:]))

    def _spent(self) -> list[float]:
        return [self.controller.processor_s(), *(machine.processor_s for machine in self.machines)]


def rows() -> Iterator[Row]:
    """Measure every engine on one machine and on ten."""
    install_missing_packages()
    programs = _programs()
    session, images = Session(), ImageStore()
    session.open()
    try:
        for count in COUNTS:
            yield from _compare(session, images, programs, count)
    finally:
        images.close()
        session.close()


Run = Callable[[Site], Cost]


def _compare(session: Session, images: ImageStore, programs: Path, count: int) -> Iterator[Row]:
    engines: Mapping[str, Run] = {
        "this project": _ours,
        "pyinfra": lambda site: _pyinfra(site, programs),
        "ansible-core": lambda site: _ansible(site, programs),
    }
    on = "1 host" if count == 1 else f"{count} hosts"
    first: dict[str, Cost] = {}
    unchanged: dict[str, Cost] = {}
    floor: Cost | None = None
    resources = 0
    for name, run in engines.items():
        with _site(session, images, count) as site:
            first[name] = run(site)
            resources = site.state.resources
            # The engine that is quick enough is measured more often; the others take minutes.
            costs = [run(site) for _ in range(5 if name == "this project" else 1)]
            unchanged[name] = min(costs, key=lambda cost: cost.wall_s)
            if floor is None and count == 1:
                floor = min((_floor(site) for _ in range(5)), key=lambda cost: cost.wall_s)
    if floor is not None:
        yield _row("the floor: one process that looks at everything", on, floor)
    for name, cost in first.items():
        ratio = _cheaper(first, name)
        yield _row(f"first apply, {resources} resources and checks: {name}", on, cost, note=ratio)
    for name, cost in unchanged.items():
        target = None
        if name == "this project":
            target = ("wall_s", floor.wall_s * FLOOR_FACTOR if floor is not None else TEN_HOSTS_S)
        yield _row(f"apply that changes nothing: {name}", on, cost, target, _cheaper(unchanged, name))
    yield from _ratios(first, unchanged, on)


def _ratios(first: Mapping[str, Cost], unchanged: Mapping[str, Cost], on: str) -> Iterator[Row]:
    """Compare processor time, for which it matters least what else the machine does."""
    ours = "this project"
    for what, costs, other, factor in (
        ("first apply", first, "pyinfra", FIRST_CHEAPER_THAN_PYINFRA),
        ("apply that changes nothing", unchanged, "pyinfra", CHEAPER_THAN_PYINFRA),
        ("apply that changes nothing", unchanged, "ansible-core", CHEAPER_THAN_ANSIBLE),
    ):
        most = costs[other].cpu_s / factor
        note = f"{costs[other].cpu_s / costs[ours].cpu_s:.0f} times cheaper than {other}; wanted {factor}"
        yield Row(f"{what}: processor time beside {other}", on, {"cpu_s": costs[ours].cpu_s}, ("cpu_s", most), note)


def _row(what: str, on: str, cost: Cost, target: tuple[str, float] | None = None, note: str = "") -> Row:
    spent = f"controller {cost.controller_s:.2f} s, targets {cost.targets_s:.2f} s"
    return Row(what, on, {"wall_s": cost.wall_s, "cpu_s": cost.cpu_s}, target, f"{spent}{'; ' if note else ''}{note}")


def _cheaper(costs: Mapping[str, Cost], name: str) -> str:
    ours = costs["this project"]
    return "" if name == "this project" else f"{costs[name].cpu_s / ours.cpu_s:.0f} times our processor time"


def _ours(site: Site) -> Cost:
    plan = site.folder / "plan.pickle"
    plan.write_bytes(pickle.dumps(site.plan))
    path = f"{CHECKOUT / 'src'}:{CHECKOUT / 'tests'}"
    return site.measure([sys.executable, "-m", "bench.incumbents.ours", plan], PYTHONPATH=path)


def _ansible(site: Site, programs: Path) -> Cost:
    words = ansible.prepare(site.folder, site.state, site.hosts, site.identity, site.known_hosts)
    return site.measure([programs / "ansible-playbook", *words])


def _pyinfra(site: Site, programs: Path) -> Cost:
    state = {
        "users": list(USERS),
        "packages": list(PACKAGES),
        "directories": site.state.directories,
        "files": [
            {"path": file.path, "content": file.content, "owner": file.owner, "mode": f"{file.mode:o}"}
            for file in site.state.files
        ],
        "units": {name: text.format(program=f"/{PROGRAM}") for name, text in site.state.units.items()},
        "checks": list(site.state.checks),
    }
    (site.folder / "state.json").write_text(json.dumps(state))
    data = {"ssh_user": "root", "ssh_key": str(site.identity), "ssh_known_hosts_file": str(site.known_hosts)}
    data["ssh_strict_host_key_checking"] = "off"
    inventory = [(address, data) for address in site.hosts.values()]
    (site.folder / "inventory.py").write_text(f"hosts = {inventory!r}\n")
    shutil.copy(HERE / "pyinfra_deploy.py", site.folder / "deploy.py")
    words = ["--yes", "--parallel", "10", "inventory.py", "deploy.py"]
    return site.measure([programs / "pyinfra", *words], BENCH_STATE=str(site.folder / "state.json"))


def _floor(site: Site) -> Cost:
    units = [f"{name}.service" for name in site.state.units]
    looked_at = [file.path for file in site.state.files]
    question = json.dumps({"files": looked_at, "units": units, "checks": list(site.state.checks)})
    script = site.folder / "floor.sh"
    options = f"-o UserKnownHostsFile={site.known_hosts} -o StrictHostKeyChecking=no -o BatchMode=yes"
    target = site.folder / "floor.json"
    target.write_text(question + "\n")
    script.write_text(
        f"exec ssh -i {site.identity} {options} root@{site.machines[0].address} "
        f"python3 -I -S /root/floor.py < {target}\n"
    )
    site.machines[0].push(HERE / "floor.py", "/root/floor.py")
    return site.measure(["sh", script])


@contextmanager
def _site(session: Session, images: ImageStore, count: int) -> Iterator[Site]:
    """Boot machines of the engine's own, with a key of ours, and a folder to work in."""
    machines: Machines = session.machines()
    controller = ControlGroup("bench-controller")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        identity = folder / "key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", identity], check=True)
        controller.create()
        try:
            booted = machines.create_all(_image(images), [f"web-{number}" for number in range(1, count + 1)])
            key = (folder / "key.pub").read_text()
            for machine in booted:
                machine.write("/root/.ssh/authorized_keys", key)
                machine.succeed("chmod 700 /root/.ssh; systemctl start ssh")
            known_hosts = folder / "known_hosts"
            state = end_state()
            artifacts, files = _artifacts()
            hosts = {machine.hostname: machine.address for machine in booted}
            plan = Plan(state, artifacts, files, hosts, identity, known_hosts, folder / "agent")
            yield Site(booted, folder, identity, known_hosts, state, plan, controller)
        finally:
            machines.destroy()
            controller.remove()


def _artifacts() -> tuple[tuple[wire.ArtifactEntry, ...], dict[str, Path]]:
    """Return the packages as this project takes them, and the files of their archives by digest."""
    cache = ArtifactCache(CACHE / "artifacts")
    source = DebianPackages(CACHE / "artifacts" / "apt", cache, QuietReporter())
    entries, files = [], {}
    for name in PACKAGES:
        component = Component(name, (Package(name, ("usr/bin",)),), {name: (f"usr/bin/{name}",)})
        artifact = source.resolve(component, ArtifactChoice(suite=SUITE), own_architecture())
        source.fetch((artifact,))
        entries.append(artifact.entry)
        for archive in artifact.archives:
            place = cache.find(archive.entry)
            if place is None:
                raise RuntimeError(f"{archive.entry.name} was not fetched")
            files[archive.entry.digest] = place
    return tuple(entries), files


def _image(images: ImageStore) -> Image:
    """Return a Debian whose apt has the packages at hand, and on which the packages' own services never start."""

    def prepare(root: Path) -> None:
        packages = " ".join(PACKAGES)
        mask = " ".join(f"{name}.service {name}.socket" for name in PACKAGES)
        install = "apt-get install --yes --no-install-recommends"
        # Ansible's module for apt needs python3-apt, which it would else install itself at its first run.
        script = f"apt-get update; {install} python3-apt; {install} --download-only {packages}; systemctl mask {mask}"
        run_with_network(root, ["sh", "-ec", f"export DEBIAN_FRONTEND=noninteractive; {script}"])

    key = hashlib.sha256(json.dumps([*PACKAGES, "python3-apt"]).encode()).hexdigest()
    return images.derive(images.base(SUITE), f"{SUITE}-comparison", key, prepare)


def _programs() -> Path:
    """Return the folder of the other engines' programs, installed into an environment outside the checkout."""
    folder = CACHE / "incumbents"
    done = folder / REQUIREMENTS.name
    with locked(CACHE / "incumbents.lock"):
        if not done.exists() or done.read_bytes() != REQUIREMENTS.read_bytes():
            shutil.rmtree(folder, ignore_errors=True)
            subprocess.run([sys.executable, "-m", "venv", folder], check=True)
            subprocess.run([folder / "bin/pip", "install", "--quiet", "-r", REQUIREMENTS], check=True)
            shutil.copy(REQUIREMENTS, done)
    return folder / "bin"
