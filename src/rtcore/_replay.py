"""History as what can be said again: items as text for a session that knows nothing, one message that sums them up.

Only what was heard or said is told (B21). Nothing here sends anything; the owner of the new session does (``_continuity``).
"""

from collections.abc import Callable, Container, Iterable
from typing import Any

from msgspec import Struct

from rtcore._items import Item
from rtcore._notices import Verdict

GONE = "[An image was shown here. It is not shown again.]"
"""Stands for a picture that cannot be shown again."""
SOUND = "[Said here without a transcript. Its sound follows this summary.]"
"""Stands in a summary for a turn of the user's that only its sound can tell: its place would be lost otherwise."""
SUMMARY = 16_000
"""Characters of a summary at most; of a longer one the end is kept, because what came last matters most."""
_SPEAKERS = {"user": "User", "assistant": "Assistant", "system": "Note"}
_FOREIGN = {
    "mcp_list_tools": "each session asks remote servers for their tools itself",
    "mcp_call": "a call of a remote tool cannot be created by a client",
    "mcp_approval_request": "a request for approval belongs to the session that made it",
    "mcp_approval_response": "an approval belongs to the session that asked for it",
}


def rendered(item: Item, audio: list[bytes] | None = None, shown: dict[str, Any] | None = None) -> dict[str, Any] | str | None:
    """The item as ``conversation.item.create`` says it, without an id; a reason why it cannot be said; or None: it says nothing.

    ``audio`` is that of a turn of the user's whose words are not known, ``shown`` a message with pictures as it was sent.
    """
    if shown is not None:
        return {name: value for name, value in shown.items() if name != "id"}
    if item.type == "message":
        return _message(item, audio)
    if item.type == "function_call":
        return {"type": item.type, "call_id": item.call_id, "name": item.name, "arguments": item.arguments or "{}"}
    if item.type == "function_call_output":
        return {"type": item.type, "call_id": item.call_id, "output": item.output or ""}
    return _FOREIGN.get(item.type, f"items of the type {item.type} are not known here")


def _message(item: Item, audio: list[bytes] | None) -> dict[str, Any] | str | None:
    words = item.texts
    if item.role != "user":
        if not words:
            return None
        kind = "output_text" if item.role == "assistant" else "input_text"
        content = [{"type": kind, "text": text} for text in words]
        message = {"type": "message", "role": item.role or "assistant", "content": content}
        if item.verdict is Verdict.PARTIAL:
            message["status"] = "incomplete"
        return message
    if audio and by_sound(item):
        return {"type": "message", "role": "user", "content": [{"type": "input_audio", "audio": b"".join(audio)}]}
    if words or item.images:
        content = [{"type": "input_text", "text": each} for each in [*words, *[GONE] * item.images]]
        return {"type": "message", "role": "user", "content": content}
    if any(part.final for part in item.parts.values()):
        return "the user's words are not known: the transcript of them is empty"
    return "the user's words are not known: no transcript of them came; set audio.input.transcription"


def by_sound(item: Item) -> bool:
    """Whether a turn of the user's is told by its sound, where that is kept: its words are not there, or not all of them. Words
    that have only begun may turn out to say anything."""
    texts = [part for part in item.parts.values() if part.text.strip()]
    return not item.images and not (texts and all(part.final for part in texts))


def unsaid(item: Item) -> str | None:
    """What the words that are told of a message leave out; None: nothing."""
    parts = item.parts.values()
    if item.role != "user":
        return None
    if any(part.text and not part.final for part in parts):
        return "only the beginning of the user's words is known: the rest of the transcript did not come"
    sound = any(part.kind == "other" and not part.text for part in parts)  # no text and no picture
    return "only its text is told: the sound beside that is not kept" if sound else None


class Summary(Struct, frozen=True):
    """A conversation as one ``text``, empty where there is nothing to tell; ``told`` are the ids of the items that it speaks for.
    ``cut``: the latest of them that is not in it whole, because it would have been too long."""

    text: str
    told: frozenset[str]
    cut: str


def summed_up(
    items: Iterable[Item], outputs: dict[str, str], text_of: Callable[[str], str | None], sounds: Container[str]
) -> Summary:
    """The conversation as one text, a line for each thing that was said, called or answered.

    ``outputs`` are those of calls, by ``call_id``; ``text_of`` gives the text of a message with pictures, by its id; ``sounds``
    are the turns that are told behind it, by their sound.
    """
    lines: list[tuple[str, str]] = []
    told: set[str] = set()
    for item in items:
        text = (text_of(item.id) or " ".join([item.text_so_far, *[GONE] * item.images])).strip()
        if item.type == "message" and item.id in sounds:
            lines.append((item.id, f"{_SPEAKERS['user']}: {SOUND}"))
        elif item.type == "message" and text:
            cut = " (interrupted)" if item.verdict is Verdict.PARTIAL else ""
            lines.append((item.id, f"{_SPEAKERS.get(item.role or 'assistant', 'Note')}: {text}{cut}"))
            told.add(item.id)
        elif item.type == "function_call" and item.call_id in outputs:
            lines.append((item.id, f"Tool {item.name}({item.arguments or ''}) answered: {outputs[item.call_id]}"))
            told.add(item.id)
    if not told:
        return Summary("", frozenset(), "")
    text = "\n".join(line for _, line in lines)
    missing = len(text) - SUMMARY
    left_out = ""
    if missing > 0:
        text = "..." + text[-SUMMARY:]
        for item_id, line in lines:
            if missing <= 0:
                break
            left_out = item_id
            missing -= len(line) + 1
    text = f"This conversation goes on from an earlier connection. What was said so far, as it was heard:\n{text}"
    return Summary(text, frozenset(told), left_out)
