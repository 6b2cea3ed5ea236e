"""Runs on a machine: apply what the configuration says, with something in the generation altered by hand.

    python altered.py '{"replace": [["units/nginx.service", "old", "new"]], "modes": {"etc/nginx/htpasswd": 384}}'

For faults that the model rightly leaves no way to ask for. Everything after rendering is the product's own: the real
agent is sent a real request, and the answer is printed as `observability apply` prints it.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace

from obstack.cli.composition import build_desired, open_channel
from obstack.cli.conclude import conclude, reply_document
from obstack.cli.options import Scope, make_target
from obstack.cli.output import print_error
from obstack.cli.progress import QuietReporter
from obstack.cli.views import outcome_lines
from obstack.errors import StackError
from obstack.operations.apply import apply
from obstack.operations.desired import Desired
from obstack.ports import Contents


def altered(desired: Desired, replacements: Sequence[Sequence[str]], modes: Mapping[str, int]) -> Desired:
    """Return the desired generation with texts of its files replaced and other modes; every alteration must fit."""
    blobs = dict(desired.contents.blobs)
    files = {file.path: file for file in desired.manifest.files}
    for path, old, new in replacements:
        content = blobs[files[path].digest]
        if old.encode() not in content:
            raise SystemExit(f"{path} does not contain {old!r}")
        content = content.replace(old.encode(), new.encode())
        digest = hashlib.sha256(content).hexdigest()
        blobs[digest] = content
        files[path] = replace(files[path], digest=digest, size=len(content))
    for path, mode in modes.items():
        files[path] = replace(files[path], mode=mode, owner="root", group="root")
    manifest = replace(desired.manifest, files=tuple(files.values()))
    return Desired(desired.site, manifest, Contents(blobs, desired.contents.files))


def main(wish: str) -> int:
    """Given the alterations as JSON, apply and return the exit code."""
    alterations = json.loads(wish)
    target = make_target(None, None, None, Scope.SERVER)
    desired = build_desired(target, QuietReporter())
    desired = altered(desired, alterations.get("replace", ()), alterations.get("modes", {}))
    node = desired.manifest.node
    try:
        reply = apply(open_channel(target, node), desired, QuietReporter(), who="test")
        return conclude(reply, reply_document(node, reply, 0), outcome_lines(node, reply, 0), as_json=False)
    except StackError as error:
        print_error(error, as_json=False)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
