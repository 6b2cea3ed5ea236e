"""A site in which every field that is written into files says what an attacker likes."""

from __future__ import annotations

import json

from obstack.model.site import Site
from rendering.hosts import fleet_site
from rendering.settled import full_site

PLAIN = "plain"
TARGETS = ("https://a.example.org/?q=plain", "https://a.example.org/$uid?%n=$(id);a=*b&c,d[0]!")


def hostile_site(word: str, target: str = TARGETS[0]) -> Site:
    """Return a site in which every field that is written into files says this word."""
    base = full_site().model_dump(mode="json", exclude_none=True)
    fleet = fleet_site().model_dump(mode="json", exclude_none=True)
    base["prometheus"]["external_labels"] = {"a": word}
    base["prometheus"]["targets"][1]["labels"] = {"a": word}
    base["alertmanager"]["smtp"]["username"] = word
    base["alertmanager"]["routes"][0]["match"] = {"a": word, "b": word}
    base["blackbox"]["probes"][0]["target"] = target
    base["server"] |= {"labels": {"a": word}, "address": "192.0.2.1"}
    base["server"]["firewall"] = {"admit": [{"port": 8444, "from": ["192.0.2.0/24"], "comment": word}]}
    base |= {"fleet": fleet["fleet"], "hosts": fleet["hosts"]}
    base["fleet"]["groups"]["web"]["labels"] = {"a": word}
    base["hosts"]["web-1"]["labels"] = {"b": word}
    options = base["hosts"]["web-1"]["modules"]["nginx"].setdefault("options", {})
    options["server_name"] = word
    return Site.model_validate_json(json.dumps(base))
