"""`observability secrets init`."""

from __future__ import annotations

from obstack.cli.lazy import documented
from obstack.cli.options import Scope, Target, json_option, target_options
from obstack.cli.output import print_json, print_line
from obstack.cli.secrets.common import read_uses
from obstack.model.words import spell
from obstack.operations.secrets import initiate


@documented("observability secrets init", "observability secrets init --json")
@target_options(Scope.FILES)
@json_option
def command(*, target: Target, as_json: bool) -> None:
    """Draw every secret that is missing and ours to draw.

    These are the passwords of the front door's users and machines. What somebody else gives, such as the password of
    a mail relay, is named with the command that takes it.
    """
    known = read_uses(target)
    begun = known.store.provider.begin()
    made = initiate(known.site, known.uses, known.store.provider, known.store)
    if as_json:
        by_hand = [
            {"name": entry.name, "uses": [spell(use.path) for use in entry.uses], "type": _typed(entry.name)}
            for entry in made.by_hand
        ]
        print_json({"begun": begun, "drawn": made.drawn, "present": made.present, "by_hand": by_hand})
        return
    if begun:
        print_line(begun)
    for name in made.drawn:
        print_line(f"drew    {name}, kept in {known.store.place(name)}")
    for name in made.present:
        print_line(f"there   {name}")
    for entry in made.by_hand:
        print_line(
            f"by hand {entry.name}, for {', '.join(spell(use.path) for use in entry.uses)}: {_typed(entry.name)}"
        )


def _typed(name: str) -> str:
    return f"observability secrets set {name}"
