#!/usr/bin/env python3
"""A change of one machine in one file, for a machine without network or SSH: everything it takes is in here.

    sudo python3 FILE show      what it would change here; nothing is changed
    sudo python3 FILE apply     make the change, in one transaction that undoes itself when a gate is red
    sudo python3 FILE health    run the gates of what is in force
    python3 FILE verify         whether the file is whole, and whose change it is

With --json the result is one JSON document. It needs Python 3.10 or newer and systemd.
"""

# All of it is in one statement, so that a file that was cut off anywhere is told, and never does nothing quietly.
try:
    import sys

    sys.path.pop(0)  # nothing beside this file is to be imported
    import base64
    import hashlib
    import io
    import os
    import shutil
    import tempfile
    import zipfile

    DIGEST = "@DIGEST@"
    MARK = b"\n# What follows is the payload, a zip archive in Base64.\n"

    def main() -> int:
        """Prove that the file is whole, then hand over to the agent in it; return the exit code."""
        if tuple(sys.version_info) < (3, 10):
            return refuse("This Python is too old, the agent needs 3.10 or newer: " + sys.version, "install python3")
        with open(__file__, "rb") as stream:
            payload = stream.read().partition(MARK)[2].translate(None, b"#\n")
        try:
            content = base64.b64decode(payload)
        except ValueError:
            content = b""
        if hashlib.sha256(content).hexdigest() != DIGEST:
            return refuse("The file is damaged or was cut off.", "copy it again, and compare its SHA-256")
        folder = tempfile.mkdtemp(prefix="observability-")
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                sys.argv[0] = archive.extract("agent.pyz", folder)
                sys.path.insert(0, sys.argv[0])
                from obstack.agent.bundle import run

                return run(archive, __file__, sys.argv[1:])
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def refuse(what: str, do: str) -> int:
        """Say what is wrong and return the exit code of a file that cannot be used."""
        lines = ["error[bundle-damaged] " + what, "  where: " + os.path.abspath(__file__)]
        sys.stderr.write("\n".join([*lines, "  state: nothing was touched", "  do:    " + do, ""]))
        return 2

    sys.exit(main())
except KeyboardInterrupt:
    raise SystemExit(130) from None
