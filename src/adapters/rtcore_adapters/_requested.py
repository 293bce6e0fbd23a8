"""What the request of a client's opening handshake asks the simulated server for."""

from typing import cast, get_args
from urllib.parse import parse_qs, urlsplit

from websockets.http11 import Request

from rtcore.sim.server import DialectName

Dialect = DialectName


def session_of(path: str) -> tuple[Dialect, str] | None:
    """Dialect and model that a request's path and query ask for (protocol facts, 1.1, 14). ValueError where it is no URL.

    Vendors whose path is OpenAI's own are named in the query: ``/v1/realtime?dialect=xai``.
    """
    parts = urlsplit(path)
    query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    model = query.get("model", "gpt-realtime")
    match parts.path.rstrip("/"):
        case "/v1/realtime" if query.get("dialect", "openai") in get_args(DialectName):
            return cast(Dialect, query.get("dialect", "openai")), model
        case "/openai/v1/realtime":
            return "openai", model
        case "/voice-live/realtime":
            return "azure-voice-live", model
        case "/api-ws/v1/realtime":
            return "qwen", model
        case "/api/v1/realtime/session":
            return "inworld", model
        case "/api/paas/v4/realtime":
            return "glm", model
        case "/openai/realtime" if "api-version" in query:
            return "azure-preview", query.get("deployment", "gpt-realtime")
        case _:
            return None


def offered(request: Request) -> tuple[str, ...]:
    """The subprotocols that a request offers, in order."""
    return tuple(
        name.strip() for value in request.headers.get_all("Sec-WebSocket-Protocol") for name in value.split(",") if name.strip()
    )
