"""Are these events what the ``openai`` package says events are?

Reads JSON lines ``{"side", "dialect", "event"}`` and writes one JSON line for each that is not: ``{"side", "dialect", "type",
"where", "drift"}``. Server events are validated strictly by the package's models (``openai.types.realtime``, for the preview
dialect ``openai.types.beta.realtime``), client events by its parameter types. The package's client itself is more lenient: it
validates nothing. A field that the models do not know is a drift too. The side ``"request"`` is a body of HTTP:
``{"type": <the last part of its path>, "body": ...}``, read by the package's parameter types of that request.
"""

import json
import sys
from collections.abc import Iterable, Iterator
from typing import Any, get_args, get_origin, get_type_hints

import openai.types.beta.realtime as preview
import openai.types.realtime as current
from openai.types.beta.realtime.realtime_client_event_param import RealtimeClientEventParam as PreviewClientEvent
from openai.types.beta.realtime.session_create_params import SessionCreateParams
from openai.types.beta.realtime.transcription_session_create_params import TranscriptionSessionCreateParams
from openai.types.realtime.call_accept_params import CallAcceptParams
from openai.types.realtime.client_secret_create_params import ClientSecretCreateParams
from openai.types.realtime.realtime_client_event_param import RealtimeClientEventParam as ClientEvent
from pydantic import BaseModel, TypeAdapter, ValidationError

Drift = Iterator[tuple[str, str]]


def by_type(union: Any) -> dict[str, TypeAdapter[Any]]:
    """The members of a union by the ``type`` that they are for."""
    if hasattr(union, "__metadata__"):
        union = union.__origin__
    found = {}
    for member in get_args(union):
        model = isinstance(member, type) and issubclass(member, BaseModel)
        hint = member.model_fields["type"].annotation if model else get_type_hints(member)["type"]
        while get_origin(hint) is not None and not isinstance(get_args(hint)[0], str):
            hint = get_args(hint)[0]
        found.update({each: TypeAdapter(member) for each in get_args(hint)})
    return found


MODELS = {
    ("server", "openai"): by_type(current.RealtimeServerEvent),
    ("client", "openai"): by_type(ClientEvent),
    ("server", "azure-preview"): by_type(preview.RealtimeServerEvent),
    ("client", "azure-preview"): by_type(PreviewClientEvent),
    ("request", "openai"): {"client_secrets": TypeAdapter(ClientSecretCreateParams), "accept": TypeAdapter(CallAcceptParams)},
    ("request", "openai-beta"): {
        "sessions": TypeAdapter(SessionCreateParams),
        "transcription_sessions": TypeAdapter(TranscriptionSessionCreateParams),
    },
}


def drifts(side: str, dialect: str, event: dict[str, Any]) -> Drift:
    """Where the event is not what the package says, and how."""
    kind = event["type"]
    adapter = MODELS[side, dialect].get(kind)
    if adapter is None:
        yield "", f"no such event: {kind}"
        # What the beta's types lack may be among the newer ones.
        adapter = MODELS[side, "openai"].get(kind)
    if adapter is None:
        return
    event = event["body"] if side == "request" else event
    try:
        read = adapter.validate_json(json.dumps(event), strict=True)
        yield from unknown(event, read, "")
    except ValidationError as wrong:
        for line in wrong.errors(include_url=False):
            yield place(line["loc"]), f"{line['type']}: {line['msg']}"


def unknown(given: object, read: object, where: str) -> Drift:
    """What was given and is not among what was read."""
    if isinstance(given, dict):
        if isinstance(read, BaseModel):
            known = {field.alias or name: getattr(read, name) for name, field in type(read).model_fields.items()}
        elif isinstance(read, dict):
            known = read
        else:
            return
        for name, value in given.items():
            at = f"{where}.{name}".lstrip(".")
            if name not in known:
                yield at, "unknown field"
            else:
                yield from unknown(value, known[name], at)
    elif isinstance(given, list) and isinstance(read, Iterable):
        for value, inner in zip(given, read, strict=True):  # an Iterable of a parameter type is validated only here
            yield from unknown(value, inner, f"{where}[]")


def place(loc: tuple[int | str, ...]) -> str:
    """Keys and indexes as one path; the names of the union's members, which pydantic puts between, are not in it."""
    return ".".join("[]" if isinstance(each, int) else each for each in loc).replace(".[]", "[]")


def main() -> None:
    """One line in, none or more out."""
    for line in sys.stdin:
        given = json.loads(line)
        side, dialect, event = given["side"], given["dialect"], given["event"]
        for where, drift in drifts(side, dialect, event):
            print(json.dumps({"side": side, "dialect": dialect, "type": event["type"], "where": where, "drift": drift}))


if __name__ == "__main__":
    main()
