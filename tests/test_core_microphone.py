"""What the microphone keeps of what was sent: enough for another session to hear the turn, and no more."""

import pytest

from rtcore._formats import PCM16_24K
from rtcore._microphone import Microphone


def _microphone(spoken_ms: int) -> Microphone:
    """One that keeps what was sent, and has sent so much, in pieces of 40 ms that are told apart by their first byte."""
    microphone = Microphone(PCM16_24K, 40, 10_000)
    microphone.keeps, microphone.lookback_ms = True, 1_000
    for index in range(spoken_ms // 40):
        microphone.append(bytes([index % 256]) + bytes(40 * 48 - 1), 0.0, held=False)
        microphone.batches(rest=False)
    return microphone


def test_what_was_sent_before_a_turn_is_kept_no_longer_than_the_turn_is_open() -> None:  # invariant 13, S08
    microphone = _microphone(4_000)
    microphone.in_turn = True
    microphone.begins(3_800)
    microphone.append(bytes(40 * 48), 0.0, held=False)
    microphone.batches(rest=False)
    pieces = microphone.turn()
    assert [piece[0] for piece in pieces] == [90, 91, 92, 93, 94, 95, 96, 97, 98, 99, 0]  # from 3,600 ms on


@pytest.mark.parametrize("told_ms", [None, 0, -5, 100, 9_000_000])
def test_a_server_that_counts_in_its_own_way_costs_no_sound(told_ms: int | None) -> None:
    microphone = _microphone(4_000)
    microphone.in_turn = True
    microphone.begins(told_ms)
    assert len(b"".join(microphone.turn())) == 1_000 // 40 * 40 * 48


def test_a_new_line_counts_from_its_own_beginning() -> None:
    microphone = _microphone(4_000)
    microphone.line_lost(1.0)
    microphone.batches(rest=True)
    microphone.in_turn = True
    microphone.begins(400)
    assert len(b"".join(microphone.turn())) == 800 * 48
