"""The program that ssh starts on a machine: it finds the agent there, or takes it in, and becomes it.

Its text is the argument of python3 -c, so it lies in no file there and must do with any shell: there is no single
quote, no backslash and no exclamation mark in it, and any Python 3 can read it, to be told that it is too old.

    python3 -I -S -c TEXT FOLDER DIGEST SOURCE NAME=VALUE...

The agent lies unpacked in FOLDER/DIGEST, where Python keeps compiled code: DIGEST is that of the archive agent.pyz in
it, SOURCE that of all its source files. Whole, it is run at once, on the request that was sent already. Else the
request is passed over, agent-absent is said, and the archive is expected.
"""

import fcntl
import hashlib
import json
import os
import sys


def main(words: "list[str]") -> int:
    """Given the arguments, become the agent; return an exit code when that is not possible."""
    if tuple(sys.version_info) < (3, 10):
        return refuse("python-too-old", sys.version.split()[0])
    place, digest, source = words[:3]
    folder = os.path.join(place, digest)
    hold(folder)
    found = intact(folder, digest, source)
    origin = {name: os.environ[name] for name in ("SSH_CONNECTION", "SUDO_USER") if name in os.environ}
    if os.geteuid() > 0:
        python = [sys.executable, "-I", "-S", folder, "--root", "", "serve"] if found else own_command()
        came = ["SSH_CONNECTION=" + origin.get("SSH_CONNECTION", "")]  # sudo itself says who became root
        return become_root(["env", *came, *words[3:], *python])
    os.environ.clear()
    os.environ.update(origin)
    os.environ.update({name: value for name, _, value in (word.partition("=") for word in words[3:])})
    try:
        if not found and not take(place, digest, source):
            return refuse("agent-damaged", digest)
    except OSError as error:
        return refuse("agent-not-installed", str(error))
    sys.argv[:] = [folder, "--root", "", "serve"]
    sys.path.insert(0, folder)
    from obstack.agent.__main__ import main as agent

    return agent(sys.argv[1:])


def own_command() -> "list[str]":
    """Return the command line that this very program was started with."""
    return [sys.executable, *sys.orig_argv[1:]]


def become_root(command: "list[str]") -> int:
    """Given a command, become it as root; return an exit code when there is no sudo."""
    os.environ["LC_ALL"] = "C"
    try:
        os.execvp("sudo", ["sudo", "-n", "--", *command])  # noqa: S606
    except OSError as error:
        return refuse("sudo-missing", str(error))


def say(kind: str, **values: str) -> None:
    """Tell the controller something."""
    print(json.dumps({"type": kind, **values}), flush=True)


def refuse(code: str, detail: str) -> int:
    """Tell the controller why there is no agent, and return the exit code."""
    say("refused", code=code, detail=detail)
    return 6


def intact(folder: str, digest: str, source: str) -> bool:
    """Tell whether the archive and each source file in the folder are what they must be."""
    try:
        archive = content_of(os.path.join(folder, "agent.pyz"))
        names = [
            os.path.relpath(os.path.join(base, name), folder)
            for base, _, files in os.walk(folder)
            for name in files
            if name.endswith(".py")
        ]
        whole = hashlib.sha256()
        for name in sorted(names):
            content = content_of(os.path.join(folder, name))
            whole.update(b"%s %d%c" % (name.encode(), len(content), 10) + content)
        return hashlib.sha256(archive).hexdigest() == digest and whole.hexdigest() == source
    except OSError:
        return False


def content_of(path: str) -> bytes:
    """Return what is in a file."""
    with open(path, "rb") as stream:
        return stream.read()


def take(place: str, digest: str, source: str) -> bool:
    """Receive the archive and install it; tell whether it is the right one. Raises OSError."""
    say("agent-absent")
    with open(0, "rb", closefd=False) as stream:
        words = stream.readline().split(b" ")
        while words[0] not in (b"agent", b""):
            words = stream.readline().split(b" ")
        content = stream.read(int(words[1])) if len(words) > 1 else b""
    if hashlib.sha256(content).hexdigest() == digest:
        install(place, digest, source, content)
    if intact(os.path.join(place, digest), digest, source):
        say("agent-installed")
        return True
    return False


def lock(folder: str, kind: int) -> int:
    """Open a folder and lock it until it is closed; return the descriptor. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY)
    fcntl.flock(descriptor, kind)
    return descriptor


def hold(folder: str) -> None:
    """Keep the folder from being thrown away while this process lives, if it is there."""
    while True:
        try:
            descriptor = lock(folder, fcntl.LOCK_SH)
            if os.path.samestat(os.fstat(descriptor), os.stat(folder)):
                return  # it stays open
        except OSError:
            return
        os.close(descriptor)


def install(place: str, digest: str, source: str, content: bytes) -> None:
    """Have the archive in its folder, held: it is there whole, or not at all. Raises OSError."""
    os.umask(0o022)
    os.makedirs(place, exist_ok=True)
    turn = lock(place, fcntl.LOCK_EX)  # another controller may bring the same agent, or throw old ones away
    try:
        if not intact(os.path.join(place, digest), digest, source):
            unpack(place, digest, content)
        hold(os.path.join(place, digest))
    finally:
        os.close(turn)


def unpack(place: str, digest: str, content: bytes) -> None:
    """Unpack the archive durably into its folder. Raises OSError."""
    import io
    import shutil
    import tempfile
    import zipfile

    temporary = tempfile.mkdtemp(prefix=".new-", dir=place)
    try:
        new = os.path.join(temporary, "new")
        zipfile.ZipFile(io.BytesIO(content)).extractall(new)
        with open(os.path.join(new, "agent.pyz"), "wb") as stream:
            stream.write(content)
        for base, _, files in os.walk(new):
            for name in [*files, "."]:
                settle(os.path.join(base, name))
        if os.path.lexists(os.path.join(place, digest)):
            os.rename(os.path.join(place, digest), os.path.join(temporary, "old"))
        os.rename(new, os.path.join(place, digest))
        for path in (place, os.path.dirname(place), os.path.dirname(os.path.dirname(place))):
            settle(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def settle(path: str) -> None:
    """Return when a file or a folder is safe from a power cut. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
