"""Audio in which every sample says whose it is and which of its item: what became audible can simply be read.

A sample is 16 bits: five for the item's number, eleven for the sample's place. So 31 items of up to 2047 samples.
"""

from array import array

ITEMS = 31
SAMPLES = 2047
_PLACE = 11


def samples(item: int, first: int, count: int) -> bytes:
    """PCM16 of samples ``first`` to ``first + count`` of an item (numbered from 1: zero would be silence)."""
    if not 1 <= item <= ITEMS or first + count > SAMPLES:
        raise ValueError(f"item {item}, samples {first} to {first + count}: there are {ITEMS} items of {SAMPLES} samples")
    return array("H", [item << _PLACE | place for place in range(first, first + count)]).tobytes()


def labels(pcm: bytes) -> list[tuple[int, int]]:
    """(item, place) of each sample."""
    return [(value >> _PLACE, value & SAMPLES) for value in array("H", pcm)]


def heard(generations: list[list[tuple[int, int]]]) -> dict[int, int]:
    """How many samples of each item sounded, from what sounded in each generation; each must be the item's next."""
    counts: dict[int, int] = {}
    for generation in generations:
        for item, place in generation:
            assert counts.get(item, 0) == place, f"sample {place} of item {item} sounds after {counts.get(item, 0)} of it"
            counts[item] = place + 1
    return counts
