"""The Site: the root of the model, and the rules that cross its sections."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from obstack.model.alertmanager import Alertmanager
from obstack.model.base import Section
from obstack.model.blackbox import Blackbox
from obstack.model.components import Artifacts
from obstack.model.front_door import FrontDoor
from obstack.model.grafana import DashboardEngine, Dashboards, Grafana
from obstack.model.host import Certificates, Fleet, Host, HostAddress
from obstack.model.prometheus import Prometheus
from obstack.model.scalars import ByteSize, Duration, HostName, LabelName, LabelValue, LoopbackPort, Name, Port, Text
from obstack.model.secrets import Secrets
from obstack.model.server_firewall import ServerFirewall


class Server(Section):
    """The machine that runs the stack."""

    name: Name = Field(
        default="mon-1", description="Name of the server, label `host` of its series.", examples=["mon-1"]
    )
    address: HostAddress | None = Field(
        default=None,
        description="Address from which the server scrapes its hosts, and at which they reach it; with several hosts "
        "behind a translation of addresses, the one that they see. Needed once there are hosts.",
        examples=["192.0.2.1"],
    )
    labels: dict[LabelName, LabelValue] = Field(
        default_factory=dict, description="Further labels of the server's series.", examples=[{"rack": "a1"}]
    )
    firewall: ServerFirewall = Field(
        default=ServerFirewall(), description="Who may reach the server.", examples=[{"admit": [{"port": 8443}]}]
    )


class NodeExporter(Section):
    """The exporter of the machine's own metrics."""

    port: LoopbackPort = Field(default=9100, description="Loopback port of its metrics.", examples=[9100])


class Logs(Section):
    """How logs are kept and queried."""

    engine: Literal["journal"] = Field(
        default="journal", description="Log engine; the systemd journal needs nothing else.", examples=["journal"]
    )
    retention_time: Duration = Field(default="30d", description="How long log lines are kept.", examples=["30d"])
    retention_size: ByteSize = Field(default="2GB", description="How much the logs may occupy.", examples=["2GB"])
    port: LoopbackPort = Field(
        default=19532,
        description="Loopback port that takes log entries (used by `observability up`).",
        examples=[19532],
    )
    receive_port: Port = Field(
        default=19531,
        description="Port at which the server takes the hosts' journals, by TLS and client certificate.",
        examples=[19531],
    )


class Modules(Section):
    """Where modules come from, beside those that this program brings."""

    folder: Text | None = Field(
        default=None,
        description="Folder of further modules, each a folder of its own; a relative path starts at the configuration.",
        examples=["/srv/observability-modules"],
    )


class Gates(Section):
    """How long a change may take to prove itself."""

    deadline: Duration = Field(default="60s", description="Time for each gate to become green.", examples=["60s"])


class Site(Section):
    """The whole configuration."""

    version: Literal[1] = Field(default=1, description="Version of this format.", examples=[1])
    name: Name = Field(
        default="observability",
        description="Name of the site, shown on pages and in the certificate authority's name.",
        examples=["observability"],
    )
    environment: Name = Field(
        default="production", description="Label `environment` of all series.", examples=["production"]
    )
    domain: HostName = Field(
        description="Name under which people reach the front door.", examples=["observability.example.org"]
    )
    server: Server = Field(
        default=Server(), description="The machine that runs the stack.", examples=[{"name": "mon-1"}]
    )
    prometheus: Prometheus = Field(
        default=Prometheus(),
        description="The metrics engine, Prometheus: how often it looks and how long it keeps.",
        examples=[{"retention_time": "30d"}],
    )
    alertmanager: Alertmanager = Field(
        default=Alertmanager(),
        description="The alert router, Alertmanager: who is told of what.",
        examples=[{"group_wait": "30s"}],
    )
    node_exporter: NodeExporter = Field(
        default=NodeExporter(), description="The exporter of the machine's own metrics.", examples=[{"port": 9100}]
    )
    blackbox: Blackbox = Field(
        default=Blackbox(), description="Probes from outside: web pages, ports, hosts.", examples=[{"port": 9115}]
    )
    front_door: FrontDoor = Field(
        default=FrontDoor(),
        description="The one listener that others reach: nginx with TLS and authentication.",
        examples=[{"https_port": 443}],
    )
    dashboards: Dashboards = Field(
        default=Dashboards(), description="What draws the dashboards.", examples=[{"engine": "grafana"}]
    )
    grafana: Grafana = Field(
        default=Grafana(),
        description="Grafana, where it is the engine of the dashboards.",
        examples=[{"sign_in": "front-door"}],
    )
    logs: Logs = Field(
        default=Logs(), description="How log lines are kept and queried.", examples=[{"engine": "journal"}]
    )
    hosts: dict[Name, Host] = Field(
        default_factory=dict,
        description="The monitored hosts, by name; each is a file of its own, config/hosts/NAME.yaml.",
        examples=[{"web-1": {"address": "192.0.2.10"}}],
    )
    fleet: Fleet = Field(
        default=Fleet(),
        description="Groups of hosts, and how many machines are changed at a time.",
        examples=[{"batch": "10%"}],
    )
    modules: Modules = Field(
        default=Modules(), description="Where modules come from.", examples=[{"folder": "/srv/modules"}]
    )
    secrets: Secrets = Field(
        default=Secrets(),
        description="Where the values behind secret:NAME are kept.",
        examples=[{"provider": "files"}],
    )
    certificates: Certificates = Field(
        default=Certificates(),
        description="The certificates between server and hosts.",
        examples=[{"lifetime": "90d"}],
    )
    gates: Gates = Field(
        default=Gates(),
        description="How long a change may take to prove itself; a red gate rolls it back.",
        examples=[{"deadline": "60s"}],
    )
    artifacts: Artifacts = Field(
        default=Artifacts(), description="Where the programs come from.", examples=[{"mirror": "/srv/mirror"}]
    )

    @property
    def runs_grafana(self) -> bool:
        """Whether Grafana is deployed."""
        return self.dashboards.engine is DashboardEngine.GRAFANA
