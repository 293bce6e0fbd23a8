"""What a broken or newer server does to a message: changes that may mean anything, and changes that must mean nothing.

``changed`` makes a message that is nearly right. ``ineffective`` and ``garbage`` make messages of which it is known, without
asking the core, what they must do: the same as before, or nothing.
"""

import json
from collections.abc import Callable
from random import Random
from typing import Any

import msgspec
from helpers.wire import Event

from fuzzing.vocabulary import SERVER, Ids
from rtcore._wire_other import UNREAD

_encode = msgspec.json.Encoder().encode
_ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1 << 70, 1.5, 1e308, "", "r1", "m1", "\x00", "é" * 40, "AAAA", "A", "====", "%%%",
    [], {}, [None], {"id": 7}, {"type": "audio/pcm", "rate": 24_000}, {"type": "audio/pcmu"}, "completed", "cancelled",
    "in_progress", "incomplete", "audio", "text", "session_expired", "conversation_already_has_active_response",
)  # fmt: skip
_FIELDS = ("delta", "response_id", "item_id", "item", "part", "response", "session", "error", "x", "type")
_NEW = ("new_field", "x_vendor", "rid", "latency", "_", "né")
"""Names that no object of the facts has."""
_KINDS = {"item_id": "item", "previous_item_id": "item", "response_id": "response", "call_id": "call", "event_id": "event"}


def _inner(value: Any, random: Random) -> tuple[Any, Any]:
    """A container within the value, and one of its keys or places; the container is a copy that may be changed."""
    while True:
        key = random.choice(list(value)) if isinstance(value, dict) else int(random.random() * len(value))
        child = value[key]
        if not isinstance(child, dict | list) or not child or random.random() < 0.3:
            return value, key
        value[key] = child = child.copy()
        value = child


def changed(event: Event, random: Random, ids: Ids) -> tuple[str, bytes]:
    """One to three changes of a message's fields or of its text: what was done, and the message."""
    done = []
    event = event.copy()
    for _ in range(1 if random.random() < 0.7 else 3):
        if not event:
            break
        how = random.choice(_CHANGES)
        holder, key = _inner(event, random)
        done.append(how.__name__.lstrip("_"))
        how(holder, key, random, ids)
    message = _encode(event)
    if random.random() < 0.2:
        damage = random.choice(_DAMAGES)
        done.append(damage.__name__.lstrip("_"))
        message = damage(message, random)
    return done[0] if len(done) == 1 else "several", message


def _drop(holder: Any, key: Any, _: Random, __: Ids) -> None:
    del holder[key]


def _null(holder: Any, key: Any, _: Random, __: Ids) -> None:
    holder[key] = None


def _retype(holder: Any, key: Any, random: Random, _: Ids) -> None:
    holder[key] = random.choice(_ODD)


def _rename(holder: Any, key: Any, random: Random, ids: Ids) -> None:
    """Another id of its kind; where it is no id, another event's type."""
    if key in _KINDS:
        holder[key] = ids.name(_KINDS[key])
    elif isinstance(holder, dict) and "type" in holder:
        holder["type"] = random.choice(SERVER)


def _nest(holder: Any, key: Any, _: Random, __: Ids) -> None:
    holder[key] = {"value": holder[key], "id": holder[key]}


def _list(holder: Any, key: Any, _: Random, __: Ids) -> None:
    holder[key] = [holder[key]] * 2


def _deep(holder: Any, key: Any, random: Random, _: Ids) -> None:
    value = holder[key]
    for _level in range(60 if random.random() < 0.9 else 250):
        value = [value]
    holder[key] = value if random.random() < 0.9 else {"x": value}


def _number(holder: Any, key: Any, random: Random, _: Ids) -> None:
    holder[key] = random.choice((-1, 0, 1, 2**31, 2**63, -(2**63), 10**25, 0.5, 1e300, 480, 24_000))


def _add(holder: Any, key: Any, random: Random, _: Ids) -> None:
    if isinstance(holder, dict):
        holder[random.choice(_FIELDS)] = random.choice(_ODD)
    else:
        holder.append(random.choice(_ODD))


_CHANGES: tuple[Callable[[Any, Any, Random, Ids], None], ...] = (
    _drop, _drop, _null, _retype, _retype, _rename, _rename, _nest, _list, _deep, _number, _add,
)  # fmt: skip


def _key_twice(message: bytes, random: Random) -> bytes:
    return message[:-1] + b',"type":"' + random.choice((b"error", b"response.done", b"", b"x")) + b'"}'


def _cut_off(message: bytes, random: Random) -> bytes:
    return message[: int(random.random() * len(message))]


def _another_byte(message: bytes, random: Random) -> bytes:
    at = int(random.random() * len(message))
    return message[:at] + bytes([int(random.random() * 256)]) + message[at + 1 :]


def _more_behind(message: bytes, _: Random) -> bytes:
    return message + b"{}"


_DAMAGES = (_key_twice, _cut_off, _another_byte, _more_behind)


# -- changes that must mean nothing -----------------------------------------------------------------------------------------


def ineffective(event: Event, random: Random) -> tuple[str, bytes]:
    """The same message to anybody who reads what the facts say: in another spelling, with more fields, or with other values
    where the core says that it does not read them.
    """
    match int(random.random() * 5):
        case 0:
            return "other order", _encode(_shuffled(event, random))
        case 1:
            return "other spelling", json.dumps(event, ensure_ascii=True, indent=1).replace("/", "\\/").encode()
        case 2:
            return "new field", _encode({**event, random.choice(_NEW): random.choice(_ODD)})
        case 3:
            return "new field inside", _encode(_wider(event, random))
        case _:
            return "unread field", _encode(_unread(event, random))


def _shuffled(value: Any, random: Random) -> Any:
    if isinstance(value, dict):
        items = list(value.items())
        random.shuffle(items)
        return {key: _shuffled(inner, random) for key, inner in items}
    return [_shuffled(inner, random) for inner in value] if isinstance(value, list) else value


_OBJECTS = ("item", "part", "response", "error")
"""What is read field by field; a session is told whole."""


def _wider(event: Event, random: Random) -> Event:
    wider = event.copy()
    for name in _OBJECTS:
        inner = event.get(name)
        # What is retrieved is told whole, so that every field of it counts.
        if isinstance(inner, dict) and event["type"] != "conversation.item.retrieved":
            wider[name] = {**inner, random.choice(_NEW): random.choice(_ODD)}
    return wider


def _unread(event: Event, random: Random) -> Event:
    names = (*UNREAD["*"], *UNREAD.get(str(event.get("type")), ()))
    other = {**event, **{name: random.choice(_ODD) for name in names if random.random() < 0.5}}
    for name in _OBJECTS:
        inner = event.get(name)
        if isinstance(inner, dict) and event["type"] != "conversation.item.retrieved":
            other[name] = {**inner, **{field: random.choice(_ODD) for field in UNREAD.get(name, ()) if random.random() < 0.3}}
    return other


def garbage(event: Event, random: Random) -> tuple[str, bytes]:
    """A message that can do nothing but be reported: no JSON, no object, no type, or one that nobody knows."""
    whole = _encode(event)
    match int(random.random() * 5):
        case 0:
            return "cut off", whole[: int(random.random() * (len(whole) - 1))]
        case 1:
            return "no JSON", random.choice((b"", b"{", b"\xff\xfe", b"[" * 3000, b"nul", whole + b"{}", b"\x00" + whole))
        case 2:
            return "no object", random.choice((b"null", b"[]", b"17", b'"x"', b"[" + whole + b"]"))
        case 3:
            return "no type", _encode({**event, "type": random.choice((None, 5, [], {}, "", event))})
        case _:
            return "unknown type", _encode({**event, "type": random.choice(("x", "response.novelty", "session.mood", "é"))})
