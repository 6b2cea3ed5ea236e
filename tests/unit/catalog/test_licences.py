"""Licences as Debian's copyright files say them, in the words of SPDX; what no program can read is said to be so."""

from __future__ import annotations

import pytest
from license_expression import get_spdx_licensing

from obstack.catalog.licences import SPDX, debian_licence, spdx_expression

HEADER = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\nUpstream-Name: thing\n"


@pytest.mark.parametrize(
    ("name", "expression"),
    [
        ("Apache-2.0", "Apache-2.0"),
        ("Expat", "MIT"),
        ("BSD-3-clause", "BSD-3-Clause"),
        ("GPL-2+", "GPL-2.0-or-later"),
        ("GPL-1+ or Artistic", "GPL-1.0-or-later OR Artistic-1.0-Perl"),
        ("LGPL-3+ and/or GPL-2+", "LGPL-3.0-or-later OR GPL-2.0-or-later"),
        ("ISC, and zlib", "ISC AND Zlib"),
        ("public-domain", "LicenseRef-Debian-public-domain"),
        ("GPL-2+ with OpenSSL exception", "LicenseRef-Debian-GPL-2-with-OpenSSL-exception"),
        ("", "LicenseRef-Debian-unnamed"),
    ],
)
def test_a_licence_is_said_as_spdx_says_it(name: str, expression: str) -> None:
    assert spdx_expression(name) == expression


def test_every_name_given_is_one_of_spdx() -> None:
    known = get_spdx_licensing().known_symbols
    assert [name for name in SPDX.values() if name not in known] == []


def test_the_licences_of_all_files_hold_together_and_each_is_named_once() -> None:
    text = (
        f"{HEADER}\nFiles: *\nLicense: Apache-2.0\n text\n\nFiles: a\nLicense: Expat or GPL-2\n\n"
        "Files: b\nLicense: ISC and Apache-2.0\n\nFiles: debian/*\nLicense: Apache-2.0\n\n"
        "License: BSD-4-clause\n text\n"
    )
    assert debian_licence(text, "thing").expression == "Apache-2.0 AND (MIT OR GPL-2.0-only) AND ISC"


def test_a_licence_of_the_whole_is_taken_where_no_file_has_its_own() -> None:
    assert debian_licence(f"{HEADER}License: MPL-2.0\n", "thing").expression == "MPL-2.0"


@pytest.mark.parametrize("text", ["", "This package was debianized by hand.\nLicense: GPL\n", HEADER])
def test_what_no_program_can_read_is_told_so(text: str) -> None:
    licence = debian_licence(text, "thing")
    assert licence.expression == ""
    assert "thing" in licence.note


def test_a_package_without_a_copyright_file_is_told_so() -> None:
    assert debian_licence(None, "thing").note == "the package thing has no copyright file of its own"
