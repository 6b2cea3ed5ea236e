"""The forms of facts: one for each fact that an agent can tell."""

from obstack.agent.facts import PROBES
from obstack.plan.facts import FORMS


def test_every_fact_of_the_agent_has_a_form() -> None:
    assert set(FORMS) == set(PROBES)
