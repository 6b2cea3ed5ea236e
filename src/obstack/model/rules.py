"""The rules that cross the sections of a site: small pure functions; all findings are reported, none hides another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from obstack.model.alertmanager import Alertmanager
from obstack.model.blackbox import Probe
from obstack.model.components import ArtifactChoice, Source
from obstack.model.door_certificate import certificate_faults
from obstack.model.front_door import Machine, User
from obstack.model.grafana import SignIn
from obstack.model.probe_forms import PROBE_FORMS, fits
from obstack.model.scalars import duration_seconds
from obstack.model.site import Site
from obstack.model.words import nearest, spell

Path = tuple[str | int, ...]
"""The way to a value: `("alertmanager", "routes", 0, "receiver")`."""

COMPONENTS: Final = (
    "prometheus",
    "alertmanager",
    "node-exporter",
    "blackbox-exporter",
    "nginx",
    "journal-remote",
    "nftables",
    "grafana",
)
"""The components that artifacts may be chosen for."""

RESERVED_PORTS: Final = {22: "SSH"}
RESERVED_USERS: Final = {"observability-gate": "the account of the gate probes"}
RESERVED_RECEIVERS: Final = {"nobody": "the receiver that tells nobody", "gate": "the receiver of gate alerts"}
SERVER_LABELS: Final = ("environment", "host", "instance", "job", "role")
EXTERNAL_LABELS: Final = ("environment", "host")
TARGET_LABELS: Final = ("instance", "job")
RESERVED_JOBS: Final = (*COMPONENTS, "probes", "host-probes", "front-door")

STALENESS_S: Final = 300
SHORTEST_RETENTION_S: Final = 7200


class Finding(NamedTuple):
    """One broken rule: the path of the key at fault, what is wrong with it, and what to do.

    `related` is the other key of the rule: the place to show when the key at fault has its default. `rests_on` are
    further values that the rule has looked at: where one of them is itself faulty, the finding says nothing.
    """

    path: Path
    message: str
    remedy: str
    related: Path = ()
    rests_on: tuple[Path, ...] = ()


def cross_rules(site: Site) -> list[Finding]:
    """Given a site whose sections are valid each by itself, return every rule between them that is broken."""
    return [
        *_ports(site),
        *_labels(site),
        *_intervals(site),
        *_alerting(site.alertmanager),
        *_alert_intervals(site.alertmanager),
        *_probes(site.blackbox.probes),
        *_targets(site),
        *_certificate(site),
        *_logins(site),
        *_proxies(site),
        *_credentials(site),
        *_grafana(site),
        *_artifacts(site),
    ]


def value_references(site: Site) -> list[tuple[Path, str]]:
    """Given a site, return the references whose values must be known here: all but those that only its server has."""
    return [(path, name) for path, name in secret_references(site) if name not in site.secrets.credentials]


def secret_references(site: Site) -> list[tuple[Path, str]]:
    """Given a site, return every secret that it refers to, with the path of the reference."""
    found: list[tuple[Path, str]] = [
        (("front_door", kind, index, "password"), login.password)
        for kind, logins in _logins_of(site).items()
        for index, login in enumerate(logins)
    ]
    smtp = site.alertmanager.smtp
    if smtp is not None and smtp.password is not None:
        found.append((("alertmanager", "smtp", "password"), smtp.password))
    found += _grafana_secrets(site)
    return [(path, reference.removeprefix("secret:")) for path, reference in found]


def _grafana_secrets(site: Site) -> Iterator[tuple[Path, str]]:
    grafana = site.grafana
    if not site.runs_grafana:
        return
    yield ("grafana", "admin_password"), grafana.admin_password
    yield ("grafana", "secret_key"), grafana.secret_key
    if grafana.oidc is not None:
        yield ("grafana", "oidc", "client_secret"), grafana.oidc.client_secret
    if grafana.postgres is not None:
        yield ("grafana", "postgres", "password"), grafana.postgres.password


def _ports(site: Site) -> Iterator[Finding]:
    owners: dict[int, Path] = {}
    ports: list[tuple[Path, int]] = [
        (("prometheus", "port"), site.prometheus.port),
        (("alertmanager", "port"), site.alertmanager.port),
        (("node_exporter", "port"), site.node_exporter.port),
        (("blackbox", "port"), site.blackbox.port),
        (("front_door", "https_port"), site.front_door.https_port),
        (("front_door", "http_port"), site.front_door.http_port),
        (("grafana", "port"), site.grafana.port),
        (("logs", "port"), site.logs.port),
        (("logs", "receive_port"), site.logs.receive_port),
    ]
    for path, port in ports:
        name = spell(path)
        if port in RESERVED_PORTS:
            yield Finding(path, f"must not be {port}, the port of {RESERVED_PORTS[port]}", f"Give {name} another port.")
        elif port in owners:
            other = spell(owners[port])
            yield Finding(
                path,
                f"must not be {port}, which is also {other}",
                f"Give {name} or {other} another port.",
                owners[port],
            )
        owners.setdefault(port, path)


def _labels(site: Site) -> Iterator[Finding]:
    for path, labels, taken in (
        (("server", "labels"), site.server.labels, SERVER_LABELS),
        (("prometheus", "external_labels"), site.prometheus.external_labels, EXTERNAL_LABELS),
    ):
        yield from taken_labels(path, labels, taken)
    for index, target in enumerate(site.prometheus.targets):
        yield from taken_labels(("prometheus", "targets", index, "labels"), target.labels, TARGET_LABELS)


def taken_labels(path: Path, labels: Mapping[str, str], taken: Sequence[str]) -> Iterator[Finding]:
    """Given a mapping of labels, its path and the labels that are taken, yield a finding for each that it sets."""
    named = "server.name" if path[0] in ("server", "prometheus") else "the host's name"
    sources = {"environment": "the key environment", "host": named}
    for label in labels:
        if label in taken:
            origin = sources.get(label, "the stack itself")
            yield Finding(
                (*path, label),
                f"must not set the label {label}, which comes from {origin}",
                f"Remove {spell((*path, label))}.",
            )


def _intervals(site: Site) -> Iterator[Finding]:
    prometheus = site.prometheus
    scrape = duration_seconds(prometheus.scrape_interval)
    for key, value in (
        ("scrape_interval", prometheus.scrape_interval),
        ("evaluation_interval", prometheus.evaluation_interval),
    ):
        yield from interval(("prometheus", key), value)
    if duration_seconds(prometheus.retention_time) < SHORTEST_RETENTION_S:
        yield Finding(
            ("prometheus", "retention_time"),
            f"must be at least 2h, the length of one block of data, but is {prometheus.retention_time}",
            "Write for example: retention_time: 30d",
        )
    if duration_seconds(site.logs.retention_time) < 60:
        yield Finding(
            ("logs", "retention_time"),
            f"must be at least 1m, but is {site.logs.retention_time}",
            "Write for example: retention_time: 30d",
        )
    deadline = site.gates.deadline
    if duration_seconds(deadline) <= scrape < STALENESS_S:
        yield Finding(
            ("gates", "deadline"),
            f"must be longer than prometheus.scrape_interval ({prometheus.scrape_interval}), "
            f"or no target could be scraped in time, but is {deadline}",
            "Write for example: deadline: 60s",
            ("prometheus", "scrape_interval"),
        )


def interval(path: Path, value: str) -> Iterator[Finding]:
    """Given how often something is looked at, yield a finding when Prometheus could not work with it."""
    if not 1 <= duration_seconds(value) < STALENESS_S:
        yield Finding(
            path,
            f"must be at least 1s and less than 5m, after which Prometheus takes a series for gone, but is {value}",
            f"Write for example: {path[-1]}: 15s",
        )


def _alerting(alertmanager: Alertmanager) -> Iterator[Finding]:
    names = [receiver.name for receiver in alertmanager.receivers]
    yield from _unique(("alertmanager", "receivers"), names)
    for index, receiver in enumerate(alertmanager.receivers):
        path: Path = ("alertmanager", "receivers", index)
        if receiver.name in RESERVED_RECEIVERS:
            yield Finding(
                (*path, "name"),
                f"must not be {receiver.name}, {RESERVED_RECEIVERS[receiver.name]} of the stack itself",
                "Give the receiver another name.",
            )
        if not receiver.email and not receiver.webhook:
            yield Finding(
                path,
                f"{receiver.name} has no channel",
                "Give it email or webhook, or remove the receiver.",
                rests_on=((*path, "name"),),
            )
        if receiver.email and alertmanager.smtp is None:
            yield Finding(
                (*path, "email"),
                "needs a mail relay, but alertmanager.smtp is not set",
                "Set alertmanager.smtp with host and sender.",
                rests_on=(("alertmanager", "smtp"),),
            )
    default = alertmanager.default_receiver
    if default is not None:
        yield from _known_receiver(("alertmanager", "default_receiver"), default, names)
    for index, route in enumerate(alertmanager.routes):
        yield from _known_receiver(("alertmanager", "routes", index, "receiver"), route.receiver, names)
    smtp = alertmanager.smtp
    if smtp is not None and (smtp.username is None) != (smtp.password is None):
        given, missing = ("username", "password") if smtp.password is None else ("password", "username")
        yield Finding(
            ("alertmanager", "smtp", given),
            f"is set without {missing}",
            f"Set alertmanager.smtp.{missing} too, or remove {given}.",
            rests_on=(("alertmanager", "smtp", missing),),
        )


def _known_receiver(path: Path, name: str, names: Sequence[str]) -> Iterator[Finding]:
    if name in names:
        return
    receivers: Path = ("alertmanager", "receivers")
    if not names:
        yield Finding(
            path,
            f"names the receiver {name}, but there are no receivers",
            f"Add it under {spell(receivers)}.",
            rests_on=(receivers,),
        )
        return
    yield Finding(
        path,
        f"names the receiver {name}, which does not exist",
        f"{nearest(name, names)}Receivers: {', '.join(names)}.",
        rests_on=tuple((*receivers, index, "name") for index in range(len(names))),
    )


def _alert_intervals(alertmanager: Alertmanager) -> Iterator[Finding]:
    if duration_seconds(alertmanager.repeat_interval) < duration_seconds(alertmanager.group_interval):
        yield Finding(
            ("alertmanager", "repeat_interval"),
            f"must not be shorter than group_interval ({alertmanager.group_interval}), "
            f"but is {alertmanager.repeat_interval}",
            "Write for example: repeat_interval: 4h",
            ("alertmanager", "group_interval"),
        )


def _probes(probes: Sequence[Probe]) -> Iterator[Finding]:
    yield from _unique(("blackbox", "probes"), [probe.name for probe in probes])
    for index, probe in enumerate(probes):
        wanted, example = PROBE_FORMS[probe.kind]
        if not fits(probe):
            yield Finding(
                ("blackbox", "probes", index, "target"),
                f"must be {wanted} for the kind {probe.kind.value}, but is {probe.target}",
                f"Write for example: target: {example}",
                rests_on=(("blackbox", "probes", index, "kind"),),
            )


def _targets(site: Site) -> Iterator[Finding]:
    yield from _unique(("prometheus", "targets"), [target.job for target in site.prometheus.targets], key="job")
    for index, target in enumerate(site.prometheus.targets):
        path: Path = ("prometheus", "targets", index)
        if target.job in RESERVED_JOBS:
            yield Finding(
                (*path, "job"), f"must not be {target.job}, a job of the stack itself", "Give the job another name."
            )
        for position, address in enumerate(target.addresses):
            if address in target.addresses[:position]:
                yield Finding((*path, "addresses", position), f"{address} is listed twice", "Remove one of the two.")


def _logins_of(site: Site) -> dict[str, tuple[User | Machine, ...]]:
    return {"users": site.front_door.users, "machines": site.front_door.machines}


def _logins(site: Site) -> Iterator[Finding]:
    names = {kind: [login.name for login in logins] for kind, logins in _logins_of(site).items()}
    for kind, of_kind in names.items():
        yield from _unique(("front_door", kind), of_kind)
        for index, name in enumerate(of_kind):
            path: Path = ("front_door", kind, index, "name")
            if name in RESERVED_USERS:
                yield Finding(
                    path, f"must not be {name}, {RESERVED_USERS[name]}", f"Give the {kind[:-1]} another name."
                )
            elif kind == "machines" and name in names["users"]:
                yield Finding(path, f"{name} is the name of a user as well", "Give the machine another name.")


def _credentials(site: Site) -> Iterator[Finding]:
    """A credential is for a program that reads it from a file itself, which only Alertmanager is told to do so far."""
    references = secret_references(site)
    for path, name in references:
        if path != ("alertmanager", "smtp", "password") and name in site.secrets.credentials:
            yield credential_finding(path, name)
    for name in site.secrets.credentials:
        if name not in [used for _, used in references]:
            yield Finding(
                ("secrets", "credentials", name),
                f"names {name}, to which no setting of the server refers",
                "Remove it, or write for example: alertmanager: {smtp: {password: secret:" + name + "}}",
            )


def credential_finding(path: Path, name: str) -> Finding:
    """Return the finding for a setting that refers to a credential, whose value nobody has here."""
    return Finding(
        path,
        f"needs the value of {name} here, but secrets.credentials says that only the server's systemd has it",
        f"Remove {name} from secrets.credentials, and run: observability secrets set {name}",
        ("secrets", "credentials", name),
    )


def _proxies(site: Site) -> Iterator[Finding]:
    if site.front_door.plain_http and not site.front_door.trusted_proxies:
        yield Finding(
            ("front_door", "plain_http"),
            "needs front_door.trusted_proxies: without TLS nobody else may be answered",
            "Add the address of the proxy that does TLS, for example: trusted_proxies: [192.0.2.7]",
            rests_on=(("front_door", "trusted_proxies"),),
        )


def _certificate(site: Site) -> Iterator[Finding]:
    section: Path = ("front_door", "certificate")
    mode = site.front_door.certificate.mode
    if site.front_door.plain_http and mode != "internal":
        yield Finding(
            (*section, "mode"),
            f"is {mode}, but with front_door.plain_http the front door shows no certificate",
            "Remove front_door.certificate, and let the proxy have the certificate.",
            rests_on=(("front_door", "plain_http"),),
        )
    for key, message, remedy in certificate_faults(site.front_door.certificate, site.domain):
        yield Finding((*section, key), message, remedy, (*section, "mode"), ((*section, "mode"), ("domain",)))


def _grafana(site: Site) -> Iterator[Finding]:
    if site.grafana.sign_in is SignIn.OIDC and site.grafana.oidc is None:
        yield Finding(
            ("grafana", "sign_in"),
            "is oidc, but grafana.oidc does not say which provider",
            "Write for example: oidc: {client_id: grafana, client_secret: secret:grafana-client-secret, …}",
            rests_on=(("grafana", "oidc"),),
        )


def _artifacts(site: Site) -> Iterator[Finding]:
    for name in site.artifacts.components:
        if name not in COMPONENTS:
            yield Finding(
                ("artifacts", "components", name),
                f"{name} is not a component",
                f"{nearest(name, COMPONENTS)}Components: {', '.join(COMPONENTS)}.",
            )
    yield from _choice(("artifacts", "default"), site.artifacts.default, site.artifacts.mirror)
    for name, choice in site.artifacts.components.items():
        yield from _choice(("artifacts", "components", name), choice, site.artifacts.mirror)


def _choice(path: Path, choice: ArtifactChoice, mirror: str | None) -> Iterator[Finding]:
    if choice.suite is not None and choice.source is not Source.DEBIAN:
        yield Finding(
            (*path, "suite"),
            f"belongs to the source debian, but source is {choice.source.value}",
            f"Remove {spell((*path, 'suite'))}.",
            rests_on=((*path, "source"),),
        )
    if choice.source is Source.MIRROR and mirror is None:
        yield Finding(
            (*path, "source"),
            "is mirror, but artifacts.mirror is not set",
            "Set artifacts.mirror to a folder or URL.",
            rests_on=(("artifacts", "mirror"),),
        )


def _unique(path: Path, names: Iterable[str], key: str = "name") -> Iterator[Finding]:
    first: dict[str, int] = {}
    for index, name in enumerate(names):
        if name in first:
            yield Finding(
                (*path, index, key),
                f"{name} is already the {key} of {spell((*path, first[name]))}",
                f"Give each {key} once.",
                rests_on=((*path, first[name], key),),
            )
        first.setdefault(name, index)
