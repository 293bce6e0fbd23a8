"""Dialects: one table each, used at the core's edge only, and what the errors of all of them mean."""

import re
from typing import TYPE_CHECKING
from urllib.parse import SplitResult

from msgspec import structs

from rtcore._errors import DialectError as DialectError
from rtcore._errors import ErrorKind as ErrorKind
from rtcore._errors import LocalProtocolError
from rtcore._errors import classify as classify
from rtcore._errors import connection_problem as connection_problem
from rtcore._errors import held_ms as held_ms
from rtcore._errors import problem as problem
from rtcore._errors import quoted_item_id as quoted_item_id
from rtcore.dialects._address import Subprotocol as Subprotocol
from rtcore.dialects._address import call_in, is_azure, no_subprotocol, split_url, version_in
from rtcore.dialects._base import Capabilities as Capabilities
from rtcore.dialects._base import Dialect as Dialect
from rtcore.dialects._base import Mark as Mark
from rtcore.dialects._base import Secrets as Secrets
from rtcore.dialects._base import Sign as Sign
from rtcore.dialects._base import Translation as Translation
from rtcore.dialects._base import Wire as Wire
from rtcore.dialects._shapes import FLAT_NAMES as FLAT_NAMES
from rtcore.dialects._shapes import audio_format as audio_format
from rtcore.dialects._shapes import ga_format as ga_format
from rtcore.dialects._shapes import listening as listening
from rtcore.dialects._shapes import read_session as read_session
from rtcore.dialects.azure import AZURE as AZURE
from rtcore.dialects.azure import AZURE_PREVIEW as AZURE_PREVIEW
from rtcore.dialects.azure import AZURE_VOICE_LIVE as AZURE_VOICE_LIVE
from rtcore.dialects.azure import PREVIEWS, check_preview
from rtcore.dialects.openai import OPENAI as OPENAI
from rtcore.dialects.openai import OPENAI_BETA as OPENAI_BETA
from rtcore.dialects.transcribers import TOGETHER, VLLM
from rtcore.dialects.vendors import GLM, INWORLD, LOCALAI, QWEN, SPEACHES, SPEECH_TO_SPEECH, STEPFUN, XAI

if TYPE_CHECKING:
    from rtcore.config import Connection

DIALECTS: dict[str, Dialect] = {
    table.name: table
    for table in (
        OPENAI,
        OPENAI_BETA,
        AZURE,
        AZURE_PREVIEW,
        AZURE_VOICE_LIVE,
        XAI,
        QWEN,
        INWORLD,
        STEPFUN,
        GLM,
        LOCALAI,
        SPEACHES,
        SPEECH_TO_SPEECH,
        VLLM,
        TOGETHER,
    )
}
"""Every dialect by its name."""


def dialect(name: str) -> Dialect:
    """The dialect of that name (``DIALECTS`` has them all). Raises ``LocalProtocolError`` for another."""
    try:
        return DIALECTS[name]
    except KeyError:
        raise LocalProtocolError(f"dialect: {name!r} is not known; known are {', '.join(DIALECTS)}") from None


def capabilities(connection: "Connection", table: Dialect | None = None) -> Capabilities:
    """What the server that ``connection`` leads to can do, as far as is known before it has spoken.

    On the side channel of a call (``call_id``) the server sounds the audio and knows what was heard: it cuts by itself, and takes
    no truncate and no delete of unheard items from us (DESIGN 5).
    """
    table = table or dialect_of(connection) or OPENAI
    if not on_a_call(connection):
        return table.capabilities
    return structs.replace(table.capabilities, playout="server")


def on_a_call(connection: "Connection") -> bool:
    """Whether the connection is the side channel of a call."""
    parts = _parts(connection)
    return connection.call_id is not None or (parts is not None and call_in(parts.query))


def dialect_of(connection: "Connection") -> Dialect | None:
    """The dialect that was told, or that the address tells; None where the server's first event must (``recognised``)."""
    if connection.dialect is not None:
        return dialect(connection.dialect)
    if connection.url is None:
        return OPENAI
    parts = _parts(connection)
    found = _by_address(parts) if parts is not None else None
    # An Azure resource speaks both generations: a preview's api-version says which is meant.
    said = {connection.api_version, version_in(parts.query) if parts is not None else None}
    return AZURE_PREVIEW if found is AZURE and said & set(PREVIEWS) else found


def check_given(connection: "Connection") -> None:
    """Raise ``LocalProtocolError`` for an api-version or a deployment that would not be sent, since the dialect has none."""
    table = dialect_of(connection)
    if connection.api_version is not None:
        if table is None:
            having = [name for name in _versioned() if _has_version(DIALECTS[name], connection.api_version)] or _versioned()
            raise _untold("api_version", connection.api_version, having)
        check_version(table, connection.api_version)
    if connection.deployment is None or table in _DEPLOYING:
        return
    if connection.url is None and connection.dialect is None:
        return  # the environment may still name an Azure resource; else it is refused when dialled
    having = [each.name for each in _DEPLOYING]
    if table is None:
        raise _untold("deployment", connection.deployment, having)
    parts = _parts(connection)
    if table is not OPENAI or parts is None or not is_azure(parts.hostname or ""):  # which GA's own names reach, too
        raise LocalProtocolError(
            f"deployment: {connection.deployment!r}: the {table.name} dialect has none; name it in model, or say whose "
            f"it is ({', '.join(having)} have one)"
        )


_DEPLOYING = (AZURE, AZURE_PREVIEW)


def _versioned() -> list[str]:
    return [name for name, each in DIALECTS.items() if each.check_version is not None]


def _untold(option: str, value: str, having: list[str]) -> LocalProtocolError:
    return LocalProtocolError(
        f"{option}: {value!r}: the address does not tell the dialect, and not every one has it; say connection.dialect "
        f"({' or '.join(map(repr, having))})"
    )


def check_transcribing(connection: "Connection") -> None:
    """Raise ``LocalProtocolError`` for a model of a session that only transcribes, where the address has an intent for it."""
    table = dialect_of(connection)
    if not (table or OPENAI).way.intents:
        return
    instead = "" if table is not None else ", or, if this server wants it there, in the address (?model=...)"
    for option in ("deployment", "model"):
        value = getattr(connection, option)
        if option in connection.model_fields_set and value is not None:
            raise LocalProtocolError(
                f"connection.{option}: {value!r}: a session that only transcribes is dialled without one; name its model "
                f"in session.audio.input.transcription.model{instead}"
            )


def check_version(table: Dialect, version: str) -> None:
    """Raise ``LocalProtocolError`` for an api-version that the dialect does not have, with what to say instead."""
    if table.check_version is not None:
        table.check_version(version)
        return
    if table is AZURE and version.endswith("-preview"):
        check_preview(version)  # one that is retired has a successor
    have = _versioned()
    takes = [name for name in have if _has_version(DIALECTS[name], version)]
    instead = f", or say whose it is: {' or '.join(f'dialect={name!r}' for name in takes)}" if takes else ""
    raise LocalProtocolError(
        f"api_version: {version!r}: the {table.name} dialect has none; leave it out{instead} ({', '.join(have)} have one)"
    )


def _has_version(table: Dialect, version: str) -> bool:
    try:
        check_version(table, version)
    except LocalProtocolError:
        return False
    return True


def check_address_version(connection: "Connection") -> None:
    """Raise ``LocalProtocolError`` for an api-version in the address that was a preview's and is none any more."""
    parts, table = _parts(connection), dialect_of(connection)
    version = version_in(parts.query) if parts is not None else None
    if version is None or table is None:
        return
    if table.check_version is not None:
        table.check_version(version)
    elif table is AZURE and version.endswith("-preview"):
        check_preview(version)


def check_authentication(connection: "Connection") -> None:
    """Raise ``LocalProtocolError`` where the key is to stand among the subprotocols and the dialect's server looks elsewhere."""
    table = dialect_of(connection)
    if connection.authentication == "subprotocol" and table is not None and table.subprotocol is None:
        able = ", ".join(name for name, each in DIALECTS.items() if each.subprotocol is not None)
        raise no_subprotocol(f"a server of the {table.name} dialect", f"{table.way.instead} ({able} take one)")


def _parts(connection: "Connection") -> SplitResult | None:
    try:
        return None if connection.url is None else split_url(connection.url)
    except LocalProtocolError:
        return None  # told when it is dialled


_HOSTS = {
    "api.openai.com": OPENAI,
    "api.x.ai": XAI,
    "api.inworld.ai": INWORLD,
    "api.stepfun.com": STEPFUN,
    "api.stepfun.ai": STEPFUN,
    "open.bigmodel.cn": GLM,
    "api.together.ai": TOGETHER,
    "api.together.xyz": TOGETHER,
}


_ALIBABA = re.compile(r"((.+\.)?dashscope(-[a-z0-9-]+)?|.+\.maas)\.aliyuncs\.com")
"""Alibaba's hosts by region: the shared ones, and those of a workspace (the vendor's page of base URLs)."""


def _by_address(parts: SplitResult) -> Dialect | None:
    host = parts.hostname or ""
    if parts.path.startswith("/voice-live"):
        return AZURE_VOICE_LIVE
    if "deployment=" in parts.query or parts.path in ("/openai/realtime", "/openai/deployments"):
        return AZURE_PREVIEW
    if is_azure(host):
        return AZURE
    return QWEN if _ALIBABA.fullmatch(host) else _HOSTS.get(host)


_FLAT = frozenset({"modalities", "input_audio_format", "output_audio_format", "max_response_output_tokens"})
_BETA_FORMATS = (None, "pcm16", "g711_ulaw", "g711_alaw")


def suspected(session: Wire) -> tuple[Dialect, ...]:
    """The dialects whose sign the ``session`` object of ``session.created`` shows: those that are sure, else all."""
    signs = [(table, table.sign) for table in DIALECTS.values() if table.sign is not None]
    sure = [table for table, sign in signs if sign.sure and sign.shown(session)]
    return tuple(sure or [table for table, sign in signs if sign.shown(session) or sign.perhaps(session)])


def recognised(session: Wire) -> Dialect | None:
    """The dialect that the ``session`` object of ``session.created`` shows; None where it shows none for sure.

    One with a sign of its own is known by that. Without any, it is the protocol's own, of either generation, where it fits that
    wholly: Azure's and those of some servers of one's own do, and are served alike.
    """
    found = suspected(session)
    if found:
        [first, *more] = found
        # A translation has to see the first event itself, and this is too late for it.
        sign = first.sign
        sure = sign is not None and sign.sure and sign.shown(session) and not more and first.translation is None
        return first if sure else None
    if isinstance(session.get("audio"), dict) or session.get("type") == "realtime" or "output_modalities" in session:
        return OPENAI
    formats = session.get("input_audio_format"), session.get("output_audio_format")
    return OPENAI_BETA if _FLAT.intersection(session) and all(each in _BETA_FORMATS for each in formats) else None
