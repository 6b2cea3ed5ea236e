"""What values an option accepts. Each type is strict: text never counts as a number, nor a number as text."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from typing import Any, Final

from obstack.model.describe import join
from obstack.model.host import OptionValue
from obstack.model.module import ABSOLUTE_PATH_PATTERN, Option, OptionType
from obstack.model.scalars import (
    ADDRESS_PATTERN,
    DURATION_PATTERN,
    ONE_LINE_PATTERN,
    SECRET_REFERENCE_PATTERN,
    duration_seconds,
    hidden,
    split_address,
)

IDENTIFIER_PATTERN: Final = r"^[a-z_][a-z0-9_-]{0,62}$"
URL_PATTERN: Final = r"^[a-z][a-z0-9+.-]*://[^\s\"'<>\\^`{|}@\x00-\x1f]+$"
LONGEST_TEXT: Final = 1024
LONGEST_LIST: Final = 256


def refusal(option: Option, value: Any) -> str | None:
    """Given an option and a value for it, return what the value must be, `must be …`; None when it is accepted."""
    demanded = _DEMANDS[option.type](option, value)
    if demanded is None and option.choices and not _chosen(option, value):
        demanded = join(option.choices)
    return None if demanded is None else f"must be {demanded}"


def parse_value(option: Option, text: str) -> OptionValue:
    """Given an option and what was typed for it, return the value that its file will hold.

    What has not the form of the option's type stays text, which is then refused with the words of its type.
    """
    if option.type is OptionType.BOOLEAN and text in ("true", "false"):
        return text == "true"
    if option.type is OptionType.LIST:
        return tuple(text.split(",")) if text else ()
    if option.type in (OptionType.INTEGER, OptionType.PORT) and re.fullmatch(r"-?[0-9]{1,18}", text):
        return int(text)
    if option.type is OptionType.NUMBER and re.fullmatch(r"-?[0-9]{1,18}(\.[0-9]{1,18})?", text):
        return float(text) if "." in text else int(text)
    return text


def meaning(option: Option) -> str:
    """Given an option, return in words what its values are."""
    if option.choices:
        several = "a list of " if option.type is OptionType.LIST else ""
        return f"{several}{join(option.choices)}"
    if option.type in (OptionType.INTEGER, OptionType.NUMBER):
        return _number_words(option)
    if option.type is OptionType.PORT:
        return f"a port from {_lowest_port(option)} to 65535"
    return _WORDS[option.type]


def _chosen(option: Option, value: Any) -> bool:
    items = value if option.type is OptionType.LIST else (value,)
    return all(str(item) in option.choices for item in items)


def _number(option: Option, value: Any) -> str | None:
    kinds = int if option.type is OptionType.INTEGER else int | float
    if isinstance(value, bool) or not isinstance(value, kinds) or not _within(option, value):
        return _number_words(option)
    return None


def _within(option: Option, value: float) -> bool:
    low, high = option.minimum, option.maximum
    return (low is None or value >= low) and (high is None or value <= high)


def _number_words(option: Option) -> str:
    kind = "a whole number" if option.type is OptionType.INTEGER else "a number"
    low, high = (None if bound is None else f"{bound:g}" for bound in (option.minimum, option.maximum))
    if low is not None and high is not None:
        return f"{kind} from {low} to {high}"
    if low is not None:
        return f"{kind}, at least {low}"
    return kind if high is None else f"{kind}, at most {high}"


def _boolean(option: Option, value: Any) -> str | None:
    return None if isinstance(value, bool) else _WORDS[option.type]


def _text(fits: Callable[[str], bool]) -> Callable[[Option, Any], str | None]:
    def demand(option: Option, value: Any) -> str | None:
        fitting = isinstance(value, str) and len(value) <= LONGEST_TEXT and fits(value)
        return None if fitting else _WORDS[option.type]

    return demand


def _list(option: Option, value: Any) -> str | None:
    fitting = isinstance(value, tuple | list) and len(value) <= LONGEST_LIST
    fitting = fitting and all(isinstance(item, str) and _is_item(item) for item in value)
    return None if fitting else _WORDS[option.type]


def _port(option: Option, value: Any) -> str | None:
    fitting = isinstance(value, int) and not isinstance(value, bool) and _lowest_port(option) <= value <= 65535
    return None if fitting else f"a port from {_lowest_port(option)} to 65535"


def _lowest_port(option: Option) -> int:
    return max(1, int(option.minimum or 1))


def _is_line(text: str) -> bool:
    return re.fullmatch(ONE_LINE_PATTERN, text) is not None and not hidden(text)


def _is_item(text: str) -> bool:
    # Lists are written with commas between their items, so an item must not hold one.
    return 0 < len(text) <= LONGEST_TEXT and _is_line(text) and "," not in text


def _is_path(text: str) -> bool:
    return re.fullmatch(ABSOLUTE_PATH_PATTERN, text) is not None and ".." not in text.split("/")


def _is_address(text: str) -> bool:
    if re.fullmatch(ADDRESS_PATTERN, text) is None:
        return False
    host, port = split_address(text)
    try:
        return 1 <= port <= 65535 and (":" not in host or ipaddress.IPv6Address(host) is not None)
    except ValueError:
        return False


def _is_duration(text: str) -> bool:
    return re.fullmatch(DURATION_PATTERN, text) is not None and duration_seconds(text) > 0


def _matches(pattern: str) -> Callable[[str], bool]:
    return lambda text: re.fullmatch(pattern, text) is not None


_DEMANDS: Final[dict[OptionType, Callable[[Option, Any], str | None]]] = {
    OptionType.INTEGER: _number,
    OptionType.NUMBER: _number,
    OptionType.BOOLEAN: _boolean,
    OptionType.STRING: _text(_is_line),
    OptionType.NAME: _text(_matches(IDENTIFIER_PATTERN)),
    OptionType.PATH: _text(_is_path),
    OptionType.URL: _text(_matches(URL_PATTERN)),
    OptionType.ADDRESS: _text(_is_address),
    OptionType.PORT: _port,
    OptionType.DURATION: _text(_is_duration),
    OptionType.SECRET: _text(_matches(SECRET_REFERENCE_PATTERN)),
    OptionType.LIST: _list,
}

_WORDS: Final = {
    OptionType.BOOLEAN: "true or false",
    OptionType.STRING: "one line of visible text",
    OptionType.NAME: "a name of lower case letters, digits, hyphens and underscores",
    OptionType.PATH: "an absolute path of letters, digits and ._@+/-",
    OptionType.URL: "a URL such as http://127.0.0.1/status, without user and password",
    OptionType.ADDRESS: "an address host:port",
    OptionType.DURATION: "a duration such as 15s, 5m or 30d",
    OptionType.SECRET: "a reference secret:NAME, never the secret itself",
    OptionType.LIST: "a list of texts without commas",
}
