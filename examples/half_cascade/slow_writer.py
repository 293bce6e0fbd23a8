"""A realtime server that writes slowly, and cancels as servers do: with a done, a moment later. For ``test_half_cascade.py``."""

import asyncio
import json
from typing import Any

from loopback import Line

SENTENCES = ("This is one. ", "And this is two. ", "And three here. ", "Four of them. ", "Five now. ")
EVERY_S = 0.9


class SlowWriter:
    """Answers in text, a sentence at a time: the first answer is ``SENTENCES``, the others one word. ``told`` are client events.

    An item can be deleted when it has been written, as with OpenAI's; ``held`` is what the conversation holds.
    """

    def __init__(self) -> None:
        self.told: list[str] = []
        self.held: dict[str, str] = {}
        self.refused: list[str] = []
        self._answers = 0
        self._writing = self._cancelled = False
        self._tasks: list[asyncio.Task[None]] = []

    async def talk(self, line: Line) -> None:
        """One connection, to its end."""
        await line.set_up()
        while (event := await line.event()) is not None:
            self.told.append(event["type"])
            match event:
                case {"type": "conversation.item.create", "item": item}:
                    self._item(line, {"id": f"item_{len(self.told)}", **item})
                case {"type": "conversation.item.delete", "item_id": item_id} if self._writing and item_id == f"m{self._answers}":
                    self.refused.append(item_id)
                case {"type": "conversation.item.delete", "item_id": item_id}:
                    del self.held[item_id]
                    self._say(line, "conversation.item.deleted", item_id=item_id)
                case {"type": "response.cancel"}:
                    self._cancelled = self._writing
                case {"type": "response.create"}:
                    self._answers += 1
                    self._tasks.append(asyncio.create_task(self._answer(line, f"r{self._answers}", f"m{self._answers}")))
                case _:
                    pass

    async def _answer(self, line: Line, response: str, message: str) -> None:
        self._writing, self._cancelled, text = True, False, ""
        self._say(line, "response.created", response={"id": response, "status": "in_progress", "output": []})
        item: dict[str, Any] = {"id": message, "type": "message", "role": "assistant", "status": "in_progress", "content": []}
        where = {"response_id": response, "output_index": 0}
        self._say(line, "response.output_item.added", **where, item=item)
        self._say(line, "conversation.item.added", item=item)
        part = {**where, "item_id": message, "content_index": 0}
        self._say(line, "response.content_part.added", **part, part={"type": "text", "text": ""})
        for sentence in SENTENCES if self._answers == 1 else ("Madrid.",):
            if not self._cancelled:
                text += sentence
                self._say(line, "response.output_text.delta", **part, delta=sentence)
                await asyncio.sleep(EVERY_S)
        status = "cancelled" if self._cancelled else "completed"
        item = {
            **item,
            "status": "incomplete" if self._cancelled else "completed",
            "content": [{"type": "output_text", "text": text}],
        }
        self._say(line, "response.output_text.done", **part, text=text)
        self._say(line, "response.output_item.done", **where, item=item)
        self._item(line, item)
        self._writing = False
        self._say(line, "response.done", response={"id": response, "status": status, "output": [item]})

    def _item(self, line: Line, item: dict[str, Any]) -> None:
        if item["id"] not in self.held and item.get("status") is None:
            self._say(line, "conversation.item.added", item=item)
        self.held[item["id"]] = "".join(part["text"] for part in item["content"]).strip()
        self._say(line, "conversation.item.done", item=item)

    def _say(self, line: Line, kind: str, **fields: Any) -> None:
        line.send(json.dumps({"type": kind, "event_id": "event_1", **fields}).encode())
