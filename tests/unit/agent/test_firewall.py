"""The rules of the firewall as values: what nft and ufw are told, and what ufw's files say."""

import json
import socket
from pathlib import Path

import pytest

from obstack.agent import firewall, nft, ufw
from obstack.agent.faults import AgentError
from obstack.agent.ufw import Rule

OURS = ufw.COMMENT.encode().hex()
FILE = f"""
### tuple ### allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 in
-A ufw-user-input -p tcp --dport 22 -j ACCEPT

### tuple ### allow tcp 9100 0.0.0.0/0 any 192.0.2.1 in comment={OURS}
### tuple ### allow tcp 9104 0.0.0.0/0 any 192.0.2.1 in comment=6d696e65
### tuple ### allow udp 9100 0.0.0.0/0 any 192.0.2.1 in
### tuple ### deny_log tcp 9100 0.0.0.0/0 any 0.0.0.0/0 in
### tuple ### allow tcp 9100 198.51.100.7 any 192.0.2.1 in
### tuple ### deny tcp 9113 0.0.0.0/0 any 0.0.0.0/0 in comment={OURS}
"""


def test_the_rules_of_ufw_are_read_with_whose_they_are() -> None:
    assert ufw.parse_rules(FILE) == {
        Rule("allow", 22, "any"): False,
        Rule("allow", 9100, "192.0.2.1"): True,
        Rule("allow", 9104, "192.0.2.1"): False,
        Rule("deny", 9113, "any"): True,
    }


def test_ufw_is_asked_to_deny_only_where_it_lets_in_by_itself(tmp_path: Path) -> None:
    defaults = tmp_path / "etc/default/ufw"
    defaults.parent.mkdir(parents=True)
    defaults.write_text('IPV6=yes\nDEFAULT_INPUT_POLICY="DROP"\n')
    allowed = [Rule("allow", 9100, "192.0.2.1"), Rule("allow", 9100, "2001:db8::1")]
    assert ufw.wanted([9100], ["192.0.2.1", "2001:db8::1"], str(tmp_path)) == allowed
    defaults.write_text('IPV6=no\nDEFAULT_INPUT_POLICY="ACCEPT"\n')
    assert ufw.wanted([9100], ["192.0.2.1", "2001:db8::1"], str(tmp_path)) == [allowed[0], Rule("deny", 9100, "any")]


def test_the_table_judges_the_ports_only_and_by_both_protocols() -> None:
    script = nft.table_script([9113, 9100], ["192.0.2.1", "2001:db8::1"])
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


def test_names_are_resolved_and_addresses_are_written_one_way() -> None:
    assert firewall.resolve(["2001:DB8:0::1", "192.0.2.1", "192.0.2.1"]) == ("192.0.2.1", "2001:db8::1")
    assert "127.0.0.1" in firewall.resolve(["localhost"])
    with pytest.raises(AgentError, match=r"nowhere\.invalid cannot be resolved"):
        firewall.resolve(["nowhere.invalid"])


def test_a_file_that_is_not_ours_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "rules.json"
    for content in ("{", "[]", json.dumps({"ports": ["x"], "addresses": [], "nft": "", "libraries": []})):
        file.write_text(content)
        with pytest.raises(AgentError, match="cannot be read"):
            firewall.read(str(file))


def test_a_port_that_another_program_holds_is_no_port_of_ssh() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        rules = firewall.Rules((listener.getsockname()[1],), ("192.0.2.1",), nft.Nft("/nonexistent/nft"))
        with pytest.raises(AgentError, match="nft cannot be run"):
            firewall.check(rules)


def test_nothing_was_done_where_nothing_is_recorded(tmp_path: Path) -> None:
    firewall.down(str(tmp_path))
    rules = firewall.Rules((9100,), ("192.0.2.1",), nft.Nft("/nonexistent/nft"))
    assert firewall.differences(str(tmp_path), rules) == ["no rules of ours are in force"]
