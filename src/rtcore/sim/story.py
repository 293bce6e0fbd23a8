"""A world told in readable lines: when, who, what."""

from collections.abc import Sequence
from typing import assert_never

from rtcore._effects import Connect, Disconnect, Drain, Effect, Flush, Pause, Play, Resume, Send
from rtcore._formats import AudioFormat
from rtcore._notices import HeardText, Notice, TextDelta
from rtcore.sim._seen import ClientSeen, ServerSeen, read_client
from rtcore.sim.speaker import Report

_QUIET = frozenset({"response.output_audio_transcript.delta", "response.output_text.delta", "rate_limits.updated"})


class Line(tuple[int, str, str]):
    """One line: nanoseconds, who, what."""

    __slots__ = ()

    def __str__(self) -> str:
        at, who, what = self
        return f"{at / 1_000_000_000:10.6f}  {who:<8}  {what}"


class Story:
    """Collects lines. Give one to a world and read ``lines`` afterwards; it changes nothing in the world."""

    def __init__(self, audio: AudioFormat) -> None:
        self.lines: list[Line] = []
        self._audio = audio

    def tell(self, at: int, who: str, what: str) -> None:
        """One line."""
        self.lines.append(Line((at, who, what)))

    def server_sent(self, at: int, messages: Sequence[ServerSeen]) -> None:
        """What left the server."""
        for message in messages:
            if message.type not in _QUIET:
                self.tell(at, "server", self._server_message(message))

    def client_received(self, at: int, message: ServerSeen) -> None:
        """What reached the client."""
        if message.type not in _QUIET:
            self.tell(at, "arrives", self._server_message(message))

    def server_received(self, at: int, message: ClientSeen) -> None:
        """What reached the server."""
        if message.type != "input_audio_buffer.append":
            self.tell(at, "at server", _client_message(message))

    def report(self, at: int, report: Report) -> None:
        """What the clock says."""
        self.tell(at, "clock", f"{report.kind}({report.generation}, {report.samples})")

    def effects(self, at: int, effects: Sequence[Effect]) -> None:
        """What the session asks for and tells."""
        for effect in effects:
            match effect:
                case Play():
                    samples = len(effect.pcm) // self._audio.sample_width
                    what = f"Play({samples} samples, {self._audio.ms(samples)} ms, generation {effect.generation})"
                case Drain() | Flush() | Pause() | Resume():
                    what = f"{type(effect).__name__}({effect.generation})"
                case Send():
                    message = read_client(effect.payload, at, 0)
                    if message.type == "input_audio_buffer.append":
                        continue
                    what = f"> {_client_message(message)}"
                case Connect() | Disconnect():
                    what = repr(effect)
                case TextDelta() | HeardText():
                    continue
                case Notice():
                    what = repr(effect)
                case _:
                    assert_never(effect)
            self.tell(at, "core", what)

    def _server_message(self, message: ServerSeen) -> str:
        words = [message.type]
        if message.response is not None:
            words += [message.response.id, message.response.status or "", message.cancel_reason or ""]
        if message.response_id:
            words.append(message.response_id)
        if message.item is not None:
            words += [message.item.id, message.item.type, message.item.status or ""]
        if message.item_id:
            words.append(f"{message.item_id}[{message.content_index}]")
        if message.type == "response.output_audio.delta":
            samples = message.audio_bytes // self._audio.sample_width
            words.append(f"{samples} samples")
        if message.audio_end_ms is not None:
            words.append(f"{message.audio_end_ms} ms")
        if message.error is not None:
            words.append(f"{message.error.code}: {message.error.message}")
        return " ".join(word for word in words if word)


def _client_message(message: ClientSeen) -> str:
    words = [message.type]
    if message.item_id is not None:
        words.append(message.item_id)
    if message.audio_end_ms is not None:
        words.append(f"[{message.content_index}] {message.audio_end_ms} ms")
    if message.response_id is not None:
        words.append(message.response_id)
    if message.item is not None:
        words.append(" ".join(str(message.item[key]) for key in ("type", "role", "call_id") if message.item.get(key)))
    return " ".join(words)
