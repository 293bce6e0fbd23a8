"""What a world's interruptions come to, by kind: errors, silence, answers."""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence

from rtcore.sim._ledger import Interruption
from rtcore.sim.results import Counts, KindResult


def figures(
    interruptions: Iterable[Interruption], sound_ends: Mapping[int, int], begins: Sequence[int]
) -> tuple[KindResult, ...]:
    """The figures by kind of interruption, in the order of their names.

    ``sound_ends``: when each generation's sound ended. ``begins``: when sound began, in order; both in nanoseconds.
    """
    results: dict[str, KindResult] = {}
    for one in interruptions:
        came = one.arrived_at
        result = KindResult(
            one.kind,
            interruptions=1,
            verdicts=one.verdicts,
            truncation_error_ms=_counts(one.errors_ms),
            estimated_error_ms=_counts(one.estimated_errors_ms),
            misled_error_ms=_counts(one.misled_errors_ms),
            text_error_words=_counts(one.text_errors_words),
            silence_us=_counts([_silence(one, came, sound_ends)]) if came is not None else {},
            talked_over_us=_counts([_silence(one, one.begun_at, sound_ends)]) if came is not None else {},
            answer_us=_counts(_first_sound(one, begins)),
            unheard_left=one.unheard_left,
            server_errors=one.server_errors,
            answered=int(one.answered is True),
            unanswered=int(one.answered is False),
        )
        results[one.kind] = results[one.kind] + result if one.kind in results else result
    return tuple(results[kind] for kind in sorted(results))


def _silence(one: Interruption, since: int, sound_ends: Mapping[int, int]) -> int:
    """Microseconds of old sound; what the first barge-in of two silenced counts from its own arrival."""
    later = since - (one.arrived_at or since)
    return max((max(0, sound_ends.get(g, 0) - at - later) for at, g in one.flushes), default=0) // 1000


def _first_sound(one: Interruption, begins: Sequence[int]) -> list[int]:
    if one.turn_over_at is None or not one.answered:
        return []
    index = bisect_left(begins, one.turn_over_at)
    return [(begins[index] - one.turn_over_at) // 1000] if index < len(begins) else []


def _counts(values: Iterable[int]) -> Counts:
    counts: Counts = {}
    for value in values:
        counts[value] = counts.get(value, 0) + 1
    return counts
