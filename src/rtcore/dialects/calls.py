"""What is asked of a server by HTTP: short-lived client secrets, and the control of WebRTC and SIP calls (protocol facts 1.1).

Pure: each function gives a ``Request`` to send by any HTTP client (``rtcore_adapters.calls`` has small ones), and a reader of the
answer. The addresses follow from the same ``Connection`` as the websocket's; where that says that a token is provided, each
request wants one (``Request.wants_token``, ``with_token``), as a ``Handshake`` does. No ``repr`` shows a key or a secret.
"""

from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, quote

import msgspec
from msgspec import Struct

from rtcore._effects import NO_TOKEN, Handshake, place, with_token
from rtcore._errors import LocalProtocolError
from rtcore._notices import Problem
from rtcore.dialects import DIALECTS, OPENAI, check_transcribing, dialect_of, listening, problem
from rtcore.dialects._address import split_url

if TYPE_CHECKING:
    from rtcore.config import Connection, SessionOptions

_LIFE_S = 600
_CREDENTIALS = ("api-key",)
"""Of the address, where no header could be set."""
_REJECTIONS = range(400, 700)


class Request(Struct, frozen=True):
    """One HTTP request: method, absolute https URL, headers, and the JSON body (b"" for none). Its ``repr`` hides the headers."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes = b""

    @property
    def wants_token(self) -> bool:
        """Whether a bearer token is still to be put in (``with_token``), because ``connection.provided_token`` says so."""
        return NO_TOKEN in self.headers

    def with_token(self, token: str) -> "Request":
        """The same with ``Authorization: Bearer``. Raises ``ValueError`` for what is no token; its message does not hold it."""
        return Request(self.method, self.url, with_token(self.headers, token), self.body)

    def __repr__(self) -> str:
        """Names without values, and the URL without its query."""
        names = ", ".join(name for name, _ in self.headers)
        return f"Request({self.method} {place(self.url)}, headers=[{names}], {len(self.body)} bytes)"

    __str__ = __repr__


class ClientSecret(Struct, frozen=True):
    """A key for one client and a short time, such as a browser's: ``value`` goes where an API key does."""

    value: str
    expires_at: int
    """Unix time, in seconds."""
    session: dict[str, Any]
    """The session that it opens, as the server settled it."""

    def __repr__(self) -> str:
        """Without the secret."""
        return f"ClientSecret(expires_at={self.expires_at})"

    __str__ = __repr__


def client_secret(connection: "Connection", session: "SessionOptions | None" = None, *, expires_s: int | None = None) -> Request:
    """Ask for a client secret that opens ``session`` and lives ``expires_s`` seconds. Read the answer by ``read_secret``.

    ``expires_s``: 10 to 7200 at OpenAI and Azure, 1 to 3600 at xAI, 600 where it is None; Azure's preview decides alone, and None
    is all that it takes. xAI's secrets open any session, so that none may be given. A session that only transcribes has no model,
    and in the beta a path of its own. ``Dialect.secrets`` has these rules.

    Raises ``LocalProtocolError`` for a time out of bounds, a session where none is said, one that only transcribes where no
    secret is known to open it (Azure's preview) or the connection names a model, and a dialect without client secrets.
    """
    table = dialect_of(connection) or OPENAI
    way = table.secrets
    if way is None:
        able = ", ".join(name for name, each in DIALECTS.items() if each.secrets is not None)
        raise LocalProtocolError(f"dialect: {table.name} has no client secrets, as far as is known; {able} have")
    transcribes, path = _transcribes(session), way.path
    if transcribes and way.body != "none":
        if way.transcribing is None:
            able = ", ".join(name for name, each in DIALECTS.items() if each.secrets is not None and each.secrets.transcribing)
            raise LocalProtocolError(
                f"session.type: no client secret of the {table.name} dialect is known to open a session that only transcribes; "
                f"{able} have them"
            )
        check_transcribing(connection)
        path = way.transcribing
    body: dict[str, Any] = {}
    if way.life_s is not None:
        seconds = _LIFE_S if expires_s is None else expires_s
        if not way.life_s[0] <= seconds <= way.life_s[1]:
            raise LocalProtocolError(f"expires_s: {seconds} is not within {way.life_s[0]} to {way.life_s[1]} seconds")
        # The beta's two ways differ in this name (SDK).
        life = "expires_at" if transcribes and way.body == "flat" else "expires_after"
        body[life] = {**({"anchor": "created_at"} if way.anchor else {}), "seconds": seconds}
    elif expires_s is not None:
        raise LocalProtocolError(f"expires_s: a server of the {table.name} dialect decides it alone; leave it out")
    if way.body == "none":
        if session is not None:
            raise LocalProtocolError(
                f"session: a client secret of the {table.name} dialect opens any; leave it out, and configure the session "
                "when that is opened"
            )
    else:
        shown = _rendered(connection, session)
        if way.body == "session":
            body["session"] = shown
        else:  # the beta's: a session with the secret's options beside its own
            body = {**shown, **({"client_secret": body} if body else {})}
    return _request(connection, path, body, keep=way.query)


def accept(connection: "Connection", call_id: str, session: "SessionOptions | None" = None) -> Request:
    """Take an incoming SIP call, with this session, a conversation. Join it by ``Connection(call_id=call_id)``."""
    if _transcribes(session):
        raise LocalProtocolError("session.type: a call is taken by a conversation; leave it out")  # SDK: calls.accept
    return _of_call(connection, call_id, "accept", _rendered(connection, session))


def reject(connection: "Connection", call_id: str, *, status_code: int = 603) -> Request:
    """Turn an incoming SIP call away, with a SIP status (603: declined; 486: busy)."""
    if status_code not in _REJECTIONS:
        raise LocalProtocolError(f"status_code: {status_code} is no SIP status of refusal; 603 declines, 486 is busy")
    return _of_call(connection, call_id, "reject", {"status_code": status_code})


def refer(connection: "Connection", call_id: str, target_uri: str) -> Request:
    """Transfer a call to another address, ``tel:`` or ``sip:``."""
    if not target_uri.startswith(("tel:", "sip:", "sips:")):
        raise LocalProtocolError(f"target_uri: {target_uri!r} is no address to transfer to; write tel:+1555... or sip:...")
    return _of_call(connection, call_id, "refer", {"target_uri": target_uri})


def hang_up(connection: "Connection", call_id: str) -> Request:
    """End a call, SIP or WebRTC."""
    return _of_call(connection, call_id, "hangup", None)


# -- answers -----------------------------------------------------------------------------------------------------------------


def read_answer(status: int, body: bytes) -> Problem | None:
    """None where the request was granted (2xx), else what was wrong. Never raises."""
    if 200 <= status < 300:
        return None
    try:
        found = msgspec.json.decode(body)
        error = found.get("error") if isinstance(found, dict) else None
    except (msgspec.MsgspecError, ValueError, RecursionError):
        error = None
    told = error if isinstance(error, dict) else {}
    code, param = _text(told.get("code")), _text(told.get("param"))
    message = _text(told.get("message")) or f"the server answered with HTTP status {status}"
    return problem(code or f"http_{status}", message, param, _text(told.get("type")) or "")


def read_secret(status: int, body: bytes) -> ClientSecret | Problem:
    """The client secret in an answer, or what was wrong. Never raises."""
    fault = read_answer(status, body)
    if fault is not None:
        return fault
    try:
        found = msgspec.json.decode(body, type=dict[str, Any])
        # The beta put both under client_secret.
        secret = found.get("client_secret") if isinstance(found.get("client_secret"), dict) else found
        return msgspec.convert({"session": {}, **found, **(secret or {})}, ClientSecret)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return Problem("unreadable_answer", "the answer holds no client secret", False, "Check url: is it the server's?")


# -- inside ------------------------------------------------------------------------------------------------------------------


def _rendered(connection: "Connection", session: "SessionOptions | None") -> dict[str, Any]:
    """The session in the dialect's shape, with its model: one that only transcribes has none (facts 12.1)."""
    table = dialect_of(connection) or OPENAI
    wanted: dict[str, Any] = {} if session is None else session.wire()
    if _transcribes(session):
        return table.render_session(listening(wanted))
    rendered = table.render_session(wanted)
    return rendered if "model" in rendered else {**rendered, "model": connection.deployment or connection.model}


def _transcribes(session: "SessionOptions | None") -> bool:
    return session is not None and session.type == "transcription"


def _of_call(connection: "Connection", call_id: str, what: str, body: dict[str, Any] | None) -> Request:
    table = dialect_of(connection) or OPENAI
    if not table.way.calls:
        able = " and ".join(name for name, each in DIALECTS.items() if each.way.calls)
        raise LocalProtocolError(f"dialect: {table.name} has no calls; {able} do")
    if not call_id:
        raise LocalProtocolError("call_id: is empty; take it from the incoming call's event, or from Location")
    return _request(connection, f"realtime/calls/{quote(call_id, safe='')}/{what}", body)


def _request(connection: "Connection", path: str, body: dict[str, Any] | None, *, keep: tuple[str, ...] = ()) -> Request:
    table = dialect_of(connection) or OPENAI
    handshake: Handshake = table.handshake(connection)
    if handshake.subprotocols:
        raise LocalProtocolError("authentication: 'subprotocol' is for websockets; HTTP wants the key in a header")
    parts = split_url(handshake.url)
    scheme = "https" if parts.scheme == "wss" else "http"
    query = "&".join(pair for pair in parts.query.split("&") if pair.partition("=")[0] in (*keep, *_CREDENTIALS))
    where = SplitResult(scheme, parts.netloc, f"{parts.path.removesuffix('realtime')}{path}", query, "")
    headers = handshake.headers
    if body is not None:
        headers += (("Content-Type", "application/json"),)
    return Request("POST", where.geturl(), headers, b"" if body is None else msgspec.json.encode(body))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
