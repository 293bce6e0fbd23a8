"""Client secrets, and the control of calls: requests by data, answers by words, and a small sender (protocol facts 1.1)."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from rtcore import LocalProtocolError, Problem
from rtcore.config import Connection, SessionOptions
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
        (lambda: hang_up(Connection(dialect="xai", api_key=KEY), "x"), "dialect: xai has no client secrets and calls"),
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
        connection = Connection(url=f"http://127.0.0.1:{server.server_port}", dialect="openai", api_key=KEY)
        request = client_secret(connection)
        assert read_secret(*send(request)) == ClientSecret("ek_9", 9, {})
        assert Peer.seen == [("/v1/realtime/client_secrets", f"Bearer {KEY}", request.body)]
    finally:
        thread.join(5)
        server.server_close()


def test_where_nobody_answers_the_error_names_the_place_and_no_key() -> None:
    connection = Connection(url="http://127.0.0.1:1", dialect="openai", api_key=KEY)
    with pytest.raises(OSError, match=r"127\.0\.0\.1:1") as caught:
        send(hang_up(connection, "rtc_1"))
    assert KEY not in str(caught.value)
