"""The nested shape of a session: GA, and what other vendors make of it (protocol facts 2, 13, 14).

What a vendor does differently is a field of ``NestedShape``.
"""

from collections.abc import Mapping
from typing import Any, Literal

from msgspec import Struct

from rtcore._errors import LocalProtocolError
from rtcore._formats import AudioFormat
from rtcore.dialects._base import EFFORTS, PROTOCOL_FORMATS, Wire
from rtcore.dialects._shapes import checked_format, ga_format, ga_item, read_session, refused


class NestedShape(Struct, frozen=True):
    """How one vendor writes the nested shape. The defaults are GA's."""

    name: str
    typed: bool = True
    """Whether a session names its type, without which GA refuses it (2.2)."""
    transcription_sessions: bool = True
    """Whether there are sessions that only transcribe."""
    lifted: frozenset[tuple[str, str]] = frozenset()
    """Fields (side, name) of ``audio`` that stand on top instead."""
    missing: frozenset[str] = frozenset()
    """Options that it has not, by their path."""
    temperature: bool = False
    efforts: tuple[str, ...] = EFFORTS
    """What ``reasoning.effort`` may be."""
    turn_detection: tuple[str, ...] = ("server_vad", "semantic_vad")
    input_formats: tuple[AudioFormat, ...] = PROTOCOL_FORMATS
    output_formats: tuple[AudioFormat, ...] = PROTOCOL_FORMATS
    named_rates: bool = False
    """Whether a format is sent with its rate even where the protocol knows only one."""

    @property
    def kind(self) -> Literal["nested"]:
        """``audio.input...`` stands nested, and the session names its type."""
        return "nested"

    def read_session(self, session: Wire) -> Wire:
        """A session of either generation in GA shape."""
        return read_session(session)

    def render_session(self, session: Wire) -> Wire:
        """The session, with its type where the vendor wants one."""
        kind = session.get("type") or "realtime"
        if kind != "realtime" and not (self.typed and self.transcription_sessions):
            raise refused(f"type = {kind!r}", "it has conversations only; leave it out", self.name)
        return {**({"type": kind} if self.typed else {}), **self._render(session)}

    def render_response(self, response: Wire) -> Wire:
        """The ``response`` object; its input items are rendered as items."""
        items = response.get("input")
        rendered = self._render(response)
        return {**rendered, "input": [self.render_item(item) for item in items]} if items is not None else rendered

    def render_item(self, item: Wire) -> Wire:
        """An item with the part names of GA."""
        return ga_item(item)

    def _render(self, options: Wire) -> Wire:
        if "temperature" in options and not self.temperature:
            since = "it went with the preview, whose end was announced for 2026-05-12; leave it out"
            raise LocalProtocolError(f"temperature: the {self.name} dialect has none: {since}")
        wire: Wire = {}
        for key, value in options.items():
            if key in ("vendor", "type"):
                continue
            if key in self.missing:
                # Sound is what every server of voices answers in.
                if value is not None and not (key == "output_modalities" and list(value) == ["audio"]):
                    raise refused(key, "leave it out", self.name)
            elif key == "reasoning":
                wire[key] = self._reasoning(value)
            elif key == "audio" and isinstance(value, Mapping):
                kept = {}
                for side, fields in value.items():
                    inner = self._side(str(side), fields, wire) if isinstance(fields, Mapping) else fields
                    if inner or not fields:
                        kept[side] = inner
                if kept or not value:
                    wire["audio"] = kept
            else:
                wire[key] = value
        return wire | (options.get("vendor") or {})

    def _reasoning(self, value: object) -> object:
        effort = value.get("effort") if isinstance(value, Mapping) else None
        if effort is not None and effort not in self.efforts:
            raise refused("reasoning.effort", f"it takes {' or '.join(self.efforts)}", self.name)
        return value

    def _side(self, side: str, fields: Mapping[str, Any], top: Wire) -> Wire:
        kept: Wire = {}
        for key, value in fields.items():
            path = f"audio.{side}.{key}"
            if path in self.missing:
                if value is not None:
                    raise refused(path, "leave it out", self.name)
                continue
            if key == "format":
                known = self.input_formats if side == "input" else self.output_formats
                form = checked_format(value, known, path, self.name)
                value = {"type": form.type, "rate": form.rate} if self.named_rates else ga_format(form)  # noqa: PLW2901
            elif key == "turn_detection" and isinstance(value, Mapping) and value.get("type") not in self.turn_detection:
                kinds = " or ".join(self.turn_detection)
                raise refused(f"{path}.type = {value.get('type')!r}", f"use {kinds}, or None for manual turns", self.name)
            if (side, key) in self.lifted:
                top[key] = value
            else:
                kept[key] = value
        return kept
