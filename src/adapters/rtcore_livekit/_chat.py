"""The chat context: rtcore's history as livekit reads it, and what livekit wants of it as commands."""

from collections.abc import Iterable

from livekit.agents import llm
from livekit.agents.voice.generation import remove_instructions

from rtcore import HistoryItem
from rtcore_adapters.asyncio import Conversation, Request
from rtcore_livekit._items import chat_item, ga_item


class Chat:
    """Remembers what livekit wrote, which it gets back as it wrote it."""

    def __init__(self) -> None:
        self._written: dict[str, llm.ChatItem] = {}
        self._outputs: dict[str, str] = {}  # livekit's ids of outputs, by call

    def context(self, history: Iterable[HistoryItem]) -> llm.ChatContext:
        """The conversation as the server has it; spoken messages have the words that were heard."""
        items: list[llm.ChatItem] = []
        for item in history:
            known = self._written.get(item.id)
            found = known if known is not None else chat_item(item)
            if isinstance(found, llm.FunctionCallOutput):
                found.id = self._outputs.get(found.call_id, found.id)
            items.append(found)
        return llm.ChatContext(items)

    def deleted(self, item_id: str) -> None:
        """It left the conversation."""
        self._written.pop(item_id, None)

    def edit(self, conversation: Conversation, chat_ctx: llm.ChatContext) -> list[Request]:
        """Make the conversation this one. Outputs answer their calls; what was spoken is not written again."""
        wanted = chat_ctx.copy(exclude_handoff=True, exclude_config_update=True)
        remove_instructions(wanted)
        present = self.context(conversation.history)
        known = {item.id for item in present.items}
        wanted = llm.ChatContext([item for item in wanted.items if item.id in known or ga_item(item) is not None])
        steps = llm.utils.compute_chat_ctx_diff(present, wanted)
        requests = []
        for item_id in steps.to_remove:
            if not isinstance(present.get_by_id(item_id), llm.FunctionCallOutput):
                requests.append(conversation.delete_item(item_id))
        for previous, item_id in steps.to_create:
            item = wanted.get_by_id(item_id)
            assert item is not None
            if isinstance(item, llm.FunctionCallOutput) and self._is_open(conversation, item.call_id):
                self._outputs[item.call_id] = item.id
                requests.append(conversation.tool_result(item.call_id, item.output, respond=False))
            elif (shape := ga_item(item)) is not None:
                self._written[item.id] = item
                requests.append(conversation.create_item(shape, previous_item_id=previous or "root"))
        for _, item_id in steps.to_update:
            item = wanted.get_by_id(item_id)
            if item_id in self._written and item is not None and (shape := ga_item(item)) is not None:
                self._written[item_id] = item
                requests.append(conversation.replace_item(item_id, shape))
        return requests

    def _is_open(self, conversation: Conversation, call_id: str) -> bool:
        calls = [item for item in conversation.history if item.call_id == call_id]
        return [item.type for item in calls] == ["function_call"] and calls[0].id not in self._written
