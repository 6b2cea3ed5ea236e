"""Ansible at its tuned best: pipelining, a persistent connection, no gathering of facts, ten forks."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from bench.incumbents.endstate import PACKAGES, PROGRAM, UNITS, USERS, EndState

CONFIGURATION: Final = """\
[defaults]
forks = 10
gathering = explicit
host_key_checking = False
interpreter_python = /usr/bin/python3
retry_files_enabled = False

[ssh_connection]
pipelining = True
ssh_args = -o ControlMaster=auto -o ControlPersist=60s -o StrictHostKeyChecking=no -o UserKnownHostsFile={known_hosts}
"""


def prepare(folder: Path, state: EndState, hosts: Mapping[str, str], identity: Path, known_hosts: Path) -> list[str]:
    """Write the playbook and what belongs to it into the folder, and return the arguments of ansible-playbook."""
    (folder / "ansible.cfg").write_text(CONFIGURATION.format(known_hosts=known_hosts))
    inventory = {
        "all": {
            "hosts": {
                name: {"ansible_host": address, "ansible_user": "root", "ansible_ssh_private_key_file": str(identity)}
                for name, address in hosts.items()
            }
        }
    }
    # JSON is YAML, so both are written by a serializer.
    (folder / "inventory.yaml").write_text(json.dumps(inventory))
    (folder / "playbook.yaml").write_text(json.dumps([_play(folder, state)]))
    return ["-i", "inventory.yaml", "playbook.yaml"]


def _play(folder: Path, state: EndState) -> dict[str, Any]:
    files = [
        {
            "path": file.path,
            "owner": file.owner,
            "mode": f"{file.mode:04o}",
            "source": _source(folder, index, file.content),
        }
        for index, file in enumerate(state.files)
    ]
    program = f"/{PROGRAM}"
    units = [
        {"name": name, "source": _source(folder, f"{name}.service", text.format(program=program))}
        for name, text in state.units.items()
    ]
    return {
        "hosts": "all",
        "gather_facts": False,
        "tasks": [
            _task("users", "user", {"name": "{{ item }}", "system": True, "create_home": False}, USERS),
            # One transaction of apt for all of them, which is its quickest way.
            _task("packages", "apt", {"name": list(PACKAGES), "install_recommends": False}),
            _task(
                "directories",
                "file",
                {"path": "{{ item.path }}", "state": "directory", "owner": "{{ item.owner }}", "mode": "0750"},
                [{"path": path, "owner": owner} for path, owner in state.directories.items()],
            ),
            _task(
                "files",
                "copy",
                {
                    "src": "{{ item.source }}",
                    "dest": "{{ item.path }}",
                    "owner": "{{ item.owner }}",
                    "mode": "{{ item.mode }}",
                },
                files,
            ),
            _task(
                "definitions",
                "copy",
                {"src": "{{ item.source }}", "dest": "/etc/systemd/system/{{ item.name }}.service", "mode": "0644"},
                units,
                notify="reload",
            ),
            {"meta": "flush_handlers"},
            _task("units", "systemd_service", {"name": "{{ item }}", "state": "started", "enabled": True}, UNITS),
            _task(
                "checks",
                "uri",
                {"url": "{{ item }}"},
                state.checks,
                retries=20,
                delay=1,
                until="result is succeeded",
                register="result",
            ),
        ],
        "handlers": [{"name": "reload", "ansible.builtin.systemd_service": {"daemon_reload": True}}],
    }


def _task(
    name: str, module: str, arguments: dict[str, Any], loop: Sequence[Any] = (), **further: Any
) -> dict[str, Any]:
    task = {"name": name, f"ansible.builtin.{module}": arguments, **further}
    return {**task, "loop": list(loop)} if loop else task


def _source(folder: Path, name: object, content: str) -> str:
    place = folder / "sources" / str(name)
    place.parent.mkdir(exist_ok=True)
    place.write_text(content)
    return str(place)
