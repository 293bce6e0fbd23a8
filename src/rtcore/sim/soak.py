"""Eight hours in one session: does anything grow that should not (invariant 13)?

A world like any other, only long, with the auditor on; or a call on lines that drop (``rtcore.sim.lines``). While it runs, the
session's containers, and the sound that it holds, are counted every few seconds, and every hour gets, for each place, the least
and the most of its counts. What leaks lifts the least; what is merely busy does not. The history is told apart: it has to grow,
by exactly the conversation's items.
"""

from collections.abc import Mapping, Sequence

from msgspec import Struct, field, structs

from rtcore._clock import Clock
from rtcore._effects import Effect
from rtcore._microphone import TURN_MS
from rtcore._session import Session
from rtcore.config import Config
from rtcore.sim._audit_memory import BOUNDED, CONVERSATION, SETTINGS
from rtcore.sim.footprint import footprint
from rtcore.sim.results import WorldResult
from rtcore.sim.scenario import scenario_of
from rtcore.sim.voices import Voice
from rtcore.sim.world import World

_HOUR = 3_600.0
_SECOND = 1_000_000_000
_TURNS = 4_000
"""Interruptions that are drawn for each hour: more than there is time for."""
_EVERY_S = 15.0
"""So often the session's containers are counted, in seconds of virtual time."""
_SOUND = ("playout.generation.runs", "playout._replay", "microphone._sent")
"""Where sound waits to be heard, or to be said again."""
_BYTES = "bytes of "
"""Stands before a place whose sound is counted."""
_MOMENT = {True: 48_000, False: 64}
"""A second of sound, in bytes and in pieces: what sound waits for is never the same."""
_UNWRITTEN = {"continuity._audio": 2, "continuity._audio[]": 2 * TURN_MS, f"{_BYTES}continuity._audio[][]": 2 * TURN_MS * 48}
"""The user's last two turns whose words have not come, as they sounded: in pieces of no less than 1 ms."""
_TOLD = ("creation._items", "requests._pending", "history._replayed", "history._unconfirmed")
"""As large as what a new session is told, while it is told."""
_EACH = 16
"""So many entries may hang on one of a memory that has a bound of its own: the calls that a request is for, for one."""


class Hour(Struct):
    """One hour's counts: the least and the most of each place outside the history, and the history at its end."""

    least: dict[str, int] = field(default_factory=dict)
    most: dict[str, int] = field(default_factory=dict)
    samples: int = 0
    items: int = 0
    """Items of the conversation at the hour's end."""
    history_entries: int = 0
    """Entries that they hold, at the hour's end."""

    def count(self, entries: Mapping[str, int]) -> None:
        """One more count of everything, by its place."""
        self.samples += 1
        for place in self.least.keys() | entries.keys():
            count = entries.get(place, 0)
            # A place that was empty until now has the least of 0 from the hour's beginning on.
            before = self.least.get(place, 0 if self.samples > 1 else count)
            self.least[place] = min(before, count)
            self.most[place] = max(self.most.get(place, 0), count)


class Soak(Struct):
    """What eight hours showed."""

    result: WorldResult
    hours: list[Hour]
    problems: list[str]
    """What grew; empty if nothing did."""


class Counted(Session):
    """A session that counts what it holds as its time passes."""

    hour_s = _HOUR
    every_s = _EVERY_S

    def __init__(self, config: Config, /, *, clock: Clock, seed: int) -> None:
        super().__init__(config, clock=clock, seed=seed)
        self.hours: list[Hour] = []
        self._next = self.every_s

    def receive(self, connection: int, payload: bytes, *, now: float) -> list[Effect]:
        """As ever, and a count when one is due."""
        if now >= self._next:
            self._count(now)
        return super().receive(connection, payload, now=now)

    def _count(self, now: float) -> None:
        self._next = now + self.every_s
        while now >= len(self.hours) * self.hour_s:
            if self.hours:
                self.close_hour()
            self.hours.append(Hour())
        found = footprint(self._core, without=(*SETTINGS, *CONVERSATION))
        self.hours[-1].count(found.entries | {f"{_BYTES}{place}": count for place, count in found.audio.items()})

    def close_hour(self) -> None:
        """The history, once an hour: walking it takes as long as it is."""
        hour = self.hours[-1]
        hour.items = len(self.history)
        hour.history_entries = footprint(self._core).under(*CONVERSATION)


class _Long(World):
    """A world that ends with the time, not with the turns."""

    until: int = 0

    def _converse(self) -> None:
        self._go_on(lambda: self.user.done, self.until)


def soak(seed: int, hours: int, voices: Sequence[Voice] | None = None, *, session_factory: type[Counted] = Counted) -> Soak:
    """Run one session for so many hours of virtual time and compare its hours. At the end it has to answer once more (15)."""
    drawn = scenario_of(seed)
    server = structs.replace(drawn.server, session_s=(hours + 2) * 3_600)
    scenario = structs.replace(drawn, server=server, loss=None, hang_up_turn=None, interruptions=hours * _TURNS)
    sessions: list[Counted] = []

    def factory(config: Config, /, *, clock: Clock, seed: int) -> Session:
        sessions.append(session_factory(config, clock=clock, seed=seed))
        return sessions[0]

    world = _Long(seed, voices, scenario=scenario, session_factory=factory)
    world.until = hours * 3_600 * _SECOND
    result = world.run()
    session = sessions[0]
    session.close_hour()
    found = problems(session.hours[:hours])
    if result.simulated_ms < hours * 3_600_000:
        found.append(f"the conversation was over after {result.simulated_ms / 3_600_000:.1f} hours")
    return Soak(result, session.hours[:hours], found)


def problems(hours: Sequence[Hour], *, told: int = 0) -> list[str]:
    """What the last hour holds more of than an early one; the first is left out, because memories fill up in it.

    ``told``: so many items are told to each new session, where there are any.
    """
    if len(hours) < 3:
        return [f"only {len(hours)} hours: nothing to compare"]
    early, late = hours[1], hours[-1]
    found = leaks(hours, told=told)
    for place, held in sorted(late.most.items()):
        if bound_of(place, told) is not None or place.startswith((_BYTES, *_SOUND)):
            continue  # sound is as long as the longest answer that was heard in that hour; what it never falls below was compared
        most = max(early.most.get(place, 0), hours[2].most.get(place, 0))
        if held > 2 * most + 16:
            found.append(f"{place} held up to {held} entries in hour {len(hours)}, {most} in hours 2 and 3")
    per_item = [hour.history_entries / hour.items for hour in (early, late) if hour.items]
    if len(per_item) == 2 and per_item[1] > 1.2 * per_item[0]:
        found.append(f"an item of the history cost {per_item[1]:.2f} entries at the end, {per_item[0]:.2f} at the beginning")
    return found


def leaks(hours: Sequence[Hour], *, told: int = 0) -> list[str]:
    """What is held beyond its bound, or, where it has none, never fell as low in the last hour as in the second."""
    early, late = hours[1], hours[-1]
    found = []
    for place, held in sorted(late.most.items()):
        most, before, after = bound_of(place, told), early.least.get(place, 0), late.least.get(place, 0)
        waits = place.removeprefix(_BYTES).startswith(_SOUND)
        if most is None and after > (2 * before + _MOMENT[place.startswith(_BYTES)] if waits else before):
            found.append(f"{place} never held less than {after} entries in hour {len(hours)}, {before} in hour 2")
        elif most is not None and held > most:
            found.append(f"{place} held {held} entries, {most} at most")
    return found


def bound_of(place: str, told: int = 0) -> int | None:
    """How many entries a memory with a bound, or what hangs on one, may have."""
    if told and place in _TOLD:
        return told + BOUNDED.get(place, 8)
    if place in BOUNDED or place in _UNWRITTEN:
        return BOUNDED.get(place) or _UNWRITTEN[place]
    memory = next((name for name in BOUNDED if place.startswith((f"{name}.", f"{name}["))), None)
    return None if memory is None else _EACH * BOUNDED[memory]
