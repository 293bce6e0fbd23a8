"""The SDK's options, as rtcore's."""

from collections.abc import Mapping
from typing import Any

from agents import FunctionTool
from agents.exceptions import UserError
from agents.realtime import RealtimeAgent
from agents.realtime.config import RealtimeSessionModelSettings
from agents.realtime.model import RealtimeModelConfig
from agents.realtime.openai_realtime import DEFAULT_REALTIME_MODEL, OpenAIRealtimeSIPModel

from rtcore import Config

_OTHERS = frozenset({"model_name", "tools", "handoffs", "tracing"})
"""Settings that are not passed through the SDK's own conversion."""


async def session_options(settings: RealtimeSessionModelSettings) -> dict[str, Any]:
    """The session as the SDK would ask for it, in the protocol's GA names, with its own defaults."""
    plain: Any = {name: value for name, value in settings.items() if name not in _OTHERS}
    # The one public way to the SDK's conversion; the agent counts for nothing, since every setting is given.
    asked = await OpenAIRealtimeSIPModel.build_initial_session_payload(RealtimeAgent(name="rtcore"), overrides=plain)
    options = asked.model_dump(mode="json", exclude_unset=True, exclude={"model", "type", "tools"})
    return {**options, "tools": _tools(settings)}


def _tools(settings: RealtimeSessionModelSettings) -> list[dict[str, Any]]:
    """What the model may call: functions, and agents to hand over to. The session has left out those that are disabled."""
    tools = []
    for tool in settings.get("tools", []):
        if not isinstance(tool, FunctionTool):
            raise UserError(f"Tool {tool.name} is unsupported. Must be a function tool.")
        if tool.is_enabled is not False:
            tools.append(_function(tool.name, tool.description, tool.params_json_schema))
    for handoff in settings.get("handoffs", []):
        if handoff.is_enabled is not False:
            tools.append(_function(handoff.tool_name, handoff.tool_description, handoff.input_json_schema))
    return tools


def _function(name: str, description: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "function", "name": name, "description": description, "parameters": dict(parameters)}


async def configured(config: Config, options: RealtimeModelConfig) -> Config:
    """``config`` with what the SDK's session asks for.

    A key that is a function is left out, to be asked for at each dialling; so is any beside ``headers``, as in the SDK.
    """
    settings: RealtimeSessionModelSettings = options.get("initial_model_settings", {})
    session = {**config.session.wire(), **await session_options(settings)}
    tracing = settings.get("tracing", "auto")
    if tracing is not None:
        session["tracing"] = tracing
    connection = {name: getattr(config.connection, name) for name in config.connection.model_fields_set}
    given: dict[str, Any] = dict(options)
    connection |= {name: given[name] for name in ("url", "headers", "call_id") if given.get(name)}
    if "call_id" not in connection:
        connection["model"] = settings.get("model_name") or connection.get("model", DEFAULT_REALTIME_MODEL)
    if isinstance(key := given.get("api_key"), str) and given.get("headers") is None:
        connection["api_key"] = key
    parts = {name: getattr(config, name) for name in config.model_fields_set}
    return Config.model_validate({**parts, "connection": connection, "session": session, "tap": "all"})
