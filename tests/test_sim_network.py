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


# -- faults: what arrives when, what never does, and that it is counted ---------------------------------------------------------


def test_latency_jitter_stall_and_merge_are_counted_by_send() -> None:
    line = Line(NetworkOptions(latency_ms=30, jitter_ms=10, stall_per_mille=1000, stall_ms=(2000, 2000)), Rng(1))
    first = line.send([b"a", b"b"], now=0)
    assert 2030 * MILLISECOND <= first <= 2040 * MILLISECOND
    assert line.happened == {"network: latency": 1, "network: jitter": 1, "network: stall": 1}
    line.options = NetworkOptions(latency_ms=10, jitter_ms=0)
    assert line.send([b"c"], now=MILLISECOND) == first  # behind the stall, so it arrives with what was held up
    assert line.happened == {"network: latency": 1, "network: jitter": 1, "network: stall": 1, "network: merge": 1}


def test_a_stall_of_seconds_delays_and_loses_nothing() -> None:  # C19, F147
    line = Line(structs.replace(PLAIN, stall_per_mille=1000, stall_ms=(1000, 6000)), Rng(3))
    at = line.send([b"a"], now=0)
    assert 1030 * MILLISECOND <= at <= 6030 * MILLISECOND and line.arrivals(at - 1) == []
    assert line.arrivals(at) == [b"a"] and line.next_at is None


def test_a_slow_reader_takes_so_many_kib_a_second() -> None:  # C30, F150
    line = Line(structs.replace(PLAIN, slow_reader_kib=64), Rng(1))
    assert line.send([bytes(32_768), bytes(16_384)], now=0) == 780 * MILLISECOND
    assert line.send([b"x"], now=10 * MILLISECOND) == 780 * MILLISECOND + 15_258  # a byte takes 15.258 us
    assert [at for at, _ in drain(line)] == [530 * MILLISECOND, 780 * MILLISECOND, 780 * MILLISECOND + 15_258]
    assert line.happened == {"network: latency": 2, "network: merge": 1, "network: slow reader": 3}
    line.send([b"x"], now=2_000 * MILLISECOND)
    assert line.happened["network: slow reader"] == 3  # it has caught up


def test_a_slow_reader_of_a_stream_gets_the_same_messages_at_the_same_times() -> None:  # invariant 14
    plain = Line(structs.replace(PLAIN, slow_reader_kib=100), Rng(1))
    stream = Line(structs.replace(PLAIN, slow_reader_kib=100, stream=True), Rng(1), split_seed=5)
    for line in (plain, stream):
        line.send([bytes(5000), b"", b"abc"], now=0)
        line.send([bytes(9000)], now=MILLISECOND)
    assert drain(plain) == drain(stream)
    assert stream.happened["network: split"] > 0


def test_a_line_that_is_cut_loses_what_is_under_way_and_all_that_follows() -> None:  # B24, F101
    line = Line(PLAIN, Rng(1))
    line.send([b"there"], now=0)
    line.send([b"lost", b"as well"], now=5 * MILLISECOND)
    assert line.cut(30 * MILLISECOND) == 2
    line.send([b"never"], now=31 * MILLISECOND)
    assert drain(line) == [(30 * MILLISECOND, b"there")] and line.dead
    assert line.cut(40 * MILLISECOND) == 0
    assert "network: cut mid-frame" not in line.happened  # whole messages only: none was torn


@given(st.integers(0, 1 << 32), st.binary(min_size=1, max_size=40))
def test_a_stream_is_cut_in_the_middle_of_a_message(seed: int, message: bytes) -> None:  # B24, F093
    line = Line(structs.replace(PLAIN, stream=True), Rng(1), split_seed=seed)
    line.send([message, b"second"], now=0)
    assert line.cut(10 * MILLISECOND) == 2
    assert drain(line) == []
    frame = len(message).to_bytes(4, "big") + message
    assert 0 < len(line.torn) < len(frame) and frame.startswith(line.torn)
    assert line.happened["network: cut mid-frame"] == 1


def test_a_half_open_line_swallows_without_a_word() -> None:  # B24, F095
    line = Line(structs.replace(PLAIN, stream=True), Rng(1))
    line.send([b"a", b"b"], now=0)
    assert line.freeze(MILLISECOND) == 2 and line.freeze(MILLISECOND) == 0
    line.send([b"c"], now=2 * MILLISECOND)
    assert line.next_at is None and line.arrivals(10_000 * MILLISECOND) == [] and line.torn == b""
    assert line.happened == {"network: latency": 1, "network: half-open": 1}


def test_a_calm_line_has_its_latency_and_nothing_else() -> None:  # invariant 15
    options = NetworkOptions(
        latency_ms=30, jitter_ms=40, burst_ms=100, stall_per_mille=1000, stall_ms=(500, 500), slow_reader_kib=1, stream=True
    )
    line = Line(options, Rng(1))
    before = line.send([bytes(100)], now=0)
    line.calm()
    assert line.send([bytes(100)], now=MILLISECOND) == before  # in order, behind what is under way
    assert line.send([bytes(100)], now=5_000 * MILLISECOND) == 5_030 * MILLISECOND
    assert len(drain(line)) == 3


def test_options_that_are_off_draw_as_before() -> None:
    lines = [Line(NetworkOptions(jitter_ms=50, slow_reader_kib=kib), Rng(9)) for kib in (0, 1_000_000)]
    times = [[line.send([b"x"], now=at * MILLISECOND) for at in range(0, 1000, 100)] for line in lines]
    assert [at // MILLISECOND for at in times[0]] == [at // MILLISECOND for at in times[1]]
