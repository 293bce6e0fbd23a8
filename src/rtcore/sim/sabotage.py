"""Cores that are wrong on purpose, to show that the auditor would notice.

Each is the real session with one thing changed on its way out. A campaign over one of them must break an invariant; if it does
not, the auditor is blind.
"""

from abc import ABC, abstractmethod
from typing import Any, Literal, TypeGuard

import msgspec

from rtcore._clock import Clock
from rtcore._effects import Effect, Play, Send
from rtcore._session import Issued, Session
from rtcore.config import Config
from rtcore.sim.world import SessionFactory

_TRUNCATE = b'{"type":"conversation.item.truncate"'
_DELETE = b'{"type":"conversation.item.delete"'


class _Sabotaged(Session, ABC):
    """Passes the effects of every input that can settle an interruption through ``change``."""

    @abstractmethod
    def change(self, effects: list[Effect]) -> list[Effect]:
        """What is made of the real effects."""

    def receive(self, connection: int, payload: bytes, *, now: float) -> list[Effect]:
        return self.change(super().receive(connection, payload, now=now))

    def played(self, generation: int, samples: int, *, now: float) -> list[Effect]:
        return self.change(super().played(generation, samples, now=now))

    def flushed(self, generation: int, samples: int, *, now: float) -> list[Effect]:
        return self.change(super().flushed(generation, samples, now=now))

    def tick(self, *, now: float) -> list[Effect]:
        return self.change(super().tick(now=now))

    def speech(self, event: Literal["started", "stopped"], *, now: float) -> list[Effect]:
        return self.change(super().speech(event, now=now))

    def interrupt(self, response: str | None = None, *, now: float) -> list[Effect]:
        return self.change(super().interrupt(response, now=now))

    def send_text(self, text: str, *, interrupt: bool = True, respond: bool = True, now: float) -> Issued:
        issued = super().send_text(text, interrupt=interrupt, respond=respond, now=now)
        return Issued(issued.request, self.change(issued.effects))


class _OneMillisecondTooMuch(_Sabotaged):
    """Tells the server one more millisecond than was heard."""

    def change(self, effects: list[Effect]) -> list[Effect]:
        return [_with_ms(effect, 1) if _is(effect, _TRUNCATE) else effect for effect in effects]


class _NoDeletes(_Sabotaged):
    """Never deletes what nobody heard."""

    def change(self, effects: list[Effect]) -> list[Effect]:
        return [effect for effect in effects if not _is(effect, _DELETE)]


class _CumulativePositions(_Sabotaged):
    """Counts the heard milliseconds from the start of the generation, not of the item (behaviour C03, F024)."""

    def __init__(self, config: Config | None = None, *, clock: Clock | None = None, seed: int = 0) -> None:
        super().__init__(config, clock=clock, seed=seed)
        self._generation = 0
        self._items: dict[str, int] = {}
        self._handed = 0

    def receive(self, connection: int, payload: bytes, *, now: float) -> list[Effect]:
        effects = super().receive(connection, payload, now=now)
        if b'audio.delta"' in payload[:60]:
            item_id = msgspec.json.decode(payload)["item_id"]
            self._items.setdefault(item_id, self._handed)
        for effect in effects:
            if isinstance(effect, Play):
                if effect.generation != self._generation:
                    self._generation, self._handed = effect.generation, 0
                    self._items.clear()
                self._handed += self.output_format.ms(len(effect.pcm) // self.output_format.sample_width)
        return effects

    def change(self, effects: list[Effect]) -> list[Effect]:
        return [self._shifted(effect) if _is(effect, _TRUNCATE) else effect for effect in effects]

    def _shifted(self, effect: Send) -> Send:
        return _with_ms(effect, self._items.get(_read(effect)["item_id"], 0))


def _is(effect: Effect, kind: bytes) -> TypeGuard[Send]:
    return isinstance(effect, Send) and effect.payload.startswith(kind)


def _read(effect: Send) -> dict[str, Any]:
    event: dict[str, Any] = msgspec.json.decode(effect.payload)
    return event


def _with_ms(effect: Send, more: int) -> Send:
    event = _read(effect)
    event["audio_end_ms"] += more
    return Send(effect.connection, msgspec.json.encode(event), effect.lane)


SABOTAGED: dict[str, SessionFactory] = {
    "a millisecond too much": _OneMillisecondTooMuch,
    "no deletes": _NoDeletes,
    "cumulative positions": _CumulativePositions,
}
"""Session factories by what is wrong with them."""
