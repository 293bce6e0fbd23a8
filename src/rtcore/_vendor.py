"""What among a vendor's own options (``session.vendor``) is none of them: options of rtcore's, by whatever name.

Said that way an option would pass without its bounds, a turn detection could be sent in part (F122), and what the core derives
from the options would not hold. A few vendors can say more of an option than it has; that alone is their own
(``Dialect.own_forms``).
"""

from collections.abc import Iterator, Mapping
from typing import Any

from rtcore._errors import LocalProtocolError
from rtcore.dialects import DIALECTS, FLAT_NAMES

OPTIONS = frozenset(
    {
        "instructions",
        "output_modalities",
        "tools",
        "tool_choice",
        "max_output_tokens",
        "prompt",
        "reasoning",
        "parallel_tool_calls",
        "temperature",
        "tracing",
        "include",
        "truncation",
        "audio.input.format",
        "audio.input.turn_detection",
        "audio.input.transcription",
        "audio.input.noise_reduction",
        "audio.output.format",
        "audio.output.voice",
        "audio.output.speed",
    }
)
"""The options of a session by their paths."""

SOMEWHERE = frozenset(path for table in DIALECTS.values() for path in table.own_forms)
"""Options of which some vendor can say more."""

_DETECTED = frozenset({"threshold", "prefix_padding_ms", "silence_duration_ms", "create_response", "interrupt_response"})
_WHOLE: Mapping[str, frozenset[str]] = {
    "server_vad": _DETECTED,
    "azure_semantic_vad": _DETECTED,
    "semantic_vad": frozenset({"eagerness", "create_response", "interrupt_response"}),
}
"""What a turn detection of a known type is not sent without (F122)."""
_FIELDS: Mapping[str, frozenset[str]] = {
    "audio.output.voice": frozenset({"type", "name", "id"}),
    "audio.input.turn_detection": _DETECTED
    | {"type", "idle_timeout_ms", "eagerness", "remove_filler_words", "end_of_utterance_detection"},
    "audio.input.transcription": frozenset({"model", "language", "prompt", "languages", "keywords", "delay"}),
    "audio.input.noise_reduction": frozenset({"type", "strength"}),
}
"""What an option has."""
TYPES: Mapping[str, frozenset[str]] = {
    "audio.output.voice": frozenset({"openai", "azure-standard"}),
    "audio.input.turn_detection": frozenset(_WHOLE),
    "audio.input.noise_reduction": frozenset({"near_field", "far_field"}),
}
""".. and can be."""


def check_names(vendor: Mapping[str, Any], own_forms: frozenset[str]) -> None:
    """Raise ``LocalProtocolError`` for what is an option, with its name, unless it is a form that is the vendor's alone."""
    for name in sorted(vendor):
        for where, path, value in _options(name, vendor[name]):
            if path not in own_forms or not _is_own(path, value):
                raise LocalProtocolError(f"vendor.{where}: is not the vendor's own, it is an option; set session.{path}")


def _options(name: str, value: object) -> Iterator[tuple[str, str, object]]:
    """Where an option stands, which one it is, and what is said of it."""
    if name != "audio":
        path = FLAT_NAMES.get(name, name)
        if path in OPTIONS:
            yield name, path, value
        return
    sides = value if isinstance(value, Mapping) else {}
    if not sides:
        yield name, name, value
    for side in ("input", "output"):
        fields = sides.get(side, {})
        if not isinstance(fields, Mapping):
            yield f"audio.{side}", f"audio.{side}", fields
            continue
        for key, inner in fields.items():
            path = f"audio.{side}.{key}"
            if path in OPTIONS:
                yield path, path, inner


def _is_own(path: str, value: object) -> bool:
    """Whether it says what the option cannot: a type, or a field, that the option has not."""
    if not isinstance(value, Mapping):
        return False
    kind = value.get("type")
    if path in TYPES and isinstance(kind, str) and kind not in TYPES[path]:
        return True
    more = any(key not in _FIELDS[path] for key in value)
    return more and (path != "audio.input.turn_detection" or _WHOLE.get(str(kind), _DETECTED) <= value.keys())
