"""As much of PromQL as is needed to read and narrow queries: where a query selects series, and by which metric.

The grammar is that of Prometheus's own lexer (promql/parser/lex.go, versions 2.42 to 3.5). A word selects a metric
unless it is a keyword, a label inside braces or inside the parentheses of a grouping, or is called as a function.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_TOKEN: Final = re.compile(
    r"""(?P<space>\s+|\#[^\n]*)
      | (?P<string>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`[^`]*`)
      | (?P<number>(?:0[xX][0-9a-fA-F]+|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)(?:[a-z][a-z0-9]*)?)
      | (?P<word>[A-Za-z_:][A-Za-z0-9_:]*)
      | (?P<mark>=~|!~|!=|==|<=|>=|.)""",
    re.VERBOSE | re.DOTALL,
)

_OPERATORS: Final = frozenset({"and", "or", "unless", "atan2", "bool", "offset", "inf", "nan"})
_GROUPINGS: Final = frozenset({"by", "without", "on", "ignoring", "group_left", "group_right"})
_RATES: Final = frozenset({"rate"})


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    start: int


@dataclass(frozen=True)
class Selector:
    """One place where a query selects series.

    `metric` is empty for one by labels alone. `inside` is the position in the text where a first matcher can be put;
    `braces` says whether braces are there already, and `empty` whether nothing is between them.
    """

    metric: str
    inside: int
    braces: bool
    empty: bool


def selectors(query: str) -> tuple[Selector, ...]:
    """Given a query, return the places where it selects series, from left to right."""
    return tuple(_selectors(_tokens(query)))


def metrics(query: str) -> tuple[str, ...]:
    """Given a query, return the names of the metrics that it selects, each once, from left to right."""
    return tuple(dict.fromkeys(selector.metric for selector in selectors(query) if selector.metric))


def narrowed(query: str, matchers: str) -> str:
    """Given a query and label matchers such as `host=~"web-.*"`, return it with these added to each selector."""
    for selector in reversed(selectors(query)):
        added = matchers if selector.empty else f"{matchers},"
        if not selector.braces:
            added = f"{{{matchers}}}"
        query = query[: selector.inside] + added + query[selector.inside :]
    return query


def with_rate_window(query: str, window: str) -> str:
    """Given a query and a window such as `10m`, return it with this in place of what each `rate` looks back over.

    Other functions keep theirs: an `increase` says by its window what it counts.
    """
    tokens = [token for token in _tokens(query) if token.kind != "space"]
    opened: list[str] = []
    spans: list[tuple[int, int]] = []
    for index, token in enumerate(tokens):
        if token.text in ("(", "["):
            before = tokens[index - 1].text if index and tokens[index - 1].kind == "word" else ""
            opened.append(before if token.text == "(" else "[")
        elif token.text in (")", "]") and opened:
            opened.pop()
        elif token.kind == "number" and opened[-1:] == ["["] and len(opened) > 1 and opened[-2] in _RATES:
            following = tokens[index + 1] if index + 1 < len(tokens) else None
            if following is not None and following.text == "]":
                spans.append((token.start, token.start + len(token.text)))
    for start, end in reversed(spans):
        query = query[:start] + window + query[end:]
    return query


def _tokens(query: str) -> Iterator[_Token]:
    for match in _TOKEN.finditer(query):
        yield _Token(str(match.lastgroup), match.group(), match.start())


def _selectors(tokens: Iterator[_Token]) -> Iterator[Selector]:
    words = [token for token in tokens if token.kind != "space"]
    index = 0
    while index < len(words):
        token = words[index]
        following = words[index + 1].text if index + 1 < len(words) else ""
        if token.text == "{":
            yield Selector("", token.start + 1, braces=True, empty=following == "}")
            index = _after(words, index, "}")
        elif token.text == "[":
            index = _after(words, index, "]")
        elif token.kind != "word" or token.text.lower() in _OPERATORS:
            index += 1
        elif token.text.lower() in _GROUPINGS:
            index = _after(words, index + 1, ")") if following == "(" else index + 1
        elif following == "(" or following.lower() in ("by", "without"):
            index += 1  # a function, or an aggregation
        elif following == "{":
            brace = words[index + 1]
            empty = index + 2 < len(words) and words[index + 2].text == "}"
            yield Selector(token.text, brace.start + 1, braces=True, empty=empty)
            index = _after(words, index + 1, "}")
        else:
            yield Selector(token.text, token.start + len(token.text), braces=False, empty=True)
            index += 1


def _after(words: list[_Token], index: int, closing: str) -> int:
    """Return the index behind the next closing mark."""
    while index < len(words) and words[index].text != closing:
        index += 1
    return index + 1
