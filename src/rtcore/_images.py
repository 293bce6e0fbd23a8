"""Pictures that the program showed the model, kept so that another session can be shown them too.

No server gives a picture back, so what is to be shown again has to be kept here, whole. The newest are, up to a bound; in the
place of an older one stands that there was one. Where nothing can be replayed, nothing is kept.
"""

from collections.abc import Collection
from typing import Any

from rtcore._core import Core
from rtcore._replay import GONE

_GONE = {"type": "input_text", "text": GONE}


class Images:
    """Owner of: which pictures can be shown again? What else their items hold is kept with them, within the same bound."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._bodies: dict[str, dict[str, Any]] = {}
        self._sizes: dict[str, int] = {}
        """Bytes of pictures and sound of each item that has any left, oldest first."""
        self._total = 0

    def sent(self, item_id: str, body: dict[str, Any]) -> None:
        """An item of the program's is on its way to the conversation."""
        core, options = self._core, self._core.config.reconnect
        content = body.get("content") or ()
        if not any(part["type"] == "input_image" for part in content) or not core.continuity.able or options.history == "none":
            return
        self.forget(item_id)
        size = sum(len(part.get("image_url") or part.get("audio") or ()) for part in content)
        self._bodies[item_id], self._sizes[item_id] = body, size
        self._total += size
        bound = options.image_bytes if options.history == "items" else 0  # a summary is text
        while self._total > bound:
            oldest = next(iter(self._sizes))
            self._total -= self._sizes.pop(oldest)
            shown = self._bodies[oldest]
            left = [_GONE if part["type"] == "input_image" else part for part in shown["content"]]
            self._bodies[oldest] = {**shown, "content": [part for part in left if "text" in part]}

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
            self._total -= self._sizes.pop(item_id, 0)

    def line_lost(self, coming: Collection[str | None]) -> None:
        """What never arrived is in no conversation: it takes no place from what was there, unless it is ``coming`` next."""
        for item_id in [each for each in self._bodies if each not in coming and self._core.history.get(each) is None]:
            self.forget(item_id)
