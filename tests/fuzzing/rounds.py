"""One round of the campaign of broken messages: a session, some dozens of messages, and what must hold after each.

Two kinds, told by the round's number. In a *replayed* round a recorded conversation of the corpus is run again; garbage is put
between its messages, and the messages are changed in ways that mean nothing: every effect must be what it is without. In a
*broken* round the messages of a conversation are changed in ways that may mean anything, left out, doubled and mixed with others;
after each, an exchange that is known to be good must be understood, and at the end everything must come to rest.

All is drawn from the seed and the round's number, so that a round can be run again alone.
"""

from collections import Counter
from collections.abc import Callable
from functools import cache
from random import Random
from typing import Any

import msgspec
from corpus.make import CASES, path_of
from helpers.wire import Event

from fuzzing import mutation, vocabulary
from fuzzing.exchange import Talk
from rtcore import Config, Effect, Issued, ProtocolWarning, Session, UnknownEvent
from rtcore.recording import Recording, call, unpack
from rtcore_adapters._recording import read_recording

_REPLAYED = 3
"""Every third round replays."""
_LONG = 200
"""Every so many rounds is a long one in one session, at whose end the session's memory is looked at."""
_LONG_MESSAGES = 4_000
_MESSAGES = 60


class Broken(AssertionError):
    """A promise was broken: what was seen, the messages before it, the last of them the one that did it."""

    def __init__(self, what: str, messages: list[bytes]) -> None:
        super().__init__(what)
        self.messages = messages


class Tally:
    """What a campaign has sent, by kind of message, and what became of it."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    @property
    def messages(self) -> int:
        """Mutated messages."""
        return self.counts["messages"]

    def sent(self, kind: str) -> None:
        """One more mutated message."""
        self.counts["messages"] += 1
        self.counts[f"sent: {kind}"] += 1


def preload() -> None:
    """Read the conversations, so that what is made once is made before memory is looked at."""
    for name in CASES:
        _inputs(name)
    for name in _TOLD:
        _story(name)


def run(seed: int, number: int, tally: Tally) -> None:
    """Run one round. Raises ``Broken`` where a promise is broken."""
    random = Random(f"{seed} {number}")
    if number % _REPLAYED == 0:
        _replayed(random, tally)
    else:
        _broken(random, tally, _LONG_MESSAGES if number % _LONG == 1 else _MESSAGES)


# -- replayed rounds ---------------------------------------------------------------------------------------------------------


@cache
def recorded(name: str) -> Recording:
    """A conversation of the corpus."""
    return read_recording(path_of(name))


class _Input:
    """One input of a recording, ready to be fed; for a message of the server, the event that it carries."""

    __slots__ = ("event", "feed", "now")

    def __init__(self, do: str, given: dict[str, Any], now: float) -> None:
        self.now = now
        self.event: Event | None = None
        self.feed: Callable[[Session, bytes | None], list[Effect] | Issued]
        if do == "receive" and "payload" in given:
            payload = unpack(given["payload"]).encode()
            connection = given["connection"]
            try:
                event = msgspec.json.decode(payload)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                event = None
            self.event = event if isinstance(event, dict) and event.get("type") in vocabulary.SERVER else None
            self.feed = lambda session, other: session.receive(connection, payload if other is None else other, now=now)
        else:
            self.feed = lambda session, _: call(session, do, given, now)


_UNHEEDED = (ProtocolWarning, UnknownEvent)


@cache
def _inputs(name: str) -> tuple[Config, list[_Input], list[list[Effect]]]:
    """A conversation's configuration, its inputs, and what each gives as recorded, but for reports of unusable messages."""
    recording = recorded(name)
    config = recording.header.configuration()
    inputs = [_Input(each.do, each.given, each.now) for each in recording.inputs]
    session = Session(config, clock=recording.header.clock, seed=recording.header.seed)
    return config, inputs, [_fed(session, each, None) for each in inputs]


def _fed(session: Session, given: _Input, other: bytes | None) -> list[Effect]:
    try:
        result = given.feed(session, other)
    except ValueError:
        return []  # the program's mistake, as it was recorded
    return [effect for effect in _effects(result) if not isinstance(effect, _UNHEEDED)]


def _effects(result: list[Effect] | Issued) -> list[Effect]:
    return result.effects if isinstance(result, Issued) else result


_PLAIN = tuple(name for name in CASES if name != "remote-tools-and-the-raw-wire")
"""With a tap every message is told, so that another spelling of it is another notice."""


def _replayed(random: Random, tally: Tally) -> None:
    """B27, C29: what cannot be used, and what is said in another way, changes nothing of what comes after it."""
    name = random.choice(_PLAIN)
    config, inputs, expected = _inputs(name)
    header = recorded(name).header
    session = Session(config, clock=header.clock, seed=header.seed)
    messages: list[bytes] = []
    share = random.choice((0.1, 0.5, 0.9))
    now = inputs[0].now
    late: list[Effect] = []
    for given, wanted in zip(inputs, expected, strict=True):
        other: bytes | None = None
        event = given.event
        if event is not None and random.random() < share:
            for _ in range(int(random.random() * 3)):
                kind, junk = mutation.garbage(event, random)
                messages.append(junk)
                tally.sent(kind)
                # At the time of the input before it: what was due then is done.
                late += [e for e in _received(session, junk, now, messages) if not isinstance(e, _UNHEEDED)]
            kind, other = mutation.ineffective(event, random)
            messages.append(other)
            tally.sent(kind)
        now = given.now
        try:
            found = _fed(session, given, other)
            tally.counts["replayed inputs"] += 1
        except Exception as error:
            raise Broken(f"{name}: raised {type(error).__name__}: {error}", messages) from error
        if late or found != wanted:
            raise Broken(f"{name}: at {now} s the session gave\n  {late + found}\nwithout the changes\n  {wanted}", messages)


def _received(session: Session, message: bytes, now: float, messages: list[bytes]) -> list[Effect]:
    try:
        return session.receive(1, message, now=now)
    except Exception as error:
        raise Broken(f"raised {type(error).__name__}: {error}", messages) from error


# -- broken rounds -----------------------------------------------------------------------------------------------------------


@cache
def _story(name: str) -> list[Event]:
    """The server's messages in a conversation of the corpus, with little sound in them."""
    return [_short(each.event) for each in _inputs(name)[1] if each.event is not None]


def _short(event: Event) -> Event:
    delta = event.get("delta")
    return {**event, "delta": delta[:64]} if isinstance(delta, str) and len(delta) > 64 else event


_TOLD = tuple(name for name in CASES if name not in ("refused-handshake", "session-never-acknowledged", "session-expired"))
_DIALECTS: tuple[dict[str, Any], ...] = (
    {"dialect": "openai", "api_key": "k"},
    {"dialect": "openai-beta", "api_key": "k"},
    {"dialect": "azure-preview", "url": "https://x.example", "api_key": "k"},
    {"dialect": "xai", "api_key": "k"},
    {"dialect": "speech-to-speech", "url": "ws://localhost"},
    {"dialect": "openai", "call_id": "rtc_1", "api_key": "k"},
)
_OPTIONS: tuple[dict[str, Any], ...] = (
    {},
    {"context": "exact"},
    {"interruption": "ignore"},
    {"interruption": "pause"},
    {"interruption": "half_duplex"},
    {"barge_in": {"echo_guard_ms": 500}},
    {"text_answers": "retry"},
    {"function_calls": {"interrupted": "cancel", "slow_ms": 1000}},
    {"playout": {"lead_ms": 60}},
    {"tap": "all"},
    {"session": {"output_modalities": ["text"]}},
    {"session": {"audio": {"input": {"turn_detection": None}}}},
)


@cache
def _config(dialect: int, options: int) -> Config | None:
    try:
        return Config.model_validate({"connection": _DIALECTS[dialect], **_OPTIONS[options]})
    except ValueError:
        return None  # a dialect without that option


def _broken(random: Random, tally: Tally, length: int) -> None:
    """C29, B27, B31: nothing raises, no later event is lost, everything comes to rest, and memory is bounded."""
    config = None
    while config is None:
        config = _config(int(random.random() * len(_DIALECTS)), int(random.random() * len(_OPTIONS)))
    talk = Talk(config, random)
    ids = vocabulary.Ids(random)
    messages: list[bytes] = []
    try:
        talk.begin(lambda: _early(talk, random, ids, tally, messages))
        while length > 0 and not talk.ended():
            story = _story(random.choice(_TOLD))
            at = int(random.random() * len(story))
            for event in story[at : at + int(random.random() * 60)]:
                length -= _step(talk, event, random, ids, tally, messages)
                if length <= 0 or talk.ended():
                    break
        tally.counts["ended by a fatal error"] += talk.ended()
        talk.end(long=len(messages) > _LONG_MESSAGES // 2)
    except Broken:
        raise
    except Exception as error:
        raise Broken(f"{type(error).__name__}: {error}", messages[-400:]) from error


def _early(talk: Talk, random: Random, ids: vocabulary.Ids, tally: Tally, messages: list[bytes]) -> None:
    """Some messages before the session is acknowledged."""
    if random.random() < 0.2:
        for _ in range(int(random.random() * 4)):
            _mutated(talk, vocabulary.event(random, ids), random, ids, tally, messages)


def _step(talk: Talk, event: Event, random: Random, ids: vocabulary.Ids, tally: Tally, messages: list[bytes]) -> int:
    """One message of the story, as it is or not; and after one that is not, the good exchange. Gives how many were mutated."""
    _learn(event, ids)
    drawn = random.random()
    if drawn < 0.3 and event["type"] != "error":
        talk.server(msgspec.json.encode(event))
        return 0
    if drawn < 0.35:
        return 0  # left out
    source = vocabulary.event(random, ids) if drawn > 0.7 else event
    _mutated(talk, source, random, ids, tally, messages)
    talk.exchange()
    tally.counts["exchanges"] += 1
    return 1


def _mutated(talk: Talk, event: Event, random: Random, ids: vocabulary.Ids, tally: Tally, messages: list[bytes]) -> None:
    if random.random() < 0.15:
        kind, message = "of the facts", msgspec.json.encode(event)
    else:
        kind, message = mutation.changed(event, random, ids)
    messages.append(message)
    tally.sent(kind)
    talk.server(message)
    if random.random() < 0.1:
        talk.server(message)
    if random.random() < 0.1:
        talk.command()


def _learn(event: Event, ids: vocabulary.Ids) -> None:
    for key, kind in (("response_id", "response"), ("item_id", "item"), ("call_id", "call")):
        name = event.get(key)
        if isinstance(name, str):
            ids.learn(kind, name)
