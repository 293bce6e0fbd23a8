"""Invariant 13 at a world's quiet end: the session keeps the conversation and a few bounded memories, and nothing else.

What is not in the tables below must be empty then: no sound, no live response, no open request, nothing of what has ended.
"""

from collections.abc import Sequence
from typing import Protocol

from rtcore._items import HistoryItem
from rtcore.sim._ledger import Ledger
from rtcore.sim.footprint import Footprint, footprint

SETTINGS = ("asked", "session")
"""What was asked for and acknowledged: as large as the configuration."""
CONVERSATION = ("history._items", "history._order")
"""As large as the conversation."""
BOUNDED: dict[str, int] = {
    "history._tombstones": 1024,
    "history._shelved": 256,
    "responses._ended": 256,
    "interruption._orphans": 256,
    "barge_in._speech.owed": 16,
    "barge_in._speech.spelt": 16,
    "barge_in._speech.words": 16,
    "creation._expired": 64,
    "creation._passed_for": 64,
    "creation._late": 64,
    "edits._aliases": 1024,
    "creation._items": 8,
    "creation._reserved": 1,
    "turns.early_words": 64,
    "turns._committed": 64,
    "turns._owed": 64,
    "accounts._transcribed": 64,
    "continuity._asides": 64,
    "remote._began": 64,
    "remote._cleared": 64,
    "remote._silenced": 64,
    "remote._stopped": 64,
    "remote._truncated": 64,
    "requests._pending": 8,
    "timers._armed": 16,
    "tools._settled": 64,
    "tools._offered": 64,
    "reports._turns": 8,
    "voice._cut": 16,
}
"""Memories with a bound of their own: ids whose late news must be recognised, and what is given up at a deadline."""
SILENT = 8
"""So many responses that were cut, whose end was never told, are remembered for what a line that stood still may yet bring."""
_OF_SILENT = ("responses._silent", "responses.live", "responses.items", "responses.segments")
_PER_ITEM = 16
"""So many entries an item of the conversation may cost: its parts, their texts, what was told to the server of it, and those of
its response."""
_CARRY = ".segment.carry"
"""Half a sample that a segment ended with."""


class Held(Protocol):
    """A session of which the conversation can be read."""

    @property
    def history(self) -> tuple[HistoryItem, ...]:
        """The conversation."""


def check_memory(session: Held, ledger: Ledger, conversation: Sequence[str], *, untold: int = 0) -> None:
    """The session is quiet: what does it still hold? ``conversation`` are the ids that were announced and not deleted,
    ``untold`` is how many responses have ended without a word.
    """
    core = getattr(session, "_core", None)
    if core is None:
        return  # not a session whose inside can be looked at
    found = footprint(core)
    sound = sum(count for place, count in found.audio.items() if not place.endswith(_CARRY))
    if sound:
        places = ", ".join(place for place in found.audio if not place.endswith(_CARRY))
        ledger.fail(13, f"{sound} bytes of sound are held although everything is over: {places}")
    items = len(conversation)
    known = {item.id for item in session.history}
    if len(known) != items or not known.issuperset(conversation):
        ledger.fail(13, f"the history has {len(known)} items, the conversation {items}")
    kept = found.entries.get("history._items", 0) - found.entries.get("history._shelved", 0)
    # Items that were never announced, of responses whose end was never told, may still come to be.
    unborn = [each.id for ended in core.responses._silent.values() for each in ended.items.values() if not each.announced]
    if not items <= kept <= items + len(unborn):
        ledger.fail(13, f"{kept} items are kept of a conversation of {items}")
    below = found.under("history._items[]")
    if below > _PER_ITEM * max(items + found.entries.get("history._shelved", 0), 4):
        ledger.fail(13, f"the {items} items of the history hold {below} entries")
    for place, most in BOUNDED.items():
        if found.entries.get(place, 0) > most:
            ledger.fail(13, f"{place} holds {found.entries[place]} entries, {most} at most")
    silent = of_silent(found, untold)
    for place, count in found.without(*SETTINGS, *CONVERSATION, *BOUNDED, *silent).items():
        ledger.fail(13, f"{place} still holds {count} entries although everything is over")


def of_silent(found: Footprint, untold: int) -> tuple[str, ...]:
    """Where responses whose end was never told are remembered, if no other is there, and not too many."""
    silent = found.entries.get("responses._silent", 0)
    items = found.entries.get("responses.items", 0)
    few = silent == found.entries.get("responses.live", 0) <= min(untold, SILENT)
    return _OF_SILENT if few and found.under(*_OF_SILENT) <= _PER_ITEM * (silent + items) else ()
