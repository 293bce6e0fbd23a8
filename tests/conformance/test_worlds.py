"""Worlds of the simulated network give the same through an adapter as through the bare core (issue 4, C30).

A sample; ``make conformance`` plays a thousand.
"""

import pytest
from samples import sample

from conformance.drivers import REAL, SHIPPED, VIRTUAL, Driver
from conformance.plays import Bare, difference
from conformance.steady import SEEDS, all_differences, found
from conformance.worlds import play, script
from rtcore import MessageEnded
from rtcore_adapters._line import Line


@pytest.mark.parametrize("seed", sample(range(30), 4))
def test_a_world_is_the_same_through_every_adapter(seed: int) -> None:  # C30, invariant 14
    assert play(seed, VIRTUAL if seed % 3 == 0 else SHIPPED).differences == {}


# -- the comparison finds what it is for ------------------------------------------------------------------------------------

SEED = 4


@pytest.mark.parametrize("driver", VIRTUAL, ids=lambda driver: driver.name)
def test_a_lost_message_is_found(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    send = Line.send
    count = 0

    def forgetful(self: Line, payload: bytes, lane: str) -> list[bytes]:
        nonlocal count
        count += 1
        return send(self, payload, lane) if count != 9 else []  # type: ignore[arg-type]

    monkeypatch.setattr(Line, "send", forgetful)
    assert play(SEED, [driver]).differences[driver.name].startswith(("control", "microphone"))


def test_every_part_of_an_outcome_is_compared() -> None:
    """Each spoiled in turn, as an adapter's fault would spoil it."""

    def spoiled(how: str) -> str:
        written = script(SEED)
        expected, found = Bare(written).run(), Bare(written).run()
        found.audio_before = list(found.audio_before)
        match how:
            case "notices":
                at = next(n for n, notice in enumerate(found.notices) if isinstance(notice, MessageEnded))
                found.notices[at], found.notices[at - 1] = found.notices[at - 1], found.notices[at]
            case "sound":
                del found.sound[-1]
            case "control":
                found.control[2] += b" "
            case "microphone":
                found.microphone += b"\0"
            case "requests":
                found.requests[0] = (found.requests[0][0] + 1, found.requests[0][1])
            case "refused":
                found.refused.append("x")
            case "hung up":
                found.hung_up = (1006, "")
            case _:
                found.audio_before[-1] += 1
        return difference(expected, found)

    for how in ("notices", "sound", "control", "microphone", "requests", "refused", "hung up"):
        assert spoiled(how).startswith(how), how
    assert "behind audio" in spoiled("order")


# -- where time is real -----------------------------------------------------------------------------------------------------


def test_the_short_worlds_are_those_whose_outcome_no_lateness_changes() -> None:
    """All of them in ``make conformance``; ``found`` is what chose them."""
    assert tuple(found(SEEDS[::10])) == SEEDS[::10]
    assert len(set(SEEDS)) == 50


def test_lateness_that_matters_is_found() -> None:
    """Two seeds that were passed over: where a position is estimated, milliseconds matter."""
    assert list(found([0, 2])) == []


@pytest.mark.parametrize("driver", REAL, ids=lambda driver: driver.name)
def test_short_worlds_are_the_same_on_the_real_clock(driver: Driver) -> None:  # C30
    assert all_differences(driver, SEEDS[::5]) == {}
