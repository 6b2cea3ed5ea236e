"""Pinned releases of the upstream projects, by architecture: version and SHA-256 of the archive.

How well each digest is attested is said beside it: A, the same value in three or more independent public places, one
of them having compared it with the project's own sums; B, in two places or in a package recipe; C, in one place.
Nothing that is not listed here is ever taken from a release.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Release:
    """Where a project's archives are and which of them are pinned.

    In `url`, `{version}` and `{architecture}` are filled in. `default` is the version taken when none is asked for.
    `digests` is by version, then by architecture. `binaries` are paths after `strip` leading folders were dropped.
    `licence` is an SPDX expression, empty when nobody said it.
    """

    url: str
    kind: str
    strip: int
    default: str
    digests: dict[str, dict[str, str]]
    binaries: dict[str, str]
    licence: str = ""


def _archive(organisation: str, name: str) -> str:
    return (
        f"https://github.com/{organisation}/{name}/releases/download/v{{version}}/"
        f"{name}-{{version}}.linux-{{architecture}}.tar.gz"
    )


PROMETHEUS: Final = Release(
    url=_archive("prometheus", "prometheus"),
    kind="tar",
    strip=1,
    default="3.13.4",  # the line with long-term support, until 2027-07-31
    digests={
        "3.15.0": {
            "amd64": "2a542df32eac02ee17b9d844fb2aa1de00dafa5476579ba8a3ba862e9d572ea0",  # A
            "arm64": "f1f90ec08e849d494ca66c611470afc50192f0355f1a61c33f2cbde02d067823",  # B
        },
        "3.14.0": {
            "amd64": "f665c6da19eb7ba399c915d30c7d9793c9b417bf8a749b504bc470678631478d",  # B
        },
        "3.13.4": {
            "amd64": "87f21a66f96c597a189cef8d640e8921b621fc17a9feff707c332c4f3b3ddd56",  # A
            "arm64": "ffa86c7d6e7f7e7dc8a79c81c5c2a6c9164464b79335f25613f4327c863b8489",  # C
        },
        "3.13.2": {
            "amd64": "0e8c4d46101bd025ea8265e377d2caabc57f488fc1be1c367f37db69ea41be6f",  # B
            "arm64": "7cecb17a6f41d59814e1a0581a1f81f79051ad5973d1ecf39e23a9f747d6572a",  # C
        },
        "3.13.1": {
            "amd64": "962b812371aff838d152b6ff2d56fdb7a6396f5542f48ebf73421b9721f0d103",  # C
        },
        "3.5.0": {
            "amd64": "e811827af26d822afb09a4f28314f61b618b12cff5369835a67f674d8b46f39a",  # C
        },
        "2.55.1": {  # the only 2.x that reads the data of 3.x
            "amd64": "19700bdd42ec31ee162e4079ebda4cd0a44432df4daa637141bdbea4b1cd8927",  # C
        },
        "2.53.5": {
            "amd64": "456eb31530484d181e860e329fa0c6628e79eb388fac670cdeb4fa5d57c74ed9",  # C
        },
    },
    binaries={"prometheus": "prometheus", "promtool": "promtool"},
    licence="Apache-2.0",
)

ALERTMANAGER: Final = Release(
    url=_archive("prometheus", "alertmanager"),
    kind="tar",
    strip=1,
    default="0.34.1",
    digests={
        "0.34.1": {
            "amd64": "265b9d1e55ef0d5306a436018af6d2b686c2ce051f03d968f7464ecb1372a7e8",  # A
            "arm64": "d98d6cbaf52151c7e76e24355fec88b11cebcb9875d4cdd8b76ddce7a7e5535c",  # A
        },
        "0.33.1": {
            "amd64": "93d802cba6a8d27239d747ce117df7648d326ab67394e32247540b030e9842ba",  # B
            "arm64": "50b32a346c3c29da411643dfa84990440e8fd03800380d7e664f22a863b7a0cf",  # C
        },
    },
    binaries={"alertmanager": "alertmanager", "amtool": "amtool"},
    licence="Apache-2.0",
)

NODE_EXPORTER: Final = Release(
    url=_archive("prometheus", "node_exporter"),
    kind="tar",
    strip=1,
    default="1.12.1",
    digests={
        "1.12.1": {
            "amd64": "b51d8a76aa2a9156a55d501aca6276fae09e262259a5e4e831d2c2222f084e63",  # A
            "arm64": "ad35b605f9954b9f1ffddf5ba054bdc5a98d790b9eae5291e1eeb83f1ecbd0e7",  # A
        },
        "1.9.1": {
            "amd64": "becb950ee80daa8ae7331d77966d94a611af79ad0d3307380907e0ec08f5b4e8",  # C
        },
    },
    binaries={"node_exporter": "node_exporter"},
    licence="Apache-2.0",
)

BLACKBOX_EXPORTER: Final = Release(
    url=_archive("prometheus", "blackbox_exporter"),
    kind="tar",
    strip=1,
    default="0.28.0",
    digests={
        "0.28.0": {
            "amd64": "caf5d242fb1cf6d5cb678f3f799f22703d4fafea26b03dcbbd7e1f1825e06329",  # A
            "arm64": "63312be0983d85e5109710a7dc93df3051157ae581853fa3655d171cc1b2806e",  # A
        },
    },
    binaries={"blackbox_exporter": "blackbox_exporter"},
    licence="Apache-2.0",
)

GRAFANA: Final = Release(
    url="https://dl.grafana.com/oss/release/grafana-{version}.linux-{architecture}.tar.gz",
    kind="tar",
    strip=1,
    default="13.2.3",
    digests={
        "13.2.3": {
            "amd64": "6107ad27016296aac38e0d7ffa8753ab540b5541ad27e94790f771289d733235",  # A
            "arm64": "a2a41b960ba4c25e83140484e48813730d3c81891a128439a2a9d2df6eb3840e",  # A
        },
        "13.2.2": {
            "amd64": "9662c838a09824fdb072e5f6fbdd45b62cf541b20f3d609ea5011e6e5f544c8f",  # B
            "arm64": "7268f9a576f919f14e6263b344a85b6ac8d768fbda247910c43ce4e12c747a72",  # C
        },
        "11.6.16": {
            "amd64": "b4f5e9d773c1400f2282de30ca2177d787fd6c67aba4de0e1c82f65dbab6d86a",  # C
        },
    },
    binaries={"grafana": "bin/grafana"},
)
