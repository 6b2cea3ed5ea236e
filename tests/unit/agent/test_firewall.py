"""The rules of the firewall as values: what nft and ufw are told, what ufw's files say, and whom names mean."""

import json
import socket
from pathlib import Path

import pytest

from obstack.agent import firewall, nft, openings, ufw
from obstack.agent.faults import AgentError
from obstack.agent.listeners import Connection
from obstack.agent.openings import Opening, Rules
from obstack.agent.ufw import Rule

pytestmark = pytest.mark.security

OURS = ufw.COMMENT.encode().hex()
FILE = f"""*filter
### tuple ### allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 in
-A ufw-user-input -p tcp --dport 22 -j ACCEPT

### tuple ### allow tcp 9100 0.0.0.0/0 any 192.0.2.1 in comment={OURS}
-A ufw-user-input -p tcp --dport 9100 -s 192.0.2.1 -j ACCEPT

### tuple ### allow tcp 9104 0.0.0.0/0 any 192.0.2.1 in comment=6d696e65
### tuple ### allow udp 9100 0.0.0.0/0 any 192.0.2.0/24 in
### tuple ### deny tcp 9100 0.0.0.0/0 any 0.0.0.0/0 in
### tuple ### allow tcp 9100 198.51.100.7 any 192.0.2.1 in
COMMIT
"""
SERVER = Opening("tcp", 9100, ("192.0.2.1", "2001:db8::1"), "exporter")
NOWHERE = nft.Nft("/nonexistent/nft")


def test_the_rules_of_ufw_are_read_with_whose_they_are() -> None:
    assert ufw.parse_rules(FILE) == {
        Rule(22, "any"): False,
        Rule(9100, "192.0.2.1"): True,
        Rule(9104, "192.0.2.1"): False,
        Rule(9100, "192.0.2.0/24", "udp"): False,
    }


def test_our_rules_are_taken_out_of_the_files_of_a_ufw_that_is_gone() -> None:
    ours = FILE.index("### tuple ### allow tcp 9100 0.0.0.0/0 any 192.0.2.1")
    theirs = FILE.index("### tuple ### allow tcp 9104")
    rules = [Rule(9100, "192.0.2.1"), Rule(22, "any"), Rule(9104, "192.0.2.1")]
    assert ufw.without(FILE, rules) == FILE[:ours] + FILE[theirs:]
    assert ufw.without(FILE, [Rule(9113, "192.0.2.1")]) == FILE


def settings(root: Path, six: str, policy: str = "DROP") -> None:
    (root / "etc/default").mkdir(parents=True, exist_ok=True)
    (root / "etc/default/ufw").write_text(f'IPV6={six}\nDEFAULT_INPUT_POLICY="{policy}"\n')


def test_ufw_is_told_of_the_families_that_it_sees_to(tmp_path: Path) -> None:
    door = Opening("tcp", 443)
    settings(tmp_path, "yes")
    rules = [Rule(9100, "192.0.2.1"), Rule(9100, "2001:db8::1"), Rule(443, "any")]
    assert ufw.wanted([SERVER, door], str(tmp_path)) == rules
    settings(tmp_path, "no")
    assert ufw.wanted([SERVER, door], str(tmp_path)) == [rules[0], rules[2]]


def test_a_rule_for_anybody_is_there_when_it_is_there_for_both_families(tmp_path: Path) -> None:
    settings(tmp_path, "yes")
    (tmp_path / "etc/ufw").mkdir()
    (tmp_path / "etc/ufw/user.rules").write_text("### tuple ### allow tcp 443 0.0.0.0/0 any 0.0.0.0/0 in\n")
    assert ufw.present(str(tmp_path)) == {}
    (tmp_path / "etc/ufw/user6.rules").write_text("### tuple ### allow tcp 443 ::/0 any ::/0 in\n")
    assert ufw.present(str(tmp_path)) == {Rule(443, "any"): False}


def test_the_table_of_a_host_judges_the_ports_only_and_by_both_protocols() -> None:
    script = nft.table_script([Opening("tcp", 9113, SERVER.sources), SERVER], closed=False)
    assert script.splitlines() == [
        "add table inet observability",
        "delete table inet observability",
        "table inet observability {",
        "    chain input {",
        "        type filter hook input priority filter - 10; policy accept;",
        '        iifname "lo" accept',
        "        tcp dport { 9100, 9113 } ip saddr { 192.0.2.1 } accept",
        "        tcp dport { 9100, 9113 } ip6 saddr { 2001:db8::1 } accept",
        "        tcp dport { 9100, 9113 } drop",
        "    }",
        "}",
    ]


def test_the_table_of_a_server_drops_what_no_rule_lets_in() -> None:
    wanted = [Opening("tcp", 443), Opening("tcp", 80), Opening("udp", 514, ("192.0.2.0/24",)), Opening("tcp", 443)]
    lines = [line.strip() for line in nft.table_script(wanted, closed=True).splitlines()]
    assert "type filter hook input priority filter - 10; policy drop;" in lines
    assert lines[-4:-2] == ["tcp dport { 80, 443 } accept", "udp dport { 514 } ip saddr { 192.0.2.0/24 } accept"]
    assert not any(line.endswith(" drop") for line in lines)
    assert {line.split()[0] for line in lines if line.endswith("accept")} == {
        "iifname", "ct", "icmp", "icmpv6", "udp", "ip", "ip6", "tcp",
    }  # fmt: skip


def test_whoever_is_connected_when_a_server_is_shut_stays_so() -> None:
    here = [Connection(3306, "192.0.2.7", 50000, "1"), Connection(3306, "2001:db8::7", 50001, "2")]
    script = nft.table_script([], closed=True, connections=here)
    assert "elements = { 192.0.2.7 . 50000 . 3306 }" in script
    assert "elements = { 2001:db8::7 . 50001 . 3306 }" in script
    assert "ip saddr . tcp sport . tcp dport @before-ip accept" in script


def test_names_are_resolved_and_addresses_are_written_the_shortest_way() -> None:
    rules = Rules((Opening("tcp", 1, ("2001:DB8:0::1", "192.0.2.1", "localhost", "192.0.2.0/24")),), NOWHERE)
    (settled,), names = openings.settle(rules, {})
    assert settled.sources == (
        "127.0.0.1",
        "192.0.2.0/24",
        *(["::1"] if "::1" in names["localhost"] else []),
        "2001:db8::1",
    )
    assert "127.0.0.1" in names["localhost"]


def test_a_name_that_no_resolver_knows_keeps_what_it_meant_and_never_means_everybody() -> None:
    opening = Opening("tcp", 1, ("nowhere.invalid",))
    with pytest.raises(AgentError, match=r"nowhere\.invalid cannot be resolved"):
        openings.settle(Rules((opening,), NOWHERE), {})
    assert openings.settle(Rules((opening,), NOWHERE, closed=True), {})[0] == ()
    kept = openings.settle(Rules((opening,), NOWHERE), {"nowhere.invalid": ["192.0.2.9"]})
    assert kept == ((Opening("tcp", 1, ("192.0.2.9",)),), {"nowhere.invalid": ("192.0.2.9",)})


def test_a_file_that_is_not_ours_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "rules.json"
    entry = {"protocol": "tcp", "port": 1, "sources": []}
    for damage in ({"port": 0}, {"port": "1"}, {"protocol": "icmp"}, {"sources": "192.0.2.1"}):
        content = {"openings": [{**entry, **damage}], "closed": True, "nft": "", "libraries": []}
        file.write_text(json.dumps(content))
        with pytest.raises(AgentError, match="cannot be read"):
            openings.read_rules(str(file))
    for text in ("{", "[]", "{}"):
        file.write_text(text)
        with pytest.raises(AgentError, match="cannot be read"):
            openings.read_rules(str(file))


def test_a_port_that_another_program_holds_is_no_port_of_ssh(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        rules = Rules((Opening("tcp", listener.getsockname()[1], ("192.0.2.1",)),), NOWHERE)
        with pytest.raises(AgentError, match="nft cannot be run"):
            firewall.check(str(tmp_path), rules)


def test_nothing_was_done_where_nothing_is_recorded(tmp_path: Path) -> None:
    firewall.down(str(tmp_path))
    assert firewall.differences(str(tmp_path), Rules((SERVER,), NOWHERE)) == ["no rules of ours are in force"]
    assert firewall.describe(str(tmp_path)) is None
