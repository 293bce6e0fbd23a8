"""The outbox: control overtakes microphone audio and nothing else, and bytes bound it (C30)."""

from hypothesis import given
from hypothesis import strategies as st

from rtcore import Lane
from rtcore_adapters._outbox import Outbox


def filled(*messages: tuple[bytes, Lane], max_audio: int = 1_000) -> Outbox:
    outbox = Outbox(max_audio=max_audio)
    for payload, lane in messages:
        assert outbox.put(payload, lane) == []
    return outbox


def emptied(outbox: Outbox) -> list[bytes]:
    return list(iter(outbox.pop, None))


def test_what_is_put_comes_out_in_order_and_once() -> None:
    outbox = filled((b"a", "ordered"), (b"b", "audio"), (b"c", "ordered"))
    assert len(outbox) == 3
    assert emptied(outbox) == [b"a", b"b", b"c"]
    assert len(outbox) == 0
    assert outbox.pop() is None


def test_urgent_overtakes_the_audio_that_waits() -> None:  # C30: a cancel is never queued behind audio
    outbox = filled((b"a1", "audio"), (b"a2", "audio"), (b"cancel", "urgent"), (b"truncate", "urgent"))
    assert emptied(outbox) == [b"cancel", b"truncate", b"a1", b"a2"]


def test_urgent_overtakes_no_other_control_and_not_the_audio_in_front_of_it() -> None:
    outbox = filled((b"a1", "audio"), (b"commit", "ordered"), (b"a2", "audio"), (b"cancel", "urgent"), (b"item", "ordered"))
    assert emptied(outbox) == [b"a1", b"commit", b"cancel", b"a2", b"item"]


def test_audio_beyond_the_bound_is_dropped_oldest_first_and_told() -> None:
    outbox = filled((b"aaaa", "audio"), (b"x" * 100, "ordered"), (b"bbbb", "audio"), max_audio=10)
    assert outbox.put(b"cccc", "audio") == [b"aaaa"]
    assert outbox.put(b"d" * 11, "audio") == [b"bbbb", b"cccc", b"d" * 11]
    assert outbox.audio_bytes == 0
    assert emptied(outbox) == [b"x" * 100]


def test_control_is_never_dropped_but_says_when_it_is_too_much() -> None:
    outbox = Outbox(max_control=10)
    told = []
    for payload in (b"x" * 10, b"y"):
        outbox.put(payload, "urgent")
        told.append(outbox.overfull())
    assert told == [False, True]
    assert Outbox(max_control=10).overfull(beside=11)  # what waits elsewhere for the same socket counts
    assert emptied(outbox) == [b"x" * 10, b"y"]


def test_waiting_audio_can_be_given_up() -> None:
    outbox = filled((b"a", "audio"), (b"c", "ordered"), (b"b", "audio"))
    assert outbox.drop_audio() == [b"a", b"b"]
    assert emptied(outbox) == [b"c"]


class Naive:
    """The same rules, said as slowly as possible: one list, searched from behind."""

    def __init__(self, max_audio: int) -> None:
        self.max_audio = max_audio
        self.queue: list[tuple[bytes, Lane]] = []

    def put(self, payload: bytes, lane: Lane) -> list[bytes]:
        at = len(self.queue)
        if lane == "urgent":
            while at and self.queue[at - 1][1] == "audio":
                at -= 1
        self.queue.insert(at, (payload, lane))
        dropped = []
        while sum(len(p) for p, its in self.queue if its == "audio") > self.max_audio:
            oldest = next(entry for entry in self.queue if entry[1] == "audio")
            self.queue.remove(oldest)
            dropped.append(oldest[0])
        return dropped


@given(st.lists(st.tuples(st.sampled_from(["ordered", "urgent", "audio", "pop"]), st.integers(1, 6))))
def test_it_does_what_a_naive_list_does(steps: list[tuple[Lane, int]]) -> None:  # C30
    """Same puts and pops, same messages in the same order, same drops, same bytes."""
    outbox, naive = Outbox(max_audio=12), Naive(max_audio=12)
    for number, (lane, size) in enumerate(steps):
        payload = str(number).encode() * size
        if lane in ("ordered", "urgent", "audio"):
            assert outbox.put(payload, lane) == naive.put(payload, lane)
        else:
            assert outbox.pop() == (naive.queue.pop(0)[0] if naive.queue else None)
        assert len(outbox) == len(naive.queue)
        assert outbox.audio_bytes == sum(len(p) for p, its in naive.queue if its == "audio")
        assert outbox.control_bytes == sum(len(p) for p, its in naive.queue if its != "audio")
    assert emptied(outbox) == [payload for payload, _ in naive.queue]
