"""From what was seen on a host to the modules that fit it, with how sure that is and why. Pure.

The rule, in docs/how-to/hosts.md too:

- A probe's yes counts as its confidence says. A unit's yes counts as high while it is active, whatever the probe says
  short of low; as medium when it is only enabled.
- One high yes, or two medium ones of different kinds, make a module's confidence high; one medium one, or two low ones
  of different kinds, medium; else it is low.
- A service that is installed but idle - its units are there, none of them active or enabled, and nothing else of it is
  at work - is found with low confidence, whatever else is there: nobody wants to be woken for it.
- Without any yes, one look that could not be taken makes the answer unknown; it is never taken for a no.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from obstack.agent.wire import Fact, Look, Sighting
from obstack.model.module import Confidence, Module, Probe

KINDS: Final = ("unit", "command", "file", "socket", "port", "package")
ARCHITECTURES: Final = ("amd64", "arm64")
PROPOSED: Final = (Confidence.HIGH, Confidence.MEDIUM)


@dataclass(frozen=True)
class Detected:
    """What was found out about one module on a host.

    `verdict` is yes, no or unknown; `confidence` is None without a yes. `evidence` says in words what was seen, what
    speaks for the module first. `needed` are the options that a host must give before it can run the module, `options`
    those that what was seen tells.
    """

    module: str
    title: str
    verdict: str
    confidence: Confidence | None
    evidence: tuple[str, ...]
    needed: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def proposed(self) -> bool:
        """Whether it belongs into the host's file."""
        return self.confidence in PROPOSED


def look_of(probe: Probe) -> Look:
    """Given a probe, return it as the look that the agent takes."""
    kind = next(kind for kind in KINDS if getattr(probe, kind) is not None)
    return Look(kind, str(getattr(probe, kind)))


def looks_of(modules: Iterable[Module]) -> tuple[Look, ...]:
    """Given modules, return every look that is to be taken for them, each once."""
    return tuple(dict.fromkeys(look_of(probe) for module in modules for probe in module.detect))


def decide_detected(modules: Iterable[Module], sightings: Iterable[Sighting]) -> tuple[Detected, ...]:
    """Given modules and what was seen, return what is known of each that can be detected, the surest first."""
    seen = {Look(one.kind, one.subject): one for one in sightings}
    found = [_detected(module, seen) for module in modules if module.detect]
    return tuple(sorted(found, key=lambda one: (_RANKS[one.confidence], one.verdict != "unknown", one.module)))


_RANKS: Final = {Confidence.HIGH: 0, Confidence.MEDIUM: 1, Confidence.LOW: 2, None: 3}


def _detected(module: Module, seen: Mapping[Look, Sighting]) -> Detected:
    pairs = [(probe, seen[look_of(probe)]) for probe in module.detect if look_of(probe) in seen]
    yes = [(probe, one) for probe, one in pairs if one.answer == "yes"]
    unknown = [one.evidence for _, one in pairs if one.answer == "unknown"]
    needed = tuple(name for name, option in module.options.items() if option.default is None and not option.optional)
    if yes:
        evidence = tuple(dict.fromkeys([*(one.evidence for _, one in yes), *unknown]))
        options = _told(yes)
        needed = tuple(name for name in needed if name not in options)
        return Detected(module.name, module.title, "yes", _confidence(yes), evidence, needed, options)
    if unknown or not pairs:
        reasons = tuple(dict.fromkeys(unknown)) or ("nothing was looked at",)
        return Detected(module.name, module.title, "unknown", None, reasons, needed)
    return Detected(module.name, module.title, "no", None, tuple(one.evidence for _, one in pairs), needed)


def _told(yes: Sequence[tuple[Probe, Sighting]]) -> Mapping[str, Any]:
    """Return what the first yes tells of the module's options; what is active goes before what is merely there."""
    ordered = sorted(yes, key=lambda pair: pair[1].state != "active")
    return next((dict(probe.options) for probe, _ in ordered if probe.options), {})


def _confidence(yes: Sequence[tuple[Probe, Sighting]]) -> Confidence:
    # A port tells nothing here: it may be another service's.
    at_work = any(one.state in ("active", "enabled") for _, one in yes if one.kind != "port")
    if not at_work and any(one.state == "idle" for _, one in yes):
        return Confidence.LOW
    counted = [(_weight(probe, one), one.kind) for probe, one in yes]
    if any(weight is Confidence.HIGH for weight, _ in counted) or _kinds(counted, Confidence.MEDIUM) > 1:
        return Confidence.HIGH
    if _kinds(counted, Confidence.MEDIUM) or _kinds(counted, Confidence.LOW) > 1:
        return Confidence.MEDIUM
    return Confidence.LOW


def _kinds(counted: Iterable[tuple[Confidence, str]], wanted: Confidence) -> int:
    return len({kind for weight, kind in counted if weight is wanted})


def _weight(probe: Probe, one: Sighting) -> Confidence:
    if one.kind != "unit" or probe.confidence is Confidence.LOW:
        return probe.confidence
    return Confidence.HIGH if one.state == "active" else Confidence.MEDIUM


# ---------------------------------------------------------------------------------------------------- the host's file


def proposal(detected: Iterable[Detected], facts: Iterable[Fact]) -> dict[str, Any]:
    """Given what was detected and the facts of a host, return what its file should say of both.

    A module that needs an option which only a person knows is left out.
    """
    values: dict[str, Any] = dict(_machine({fact.name: fact.value for fact in facts if fact.state == "known"}))
    modules: dict[str, Any] = {
        one.module: {"options": dict(one.options)} if one.options else {}
        for one in _by_name(detected)
        if one.proposed and not one.needed
    }
    return values | ({"modules": modules} if modules else {})


def left_out(detected: Iterable[Detected]) -> tuple[Detected, ...]:
    """Given what was detected, return the modules that a person must enable, with the options that they need."""
    return tuple(one for one in _by_name(detected) if one.proposed and one.needed)


def _by_name(detected: Iterable[Detected]) -> list[Detected]:
    return sorted(detected, key=lambda one: one.module)


def _machine(facts: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    system = facts.get("os") or {}
    if system.get("id") == "debian" and system.get("codename"):
        yield "suite", system["codename"]
    if facts.get("architecture") in ARCHITECTURES:
        yield "architecture", facts["architecture"]


def missing(proposed: Mapping[str, Any], written: Mapping[str, Any]) -> tuple[tuple[tuple[str, ...], Any], ...]:
    """Given what a host's file should say and what it says, return the keys that it lacks, with their values.

    What a person wrote is never changed: a module that is disabled stays so.
    """
    lacking: list[tuple[tuple[str, ...], Any]] = []
    modules = written.get("modules") or {}
    for key, value in proposed.items():
        if key == "modules":
            lacking += [(("modules", name), use) for name, use in value.items() if name not in modules]
        elif written.get(key) is None:
            lacking.append(((key,), value))
    return tuple(lacking)
