"""The story of a conversation, one line per event: when, who, what."""

from collections.abc import Mapping
from typing import Any

# What these say, others say as well.
_QUIET = (
    "rate_limits.updated",
    "conversation.created",
    "conversation.item.added",
    "conversation.item.created",
    "conversation.item.done",
    "input_audio_buffer.committed",
)
_QUIET_STEMS = ("response.content_part.", "response.output_item.", "response.output_", "response.audio", "response.text")


class Timeline:
    """Collects lines; times count from the first."""

    def __init__(self) -> None:
        self._lines: list[tuple[float, str, str]] = []

    def tell(self, at: float, who: str, what: str) -> None:
        """One line."""
        self._lines.append((at, who, what))

    def server(self, at: float, event: Mapping[str, Any]) -> None:
        """What the server says, without its sound and its echoes."""
        kind = str(event.get("type"))
        if kind.endswith(".delta") or kind in _QUIET or kind.startswith(_QUIET_STEMS):
            return
        response, error = event.get("response"), event.get("error")
        words = [kind, _named(event)]
        if isinstance(response, dict):
            words += [str(response.get("id") or ""), str(response.get("status") or "")]
        if isinstance(error, dict):
            words.append(f"{error.get('code') or error.get('type')}: {error.get('message')}")
        if "transcript" in event:
            words.append(repr(event["transcript"]))
        self.tell(at, "server", " ".join(word for word in words if word))

    def client(self, at: float, event: Mapping[str, Any]) -> None:
        """What the client says; its microphone is left out by the caller."""
        words = [str(event.get("type")), _named(event)]
        if isinstance(item := event.get("item"), dict):
            words += [str(item.get(key)) for key in ("type", "role", "call_id", "output") if item.get(key)]
            words += [repr(part["text"]) for part in item.get("content") or () if isinstance(part, dict) and part.get("text")]
        self.tell(at, "client", " ".join(word for word in words if word))

    def text(self) -> list[str]:
        """The lines, as they are printed."""
        began = self._lines[0][0] if self._lines else 0.0
        return [f"{at - began:9.3f}  {who:<6}  {what}" for at, who, what in self._lines]


def _named(event: Mapping[str, Any]) -> str:
    words = [str(event[key]) for key in ("item_id", "response_id", "name", "arguments") if event.get(key)]
    if "audio_end_ms" in event:
        words.append(f"{event['audio_end_ms']} ms")
    return " ".join(words)
