"""Servers of the protocol's dialect that only write down what is said: vLLM and Together (protocol facts 14).

They have half a protocol: a few of its events, some with other names, no items and hardly an acknowledgement. What they leave out
is filled in on this side, by a ``Translation`` for each connection, so that to the core it is a session that transcribes (12.1).
"""

from collections import deque
from collections.abc import Mapping
from typing import Any, Literal

from msgspec import Struct, structs

from rtcore._errors import DialectError, ErrorKind, LocalProtocolError
from rtcore._formats import AudioFormat
from rtcore.dialects import _signs
from rtcore.dialects._address import Address, completed
from rtcore.dialects._base import Capabilities, Dialect, Wire, facts
from rtcore.dialects._shapes import checked_format, read_session, refused

_PCM16K = AudioFormat("audio/pcm", 16_000)
_ALONE = "it only transcribes"


class TranscriberShape(Struct, frozen=True):
    """A flat session of what is heard, and no more: everything else is refused by its name."""

    name: str
    detection: Mapping[str, str] = {}
    """The fields of its turn detection by those of ``server_vad``; empty: it has none."""

    @property
    def kind(self) -> Literal["flat"]:
        """Everything of a session stands on top."""
        return "flat"

    def read_session(self, session: Wire) -> Wire:
        """A session in GA shape."""
        shown = read_session(session, input_rate=_PCM16K.rate)
        side = (shown.get("audio") or {}).get("input") or {}
        found = side.get("turn_detection")
        if isinstance(found, dict):
            ours = {theirs: name for name, theirs in self.detection.items()}
            side["turn_detection"] = {ours.get(name, name): value for name, value in found.items()}
        return shown

    def render_session(self, session: Wire) -> Wire:
        """What there is to say of one that transcribes."""
        wire: Wire = {}
        for key, value in session.items():
            if key == "audio":
                wire |= self._input(value.get("input") or {})
                if value.get("output"):
                    raise refused("audio.output", f"{_ALONE}; leave it out", self.name)
            elif key == "model":
                wire[key] = value
            elif key == "type" and value != "transcription":
                raise refused(f"type = {value!r}", f"{_ALONE}; say 'transcription'", self.name)
            elif key not in ("type", "vendor") and value is not None:
                raise refused(key, f"{_ALONE}; leave it out", self.name)
        return wire | (session.get("vendor") or {})

    def _input(self, side: Mapping[str, Any]) -> Wire:
        wire: Wire = {}
        for key, value in side.items():
            match key:
                case "format":
                    checked_format(value, (_PCM16K,), "audio.input.format", self.name)
                    wire["input_audio_format"] = "pcm16"
                case "turn_detection":
                    wire["turn_detection"] = self._detection(value)
                case "transcription" if value is not None:
                    raise refused("audio.input.transcription", "the model is connection.model; leave it out", self.name)
                case _ if value is not None:
                    raise refused(f"audio.input.{key}", "leave it out", self.name)
                case _:
                    continue
        return wire

    def _detection(self, value: object) -> object:
        if not isinstance(value, Mapping):
            return None
        path = "audio.input.turn_detection"
        if not self.detection or value.get("type") != "server_vad":
            kinds = "server_vad, or None" if self.detection else "None"
            raise refused(f"{path}.type = {value.get('type')!r}", f"use {kinds} for manual turns", self.name)
        if value.get("idle_timeout_ms") is not None:
            raise refused(f"{path}.idle_timeout_ms", "leave it out", self.name)
        return {theirs: value[name] for name, theirs in self.detection.items() if name in value}

    def render_response(self, response: Wire) -> Wire:
        """There are none."""
        names = next(iter(response), "response")
        raise refused(str(names), f"{_ALONE}, and answers nothing", self.name)

    def render_item(self, item: Wire) -> Wire:
        """There are none."""
        for part in item.get("content") or ():
            raise refused(f"item.content (type {part.get('type')!r})", f"{_ALONE}; append audio", self.name)
        raise refused("item", f"{_ALONE}; append audio", self.name)


_WORDS = "conversation.item.input_audio_transcription"


class _Turns:
    """The user's turns, which these servers do not name: ids of ours, in the order in which their words come."""

    def __init__(self) -> None:
        self._number = 0
        self.open: deque[str] = deque()
        """Turns whose words are not complete."""

    def begin(self, *, committed: bool) -> tuple[str, list[Wire]]:
        """Another turn, and what announces it."""
        before = f"turn_{self._number}" if self._number else None
        self._number += 1
        turn = f"turn_{self._number}"
        self.open.append(turn)
        item = {"id": turn, "type": "message", "role": "user", "status": "completed", "content": [{"type": "input_audio"}]}
        said: list[Wire] = [{"type": "conversation.item.added", "previous_item_id": before, "item": item}]
        if committed:
            said.insert(0, {"type": "input_audio_buffer.committed", "item_id": turn, "previous_item_id": before})
        return turn, said

    def current(self) -> tuple[str, list[Wire]]:
        """The turn that words belong to; one that nobody committed is announced by them."""
        return (self.open[0], []) if self.open else self.begin(committed=False)


class VllmTranslation:
    """vLLM's events: the model is its whole configuration, a turn is begun and ended by two commits, an error is a text."""

    def __init__(self) -> None:
        self._turns = _Turns()
        self._model: object = None
        self._ready = False

    def out(self, event: Wire) -> tuple[list[Wire], list[Wire]]:
        """What is sent for an event of ours, and what the server would have answered."""
        kind = event["type"]
        if kind in ("session.update", "transcription_session.update"):
            self._model = event["session"].get("model", self._model)
            sent = {"type": "session.update", "event_id": event["event_id"], "model": self._model}
            return [sent], [_acknowledged("turn_detection")] if self._ready else []
        if kind == "input_audio_buffer.commit":
            # It writes down what waits between a commit and one that is final.
            end = {**event, "event_id": f"{event['event_id']}_final", "final": True}
            return [event, end], self._turns.begin(committed=True)[1]
        return ([event], []) if kind == "input_audio_buffer.append" else ([], [])

    def back(self, event: Wire) -> tuple[list[Wire], list[Wire]]:
        """What the core reads for an event of the server's; nothing is sent for one."""
        kind = event.get("type")
        if kind == "session.created":
            self._ready = True
            return [], [{"session": {"id": event.get("id")}, **event}, _acknowledged("turn_detection", id=event.get("id"))]
        if kind == "transcription.delta":
            turn, said = self._turns.current()
            return [], [*said, {"type": f"{_WORDS}.delta", "item_id": turn, "delta": event.get("delta")}]
        if kind == "transcription.done":
            turn, said = self._turns.current()
            self._turns.open.popleft()
            usage = event.get("usage")
            words = {"type": f"{_WORDS}.completed", "item_id": turn, "transcript": event.get("text"), "usage": _tokens(usage)}
            return [], [*said, words]
        if kind == "error" and isinstance(event.get("error"), str):
            told = {"type": "", "code": event.get("code"), "message": event["error"]}
            if event.get("code") == "processing_error" and self._turns.open:
                return [], [{"type": f"{_WORDS}.failed", "item_id": self._turns.open.popleft(), "error": told}]
            return [], [{"type": "error", "error": told}]
        return [], [event]


class TogetherTranslation:
    """Together's events: the configuration has the name of its answer and waits for the server's first event; words are said
    whole each time, and belong to no item.
    """

    def __init__(self) -> None:
        self._turns = _Turns()
        self._ready = False
        self._held: list[Wire] = []
        self._said = ""

    def out(self, event: Wire) -> tuple[list[Wire], list[Wire]]:
        """What is sent for an event of ours, and what the server would have answered."""
        kind = event["type"]
        if kind == "transcription_session.update":
            if not self._ready:
                self._held.append(event)
                return [], []
            return self._configured(event)
        if kind == "input_audio_buffer.commit":
            return [event], self._turns.begin(committed=True)[1]
        return ([event], []) if kind == "input_audio_buffer.append" else ([], [])

    def _configured(self, event: Wire) -> tuple[list[Wire], list[Wire]]:
        session = {name: value for name, value in event["session"].items() if name != "input_audio_format"}
        if not session:
            return [], [_acknowledged()]  # nothing to say, and so no answer
        return [{**event, "type": "transcription_session.updated", "session": session}], []

    def back(self, event: Wire) -> tuple[list[Wire], list[Wire]]:
        """What is sent for an event of the server's, and what the core reads."""
        kind = event.get("type")
        if kind == "session.created":
            self._ready = True
            held, self._held = self._held, []
            sent, said = [], [{"session": {}, **event}]
            for each in held:
                out, answers = self._configured(each)
                sent += out
                said += answers
            return sent, said
        if kind not in (f"{_WORDS}.delta", f"{_WORDS}.completed"):
            return [], [event]
        turn, announced = self._turns.current()
        if kind == f"{_WORDS}.completed":
            self._turns.open.popleft()
            self._said = ""
            return [], [*announced, {**event, "item_id": turn}]
        words = event.get("delta")
        if not isinstance(words, str) or not words.startswith(self._said):
            return [], announced  # it thought again: the whole comes at the end
        more, self._said = words[len(self._said) :], words
        return [], [*announced, {**event, "item_id": turn, "delta": more}]


def _acknowledged(*off: str, **more: object) -> Wire:
    """The acknowledgement that a server leaves out."""
    return {
        "type": "session.updated",
        "session": {"type": "transcription", "input_audio_format": "pcm16", **dict.fromkeys(off), **more},
    }


def _tokens(usage: object) -> Wire | None:
    """vLLM's usage in the protocol's names (10.2)."""
    if not isinstance(usage, Mapping):
        return None
    names = {"prompt_tokens": "input_tokens", "completion_tokens": "output_tokens", "total_tokens": "total_tokens"}
    return {"type": "tokens", **{ours: usage[theirs] for theirs, ours in names.items() if theirs in usage}}


_LISTENS = Capabilities(
    answers=False,
    truncate=False,
    truncate_acknowledged=False,
    delete=False,
    create=False,
    create_assistant=False,
    clear=False,
    images="none",
    metadata=False,
    out_of_band=False,
    server_cancels=False,
    server_obeys=False,
    turn_detection=(),
    detects_unasked=False,
    input_formats=(_PCM16K,),
    output_formats=(),
)


def _own_path(host: str, path: str) -> str:
    return completed(path, ("",), "/v1/realtime")


VLLM = Dialect(
    name="vllm",
    title="vLLM, transcription",
    capabilities=_LISTENS,
    form=TranscriberShape("vllm"),
    way=Address(
        path=_own_path,
        query=lambda connection, host: (),
        example="wss or ws and the host, for example ws://127.0.0.1:8000",
    ),
    translation=VllmTranslation,
    sign=_signs.VLLM,
    model_in_session=True,
    address="ws://{host}/v1/realtime",
    credential="Authorization: Bearer; none on this machine",
    verified=facts("14"),
    source="facts 14, and its source (vllm/entrypoints/openai/realtime)",
    quirks=(
        "only transcribes: session.type is transcription, and the turns are the program's (commit)",
        "nothing is acknowledged: session.created stands for it; the model is named in session.update",
        "a turn is written down when it is committed; what is appended before its transcript is complete is lost there",
        "an error is a text with a code beside it, transcription.delta and .done belong to no item",
    ),
    errors=(
        DialectError(
            ErrorKind.OTHER, "Set connection.model to the model that the server was started with.", "model_not_validated"
        ),
        DialectError(ErrorKind.OTHER, "Append PCM16 at 16 kHz, and some of it.", "invalid_audio"),
        DialectError(
            ErrorKind.OTHER, "Say it again; the server's own log says why it failed.", "processing_error", retryable=True
        ),
    ),
)
"""A few of the protocol's events around a model that writes down what is said."""

_TOGETHER_VAD = {
    "type": "type",
    "threshold": "threshold",
    "silence_duration_ms": "min_silence_duration_ms",
    "prefix_padding_ms": "speech_pad_ms",
}


def _together_model(connection: Any, host: str) -> tuple[tuple[str, str], ...]:
    if "model" not in connection.model_fields_set:
        raise LocalProtocolError("model: Together wants the name of a model that transcribes, such as openai/whisper-large-v3")
    return (("model", connection.model), ("input_audio_format", "pcm_s16le_16000"))


TOGETHER = Dialect(
    name="together",
    title="Together, transcription",
    capabilities=structs.replace(_LISTENS, turn_detection=("server_vad",), detects_unasked=True),
    form=TranscriberShape("together", _TOGETHER_VAD),
    way=Address(path=_own_path, query=_together_model, base="wss://api.together.ai", headers=(("OpenAI-Beta", "realtime=v1"),)),
    translation=TogetherTranslation,
    sign=_signs.TOGETHER,
    address="wss://api.together.ai/v1/realtime?model={model}&input_audio_format=pcm_s16le_16000",
    credential="Authorization: Bearer",
    verified=facts("14"),
    source="facts 14, and the vendor's pages on streaming and on voice activity detection",
    quirks=(
        "only transcribes: session.type is transcription",
        "the client itself sends transcription_session.updated, behind session.created",
        "a piece of transcript is said whole each time, and belongs to no item",
        "of a turn detection it takes threshold, silence_duration_ms and prefix_padding_ms, in names of its own",
    ),
)
"""A few of the protocol's events around a model that writes down what is said, with turn detection."""
