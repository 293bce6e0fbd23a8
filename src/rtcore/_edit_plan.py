"""What an edit of the program's comes to: from a wanted history, against the one that stands, to as few events as can be.

Ids decide first: an entry that names an item that stands is that item. What has no id is the same as an item that says the same.
What is being said, heard or answered stays, whatever is wanted; so does half a pair of call and output, and what the program had
not seen when it made its list (F067).
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from msgspec import Struct

from rtcore._core import Core
from rtcore._items import Item, joined
from rtcore._notices import Problem
from rtcore._sync import staying


class Entry(NamedTuple):
    """One item of a wanted history: an id, a body (GA shape), or both."""

    id: str | None
    body: dict[str, Any] | None = None


class Plan(Struct):
    """What is to be sent: deletes, then items with the one that each stands behind ("root": none)."""

    deletes: list[str] = []
    creates: list[tuple[dict[str, Any], str, str]] = []
    forgotten: list[str] = []
    """Items that no server holds any more, and that the program does not want either."""
    stayed: list[str] = []
    """Items that are not where, or what, they were to be."""
    unknown: list[str] = []
    aliases: dict[str, str] = {}
    problem: Problem | None = None


class Planner:
    """Makes plans against the conversation as it stands."""

    def __init__(self, core: Core, resolve: Callable[[str], str]) -> None:
        """``resolve`` gives the id by which an item goes now."""
        self._core = core
        self._resolve = resolve

    def synchronised(self, entries: Sequence[Entry], base: frozenset[str]) -> Plan:
        core = self._core
        base = frozenset(self._resolve(item_id) for item_id in base)
        standing = [item for item in core.history if self._stands(item)]
        place = {item.id: at for at, item in enumerate(standing)}
        plan = Plan()
        wanted: list[tuple[Entry, str | None]] = []
        """What is wanted, each with the id of the item that it names, where that stands."""
        named: set[str] = set()
        for entry in entries:
            found = self._resolve(entry.id) if entry.id is not None else None
            if found in named:
                continue  # an item stands in one place
            if found is not None and found not in place:
                gone = core.history.is_deleted(found) or core.creation.knows(found) or core.history.get(found) is not None
                if entry.body is None or gone:
                    # Deleted since the list was made, or on its way; what is gone is not brought back.
                    plan.unknown += [] if gone else [str(entry.id)]
                    continue
            if found is not None:
                named.add(found)
            wanted.append((entry, found if found in place else None))
        same: dict[tuple[object, ...], list[int]] = {}
        for at, item in enumerate(standing):
            if item.id not in named and item.id in base:
                for signature in _signatures(item):
                    same.setdefault(signature, []).append(at)
        candidates = [self._places(entry, found, place, standing, same) for entry, found in wanted]
        pinned = self._pinned(standing, named)
        heavy = [item.id in pinned or _body(item) is None for item in standing]
        stays = staying(candidates, heavy)
        kept = {standing[at].id for at in stays.values()}
        left = "root"
        for index, (entry, found) in enumerate(wanted):
            if index in stays:
                left = standing[stays[index]].id
                continue
            old = core.history.get(found) if found is not None else None
            body = entry.body if old is None or not candidates[index] else _body(old)
            if old is not None and (old.id in pinned or body is None):
                plan.stayed.append(old.id)
                kept.add(old.id)
                continue
            assert body is not None  # an entry without a body names an item that stands
            if old is None and body.get("type") == "function_call_output" and core.tools.holds(str(body.get("call_id"))):
                plan.stayed.append(entry.id or str(body.get("call_id")))  # tool_result() answers it
                continue
            chosen = body.get("id")
            fresh = old is None and isinstance(chosen, str) and not core.history.is_deleted(chosen)
            item_id = chosen if fresh and isinstance(chosen, str) else core.requests.item_id()
            plan.creates.append((body, item_id, left))
            if old is not None:
                plan.aliases[old.id] = item_id
            left = item_id
        lost = [item.id for item in core.history if item.line != core.history.line]
        wants = {self._resolve(entry.id) for entry in entries if entry.id is not None}
        plan.forgotten += [item_id for item_id in lost if item_id in base and item_id not in wants]
        for item in standing:
            if item.id in kept or not (item.id in base or item.id in named):
                continue  # newer than the program's list: it is not the program's to delete (F067)
            if core.continuity.sums_up(item.id):
                continue  # it tells what else stands in the history, and is told anew where some of that goes
            if item.id in pinned:
                plan.stayed.append(item.id)
            else:
                plan.deletes.append(item.id)
        return plan

    def _places(
        self,
        entry: Entry,
        found: str | None,
        place: dict[str, int],
        standing: list[Item],
        same: dict[tuple[object, ...], list[int]],
    ) -> list[int]:
        """Where the wanted entry stands already, if it does."""
        if found is not None:
            item = standing[place[found]]
            return [place[found]] if entry.body is None or _unchanged(item, entry.body) else []
        if entry.id is not None or entry.body is None:
            return []
        signature = _signature(entry.body)
        return same.get(signature, []) if signature is not None else []

    def _pinned(self, standing: list[Item], named: set[str]) -> set[str]:
        """What is not deleted, whatever the program says: what is being said or heard, calls that run, and half a pair."""
        core = self._core
        pinned = {item.id for item in standing if _is_live(item) or core.tools.pins(item.id)}
        pairs: dict[str, list[Item]] = {}
        for item in standing:
            if item.call_id is not None and item.type in ("function_call", "function_call_output"):
                pairs.setdefault(item.call_id, []).append(item)
        for pair in pairs.values():
            if any(item.id in named or item.id in pinned for item in pair):
                pinned.update(item.id for item in pair if item.id not in named)
        return pinned

    def replaced(self, item_id: str, body: dict[str, Any]) -> Plan:
        item = self._found(item_id)
        if item is None:
            return Plan(problem=unknown_item(item_id))
        if _unchanged(item, body) and _signature(body) in _signatures(item):
            return Plan()
        if item.id in self._pinned([item], set()):
            return Plan(problem=_busy(item_id))
        fresh = self._core.requests.item_id()
        behind = self._behind(item)
        return Plan(deletes=[item.id], creates=[(body, fresh, behind)], aliases={item.id: fresh})

    def moved(self, item_id: str, behind: str | None) -> Plan:
        core = self._core
        item = self._found(item_id)
        if item is None:
            return Plan(problem=unknown_item(item_id))
        order = [each.id for each in core.history if self._stands(each) and each.id != item.id]
        target = "root" if behind == "root" or (behind is None and not order) else order[-1] if behind is None else None
        if target is None and behind is not None:
            named = self._resolve(behind)
            stands = core.history.standing(named) if core.history.is_deleted(named) or core.history.get(named) else None
            if stands is None or (stands != "root" and stands not in order and stands != item.id):
                return Plan(problem=unknown_item(behind))
            target = stands
        if target == item.id or target == self._behind(item):
            return Plan()
        body = _body(item)
        if body is None or item.id in self._pinned([item], set()):
            return Plan(problem=_busy(item_id))
        fresh = core.requests.item_id()
        return Plan(deletes=[item.id], creates=[(body, fresh, target or "root")], aliases={item.id: fresh})

    def _found(self, item_id: str) -> Item | None:
        item = self._core.history.get(self._resolve(item_id))
        return item if item is not None and item.announced and self._stands(item) else None

    def _stands(self, item: Item) -> bool:
        """Whether the server's session holds it, and keeps it so far."""
        return not item.delete_sent and item.line == self._core.history.line

    def _behind(self, item: Item) -> str:
        """The item that stands before this one and stays, or "root"."""
        before = "root"
        for each in self._core.history:
            if each.id == item.id:
                break
            if self._stands(each):
                before = each.id
        return before


def _is_live(item: Item) -> bool:
    """The model is still saying it, or the user is still hearing it."""
    response = item.response
    if response is None:
        return False
    return not response.done or (item.type == "message" and item.verdict is None)


def _unchanged(item: Item, body: dict[str, Any]) -> bool:
    """Whether a body says what the item says, or said when the program looked: words come later, and not all may be heard."""
    if body.get("type") != item.type or body.get("role", item.role) != item.role:
        return False
    if item.type != "message":
        return _signature(body) in _signatures(item)
    text = _text({"role": item.role, **body})
    return text is None or text == item.text_so_far or item.full_text.startswith(text)


def _signature(body: dict[str, Any]) -> tuple[object, ...] | None:
    """What makes two items the same, where all of it is text."""
    match body.get("type"):
        case "message":
            text = _text(body)
            return None if text is None else ("message", body.get("role"), text)
        case "function_call":
            return ("function_call", body.get("call_id"), body.get("name"), body.get("arguments"))
        case "function_call_output":
            return ("function_call_output", body.get("call_id"), body.get("output"))
        case _:
            return None


def _signatures(item: Item) -> list[tuple[object, ...]]:
    """Those of an item: of a message by what was heard of it and by all that was generated."""
    match item.type:
        case "message":
            texts = dict.fromkeys((item.text_so_far, item.full_text))
            return [("message", item.role, text) for text in texts if text and not _has_more(item)]
        case "function_call":
            return [("function_call", item.call_id, item.name, item.arguments)]
        case "function_call_output":
            return [("function_call_output", item.call_id, item.output)]
        case _:
            return []


def _has_more(item: Item) -> bool:
    """Whether it has parts that are no text, such as an image."""
    return any(part.kind in ("image", "other") and not part.text for part in item.parts.values())


def _text(body: dict[str, Any]) -> str | None:
    """The text of a message's body; None where it has parts that are none."""
    said = []
    for part in body.get("content") or ():
        text = part.get("text", part.get("transcript"))
        if not isinstance(text, str):
            return None
        said.append(text)
    return joined(body.get("role"), said)


def _body(item: Item) -> dict[str, Any] | None:
    """The item as one that can be created: of a message what was heard, as text. None where that is not known or cannot be."""
    match item.type:
        case "message" if item.texts and not _has_more(item):
            kind = "output_text" if item.role == "assistant" else "input_text"
            return {"type": "message", "role": item.role, "content": [{"type": kind, "text": text} for text in item.texts]}
        case _:
            return None  # a call and its output stand where they stand


def unknown_item(item_id: str) -> Problem:
    """Nobody knows the id."""
    return Problem(
        "unknown_item", f"{item_id!r} is not in the conversation", False, "Session.history lists what is; it may be gone by now."
    )


def _busy(item_id: str) -> Problem:
    message = f"{item_id!r} is still being said, heard or answered, or nothing is known of what it holds"
    return Problem("item_busy", message, True, "Try again when its message has ended; what has no text cannot be written again.")
