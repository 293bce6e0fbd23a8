"""OpenAI's GA dialect: the vocabulary of the core itself. Azure's GA endpoint speaks it too (protocol facts 13)."""

from typing import TYPE_CHECKING

from rtcore._effects import Handshake
from rtcore._errors import LocalProtocolError
from rtcore.dialects import _address
from rtcore.dialects._base import Capabilities, Dialect, Wire, ga_item, read_session

if TYPE_CHECKING:
    from rtcore.config import Connection

_HOST = "wss://api.openai.com"


def _no_temperature(options: Wire) -> None:
    if "temperature" in options:
        raise LocalProtocolError("temperature: this dialect has none (it went with the preview); leave it out")


def _render_session(session: Wire) -> Wire:
    """GA refuses a session without its type (2.2)."""
    _no_temperature(session)
    return {"type": "realtime", **session}


def _render_response(response: Wire) -> Wire:
    _no_temperature(response)
    items = response.get("input")
    return {**response, "input": [ga_item(item) for item in items]} if items is not None else dict(response)


def _path(azure: bool, path: str) -> str:
    if path.endswith("/realtime"):
        return path
    if path in ("", "/openai"):
        return "/openai/v1/realtime" if azure or path else "/v1/realtime"
    return f"{path}/realtime"


def _handshake(connection: "Connection") -> Handshake:
    parts = _address.split_url(_HOST if connection.url is None else connection.url)
    azure = _address.is_azure(parts.hostname or "")
    # A side channel to a call is addressed by call_id and has no model (1.1).
    query = () if "call_id=" in parts.query else (("model", (azure and connection.deployment) or connection.model),)
    return _address.handshake(connection, parts, path=lambda path: _path(azure, path), query=query, azure=azure)


OPENAI = Dialect(
    name="openai",
    capabilities=Capabilities(
        truncate=True,
        truncate_acknowledged=True,
        truncate_content_index="own",
        delete=True,
        server_cancels=True,
        playout="client",
        out_of_band=True,
    ),
    render_session=_render_session,
    read_session=read_session,
    render_response=_render_response,
    render_item=ga_item,
    handshake=_handshake,
)
"""GA names, nested session, ``Authorization: Bearer``; ``api-key`` and ``/openai/v1`` where the host is an Azure resource."""
