"""What a conversation used, in tokens and seconds, and what that costs at prices that the program gives (protocol facts 10).

No price is built in: they change, and differ by model and contract. ``Session.usage`` counts; ``ResponseEnded.usage`` and
``UserTranscript.usage`` are the server's own objects, which ``response_usage`` and ``transcription_usage`` read.
"""

from collections.abc import Iterable, Mapping
from math import exp, isfinite
from typing import Any, TypeGuard

from msgspec import Struct


class Usage(Struct, frozen=True):
    """Counts; they add up with ``+``. Tokens are whole numbers, seconds are of transcribed audio.

    Cached tokens are among the input tokens (10.1), reasoning tokens among the output tokens. Where a server gives a total
    without its parts, the rest counts as text.
    """

    responses: int = 0
    input_text: int = 0
    input_audio: int = 0
    input_image: int = 0
    cached_text: int = 0
    cached_audio: int = 0
    cached_image: int = 0
    output_text: int = 0
    output_audio: int = 0
    reasoning: int = 0
    transcriptions: int = 0
    transcription_input_text: int = 0
    transcription_input_audio: int = 0
    transcription_output: int = 0
    transcription_s: float = 0.0

    @property
    def input_tokens(self) -> int:
        """All that the model read."""
        return self.input_text + self.input_audio + self.input_image

    @property
    def output_tokens(self) -> int:
        """All that it made."""
        return self.output_text + self.output_audio

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(*(getattr(self, name) + getattr(other, name) for name in Usage.__struct_fields__))


class UsageTotals(Struct, frozen=True):
    """Of the whole session, and of its latest turn: from the user's last message on, its transcription included."""

    session: Usage
    turn: Usage


class Prices(Struct, frozen=True, kw_only=True):
    """Prices per million tokens, in any currency; a cached price that is None is that of other input.

    ``transcription_minute`` is for models that bill by duration.
    """

    input_text: float = 0.0
    input_audio: float = 0.0
    input_image: float = 0.0
    cached_text: float | None = None
    cached_audio: float | None = None
    cached_image: float | None = None
    output_text: float = 0.0
    output_audio: float = 0.0
    transcription_input_text: float = 0.0
    transcription_input_audio: float = 0.0
    transcription_output: float = 0.0
    transcription_minute: float = 0.0


def cost(usage: Usage, prices: Prices) -> float:
    """What this usage costs, in the currency of the prices."""
    tokens = 0.0
    for kind in ("text", "audio", "image"):
        price = getattr(prices, f"input_{kind}")
        cached_price = getattr(prices, f"cached_{kind}")
        cached = getattr(usage, f"cached_{kind}")
        tokens += (getattr(usage, f"input_{kind}") - cached) * price + cached * (price if cached_price is None else cached_price)
    for name in (
        "output_text",
        "output_audio",
        "transcription_input_text",
        "transcription_input_audio",
        "transcription_output",
    ):
        tokens += getattr(usage, name) * getattr(prices, name)
    return tokens / 1_000_000 + usage.transcription_s / 60 * prices.transcription_minute


def response_usage(usage: Mapping[str, Any] | None) -> Usage:
    """The ``usage`` of a ``response.done``, however incomplete; None counts as a response of which nothing is known."""
    given = _object(usage)
    into, out = _details(given, "input"), _details(given, "output")
    cached = _object(into.get("cached_tokens_details"))
    audio_in, image_in, audio_out = _count(into, "audio_tokens"), _count(into, "image_tokens"), _count(out, "audio_tokens")
    text_in = max(_count(into, "text_tokens"), _count(given, "input_tokens") - audio_in - image_in)
    text_out = max(_count(out, "text_tokens"), _count(given, "output_tokens") - audio_out)
    cached_audio, cached_image = _count(cached, "audio_tokens"), _count(cached, "image_tokens")
    cached_text = max(_count(cached, "text_tokens"), _count(into, "cached_tokens") - cached_audio - cached_image)
    return Usage(
        responses=1,
        input_text=text_in,
        input_audio=audio_in,
        input_image=image_in,
        cached_text=min(cached_text, text_in),
        cached_audio=min(cached_audio, audio_in),
        cached_image=min(cached_image, image_in),
        output_text=text_out,
        output_audio=audio_out,
        reasoning=_count(out, "reasoning_tokens"),
    )


def transcription_usage(usage: Mapping[str, Any] | None) -> Usage:
    """The ``usage`` of a transcription: tokens or a duration, by its model (10.2)."""
    given = _object(usage)
    into = _details(given, "input")
    audio = _count(into, "audio_tokens")
    return Usage(
        transcriptions=1,
        transcription_input_text=max(_count(into, "text_tokens"), _count(given, "input_tokens") - audio),
        transcription_input_audio=audio,
        transcription_output=_count(given, "output_tokens"),
        transcription_s=_seconds(given.get("seconds")),
    )


def confidence(logprobs: Iterable[Mapping[str, Any]]) -> float | None:
    """How sure a transcript is, 0 to 1: the geometric mean of its tokens' probabilities. None where none is given."""
    values = [float(value) for each in logprobs if _is_number(value := each.get("logprob"))]
    return exp(min(0.0, sum(values) / len(values))) if values else None


def _details(usage: Mapping[str, Any], side: str) -> Mapping[str, Any]:
    return _object(usage.get(f"{side}_token_details"))


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _count(given: Mapping[str, Any], name: str) -> int:
    value = given.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 1 << 53 else 0


def _seconds(value: object) -> float:
    return float(value) if _is_number(value) and 0 < value < 1 << 53 else 0.0


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
