"""Small validated types. Whatever passes them is safe to stand in a path, a label, a unit file or a query.

Each pattern has its meaning in words in `MEANINGS`, which error messages and the reference are made from.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, StringConstraints

DURATION_PATTERN: Final = r"^([0-9]+y)?([0-9]+w)?([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$"
NAME_PATTERN: Final = r"^[a-z][a-z0-9-]{0,62}$"
HOST_NAME_PATTERN: Final = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$"
BYTE_SIZE_PATTERN: Final = r"^[1-9][0-9]{0,5}(KB|MB|GB|TB)$"
LABEL_NAME_PATTERN: Final = r"^_?[a-zA-Z][a-zA-Z0-9_]*$"
ONE_LINE_PATTERN: Final = r"^[^\x00-\x1f\x7f]*$"
HTTP_URL_PATTERN: Final = r"^https?://[^\s\"'<>\\^`{|}\x00-\x1f]+$"
SECRET_REFERENCE_PATTERN: Final = r"^secret:[a-z][a-z0-9-]{0,62}$"
AGE_RECIPIENT_PATTERN: Final = r"^age1[023456789acdefghjklmnpqrstuvwxyz]{58}$"
ADDRESS_PATTERN: Final = r"^[A-Za-z0-9._-]+:[0-9]{1,5}$|^\[[0-9a-fA-F:]+\]:[0-9]{1,5}$"
MAIL_ADDRESS_PATTERN: Final = r"^[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*$"
URL_PATH_PATTERN: Final = r"^/[A-Za-z0-9._~/-]*$"
SUITE_PATTERN: Final = r"^[a-z][a-z0-9-]*$"
VERSION_PATTERN: Final = r"^[0-9][A-Za-z0-9.+~:-]*$"
PROBE_TARGET_PATTERN: Final = r"^[A-Za-z0-9:/?#\[\]@!$&()*+,;=._~%-]+$"
OPTION_NAME_PATTERN: Final = r"^[a-z][a-z0-9_]{0,62}$"
HOST_ADDRESS_PATTERN: Final = (
    r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$|^[0-9a-f]*:[0-9a-f:.]*$"
)
SSH_DESTINATION_PATTERN: Final = r"^([A-Za-z_][A-Za-z0-9_.-]{0,31}@)?[A-Za-z0-9_\[][A-Za-z0-9_.:\]-]{0,252}$"
SSH_OPTION_PATTERN: Final = r"^[A-Za-z][A-Za-z0-9]*=[^\x00-\x1f\x7f]+$"
NETWORK_PATTERN: Final = r"^[0-9a-f:.]{2,45}(/[0-9]{1,3})?$"
BATCH_PATTERN: Final = r"^([1-9][0-9]{0,4}|[1-9][0-9]?%|100%)$"

MEANINGS: Final = {
    DURATION_PATTERN: "a duration such as 15s, 5m, 1h30m or 30d, the larger unit first",
    NAME_PATTERN: "a name of lower case letters, digits and hyphens that begins with a letter, at most 63 characters",
    HOST_NAME_PATTERN: "a host name in lower case such as mon-1.example.org, or an IPv4 address",
    BYTE_SIZE_PATTERN: "a size such as 512MB or 50GB (KB, MB, GB or TB)",
    LABEL_NAME_PATTERN: "a label name of letters, digits and underscores that begins with a letter (not with __)",
    ONE_LINE_PATTERN: "one line of text without control characters",
    HTTP_URL_PATTERN: "a URL that begins with http:// or https://",
    SECRET_REFERENCE_PATTERN: "a reference secret:NAME, never the secret itself",
    AGE_RECIPIENT_PATTERN: "a public key of age, age1 and 58 letters and digits",
    ADDRESS_PATTERN: "an address host:port such as web-1.example.org:9100",
    MAIL_ADDRESS_PATTERN: "an e-mail address such as ops@example.org",
    URL_PATH_PATTERN: "a path such as /metrics",
    SUITE_PATTERN: "the name of a Debian suite such as trixie",
    VERSION_PATTERN: "a version such as 3.5.0",
    PROBE_TARGET_PATTERN: "a URL, host:port or host without blanks",
    OPTION_NAME_PATTERN: "the name of an option: lower case letters, digits and underscores, a letter first",
    HOST_ADDRESS_PATTERN: "a host name in lower case, an IPv4 address, or an IPv6 address without brackets",
    SSH_DESTINATION_PATTERN: "[user@]host as ssh understands it, such as admin@web-1.example.org",
    SSH_OPTION_PATTERN: "a setting of ssh as Name=value, such as ProxyJump=jump.example.org",
    NETWORK_PATTERN: "an address or a network in lower case, such as 192.0.2.7 or 2001:db8:1::/64",
    BATCH_PATTERN: "a number of hosts such as 5, or a share such as 10%",
}
"""What each pattern demands, in words: `must be ...`."""

_HIDDEN: Final = frozenset(("Cc", "Cf", "Cs", "Co", "Zl", "Zp"))
"""Categories of Unicode: controls, marks of format and direction, halves, private ones, ends of lines."""

_DURATION_PART: Final = re.compile(r"([0-9]+)(ms|y|w|d|h|m|s)")
_SECONDS: Final = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800, "y": 31536000}
_LONGEST_DURATION_S: Final = 100 * 31536000


def duration_seconds(text: str) -> float:
    """Given a Prometheus duration such as `1h30m`, return its seconds."""
    return sum(int(count) * _SECONDS[unit] for count, unit in _DURATION_PART.findall(text))


def _sane_duration(text: str) -> str:
    if not text or duration_seconds(text) <= 0:
        raise ValueError("must be a duration greater than zero, such as 15s, 5m or 30d")
    if duration_seconds(text) > _LONGEST_DURATION_S:
        raise ValueError("must be at most 100 years")
    return text


def hidden(text: str) -> str:
    """Given text, return the first character in it that nobody sees, or that makes text read other than it is; or "".

    Those that join or part letters in some scripts are seen by what they do.
    """
    found = (one for one in text if unicodedata.category(one) in _HIDDEN and one not in "\n\t\u200c\u200d")
    return next(found, "")


def visible(text: str) -> str:
    """Refuse text in which something cannot be seen: who reviews it must see what it says."""
    found = hidden(text)
    if found:
        raise ValueError(f"must not hold the invisible character U+{ord(found):04X}")
    return text


def real_host(text: str) -> str:
    """Refuse what only looks like an IPv4 address: 999.10.10.10 is neither an address nor anybody's name."""
    if text.rpartition(".")[2].isdigit():
        try:
            ipaddress.IPv4Address(text)
        except ValueError:
            raise ValueError("must be a host name or a valid IPv4 address") from None
    return text


def real_address(text: str) -> str:
    """Refuse what only looks like an address or host name."""
    if ":" not in text:
        return real_host(text)
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        raise ValueError("must be a host name, an IPv4 address or a valid IPv6 address") from None
    return text


def split_address(address: str) -> tuple[str, int]:
    """Given `host:port` or `[v6]:port`, return the host without brackets and the port."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def _real_address(text: str) -> str:
    host, port = split_address(text)
    if not 1 <= port <= 65535:
        raise ValueError("must have a port from 1 to 65535")
    if ":" in host:
        try:
            ipaddress.IPv6Address(host)
        except ValueError:
            raise ValueError("must have a valid IPv6 address between the brackets") from None
    else:
        real_host(host.lower())
    return text


def _real_network(text: str) -> str:
    try:
        network = ipaddress.ip_network(text)
    except ValueError:
        raise ValueError("must be an address or a network whose host bits are zero, such as 192.0.2.0/24") from None
    if network.prefixlen == 0:
        raise ValueError("must not be all addresses")
    return text


def _real_url(text: str) -> str:
    try:
        parts = urlsplit(text)
        complete = bool(parts.hostname) and parts.port != 0
    except ValueError:
        complete = False
        parts = urlsplit("")
    if not complete:
        raise ValueError("must be a URL with a host and, if given, a port from 1 to 65535")
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not carry a user or password")
    return text


Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
"""A name of ours: lower case letters, digits and hyphens, beginning with a letter."""

HostName = Annotated[str, StringConstraints(max_length=253, pattern=HOST_NAME_PATTERN), AfterValidator(real_host)]
"""A host name or an IPv4 address, lower case."""

Port = Annotated[int, Field(ge=1, le=65535)]

LoopbackPort = Annotated[int, Field(ge=1024, le=65535)]
"""A port of a service of ours; from 1024 up, since the services have no right to lower ones."""

Duration = Annotated[str, StringConstraints(max_length=32, pattern=DURATION_PATTERN), AfterValidator(_sane_duration)]
"""A Prometheus duration: 15s, 5m, 1h30m, 30d."""

ByteSize = Annotated[str, StringConstraints(pattern=BYTE_SIZE_PATTERN)]
"""A size as Prometheus writes it: 512MB, 50GB."""

LabelName = Annotated[str, StringConstraints(max_length=128, pattern=LABEL_NAME_PATTERN)]
"""A label's name; names that begin with `__` belong to Prometheus itself."""

LabelValue = Annotated[str, StringConstraints(max_length=512, pattern=ONE_LINE_PATTERN), AfterValidator(visible)]

Text = Annotated[
    str, StringConstraints(min_length=1, max_length=512, pattern=ONE_LINE_PATTERN), AfterValidator(visible)
]
"""One line of printable text."""

HttpUrl = Annotated[str, StringConstraints(max_length=2048, pattern=HTTP_URL_PATTERN), AfterValidator(_real_url)]

SecretReference = Annotated[str, StringConstraints(pattern=SECRET_REFERENCE_PATTERN)]
"""`secret:NAME`, the only thing that a secret field accepts."""

Address = Annotated[str, StringConstraints(max_length=260, pattern=ADDRESS_PATTERN), AfterValidator(_real_address)]
"""`host:port` of a scrape target."""

Network = Annotated[str, StringConstraints(max_length=49, pattern=NETWORK_PATTERN), AfterValidator(_real_network)]
"""One address, or a network as `192.0.2.0/24`; never all addresses."""

MailAddress = Annotated[str, StringConstraints(max_length=254, pattern=MAIL_ADDRESS_PATTERN)]

UrlPath = Annotated[str, StringConstraints(max_length=512, pattern=URL_PATH_PATTERN)]

Suite = Annotated[str, StringConstraints(max_length=64, pattern=SUITE_PATTERN)]

Version = Annotated[str, StringConstraints(max_length=128, pattern=VERSION_PATTERN)]

ProbeTarget = Annotated[str, StringConstraints(max_length=2048, pattern=PROBE_TARGET_PATTERN)]
