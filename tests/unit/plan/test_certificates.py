"""How a certificate stands as its life goes by."""

import pytest

from obstack.plan.certificates import Issued, Standing, host_names, node_of

LIFE = 90.0


@pytest.mark.parametrize(
    ("left", "standing"),
    [
        (90, Standing.VALID),
        (31, Standing.VALID),
        (30, Standing.DUE),
        (16, Standing.DUE),
        (15, Standing.OVERDUE),
        (0, Standing.EXPIRED),
        (-1, Standing.EXPIRED),
    ],
)
def test_a_certificate_becomes_due_overdue_and_expires(left: float, standing: Standing) -> None:
    assert Issued("front-door", "server", "site", 0.0, LIFE).standing(LIFE - left) is standing


def test_an_authority_is_not_renewed_for_its_share_of_life() -> None:
    authority = Issued("authority", "", "itself", 0.0, LIFE)
    assert authority.standing(LIFE - 1) is Standing.VALID
    assert authority.standing(LIFE) is Standing.EXPIRED


def test_the_key_of_a_certificate_is_on_one_node() -> None:
    assert [node_of(name, "mon-1") for name in ("front-door", "scrape-client", *host_names("web-1"))] == [
        "mon-1",
        "mon-1",
        "web-1",
        "web-1",
    ]
