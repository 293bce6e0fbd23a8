"""What the core gives back: the closed list of effects.

Effects are carried out in the order in which they are returned: silence first, then the wire, then the news. An adapter
dispatches the whole list before it feeds the next input. The list is closed until the next major version, so that ``match``
over it is exhaustive under mypy; only ``Notice`` is open (its subclasses are in ``_notices``).
"""

import re
from typing import Literal

from msgspec import Struct

from rtcore._formats import AudioFormat
from rtcore._notices import Notice

NO_TOKEN = ("Authorization", "Bearer")
"""The header whose token is to be put in."""
_TOKEN = re.compile(r"[\x21-\x7e]+")

Lane = Literal["ordered", "urgent", "audio"]
"""What may overtake a message in an adapter's outbox; ``Send`` says which does what."""


def place(url: str) -> str:
    """The address without user, query and fragment: what may be shown of it."""
    scheme, separator, rest = url.partition("#")[0].partition("?")[0].rpartition("://")
    authority, slash, path = rest.partition("/")
    return f"{scheme}{separator}{authority.rpartition('@')[2]}{slash}{path}"


def with_token(headers: tuple[tuple[str, str], ...], token: str) -> tuple[tuple[str, str], ...]:
    """The headers with the token put in. Raises ``ValueError`` for what is no token; its message does not hold it."""
    if not _TOKEN.fullmatch(token):
        raise ValueError("the token is empty, or holds white space or another character that no token has")
    return tuple(("Authorization", f"Bearer {token}") if header == NO_TOKEN else header for header in headers)


class Handshake(Struct, frozen=True):
    """Where and how to dial: the websocket URL and the HTTP headers. Its ``repr`` never shows a credential."""

    url: str
    headers: tuple[tuple[str, str], ...] = ()
    subprotocols: tuple[str, ...] = ()

    @property
    def wants_token(self) -> bool:
        """Whether a bearer token is still to be put in (``with_token``): one that is fetched anew for each dialling."""
        return NO_TOKEN in self.headers

    def with_token(self, token: str) -> "Handshake":
        """The same with ``Authorization: Bearer``. Raises ``ValueError`` for what is no token; its message does not hold it."""
        return Handshake(self.url, with_token(self.headers, token), self.subprotocols)

    def __repr__(self) -> str:
        """Header names without their values, and the URL without user and query, because those carry keys."""
        names = ", ".join(name for name, _ in self.headers)
        return f"Handshake(url={place(self.url)!r}, headers=[{names}])"

    __str__ = __repr__


class Send(Struct, frozen=True, gc=False):
    """One client message for the wire, as UTF-8 JSON.

    ``lane`` says what may overtake it in an adapter's outbox: ``"audio"`` is microphone audio (it may be overtaken, and dropped
    oldest first under back-pressure); ``"urgent"`` (cancel, truncate, delete) overtakes waiting audio but nothing else;
    ``"ordered"`` keeps its place behind everything before it.
    """

    connection: int
    payload: bytes
    lane: Lane = "ordered"


class Play(Struct, frozen=True, gc=False):
    """Append audio to the clock's queue. ``pcm`` is whole samples of ``format``; it belongs to ``generation``."""

    pcm: bytes | memoryview
    format: AudioFormat
    generation: int


class Drain(Struct, frozen=True, gc=False):
    """Nothing more is coming for now: sound the tail of resamplers and jitter buffers. Later audio of it may follow."""

    generation: int


class Flush(Struct, frozen=True, gc=False):
    """Silence now: drop every generation up to this one wherever it sits, then answer ``flushed(generation, samples)``."""

    generation: int


class Pause(Struct, frozen=True, gc=False):
    """Hold the sound without losing a sample. Sent only to clocks that declare ``pause``."""

    generation: int


class Resume(Struct, frozen=True, gc=False):
    """Go on from where ``Pause`` held."""

    generation: int


class Connect(Struct, frozen=True):
    """Dial now; answer with ``connected(connection)`` or ``disconnected(connection, cause)``."""

    connection: int
    request: Handshake


class Disconnect(Struct, frozen=True):
    """Close this connection in order, with this websocket close code and reason."""

    connection: int
    code: int = 1000
    reason: str = ""


Effect = Send | Play | Drain | Flush | Pause | Resume | Connect | Disconnect | Notice
"""Everything the core can ask for or tell. Closed; ``Notice`` has subclasses."""


class Deadline(Struct, frozen=True):
    """When the core wants to be ticked at the latest (``now`` seconds), and what it waits for."""

    at: float
    why: str
