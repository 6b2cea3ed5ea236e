"""Whether a series is among the metrics: a name, or a name with labels, in the text that exporters serve."""

from __future__ import annotations

import pytest

from obstack.agent.gate_exporter import has_series

METRICS = """# HELP mysql_up whether it is up
# TYPE mysql_up gauge
mysql_up 1
mysql_uptime_seconds 5
nginx_requests{method="GET",path="/a \\"b\\" {c}"} 7 1700000000000
node_systemd_unit_state{name="a.service",state="failed",type="simple"} 0
tabbed\t3
"""


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("mysql_up", True),
        ("mysql_u", False),
        ("mysql_upti", False),
        ("tabbed", True),
        ("nginx_requests", True),
        ('nginx_requests{method="GET"}', True),
        ('nginx_requests{method="POST"}', False),
        ('nginx_requests{path="/a \\"b\\" {c}"}', True),
        ('node_systemd_unit_state{state="failed",name="a.service"}', True),
        ('node_systemd_unit_state{state="failed",name="b.service"}', False),
        ('mysql_up{host="a"}', False),
        ("HELP", False),
        ("", False),
    ],
)
def test_a_series_is_found_by_its_name_and_labels(selector: str, expected: bool) -> None:
    assert has_series(METRICS.encode(), selector) is expected
