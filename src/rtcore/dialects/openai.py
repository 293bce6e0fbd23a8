"""OpenAI: GA, which is the vocabulary of the core itself, and the beta that came before it (protocol facts 1, 2, 13)."""

from typing import TYPE_CHECKING

from msgspec import structs

from rtcore.dialects._address import Address, Subprotocol, azure_path, completed, is_azure
from rtcore.dialects._base import EFFORTS, Capabilities, Dialect, Mark, Secrets, facts, simulated
from rtcore.dialects._flat import FlatShape
from rtcore.dialects._nested import NestedShape

if TYPE_CHECKING:
    from rtcore.config import Connection

_HOST = "wss://api.openai.com"
_HOUR = 3600


def _ga_path(host: str, path: str) -> str:
    if is_azure(host) or path == "/openai":
        return azure_path(host, path, ("", "/openai"), "/openai/v1/realtime")
    return completed(path, ("",), "/v1/realtime")


def _ga_query(connection: "Connection", host: str) -> tuple[tuple[str, str], ...]:
    return (("model", (is_azure(host) and connection.deployment) or connection.model),)


_BROWSER = Subprotocol("openai-insecure-api-key", "facts 1.3: DOC, SDK", before=("realtime",), scopes=True)

OPENAI = Dialect(
    name="openai",
    title="OpenAI (GA)",
    capabilities=Capabilities(session_s=_HOUR, reasoning=EFFORTS),
    form=NestedShape("openai"),
    way=Address(path=_ga_path, query=_ga_query, base=_HOST, calls=True, intents=True, subprotocol=_BROWSER),
    secrets=Secrets("realtime/client_secrets", transcribing="realtime/client_secrets"),
    address="wss://api.openai.com/v1/realtime?model={model}",
    credential="Authorization: Bearer",
    verified=(
        *facts("1", "2", "4", "5", "6", "8", "9", "13"),
        simulated("openai"),
        Mark("peer", "interop/test_models.py::test_every_event_is_what_the_openai_package_says[openai]"),
        Mark("peer", "interop/test_servers.py::test_aimock[openai]"),
    ),
    source="facts 1 to 11: SDK, SPEC, recordings of live sessions",
    quirks=("a host of Azure gets /openai/v1/realtime and the api-key header, as the azure dialect does",),
)
"""GA names, nested session, ``Authorization: Bearer``; ``api-key`` and ``/openai/v1`` where the host is an Azure resource."""


OPENAI_BETA = Dialect(
    name="openai-beta",
    title="OpenAI (beta), and gateways that kept it",
    capabilities=Capabilities(session_s=_HOUR // 2, images="none"),
    form=FlatShape("openai-beta", transcription_sessions=True),
    way=Address(
        path=lambda host, path: completed(path, ("",), "/v1/realtime"),
        query=lambda connection, host: (("model", connection.model),),
        base=_HOST,
        headers=(("OpenAI-Beta", "realtime=v1"),),
        intents=True,
        subprotocol=structs.replace(_BROWSER, after=("openai-beta.realtime-v1",)),
    ),
    # SDK: beta.realtime.sessions.create, beta.realtime.transcription_sessions.create
    secrets=Secrets("realtime/sessions", "flat", transcribing="realtime/transcription_sessions"),
    address="wss://api.openai.com/v1/realtime?model={model}",
    credential="Authorization: Bearer and OpenAI-Beta: realtime=v1",
    verified=(
        *facts("1", "13"),
        simulated("openai-beta"),
        Mark("peer", "interop/test_servers.py::test_aimock[openai-beta]"),
    ),
    source="facts 13, 1.4: SDK; OpenAI itself closes it with 4000 since 2026-05-12",
    quirks=(
        "announces items by conversation.item.created alone",
        "the name of a function is taken from its item, because arguments.done has none",
    ),
)
"""Preview names, flat session, and the header that OpenAI's GA servers refuse (1.4): only where it is asked for."""
