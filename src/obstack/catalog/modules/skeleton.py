"""A module to begin with: commented, whole, and accepted by `module validate` as it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final


def skeleton(name: str) -> Mapping[str, str]:
    """Given the name of a module, return its files by their path in its folder."""
    metric = name.replace("-", "_")
    alert = "".join(part.capitalize() for part in name.split("-"))
    found = {}
    for path, text in _FILES.items():
        for place, value in (("@NAME@", name), ("@METRIC@", metric), ("@ALERT@", alert)):
            path, text = path.replace(place, value), text.replace(place, value)
        found[path] = text
    return found


_MODULE: Final = """\
# One module. Every key is described in docs/reference/module.schema.json; the guide is docs/how-to/write-a-module.md.
name: @NAME@
title: @NAME@
description: Whether @NAME@ answers, and how long that takes.

# Looks that tell whether the service is there; one yes is enough. Kinds: unit, command, file, socket, port, package.
detect:
  - unit: @NAME@.service
    confidence: high

# What a host or a group may set. Types: integer, number, boolean, string, name, path, url, address, port, duration,
# secret, list. An option with threshold: true may stand in alerts.yaml, and differ by host.
options:
  url:
    type: url
    default: http://127.0.0.1:8080/health
    description: Where the service is asked.
  down_for:
    type: duration
    default: 2m
    threshold: true
    description: How long it may be away before @ALERT@Down fires.

# Programs, unpacked from Debian packages of the host's suite; nothing is installed. `only` is what is wanted of them.
artifact:
  name: @NAME@-exporter
  packages:
    - name: prometheus-@NAME@-exporter
      only: [usr/bin/prometheus-@NAME@-exporter]
  programs:
    @METRIC@_exporter: [usr/bin/prometheus-@NAME@-exporter]

# The exporter's service; it gets a user of its own. ${name} stands for an option or for one of: listen, port,
# web_config, etc, data, textfile, python, host, address, program.NAME, file.NAME. $$ is a dollar sign.
service:
  name: @NAME@-exporter
  command:
    - ${program.@METRIC@_exporter}
    - --web.listen-address=${listen}
    - --web.config.file=${web_config}
    - --target=${url}

# tls: web-config is for exporters that know --web.config.file. For others write tls: proxy and backend_port: the host's
# proxy then speaks TLS in front of the exporter.
exporter:
  tls: web-config
  port: 9999
  key_metric: @METRIC@_up
  up: @METRIC@_up == 1
"""

_ALERTS: Final = """\
# Each alert has its page in runbooks/ and a case in alerts.test.yaml. Expressions keep the label host.
alerts:
  - alert: @ALERT@Down
    expr: @METRIC@_up == 0
    for: ${down_for}
    severity: critical
    summary: "@NAME@ on {{ $labels.host }} does not answer"
    description: The exporter on the same machine has got no answer from it.
"""

_TESTS: Final = """\
# Tests as promtool knows them, without rule_files; the thresholds have their defaults.
tests:
  - name: it goes away and comes back
    interval: 1m
    input_series:
      - series: @METRIC@_up{job="@NAME@",instance="host-1:9999",host="host-1"}
        values: 1 1 0 0 0 0 1 1
    promql_expr_test:
      - expr: count(ALERTS{alertname="@ALERT@Down",alertstate="firing",host="host-1"}) or vector(0)
        eval_time: 3m
        exp_samples: [{value: 0}]
      - expr: count(ALERTS{alertname="@ALERT@Down",alertstate="firing",host="host-1"}) or vector(0)
        eval_time: 4m
        exp_samples: [{value: 1}]
      - expr: count(ALERTS{alertname="@ALERT@Down",alertstate="firing",host="host-1"}) or vector(0)
        eval_time: 6m
        exp_samples: [{value: 0}]
"""

_DASHBOARD: Final = """\
{
  "title": "@NAME@",
  "panels": [
    {
      "title": "Answers",
      "description": "Whether the exporter got an answer from it at the last scrape.",
      "kind": "state",
      "expr": "@METRIC@_up"
    }
  ]
}
"""

_PAGE: Final = """\
# @ALERT@Down

## Meaning

@NAME@ has not answered the exporter that asks it on the same machine.

## Impact

Say here who notices, and what they can no longer do.

## Diagnosis

On the host:

    systemctl status @NAME@
    journalctl -u @NAME@ -n 50

## Mitigation

Say here what to do for each thing that the lines above may show.

## It is over when

`@METRIC@_up` of the host is 1.
"""

_FILES: Final = {
    "module.yaml": _MODULE,
    "alerts.yaml": _ALERTS,
    "alerts.test.yaml": _TESTS,
    "dashboard.json": _DASHBOARD,
    "runbooks/@ALERT@Down.md": _PAGE,
}
