"""livekit's chat items and tools as the protocol's, and back."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any

from livekit.agents import llm
from livekit.agents.llm.utils import build_legacy_openai_schema

from rtcore import HistoryItem

_ROLES: Mapping[str | None, llm.ChatRole] = {"user": "user", "assistant": "assistant", "system": "system"}


def chat_item(item: HistoryItem) -> llm.ChatItem:
    """An item of rtcore's history; what is spoken of it has the words that were heard."""
    match item.type:
        case "function_call":
            call_id, name, arguments = item.call_id or "", item.name or "", item.arguments or ""
            return llm.FunctionCall(id=item.id, call_id=call_id, name=name, arguments=arguments)
        case "function_call_output":
            return llm.FunctionCallOutput(id=item.id, call_id=item.call_id or "", output=item.output or "", is_error=False)
        case _:
            content: list[llm.ChatContent] = [item.text] if item.text else []
            return llm.ChatMessage(id=item.id, role=_ROLES.get(item.role, "system"), content=content)


def ga_item(item: llm.ChatItem) -> dict[str, Any] | None:
    """An item in the protocol's shape; None for one that a server cannot be told, such as a message without words or images.

    Images are the user's to show; in messages of others they are left out. Raises ``llm.RealtimeError`` for one that livekit
    cannot encode: of an unknown type, or a frame of video without ``livekit-agents[images]``.
    """
    match item:
        case llm.FunctionCall():
            call = {"call_id": item.call_id, "name": item.name, "arguments": item.arguments}
            return {"type": "function_call", "id": item.id, **call}
        case llm.FunctionCallOutput():
            return {"type": "function_call_output", "id": item.id, "call_id": item.call_id, "output": item.output}
        case llm.ChatMessage():
            role = "system" if item.role == "developer" else item.role
            kind = "output_text" if role == "assistant" else "input_text"
            content: list[dict[str, str]] = []
            for part in item.content:
                if isinstance(part, str):
                    content.append({"type": kind, "text": str(part)})
                elif isinstance(part, llm.ImageContent) and role == "user":
                    content.append(_image(part))
            return {"type": "message", "id": item.id, "role": role, "content": content} if content else None
        case _:
            return None


def _image(image: llm.ImageContent) -> dict[str, str]:
    try:
        made = llm.utils.serialize_image(image)
    except (ValueError, ImportError) as wrong:
        raise llm.RealtimeError(f"{image.id}: {wrong}") from wrong
    url = made.external_url or f"data:{made.mime_type};base64,{b64encode(made.data_bytes or b'').decode()}"
    return {"type": "input_image", "image_url": url, "detail": made.inference_detail}


def ga_tools(tools: Sequence[llm.Tool]) -> list[dict[str, Any]]:
    """Function tools in the protocol's shape; those of a provider's own are left out."""
    described = []
    for tool in tools:
        if isinstance(tool, llm.FunctionTool):
            described.append(build_legacy_openai_schema(tool, internally_tagged=True))
        elif isinstance(tool, llm.RawFunctionTool):
            known = {name: value for name, value in tool.info.raw_schema.items() if name != "meta"}
            described.append({**known, "type": "function"})
    return described


def ga_choice(choice: llm.ToolChoice | None) -> object:
    """Whether the model calls a tool, and which."""
    if isinstance(choice, Mapping):
        return {"type": "function", "name": choice["function"]["name"]}
    return choice or "auto"
