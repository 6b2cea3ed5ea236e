"""Values of the right form that nobody can have meant: placeholders, and names that are reserved for examples."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from obstack.model.rules import Finding, Path
from obstack.model.words import SECRET_WORDS, show, spell

PLACEHOLDER: Final = re.compile(
    r"(?i:(?<![a-z])(?:change|fix|replace|fill)[ _-]?(?:me|this|in)(?![a-z])|place[ _-]?holder|(?<![a-z])your[_-][a-z])"
    r"|(?<![A-Za-z])(?:TODO|FIXME|TBD|XXX+)(?![A-Za-z])|<[^<>]*>|^\$\{.*\}$"
)
_SECRET: Final = re.compile(SECRET_WORDS, re.IGNORECASE)
_EXAMPLE_HOST: Final = re.compile(
    r"(?i)(?<![a-z0-9.-])((?:[a-z0-9-]+\.)*example\.(?:com|net|org)|(?:[a-z0-9-]+\.)+(?:example|invalid))(?![a-z0-9-]|\.[a-z])"
)


def looks_like_placeholder(text: str) -> bool:
    """Given a value, return whether somebody forgot to replace it."""
    return PLACEHOLDER.search(text) is not None


def suspicions(values: Mapping[str, Any], *, production: bool) -> Iterator[Finding]:
    """Given the merged values, yield a finding for each that is a placeholder, or in production an example's name."""
    for path, text in _texts(values, ()):
        if _SECRET.search(spell(path)):
            continue  # what stands there is a reference, or a secret that no message may show
        if looks_like_placeholder(text):
            yield Finding(path, f"still holds the placeholder {show(text)}", f"Write the real value of {spell(path)}.")
        elif production and (found := _EXAMPLE_HOST.search(text)):
            yield Finding(
                path,
                f"holds {found[1]}, a name reserved for examples, and the environment is production",
                f"Write the real value of {spell(path)}, or name another environment.",
            )


def _texts(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _texts(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _texts(item, (*path, index))
