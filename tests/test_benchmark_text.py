"""The measure of what was heard, in words: it sees what is right and what is not, and the speech that was held out."""

import importlib
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture(scope="module")
def measure() -> Iterator[Any]:
    """``benchmarks/heard_text.py``, as a module."""
    sys.path.insert(0, str(BENCHMARKS))
    try:
        yield importlib.import_module("heard_text")
    finally:
        sys.path.remove(str(BENCHMARKS))
        for name in ("heard_text", "said"):
            sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def held(measure: Any) -> Any:
    return sys.modules["said"].held_out()


def test_the_held_out_speech_has_its_words_in_order(held: Any) -> None:
    assert len(held) == 18
    for message in held:
        assert message.words[-1].end == len(message.text)
        assert all(one.end < two.end and one.starts < two.starts and one.over <= two.over for one, two in pairwise(message.words))
        assert all(word.starts < word.over <= message.samples for word in message.words)


class Knowing:
    """Knows the word times, and tells words so many too late."""

    def __init__(self, message: Any, late: int) -> None:
        self.fresh: list[bytes | memoryview] = []
        self._message, self._late = message, late

    def heard(self, text: str, heard: int, received: int, *, final: bool, complete: bool) -> int:
        over = [word.end for word in self._message.words if word.over <= heard and word.end <= len(text)]
        return over[-1 - self._late] if len(over) > self._late else 0


@pytest.mark.parametrize(("late", "exact"), [(0, True), (1, False)])
def test_an_estimate_that_knows_is_exact_and_one_that_lags_is_not(measure: Any, held: Any, late: int, exact: bool) -> None:
    arrival = measure.Arrival(30, 0, 100)
    tally = measure.play(held[0], arrival, lambda: Knowing(held[0], late), measure.Random(1))
    assert (tally.exact == 1.0, tally.back) == (exact, 0)


def test_words_taken_back_are_counted(measure: Any, held: Any) -> None:
    message = held[0]

    class Wavering(Knowing):
        asked = 0

        def heard(self, text: str, heard: int, received: int, *, final: bool, complete: bool) -> int:
            self.asked += 1
            return len(text) if self.asked == 1 else 0

    tally = measure.play(message, measure.Arrival(None, None, 100), lambda: Wavering(message, 0), measure.Random(1))
    assert tally.back == len(message.words)


def test_speech_that_nothing_was_fitted_to_is_told_to_a_word(measure: Any, held: Any) -> None:  # B30, C24, issue 6
    total = measure.Tally()
    for message in held:
        total += measure.play(message, measure.Arrival(None, None, 100), measure.ESTIMATES["rtcore"], measure.Random(1))
    assert (total.exact >= 0.9, total.p95 <= 1, total.back) == (True, True, 0)
