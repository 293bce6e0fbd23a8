"""One content part's deltas, put together from bytes: most of what a server says is these.

What every delta of a part has in common is encoded once, and its audio is a slice of the voices' base64; only a number, a slice
and a bracket are new. The bytes are those that ``State.emit`` would give.
"""

from msgspec.json import encode

from rtcore.sim._server_speech import Take
from rtcore.sim._server_state import State
from rtcore.sim._server_truth import ServerPart
from rtcore.sim._server_wire import Json


class Strand:
    """Knows how a part's deltas look. ``take`` is where its audio lies, None for a text."""

    __slots__ = (
        "_audio_head",
        "_audio_middle",
        "_fragment",
        "_start",
        "_state",
        "_text_head",
        "_text_kind",
        "_text_middle",
        "ids",
        "part",
        "width",
    )

    def __init__(self, state: State, part: ServerPart, take: Take | None, ids: Json) -> None:
        self.part = part
        self.width = part.format.sample_width
        self.ids = ids
        """What its events name it by."""
        self._state = state
        self._fragment = take.track.fragment if take is not None else None
        self._start = part.start
        place = b'",%b,"delta":' % encode(ids)[1:-1]
        self._text_kind = "response.output_text.delta" if part.kind == "text" else "response.output_audio_transcript.delta"
        self._text_head = self._head(self._text_kind)
        self._text_middle = place
        self._audio_head = self._head("response.output_audio.delta")
        self._audio_middle = place + b'"'

    def _head(self, kind: str) -> bytes:
        return b'{"type":"%b","event_id":"%b' % (self._state.wire.name(kind).encode(), self._state.event_stem)

    def audio(self, position: int, size: int) -> None:
        """Send ``size`` bytes of audio from ``position`` of the part."""
        state, fragment = self._state, self._fragment
        assert fragment is not None, "only an audio part has audio"
        first = self._start + position
        state.count += 1
        payload = b'%b%07x%b%b"}' % (self._audio_head, state.count, self._audio_middle, fragment(first, first + size))
        if state.plain:
            state.out.append(payload)
        else:
            state.emit_raw(payload, "response.output_audio.delta", self.ids)

    def text(self, delta: str, padding: Json) -> None:
        """Send a piece of text or transcript; ``padding`` are further fields."""
        state = self._state
        state.count += 1
        more = b",%b" % encode(padding)[1:-1] if padding else b""
        payload = b"%b%07x%b%b%b}" % (self._text_head, state.count, self._text_middle, encode(delta), more)
        if state.plain:
            state.out.append(payload)
        else:
            state.emit_raw(payload, self._text_kind, self.ids)
