"""The transaction in a real root with real processes: forward, nothing, back."""

from crash.world import World


def test_the_first_apply_brings_everything_up_and_the_second_does_nothing(small: World) -> None:
    one = small.generation("one")
    assert small.apply(one).outcome == "committed"
    pids = small.pids()
    reply = small.apply(one)
    assert reply.outcome == "unchanged"
    assert small.pids() == pids
