"""What a dialect is: a table of names, shapes and capabilities.

Inside the core there is one vocabulary, the GA names. A dialect turns it into its own on the way out (``render_*``); on the way
in both generations are understood always, whatever the dialect: a gateway may serve beta names on a GA address and the other way
round (protocol facts, section 13). Capabilities decide what the core does, never a vendor's name.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, Protocol

from msgspec import Struct

from rtcore._effects import Handshake
from rtcore._errors import DialectError
from rtcore._formats import PCM16_24K, PCMA, PCMU, AudioFormat
from rtcore.dialects._address import Address, Subprotocol

if TYPE_CHECKING:
    from rtcore.config import Connection

Wire = dict[str, Any]
"""A JSON object of the protocol."""

EFFORTS = ("minimal", "low", "medium", "high", "xhigh")
"""How much a model of OpenAI's may reason (protocol facts 2.8)."""

PROTOCOL_FORMATS = (PCM16_24K, PCMU, PCMA)
"""What the protocol itself knows (protocol facts 9)."""


def pcm(*rates: int) -> tuple[AudioFormat, ...]:
    """PCM16 at these rates."""
    return tuple(AudioFormat("audio/pcm", rate) for rate in rates)


class Capabilities(Struct, frozen=True):
    """What a server of this dialect can do. The core asks these, never the dialect's name."""

    answers: bool = True
    """It has a model that answers. Without, it only transcribes: ``session.type`` has to be ``"transcription"``."""
    truncate: bool = True
    """It understands ``conversation.item.truncate``."""
    truncate_acknowledged: bool = True
    """It answers a truncate by ``conversation.item.truncated``."""
    truncate_content_index: Literal["own", "zero"] = "own"
    """Which content index a truncate carries: that of the audio part, or always 0 (C23)."""
    delete: bool = True
    """It understands ``conversation.item.delete``."""
    create: bool = True
    """It understands ``conversation.item.create``: messages of the user, notes of the system, outputs of functions."""
    create_assistant: bool = True
    """.. and messages of the assistant among them, as text."""
    clear: bool = True
    """It can forget audio that was appended."""
    server_cancels: bool = True
    """Its turn detection can interrupt a response by itself."""
    server_obeys: bool = True
    """Its turn detection can be told not to interrupt and not to answer (``interrupt_response``, ``create_response``)."""
    playout: Literal["client", "server"] = "client"
    """Who sounds the audio and knows what was heard. On a telephone or WebRTC side channel it is the server."""
    metadata: bool = True
    """It takes metadata with ``response.create`` and gives it back, so that a response is known to be ours."""
    out_of_band: bool = True
    """It can run responses beside the conversation (``conversation: "none"``)."""
    turn_detection: tuple[str, ...] = ("server_vad", "semantic_vad")
    """Kinds of turn detection that it knows. Null turns it off in every dialect."""
    detects_unasked: bool = True
    """It finds the user's turns where nothing was said of turn detection, and nothing is shown of it."""
    input_formats: tuple[AudioFormat, ...] = PROTOCOL_FORMATS
    """Formats that it takes from the microphone; the first is its default."""
    output_formats: tuple[AudioFormat, ...] = PROTOCOL_FORMATS
    """Formats in which it speaks; the first is its default."""
    images: Literal["item", "buffer", "none"] = "item"
    """How it is shown images: as parts of a user's message; by an event of their own beside the user's audio
    (``input_image_buffer.append``); or not at all."""
    reasoning: tuple[str, ...] = ()
    """What ``reasoning.effort`` may be, where there are models that reason; empty: the option does not exist."""
    second_session: bool = True
    """A second session may be open beside the first, so that one can be changed for the other without a gap."""
    session_s: int | None = None
    """How long a session lasts at most, in seconds; None where nobody has written it down."""

    @property
    def heard(self) -> Literal["server", "truncate", "rewrite", "note", "record"]:
        """How it comes to know how much of a message was heard, the best way first (DESIGN 5).

        ``server``: it sounds the audio itself. ``truncate``: it is told, and cuts its own audio. ``rewrite``: the message is
        deleted and the heard words are created in its place. ``note``: a system message says what was heard. ``record``: only the
        history on this side knows.
        """
        if self.playout == "server":
            return "server"
        if self.truncate:
            return "truncate"
        if self.delete and self.create_assistant:
            return "rewrite"
        return "note" if self.create else "record"


class Shape(Protocol):
    """How the objects of a generation look: ``_nested.NestedShape`` or ``_flat.FlatShape``, with a vendor's differences."""

    @property
    def kind(self) -> Literal["nested", "flat"]: ...
    def render_session(self, session: Wire, /) -> Wire: ...
    def read_session(self, session: Wire, /) -> Wire: ...
    def render_response(self, response: Wire, /) -> Wire: ...
    def render_item(self, item: Wire, /) -> Wire: ...


class Translation(Protocol):
    """A server's own events for the protocol's, for one connection: where it has only half of them, and other names.

    Each gives what is sent to the server, and what the core reads as if the server had said it. Neither raises.
    """

    def out(self, event: Wire, /) -> tuple[list[Wire], list[Wire]]:
        """For an event of ours."""

    def back(self, event: Wire, /) -> tuple[list[Wire], list[Wire]]:
        """For an event of the server's."""


class Mark(Struct, frozen=True):
    """One way in which a table was verified, and where that can be seen. A test fails where a mark refers to nothing.

    ``facts``: a section of the protocol facts, by its number. ``simulated``: a test that runs the dialect against the simulated
    server. ``peer``: a test that runs it against software that nobody here wrote. Tests are named as pytest names them, with the
    dialect's name as their case: a test that does not run this dialect by its name is no mark of it.
    """

    kind: Literal["facts", "simulated", "peer"]
    reference: str


def facts(*sections: str) -> tuple[Mark, ...]:
    """Written from these sections of the protocol facts."""
    return tuple(Mark("facts", section) for section in sections)


def simulated(name: str) -> Mark:
    """Run through the simulated world, with whatever else a world draws."""
    return Mark("simulated", f"tests/test_dialect_worlds.py::test_a_drawn_world_holds_in_every_dialect[{name}]")


class Sign(Struct, frozen=True):
    """By what the ``session`` of a server's first event is known for this dialect's, where nobody told which it is."""

    words: str
    """The same for people."""
    shown: Callable[[Wire], bool]
    """Whether a session, as it came, has the sign. Never raises."""
    sure: bool = True
    """Whether no other dialect's has it. One that is not sure only keeps the session from being taken for another's."""
    perhaps: Callable[[Wire], bool] = lambda session: False
    """Whether a session without the sign may still be this dialect's, and another's as well. Never raises."""


class Secrets(Struct, frozen=True):
    """How a server makes client secrets: keys for one client and a short time, such as a browser's (protocol facts 1.1, 13)."""

    path: str
    """What takes the place of ``realtime`` at the end of the websocket's path."""
    body: Literal["session", "flat", "none"] = "session"
    """Where the session stands that the secret opens: under ``session``, flat on top, or nowhere, because any is opened."""
    life_s: tuple[int, int] | None = (10, 7200)
    """Bounds of its life, in seconds; None where the server alone decides."""
    anchor: bool = True
    """Whether the life is said with what it counts from."""
    query: tuple[str, ...] = ()
    """Parameters of the websocket's address that are kept."""
    transcribing: str | None = None
    """The path for a session that only transcribes; None: none is known."""


class Dialect(Struct, frozen=True):
    """One dialect as a table: names and shapes both ways, address and authentication, capabilities, texts of errors.

    The ``render_*`` functions take GA-shaped objects, never change their argument, and raise ``LocalProtocolError`` for what the
    dialect cannot say. ``read_session`` never raises.
    """

    name: str
    title: str
    """Who speaks it, for people."""
    form: Shape
    """How its objects look."""
    capabilities: Capabilities
    way: Address
    """Where and how it is dialled."""
    address: str
    """The URL that ``handshake`` makes, with its variables in braces."""
    credential: str
    """Where the key or token goes."""
    verified: tuple[Mark, ...]
    """How the table was verified, each with where that can be seen."""
    source: str
    """Where its facts stand, and how sure they are."""
    check_version: Callable[[str], None] | None = None
    """Raises ``LocalProtocolError`` for an api-version that it does not have; None: it has none at all."""
    secrets: Secrets | None = None
    """How client secrets are made; None: not at all, as far as is known."""
    sign: Sign | None = None
    """By what its first event is recognised; None: it looks like the protocol's own (GA or beta)."""
    asks_formats: bool = False
    """Audio formats are asked for even where the program says nothing of them: the server's own defaults are others."""
    own_forms: frozenset[str] = frozenset()
    """Options of which the vendor can say more than they have, by path: that goes into ``session.vendor``, whole."""
    ignored: frozenset[str] = frozenset()
    """Its own events that mean nothing to a conversation, such as heartbeats; any other unknown one is an ``UnknownEvent``."""
    transcript_so_far: str = ""
    """Its own event that says the user's words so far, whole each time; empty: it has none."""
    translation: Callable[[], Translation] | None = None
    """Makes what stands between the core and this server's events; None: nothing has to."""
    model_in_session: bool = False
    """Whether the model is named in ``session.update``."""
    quirks: tuple[str, ...] = ()
    """What is different and looked after here, for people."""
    errors: tuple[DialectError, ...] = ()
    """Errors of this dialect's own servers, for ``classify(..., extra=)``: those of the protocol are known in every dialect."""

    @property
    def tried(self) -> Literal["facts", "simulated", "peer"]:
        """How far it was tried at most: only written from facts, against the simulated server, or against software of others."""
        kinds = {mark.kind for mark in self.verified}
        return "peer" if "peer" in kinds else "simulated" if "simulated" in kinds else "facts"

    @property
    def shape(self) -> Literal["nested", "flat"]:
        """How its session looks: ``audio.input...`` nested and with a type (GA), or flat (beta)."""
        return self.form.kind

    @property
    def subprotocol(self) -> Subprotocol | None:
        """How the credential stands among the websocket's subprotocols; None where the server does not take it there."""
        return self.way.subprotocol

    def render_session(self, session: Wire) -> Wire:
        """GA-shaped partial session to the ``session`` object of ``session.update``."""
        return self.form.render_session(session)

    def read_session(self, session: Wire) -> Wire:
        """The ``session`` object of ``session.created`` and ``session.updated``, of either generation, to GA shape."""
        return self.form.read_session(session)

    def render_response(self, response: Wire) -> Wire:
        """GA-shaped ``response`` object of ``response.create`` to the dialect's."""
        return self.form.render_response(response)

    def render_item(self, item: Wire) -> Wire:
        """GA-shaped item of ``conversation.item.create`` to the dialect's."""
        return self.form.render_item(item)

    def handshake(self, connection: "Connection", *, transcribes: bool = False) -> Handshake:
        """Where and how to dial; ``transcribes``: for a session of ``type`` ``"transcription"``, which some have elsewhere.

        Raises ``LocalProtocolError`` where the address or the key is missing or unusable.
        """
        return self.way.handshake(connection, transcribes=transcribes)
