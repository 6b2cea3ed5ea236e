"""`observability firewall show`."""

from __future__ import annotations

from obstack.cli.lazy import documented
from obstack.cli.nodes import open_one
from obstack.cli.options import Target, host_option, json_option, quiet_option, target_options
from obstack.cli.output import one_line, print_json, print_line, table
from obstack.cli.progress import reporter
from obstack.operations.firewall import Firewall, show_firewall

TITLES = {
    "nft": "an nftables table of its own, `inet observability`",
    "ufw": "rules in ufw, with the comment observability",
}


@documented(
    "observability firewall show",
    "observability firewall show --json",
    "observability firewall show --host web-1",
)
@target_options()
@host_option
@quiet_option
@json_option
def command(*, host: str | None, target: Target, quiet: bool, as_json: bool) -> None:
    """Show what the firewall of a machine lets in: each port, from where, and what for.

    It is what the machine itself says, the ports of SSH that it found among it. Where all else is shut, nothing but
    this list can be reached from another machine.
    """
    with reporter(quiet=quiet) as progress:
        firewall = show_firewall(open_one(target, host), progress)
    if as_json:
        print_json(firewall.to_json())
        return
    for line in _lines(firewall):
        print_line(line)


def _lines(firewall: Firewall) -> list[str]:
    if firewall.method is None:
        return [f"{firewall.node}: no firewall of this program is in force; see server.firewall, or firewall of a host"]
    rows = [
        (
            opening.protocol,
            str(opening.port),
            one_line(", ".join(opening.sources)) or "everybody",
            one_line(opening.purpose),
        )
        for opening in firewall.openings
    ]
    rest = (
        "all else is shut, by IPv4 and IPv6"
        if firewall.closed
        else "to all others these ports are shut; no other is judged"
    )
    lines = [
        f"{firewall.node}: {TITLES.get(firewall.method, one_line(firewall.method))}",
        *table(rows, header=("protocol", "port", "from", "for")),
        rest,
    ]
    return [*lines, *(f"not in force: {one_line(detail)}; observability apply heals it" for detail in firewall.undone)]
