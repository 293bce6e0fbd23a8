"""Plays a script to an adapter: server messages as bytes that are cut and merged anywhere, clock reports, frames, commands.

One input at a time, in the script's order; whoever runs the player sees to it that all IO that follows from an input is done
before the next. It keeps what comes out.
"""

import socket
from random import Random
from typing import Any, Protocol

from conformance.far import FarEnd
from conformance.plays import LINE, REPORTS, Outcome, Script, Step
from rtcore import AudioFormat, Clock, Config, Disconnection, Drain, Flush, LocalProtocolError, Pause, Play, Resume
from rtcore_adapters.audio import MicrophoneSink, SpeakerReports

_CUT, _MERGED, _AHEAD, _FRAGMENTED = 0.2, 0.5, 0.1, 0.05
_AHEAD_S = 5.0
"""How much too early the beginning of a message may come. Pings come after 20 s: none into the middle of a frame."""


class Request(Protocol):
    """A request of any runtime."""

    number: int

    @property
    def ended(self) -> Any: ...


class ScriptedSpeaker:
    """A ``Speaker`` that says what the script says, and keeps what it is asked."""

    deadline: float | None = None

    def __init__(self, clock: Clock, outcome: Outcome) -> None:
        self.capabilities = clock
        self.closed = False
        self._outcome = outcome
        self.reports: SpeakerReports | None = None

    def open(self, reports: SpeakerReports, *, now: float) -> None:
        self.reports = reports

    def play(self, pcm: bytes | memoryview, format: AudioFormat, generation: int, *, now: float) -> None:
        self._outcome.asked(Play(bytes(pcm), format, generation))

    def drain(self, generation: int, *, now: float) -> None:
        self._outcome.asked(Drain(generation))

    def flush(self, generation: int, *, now: float) -> None:
        self._outcome.asked(Flush(generation))

    def pause(self, generation: int, *, now: float) -> None:
        self._outcome.asked(Pause(generation))

    def resume(self, generation: int, *, now: float) -> None:
        self._outcome.asked(Resume(generation))

    def tick(self, *, now: float) -> None:
        raise AssertionError("it has set no deadline")

    def close(self, *, now: float) -> None:
        self.closed = True


class ScriptedMicrophone:
    """A ``Microphone`` whose frames come when the script says so."""

    deadline: float | None = None

    def __init__(self, format: AudioFormat) -> None:
        self.format = format
        self.sink: MicrophoneSink | None = None

    def open(self, sink: MicrophoneSink, *, now: float) -> None:
        self.sink = sink

    def tick(self, *, now: float) -> None:
        raise AssertionError("it has set no deadline")

    def close(self, *, now: float) -> None:
        self.sink = None


class Player:
    """A stage on which a script is played, once. ``microphone`` says whether the user's audio comes from a device.

    ``cuts`` seeds the places at which the bytes of the server are cut; None: each message comes whole, in a frame of its own.
    """

    def __init__(self, script: Script, *, cuts: int | None = 0, microphone: AudioFormat | None = None) -> None:
        self.script = script
        self.outcome = Outcome()
        self.speaker = ScriptedSpeaker(script.clock, self.outcome)
        self.microphone = ScriptedMicrophone(microphone) if microphone is not None else None
        self.conversation: Any = None
        """Set when the session is ready."""
        self.lateness = 0.0
        """By how much an input came later than scripted, at most; on the real clock."""
        self.failed: str | None = None
        """Why ``connect`` raised, where it did."""
        self._random = None if cuts is None else Random(cuts)
        self._far: FarEnd | None = None
        self._steps = script.steps
        self._index = 0
        self._frame = b""  # what is left of the message at ``_index`` and those that are merged with it
        self._through = 0  # the first step behind those whose bytes are in ``_frame``
        self._requests: list[Request] = []

    @property
    def config(self) -> Config:
        """What to connect with."""
        return self.script.config

    def dial(self, host: str, port: int) -> socket.socket:
        """The near end of a socket pair."""
        assert self._far is None, "one connection was scripted"
        self._far = FarEnd()
        return self._far.near

    async def dial_soon(self, host: str, port: int) -> socket.socket:
        """The same, for a runtime that awaits it."""
        return self.dial(host, port)

    # -- as a stage -----------------------------------------------------------------------------------------------------------

    @property
    def next_at(self) -> float | None:
        if self._far is not None and self._far.writing:
            return 0.0  # the socket has not taken it whole
        return self._steps[self._index].at if self._index < len(self._steps) else None

    def carry(self, now: float) -> bool:
        """Read what the client wrote."""
        if self._far is None:
            return False
        half_open = self.script.half_open_at
        if half_open is not None and now >= half_open:
            self._far.mute = True
        moved = self._far.carry()
        for payload in self._far.messages:
            self.outcome.sent(payload)
        self._far.messages.clear()
        return moved

    def step(self, now: float) -> None:
        """The next input, or a piece of it."""
        if self._far is not None and self._far.writing:
            self._far.carry()
            return
        step = self._steps[self._index]
        if step.do == "receive":
            self._send_piece()
            return
        self._index += 1
        self._do(step)

    @property
    def next_is_a_command(self) -> bool:
        """Whether the next step takes a conversation."""
        do = self._steps[self._index].do if self._index < len(self._steps) else "receive"
        by_device = do in ("append_audio", "speech") and self.microphone is not None
        return do not in (*LINE, *REPORTS) and not by_device

    @property
    def has_its_request(self) -> bool:
        """Whether the handshake can be answered, where that is the next step."""
        awaited = self._index < len(self._steps) and self._steps[self._index].do == "connected"
        return not awaited or (self._far is not None and self._far.request is not None)

    def hang_up(self) -> None:
        """Let go of the line."""
        if self._far is not None:
            self._far.hang_up()

    def finish(self) -> Outcome:
        """Everything has ended: what came out."""
        if self._far is not None:
            self.carry(0.0)
            if self._began_to_close:
                self.outcome.hung_up = self._far.closed_with
            self._far.hang_up()
        self.outcome.requests = [(request.number, request.ended) for request in self._requests]
        return self.outcome

    @property
    def _began_to_close(self) -> bool:
        """Whether the client did, and not the server, or nobody."""
        return not any(step.do == "disconnected" for step in self._steps[: self._index]) and self.script.half_open_at is None

    # -- inputs -------------------------------------------------------------------------------------------------------------

    def _do(self, step: Step) -> None:
        if step.do == "connected":
            assert self._far is not None, "nobody has dialled"
            self._far.accept()
        elif step.do == "disconnected":
            self._hang_up(step.args[1])
        elif step.do in REPORTS:
            assert self.speaker.reports is not None
            getattr(self.speaker.reports, step.do)(*step.args)
        elif step.do == "append_audio" and self.microphone is not None and self.microphone.sink is not None:
            self.microphone.sink.audio(*step.args)
        elif step.do == "speech" and self.microphone is not None and self.microphone.sink is not None:
            self.microphone.sink.speech(*step.args)
        else:
            self._command(step)

    def _command(self, step: Step) -> None:
        assert self.conversation is not None, f"{step.do} at {step.at} comes before the session is ready"
        try:
            given = self._given(self.conversation, step)
        except LocalProtocolError as error:
            self.outcome.refused.append(f"{step.do}: {error}")
            return
        if given is not None:
            self._requests.append(given)

    def _given(self, conversation: Any, step: Step) -> Any:
        """The command as a program gives it: what is said in pieces is an object of its own there."""
        match step.do:
            case "say_begin":
                return conversation.voice(*step.args, **step.options).request
            case "say_append" | "say_end":
                return conversation._do(getattr(conversation.session, step.do), *step.args)
            case _:
                return getattr(conversation, step.do)(*step.args, **step.options)

    def _hang_up(self, cause: Disconnection) -> None:
        far = self._far
        assert far is not None
        if cause.close_code is not None and cause.close_code != 1006:  # 1006 stands for a close frame that never came
            far.close(cause.close_code, cause.reason)
        elif not far.mute:
            far.raw(b"\x81\x7e\x01\x00" + bytes(100))  # a text message of 256 bytes, cut after 100
            far.hang_up()

    def _send_piece(self) -> None:
        """The next bytes of the message whose turn it is; those of the next may be merged with them, or begin early."""
        far, random = self._far, self._random
        assert far is not None
        if self._through <= self._index:
            self._frame += self._framed(self._index)
            self._through = self._index + 1
        if not self._frame:
            self._index = self._through  # the client has hung up: whatever was to come is dropped
            return
        if random is None:
            far.raw(self._frame)
            self._frame, self._index = b"", self._through
            return
        size = len(self._frame)
        if random.random() < _CUT:
            size = random.randint(1, size)
            far.torn = self._frame[size:]
            far.raw(self._frame[:size])
            self._frame = far.torn
            if self._frame:
                return
            self._index = self._through
            return
        data, self._frame = self._frame, b""
        at = self._steps[self._index].at
        while self._is_message(self._through) and self._steps[self._through].at == at and random.random() < _MERGED:
            data += self._framed(self._through)
            self._through += 1
        self._index = self._through
        if random.random() < _AHEAD and self._is_message(self._index) and self._steps[self._index].at - at < _AHEAD_S:
            frame = self._framed(self._index)
            size = random.randint(1, len(frame) - 1) if frame else 0
            data += frame[:size]
            self._frame = frame[size:]
            self._through = self._index + 1
        far.torn = self._frame
        far.raw(data)

    def _is_message(self, index: int) -> bool:
        return index < len(self._steps) and self._steps[index].do == "receive"

    def _framed(self, index: int) -> bytes:
        assert self._far is not None
        payload: bytes = self._steps[index].args[1]
        cuts: list[int] = []
        if self._random is not None and self._random.random() < _FRAGMENTED and len(payload) > 2:
            cuts = sorted(self._random.randint(0, len(payload)) for _ in range(self._random.randint(1, 3)))
        return self._far.frames(payload, cuts)
