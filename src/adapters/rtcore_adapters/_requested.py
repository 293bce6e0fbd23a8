"""What the request of a client's opening handshake asks the simulated server for."""

from typing import NamedTuple, cast, get_args
from urllib.parse import parse_qs, urlsplit

from msgspec.structs import replace
from websockets.http11 import Request

from rtcore.sim.server import Addressed, DialectName, ServerOptions


class Requested(NamedTuple):
    """The session that an address asks for."""

    dialect: DialectName
    model: str
    address: Addressed

    def of(self, options: ServerOptions) -> ServerOptions:
        """These options, for a server at this address."""
        return replace(options, dialect=self.dialect, model=self.model, address=self.address)

    def closing(self, request: Request) -> tuple[int, str] | None:
        """Code and reason with which the line is closed as soon as it is open; None where there is to be a session."""
        if self.dialect == "openai" and "OpenAI-Beta" in request.headers:
            return 4000, "invalid_request_error.beta_api_shape_disabled"  # protocol facts, 1.4
        return None


def session_of(path: str) -> Requested | None:
    """What a request's path and query ask for (protocol facts, 1.1, 14). ValueError where it is no URL.

    Vendors whose path is OpenAI's own are named in the query: ``/v1/realtime?dialect=xai``.
    """
    parts = urlsplit(path)
    query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    model = query.get("model", "gpt-realtime")
    match parts.path.rstrip("/"):
        case "/v1/realtime" if query.get("dialect", "openai") in get_args(DialectName):
            dialect = cast(DialectName, query.get("dialect", "openai"))
            return Requested(dialect, model, _opened(query, "model") if dialect.startswith("openai") else "any")
        case "/openai/v1/realtime":
            return Requested("openai", model, _opened(query, "model"))
        case "/voice-live/realtime":
            return Requested("azure-voice-live", model, "any")
        case "/api-ws/v1/realtime":
            return Requested("qwen", model, "any")
        case "/api/v1/realtime/session":
            return Requested("inworld", model, "any")
        case "/api/paas/v4/realtime":
            return Requested("glm", model, "any")
        case "/openai/realtime" if "api-version" in query:
            return Requested("azure-preview", query.get("deployment", "gpt-realtime"), _opened(query, "deployment"))
        case _:
            return None


def _opened(query: dict[str, str], model: str) -> Addressed:
    """What the address opens; without model and intent, what the session says (1.1: a client secret, or its update)."""
    if query.get("intent") == "transcription":
        return "both" if model in query else "transcription"
    return "conversation" if model in query else "any"


def offered(request: Request) -> tuple[str, ...]:
    """The subprotocols that a request offers, in order."""
    return tuple(
        name.strip() for value in request.headers.get_all("Sec-WebSocket-Protocol") for name in value.split(",") if name.strip()
    )
