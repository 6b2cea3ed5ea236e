"""`observability host list`."""

from __future__ import annotations

from obstack.agent.wire import encode
from obstack.cli.host.common import read_configuration
from obstack.cli.lazy import documented
from obstack.cli.options import Scope, Target, json_option, target_options
from obstack.cli.output import print_json, print_line, table


@documented("observability host list", "observability host list --json")
@target_options(Scope.FILES)
@json_option
def command(*, target: Target, as_json: bool) -> None:
    """List the monitored hosts: where each is scraped and reached, its groups and its modules."""
    from obstack.operations.hosts import list_hosts

    hosts = list_hosts(read_configuration(target).site)
    if as_json:
        print_json({"hosts": [encode(host) for host in hosts]})
        return
    header = ("host", "address", "reached by", "groups", "modules")
    rows = [
        (host.name, host.address, host.reached or "bundle", ", ".join(host.groups) or "-", ", ".join(host.modules))
        for host in hosts
    ]
    for line in table(rows, header=header) if rows else ["no hosts yet: observability host add NAME --address ADDRESS"]:
        print_line(line)
