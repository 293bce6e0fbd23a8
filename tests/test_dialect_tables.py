"""Every dialect's table: addresses and credentials, sessions in its shape, what it has no word for, and how it is recognised."""

from typing import Any

import pytest
from helpers.scene import Scene, configured, sent, told
from helpers.wire import encode

from rtcore import (
    PCM16_24K,
    PCMU,
    AudioFormat,
    LocalProtocolError,
    MessageEnded,
    ProtocolWarning,
    ResponseEnded,
    ServerError,
    Session,
    SessionClosed,
    UnknownEvent,
    Verdict,
)
from rtcore.config import Config, Connection, SessionOptions, parse_options
from rtcore.dialects import DIALECTS, Dialect, capabilities, dialect, dialect_of, recognised
from rtcore_adapters._link import secrets_of

KEY = "sk-very-secret"
ALL = pytest.mark.parametrize("table", DIALECTS.values(), ids=lambda table: table.name)
ANSWERING = pytest.mark.parametrize(
    "table", [table for table in DIALECTS.values() if table.capabilities.answers], ids=lambda table: table.name
)
PCM16K = AudioFormat("audio/pcm", 16_000)
OFF = {"audio": {"input": {"turn_detection": None}}}


def connection(name: str | None, url: str | None = None, **more: Any) -> Connection:
    return Connection.model_validate({"dialect": name, "url": url, "api_key": KEY, **more})


# -- turn detection ----------------------------------------------------------------------------------------------------------

NULL = {"turn_detection": None}
MANUAL: dict[str, dict[str, Any]] = {
    "nested": {"type": "realtime", "audio": {"input": NULL}},
    "flat": NULL,
    "xai": NULL,
    "glm": {"turn_detection": {"type": "client_vad"}},
}


@ALL
def test_turn_detection_is_turned_off_in_every_dialect(table: Dialect) -> None:  # C13, F138
    asked = parse_options(OFF).wire()
    rendered = table.render_session(asked)
    assert rendered == MANUAL.get(table.name, MANUAL[table.shape])
    assert table.read_session(rendered)["audio"]["input"]["turn_detection"] is None


@pytest.mark.parametrize(
    "table", [table for table in DIALECTS.values() if table.capabilities.turn_detection], ids=lambda table: table.name
)
def test_a_turn_detection_at_its_defaults_can_be_said_in_every_dialect(table: Dialect) -> None:  # F122: always sent whole
    kind = table.capabilities.turn_detection[0]
    rendered = table.render_session(parse_options({"audio": {"input": {"turn_detection": {"type": kind}}}}).wire())
    flat = "turn_detection" in rendered
    said = rendered["turn_detection"] if flat else rendered["audio"]["input"]["turn_detection"]
    assert said["type"] == kind
    read = table.read_session(rendered)["audio"]["input"]["turn_detection"]
    assert read == said or table.render_session({"audio": {"input": {"turn_detection": read}}})["turn_detection"] == said


@ALL
def test_a_kind_of_turn_detection_that_a_dialect_lacks_is_refused_with_what_it_has(table: Dialect) -> None:  # F133
    for kind in {"server_vad", "semantic_vad", "azure_semantic_vad"} - set(table.capabilities.turn_detection):
        with pytest.raises(LocalProtocolError, match=rf"turn_detection.*{kind}.*{table.name}.*None for manual turns"):
            table.render_session(parse_options({"audio": {"input": {"turn_detection": {"type": kind}}}}).wire())


# -- formats -----------------------------------------------------------------------------------------------------------------


def _format(form: AudioFormat) -> dict[str, Any]:
    return {"type": form.type, "rate": form.rate} if form.type == "audio/pcm" else {"type": form.type}


@ALL
def test_every_format_that_a_dialect_has_is_written_and_read_back(table: Dialect) -> None:  # F016, C22
    able = table.capabilities
    for side, formats in (("input", able.input_formats), ("output", able.output_formats)):
        for form in formats:
            asked = parse_options({"audio": {side: {"format": _format(form)}}}).wire()
            shown = table.read_session(table.render_session(asked))["audio"][side]["format"]
            assert shown == _format(form), (side, form)


@ALL
def test_a_format_that_a_dialect_lacks_is_refused_with_what_it_has(table: Dialect) -> None:  # F016, F127
    for side in ("input", "output") if table.capabilities.answers else ("input",):
        with pytest.raises(
            LocalProtocolError, match=rf"audio\.{side}\.format\.rate: the {table.name} dialect .*samples per second"
        ):
            table.render_session(parse_options({"audio": {side: {"format": {"type": "audio/pcm", "rate": 11_025}}}}).wire())
    if PCMU not in table.capabilities.input_formats:
        with pytest.raises(LocalProtocolError, match=r"audio\.input\.format: .*its formats are audio/pcm"):
            table.render_session(parse_options({"audio": {"input": {"format": "g711_ulaw"}}}).wire())


def test_the_same_name_means_another_rate_at_qwen() -> None:  # facts 14
    qwen = dialect("qwen")
    shown = qwen.read_session({"input_audio_format": "pcm16", "output_audio_format": "pcm24"})
    assert shown == {"audio": {"input": {"format": _format(PCM16K)}, "output": {"format": _format(PCM16_24K)}}}
    session = Session(Config(connection=connection("qwen")))
    assert (session.input_format, session.output_format) == (PCM16K, PCM16_24K)


def test_voice_live_names_the_rate_of_its_input_apart() -> None:  # facts 14
    table = dialect("azure-voice-live")
    asked = parse_options({"audio": {"input": {"format": {"type": "audio/pcm", "rate": 16000}}}}).wire()
    assert table.render_session(asked) == {"input_audio_format": "pcm16", "input_audio_sampling_rate": 16000}


# -- shapes ------------------------------------------------------------------------------------------------------------------

ASKED = SessionOptions.model_validate(
    {
        "instructions": "Be brief.",
        "audio": {"input": {"turn_detection": {"type": "server_vad"}}, "output": {"voice": "alloy"}},
        "tools": [{"type": "function", "name": "look"}],
    }
).wire()
VAD = {"type": "server_vad", "threshold": 0.5, "prefix_padding_ms": 300, "silence_duration_ms": 500}
FULL_VAD = {**VAD, "create_response": True, "interrupt_response": True}
GA_VAD = {**FULL_VAD, "idle_timeout_ms": None}
COMMON = {"instructions": "Be brief.", "tools": [{"type": "function", "name": "look"}]}
GA = {**COMMON, "type": "realtime", "audio": {"input": {"turn_detection": GA_VAD}, "output": {"voice": "alloy"}}}
BETA = {**COMMON, "turn_detection": FULL_VAD, "voice": "alloy"}
GOLDEN: dict[str, dict[str, Any]] = {
    "openai": GA,
    "openai-beta": BETA,
    "azure": GA,
    "azure-preview": BETA,
    "azure-voice-live": {**BETA, "voice": {"type": "openai", "name": "alloy"}},
    "xai": {**COMMON, "turn_detection": GA_VAD, "voice": "alloy"},
    "qwen": {**COMMON, "turn_detection": VAD, "voice": "alloy"},
    "inworld": GA,
    "stepfun": {**COMMON, "turn_detection": VAD, "voice": "alloy"},
    "glm": {**COMMON, "turn_detection": VAD, "voice": "alloy"},
    "localai": GA,
    "speaches": BETA,
    "speech-to-speech": GA,
}


@ANSWERING
def test_one_session_in_the_shape_of_every_dialect(table: Dialect) -> None:  # F133
    assert table.render_session(ASKED) == GOLDEN[table.name]


@ANSWERING
def test_what_only_one_vendor_has_stands_on_top_of_its_session(table: Dialect) -> None:
    wire = SessionOptions.model_validate({"instructions": "Hi.", "vendor": {"enable_search": True}}).wire()
    rendered = table.render_session(wire)
    assert (rendered["enable_search"], "vendor" in rendered) == (True, False)


def test_voice_live_is_told_whose_voice_it_is() -> None:  # facts 14
    wire = parse_options({"audio": {"output": {"voice": "en-US-AvaNeural"}}}).wire()
    assert dialect("azure-voice-live").render_session(wire) == {"voice": {"type": "azure-standard", "name": "en-US-AvaNeural"}}


def test_a_response_of_its_own_is_refused_where_the_vendor_has_none() -> None:
    with pytest.raises(LocalProtocolError, match=r"^conversation: the qwen dialect"):
        dialect("qwen").render_response({"conversation": "none"})
    with pytest.raises(LocalProtocolError, match=r"^input: the qwen dialect"):
        dialect("qwen").render_response({"input": []})


# -- addresses and credentials -----------------------------------------------------------------------------------------------

AZURE = "https://res.openai.azure.com"


@pytest.mark.parametrize(
    ("name", "url", "more", "dialled"),
    [
        ("openai-beta", None, {}, "wss://api.openai.com/v1/realtime?model=gpt-realtime"),
        ("azure", AZURE, {}, "wss://res.openai.azure.com/openai/v1/realtime?model=gpt-realtime"),
        ("azure", AZURE, {"deployment": "d"}, "wss://res.openai.azure.com/openai/v1/realtime?model=d"),
        (
            "azure-voice-live",
            "https://res.services.ai.azure.com",
            {},
            "wss://res.services.ai.azure.com/voice-live/realtime?api-version=2025-10-01&model=gpt-realtime",
        ),
        ("xai", None, {}, "wss://api.x.ai/v1/realtime?model=grok-voice-latest"),
        ("xai", "https://api.x.ai/v1", {"model": "grok-x"}, "wss://api.x.ai/v1/realtime?model=grok-x"),
        ("qwen", None, {}, "wss://dashscope-intl.aliyuncs.com/api-ws/v1/realtime?model=qwen3-omni-flash-realtime"),
        (
            "qwen",
            "wss://dashscope-us.aliyuncs.com",
            {"model": "qwen3-omni-flash-realtime"},
            "wss://dashscope-us.aliyuncs.com/api-ws/v1/realtime?model=qwen3-omni-flash-realtime",
        ),
        (
            "inworld",
            "wss://api.inworld.ai/api/v1/realtime/session?key=mine",
            {},
            "wss://api.inworld.ai/api/v1/realtime/session?key=mine&protocol=realtime",
        ),
        ("stepfun", None, {}, "wss://api.stepfun.com/v1/realtime?model=step-audio-2"),
        ("glm", None, {}, "wss://open.bigmodel.cn/api/paas/v4/realtime"),
        ("localai", "ws://127.0.0.1:8080", {}, "ws://127.0.0.1:8080/v1/realtime?model=gpt-realtime"),
        ("speech-to-speech", "127.0.0.1:8765", {}, "ws://127.0.0.1:8765/v1/realtime?model=gpt-realtime"),
        ("openai", None, {"call_id": "rtc_1"}, "wss://api.openai.com/v1/realtime?call_id=rtc_1"),
        ("azure", AZURE, {"call_id": "rtc_1"}, "wss://res.openai.azure.com/openai/v1/realtime?call_id=rtc_1"),
    ],
)
def test_a_dialect_is_dialled_at_its_address(name: str, url: str | None, more: dict[str, Any], dialled: str) -> None:
    assert dialect(name).handshake(connection(name, url, **more)).url == dialled  # facts 1.1, 14


OPEN_AI = "wss://api.openai.com/v1/realtime"
PREVIEW_AT = "wss://res.openai.azure.com/openai/realtime?api-version=2025-04-01-preview"


@pytest.mark.parametrize(
    ("name", "url", "dialled"),
    [
        ("openai", None, f"{OPEN_AI}?intent=transcription"),
        ("openai", AZURE, "wss://res.openai.azure.com/openai/v1/realtime?intent=transcription"),
        ("openai", "https://gateway.example?tenant=7", "wss://gateway.example/v1/realtime?tenant=7&intent=transcription"),
        ("openai-beta", None, f"{OPEN_AI}?intent=transcription"),
        ("azure", AZURE, "wss://res.openai.azure.com/openai/v1/realtime?intent=transcription"),
        ("azure-preview", AZURE, f"{PREVIEW_AT}&intent=transcription"),
        # A word of the program's own is kept, and nothing is added that would contradict it.
        ("openai", f"{OPEN_AI}?intent=transcription", f"{OPEN_AI}?intent=transcription"),
        ("openai", f"{OPEN_AI}?model=mine", f"{OPEN_AI}?model=mine"),
        ("openai", f"{OPEN_AI}?intent=other", f"{OPEN_AI}?intent=other"),
        ("azure-preview", f"{PREVIEW_AT}&deployment=mine", f"{PREVIEW_AT}&deployment=mine"),
        # Where the address decides nothing, it is that of any session.
        ("localai", "ws://127.0.0.1:8080", "ws://127.0.0.1:8080/v1/realtime?model=gpt-realtime"),
    ],
)
def test_a_session_that_only_transcribes_is_dialled_without_a_model(name: str, url: str | None, dialled: str) -> None:
    """Facts 1.1; a model in the address opens a conversation, which becomes no other session (docs/decisions.md)."""
    assert dialect(name).handshake(connection(name, url), transcribes=True).url == dialled


@pytest.mark.parametrize("name", ["openai", "openai-beta", "azure", "azure-preview"])
def test_an_intent_in_the_address_is_not_contradicted_by_a_model(name: str) -> None:
    options = {} if name == "openai-beta" else {"deployment": "d"}
    shaken = dialect(name).handshake(connection(name, f"{AZURE}?intent=transcription", **options))
    assert "intent=transcription" in shaken.url
    assert "model=" not in shaken.url and "deployment=" not in shaken.url


@ALL
def test_every_dialect_with_sessions_that_only_transcribe_has_an_address_for_them(table: Dialect) -> None:
    """Where the address decides, by its intent; a dialect that has such sessions and no intent is named here."""
    try:
        table.render_session({"type": "transcription"})
    except LocalProtocolError:
        assert not table.way.intents
        return
    assert table.way.intents or table.name in {"inworld", "localai", "speech-to-speech", "vllm", "together"}


@ALL
def test_every_dialect_puts_the_key_where_its_server_looks_and_never_shows_it(table: Dialect) -> None:  # facts 1.2, 14
    shaken = table.handshake(connection(table.name, "https://host.example?key=session", model="m"))
    header = {"azure": "api-key", "inworld": "Basic"}.get(table.name.partition("-")[0], "Bearer")
    assert dict(shaken.headers) == {
        **({"api-key": KEY} if header == "api-key" else {"Authorization": f"{header} {KEY}"}),
        **({"OpenAI-Beta": "realtime=v1"} if table.name in ("openai-beta", "together") else {}),
    }
    assert KEY not in repr(shaken) + shaken.url


def test_a_key_may_be_among_the_subprotocols() -> None:  # facts 1.3
    known = connection("openai", authentication="subprotocol", organization="org", project="proj")
    shaken = dialect("openai").handshake(known)
    assert shaken.subprotocols == (
        "realtime",
        f"openai-insecure-api-key.{KEY}",
        "openai-organization.org",
        "openai-project.proj",
    )
    assert (shaken.headers, KEY in repr(shaken)) == ((), False)
    beta = dialect("openai-beta").handshake(connection("openai-beta", authentication="subprotocol"))
    assert beta.subprotocols[-1] == "openai-beta.realtime-v1"
    with pytest.raises(LocalProtocolError, match=r"^authentication: 'subprotocol' sends api_key"):
        dialect("openai").handshake(Connection(authentication="subprotocol"))
    with pytest.raises(LocalProtocolError, match=r"^openai-insecure-api-key: holds a character"):
        dialect("openai").handshake(Connection(authentication="subprotocol", api_key="a=b"))


def test_xai_takes_its_client_secrets_among_the_subprotocols_too() -> None:  # facts 14: ephemeral
    shaken = dialect("xai").handshake(connection("xai", authentication="subprotocol"))
    assert (shaken.subprotocols, shaken.headers) == ((f"xai-client-secret.{KEY}",), ())
    assert KEY not in repr(shaken) and KEY in secrets_of(shaken)
    with pytest.raises(LocalProtocolError, match=r"^organization: cannot stand among this server's subprotocols"):
        dialect("xai").handshake(connection("xai", authentication="subprotocol", organization="org"))


@ALL
def test_a_key_stands_among_the_subprotocols_only_where_the_table_says_so(table: Dialect) -> None:  # facts 1.3
    if table.subprotocol is not None:
        assert table.subprotocol.source
        shaken = table.handshake(connection(table.name, "https://host.example?key=1", authentication="subprotocol"))
        assert f"{table.subprotocol.form}.{KEY}" in shaken.subprotocols
        return
    for make in (
        lambda more: connection(table.name, **more),
        lambda more: Config.model_validate({"connection": {"dialect": table.name, **more}}),
    ):
        with pytest.raises(
            ValueError, match=rf"authentication: .* {table.name} dialect takes no key .*use 'header'.*openai, .*xai"
        ):
            make({"authentication": "subprotocol"})


def test_an_azure_host_takes_no_key_among_the_subprotocols_and_says_what_it_takes() -> None:
    with pytest.raises(ValueError, match=r"authentication: .*azure dialect.*the address with \?api-key="):
        connection(None, AZURE, authentication="subprotocol")
    with pytest.raises(LocalProtocolError, match=r"^authentication: res\.openai\.azure\.com takes no key.*\?api-key="):
        dialect("openai").handshake(connection("openai", AZURE, authentication="subprotocol"))
    assert dialect("azure").handshake(Connection(dialect="azure", url=f"{AZURE}?api-key={KEY}")).headers == ()


@pytest.mark.parametrize("url", ["wss://api.inworld.ai", "wss://api.inworld.ai/api/v1/realtime/session?key=", "gateway.example"])
def test_inworld_wants_a_key_of_ones_own_for_each_conversation(url: str) -> None:  # facts 14
    with pytest.raises(LocalProtocolError, match=r"^url: has no 'key' in its query; .*session\?key=my-session-1"):
        Session(Config(connection=connection("inworld", url))).open(now=0.0)
    assert dialect("inworld").handshake(connection("inworld", "ws://127.0.0.1:9")).url.startswith("ws://127.0.0.1:9/api/v1")


def test_a_token_that_is_provided_is_put_in_when_it_is_dialled() -> None:  # facts 1.2
    bare = dialect("azure").handshake(Connection(dialect="azure", url=AZURE, provided_token=True))
    assert (bare.wants_token, dict(bare.headers)) == (True, {"Authorization": "Bearer"})
    ready = bare.with_token("eyJ.a.b")
    assert (ready.wants_token, ready.headers) == (False, (("Authorization", "Bearer eyJ.a.b"),))
    assert "eyJ" not in repr(ready)
    with pytest.raises(ValueError, match="the token is empty") as caught:
        bare.with_token("secret with spaces")
    assert "secret" not in str(caught.value)
    with pytest.raises(LocalProtocolError, match=r"^api_key: given although a token is provided"):
        dialect("azure").handshake(connection("azure", AZURE, provided_token=True))


_AT_HOME = {"openai", "openai-beta", "xai", "qwen", "stepfun", "glm", "together"}


@pytest.mark.parametrize("name", sorted(DIALECTS.keys() - _AT_HOME))
def test_a_dialect_without_an_address_of_its_own_says_what_one_looks_like(name: str) -> None:
    with pytest.raises(LocalProtocolError, match=r"^url: missing; .*(https|ws|wss)://"):
        dialect(name).handshake(connection(name))


def test_a_call_has_a_side_channel_only_where_the_dialect_has() -> None:
    with pytest.raises(LocalProtocolError, match=r"^call_id: this dialect has no side channel"):
        dialect("xai").handshake(connection("xai", call_id="rtc_1"))


# -- capabilities ------------------------------------------------------------------------------------------------------------


def test_the_ladder_of_what_a_server_can_be_told() -> None:  # DESIGN 5
    rungs = {name: table.capabilities.heard for name, table in DIALECTS.items()}
    silent = {name for name, table in DIALECTS.items() if not table.capabilities.answers}
    assert {name for name, rung in rungs.items() if rung != "truncate"} - silent == {"qwen", "inworld", "glm"}
    assert (rungs["qwen"], rungs["inworld"], rungs["glm"]) == ("record", "note", "rewrite")


def test_on_the_side_channel_of_a_call_the_server_sounds_the_audio() -> None:  # DESIGN 5
    assert Session(Config(connection=connection("openai", call_id="rtc_1"))).capabilities.playout == "server"
    assert capabilities(connection(None, "wss://api.openai.com/v1/realtime?call_id=rtc_1")).playout == "server"
    assert Session(Config(connection=connection("openai"))).capabilities.playout == "client"


@ALL
def test_a_table_says_where_it_comes_from_and_how_it_was_tried(table: Dialect) -> None:
    assert table.source.startswith("facts") and table.address.startswith("ws") and table.credential and table.title
    assert table.capabilities.turn_detection or not table.capabilities.answers


# -- a dialect that was not told ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "name"),
    [
        (None, "openai"),
        ("https://api.openai.com/v1", "openai"),
        (AZURE, "azure"),
        (f"{AZURE}/openai/realtime?api-version=2024-10-01-preview&deployment=d", "azure-preview"),
        ("https://res.services.ai.azure.com/voice-live", "azure-voice-live"),
        ("wss://api.x.ai", "xai"),
        ("wss://dashscope.aliyuncs.com/api-ws/v1/realtime", "qwen"),
        ("wss://dashscope-us.aliyuncs.com", "qwen"),
        ("wss://cn-hongkong.dashscope.aliyuncs.com", "qwen"),
        ("wss://ws-1.ap-southeast-1.maas.aliyuncs.com", "qwen"),
        ("wss://dashscope.aliyuncs.com.example.org", None),
        ("wss://other.aliyuncs.com", None),
        ("ws://127.0.0.1:9", None),
    ],
)
def test_an_address_tells_the_dialect_where_it_can(url: str | None, name: str | None) -> None:  # F132
    found = dialect_of(connection(None, url))
    assert (found and found.name) == name


NESTED = {"type": "realtime", "id": "sess_1", "audio": {"input": {}, "output": {}}}
FLAT = {"id": "sess_1", "object": "realtime.session", "modalities": ["audio", "text"], "input_audio_format": "pcm16"}
VOICE_LIVE = {**FLAT, "input_audio_sampling_rate": 24000, "voice": {"type": "azure-standard", "name": "x"}}
XAI = {"id": "1", "voice": "ara", "turn_detection": None, "audio": {"input": {"format": {"type": "audio/pcm", "rate": 24000}}}}


@pytest.mark.parametrize(
    ("shown", "name"),
    [(NESTED, "openai"), (FLAT, "openai-beta"), (VOICE_LIVE, "azure-voice-live"), (XAI, "xai"), ({"id": "sess_1"}, None)],
)
def test_the_first_event_shows_the_dialect(shown: dict[str, Any], name: str | None) -> None:  # F132, F133
    found = recognised(shown)
    assert (found and found.name) == name


def untold(**session: Any) -> Scene:
    scene = Scene(configured(connection=Connection(url="ws://127.0.0.1:9"), **session))
    scene.open()
    return scene


@pytest.mark.parametrize("shown", [NESTED, FLAT, VOICE_LIVE, XAI], ids=["openai", "openai-beta", "azure-voice-live", "xai"])
def test_a_session_is_configured_in_the_shape_that_the_server_shows(shown: dict[str, Any]) -> None:  # F132, F133
    scene = untold()
    assert sent(scene.connected()) == []
    [update] = sent(scene.raw(encode({"type": "session.created", "session": shown})))
    table = recognised(shown)
    assert table is not None
    assert update["session"] == table.render_session(scene.session._core.asked)
    assert scene.session.capabilities == table.capabilities


def test_a_server_of_no_known_dialect_ends_in_a_clear_error() -> None:  # F132
    scene = untold()
    scene.connected()
    scene.raw(encode({"type": "session.created", "session": {"id": "sess_1"}}))
    [closed] = told(scene.log, SessionClosed)
    assert closed.problem is not None
    assert (closed.reason, closed.problem.code) == ("not_acknowledged", "unknown_dialect")
    assert "Set connection.dialect" in closed.problem.remedy


def test_an_option_that_the_server_shown_has_not_ends_in_an_error_that_names_it() -> None:  # F133
    scene = untold(session=SessionOptions.model_validate({"temperature": 0.7}))
    scene.connected()
    scene.raw(encode({"type": "session.created", "session": NESTED}))
    [closed] = told(scene.log, SessionClosed)
    assert closed.problem is not None and "temperature" in closed.problem.message and "openai" in closed.problem.message


def test_a_dialect_that_was_told_wrong_is_named_when_the_session_fails() -> None:  # F132, F133
    scene = Scene(configured())
    scene.open()
    scene.connected()
    scene.raw(encode({"type": "session.created", "session": FLAT}))
    error = {"type": "invalid_request_error", "code": "unknown_parameter", "message": "Unknown parameter: 'session.type'."}
    scene.raw(encode({"type": "error", "error": {**error, "param": "session.type"}}))
    [closed] = told(scene.log, SessionClosed)
    assert closed.problem is not None
    assert "session is flat, that of the openai dialect nested" in closed.problem.message
    assert '"openai-beta"' in closed.problem.remedy


# -- what vendors do differently ---------------------------------------------------------------------------------------------


def test_what_xai_leaves_out_and_adds_disturbs_nothing() -> None:  # facts 14, REC-xai; B27, C24
    scene = Scene(configured(connection=connection("xai")))
    scene.open()
    scene.connected()
    words = "conversation.item.input_audio_transcription"
    user = {"id": "u1", "type": "message", "role": "user", "status": "in_progress", "content": [{"type": "input_audio"}]}
    item = {"id": "m1", "type": "message", "role": "assistant", "status": "in_progress", "content": []}
    where = {"response_id": "r1", "item_id": "m1", "output_index": 0, "content_index": 0, "rid": "x", "ts": 7}
    response = {"id": "r1", "object": "realtime.response", "status": "in_progress", "output": []}
    for event in (
        {"type": "session.created", "session": XAI},
        {"type": "conversation.created", "conversation": {"id": "c"}, "previous_item_id": None},
        {"type": "ping", "timestamp": 1},
        {"type": "session.updated", "session": XAI},
        {"type": "input_audio_buffer.speech_started", "item_id": "u1", "audio_start_ms": 0},
        {"type": "conversation.item.added", "item": user, "previous_item_id": None},
        {"type": f"{words}.updated", "item_id": "u1", "content_index": 0, "transcript": "Tell"},
        {"type": "input_audio_buffer.speech_stopped", "item_id": "u1", "audio_end_ms": 900},
        {"type": "input_audio_buffer.committed", "item_id": "u1"},
        {"type": f"{words}.completed", "item_id": "u1", "content_index": 0, "transcript": "Tell me", "status": "in_progress"},
        {"type": f"{words}.completed", "item_id": "u1", "content_index": 0, "transcript": "Tell me more.", "status": "completed"},
        {"type": "response.created", "response": response},
        {"type": "response.output_item.added", "response_id": "r1", "output_index": 0, "item": item},
        {"type": "conversation.item.added", "item": item, "previous_item_id": "u1"},
        {"type": "response.content_part.added", **where, "part": {"type": "audio", "transcript": ""}},
        {"type": "response.output_audio_transcript.delta", **where, "delta": "Yes."},
        {"type": "response.output_audio.delta", **where, "delta": "AAAA" * 1600},
        {"type": "response.content_part.done", **where},
        {"type": "response.output_audio.done", **where},
        {"type": "response.output_audio_transcript.done", **where, "transcript": "Yes."},
        {"type": "response.output_item.done", "response_id": "r1", "output_index": 0, "item": {**item, "status": "completed"}},
        {
            "type": "response.done",
            "response": {**response, "status": "completed", "status_details": "unimplemented"},
            "usage": {"total_tokens": 9},
        },
    ):
        scene.raw(encode(event))
    scene.at(0.2).played(1, 100)
    assert [(type(e).__name__) for e in scene.log if isinstance(e, ProtocolWarning | UnknownEvent | ServerError)] == []
    assert [(each.id, each.text) for each in scene.session.history] == [("u1", "Tell me more."), ("m1", "Yes.")]
    [end] = told(scene.log, ResponseEnded)
    assert (end.status, end.reason, end.usage) == ("completed", "unimplemented", {"total_tokens": 9})
    assert [(message.item_id, message.verdict, message.heard_ms) for message in told(scene.log, MessageEnded)] == [
        ("m1", Verdict.FULL, 100)
    ]


# -- what only some models or vendors have -----------------------------------------------------------------------------------


@ALL
@pytest.mark.parametrize("effort", ["none", "minimal", "low", "medium", "high", "xhigh"])
def test_reasoning_takes_what_the_table_of_the_dialect_says(table: Dialect, effort: str) -> None:  # F133; facts 2.8, 14
    asked = SessionOptions.model_validate({"reasoning": {"effort": effort}}).wire()
    if effort in table.capabilities.reasoning:
        assert table.render_session(asked)["reasoning"] == {"effort": effort}
        assert table.render_response(asked)["reasoning"] == {"effort": effort}
        return
    with pytest.raises(LocalProtocolError, match=rf"^reasoning.*: the {table.name} dialect"):
        table.render_session(asked)
    with pytest.raises(LocalProtocolError, match=rf"^reasoning.*: the {table.name} dialect"):
        table.render_response(asked)


def test_a_wrong_effort_names_what_is_allowed_and_who_has_it() -> None:  # facts 14
    with pytest.raises(ValueError, match=r"reasoning.effort = 'low'.*xai dialect.*high or none.*openai.*can"):
        Config(connection=connection("xai"), session=SessionOptions.model_validate({"reasoning": {"effort": "low"}}))
    with pytest.raises(ValueError, match=r"reasoning.effort = 'none'.*openai dialect.*minimal or low.*xai can"):
        Config(connection=connection("openai"), session=SessionOptions.model_validate({"reasoning": {"effort": "none"}}))
    for effort in ("high", "none"):
        Config(connection=connection("xai"), session=SessionOptions.model_validate({"reasoning": {"effort": effort}}))


# -- Azure's addresses, of either generation ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["", "/", "/v1", "/openai", "/openai/v1", "/openai/realtime", "/openai/v1/realtime", "/v1/realtime"]
)
@pytest.mark.parametrize(
    ("name", "whole"),
    [("azure", "/openai/v1/realtime"), ("azure-preview", "/openai/realtime"), ("openai", "/openai/v1/realtime")],
)
def test_an_azure_address_is_that_of_its_dialect_whichever_was_written(
    name: str, whole: str, path: str
) -> None:  # F132; facts 13
    dialled = dialect(name).handshake(connection(name, f"{AZURE}{path}?a=b", deployment="d")).url
    assert dialled.startswith(f"wss://res.openai.azure.com{whole}?a=b&")


def test_an_api_version_in_the_address_says_which_generation_is_meant() -> None:  # F132; facts 13
    preview = connection(None, f"{AZURE}?api-version=2025-04-01-preview", deployment="d")
    table = dialect_of(preview)
    assert table is dialect("azure-preview")
    assert table.handshake(preview).url.endswith("/openai/realtime?api-version=2025-04-01-preview&deployment=d")
    assert dialect_of(connection(None, f"{AZURE}/openai/v1?api-version=preview")) is dialect("azure")
    for more in ({}, {"dialect": "azure-preview"}):
        with pytest.raises(ValueError, match=r"'2024-12-17-preview' has no realtime, or is retired.*successor.*dialect='azure'"):
            Connection.model_validate({"url": f"{AZURE}?api-version=2024-12-17-preview", **more})


def test_a_server_that_detects_nothing_unasked_leaves_the_turns_to_the_program() -> None:  # C13; facts 14: StepFun
    for name, detects in (("stepfun", False), ("openai-beta", True)):
        scene = Scene(configured(connection=connection(name)))
        scene.open()
        scene.connected()
        scene.raw(encode({"type": "session.updated", "session": {"id": "s", "input_audio_format": "pcm16"}}))
        assert scene.session._core.acknowledged.detects_turns is detects
