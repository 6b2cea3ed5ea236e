"""The page behind the front door that lists what is behind it. Built as a tree, so that no name can become markup."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from xml.etree.ElementTree import Element, SubElement, indent, tostring

STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:40rem;margin:4rem auto;padding:0 1rem;color:#222;"
    "background:#fff}a{color:#0b57d0}li{margin:.5rem 0}"
    "@media(prefers-color-scheme:dark){body{color:#ddd;background:#161616}a{color:#8ab4f8}}"
)


@dataclass(frozen=True)
class Door:
    """One entry of the page."""

    path: str
    name: str
    purpose: str


def page_bytes(site: str, environment: str, doors: Sequence[Door]) -> bytes:
    """Given the site's name, its environment and the doors, return the page."""
    html = Element("html", {"lang": "en"})
    head = SubElement(html, "head")
    SubElement(head, "meta", {"charset": "utf-8"})
    SubElement(head, "meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"})
    SubElement(head, "title").text = site
    SubElement(head, "style").text = STYLE
    body = SubElement(html, "body")
    SubElement(body, "h1").text = site
    SubElement(body, "p").text = f"Environment: {environment}"
    entries = SubElement(body, "ul")
    for door in doors:
        entry = SubElement(entries, "li")
        link = SubElement(entry, "a", {"href": door.path})
        link.text = door.name
        link.tail = f": {door.purpose}"
    indent(html, " ")  # one element a line, so that a plan shows what changes and not the whole page
    text: str = tostring(html, encoding="unicode", method="html")
    return f"<!doctype html>\n{text}\n".encode()
