"""What the firewall lets in, as values: openings, and the addresses that their names mean at the moment."""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from obstack.agent import nft, wire
from obstack.agent.faults import CHANGE_FAILED, AgentError

PROTOCOLS = ("tcp", "udp")
AT_ONCE = 16


@dataclass(frozen=True, order=True)
class Opening:
    """A port that may be reached: by `sources` (addresses, networks, names) alone, or by anybody when there are none.

    `purpose` says to people what it is for.
    """

    protocol: str
    port: int
    sources: tuple[str, ...] = ()
    purpose: str = ""

    def __str__(self) -> str:
        """Return it for people: `TCP port 443 (front door)`."""
        return f"{self.protocol.upper()} port {self.port}{f' ({self.purpose})' if self.purpose else ''}"


@dataclass(frozen=True)
class Rules:
    """What is wanted. When `closed`, all else is shut but SSH; otherwise only the ports of `openings` are judged.

    `tool` is the nft program.
    """

    openings: tuple[Opening, ...]
    tool: nft.Nft
    closed: bool = False


def read_rules(file: str) -> Rules:
    """Given the path of a rules file in a tree, return what it says. Raises AgentError `firewall-unreadable`."""
    tree = os.path.abspath(os.path.join(os.path.dirname(file), "..", ".."))
    try:
        with open(file, "rb") as stream:
            content = wire.load(stream.read())
        libraries = tuple(os.path.join(tree, folder) for folder in content["libraries"])
        tool = nft.Nft(os.path.join(tree, content["nft"]), libraries)
        return Rules(tuple(decode(entry) for entry in content["openings"]), tool, bool(content["closed"]))
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise unreadable(file, error) from error


def encode(opening: Opening) -> dict[str, object]:
    """Return an opening as JSON."""
    return {**vars(opening), "sources": list(opening.sources)}


def decode(content: Mapping[str, object]) -> Opening:
    """Given an opening as JSON, return it. Raises ValueError, TypeError or LookupError when it is none."""
    protocol, port, sources = content["protocol"], content["port"], content["sources"]
    if protocol not in PROTOCOLS or not isinstance(port, int) or not 0 < port < 65536 or not isinstance(sources, list):
        raise ValueError(f"{content!r} is no opening")
    return Opening(str(protocol), port, tuple(str(source) for source in sources), str(content.get("purpose", "")))


def settle(rules: Rules, known: Mapping[str, Sequence[str]]) -> tuple[tuple[Opening, ...], dict[str, tuple[str, ...]]]:
    """Given rules and what names meant earlier, return the openings by address alone, and what the names mean now.

    A name that no resolver knows keeps what it meant: at boot no resolver may be up yet. One that never meant anything
    lets nobody in on a closed machine; elsewhere, where it is the server's own, that is a fault. Raises AgentError
    `name-unknown`.
    """
    names = sorted({source for opening in rules.openings for source in opening.sources if not is_literal(source)})
    meanings: dict[str, tuple[str, ...]] = {}
    with ThreadPoolExecutor(max(1, min(len(names), AT_ONCE))) as pool:
        for name, found in zip(names, pool.map(_addresses, names), strict=True):
            meanings[name] = tuple(known.get(name, ())) if isinstance(found, OSError) else found
            if isinstance(found, OSError) and not meanings[name] and not rules.closed:
                raise _unknown(name, found) from found
    settled = []
    for opening in rules.openings:
        addresses = [a for source in opening.sources for a in meanings.get(source, (source,))]
        # An opening for names that mean nothing must not become one for everybody.
        if addresses or not opening.sources:
            settled.append(replace(opening, sources=collapse(addresses)))
    return merged(settled), meanings


def merged(openings: Iterable[Opening]) -> tuple[Opening, ...]:
    """Given openings, return each once, in order."""
    return tuple(sorted(set(openings)))


def is_literal(source: str) -> bool:
    """Tell an address or a network from a name."""
    try:
        ipaddress.ip_network(source, strict=False)
    except ValueError:
        return False
    return True


def collapse(addresses: Iterable[str]) -> tuple[str, ...]:
    """Given addresses and networks, return the fewest that say the same, written one way; IPv4 first."""
    networks = [ipaddress.ip_network(address, strict=False) for address in addresses]
    four = ipaddress.collapse_addresses(n for n in networks if isinstance(n, ipaddress.IPv4Network))
    six = ipaddress.collapse_addresses(n for n in networks if isinstance(n, ipaddress.IPv6Network))
    # One address is written without a length, as ufw writes it.
    return (*(str(n).removesuffix("/32") for n in four), *(str(n).removesuffix("/128") for n in six))


def covers(opening: Opening, address: str) -> bool:
    """Given an opening whose sources are literal and an address, return whether it lets the address in."""
    if not opening.sources:
        return True
    there = ipaddress.ip_address(address)
    return any(there in ipaddress.ip_network(source) for source in opening.sources)


def _addresses(name: str) -> tuple[str, ...] | OSError:
    try:
        answers = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except OSError as error:
        return error
    return tuple(sorted({str(answer[4][0]).partition("%")[0] for answer in answers}))


def _unknown(name: str, error: OSError) -> AgentError:
    return AgentError(
        exit_code=CHANGE_FAILED,
        code="name-unknown",
        what=f"The server's name {name} cannot be resolved on this host: {error}.",
        where="server.address",
        do="give server.address as an address in config/global.yaml and run: observability apply",
    )


def unreadable(file: str, error: BaseException) -> AgentError:
    """Given a file of the firewall and why it makes no sense, return the error."""
    return AgentError(
        exit_code=CHANGE_FAILED,
        code="firewall-unreadable",
        what=f"The firewall's file cannot be read: {error}",
        where=file,
        do="observability apply",
    )
