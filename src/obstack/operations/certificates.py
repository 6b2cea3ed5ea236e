"""The certificates of a site: how each stands, and which nodes are to be applied when some are renewed."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from obstack.errors import UsageError
from obstack.model.site import Site
from obstack.plan.certificates import (
    AUTHORITY_NAMES,
    FRONT_DOOR,
    RECEIVER,
    SCRAPE_CLIENT,
    Issued,
    Standing,
    host_names,
    node_of,
    waiting_note,
)


class Book(Protocol):
    """Where certificates are looked up, and given up so that new ones are made."""

    def issued(self, name: str) -> Issued | None:
        """Given a name, return what is kept under it."""

    def forget(self, *names: str) -> tuple[str, ...]:
        """Given names, give them up; return those that there were."""


class Notes(Protocol):
    """Where it is noted which nodes still wait for renewed certificates."""

    def kept(self, name: str) -> bytes | None:
        """Given a name, return the note."""

    def keep(self, name: str, content: bytes) -> None:
        """Given a name and content, keep the note durably."""

    def forget(self, name: str) -> bool:
        """Given a name, remove the note; return whether there was one."""


@dataclass(frozen=True)
class Certificate:
    """A certificate of the site. `node` has its key, at `place`; `waiting` says that the node has an older one."""

    issued: Issued
    node: str
    place: str
    standing: Standing
    share_left: float
    waiting: bool

    @property
    def sound(self) -> bool:
        """Whether nobody needs to look at it."""
        return self.standing in (Standing.VALID, Standing.DUE)


def list_certificates(site: Site, book: Book, notes: Notes, now: float) -> tuple[Certificate, ...]:
    """Return all authorities and certificates that the site has made, the server's first.

    Where the front door's is of another authority, the hosts are shown one of the site's own.
    """
    own = FRONT_DOOR if site.front_door.certificate.mode == "internal" else RECEIVER
    server = (*AUTHORITY_NAMES, own, SCRAPE_CLIENT)
    names = (*server, *(name for host in site.hosts for name in host_names(host)))
    waiting = set(waiting_nodes(site, notes))
    found = []
    for name in names:
        issued = book.issued(name)
        if issued is not None:
            node = node_of(name, site.server.name)
            found.append(
                Certificate(
                    issued,
                    node,
                    _place(name),
                    issued.standing(now),
                    issued.share_left(now),
                    waiting=node in waiting and not issued.is_authority,
                )
            )
    return tuple(found)


def choose(
    certificates: Sequence[Certificate],
    names: Sequence[str],
    *,
    everything: bool,
    if_due: bool,
    apart: Collection[str] = (),
) -> tuple[Certificate, ...]:
    """Given all certificates and what the command line says, return those to be renewed.

    Authorities, and those of nodes `apart` that a bundle is carried to, are renewed only by name: until that bundle
    is made, what their node has must be seen to become due. Raises UsageError for a name that there is not.
    """
    known = {certificate.issued.name: certificate for certificate in certificates}
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            raise UsageError(
                code="certificate-unknown",
                what=f"There is no certificate {name}.{f' Did you mean {near[0]}?' if near else ''}",
                where="the command line",
                state="nothing was touched",
                do="observability cert status",
            )
    every = everything or not names
    chosen = [
        c
        for c in certificates
        if c.issued.name in names or (every and not c.issued.is_authority and c.node not in apart)
    ]
    return tuple(c for c in chosen if not if_due or c.standing is not Standing.VALID)


def give_up(
    site: Site, certificates: Iterable[Certificate], book: Book, notes: Notes, apart: Collection[str] = ()
) -> tuple[str, ...]:
    """Give certificates up, and note the nodes concerned; return them with those that waited before, the server last.

    The next time that a node is rendered, a new certificate is made. What an authority signed is made anew with it,
    and what trusts it is on every node. Nodes `apart` are left out: nobody can apply them from here.
    """
    concerned = set(waiting_nodes(site, notes))
    for certificate in certificates:
        concerned |= _nodes(site) if certificate.issued.is_authority else {certificate.node}
    concerned -= set(apart)
    # Noted first: a run that dies between the two applies nodes that have nothing to change.
    for node in concerned:
        notes.keep(waiting_note(node), b"\n")
    book.forget(*(certificate.issued.name for certificate in certificates))
    return tuple(node for node in (*site.hosts, site.server.name) if node in concerned)


def settle(notes: Notes, nodes: Iterable[str]) -> None:
    """Given nodes that have been applied, note that they no longer wait."""
    for node in nodes:
        notes.forget(waiting_note(node))


def waiting_nodes(site: Site, notes: Notes) -> tuple[str, ...]:
    """Return the nodes that have not been applied since a certificate of theirs was renewed."""
    return tuple(node for node in (*site.hosts, site.server.name) if notes.kept(waiting_note(node)) is not None)


def _nodes(site: Site) -> set[str]:
    return {*site.hosts, site.server.name}


def _place(name: str) -> str:
    if name in AUTHORITY_NAMES:
        return "kept with the secrets"
    if name == FRONT_DOOR:
        return "/etc/nginx/tls/certificate.pem"
    if name == RECEIVER:
        return "/etc/journal-receive/certificate.pem"
    if name == SCRAPE_CLIENT:
        return "/etc/prometheus/tls/certificate.pem"
    return "/etc/observability-exporters"
