"""What a fuzzer drives: plain functions that raise ``AssertionError`` where a promise is broken, whatever they are given.

Each target is ``check(value)``; ``TARGETS`` pairs it with the strategy that makes values, as a Hypothesis test. Its
``.hypothesis.fuzz_one_input(bytes)`` is what a coverage-guided fuzzer wants::

    python tests/fuzzing/targets.py messages < input        # one input; exit status 1 where it breaks
    atheris.Setup(sys.argv, TARGETS["messages"].hypothesis.fuzz_one_input)
"""

import sys
from collections.abc import Callable
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # run as a program, outside of pytest's path
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from helpers import wire
from helpers.scene import Scene, configured, ready, sent, told
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.server import ServerProtocol

from fuzzing import events, labelled
from rtcore import Clock, Effect, Flush, Handshake, LocalProtocolError, MessageEnded, Play, SessionClosed
from rtcore.config import Playout
from rtcore_adapters._link import Closed, Link, LinkEvent, Message, Opened

# -- any messages -------------------------------------------------------------------------------------------------------


def any_messages_are_survived(payloads: list[bytes]) -> None:
    """C29, B27, B31, DESIGN 2: no bytes raise; what was heard adds up; and the next real answer is played."""
    scene = ready()
    for payload in payloads:
        scene.at(scene.now + 0.01).raw(payload)
        for view in scene.session.segments:
            assert view.heard + view.discarded + view.queued == view.received, view
        for edit in sent(scene.log):
            if edit["type"] == "conversation.item.truncate":
                assert type(edit["audio_end_ms"]) is int and edit["audio_end_ms"] > 0, edit
    _quiet(scene)
    if scene.session.state == "closed":  # only what DESIGN calls fatal ends it
        [closed] = told(scene.log, SessionClosed)
        assert closed.problem is not None, closed
        return
    width = scene.session.output_format.sample_width
    effects = scene.server(
        wire.created("last"), wire.opened("last", r="last"), wire.audio("last", raw=bytes(width * 480), r="last")
    )
    assert sum(len(effect.pcm) for effect in effects if isinstance(effect, Play)) == width * 480, "a later answer is silent"


def _quiet(scene: Scene) -> None:
    """Let the core settle by its own deadlines, as after a clock that answers nothing."""
    for _ in range(400):
        deadline = scene.session.deadline
        if deadline is None:
            return
        effects = scene.at(max(scene.now, deadline.at)).tick()
        for effect in effects:
            if isinstance(effect, Flush):
                scene.flushed_samples(effect.generation, 1 << 40)
    raise AssertionError(f"it never comes to rest: {scene.session.deadline}")


# -- any split of the byte stream ---------------------------------------------------------------------------------------

_HANDSHAKE = Handshake("ws://voice.example/v1/realtime", ())


def any_split_gives_the_same_effects(case: tuple[list[bytes], list[int], int | None]) -> None:
    """Invariant 14, C30: however the bytes of a connection are cut and joined, link and core do the same.

    ``case`` is the messages, where the stream is cut, and where a byte of it is damaged (None: nowhere).
    """
    messages, cuts, damaged = case
    one, whole = _run(messages, [], damaged)
    two, pieces = _run(messages, cuts, damaged)
    assert one == two
    assert whole == pieces


def _run(messages: list[bytes], cuts: list[int], damaged: int | None) -> tuple[list[LinkEvent], list[Effect]]:
    link = Link(_HANDSHAKE, now=0.0)
    server = ServerProtocol()
    server.receive_data(link.outgoing())
    (request,) = server.events_received()
    server.send_response(server.accept(request))  # type: ignore[arg-type]  # a request, before anything else
    stream = b"".join(Frame(Opcode.TEXT, message).serialize(mask=False) for message in messages)
    if damaged is not None and stream:
        at = damaged % len(stream)
        stream = stream[:at] + bytes([stream[at] ^ 0x55]) + stream[at + 1 :]
    data = b"".join(server.data_to_send()) + stream
    edges = sorted({0, len(data), *(cut % len(data) for cut in cuts)})
    found = [event for a, b in pairwise(edges) for event in link.receive(data[a:b], now=0.0)]
    found += link.receive(b"", now=0.0)  # the end of the stream
    assert isinstance(found[0], Opened) and isinstance(found[-1], Closed), found
    scene = Scene(configured())
    scene.open()
    scene.connected()
    scene.server(wire.session_created(), wire.session_updated())
    for event in found:
        if isinstance(event, Message):
            scene.raw(event.payload)
    return found, scene.log


# -- playout arithmetic -------------------------------------------------------------------------------------------------

Step = tuple[str, int]


def who_heard_what_adds_up(case: tuple[list[Step], bool, int | None]) -> None:
    """B01 to B06, B16, C02, C03, C10, C20, DESIGN 3: the core's counts are what a list of labelled samples says.

    ``case`` is the steps, whether the clock can pause, and the lead in ms. The clock is exact: what it has sounded is a list of
    samples, each of which says whose it is.
    """
    steps, can_pause, lead_ms = case
    model = _Listener(ready(configured(playout=Playout(lead_ms=lead_ms)), clock=Clock(pause=can_pause)))
    for name, n in steps:
        model.step(name, n)
        model.compare()


class _Listener:
    """A clock that is a list, a server that says labelled samples, and what both have done so far."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.items = 0
        self.open: int | None = None  # the item that is being spoken
        self.sent: dict[int, int] = {}
        self.queued: dict[int, list[tuple[int, int]]] = {}  # handed over, by generation
        self.sounded: dict[int, list[tuple[int, int]]] = {}
        self.generation = 1
        self.frozen: dict[int, int] = {}  # what had been heard of an item when it was cut
        self.paused = False
        self._read = 0

    def step(self, name: str, n: int) -> None:
        scene = self.scene
        scene.at(scene.now + 0.01)
        match name:
            case "say" if self.open is not None or self.items < labelled.ITEMS:
                self._say(1 + n % 400)
            case "finish" if self.open is not None:
                self._finish()
            case "sound":
                self._sound(n)
            case "pause":
                self.paused = True
                scene.pause()
            case "resume":
                self.paused = False
                scene.resume()
            case "barge in":
                scene.server(wire.speech_started(f"u{self.items}"))
                self._take()
                if self.open is not None:
                    scene.server(wire.audio(f"m{self.open}", raw=bytes(96), r=f"r{self.open}"), wire.cancelled(f"r{self.open}"))
                    self.open = None
                self.paused = False  # an interruption ends a pause
                scene.server(wire.turn(f"u{self.items}"))
            case _:
                pass
        self._take()

    def _say(self, count: int) -> None:
        if self.open is None:
            self.items += 1
            self.open = self.items
            self.sent[self.open] = 0
            self.scene.server(wire.created(f"r{self.open}"), wire.opened(f"m{self.open}", r=f"r{self.open}"))
        item = self.open
        count = min(count, labelled.SAMPLES - self.sent[item])
        if count:
            pcm = labelled.samples(item, self.sent[item], count)
            self.sent[item] += count
            self.scene.server(wire.audio(f"m{item}", raw=pcm, r=f"r{item}"))

    def _finish(self) -> None:
        item, self.open = self.open, None
        self.scene.server(wire.closing(f"m{item}", r=f"r{item}"), wire.done(f"r{item}"))

    def _sound(self, n: int) -> None:
        """The clock sounds some samples, and says how many it has in all."""
        if self.paused:
            return
        queue = self.queued.get(self.generation, [])
        taken = queue[:n]
        del queue[:n]
        sounded = self.sounded.setdefault(self.generation, [])
        sounded += taken
        if taken:
            self.scene.played_samples(self.generation, len(sounded))

    def _take(self) -> None:
        """Do what the core asked for; answer a flush at once. Answers may ask for more."""
        while self._read < len(self.scene.log):
            effect = self.scene.log[self._read]
            self._read += 1
            if isinstance(effect, Play):
                self.queued.setdefault(effect.generation, []).extend(labelled.labels(bytes(effect.pcm)))
                self.generation = max(self.generation, effect.generation)
            elif isinstance(effect, Flush):
                self.queued.pop(effect.generation, None)
                self.generation = effect.generation + 1
                self.scene.flushed_samples(effect.generation, len(self.sounded.get(effect.generation, [])))

    def compare(self) -> None:
        heard = labelled.heard([self.sounded[generation] for generation in sorted(self.sounded)])
        for view in self.scene.session.segments:
            item = int(view.item_id[1:])
            assert view.heard == heard.get(item, 0), (view, heard)
            assert view.heard + view.discarded + view.queued == view.received, view
        for edit in sent(self.scene.log):
            if edit["type"] == "conversation.item.truncate":
                item = int(edit["item_id"][1:])
                assert edit["audio_end_ms"] == heard[item] // 24 > 0, (edit, heard)
        for ended in told(self.scene.log, MessageEnded):
            item = int(ended.item_id[1:])
            assert ended.heard_ms == heard.get(item, 0) // 24, (ended, heard)
            assert (ended.verdict.value == "full") <= (heard.get(item, 0) >= self.sent[item] - 1), (ended, heard)


# -- any commands -------------------------------------------------------------------------------------------------------


def any_arguments_are_refused_before_anything_changes(case: tuple[str, list[Any]]) -> None:
    """DESIGN 2: the caller's mistake raises ``LocalProtocolError`` before any state changes, and nothing else ever."""
    name, arguments = case
    scene = ready()
    scene.server(wire.created("r1"), wire.message("m1", 60, "One."), wire.call("c1", index=1))
    before = (scene.session.segments, scene.session.history, scene.session.deadline)
    try:
        getattr(scene.session, name)(*arguments, now=scene.now)
    except LocalProtocolError:
        assert (scene.session.segments, scene.session.history, scene.session.deadline) == before
    with suppress(LocalProtocolError):
        scene.session.tick(now=scene.now)
    assert scene.session.state == "ready"


# -- as tests, with their strategies --------------------------------------------------------------------------------------

_COMMANDS = {
    "append_audio": 1, "send_text": 1, "respond": 1, "interrupt": 1, "tool_result": 2, "update": 1, "create_item": 1,
    "delete_item": 1, "replace_item": 2, "move_item": 2, "sync_history": 1, "release": 1,
    "speech": 1, "device": 1, "approve": 1, "retrieve_item": 1, "send_raw": 1,
}  # fmt: skip
"""Command, and how many arguments it takes."""
_KEYS = ("type", "role", "content", "id", "call_id", "output", "audio", "conversation", "x")
_VALUES = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.binary(max_size=8),
        st.sampled_from(["c1", "m1", "r1", "started", "message", "user", "none", "function_call_output"]), st.builds(object),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(_KEYS), inner, max_size=4),
    ),
    max_leaves=8,
)  # fmt: skip


def _call(name: str) -> st.SearchStrategy[tuple[str, list[Any]]]:
    count = _COMMANDS[name]
    return st.tuples(st.just(name), st.lists(_VALUES, min_size=count, max_size=count))


_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("say"), st.integers(0, 400)),
        st.tuples(st.just("sound"), st.integers(0, 300)),
        st.tuples(st.sampled_from(["finish", "pause", "resume", "barge in"]), st.just(0)),
    ),
    max_size=50,
)
_FIXED = settings(deadline=None, derandomize=True, database=None, max_examples=150)


@_FIXED
@given(events.MESSAGES)
def messages(payloads: list[bytes]) -> None:
    any_messages_are_survived(payloads)


@_FIXED
@given(
    st.tuples(
        st.lists(events.mutated(), max_size=6),
        st.lists(st.integers(0, 1 << 16), max_size=12),
        st.one_of(st.none(), st.integers(0, 1 << 16)),
    )
)
def stream(case: tuple[list[bytes], list[int], int | None]) -> None:
    any_split_gives_the_same_effects(case)


@_FIXED
@given(st.tuples(_STEPS, st.booleans(), st.sampled_from([None, 20, 60])))
def playout(case: tuple[list[Step], bool, int | None]) -> None:
    who_heard_what_adds_up(case)


@_FIXED
@given(st.sampled_from(sorted(_COMMANDS)).flatmap(_call))
def commands(case: tuple[str, list[Any]]) -> None:
    any_arguments_are_refused_before_anything_changes(case)


TARGETS: dict[str, Callable[[], None]] = {"messages": messages, "stream": stream, "playout": playout, "commands": commands}
"""Name to Hypothesis test."""


def main(arguments: list[str]) -> int:
    """Run one input, from standard input, through a target."""
    if len(arguments) != 1 or arguments[0] not in TARGETS:
        print(f"usage: targets.py {'|'.join(TARGETS)} < INPUT", file=sys.stderr)
        return 2
    used = TARGETS[arguments[0]].hypothesis.fuzz_one_input(sys.stdin.buffer.read())  # type: ignore[attr-defined]  # given() adds it
    print("not a valid input" if used is None else "held")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
