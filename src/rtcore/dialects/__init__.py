"""Dialects: one table each, used at the core's edge only, and what the errors of all of them mean."""

from rtcore._errors import ErrorKind as ErrorKind
from rtcore._errors import LocalProtocolError
from rtcore._errors import classify as classify
from rtcore._errors import connection_problem as connection_problem
from rtcore._errors import held_ms as held_ms
from rtcore._errors import problem as problem
from rtcore._errors import quoted_item_id as quoted_item_id
from rtcore.dialects._base import Capabilities as Capabilities
from rtcore.dialects._base import Dialect as Dialect
from rtcore.dialects._base import Wire as Wire
from rtcore.dialects._base import audio_format as audio_format
from rtcore.dialects._base import ga_format as ga_format
from rtcore.dialects._base import read_session as read_session
from rtcore.dialects.azure_preview import AZURE_PREVIEW as AZURE_PREVIEW
from rtcore.dialects.openai import OPENAI as OPENAI

_DIALECTS = {table.name: table for table in (OPENAI, AZURE_PREVIEW)}


def dialect(name: str) -> Dialect:
    """The dialect of that name, ``"openai"`` or ``"azure-preview"``. Raises ``LocalProtocolError`` for another."""
    try:
        return _DIALECTS[name]
    except KeyError:
        raise LocalProtocolError(f"dialect: {name!r} is not known; known are {', '.join(_DIALECTS)}") from None
