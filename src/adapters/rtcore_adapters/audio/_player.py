"""What a remote player is told, and what it tells: one message to a websocket frame.

Audio goes in binary frames: a header of 12 bytes, little endian, and the samples behind it.

    uint8 kind (1)   uint8 encoding (0 PCM16 little endian, 1 mu-law, 2 A-law)   uint16 0   uint32 generation   uint32 rate

All else is JSON in text frames, both ways: the structs below, by their ``type``, such as ``{"type":"flush","generation":3}``.
"""

import struct
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from rtcore import AudioFormat

_ENCODINGS = {"audio/pcm": 0, "audio/pcmu": 1, "audio/pcma": 2}
_HEADER = struct.Struct("<BBHII")
_AUDIO = 1

Generation = Annotated[int, Meta(ge=1)]
Count = Annotated[int, Meta(ge=0)]


class PlayerMessageError(ValueError):
    """A message that no player sends. The text says what is wrong with it."""


class Begin(Struct, frozen=True, tag="begin"):
    """Be empty, with all counts at 0; tell positions every ``report_ms`` while something sounds."""

    report_ms: int


class Drain(Struct, frozen=True, tag="drain"):
    """Nothing more comes for now: running dry is no underrun."""

    generation: int


class Flush(Struct, frozen=True, tag="flush"):
    """Silence now: drop every generation up to this one, now and whenever it comes, and answer ``flushed``, once."""

    generation: int


class Pause(Struct, frozen=True, tag="pause"):
    """Hold without losing a sample, until ``resume`` or a ``flush`` of this generation."""

    generation: int


class Resume(Struct, frozen=True, tag="resume"):
    """Go on."""

    generation: int


class End(Struct, frozen=True, tag="end"):
    """Silence; the conversation is over."""


Command = Begin | Drain | Flush | Pause | Resume | End


class Played(Struct, frozen=True, tag="played"):
    """So many samples of the generation are out, in all, at the rate at which they came.

    ``delay_ms``: the last of them that are not audible yet. A player that tells it goes on to report until it has passed.
    """

    generation: Generation
    samples: Count
    delay_ms: Annotated[float, Meta(ge=0, le=10_000)] = 0.0


class Flushed(Struct, frozen=True, tag="flushed"):
    """The answer to ``flush``: how many samples of the generation were heard. It comes when nothing of it sounds any more."""

    generation: Generation
    samples: Count


class Underrun(Struct, frozen=True, tag="underrun"):
    """Nothing is left to sound, and no ``drain`` said that nothing more was coming."""

    generation: Generation


Report = Played | Flushed | Underrun

_reports: msgspec.json.Decoder[Report] = msgspec.json.Decoder(Report)


def encode_command(command: Command) -> str:
    """As a text frame."""
    return msgspec.json.encode(command).decode()


def encode_audio(pcm: bytes | memoryview, format: AudioFormat, generation: int) -> bytes:
    """As a binary frame."""
    return _HEADER.pack(_AUDIO, _ENCODINGS[format.type], 0, generation, format.rate) + pcm


def decode_report(message: str | bytes) -> Report:
    """What the player told. Raises ``PlayerMessageError``."""
    try:
        return _reports.decode(message)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise PlayerMessageError(f"{error}; needed: played, flushed or underrun, as JSON") from None
