"""The corpus: small recordings, one per behaviour, that pin what the core does outwardly. ``make corpus`` keeps it up.

    make corpus                                  show what changed in the core's outcomes, and take it as the new truth
    cd tests && python -m corpus.make --check    show it only
    cd tests && python -m corpus.make --remake late-deltas ...     record these once more, from their worlds

A change of the core that is meant changes outcomes: read what is shown, then commit the files. Where the inputs do not fit any
more, because a server would have answered the changed core differently, record them once more.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
from helpers import wire
from msgspec import structs

from rtcore import Clock, Config, Disconnection
from rtcore.recording import Keep, RecordedSession, Recording, replay, steps
from rtcore.saved import save
from rtcore.sim import NetworkOptions, ServerOptions, SpeakerOptions
from rtcore.sim.recorded import record_world
from rtcore.sim.scenario import Kind, Scenario
from rtcore.sim.server import CallPlan, MessagePlan, PartPlan, ResponsePlan, Rules, spoken
from rtcore_adapters._recording import read_recording, write_recording

FOLDER = Path(__file__).parent
_SHORT = ServerOptions(
    audio_ms=(400, 1500), think_ms=(50, 200), text_per_mille=0, incomplete_per_mille=0, failed_per_mille=0, call_per_mille=0
)


_PAUSES: dict[str, Any] = {
    "interruption": "pause",
    "server_interrupts": False,
    "server_creates": False,
    "core": {
        "barge_in": {"min_duration_ms": 250},
        "session": {"audio": {"input": {"turn_detection": {"silence_duration_ms": 0}}}},
    },
}


def world(
    *kinds: Kind, seed: int = 1, server: ServerOptions = _SHORT, turns: int = 3, **options: Any
) -> Callable[[], list[bytes]]:
    """A short conversation with interruptions of these kinds."""
    scenario = Scenario(interruptions=turns, kinds=tuple((kind, 1) for kind in kinds), server=server, **options)
    return lambda: record_world(seed, scenario=scenario)[1]


def _short(**options: Any) -> ServerOptions:
    return structs.replace(_SHORT, **options)


def _scripted(*plans: ResponsePlan, **options: Any) -> ServerOptions:
    return _short(script=plans, **options)


# -- sessions written by hand, for what no world does --------------------------------------------------------------------------


class _Hand:
    """A session, its time, and the lines of its recording."""

    def __init__(self, clock: Clock | None = None, history: bytes | None = None, **options: Any) -> None:
        self.lines: list[bytes] = []
        own = {"connection": {"dialect": "openai", "url": "ws://localhost"}, "reconnect": {"attempts": 0}}
        config = Config.model_validate({**own, **options})
        self.session = RecordedSession(config, clock=clock, seed=9, sink=self.lines.append, keep=Keep(text=True))
        self.now = 10.0
        if history is not None:
            self.session.load(history, now=self.now)
        self.session.open(now=self.now)

    def server(self, script: wire.Script) -> None:
        for event in script:
            self.raw(wire.encode(event))

    def raw(self, payload: bytes, connection: int = 1) -> None:
        self.now += 0.01
        self.session.receive(connection, payload, now=self.now)

    def ready(self) -> None:
        self.session.connected(1, now=self.now)
        self.server(wire.session_updated())

    def wait(self, seconds: float) -> None:
        """Let deadlines pass, as an adapter does."""
        until = self.now + seconds
        while (due := self.session.deadline) is not None and due.at <= until:
            self.now = max(self.now, due.at)
            self.session.tick(now=self.now)
        self.now = until

    def done(self) -> list[bytes]:
        self.session.finish()
        return self.lines


def _refused() -> list[bytes]:
    hand = _Hand()
    hand.session.disconnected(1, Disconnection(http_status=401), now=hand.now + 0.2)
    return hand.done()


def _loaded() -> list[bytes]:
    """A session that goes on from what another one left behind."""
    first = _Hand()
    first.ready()
    first.server(wire.speech_started("u1") + wire.turn("u1") + wire.user_transcript("u1", "Tell me a story."))
    first.server(wire.created("r1") + wire.message("m1", 1000, "Once upon a time.", previous="u1") + wire.done("r1"))
    first.session.played(1, 24_000, now=first.now)
    hand = _Hand(history=save(first.session.history))
    hand.ready()
    hand.session.close(now=hand.now)
    return hand.done()


def _lost_and_back() -> list[bytes]:
    """The line drops in the middle of an answer; the session goes on, is answered in writing, and then in words."""
    hand = _Hand(reconnect={"attempts": 3})
    hand.ready()
    hand.server(wire.speech_started("u1") + wire.turn("u1") + wire.user_transcript("u1", "Tell me a story."))
    hand.server(wire.created("r1") + wire.message("m1", 1000, "Once upon a time.", previous="u1") + wire.done("r1"))
    hand.session.played(1, 24_000, now=hand.now)
    hand.server(wire.speech_started("u2") + wire.turn("u2", previous="m1"))
    hand.server(wire.created("r4") + wire.opened("m4", r="r4", previous="u2"))
    hand.session.disconnected(1, Disconnection(close_code=1006), now=hand.now)
    hand.session.append_audio(bytes(4_800), now=hand.now)
    hand.wait(0.2)
    hand.session.connected(2, now=hand.now)
    hand.raw(wire.encode(wire.session_updated()[0]), connection=2)
    again = wire.created("r2", request=1) + wire.text_message("m2", "time.", r="r2") + wire.done("r2", request=1)
    for event in again + wire.deleted("m2") + wire.created("r3") + wire.message("m3", 400, "time.", r="r3") + wire.done("r3"):
        hand.raw(wire.encode(event), connection=2)
    hand.wait(2)
    hand.session.renew(now=hand.now)
    hand.session.connected(3, now=hand.now)
    hand.raw(wire.encode(wire.session_updated()[0]), connection=3)
    hand.session.close(now=hand.now)
    return hand.done()


def _unacknowledged() -> list[bytes]:
    hand = _Hand()
    hand.session.connected(1, now=hand.now)
    hand.server(wire.session_created())
    for _ in range(11):  # seconds of the microphone, of which ten are held
        hand.session.append_audio(bytes(48_000), now=hand.now)
    hand.session.send_text("Is anybody there?", now=hand.now)
    hand.wait(11)
    return hand.done()


def _muted() -> list[bytes]:
    hand = _Hand()
    hand.ready()
    hand.session.append_audio(bytes(960), now=hand.now)
    hand.session.mute(now=hand.now)
    hand.wait(0.35)
    hand.session.append_audio(bytes(1920), now=hand.now)
    hand.session.unmute(now=hand.now)
    hand.session.append_audio(bytes(1920), now=hand.now)
    hand.wait(0.5)
    hand.session.close(now=hand.now)
    return hand.done()


def _unreadable() -> list[bytes]:
    hand = _Hand()
    hand.ready()
    hand.server(wire.created("r1") + wire.item_added("m1") + wire.part_added("m1"))
    for junk in (b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"type":5}', b'{"type":"response.done"}', b"[" * 2000):
        hand.raw(junk)
    hand.raw(b'{"type":"response.output_audio.delta","response_id":"r1","item_id":"m1","delta":"*"}')
    hand.raw(b'{"type":"rtcore.novelty","said":"something new"}')
    hand.raw(wire.encode(wire.speech_started("u9")[0]), connection=7)
    hand.server(wire.audio("m1", 200) + wire.closing("m1", "Still here."))
    hand.session.played(1, 4800, now=hand.now + 0.3)
    hand.server(wire.done("r1"))
    hand.session.close(now=hand.now)
    return hand.done()


def _clock_faults() -> list[bytes]:
    hand = _Hand()
    hand.ready()
    hand.server(wire.created("r1") + wire.opened("m1") + wire.audio("m1", 1000))
    for generation, samples in ((1, 2400), (1, 1200), (7, 10), (1, 99_999_999), (0, -1)):
        hand.now += 0.1
        hand.session.played(generation, samples, now=hand.now)
    hand.session.underrun(1, now=hand.now)
    hand.session.flushed(1, 5, now=hand.now)
    hand.server(wire.closing("m1", "A second of words.") + wire.done("r1"))
    hand.wait(3)
    hand.session.close(now=hand.now)
    return hand.done()


def _device() -> list[bytes]:
    hand = _Hand()
    hand.ready()
    hand.server(wire.created("r1") + wire.opened("m1") + wire.audio("m1", 2000))
    hand.session.played(1, 12_000, now=hand.now + 0.5)
    hand.session.device("lost", now=hand.now + 0.6)
    hand.now += 0.7
    hand.server(wire.cancelled("r1", by="client_cancelled") + wire.truncated("m1", 500))
    hand.session.send_text("Can you hear me?", now=hand.now)
    hand.server(wire.created("r2", request=1) + wire.opened("m2", r="r2") + wire.audio("m2", 300, r="r2"))
    hand.session.device("ready", now=hand.now + 1)
    hand.session.played(2, 7200, now=hand.now + 1.4)
    hand.server(wire.closing("m2", "Yes.", r="r2") + wire.done("r2", request=1))
    hand.session.close(now=hand.now + 2)
    return hand.done()


def _expired() -> list[bytes]:
    hand = _Hand()
    hand.ready()
    hand.session.send_text("How late is it?", now=hand.now)
    hand.server(wire.error("session_expired", "Your session hit the maximum duration of 60 minutes."))
    return hand.done()


def _words(text: str) -> dict[str, object]:
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


def _by_hand() -> list[bytes]:
    """Every command, also where it is refused."""
    hand = _Hand()
    session = hand.session
    hand.ready()
    session.append_audio(bytes(960), now=hand.now)
    session.commit(now=hand.now)
    session.append_audio(bytes(9600), now=hand.now)
    session.commit(now=hand.now)
    session.clear(now=hand.now)
    session.update({"instructions": "Speak slowly."}, now=hand.now)
    hand.server(wire.session_updated(instructions="Speak."))
    session.update({"instructions": "Speak."}, now=hand.now)
    session.create_item(
        {"type": "message", "role": "system", "content": [{"type": "input_text", "text": "It is night."}]}, now=hand.now
    )
    session.respond({"conversation": "none", "metadata": {"topic": "aside"}}, audible=False, now=hand.now)
    hand.server(wire.turn("u1"))
    session.delete_item("u1", now=hand.now)
    hand.server(wire.deleted("u1"))
    hand.server(wire.user_item("u2") + wire.user_transcript("u2", "Two.") + wire.user_item("u3", previous="u2"))
    session.delete_item("u1", now=hand.now)
    session.replace_item("u2", _words("Three."), now=hand.now)
    session.move_item("nobody", "root", now=hand.now)
    session.sync_history(["u3", _words("Four.")], base=session.history, now=hand.now)
    refusals: tuple[Callable[[], object], ...] = (
        lambda: session.sync_history([{"type": "message"}], now=hand.now),
        lambda: session.tool_result("call_none", "", now=hand.now),
        lambda: session.update({"unheard": 1}, now=hand.now),
    )
    for refused in refusals:
        try:
            refused()
        except ValueError:
            continue
        raise AssertionError("a command that makes no sense was taken")
    hand.session.speech("started", now=hand.now)
    hand.session.speech("stopped", now=hand.now)
    hand.session.interrupt(now=hand.now)
    hand.wait(20)
    session.close(now=hand.now)
    return hand.done()


def _remote_tools() -> list[bytes]:
    """Remote tools, an approval, an item fetched, keys, silence, speakers; and the raw wire, all of it told."""
    hand = _Hand(tap="all")
    hand.ready()
    listing = {"id": "mcpl_1", "type": "mcp_list_tools", "server_label": "shop", "tools": [{"name": "price"}]}
    call = {"id": "mcp_1", "type": "mcp_call", "server_label": "shop", "name": "price", "arguments": "{}", "output": "3"}
    ask = {"id": "mcpr_1", "type": "mcp_approval_request", "server_label": "shop", "name": "buy", "arguments": "{}"}
    words = {"type": "conversation.item.input_audio_transcription.segment", "item_id": "u1", "content_index": 0}
    script: wire.Script = [
        {"type": "mcp_list_tools.in_progress", "item_id": "mcpl_1"},
        {"type": "conversation.item.done", "item": listing},
        {"type": "conversation.item.added", "item": listing, "previous_item_id": None},
        {"type": "conversation.item.done", "item": listing, "mood": "new"},
        {"type": "input_audio_buffer.dtmf_event_received", "event": "5", "received_at": 1_763_906_400},
        {"type": "input_audio_buffer.timeout_triggered", "item_id": "u1", "audio_start_ms": 0, "audio_end_ms": 6000},
        {**words, "id": "seg_1", "text": "Hello.", "speaker": "A", "start": 0.5, "end": 1.0},
        *wire.created("r1"),
        {"type": "response.output_item.added", "response_id": "r1", "output_index": 0, "item": call},
        {"type": "response.mcp_call_arguments.done", "response_id": "r1", "item_id": "mcp_1", "arguments": "{}"},
        {"type": "response.mcp_call.completed", "item_id": "mcp_1", "output_index": 0},
        {"type": "response.output_item.done", "response_id": "r1", "output_index": 0, "item": call},
        {"type": "response.output_item.done", "response_id": "r1", "output_index": 1, "item": ask},
        *wire.done("r1"),
    ]
    hand.server(script)
    hand.session.approve("mcpr_1", reason="Go on.", now=hand.now)
    hand.session.retrieve_item("mcp_1", now=hand.now)
    hand.server([{"type": "conversation.item.retrieved", "item": call}])
    hand.session.send_raw({"type": "session.close"}, now=hand.now)
    hand.session.close(now=hand.now)
    return hand.done()


def _long_calls() -> list[bytes]:
    """Calls that take long: their arguments as they come, words that bridge the wait, one given up and one answered."""
    hand = _Hand(function_calls={"slow_ms": 500, "filler": "Say that it takes a moment.", "stream_arguments": True})
    hand.ready()
    hand.server(wire.created("r1") + wire.call_opened("c1") + wire.arguments("c1", '{"x":') + wire.arguments("c1", "1}"))
    hand.server(wire.call_closed("c1", '{"x":1}') + wire.call("c2", index=1, previous="f_c1") + wire.done("r1"))
    hand.wait(1.0)
    hand.session.tool_result("c1", "sunny", now=hand.now)
    hand.session.cancel_tool("c2", now=hand.now)
    hand.session.close(now=hand.now)
    return hand.done()


def _own_voice() -> list[bytes]:
    """Sound of the program's own, whole and in pieces, heard and cut; turns in words and by a button; then silence."""
    detection = {"audio": {"input": {"turn_detection": None}}}
    hand = _Hand(session=detection, timeouts={"idle_ms": 2000})
    hand.session.connected(1, now=hand.now)
    hand.server(wire.session_updated(turn_detection=None))
    hand.session.say(bytes(48 * 300), "One moment.", remember=True, now=hand.now)
    hand.wait(0.3)
    hand.session.played(1, 24 * 300, now=hand.now)
    request = hand.session.say_begin(now=hand.now).request
    hand.session.say_append(request, bytes(48 * 400), "And now ", now=hand.now)
    hand.session.say_append(request, bytes(48 * 400), "the weather.", now=hand.now)
    hand.wait(0.2)
    hand.session.played(1, 24 * 500, now=hand.now)
    hand.session.user_turn("Stop.", respond=False, now=hand.now)
    hand.session.flushed(1, 24 * 500, now=hand.now)
    hand.session.say_end(request, now=hand.now)
    hand.session.begin_turn(now=hand.now)
    hand.session.append_audio(bytes(48 * 200), now=hand.now)
    hand.wait(0.2)
    hand.session.end_turn(respond=False, now=hand.now)
    hand.server(wire.committed("u1") + wire.user_item("u1"))
    hand.wait(5)
    hand.session.close(now=hand.now)
    return hand.done()


_NOISE = {"duplicate_per_mille": 100, "unknown_per_mille": 60, "malformed_per_mille": 60}
_CALL = ResponsePlan((MessagePlan((PartPlan(audio_ms=1200),)), CallPlan("look_up", '{"query":"tea"}'), CallPlan("look_up")))
_FAILED = structs.replace(spoken(700), ends="failed", detail="server_error")
_INCOMPLETE = structs.replace(spoken(700), ends="incomplete", detail="max_output_tokens")
_BY_HAND: tuple[Kind, ...] = ("manual turn", "interrupt() by the program")

CASES: dict[str, Callable[[], list[bytes]]] = {
    "history-loaded": _loaded,
    "line-lost-and-back": _lost_and_back,
    "interruption-inside-a-message": world("inside message 1"),
    "interruption-between-messages": world("at the boundary", "inside message 2", server=_scripted(*[spoken(900, 900)] * 8)),
    "interruption-on-the-first-sample": world("on the first sample", "between declaration and audio", "before the first event"),
    "interruption-after-all-audio-arrived": world("after all audio arrived", server=_short(rate_percent=(1000, 1000))),
    "interruption-after-all-was-heard": world("after all was heard", turns=2),
    "interruption-in-an-underrun": world("in an underrun", server=_short(rate_percent=(50, 60), stall_per_mille=900)),
    "interruption-twice-within-100-ms": world("twice within 100 ms", "while a truncate is in flight"),
    "interrupt-by-the-program": world("interrupt() by the program", "interrupt() before the response"),
    "typed-text": world("typed text", typed_per_mille=500),
    "local-detector": world("local detector", server_interrupts=False, server_creates=False),
    "paused-clock-that-can": world("while paused", "after all was heard", pauses_per_mille=1000),
    "pause-then-decide": world("cough", "backchannel", "inside message 1", turns=6, **_PAUSES),
    "pause-then-decide-by-flush": world("cough", "inside message 1", turns=5, speaker=SpeakerOptions(pause=False), **_PAUSES),
    "muted": _muted,
    "paused-clock-that-cannot": world("while paused", pauses_per_mille=1000, speaker=SpeakerOptions(pause=False)),
    "manual-turns": world(*_BY_HAND, detection=None, server_creates=False),
    "microphone": world("inside message 1", microphone=True, turns=1),
    "late-deltas": world("inside message 1", server=_short(stragglers=(4, 4), rules=Rules(truncate_midway="keeps_later"))),
    "cascade-before-speech-started": world("inside message 1", server=_short(rules=Rules(cascade="before_speech_started"))),
    "function-calls": world("during a function call", "inside message 1", server=_scripted(*[_CALL] * 4)),
    "exact-context": world("inside message 1", "inside message 2", context="exact", server_creates=False),
    "policy-ignore": world("inside message 1", interruption="ignore", server_interrupts=False, server_creates=False),
    "short-lead": world("inside message 1", "inside message 2", lead_ms=200),
    "azure-preview": world("inside message 1", "typed text", server=_short(dialect="azure-preview")),
    "g711-mu-law-ragged": world("inside message 1", output="audio/pcmu", server=_short(ragged_per_mille=1000)),
    "g711-a-law": world("inside message 1", output="audio/pcma"),
    "odd-bytes": world(
        "inside message 1", server=_short(ragged_per_mille=1000, rules=Rules(whole_samples=False), delta_ms=(20, 60)), turns=2
    ),
    "interleaved-items": world("inside message 2", server=_short(message_weights=(0, 50, 50), interleave_per_mille=1000)),
    "failed-and-incomplete-responses": world(
        "after all was heard", "inside message 1", server=_scripted(*[_FAILED, _INCOMPLETE] * 4), turns=4
    ),
    "text-only-answers": world("after all was heard", server=_short(text_per_mille=500), turns=2),
    "out-of-band-responses": world("inside message 1", asides_per_mille=1000),
    "guardrail": world("inside message 1", hold_ms=300, blocks_per_mille=300, turns=4),
    "edits-of-the-history": world("inside message 1", edits_per_mille=1000, updates_per_mille=1000),
    "no-answer-to-a-flush": world("inside message 1", speaker=SpeakerOptions(missing_per_mille=1000)),
    "late-and-stale-answers": world(
        "inside message 1", speaker=SpeakerOptions(late_per_mille=500, stale_per_mille=300, duplicate_per_mille=500)
    ),
    "marks-only": world("inside message 1", speaker=SpeakerOptions(marks_ms=200)),
    "noisy-network": world(
        "inside message 1", stream=NetworkOptions(latency_ms=150, jitter_ms=60, burst_ms=60, stall_per_mille=50, stream=True)
    ),
    "duplicate-unknown-and-malformed-events": world("inside message 1", server=_short(**_NOISE)),
    "old-error-codes-without-event-id": world(
        "interrupt() by the program", "typed text", server=_short(rules=Rules(codes="old", error_event_id="never"))
    ),
    "connection-cut": world("inside message 1", loss="cut mid-frame", loss_at_ms=4000),
    "refused-handshake": _refused,
    "session-never-acknowledged": _unacknowledged,
    "session-expired": _expired,
    "unreadable-messages": _unreadable,
    "impossible-reports": _clock_faults,
    "device-lost-and-back": _device,
    "every-command": _by_hand,
    "calls-that-take-long": _long_calls,
    "a-voice-of-its-own": _own_voice,
    "remote-tools-and-the-raw-wire": _remote_tools,
}
"""What is in the corpus, by the file's name."""


def path_of(name: str) -> Path:
    """The case's file."""
    return FOLDER / f"{name}.jsonl.gz"


def plain(lines: list[bytes]) -> list[bytes]:
    """The recording without its world: the corpus pins what the core does, not what the simulation draws."""
    header = msgspec.json.decode(lines[0])
    header.pop("world", None)
    return [msgspec.json.encode(header) + b"\n", *lines[1:]]


def renewed(recording: Recording) -> list[bytes]:
    """The same inputs with the outcomes that they have now."""
    lines = [msgspec.json.encode(recording.header)]
    for step in steps(recording):
        outcome = step.outcome
        changed = structs.replace(step.input, out=outcome.out, what=outcome.what, raised=outcome.raised)
        lines.append(msgspec.json.encode(changed))
    return [line + b"\n" for line in [*lines, b'{"inputs":%d}' % len(recording.inputs)]]


def main(argv: Sequence[str] | None = None) -> int:
    """0 where nothing changed, or what changed was written; 1 where ``--check`` found a change."""
    parser = argparse.ArgumentParser(prog="python -m corpus.make", description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="show what changed, and write nothing")
    parser.add_argument("--remake", nargs="*", metavar="NAME", help="record these once more (no name: all)")
    options = parser.parse_args(argv)
    names = None if options.remake is None else set(options.remake or CASES)
    if names is not None and (unknown := names - set(CASES)):
        parser.error(f"no such case: {', '.join(sorted(unknown))}")
    changed = 0
    for name, make in CASES.items():
        path = path_of(name)
        if not path.exists() or (names is not None and name in names):
            print(f"{name}: {'would be ' if options.check else ''}recorded")
            changed += 1
            if not options.check:
                write_recording(path, plain(make()))
            continue
        recording = read_recording(path)
        difference = replay(recording).difference
        if difference is not None:
            print(f"{name}: {difference}")
            changed += 1
            if not options.check:
                write_recording(path, renewed(recording))
    for path in sorted(FOLDER.glob("*.jsonl.gz")):
        if path.name.removesuffix(".jsonl.gz") not in CASES:
            print(f"{path.name}: is no case")
            changed += 1
            if not options.check:
                path.unlink()
    size = sum(path.stat().st_size for path in FOLDER.glob("*.jsonl.gz"))
    print(f"{len(CASES)} recordings, {size / 1000:.0f} kB; {changed or 'none'} changed")
    return int(options.check and changed > 0)


if __name__ == "__main__":
    sys.exit(main())
