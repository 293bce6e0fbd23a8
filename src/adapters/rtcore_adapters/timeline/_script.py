"""The viewer's script: its files in one, and data beside it that no text can break out of."""

import base64
import hashlib
from collections.abc import Sequence
from importlib import resources
from typing import Any

import msgspec

from rtcore_adapters.timeline._explained import explained
from rtcore_adapters.timeline._lanes import LANES, Event, Line, Message, Spans, Timeline

_FILES = (
    *("model.js", "window.js", "colours.js", "paint.js", "sound.js", "hit.js"),
    *("strip.js", "explain.js", "moment.js", "list.js", "input.js", "main.js"),
)
"""In this order."""
_LANES = {name: index for index, name in enumerate(LANES)}
_SAFE = {ord("<"): "\\u003c", ord(">"): "\\u003e", ord("&"): "\\u0026", 0x2028: "\\u2028", 0x2029: "\\u2029"}
"""Within a JSON string these are the same characters, and within HTML they can neither end the script nor begin a comment."""


def script() -> str:
    """All of it, as one function that leaves nothing behind in the page."""
    return "(() => {\n'use strict';\n" + "\n".join(read(f"viewer/{name}") for name in _FILES) + "})();\n"


def fingerprint(text: str) -> str:
    """By what a content security policy lets this script run, and no other."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def embedded(timelines: Sequence[Timeline], align: str) -> str:
    """The timelines as JSON that can stand in a ``script`` element."""
    kinds = dict.fromkeys(event.kind for it in timelines for event in it.events)
    whole = {
        "lanes": [[name, *words] for name, words in LANES.items()],
        "align": align,
        "kinds": list(kinds),
        "explained": [explained(kind) for kind in kinds],
        "recordings": [_recording(it, {kind: index for index, kind in enumerate(kinds)}) for it in timelines],
    }
    return msgspec.json.encode(whole).decode().translate(_SAFE)


def read(name: str) -> str:
    """A file of this package."""
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _recording(it: Timeline, kinds: dict[str, int]) -> dict[str, Any]:
    """Times are seconds from the recording's beginning; what repeats is named by its place in a list."""
    items = {item: index for index, item in enumerate(dict.fromkeys([*it.messages, *it.received]))}

    def time(at: float | None) -> float | None:
        return None if at is None else round(at - it.begin, 4)

    def message(of: Message) -> list[Any]:
        times = [time(of.begin), time(of.end)]
        return [items[of.item], *times, of.verdict, of.heard_ms, of.received_ms, of.text, of.full_text]

    def event(of: Event) -> list[Any]:
        times = [time(of.at), time(of.end)]
        return [*times, _LANES[of.lane], kinds[of.kind], of.label, of.text, of.tone, items.get(of.message, -1)]

    def line(of: Line) -> list[list[Any]]:
        return [[time(at), round(ms, 1)] for at, ms in of.points]

    def spans(of: Spans) -> list[list[Any]]:
        return [[time(span.begin), time(span.end)] for span in of.found]

    return {
        "name": it.name,
        "facts": it.facts,
        "length": time(it.end),
        "items": list(items),
        "messages": [message(each) for each in it.messages.values()],
        "events": [event(each) for each in it.events],
        "received": [[items[item], line(each)] for item, each in it.received.items()],
        "heard": line(it.heard),
        "sounding": spans(it.sounding),
        "microphone": spans(it.microphone),
    }
