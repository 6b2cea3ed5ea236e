"""The same end state in the words of pyinfra. It runs in pyinfra's own environment and reads the state as JSON."""

# mypy: ignore-errors
import io
import json
import os
import pathlib

from pyinfra.operations import apt, files, server, systemd

STATE = json.loads(pathlib.Path(os.environ["BENCH_STATE"]).read_text())

for user in STATE["users"]:
    server.user(name=f"user {user}", user=user, system=True, ensure_home=False)
apt.packages(name="packages", packages=STATE["packages"], no_recommends=True)
for path, owner in STATE["directories"].items():
    files.directory(name=f"directory {path}", path=path, user=owner, mode="750")
for file in STATE["files"]:
    files.put(
        name=f"file {file['path']}",
        src=io.StringIO(file["content"]),
        dest=file["path"],
        user=file["owner"],
        mode=file["mode"],
    )
definitions = [
    files.put(name=f"definition {unit}", src=io.StringIO(text), dest=f"/etc/systemd/system/{unit}.service", mode="644")
    for unit, text in STATE["units"].items()
]
systemd.daemon_reload(name="reload", _if=lambda: any(definition.did_change() for definition in definitions))
for unit in STATE["units"]:
    systemd.service(name=f"unit {unit}", service=unit, running=True, enabled=True)
for url in STATE["checks"]:
    server.shell(
        name=f"check {url}",
        commands=[f"curl --silent --fail --output /dev/null --retry 20 --retry-connrefused --retry-delay 1 {url}"],
    )
