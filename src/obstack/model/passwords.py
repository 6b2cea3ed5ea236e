"""When a password is too weak to stand before a front door."""

from __future__ import annotations

from typing import Final

SHORTEST: Final = 12
SHORTEST_OF_MACHINE: Final = 32
"""A machine's password is checked at each push, so its hash must be cheap; what makes up for it is its length."""
DRAWN_LENGTH: Final = 40
"""Characters of a password of a machine that is drawn here."""

ADDED: Final = 8
"""Characters that must be there beside words that guessing begins with."""

_COMMON_TEXT: Final = (
    "password passw0rd passwort pass admin administrator root toor user guest login welcome letmein secret default "
    "changeme changeit trustno1 qwerty qwertyuiop qwertz azerty asdfgh asdfghjkl zxcvbn zxcvbnm iloveyou monkey "
    "dragon master superman batman football baseball princess sunshine shadow access hello freedom whatever michael "
    "jordan ninja abc abcdef abcdefgh test testing temp temporary demo example sample server monitor monitoring "
    "observability prometheus alertmanager grafana loki nginx debian ubuntu linux production staging backup "
    "operator company internal correcthorsebatterystaple "
)

COMMON: Final = frozenset(_COMMON_TEXT.split())
"""Words that guessing begins with, and the user's own name with them."""

_SIMILAR: Final = str.maketrans("0134578@$!", "oleastbasi")
_RUNS: Final = ("abcdefghijklmnopqrstuvwxyz", "01234567890123456789", "qwertyuiopasdfghjklzxcvbnm")


def weakness(password: str, user: str, *, shortest: int = SHORTEST) -> str | None:
    """Given a password and its user's name, return what is weak about it, or None. The password is not in the text.

    `shortest` is the fewest characters that it may have.
    """
    if len(password) < shortest:
        return f"has {len(password)} characters; at least {shortest} are needed"
    lowered = password.lower()
    words = sorted({*COMMON, user}, key=len, reverse=True)
    if min(_unguessed(lowered, words), _unguessed(lowered.translate(_SIMILAR), words)) < ADDED:
        return "is little more than words that guessing begins with"
    if len(set(lowered)) < 5:
        return "repeats a few characters"
    if any(lowered in run * 3 or lowered in run[::-1] * 3 for run in _RUNS):
        return "is a run of neighbouring keys"
    return None


def _unguessed(text: str, words: list[str]) -> int:
    """Return how many characters are left when every known word is taken out; a text without any counts in full."""
    for word in words:
        text = text.replace(word, "")
    return len(text)
