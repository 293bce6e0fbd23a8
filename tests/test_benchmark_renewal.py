"""The measure of renewals that find no quiet moment: each is in silence or in sound, and the silences are those of the calls."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture(scope="module")
def measure() -> Iterator[Any]:
    """``benchmarks/renewal.py``, as a module."""
    sys.path.insert(0, str(BENCHMARKS))
    try:
        yield importlib.import_module("renewal")
    finally:
        sys.path.remove(str(BENCHMARKS))
        sys.modules.pop("renewal", None)


def test_a_renewal_in_sound_has_a_gap_or_a_person_who_speaks_first(measure: Any) -> None:  # B26
    found = measure.measured(measure.ROWS[0][1], calls=2, seconds=90)
    assert found.problems == []
    assert 0 < len(found.gaps_ms) <= found.renewed - found.in_silence
    assert found.gaps_ms == sorted(found.gaps_ms) and found.gaps_ms[0] >= 0
    assert found.answers_ms and found.answers_ms == sorted(found.answers_ms)


def test_where_a_quiet_moment_is_waited_for_most_are_in_silence(measure: Any) -> None:  # B26
    found = measure.measured(measure.ROWS[3][1], calls=1, seconds=180)
    assert found.problems == [] and found.renewed == found.in_silence > 0


def test_a_spread_is_told_in_seconds(measure: Any) -> None:
    assert measure._spread([]) == "-"
    assert measure._spread([100, 250, 1000, 7940]) == "1.0 / 7.9 / 7.9"
