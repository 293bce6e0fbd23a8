"""The simulated line: late, in pieces, never out of order."""

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from rtcore.sim._rng import Rng
from rtcore.sim.network import Line, NetworkOptions
from rtcore.sim.speaker import MILLISECOND

PLAIN = NetworkOptions(latency_ms=30, jitter_ms=0)


def drain(line: Line) -> list[tuple[int, bytes]]:
    arrived: list[tuple[int, bytes]] = []
    while (at := line.next_at) is not None:
        arrived += [(at, message) for message in line.arrivals(at)]
    return arrived


def test_a_message_takes_the_latency() -> None:
    line = Line(PLAIN, Rng(1))
    line.send([b"a", b"b"], now=5 * MILLISECOND)
    assert drain(line) == [(35 * MILLISECOND, b"a"), (35 * MILLISECOND, b"b")]


def test_news_can_be_timed_to_the_nanosecond_but_never_overtakes() -> None:
    line = Line(PLAIN, Rng(1))
    line.send([b"slow"], now=0)
    assert line.send([b"aimed"], now=0, arrive_at=77 * MILLISECOND + 3) == 77 * MILLISECOND + 3
    assert line.send([b"too early"], now=1, arrive_at=2) == 77 * MILLISECOND + 3
    assert [message for _, message in drain(line)] == [b"slow", b"aimed", b"too early"]


def test_bursts_gather_messages_in_one_instant() -> None:  # B08
    line = Line(structs.replace(PLAIN, burst_ms=100), Rng(1))
    for at in range(0, 60, 10):
        line.send([b"%d" % at], now=at * MILLISECOND)
    assert {at for at, _ in drain(line)} == {100 * MILLISECOND}


def test_a_stall_holds_everything_behind_it() -> None:
    line = Line(structs.replace(PLAIN, stall_per_mille=1000, stall_ms=(500, 500)), Rng(1))
    line.send([b"a"], now=0)
    line.options = PLAIN
    line.send([b"b"], now=1)
    assert drain(line) == [(530 * MILLISECOND, b"a"), (530 * MILLISECOND, b"b")]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 100), st.lists(st.binary(max_size=60), max_size=4)), max_size=12),
    st.integers(0, 1 << 32),
    st.integers(0, 1 << 32),
)
def test_wherever_the_bytes_are_cut_the_same_messages_arrive_at_the_same_times(  # invariant 14
    sends: list[tuple[int, list[bytes]]], seed: int, split_seed: int
) -> None:
    options = NetworkOptions(latency_ms=20, jitter_ms=30, stall_per_mille=100, stream=True)
    lines = [Line(options, Rng(seed), split_seed=split) for split in (0, split_seed)]
    lines.append(Line(structs.replace(options, stream=False), Rng(seed)))
    now = 0
    for wait, messages in sends:
        now += wait * MILLISECOND
        for line in lines:
            line.send(messages, now=now)
    whole, split, plain = (drain(line) for line in lines)
    assert whole == split == plain
    assert [message for _, message in whole] == [message for _, messages in sends for message in messages]
