"""Licences: what Debian's copyright files say in their machine-readable form, in the words of SPDX.

A copyright file covers its whole source package. What is deployed of it may be less; it is never more.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from obstack.catalog.deb822 import stanzas

MACHINE_READABLE: Final = re.compile(r"copyright-format|/dep5?\b|DEP-?5", re.IGNORECASE)
_OPERATOR: Final = re.compile(r",?\s+(and/or|or|and)\s+|\s*,\s*", re.IGNORECASE)

# Debian's short names that SPDX calls otherwise, in lower case.
SPDX: Final = {
    "apache-2.0": "Apache-2.0",
    "apache-2": "Apache-2.0",
    "artistic": "Artistic-1.0-Perl",
    "bsd-2-clause": "BSD-2-Clause",
    "bsd-3-clause": "BSD-3-Clause",
    "bsd-4-clause": "BSD-4-Clause",
    "cc0": "CC0-1.0",
    "cc0-1.0": "CC0-1.0",
    "expat": "MIT",
    "gpl-1": "GPL-1.0-only",
    "gpl-1+": "GPL-1.0-or-later",
    "gpl-2": "GPL-2.0-only",
    "gpl-2.0": "GPL-2.0-only",
    "gpl-2+": "GPL-2.0-or-later",
    "gpl-2.0+": "GPL-2.0-or-later",
    "gpl-3": "GPL-3.0-only",
    "gpl-3+": "GPL-3.0-or-later",
    "gpl-3.0+": "GPL-3.0-or-later",
    "isc": "ISC",
    "lgpl-2": "LGPL-2.0-only",
    "lgpl-2+": "LGPL-2.0-or-later",
    "lgpl-2.1": "LGPL-2.1-only",
    "lgpl-2.1+": "LGPL-2.1-or-later",
    "lgpl-3": "LGPL-3.0-only",
    "lgpl-3+": "LGPL-3.0-or-later",
    "lgpl-3.0+": "LGPL-3.0-or-later",
    "mit": "MIT",
    "mpl-1.1": "MPL-1.1",
    "mpl-2.0": "MPL-2.0",
    "openssl": "OpenSSL",
    "unlicense": "Unlicense",
    "zlib": "Zlib",
    "0bsd": "0BSD",
}


@dataclass(frozen=True)
class Licence:
    """Under which licence something is: an SPDX `expression`, or where it is not known, a `note` that says why."""

    expression: str = ""
    note: str = ""

    @property
    def text(self) -> str:
        """Return it as people read it."""
        return self.expression or self.note


def debian_licence(text: str | None, package: str) -> Licence:
    """Given a package's copyright file, None when it has none, return its licence.

    All licences of all its files hold together, so that they are joined by AND.
    """
    if text is None:
        return Licence(note=f"the package {package} has no copyright file of its own")
    paragraphs = list(stanzas(text))
    if not paragraphs or not MACHINE_READABLE.search(paragraphs[0].get("format", "")):
        return Licence(note=f"see the copyright file of the package {package}, which no program can read")
    named = [fields.get("license", "").split("\n")[0].strip() for fields in paragraphs if "files" in fields]
    named = named if any(named) else [paragraphs[0].get("license", "").split("\n")[0].strip()]
    joined = (spdx_expression(name) for name in named if name)
    # What is joined by AND alone is taken apart, so that each licence is named once.
    expressions = dict.fromkeys(part for text in joined for part in ([text] if " OR " in text else text.split(" AND ")))
    if not expressions:
        return Licence(note=f"the copyright file of the package {package} names no licence")
    several = len(expressions) > 1
    return Licence(" AND ".join(f"({part})" if several and " OR " in part else part for part in expressions))


def spdx_expression(name: str) -> str:
    """Given the licence field of a copyright file, return it as SPDX writes it.

    A licence that SPDX has no name for keeps Debian's, as `LicenseRef-Debian-…`.
    """
    words: list[str] = []
    position = 0
    for match in _OPERATOR.finditer(name):
        words += [_spdx(name[position : match.start()]), "OR" if "or" in (match[1] or "").lower() else "AND"]
        position = match.end()
    return " ".join([*words, _spdx(name[position:])])


def _spdx(name: str) -> str:
    known = SPDX.get(name.strip().lower())
    return known or f"LicenseRef-Debian-{re.sub('[^A-Za-z0-9.-]+', '-', name.strip()).strip('-') or 'unnamed'}"
