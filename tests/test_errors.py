"""Errors: recognised by code, else by text; every one says whether it can be retried and what to do (protocol facts 6)."""

import pytest

from rtcore import LocalProtocolError
from rtcore.dialects import DialectError, ErrorKind, classify, connection_problem, held_ms, problem, quoted_item_id

# code as the live server sends it, message, kind; from the table of protocol facts 6.1
WIRE = [
    (
        "conversation_already_has_active_response",
        "Conversation already has an active response in progress: resp_1. Wait until the response is finished.",
        ErrorKind.ACTIVE_RESPONSE,
    ),
    ("response_cancel_not_active", "Cancellation failed: no active response found", ErrorKind.CANCEL_NOT_ACTIVE),
    (
        "input_audio_buffer_commit_empty",
        "Error committing input audio buffer: buffer too small. Expected at least 100ms of audio, but buffer has 0.00ms.",
        ErrorKind.COMMIT_EMPTY,
    ),
    ("input_audio_buffer_commit_empty", "Error committing input audio buffer: the buffer is empty.", ErrorKind.COMMIT_EMPTY),
    ("unsupported_content_type", "Only model output audio messages can be truncated", ErrorKind.TRUNCATE_NO_AUDIO),
    ("invalid_value", "Audio content of 6100ms is already shorter than 6185ms", ErrorKind.TRUNCATE_TOO_LONG),
    ("item_already_truncated", "Item 'item_1' is already truncated.", ErrorKind.TRUNCATE_REPEATED),
    (None, "Item 'item_1' is already truncated.", ErrorKind.TRUNCATE_REPEATED),
    ("item_truncate_invalid_item_id", "Item with item_id not found: item_9", ErrorKind.TRUNCATE_NOT_FOUND),
    (
        "item_truncate_invalid_item_id",
        "Error truncating item: the item with id 'item_9' does not exist.",
        ErrorKind.TRUNCATE_NOT_FOUND,
    ),
    ("item_delete_invalid_item_id", "Error deleting item: the item with id 'item_9' does not exist.", ErrorKind.DELETE_NOT_FOUND),
    ("item_retrieve_invalid_item_id", "Error retrieving item: the item with id 'item_9' does not exist.", ErrorKind.OTHER),
    ("item_create_duplicate_item_id", "Error adding item: an item with id 'item_9' already exists.", ErrorKind.DUPLICATE_ITEM),
    (
        "item_create_invalid_previous_item_id",
        "Error adding item: the previous item with id 'item_9' does not exist.",
        ErrorKind.BAD_PREDECESSOR,
    ),
    ("session_expired", "Your session hit the maximum duration of 60 minutes.", ErrorKind.FATAL),
    (
        "invalid_parameter",
        "Passing a transcription session update event to a realtime session is not allowed.",
        ErrorKind.FATAL,
    ),
    (
        "invalid_parameter",
        "Passing a realtime session update event to a transcription session is not allowed.",
        ErrorKind.FATAL,
    ),
    ("invalid_model", "You must not provide a model parameter for transcription sessions.", ErrorKind.FATAL),
    ("invalid_model", 'Model "gpt-4o-mini-transcribe" is not supported in transcription mode.', ErrorKind.FATAL),
    ("insufficient_quota", "You exceeded your current quota, please check your plan and billing details.", ErrorKind.FATAL),
    ("invalid_api_key", "Incorrect API key provided: sk-***. You can find your API key in the dashboard.", ErrorKind.FATAL),
]


@pytest.mark.parametrize(("code", "message", "kind"), WIRE)
def test_an_error_is_known_by_its_code_by_its_text_alone_and_by_a_type_that_carries_the_code(
    code: str, message: str, kind: ErrorKind
) -> None:  # C09, C14, F005, F006: the beta sends a null code, other vendors keep the text (6, 14)
    assert classify(code, message) is kind
    assert classify(None, message) is kind
    assert classify("a_vendors_own_code", message.upper()) is kind
    assert classify(None, message, "invalid_request_error") is kind
    if classify(code, "") is kind:
        assert classify(None, "in words of its own", code) is kind


@pytest.mark.parametrize(
    "code",
    ["insufficient_quota", "credit_balance_exhausted", "billing_hard_limit_reached", "invalid_api_key", "account_deactivated"],
)
def test_a_refused_account_is_fatal_and_no_retry_helps(code: str) -> None:  # F007, C27
    assert classify(code, "") is ErrorKind.FATAL
    assert not problem(code, "no").retryable


def test_an_expired_session_is_fatal_for_this_one_and_a_new_one_helps() -> None:  # C27, protocol facts 1.7
    assert classify("session_expired", "") is ErrorKind.FATAL
    assert problem(None, "Your session hit the maximum duration of 60 minutes.").retryable


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("server_error", "The server had an error while processing your request."),
        ("rate_limit_exceeded", "Rate limit reached"),
        ("inference_rate_limit_exceeded", "Too many requests"),
        ("unknown_parameter", "Unknown parameter: 'session.x'."),
        ("brand_new_code", "Something nobody has seen"),
        (None, ""),
    ],
)
def test_every_other_error_leaves_the_session_open(code: str | None, message: str) -> None:  # F007
    assert classify(code, message) is ErrorKind.OTHER


def test_a_code_that_says_nothing_gives_way_to_a_text_that_does() -> None:
    assert classify("server_error", "Cancellation failed: no active response found") is ErrorKind.CANCEL_NOT_ACTIVE
    assert classify("invalid_value", "Invalid value: 'pcm17'. Supported values are: 'pcm16'.") is ErrorKind.OTHER


def test_a_dialect_may_add_texts_of_its_own_and_they_come_last() -> None:
    extra = (
        DialectError(ErrorKind.CANCEL_NOT_ACTIVE, "Nothing to do.", text="nothing to stop"),
        DialectError(ErrorKind.OTHER, "Never asked.", text="already has an active response"),
    )
    assert classify(None, "There is Nothing To Stop here", extra=extra) is ErrorKind.CANCEL_NOT_ACTIVE
    assert classify("server_error", "nothing to stop", extra=extra) is ErrorKind.CANCEL_NOT_ACTIVE
    assert classify(None, "Conversation already has an active response", extra=extra) is ErrorKind.ACTIVE_RESPONSE
    assert classify(None, "There is nothing to stop") is ErrorKind.OTHER


def test_a_problem_keeps_what_the_server_said() -> None:
    told = problem("cannot_update_voice", "Cannot update it.", "session.audio.output.voice", "invalid_request_error")
    assert (told.code, told.message, told.param, told.type) == (
        "cannot_update_voice",
        "Cannot update it.",
        "session.audio.output.voice",
        "invalid_request_error",
    )
    assert not told.retryable
    assert "new session" in told.remedy


@pytest.mark.parametrize(
    ("code", "message", "type", "named"),
    [
        (None, "Cancellation failed: no active response found", "invalid_request_error", "response_cancel_not_active"),
        (None, "Audio content of 6100ms is already shorter than 6185ms", "", "truncate_too_long"),
        ("invalid_value", "Audio content of 6100ms is already shorter than 6185ms", "", "invalid_value"),
        (None, "No idea", "brand_new_type", "brand_new_type"),
        (None, "No idea", "", "unknown_error"),
        ("", "", "", "unknown_error"),
    ],
)
def test_a_problem_without_a_code_gets_the_name_its_text_stands_for(
    code: str | None, message: str, type: str, named: str
) -> None:
    assert problem(code, message, type=type).code == named


def test_every_error_has_a_remedy_of_its_own_and_an_unknown_one_points_at_what_it_names() -> None:
    remedies = {problem(code, message).remedy for code, message, _ in WIRE}
    assert all(remedy.endswith(".") for remedy in remedies)
    assert problem("never_seen", "Invalid", "item.content").remedy.startswith("Correct 'item.content'")
    assert problem("never_seen", "Invalid").remedy.startswith("Read the message")


@pytest.mark.parametrize(
    ("told", "code", "retryable"),
    [
        (connection_problem(http_status=401), "handshake_unauthorized", False),
        (connection_problem(http_status=403), "handshake_forbidden", False),
        (connection_problem(http_status=404), "handshake_not_found", False),
        (connection_problem(http_status=429), "handshake_rate_limited", True),
        (connection_problem(http_status=503), "handshake_server_error", True),
        (connection_problem(http_status=200), "handshake_refused", False),
        (
            connection_problem(close_code=1001, reason="Your session hit the maximum duration of 60 minutes."),
            "session_expired",
            True,
        ),
        (
            connection_problem(close_code=4000, reason="invalid_request_error.beta_api_shape_disabled"),
            "beta_api_shape_disabled",
            False,
        ),
        (connection_problem(close_code=1008, reason="invalid_api_key"), "invalid_api_key", False),
        (connection_problem(close_code=1006), "connection_lost", True),
        (connection_problem(), "connection_lost", True),
        (connection_problem(error="[Errno 111] refused"), "connection_refused", True),
    ],
)
def test_a_lost_or_refused_connection_says_why_and_what_to_do(
    told: object, code: str, retryable: bool
) -> None:  # B25, 1.4, 1.5, 1.7
    assert (getattr(told, "code", None), getattr(told, "retryable", None)) == (code, retryable)
    assert getattr(told, "remedy", "")


def test_a_connection_problem_quotes_its_evidence() -> None:
    assert (
        connection_problem(close_code=1011, reason="keepalive").message == "the connection was closed with code 1011: keepalive"
    )
    assert "HTTP status 401: bad key" in connection_problem(http_status=401, reason="bad key").message


@pytest.mark.parametrize(
    ("message", "ms"),
    [
        ("Audio content of 6100ms is already shorter than 6185ms", 6100),
        ("audio content of 2650.9 ms is already shorter than 9100ms", 2650),
        ("Audio content of ms is already shorter than 9100ms", None),
        ("Something else", None),
        ("", None),
    ],
)
def test_the_length_that_the_server_holds_is_read_from_its_refusal(message: str, ms: int | None) -> None:  # C09, F006
    assert held_ms(message) == ms


@pytest.mark.parametrize(
    ("message", "item"),
    [
        ("Error deleting item: the item with id 'item_9' does not exist.", "item_9"),
        ("Error adding item: an item with id 'item_9' already exists.", "item_9"),
        ("Error adding item: the previous item with id 'item_9' does not exist.", "item_9"),
        ("Item with item_id not found: item_9", "item_9"),
        ("Item with item_id not found: 'item_9'.", "item_9"),
        ("Tool call ID 'call_1' not found in conversation.", None),
        ("Something else about 'item_9'", None),
        ("", None),
    ],
)
def test_the_item_that_an_error_names_is_read_from_its_text(message: str, item: str | None) -> None:
    assert quoted_item_id(message) == item


def test_the_callers_mistake_is_a_value_error() -> None:
    assert issubclass(LocalProtocolError, ValueError)
