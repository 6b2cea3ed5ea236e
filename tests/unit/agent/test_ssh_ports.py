"""The ports of SSH: what sshd's configuration says, what systemd says of its sockets, and who came by which."""

from pathlib import Path

import pytest

from obstack.agent import ssh_ports

pytestmark = pytest.mark.security


def configure(root: Path, **files: str) -> str:
    folder = root / "etc/ssh"
    (folder / "sshd_config.d").mkdir(parents=True)
    for name, text in files.items():
        (folder / (name if name == "sshd_config" else f"sshd_config.d/{name}.conf")).write_text(text)
    return str(folder / "sshd_config")


@pytest.mark.parametrize(
    ("text", "ports"),
    [
        ("", set()),
        ("#Port 2222\n", set()),
        ("Port 22\nport=2222\n", {22, 2222}),
        ("ListenAddress 192.0.2.1:2022\nListenAddress [2001:db8::1]:2023\nListenAddress 2001:db8::1\n", {2022, 2023}),
        ("Port no\nPort 70000\n", set()),
        ("Match User guest\n  Port 2222\n", set()),
    ],
)
def test_the_configuration_of_sshd(tmp_path: Path, text: str, ports: set[int]) -> None:
    assert ssh_ports.configured_ports(configure(tmp_path, sshd_config=text), str(tmp_path)) == ports


def test_what_the_configuration_of_sshd_includes_is_read_too(tmp_path: Path) -> None:
    include = "Include /etc/ssh/sshd_config.d/*.conf\nInclude sshd_config.d/b.conf\n"
    file = configure(tmp_path, sshd_config=include, a="Port 2022\n", b="Port 2023\nInclude /etc/ssh/sshd_config\n")
    assert ssh_ports.configured_ports(file, str(tmp_path)) == {2022, 2023}
    assert ssh_ports.configured_ports(str(tmp_path / "absent")) is None


def test_the_sockets_of_systemd() -> None:
    shown = """Id=ssh.socket
Triggers=ssh.service
Listen=0.0.0.0:2222 (Stream)
Listen=[::]:2222 (Stream)

Id=cups.socket
Triggers=cups.service
Listen=[::]:631 (Stream)

Id=far.socket
Triggers=sshd.service
Listen=[::]:2022 (Stream)
Listen=/run/far (Stream)
"""
    assert ssh_ports.parse_sockets(shown) == {2222, 2022}
    assert ssh_ports.parse_sockets("") == set()
