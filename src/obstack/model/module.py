"""What a module is: the form of `module.yaml` and `alerts.yaml`, data that any host can be given.

In the texts that are marked as templates, `${name}` stands for an option or one of these:
`${listen}` the address to bind, `host:port`; `${port}` its port; `${web_config}` the file for exporters that speak TLS
themselves; `${etc}` the module's configuration folder; `${data}` its data directory; `${textfile}` the folder that the
node exporter reads metrics from; `${python}` the interpreter; `${host}` the host's name; `${address}` its address;
`${program.NAME}` the path of a program of the artifact; `${file.NAME}` the path of a file of the module's folder.
`$$` stands for a dollar sign. A template that is a whole `${name}` keeps the type of its value.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field, StringConstraints

from obstack.model.base import Section
from obstack.model.host import OptionName, OptionValue
from obstack.model.scalars import ByteSize, LabelName, LabelValue, LoopbackPort, Name, Text, Version, visible

VARIABLE_PATTERN: Final = r"^[A-Za-z_][A-Za-z0-9_]*$"
PARAMETER_PATTERN: Final = r"^[A-Za-z0-9_]+$"
ABSOLUTE_PATH_PATTERN: Final = r"^/[A-Za-z0-9._@+/-]*$"
RELATIVE_PATH_PATTERN: Final = r"^[A-Za-z0-9_][A-Za-z0-9._@+-]*(/[A-Za-z0-9_][A-Za-z0-9._@+-]*)*$"
UNIT_PATTERN: Final = r"^[A-Za-z0-9:_.@-]+\.(service|socket|timer|target)$"
LINK_TEMPLATE_PATTERN: Final = r"^/([A-Za-z0-9._@+/-]|\$\{[a-z][a-z0-9_]*\})*$"
UNIT_TEMPLATE_PATTERN: Final = r"^([A-Za-z0-9:_.@-]|\$\{[a-z][a-z0-9_]*\})+\.(service|socket|timer|target)$"
PROGRAM_PATTERN: Final = r"^[A-Za-z0-9_][A-Za-z0-9._+-]*$"
ALERT_NAME_PATTERN: Final = r"^[A-Z][A-Za-z0-9]*$"
METRIC_PATTERN: Final = r"^[a-zA-Z_:][a-zA-Z0-9_:]*(\{[^{}]*\})?$"

AbsolutePath = Annotated[str, StringConstraints(max_length=255, pattern=ABSOLUTE_PATH_PATTERN)]
RelativePath = Annotated[str, StringConstraints(max_length=255, pattern=RELATIVE_PATH_PATTERN)]
Template = Annotated[str, StringConstraints(max_length=4096), AfterValidator(visible)]
Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
LinkTemplate = Annotated[str, StringConstraints(max_length=255, pattern=LINK_TEMPLATE_PATTERN)]
UnitTemplate = Annotated[str, StringConstraints(max_length=255, pattern=UNIT_TEMPLATE_PATTERN)]
VariableName = Annotated[str, StringConstraints(max_length=128, pattern=VARIABLE_PATTERN)]
"""The name of a variable of the environment."""
ParameterName = Annotated[str, StringConstraints(max_length=128, pattern=PARAMETER_PATTERN)]
"""The name of a parameter of a URL, which Prometheus takes as part of a label's name."""
ProgramName = Annotated[str, StringConstraints(pattern=PROGRAM_PATTERN)]


class Confidence(StrEnum):
    """How surely a probe's yes means that the service is there."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class Probe(Section):
    """One typed look at a machine; exactly one of its kinds is given. Nothing is run but the system's own tools."""

    unit: Annotated[str, StringConstraints(pattern=UNIT_PATTERN)] | None = Field(
        default=None, description="A unit that exists (medium) or is active (high).", examples=["mariadb.service"]
    )
    command: ProgramName | None = Field(default=None, description="A program on the PATH.", examples=["mariadbd"])
    file: AbsolutePath | None = Field(default=None, description="A file or folder.", examples=["/etc/fail2ban"])
    socket: AbsolutePath | None = Field(
        default=None, description="A Unix socket that something listens on.", examples=["/run/mysqld/mysqld.sock"]
    )
    port: Annotated[int, Field(ge=1, le=65535)] | None = Field(
        default=None, description="A TCP port that something listens on.", examples=[3306]
    )
    package: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9+.-]+$")] | None = Field(
        default=None, description="An installed Debian package.", examples=["mariadb-server"]
    )
    confidence: Confidence = Field(
        default=Confidence.MEDIUM,
        description="How surely its yes means the service: high, medium or low.",
        examples=["high"],
    )
    options: dict[OptionName, OptionValue] = Field(
        default_factory=dict,
        description="Options of the module that its yes tells; those of the first yes count.",
        examples=[{"version": "8.4"}],
    )


class OptionType(StrEnum):
    """Types of options."""

    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    STRING = "string"
    NAME = "name"
    PATH = "path"
    URL = "url"
    ADDRESS = "address"
    PORT = "port"
    DURATION = "duration"
    SECRET = "secret"
    LIST = "list"


class Option(Section):
    """One option of a module. A threshold is an option that alerts use, and may differ by host and group."""

    type: OptionType = Field(description="Its type.", examples=["number"])
    default: OptionValue | None = Field(
        default=None, description="Its value when none is given; absent means that it must be given.", examples=[0.8]
    )
    description: Text = Field(description="What it is, for the reference.", examples=["Share of connections in use."])
    minimum: float | None = Field(default=None, description="Smallest number allowed.", examples=[0])
    maximum: float | None = Field(default=None, description="Largest number allowed.", examples=[1])
    choices: tuple[Text, ...] = Field(default=(), description="The words allowed.", examples=[["tcp", "unix"]])
    optional: bool = Field(
        default=False, description="Whether it may be absent although it has no default.", examples=[False]
    )
    threshold: bool = Field(default=False, description="Whether alerts use it.", examples=[True])


class Package(Section):
    """A Debian package that the artifact is unpacked from."""

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9+.-]+$")] = Field(
        description="Its name.", examples=["prometheus-mysqld-exporter"]
    )
    only: tuple[RelativePath, ...] = Field(
        min_length=1, description="Files and folders wanted of it.", examples=[["usr/bin/prometheus-mysqld-exporter"]]
    )
    optional: bool = Field(default=False, description="Whether some suites lack it.", examples=[False])
    followed: bool = Field(
        default=True, description="Whether the libraries that it depends on are taken as well.", examples=[True]
    )


class ModuleRelease(Section):
    """An upstream release, pinned by digest; see catalog/releases.py for the meaning of each part."""

    url: Text = Field(
        description="Address with {version} and {architecture}.", examples=["https://example.org/{version}"]
    )
    kind: Literal["tar", "zip", "file"] = Field(default="tar", description="Kind of archive.", examples=["tar"])
    strip: Annotated[int, Field(ge=0, le=5)] = Field(default=1, description="Leading folders dropped.", examples=[1])
    default: Text = Field(description="Version taken when none is asked for.", examples=["0.18.0"])
    digests: dict[Version, dict[Name, Digest]] = Field(
        description="SHA-256 by version, then by architecture.", examples=[{"0.18.0": {"amd64": "ab" * 32}}]
    )
    programs: dict[ProgramName, RelativePath] = Field(
        description="Programs and where they are in it.", examples=[{"mysqld_exporter": "mysqld_exporter"}]
    )
    licence: Annotated[str, StringConstraints(pattern=r"^([A-Za-z0-9.+() -]+)?$", max_length=200)] = Field(
        default="",
        description="Its licence as an SPDX expression, for the bill of materials.",
        examples=["Apache-2.0"],
    )


class ModuleArtifact(Section):
    """Where the module's programs come from. `name` may be that of another module's artifact, to share it."""

    name: Name = Field(description="Its name.", examples=["mysqld-exporter"])
    packages: tuple[Package, ...] = Field(
        min_length=1,
        description="Debian packages, the one with the version first.",
        examples=[[{"name": "prometheus-mysqld-exporter", "only": ["usr/bin/x"]}]],
    )
    programs: dict[ProgramName, tuple[RelativePath, ...]] = Field(
        description="Programs, and the places where the packages may have them.",
        examples=[{"mysqld_exporter": ["usr/bin/prometheus-mysqld-exporter"]}],
    )
    release: ModuleRelease | None = Field(default=None, description="The upstream release, if pinned.", examples=[None])
    source_suite: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]*$")] | None = Field(
        default=None,
        description="Suite to take it from whatever the host's is, for static programs that older suites lack.",
        examples=["trixie"],
    )


class FileFormat(StrEnum):
    """How a file's content is written. Structured content is emitted by a serializer, never by a template."""

    YAML = "yaml"
    JSON = "json"
    INI = "ini"
    NGINX = "nginx"
    ENVIRONMENT = "environment"
    TEXT = "text"


class ModuleFile(Section):
    """A file that the module needs. Every string in `content` is a template.

    yaml and json: any value. ini: sections of settings. environment: settings. nginx: a list of directives, each a
    list of words, whose last item is a list of directives when it has a block. text: lines.
    """

    path: RelativePath = Field(description="Its path below the module's configuration folder.", examples=["my.cnf"])
    format: FileFormat = Field(description="How it is written.", examples=["ini"])
    content: Any = Field(description="What is in it.", examples=[{"client": {"user": "${user}"}}])
    secret: bool = Field(default=False, description="Whether only the exporter may read it.", examples=[True])
    link: LinkTemplate | None = Field(
        default=None,
        description="Where else it must be seen: a link is made there (a snippet of the watched service); a template. "
        "Where it names an optional option that was not given, there is no such file.",
        examples=["/etc/nginx/conf.d/observability.conf"],
    )
    unit: UnitTemplate | None = Field(
        default=None, description="The watched service's unit that reads it; a template.", examples=["nginx.service"]
    )
    effect: Literal["reload", "restart"] = Field(
        default="reload", description="What makes that unit take it.", examples=["reload"]
    )
    check: tuple[Text, ...] = Field(
        default=(),
        description="The watched service's own checker, which must accept the file before its unit is acted on; "
        "templates.",
        examples=[["/usr/sbin/nginx", "-t"]],
    )


class Access(Section):
    """What the service may do beyond the common hardened base (render/service.py, Sandbox)."""

    families: tuple[Literal["AF_INET", "AF_INET6", "AF_UNIX", "AF_NETLINK"], ...] = Field(
        default=("AF_INET", "AF_INET6"), description="Socket families.", examples=[["AF_INET", "AF_UNIX"]]
    )
    capabilities: tuple[Annotated[str, StringConstraints(pattern=r"^CAP_[A-Z_]+$")], ...] = Field(
        default=(), description="Capabilities kept.", examples=[["CAP_NET_RAW"]]
    )
    groups: tuple[Annotated[str, StringConstraints(pattern=r"^[a-z_][a-z0-9_-]*$")], ...] = Field(
        default=(), description="Groups of the machine that the exporter's user is in.", examples=[["redis"]]
    )
    host_processes: bool = Field(default=False, description="Whether it sees all processes.", examples=[True])
    host_mounts: bool = Field(default=False, description="Whether it sees the real mounts.", examples=[True])
    clock: bool = Field(default=False, description="Whether it reads the clock's state.", examples=[True])
    root: bool = Field(
        default=False, description="Whether it runs as root; say why in the description.", examples=[False]
    )
    textfile: bool = Field(
        default=False, description="Whether it writes metrics for the node exporter.", examples=[True]
    )


class Service(Section):
    """The exporter's own service. It gets a system user of its name, unless access.root."""

    name: Name = Field(description="Name of its unit and user.", examples=["mysqld-exporter"])
    command: tuple[Template, ...] = Field(
        min_length=1,
        description="Program and arguments; templates.",
        examples=[["${program.mysqld_exporter}", "--web.listen-address=${listen}"]],
    )
    environment: dict[VariableName, Template] = Field(
        default_factory=dict, description="Environment; templates, never secrets.", examples=[{"HOME": "/nonexistent"}]
    )
    environment_file: RelativePath | None = Field(
        default=None, description="A file of format environment that the service reads.", examples=["exporter.env"]
    )
    data: bool = Field(default=False, description="Whether it keeps data in a directory of its own.", examples=[False])
    reload: bool = Field(default=False, description="Whether SIGHUP makes it read its files again.", examples=[False])
    after: tuple[Annotated[str, StringConstraints(pattern=UNIT_PATTERN)], ...] = Field(
        default=(), description="Units of the machine that it starts after.", examples=[["mariadb.service"]]
    )
    access: Access = Field(default=Access(), description="What it may do.", examples=[{"groups": ["redis"]}])
    memory_max: ByteSize = Field(default="128MB", description="Most memory that it may use.", examples=["128MB"])


class Account(Section):
    """A least-privilege account in the watched service, made when its option is true and taken away afterwards.

    It is a oneshot unit of root's: `create` at start, `remove` at stop; both must be safe to repeat. `command` gets
    the text on its standard input. When an option changes what they say, the old `remove` takes the old account away
    before the new `create` makes the new one.
    """

    option: OptionName = Field(description="The boolean option that asks for it.", examples=["create_account"])
    command: tuple[Template, ...] = Field(
        min_length=1, description="The service's own client.", examples=[["/usr/bin/mariadb", "--batch"]]
    )
    user: Annotated[str, StringConstraints(pattern=r"^[a-z_][a-z0-9_-]*$")] = Field(
        default="root", description="The machine's user that runs it.", examples=["postgres"]
    )
    create: tuple[Template, ...] = Field(min_length=1, description="Lines that make it.", examples=[["CREATE USER …"]])
    remove: tuple[Template, ...] = Field(min_length=1, description="Lines that remove it.", examples=[["DROP USER …"]])
    after: tuple[Annotated[str, StringConstraints(pattern=UNIT_PATTERN)], ...] = Field(
        default=(), description="Units that it needs.", examples=[["mariadb.service"]]
    )


class Exporter(Section):
    """How Prometheus gets the module's metrics.

    `tls` web-config: the exporter speaks TLS by `${web_config}` and is bound to `port` on all addresses. proxy: it is
    bound to `backend_port` on loopback, and the host's TLS proxy takes `port`. A module `through` another has no
    endpoint of its own: its series come with the other's.
    """

    through: Name | None = Field(default=None, description="The module whose endpoint carries it.", examples=["node"])
    tls: Literal["web-config", "proxy"] = Field(
        default="web-config",
        description="Who speaks TLS: the exporter itself, or the host's proxy.",
        examples=["proxy"],
    )
    port: LoopbackPort | None = Field(default=None, description="Default of the option `port`.", examples=[9104])
    backend_port: LoopbackPort | None = Field(
        default=None, description="With tls proxy: the loopback port of the exporter itself.", examples=[19104]
    )
    path: Template = Field(default="/metrics", description="Path of the metrics.", examples=["/metrics"])
    parameters: dict[ParameterName, Template] = Field(
        default_factory=dict, description="URL parameters.", examples=[{"a": "b"}]
    )
    key_metric: Annotated[str, StringConstraints(pattern=METRIC_PATTERN)] = Field(
        description="A series that is there exactly when the exporter works.", examples=["mysql_up"]
    )
    up: Template | None = Field(
        default=None,
        description="PromQL that is 1 while the watched service is up, keeping label host.",
        examples=["mysql_up == 1"],
    )


class Module(Section):
    """One module: the whole of `module.yaml`."""

    version: Literal[1] = Field(default=1, description="Version of this format.", examples=[1])
    name: Name = Field(description="Its name, also that of its folder and its scrape job.", examples=["mysqld"])
    title: Text = Field(description="What it watches.", examples=["MariaDB and MySQL"])
    description: Text = Field(
        description="One sentence for the reference.", examples=["Connections, queries, replication."]
    )
    detect: tuple[Probe, ...] = Field(
        default=(),
        description="Looks that tell whether the service is there; one yes is enough.",
        examples=[[{"unit": "mariadb.service", "confidence": "high"}]],
    )
    needs: tuple[Name, ...] = Field(default=(), description="Modules that must be there too.", examples=[["node"]])
    options: dict[OptionName, Option] = Field(
        default_factory=dict,
        description="Its options.",
        examples=[{"connections_ratio": {"type": "number", "default": 0.8, "description": "Share in use."}}],
    )
    artifact: ModuleArtifact | None = Field(default=None, description="Its programs.", examples=[None])
    files: tuple[ModuleFile, ...] = Field(default=(), description="Its files.", examples=[[]])
    service: Service | None = Field(default=None, description="Its service.", examples=[None])
    account: Account | None = Field(default=None, description="Its account in the watched service.", examples=[None])
    exporter: Exporter = Field(description="Its endpoint.", examples=[{"key_metric": "mysql_up", "port": 9104}])
    tested: dict[Text, Text] = Field(
        default_factory=dict,
        description="What it was proven against, by suite.",
        examples=[{"trixie": "mariadb-server 11.8"}],
    )


class AlertRule(Section):
    """One alert, in the words of Prometheus. `expr` and `for` are templates of the module's thresholds.

    The label `host` must be kept by the expression: thresholds that differ by host depend on it.
    """

    alert: Annotated[str, StringConstraints(pattern=ALERT_NAME_PATTERN)] = Field(
        description="Its name; docs/runbooks/NAME.md or runbooks/NAME.md of the module is its page.",
        examples=["MysqldDown"],
    )
    expr: Template = Field(description="When it holds.", examples=["mysql_up == 0"])
    hold: Template = Field(default="0s", alias="for", description="How long it must hold.", examples=["2m"])
    severity: Literal["critical", "warning", "info"] = Field(description="How soon to look.", examples=["critical"])
    labels: dict[LabelName, LabelValue] = Field(default_factory=dict, description="Added labels.", examples=[{}])
    summary: Text = Field(description="One line.", examples=["MariaDB on {{ $labels.host }} is down"])
    description: Text = Field(description="What is known.", examples=["It has not answered for 2 minutes."])


class RecordRule(Section):
    """One recording rule."""

    record: Annotated[str, StringConstraints(pattern=r"^[a-zA-Z_:][a-zA-Z0-9_:]*$")] = Field(
        description="Its name.", examples=["instance:mysql_connections:ratio"]
    )
    expr: Text = Field(description="What it is.", examples=["a / b"])


class ModuleRules(Section):
    """The whole of `alerts.yaml`."""

    recordings: tuple[RecordRule, ...] = Field(
        default=(), description="Recording rules, evaluated first.", examples=[[]]
    )
    alerts: tuple[AlertRule, ...] = Field(default=(), description="Alerts.", examples=[[]])
