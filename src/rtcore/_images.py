"""Pictures that the program showed the model, kept so that another session can be shown them too.

No server gives a picture back, so what is to be shown again has to be kept here, whole. The newest are, up to a bound; in the
place of an older one stands that there was one. Only what has arrived makes others too old: what is on its way may be refused,
and is kept whole beside, as its request keeps it anyway. Of what had no answer in time, and may arrive still or never, the newest
are kept up to the same bound. Where nothing can be replayed, nothing is kept.
"""

from typing import Any

from rtcore._core import Core
from rtcore._replay import GONE

_GONE = {"type": "input_text", "text": GONE}


class _Newest:
    """Owner of: which items are the newest, up to a bound of bytes?"""

    def __init__(self) -> None:
        self._sizes: dict[str, int] = {}
        self._total = 0

    def put(self, item_id: str, size: int, bound: int) -> list[str]:
        """One more, the newest of all. Gives those that are too old now."""
        self._sizes[item_id] = size
        self._total += size
        too_old: list[str] = []
        while self._total > bound:
            oldest = next(iter(self._sizes))
            self.take(oldest)
            too_old.append(oldest)
        return too_old

    def take(self, item_id: str) -> None:
        """It is no longer one of them."""
        self._total -= self._sizes.pop(item_id, 0)


class Images:
    """Owner of: which pictures can be shown again? What else their items hold is kept with them, within the same bound."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._bodies: dict[str, dict[str, Any]] = {}
        self._late = _Newest()
        self._there = _Newest()
        self._sizes: dict[str, int] = {}
        """Bytes of pictures and sound of each item on its way, or late; 0 of one that was left out."""

    def sent(self, item_id: str, body: dict[str, Any]) -> None:
        """An item of the program's is on its way to the conversation."""
        core = self._core
        content = body.get("content") or ()
        if not any(part["type"] == "input_image" for part in content):
            return
        if not core.continuity.able or core.config.reconnect.history == "none":
            return
        self.forget(item_id)
        size = sum(len(part.get("image_url") or part.get("audio") or ()) for part in content)
        self._bodies[item_id], self._sizes[item_id] = body, size

    def not_answered(self, item_id: str) -> None:
        """There was no word of an item in time: it may be in the conversation, or get there, or never."""
        size = self._sizes.get(item_id)
        if size is not None:
            too_old = self._late.put(item_id, size, self._bound)
            self._leave_out(too_old)
            self._sizes.update(dict.fromkeys(too_old, 0))

    def arrived(self, item_id: str) -> None:
        """An item is in the conversation: older ones make room for it."""
        size = self._sizes.pop(item_id, None)
        if size is not None:
            self._late.take(item_id)
            self._leave_out(self._there.put(item_id, size, self._bound))

    @property
    def _bound(self) -> int:
        options = self._core.config.reconnect
        return options.image_bytes if options.history == "items" else 0  # a summary is text

    def _leave_out(self, too_old: list[str]) -> None:
        for item_id in too_old:
            shown = self._bodies[item_id]
            left = [_GONE if part["type"] == "input_image" else part for part in shown["content"]]
            self._bodies[item_id] = {**shown, "content": [part for part in left if "text" in part]}

    def body(self, item_id: str) -> dict[str, Any] | None:
        """The item as it can be shown again; None for one without pictures."""
        return self._bodies.get(item_id)

    def text(self, item_id: str) -> str | None:
        """The item for somebody who only reads; None for one without pictures."""
        body = self._bodies.get(item_id)
        if body is None:
            return None
        return " ".join(str(part.get("text", "")) for part in body["content"]).strip()

    def forget(self, item_id: str) -> None:
        """The item is deleted, or never was."""
        if self._bodies.pop(item_id, None) is not None:
            self._sizes.pop(item_id, None)
            self._late.take(item_id)
            self._there.take(item_id)

    def line_lost(self) -> None:
        """What never arrived is in no conversation. What is asked for again is sent again."""
        for item_id in [each for each in self._bodies if self._core.history.get(each) is None]:
            self.forget(item_id)
