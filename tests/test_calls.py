"""Client secrets, and the control of calls: requests by data, answers by words, and a small sender (protocol facts 1.1)."""

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from rtcore import LocalProtocolError, Problem
from rtcore.config import Connection, SessionOptions
from rtcore.dialects import DIALECTS, Dialect
from rtcore.dialects.calls import ClientSecret, Request, accept, client_secret, hang_up, read_answer, read_secret, refer, reject
from rtcore_adapters.calls import send

KEY = "sk-very-secret"
HERE = Connection(api_key=KEY)
AZURE = Connection(dialect="azure", url="https://res.openai.azure.com", api_key=KEY, deployment="voice")
OPTIONS = SessionOptions.model_validate({"instructions": "Be brief."})


def body(request: Request) -> Any:
    return json.loads(request.body) if request.body else None


def test_a_client_secret_is_asked_for_with_its_session_and_its_life() -> None:
    request = client_secret(HERE, OPTIONS, expires_s=60)
    assert (request.method, request.url) == ("POST", "https://api.openai.com/v1/realtime/client_secrets")
    assert dict(request.headers) == {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    assert body(request) == {
        "expires_after": {"anchor": "created_at", "seconds": 60},
        "session": {"type": "realtime", "instructions": "Be brief.", "model": "gpt-realtime"},
    }
    azure = client_secret(AZURE)
    assert azure.url == "https://res.openai.azure.com/openai/v1/realtime/client_secrets"
    assert (dict(azure.headers)["api-key"], body(azure)["session"]["model"]) == (KEY, "voice")


PREVIEW = Connection(dialect="azure-preview", url="https://res.openai.azure.com", api_key=KEY, deployment="voice")
XAI = Connection(dialect="xai", api_key=KEY)


def test_a_client_secret_of_azures_preview_is_a_session_of_its_own_address() -> None:  # facts 13
    request = client_secret(PREVIEW, OPTIONS)
    assert request.url == "https://res.openai.azure.com/openai/realtimeapi/sessions?api-version=2025-04-01-preview"
    assert dict(request.headers) == {"api-key": KEY, "Content-Type": "application/json"}
    assert body(request) == {"instructions": "Be brief.", "model": "voice"}
    older = PREVIEW.model_copy(update={"api_version": "2024-10-01-preview"})
    assert client_secret(older).url.endswith("/sessions?api-version=2024-10-01-preview")
    assert "api-version" not in repr(request)
    with pytest.raises(LocalProtocolError, match=r"^expires_s: a server of the azure-preview dialect decides it alone"):
        client_secret(PREVIEW, expires_s=60)


def test_a_client_secret_of_xai_has_a_life_and_no_session() -> None:  # facts 14; the vendor's page
    request = client_secret(XAI, expires_s=300)
    assert request.url == "https://api.x.ai/v1/realtime/client_secrets"
    assert dict(request.headers) == {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    assert body(request) == {"expires_after": {"seconds": 300}}
    assert body(client_secret(XAI)) == {"expires_after": {"seconds": 600}}
    with pytest.raises(LocalProtocolError, match=r"^session: a client secret of the xai dialect opens any"):
        client_secret(XAI, OPTIONS)
    with pytest.raises(LocalProtocolError, match=r"^expires_s: 7200 is not within 1 to 3600"):
        client_secret(XAI, expires_s=7200)
    assert read_secret(200, b'{"value": "xai-1", "expires_at": 7}') == ClientSecret("xai-1", 7, {})


def test_a_client_secret_of_the_beta_is_a_session_with_its_life_beside_it() -> None:  # SDK: beta.realtime.sessions
    beta = Connection(dialect="openai-beta", api_key=KEY)
    request = client_secret(beta, OPTIONS, expires_s=30)
    assert request.url == "https://api.openai.com/v1/realtime/sessions"
    life = {"expires_after": {"anchor": "created_at", "seconds": 30}}
    assert body(request) == {"instructions": "Be brief.", "model": "gpt-realtime", "client_secret": life}


WRITING = SessionOptions.model_validate(
    {
        "type": "transcription",
        "include": ["item.input_audio_transcription.logprobs"],
        "audio": {
            "input": {
                "format": {"type": "audio/pcm", "rate": 24_000},
                "transcription": {"model": "gpt-4o-transcribe", "language": "en"},
                "noise_reduction": {"type": "near_field"},
                "turn_detection": {"type": "server_vad", "silence_duration_ms": 300},
            }
        },
    }
)
FACTS = json.loads((Path(__file__).parent / "facts" / "events.json").read_text(encoding="utf-8"))


def against(value: Any, shape: Any, objects: Any, path: str = "session") -> list[str]:
    """Where a value is not what the facts' schema of its object says."""
    kind = shape.get("type")
    if value is None:
        return [] if shape.get("optional_or_null") or shape.get("nullable") else [f"{path}: null"]
    if kind == "union":
        found = [against(value, each, objects, path) for each in shape["of"]]
        return min(found, key=len)
    if kind == "ref":
        if not isinstance(value, dict):
            return [f"{path}: no object"]
        fields = objects[shape["ref"]]["fields"]
        wrong = [f"{path}.{name}: missing" for name, each in fields.items() if each.get("required") and name not in value]
        for name, inner in value.items():
            known = fields.get(name)
            wrong += [f"{path}.{name}: unknown"] if known is None else against(inner, known, objects, f"{path}.{name}")
        return wrong
    if kind == "array":
        return [each for inner in value for each in against(inner, shape["items"], objects, f"{path}[]")]
    allowed = shape.get("enum") or ([shape["const"]] if "const" in shape else None)
    right: Any = {"string": str, "integer": int, "number": (int, float), "boolean": bool}.get(kind, object)
    return [] if isinstance(value, right) and (allowed is None or value in allowed) else [f"{path}: {value!r}"]


RESOURCE = Connection(dialect="azure", url="https://res.openai.azure.com", api_key=KEY)


@pytest.mark.parametrize("connection", [HERE, RESOURCE], ids=["openai", "azure"])
def test_a_client_secret_of_a_session_that_only_transcribes_holds_what_the_facts_have_for_it(connection: Connection) -> None:
    """RealtimeTranscriptionSessionCreateRequest: type, audio.input and include, and no model (facts 1.1, 12.1; S10)."""
    request = client_secret(connection, WRITING, expires_s=60)
    assert request.url == client_secret(connection).url
    sent = body(request)
    assert sent["expires_after"] == {"anchor": "created_at", "seconds": 60}
    shape = {"type": "ref", "ref": "RealtimeTranscriptionSessionCreateRequest"}
    assert against(sent["session"], shape, FACTS["objects"]) == []
    assert sent["session"]["audio"]["input"]["transcription"] == {"model": "gpt-4o-transcribe", "language": "en"}
    assert set(sent["session"]) == {"type", "include", "audio"}
    # The look can find something: a model, as a conversation has, and a wrong type of what is there.
    wrong = {**sent["session"], "model": "gpt-realtime", "include": [7]}
    assert against(wrong, shape, FACTS["objects"]) == ["session.include[]: 7", "session.model: unknown"]


def test_a_client_secret_of_the_betas_session_that_only_transcribes_has_a_path_of_its_own() -> None:
    """SDK: beta.realtime.transcription_sessions; its life has another name than that of a conversation (events.json)."""
    beta = Connection(dialect="openai-beta", api_key=KEY)
    request = client_secret(beta, WRITING, expires_s=30)
    assert request.url == "https://api.openai.com/v1/realtime/transcription_sessions"
    sent = body(request)
    assert sent["client_secret"] == {"expires_at": {"anchor": "created_at", "seconds": 30}}
    shape = {"type": "ref", "ref": "TranscriptionSessionUpdate.Session"}
    assert against(sent, shape, FACTS["beta_objects"]) == []
    assert against({**sent, "model": "m"}, shape, FACTS["beta_objects"]) == ["session.model: unknown"]


def test_where_no_client_secret_is_known_to_open_a_session_that_only_transcribes_it_is_refused() -> None:
    """Azure's preview answers such a request, and then has no websocket for it (docs/decisions.md)."""
    with pytest.raises(LocalProtocolError, match=r"^session\.type: no client secret of the azure-preview.*openai.*azure have"):
        client_secret(PREVIEW, WRITING)
    with pytest.raises(LocalProtocolError, match=r"^session: a client secret of the xai dialect opens any"):
        client_secret(XAI, WRITING)
    with pytest.raises(LocalProtocolError, match=r"^session\.type: a call is taken by a conversation"):
        accept(HERE, "rtc_1", WRITING)


TOKENS = Connection(dialect="azure", url="https://res.openai.azure.com", deployment="voice", provided_token=True)


@pytest.mark.parametrize(
    "make",
    [
        client_secret,
        lambda connection: accept(connection, "rtc_1"),
        lambda connection: reject(connection, "rtc_1"),
        lambda connection: refer(connection, "rtc_1", "tel:+15550100"),
        lambda connection: hang_up(connection, "rtc_1"),
    ],
    ids=["client_secret", "accept", "reject", "refer", "hang_up"],
)
def test_a_request_wants_the_token_that_is_provided_at_each_dialling(make: Callable[[Connection], Request]) -> None:
    """As the websocket's handshake does (facts 1.2); without it nothing is sent, and no text shows it."""
    bare = make(TOKENS)
    assert (bare.wants_token, make(AZURE).wants_token) == (True, False)
    with pytest.raises(ValueError, match="wants a token"):
        send(bare)
    ready = bare.with_token("eyJ.a.b")
    assert (ready.wants_token, dict(ready.headers)["Authorization"]) == (False, "Bearer eyJ.a.b")
    assert (ready.method, ready.url, ready.body) == (bare.method, bare.url, bare.body)
    assert "eyJ" not in repr(ready)
    for wrong in ("", "secret with spaces"):
        with pytest.raises(ValueError, match="the token is empty") as caught:
            bare.with_token(wrong)
        assert "secret" not in str(caught.value)


@pytest.mark.parametrize("table", DIALECTS.values(), ids=lambda table: table.name)
def test_every_dialect_makes_client_secrets_or_says_which_do(table: Dialect) -> None:
    here = Connection.model_validate({"dialect": table.name, "url": "ws://127.0.0.1:9", "api_key": KEY})
    if table.secrets is not None:
        assert client_secret(here).url.startswith("http://127.0.0.1:9/")
        return
    with pytest.raises(LocalProtocolError, match=rf"^dialect: {table.name} has no client secrets.*openai, .*xai have"):
        client_secret(here)


def test_a_key_in_the_address_goes_along_where_no_header_has_one() -> None:
    known = Connection(dialect="azure", url=f"https://res.openai.azure.com?api-key={KEY}&a=b", deployment="voice")
    request = client_secret(known)
    assert request.url == f"https://res.openai.azure.com/openai/v1/realtime/client_secrets?api-key={KEY}"
    assert KEY not in repr(request)


@pytest.mark.parametrize(
    ("request_", "path", "sent"),
    [
        (accept(HERE, "rtc_1", OPTIONS), "accept", {"type": "realtime", "instructions": "Be brief.", "model": "gpt-realtime"}),
        (reject(HERE, "rtc_1"), "reject", {"status_code": 603}),
        (reject(HERE, "rtc_1", status_code=486), "reject", {"status_code": 486}),
        (refer(HERE, "rtc_1", "tel:+15550100"), "refer", {"target_uri": "tel:+15550100"}),
        (hang_up(HERE, "rtc_1"), "hangup", None),
    ],
)
def test_a_call_is_controlled_by_its_id(request_: Request, path: str, sent: Any) -> None:
    assert (request_.method, request_.url) == ("POST", f"https://api.openai.com/v1/realtime/calls/rtc_1/{path}")
    assert body(request_) == sent
    assert KEY not in repr(request_) + str(request_)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: client_secret(HERE, expires_s=5), "expires_s: 5 is not within 10 to 7200"),
        (lambda: reject(HERE, "rtc_1", status_code=200), "status_code: 200"),
        (lambda: refer(HERE, "rtc_1", "+15550100"), "target_uri:"),
        (lambda: hang_up(HERE, ""), "call_id: is empty"),
        (lambda: hang_up(Connection(dialect="xai", api_key=KEY), "x"), "dialect: xai has no calls; openai and azure do"),
        (lambda: hang_up(Connection(), "rtc_1"), "api_key: missing"),
        (lambda: hang_up(Connection(api_key=KEY, authentication="subprotocol"), "r"), "authentication: 'subprotocol'"),
    ],
)
def test_a_mistake_in_a_request_is_the_callers(wrong: Any, message: str) -> None:
    with pytest.raises(LocalProtocolError, match=message):
        wrong()


def test_a_call_id_cannot_lead_elsewhere() -> None:
    assert hang_up(HERE, "../x?y").url == "https://api.openai.com/v1/realtime/calls/..%2Fx%3Fy/hangup"


def test_an_answer_is_read_and_the_secret_is_not_shown() -> None:
    answer = {"value": "ek_1", "expires_at": 1_900_000_000, "session": {"type": "realtime"}}
    secret = read_secret(200, json.dumps(answer).encode())
    assert secret == ClientSecret("ek_1", 1_900_000_000, {"type": "realtime"})
    assert "ek_1" not in repr(secret)
    old = {"id": "sess_1", "client_secret": {"value": "ek_2", "expires_at": 2}}
    assert read_secret(200, json.dumps(old).encode()) == ClientSecret("ek_2", 2, {})


@pytest.mark.parametrize("answer", [b"", b"[]", b"{}", b'{"value": 3}', b"\xff", b"[" * 5000])
def test_an_answer_that_is_none_is_a_problem_and_no_exception(answer: bytes) -> None:  # C29
    assert isinstance(read_secret(200, answer), Problem)
    found = read_answer(500, answer)
    assert found is not None and found.code == "http_500"


def test_a_refusal_says_what_to_do() -> None:
    error = {
        "error": {"type": "invalid_request_error", "code": "invalid_api_key", "message": "Incorrect API key.", "param": None}
    }
    found = read_answer(401, json.dumps(error).encode())
    assert found is not None and (found.code, found.remedy[:13]) == ("invalid_api_key", "Check api_key")
    assert read_answer(204, b"") is None


class _Peer(BaseHTTPRequestHandler):
    seen: list[tuple[str, str, bytes]]

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        type(self).seen.append((self.path, self.headers["Authorization"], self.rfile.read(length)))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"value": "ek_9", "expires_at": 9, "session": {}}')

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


def test_a_request_is_sent_as_it_is_and_its_answer_given_back() -> None:
    class Peer(_Peer):
        seen: list[tuple[str, str, bytes]] = []  # noqa: RUF012

    server = HTTPServer(("127.0.0.1", 0), Peer)
    thread = threading.Thread(target=server.handle_request)
    thread.start()
    try:
        connection = Connection(url=f"http://127.0.0.1:{server.server_port}", dialect="azure-preview", bearer_token=KEY)
        request = client_secret(connection)
        assert read_secret(*send(request)) == ClientSecret("ek_9", 9, {})
        where = "/openai/realtimeapi/sessions?api-version=2025-04-01-preview"
        assert Peer.seen == [(where, f"Bearer {KEY}", request.body)]
    finally:
        thread.join(5)
        server.server_close()


def test_where_nobody_answers_the_error_names_the_place_and_no_key() -> None:
    connection = Connection(url="http://127.0.0.1:1", dialect="openai", api_key=KEY)
    with pytest.raises(OSError, match=r"127\.0\.0\.1:1") as caught:
        send(hang_up(connection, "rtc_1"))
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    ("connection", "option"), [(AZURE, "deployment: 'voice'"), (Connection(api_key=KEY, model="whisper-1"), "model: 'whisper-1'")]
)
def test_a_model_that_a_client_secret_could_not_carry_is_refused(connection: Connection, option: str) -> None:  # S10, F138
    """A session that only transcribes has no model (facts 12.1); its transcription has."""
    with pytest.raises(LocalProtocolError, match=rf"^connection\.{option}: .* session\.audio\.input\.transcription\.model$"):
        client_secret(connection, WRITING)
