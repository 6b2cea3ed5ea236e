"""Everything a generation needs outside the state folder: users, directories, links and unit definitions.

One idempotent function, `converge`, makes the outside fit a generation, or nothing at all; apply, rollback, healing
and recovery all use it. What is ours is known from the ledger; what is not ours is never touched, and what stands in
the way is found before anything is changed.
"""

from __future__ import annotations

import grp
import os
import pwd
import stat
import subprocess
from dataclasses import dataclass

from obstack.agent import accounts, durable, trusted, wire
from obstack.agent.faults import CHANGE_FAILED, AgentError
from obstack.agent.ledger import Ledger
from obstack.agent.machine import Machine
from obstack.agent.stage import owned
from obstack.agent.store import file_digest

STAMPS = "/var/lib/systemd/timers"


@dataclass(frozen=True)
class Wanted:
    """What must be outside: `links` by path with their text, `definitions` by path with their source in the tree."""

    links: dict[str, str]
    definitions: dict[str, str]


def wanted(machine: Machine, manifest: wire.Manifest | None) -> Wanted:
    """Given a manifest, or None for nothing at all, return the links and unit definitions that must be outside."""
    if manifest is None:
        return Wanted({}, {})
    manager = machine.manager(manifest)
    links = {link.path: machine.paths.link_text(link) for link in manifest.links}
    definitions = {}
    for unit in manifest.units:
        if unit.file:
            definitions[manager.definition_path(unit)] = unit.file
            enable = manager.enable_link(unit)
            if enable is not None:
                links[enable[0]] = enable[1]
    return Wanted(links, definitions)


def conflicts(machine: Machine, manifest: wire.Manifest) -> list[str]:
    """Return what stands where the generation must put something and is not ours; empty when the way is free."""
    ledger = machine.ledger()
    goal = wanted(machine, manifest)
    found = []
    for path, text in goal.links.items():
        if _is_real_directory(path):
            found.append(f"{path} is a directory; a link of ours belongs there")
        elif os.path.lexists(path) and not ledger.has("link", path) and link_text(path) != text:
            found.append(f"{path} exists and was not made by this program")
    for path in goal.definitions:
        if os.path.isdir(path):
            found.append(f"{path} is a directory; a unit definition belongs there")
        elif os.path.lexists(path) and not ledger.has("unit", path):
            found.append(f"{path} exists and was not made by this program")
    for directory in manifest.directories:
        if os.path.lexists(directory.path) and not os.path.isdir(directory.path):
            found.append(f"{directory.path} exists and is not a directory")
    return found


def refuse_links(manifest: wire.Manifest) -> None:
    """Raise AgentError `path-unsafe` when a directory of the generation is reached through a link of another user."""
    for directory in manifest.directories:
        trusted.resolved(directory.path)


def refuse_conflicts(machine: Machine, manifest: wire.Manifest) -> None:
    """Raise AgentError `occupied` when something that is not ours stands in the way."""
    found = conflicts(machine, manifest)
    if found:
        first = found[0].split(" ", 1)[0]
        raise AgentError(
            exit_code=CHANGE_FAILED,
            code="occupied",
            what=f"Something else stands where this generation must put its own: {found[0]}.",
            where=first,
            do=f"mv {first} {first}.before-observability    and run: observability apply",
            state="nothing was changed",
            detail="\n".join(found),
        )


def prepare(machine: Machine, manifest: wire.Manifest) -> None:
    """Make the users and directories of a generation. They may serve two generations at once, so none is removed.

    Raises AgentError.
    """
    ledger = machine.ledger()
    _make_users(machine, manifest, ledger)
    absent = [entry for entry in manifest.directories if not os.path.isdir(entry.path)]
    ledger.claim(claim for entry in absent for claim in _directory_claims(entry.path, entry.data))
    for entry in manifest.directories:
        if not _has_attributes(entry):
            # Crash here: the directory is absent, or there with root's rights only; the next run makes or mends it.
            durable.crash_point("directory")
            durable.make_directory(entry.path, entry.mode, entry.owner, entry.group)
            # A data directory may be a link that the machine's owner made to a larger disk.
            durable.own_directory(entry.path, entry.mode, entry.owner, entry.group)


def converge(machine: Machine, manifest: wire.Manifest | None, aside: str | None = None) -> bool:
    """Make links and unit definitions outside fit the manifest, or remove all of ours when it is None.

    What fits already is not touched; returns whether anything was changed. A definition that a hand changed is kept
    below folder `aside` when one is given. Raises AgentError.
    """
    ledger = machine.ledger()
    goal = wanted(machine, manifest)
    stale = sorted(
        (
            (kind, name)
            for kind, name in ledger.claims
            if (kind == "link" and name not in goal.links) or (kind == "unit" and name not in goal.definitions)
        ),
        key=_leaving_last,
    )
    changed = False
    for path in (*goal.links, *goal.definitions, *(name for _, name in stale)):
        durable.remove(os.path.join(os.path.dirname(path), durable.TEMPORARY + os.path.basename(path)))
    for _, name in stale:
        # Crash here: some of the old generation's links are gone; recovery converges to one generation or the other.
        durable.crash_point("outward-remove")
        changed |= _remove(name)
        if name.endswith(".timer"):
            # systemd keeps when a timer was due last, and nobody else would ever remove that.
            durable.remove(f"{machine.root}{STAMPS}/stamp-{os.path.basename(name)}")
            durable.remove_directory(f"{machine.root}{STAMPS}")
    ledger.claim(_missing_claims(goal))
    for path, source in goal.definitions.items():
        origin = os.path.join(machine.paths.current, source)
        if not same_file(origin, path):
            if aside is not None:
                _keep_edit(machine, path, os.path.join(aside, source))
            # Crash here: unit files of both generations, none of them acted on; recovery converges again.
            durable.crash_point("outward-unit")
            durable.make_directory(os.path.dirname(path), 0o755)
            durable.copy_file(origin, path, 0o644, "root", "root")
            changed = True
    for path, text in sorted(goal.links.items(), key=_is_wish, reverse=True):
        if link_text(path) != text:
            # Crash here: links of both generations, all through `current`; recovery converges again.
            durable.crash_point("outward-link")
            durable.make_directory(os.path.dirname(path), 0o755)
            durable.replace_link(path, text)
            changed = True
    ledger.release([*stale, *_left_directories(ledger, goal)])
    return changed


def _is_wish(link: tuple[str, str]) -> bool:
    """Tell of a link, by path and text, whether it makes the boot start a unit of ours.

    Before anything that the machine's own units read is put in their way, the boot must know that it may have to be
    taken back; and as long as it lies there.
    """
    return os.path.dirname(link[0]).endswith(".wants")


def _leaving_last(claim: tuple[str, str]) -> tuple[bool, bool]:
    """Order claims so that what takes a change back at boot leaves after all that it would take back."""
    return claim[0] == "unit", _is_wish((claim[1], ""))


def purge(machine: Machine) -> None:
    """Remove every user and directory that the ledger says we made, data last. Call after converging to nothing.

    Raises AgentError; what was removed until then is no longer in the ledger.
    """
    ledger = machine.ledger()
    data = [claim for claim in ledger.claims if claim[0] == "data"]
    for kind, name in [claim for claim in reversed(ledger.claims) if claim[0] == "directory"]:
        durable.remove_directory(name)
        ledger.release([(kind, name)])
    for kind, name in reversed(data):
        # Crash here: the ledger still names what is left, so running the purge again finishes it.
        durable.crash_point("purge-data")
        if not os.path.islink(name) and not os.path.ismount(name):  # those the machine's owner made in its place
            durable.remove_tree(name)
        ledger.release([(kind, name)])
    for kind, name in [claim for claim in ledger.claims if claim[0] == "user"]:
        # Crash here: as above; a user that is gone already is passed over.
        durable.crash_point("purge-user")
        if _user_exists(name):
            accounts.await_free(machine)
            _run(["userdel", name], f"user {name}")
        ledger.release([(kind, name)])


def missing_users(manifest: wire.Manifest) -> list[str]:
    """Return the users of a manifest that do not exist. An ordinary user can make none and needs none."""
    if os.geteuid() != 0:
        return []
    return [user.name for user in manifest.users if not _user_exists(user.name)]


def _make_users(machine: Machine, manifest: wire.Manifest, ledger: Ledger) -> None:
    missing = missing_users(manifest)
    if missing:
        accounts.await_free(machine)
    ledger.claim(("user", name) for name in missing)
    for user in manifest.users:
        if user.name in missing:
            # Crash here: the user exists or not; useradd itself writes its files by rename.
            durable.crash_point("user")
            home = ["--home-dir", "/nonexistent", "--no-create-home", "--shell", "/usr/sbin/nologin"]
            groups = ["--groups", ",".join(user.groups)] if user.groups else []
            # A group of the name may be left of a package that was removed; useradd would refuse to make it again.
            group = ["--gid", user.name] if _group_exists(user.name) else ["--user-group"]
            _run(["useradd", "--system", *group, *home, *groups, user.name], f"user {user.name}")


def _user_exists(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def _group_exists(name: str) -> bool:
    try:
        grp.getgrnam(name)
    except KeyError:
        return False
    return True


def _run(argv: list[str], subject: str) -> None:
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
    try:
        done = subprocess.run(argv, capture_output=True, text=True, env=environment, timeout=60, check=False)
        output, code = (done.stderr or done.stdout).strip(), done.returncode
    except (OSError, subprocess.TimeoutExpired) as error:
        output, code = str(error), -1
    if code != 0:
        raise AgentError(
            exit_code=CHANGE_FAILED,
            code="user-not-changed",
            what=f"{argv[0]} failed for {subject}.",
            where=" ".join(argv),
            do=" ".join(argv),
            detail=output,
        )


def _directory_claims(path: str, data: bool) -> list[tuple[str, str]]:
    """Claims for a directory that is absent, outermost first: its missing parents will be made as well."""
    parents = []
    parent = os.path.dirname(path)
    while parent and not os.path.lexists(parent):
        parents.append(("directory", parent))
        parent = os.path.dirname(parent)
    return [*reversed(parents), ("data" if data else "directory", path)]


def _missing_claims(goal: Wanted) -> list[tuple[str, str]]:
    claims = []
    for kind, paths in (("link", goal.links), ("unit", goal.definitions)):
        for path in paths:
            parent = os.path.dirname(path)
            if not os.path.lexists(parent):
                claims += _directory_claims(parent, data=False)
            claims.append((kind, path))
    return claims


def _left_directories(ledger: Ledger, goal: Wanted) -> list[tuple[str, str]]:
    """Remove directories that we made for links or units and that nothing needs now; return their claims."""
    if goal.links or goal.definitions:
        return []
    gone = []
    for kind, name in reversed(ledger.claims):
        if kind == "directory" and (durable.remove_directory(name) or not os.path.lexists(name)):
            gone.append((kind, name))
    return gone


def _keep_edit(machine: Machine, path: str, kept: str) -> None:
    """Copy a definition that is none of the store's, which a hand must have made, to the path `kept`."""
    if os.path.islink(path) or not os.path.isfile(path):
        return
    with open(path, "rb") as stream:
        ours = machine.store.has_blob(file_digest(stream))
    if not ours:
        durable.make_directory(os.path.dirname(kept), 0o700)
        durable.copy_file(path, kept, 0o600)


def _remove(path: str) -> bool:
    """Remove a link or a file of ours; a directory that took its place is not ours."""
    return False if _is_real_directory(path) else durable.remove(path)


def link_text(path: str) -> str | None:
    """Return what the link at `path` says, or None when there is no link."""
    try:
        return os.readlink(path)
    except OSError:
        return None


def _is_real_directory(path: str) -> bool:
    return os.path.isdir(path) and not os.path.islink(path)


def _has_attributes(entry: wire.DirectoryEntry) -> bool:
    try:
        status = os.stat(entry.path)
    except FileNotFoundError:
        return False
    fits = stat.S_ISDIR(status.st_mode) and stat.S_IMODE(status.st_mode) == entry.mode
    return fits and owned(status, entry.owner, entry.group, entry.path)


def same_file(origin: str, path: str) -> bool:
    """Tell whether a definition is installed as it must be: a regular file, the same bytes, mode 0644."""
    try:
        status = os.lstat(path)
        if not stat.S_ISREG(status.st_mode) or stat.S_IMODE(status.st_mode) != 0o644:
            return False
        with open(origin, "rb") as left, open(path, "rb") as right:
            return left.read() == right.read()
    except FileNotFoundError:
        return False
