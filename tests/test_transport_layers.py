"""A stack of layers passes bytes on as they are, in order, and tells one fault; however the bytes are cut."""

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcore_adapters._layers import Data, LayerFault, Stack


class Shift:
    """A layer that adds a number to every byte on its way out, and takes it off again. Its handshake is one byte each way."""

    def __init__(self, by: int, *, breaks: bool = False) -> None:
        self._by = by
        self._out = [bytes([by])]
        self._kept: list[bytes] = []
        self._breaks = breaks
        self.established = False
        self.ended = False
        self.fault: LayerFault | None = None

    def receive(self, data: Data) -> Data:
        if self.ended:
            return b""
        if not data:
            self.ended = True
            if not self.established:
                self.fault = LayerFault(f"{self._by} was cut off", "")
            return b""
        if not self.established:
            assert data[0] == self._by
            self.established, data = True, data[1:]
            self._out += self._kept
        end, marker = b"", bytes(data).find((255 + self._by) % 256)
        if marker >= 0:  # the other side has ended
            end, data = bytes(data[marker:]), data[:marker]
            self.ended = True
        if self._breaks and end:
            self.fault = LayerFault(f"{self._by} broke", "mend it")
        return bytes((byte - self._by) % 256 for byte in data)

    def send(self, data: bytes) -> None:
        moved = bytes((byte + self._by) % 256 for byte in data)
        (self._out if self.established else self._kept).append(moved)

    def outgoing(self) -> bytes:
        out, self._out = self._out, []
        return b"".join(out)

    def end(self) -> None:
        self.send(b"\xff")

    def unanswered(self, after_s: float) -> LayerFault:
        return LayerFault(f"{self._by} waited {after_s:g} s", "")


def fed(stack: Stack, pieces: Sequence[bytes]) -> bytes:
    return b"".join(stack.receive(piece) for piece in pieces)


def test_without_layers_the_bytes_pass_as_they_are() -> None:
    """The very objects: no copy on the way of plain audio, in either direction (issue 4, transport)."""
    stack = Stack()
    assert stack.established
    data, said = bytes(range(256)), bytes(1000)
    assert stack.receive(data) is data
    stack.send(said)
    assert stack.outgoing() is said
    assert stack.outgoing() == b""
    stack.send(b"")
    stack.send(b"a")
    stack.send(b"b")
    assert stack.outgoing() == b"ab"
    assert stack.unanswered(10) is None
    stack.end()
    assert (stack.outgoing(), stack.ended, stack.fault) == (b"", False, None)
    assert stack.receive(b"") == b""
    assert (stack.ended, stack.fault) == (True, None)
    assert stack.receive(data) == b""


def test_the_handshakes_happen_from_the_socket_up_and_what_was_said_waits_for_them() -> None:
    stack = Stack([Shift(1), Shift(2), Shift(3)])
    stack.send(b"GET")
    assert stack.outgoing() == b"\x01"
    assert stack.unanswered(10) == LayerFault("1 waited 10 s", "")
    assert stack.receive(b"\x01") == b""
    assert stack.outgoing() == b"\x03"  # the 2 of the next, through the first
    assert stack.unanswered(10) == LayerFault("2 waited 10 s", "")
    assert stack.receive(b"\x03") == b""
    assert stack.outgoing() == b"\x06"
    assert stack.receive(b"\x06" + b"OK") == b"IE"  # 6 lower
    assert stack.established
    assert stack.outgoing() == b"MKZ"
    assert stack.unanswered(10) is None


def test_an_end_is_said_by_every_layer_from_the_top() -> None:
    stack = Stack([Shift(1), Shift(2)])
    stack.outgoing()
    stack.receive(b"\x01\x03")
    stack.outgoing()
    stack.send(b"a")
    stack.end()
    assert stack.outgoing() == b"d" + b"\x02" + b"\x00"


def test_the_bytes_before_an_end_count_and_none_behind_it() -> None:
    stack = Stack([Shift(1), Shift(2)])
    assert stack.receive(b"\x01\x03" + b"de" + b"\x02" + b"zz") == b"ab"  # the upper one ends: 255 + 3
    assert (stack.ended, stack.fault) == (True, None)
    assert stack.receive(b"more") == b""


def test_the_layer_next_to_the_socket_tells_the_fault() -> None:
    """The layers above it only see their stream end, and would lay it to their own peers."""
    stack = Stack([Shift(1, breaks=True), Shift(2)])
    assert stack.receive(b"\x01" + b"\x00") == b""
    assert stack.ended
    assert stack.fault == LayerFault("1 broke", "mend it")
    stack = Stack([Shift(1), Shift(2)])
    assert bytes(stack.receive(b"\x01")) + stack.receive(b"") == b""
    assert stack.fault == LayerFault("2 was cut off", "")


@pytest.mark.parametrize("layers", [0, 1, 2, 3])
@given(data=st.binary(max_size=200), cuts=st.lists(st.integers(0, 210), max_size=8))
def test_any_split_gives_the_same_plain_bytes(layers: int, data: bytes, cuts: list[int]) -> None:  # invariant 14
    shifts = [1, 2, 3][:layers]
    wire = bytes(sum(shifts[: at + 1]) for at in range(layers))
    wire += bytes((byte + sum(shifts)) % 256 for byte in data)
    edges = sorted({0, len(wire), *[cut for cut in cuts if cut < len(wire)]})
    whole, split = Stack([Shift(by) for by in shifts]), Stack([Shift(by) for by in shifts])
    assert fed(split, [wire[a:b] for a, b in pairwise(edges) if a < b]) == fed(whole, [wire] if wire else [])
    assert (split.ended, split.fault) == (whole.ended, whole.fault)
