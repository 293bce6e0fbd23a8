"""A conversation that reaches most of the core, as one byte string: the same inputs have to give the same bytes.

``run()`` builds its configuration, too. It uses public names and pure helpers only, so that it can run behind the guards.
"""

from collections.abc import Iterable

from helpers import wire

from rtcore import Config, Disconnection, Effect, Flush, LocalProtocolError, Play, Session

MIN_STEPS = 100
SAMPLES_PER_MS = 24

CONFIG = {
    "connection": {"url": "ws://127.0.0.1:1", "headers": {"X-Run": "purity"}},
    "session": {
        "instructions": "Be brief.",
        "tools": [{"name": "look", "parameters": {"type": "object"}}],
        "audio": {"input": {"turn_detection": {"type": "server_vad"}, "transcription": {"model": "whisper-1"}}},
    },
}


class _Run:
    """Feeds inputs 10 ms apart, answers every flush at once, and writes down what came back."""

    def __init__(self) -> None:
        self.session = Session(Config.model_validate(CONFIG), seed=7)
        self.now = 100.0
        self.steps = 0
        self.heard = 0
        self.lines: list[bytes] = []

    def step(self, effects: Iterable[Effect]) -> None:
        self.steps += 1
        self.now += 0.01
        flush = None
        for effect in effects:
            if isinstance(effect, Play):
                self.lines.append(b"Play %d %s " % (effect.generation, effect.format.type.encode()) + bytes(effect.pcm))
            else:
                self.lines.append(repr(effect).encode())
            if isinstance(effect, Flush):
                flush = effect
        self.lines.append(repr((self.session.state, self.session.deadline, self.session.segments)).encode())
        if flush is not None:
            heard, self.heard = self.heard, 0
            self.step(self.session.flushed(flush.generation, heard, now=self.now))

    def server(self, script: wire.Script) -> None:
        for event in script:
            self.raw(wire.encode(event))

    def raw(self, payload: bytes) -> None:
        self.step(self.session.receive(1, payload, now=self.now))

    def hear(self, ms: int, *, generation: int) -> None:
        self.heard = ms * SAMPLES_PER_MS
        self.step(self.session.played(generation, self.heard, now=self.now))

    def mistake(self, *, batch: dict[str, object]) -> None:
        try:
            self.session.update(batch, now=self.now)
        except LocalProtocolError as error:
            self.lines.append(str(error).encode())

    def ticks(self, seconds: float) -> None:
        """Pass time, from deadline to deadline."""
        end = self.now + seconds
        while (deadline := self.session.deadline) is not None and deadline.at < end:
            self.now = max(self.now, deadline.at)
            self.step(self.session.tick(now=self.now))
        self.now = max(self.now, end)


def run() -> bytes:
    """The whole conversation: every input's effects, the deadline and the sample counts behind it."""
    it = _Run()
    session = it.session
    it.step(session.open(now=it.now))
    it.step(session.append_audio(bytes(960), now=it.now))
    it.step(session.connected(1, now=it.now))
    it.server(wire.session_created())
    it.server(wire.session_updated())

    # Two messages and a call, cut inside the first; the server's own turn detection interrupts.
    it.server(wire.created("r1") + wire.message("m1", 600, "One two three four.", r="r1"))
    it.server(wire.message("m2", 400, "Five six.", r="r1", index=1, previous="m1"))
    it.server(wire.call("c1", r="r1", index=2, previous="m2"))
    it.hear(250, generation=1)
    it.server(wire.speech_started("u1"))
    it.server(wire.audio("m2", 40, r="r1", index=1, start_ms=400) + wire.cancelled("r1"))
    it.server(wire.truncated("m1", 250) + wire.deleted("m2"))
    it.step(session.tool_result("c1", {"weather": "fine", "degrees": 21.5}, now=it.now).effects)
    it.server(wire.turn("u1", previous="m1") + wire.user_transcript("u1", "And then?"))

    # What nobody should send.
    it.server(wire.audio("m9", 20, r="r9") + wire.error("server_error", "Oh dear.") + [{"type": "brand.new", "x": 1}])
    for payload in (b"", b"{", b"\xff\xfe", b'{"type":"response.output_audio.delta"}', b'{"type":7}', b"[]"):
        it.raw(payload)
    it.server(wire.created("r2") + wire.opened("m3", r="r2", previous="u1") + wire.audio("m3", r="r2", raw=b"\x01\x02\x03"))
    it.server(wire.audio("m3", r="r2", raw=b"\x04") + wire.audio("m3", 300, r="r2") + wire.transcript("m3", "Seven.", r="r2"))
    it.hear(100, generation=2)
    it.step(session.pause(now=it.now))
    it.step(session.resume(now=it.now))
    it.step(session.speech("started", now=it.now))
    it.step(session.speech("stopped", now=it.now))
    it.server(wire.cancelled("r2", by="client_cancelled"))

    # The program's commands, some of them mistakes.
    it.step(session.update({"audio": {"input": {"turn_detection": {"threshold": 0.6}}}}, now=it.now).effects)
    it.mistake(batch={"audio": {"output": {"speed": 9.0}}, "model": "other"})
    it.step(session.send_text("What about tomorrow?", now=it.now).effects)
    it.step(session.respond({"conversation": "none", "output_modalities": ["text"]}, now=it.now).effects)
    it.step(session.create_item({"type": "message", "role": "system", "content": []} | _TEXT, now=it.now).effects)
    for _ in range(20):
        it.step(session.append_audio(bytes(960), now=it.now))
    it.step(session.commit(now=it.now).effects)
    it.step(session.clear(now=it.now).effects)
    it.ticks(30.0)
    it.lines.append(repr((session.history, session.counters)).encode())
    it.step(session.disconnected(1, Disconnection(close_code=1006), now=it.now))
    it.ticks(1.0)
    it.step(session.connected(2, now=it.now))
    it.step(session.receive(2, wire.encode(wire.session_updated()[0]), now=it.now))
    it.ticks(1.0)
    it.step(session.close(now=it.now))
    if it.steps < MIN_STEPS:
        raise AssertionError(f"the run has {it.steps} steps, which is too few to prove anything")
    return b"\n".join(it.lines)


_TEXT: dict[str, object] = {"content": [{"type": "input_text", "text": "The user is at home."}]}
