"""The least of a realtime server: frames, the opening handshake, and spoken responses rendered before the clock starts.

What the benchmarks' servers share. Messages carry the keys of the live server in its order, with ids of its length (protocol
facts 3.1, 3.3), so that every client parses what it would really get; nothing here decides anything.
"""

import json
import re
from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha1
from itertools import count

PCM_BYTES_PER_MS = 48
"""Bytes of a millisecond of PCM16 at 24 kHz."""

WORDS = ("the", "quick", "brown", "fox", "jumps", "over", "a", "lazy", "dog", "again")

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, 1.3
_events = count()


def message(kind: str, **fields: object) -> bytes:
    """One server event."""
    return json.dumps({"type": kind, "event_id": f"event_{next(_events):021d}", **fields}, separators=(",", ":")).encode()


def frame(payload: bytes, opcode: int = 1) -> bytes:
    """A whole message as a server sends it: unmasked (RFC 6455, 5.1)."""
    size = len(payload)
    if size < 126:
        head = bytes([0x80 | opcode, size])
    elif size < 65_536:
        head = bytes([0x80 | opcode, 126]) + size.to_bytes(2, "big")
    else:
        head = bytes([0x80 | opcode, 127]) + size.to_bytes(8, "big")
    return head + payload


def accepted(request: bytes) -> bytes:
    """The answer to a client's opening request: accepted, no extension, no subprotocol."""
    key = re.search(rb"\r\nsec-websocket-key:[ \t]*([^\r]+?)[ \t]*\r\n", request, re.IGNORECASE)
    if key is None:
        raise ValueError(f"no websocket request: {request[:80]!r}")
    answer = b64encode(sha1(key[1] + _GUID, usedforsecurity=False).digest())
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %b\r\n\r\n"
        % answer
    )


def client_frames(buffer: bytearray) -> list[tuple[int, bytes]]:
    """Whole frames of a client, as (opcode, payload), taken from the front of the buffer. Messages have to be unfragmented."""
    found = []
    while len(buffer) >= 6:
        size, at = buffer[1] & 0x7F, 2
        if size >= 126:
            width = 2 if size == 126 else 8
            if len(buffer) < 2 + width + 4:
                break
            size, at = int.from_bytes(buffer[2 : 2 + width], "big"), 2 + width
        if len(buffer) < at + 4 + size:
            break
        mask, body = bytes(buffer[at : at + 4]), bytes(buffer[at + 4 : at + 4 + size])
        whole = mask * (size // 4 + 1)
        plain = (int.from_bytes(body, "big") ^ int.from_bytes(whole[:size], "big")).to_bytes(size, "big")
        found.append((buffer[0] & 0x0F, plain))
        del buffer[: at + 4 + size]
    return found


def session_event(kind: str, **session: object) -> bytes:
    """``session.created`` or ``session.updated``, of a session whose server finds the turns."""
    pcm = {"type": "audio/pcm", "rate": 24_000}
    detection = {
        "type": "server_vad",
        "threshold": 0.5,
        "prefix_padding_ms": 300,
        "silence_duration_ms": 500,
        "idle_timeout_ms": None,
        "create_response": True,
        "interrupt_response": True,
    }
    audio = {
        "input": {"format": pcm, "transcription": None, "noise_reduction": None, "turn_detection": detection},
        "output": {"format": pcm, "voice": "marin", "speed": 1.0},
    }
    body = {
        "type": "realtime",
        "object": "realtime.session",
        "id": "sess_000000000000000000001",
        "model": "gpt-realtime",
        "output_modalities": ["audio"],
        "instructions": "Answer briefly.",
        "tools": [],
        "tool_choice": "auto",
        "max_output_tokens": "inf",
        "tracing": None,
        "truncation": "auto",
        "prompt": None,
        "expires_at": 4_102_444_800,
        "audio": audio,
        "include": None,
    }
    return message(kind, session={**body, **session})


class Turn:
    """One response with one spoken message: what opens it, its pairs of an audio and a transcript delta, what ends it."""

    def __init__(self, name: str, previous_item: str | None, audio: Sequence[bytes]) -> None:
        self.response, self.item = f"resp_{name:0>21}", f"item_{name:0>21}"
        self._previous = previous_item
        self._key = {"response_id": self.response, "item_id": self.item, "output_index": 0, "content_index": 0}
        self.texts = [f" {WORDS[number % len(WORDS)]}" for number in range(len(audio))]
        self.pairs = [(self._audio(pcm), self._text(word)) for pcm, word in zip(audio, self.texts, strict=True)]

    def _audio(self, pcm: bytes) -> bytes:
        return message("response.output_audio.delta", **self._key, delta=b64encode(pcm).decode())

    def _text(self, word: str) -> bytes:
        padding = "x" * (16 - len(word))
        return message("response.output_audio_transcript.delta", **self._key, delta=word, obfuscation=padding)

    def opening(self) -> list[bytes]:
        """Up to the declaration of the audio part."""
        item = {"id": self.item, "type": "message", "status": "in_progress", "role": "assistant", "content": []}
        return [
            message("response.created", response=self._body("in_progress", [])),
            message("response.output_item.added", response_id=self.response, output_index=0, item=item),
            message("conversation.item.added", previous_item_id=self._previous, item=item),
            message("response.content_part.added", **self._key, part={"type": "audio", "transcript": ""}),
        ]

    def closing(self) -> list[bytes]:
        """From the end of the audio to the end of the response."""
        text = "".join(self.texts)
        item = self._item("completed", text)
        return [
            message("response.output_audio.done", **self._key),
            message("response.output_audio_transcript.done", **self._key, transcript=text),
            message("response.content_part.done", **self._key, part={"type": "audio", "transcript": text}),
            message("response.output_item.done", response_id=self.response, output_index=0, item=item),
            message("conversation.item.done", previous_item_id=self._previous, item=item),
            message("response.done", response=self._body("completed", [item])),
        ]

    def cancelled(self) -> list[bytes]:
        """The end of the response where turn detection cut it."""
        item = self._item("incomplete", "")
        details = {"type": "cancelled", "reason": "turn_detected"}
        return [
            message("response.output_audio.done", **self._key),
            message("response.output_audio_transcript.done", **self._key, transcript=""),
            message("response.output_item.done", response_id=self.response, output_index=0, item=item),
            message("conversation.item.done", previous_item_id=self._previous, item=item),
            message("response.done", response=self._body("cancelled", [item], details)),
        ]

    def _item(self, status: str, text: str) -> dict[str, object]:
        content = [{"type": "output_audio", "transcript": text}]
        return {"id": self.item, "type": "message", "status": status, "role": "assistant", "content": content}

    def _body(self, status: str, output: list[dict[str, object]], details: dict[str, str] | None = None) -> dict[str, object]:
        tokens = {"text_tokens": 10, "audio_tokens": 90, "image_tokens": 0, "cached_tokens": 0}
        usage = {
            "total_tokens": 200,
            "input_tokens": 100,
            "output_tokens": 100,
            "input_token_details": {**tokens, "cached_tokens_details": {"text_tokens": 0, "audio_tokens": 0, "image_tokens": 0}},
            "output_token_details": {"text_tokens": 10, "audio_tokens": 90},
        }
        return {
            "object": "realtime.response",
            "id": self.response,
            "status": status,
            "status_details": details,
            "output": output,
            "conversation_id": "conv_000000000000000000001",
            "output_modalities": ["audio"],
            "max_output_tokens": "inf",
            "audio": {"output": {"format": {"type": "audio/pcm", "rate": 24_000}, "voice": "marin"}},
            "usage": usage if status != "in_progress" else None,
            "metadata": None,
        }
