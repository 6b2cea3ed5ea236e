"""Configuration of a monitored host: `config/hosts/NAME.yaml`, the name of the file being the name of the host."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    Field,
    StringConstraints,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from obstack.model.base import Section
from obstack.model.scalars import (
    BATCH_PATTERN,
    HOST_ADDRESS_PATTERN,
    OPTION_NAME_PATTERN,
    SSH_DESTINATION_PATTERN,
    SSH_OPTION_PATTERN,
    Duration,
    LabelName,
    LabelValue,
    Name,
    Port,
    Suite,
    Text,
    real_address,
    visible,
)

OptionName = Annotated[str, StringConstraints(pattern=OPTION_NAME_PATTERN)]
"""The name of a module's option: lower case letters, digits and underscores."""


def _one_fault(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    """Say once what none of the types takes, instead of once for each of them."""
    try:
        # What was read from JSON arrives here as Python's values, among which a strict tuple takes no list.
        taken = handler(tuple(value) if isinstance(value, list) else value)
    except ValidationError:
        raise ValueError("must be true or false, a number, text or a list of texts") from None
    for text in taken if isinstance(taken, tuple) else (taken,):
        visible(str(text))
    return taken


OptionValue = Annotated[bool | int | float | str | tuple[str, ...], WrapValidator(_one_fault)]
"""The value of a module's option; the module's manifest says which type it must have."""

HostAddress = Annotated[
    str, StringConstraints(max_length=253, pattern=HOST_ADDRESS_PATTERN), AfterValidator(real_address)
]
"""A host name, an IPv4 address or an IPv6 address without brackets."""

SshOption = Annotated[str, StringConstraints(max_length=512, pattern=SSH_OPTION_PATTERN)]
"""A setting of ssh_config on one line."""

SshDestination = Annotated[str, StringConstraints(max_length=290, pattern=SSH_DESTINATION_PATTERN)]
"""`[user@]host` as ssh understands it, `host` being also a name from ~/.ssh/config; never an option."""


class Ssh(Section):
    """How the server reaches the host by SSH. Everything else (keys, jump hosts) is said in ~/.ssh/config."""

    destination: SshDestination | None = Field(
        default=None,
        description="[user@]host for ssh; absent means root at the host's address.",
        examples=["admin@web-1.example.org"],
    )
    port: Port | None = Field(default=None, description="Port of sshd; absent means what ssh decides.", examples=[2222])
    identity: Text | None = Field(
        default=None,
        description="File of the private key; absent means what ssh decides.",
        examples=["/root/.ssh/fleet"],
    )
    options: tuple[SshOption, ...] = Field(
        default=(),
        description="Further settings for ssh, each as `Name=value` (ssh_config).",
        examples=[["ProxyJump=jump.example.org"]],
    )


class ModuleUse(Section):
    """A module as a host or a group uses it."""

    enabled: bool = Field(default=True, description="Whether the module runs on the host.", examples=[True])
    options: dict[OptionName, OptionValue] = Field(
        default_factory=dict,
        description="Options of the module, its thresholds among them; absent ones have the module's defaults.",
        examples=[{"connections_ratio": 0.9}],
    )
    scrape_interval: Duration | None = Field(
        default=None, description="How often it is scraped; absent means the host's interval.", examples=["30s"]
    )


class Group(Section):
    """What several hosts have in common. A host's own settings win over its groups', later groups over earlier."""

    labels: dict[LabelName, LabelValue] = Field(
        default_factory=dict, description="Labels of the series of its hosts.", examples=[{"team": "shop"}]
    )
    scrape_interval: Duration | None = Field(
        default=None, description="How often its hosts are scraped.", examples=["60s"]
    )
    modules: dict[Name, ModuleUse] = Field(
        default_factory=dict,
        description="Modules of its hosts, by name.",
        examples=[{"mysqld": {"options": {"connections_ratio": 0.9}}}],
    )


class Host(Section):
    """One monitored host."""

    address: HostAddress = Field(
        description="Where the server scrapes it: a host name or an address.", examples=["192.0.2.10"]
    )
    ssh: Ssh | None = Field(
        default=Ssh(),
        description="How the server reaches it by SSH; null for a host that is served by bundles only.",
        examples=[{"destination": "admin@web-1.example.org"}],
    )
    suite: Suite | None = Field(
        default=None,
        description="Debian suite whose packages fit it; absent means the server's own.",
        examples=["bookworm"],
    )
    architecture: Literal["amd64", "arm64"] | None = Field(
        default=None, description="Its architecture; absent means the server's own.", examples=["amd64"]
    )
    groups: tuple[Name, ...] = Field(
        default=(), description="Groups that it belongs to, the most specific last.", examples=[["web"]]
    )
    labels: dict[LabelName, LabelValue] = Field(
        default_factory=dict, description="Further labels of its series.", examples=[{"rack": "a1"}]
    )
    scrape_interval: Duration | None = Field(
        default=None, description="How often it is scraped; absent means prometheus.scrape_interval.", examples=["30s"]
    )
    logs: bool = Field(default=True, description="Whether its journal is shipped to the server.", examples=[True])
    firewall: bool = Field(
        default=True,
        description="Whether its firewall admits only the server to the exporters' ports.",
        examples=[True],
    )
    modules: dict[Name, ModuleUse] = Field(
        default_factory=dict,
        description="Modules that run on it, by name; the module `node` is always there unless disabled.",
        examples=[{"nginx": {}, "mysqld": {"options": {"connections_ratio": 0.9}}}],
    )


class Fleet(Section):
    """How the hosts are reached, and how many machines are changed at a time."""

    groups: dict[Name, Group] = Field(
        default_factory=dict, description="Groups of hosts, by name.", examples=[{"web": {"labels": {"team": "shop"}}}]
    )
    canaries: tuple[Name, ...] = Field(
        default=(), description="Hosts that are changed before all others.", examples=[["web-1"]]
    )
    batch: Annotated[str, StringConstraints(pattern=BATCH_PATTERN)] = Field(
        default="25%",
        description="How many hosts are changed between two gates: a number or a share.",
        examples=["10%"],
    )
    parallel: Annotated[int, Field(ge=1, le=256)] = Field(
        default=10, description="How many hosts are worked on at the same time.", examples=[10]
    )
    max_failures: Annotated[int, Field(ge=0, le=100000)] = Field(
        default=0, description="How many hosts may fail before the run stops.", examples=[0]
    )


class Certificates(Section):
    """The certificates between server and hosts, signed by the site's own authorities."""

    lifetime: Duration = Field(
        default="90d",
        description="How long a certificate is valid, at most 90d; it is renewed before a third of it is left.",
        examples=["90d"],
    )
    automatic: bool = Field(
        default=True,
        description="Whether a timer on the server renews what is due, every day and soon after a missed day.",
        examples=[True],
    )
