"""The floor: what one process costs that looks at everything and changes nothing. It is sent over a cold ssh.

Standard input is a line of JSON with the files, units, packages and addresses to look at, after this text.
"""

import hashlib
import json
import os
import subprocess
import sys
import urllib.request

STATE = json.loads(sys.stdin.readline())
for path in STATE["files"]:
    os.stat(path)
    with open(path, "rb") as stream:
        hashlib.sha256(stream.read()).hexdigest()
subprocess.run(["systemctl", "show", "--property=ActiveState", *STATE["units"]], check=True, capture_output=True)
subprocess.run(["dpkg-query", "--show", "python3"], check=True, capture_output=True)
for url in STATE["checks"]:
    with urllib.request.urlopen(url, timeout=10) as answer:
        answer.read()
