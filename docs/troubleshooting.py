"""Writes the tables of docs/troubleshooting.md from the core's own tables of errors: ``python docs/troubleshooting.py``.

The texts are those of the protocol facts (6.1), as servers were seen to send them; what each means and what to do is asked of
``rtcore._errors``. A test compares, and fails where a code or a text that the core knows is missing.
"""

from collections.abc import Iterator
from pathlib import Path

from rtcore._errors import _KNOWN, ErrorKind, classify, problem

PAGE = Path(__file__).with_name("troubleshooting.md")
MARK = "<!-- from here on written by docs/troubleshooting.py -->\n"

TEXTS: tuple[tuple[str, str], ...] = (
    ("Conversation already has an active response in progress: resp_…", "a second answer was asked for while one ran"),
    ("Cancellation failed: no active response found", "the answer had ended before it was cancelled"),
    ("Error committing input audio buffer: buffer too small. Expected at least 100ms of audio", "a turn of less than 100 ms"),
    ("Error committing input audio buffer: the buffer is empty", "a turn without audio"),
    ("Only model output audio messages can be truncated", "a message without sound was cut"),
    ("Audio content of 6100ms is already shorter than 6185ms", "the server holds less of the message than was heard"),
    ("Item item_… is already truncated", "a message was cut twice"),
    ("Item with item_id not found: item_…", "a message was cut that is no longer there"),
    ("the item with id 'item_…' does not exist", "an item was named that is no longer there"),
    (
        "Passing a transcription session update event to a realtime session is not allowed.",
        "a session that only transcribes was opened by an address with a model",
    ),
    (
        "You must not provide a model parameter for transcription sessions.",
        "the address names a model beside intent=transcription",
    ),
    ('Model "…" is not supported in transcription mode.', "the same, in the words of 2026"),
    (
        "Passing a realtime session update event to a transcription session is not allowed.",
        "a conversation was opened by an address with intent=transcription",
    ),
    ("Error deleting item: the item with id 'item_…' does not exist.", "an item was deleted that is no longer there"),
    ("Error retrieving item: the item with id 'item_…' does not exist.", "an item was asked for that is not there"),
    ("Error adding item: an item with id 'item_…' already exists.", "an id was used twice"),
    ("the previous item with id 'item_…' does not exist", "an item was to stand behind one that is not there"),
    ("Tool call ID 'call_…' not found in conversation.", "the result of a function call that the server does not know"),
    ("Cannot update a conversation's voice if assistant audio is present.", "another voice after the model had spoken"),
    ("Your session hit the maximum duration of 60 minutes.", "the session is over"),
    ("All 1 session slots are in use. Disconnect an existing client first.", "the server serves no more clients at once"),
    ("Incorrect API key provided: sk-…", "the key is wrong"),
    ("Invalid API key", "the key is wrong"),
    ("You exceeded your current quota, please check your plan and billing details.", "the account has no credit"),
    ("beta_api_shape_disabled", "the server has dropped the preview's names"),
)
"""A text as a server sends it, and what had happened."""

CODED: tuple[tuple[str, str, str], ...] = (
    ("unknown_parameter", "Unknown parameter: 'session.x'.", "a field that this server does not have"),
    ("missing_required_parameter", "Missing required parameter: 'session.type'.", "a field is missing"),
    ("invalid_value", "Invalid value: 'x'. Supported values are: …", "a value that is not allowed"),
)
"""Where the code says it, and the text names the field."""

_DOES: dict[ErrorKind, str] = {
    ErrorKind.ACTIVE_RESPONSE: "waits for the running answer and asks once more",
    ErrorKind.CANCEL_NOT_ACTIVE: "not told",
    ErrorKind.COMMIT_EMPTY: "the request fails; `commit()` clears so short a turn before it is sent",
    ErrorKind.DELETE_NOT_FOUND: "not told",
    ErrorKind.TRUNCATE_TOO_LONG: "not told",
    ErrorKind.TRUNCATE_NO_AUDIO: "`ServerError`; cuts only what has sound",
    ErrorKind.TRUNCATE_NOT_FOUND: "`ServerError`",
    ErrorKind.TRUNCATE_REPEATED: "not told",
    ErrorKind.ITEM_NOT_FOUND: "as for the truncate, delete or retrieve that it answers",
    ErrorKind.DUPLICATE_ITEM: "the request fails",
    ErrorKind.BAD_PREDECESSOR: "the request fails",
    ErrorKind.FATAL: "`SessionClosed`",
    ErrorKind.OTHER: "the request fails, or `ServerError`",
}

_LINE = "`SessionClosed`, or it connects again ([Continuity](continuity.md))"
OWN: tuple[tuple[str, str, str, str], ...] = (
    ("not_acknowledged", _LINE, "yes", "No `session.updated` came: check dialect, model and options."),
    ("no_answer", 'the request ends as "timed_out"', "yes", "Try again; the session goes on."),
    ("unsupported_format", "`SessionClosed`", "no", "The server chose an audio format that is not known: ask for another."),
    ("unknown_dialect", "`SessionClosed`", "no", "The server's first event shows no dialect: set `connection.dialect`."),
    (
        "not_supported",
        "the request fails",
        "no",
        "The dialect cannot edit the conversation so: [Dialects](dialects.md) compares them.",
    ),
    (
        "unknown_item",
        "the request fails; `HistoryEdited.unknown`",
        "no",
        "`Session.history` lists what there is; it may be gone by now.",
    ),
    ("item_busy", "the request fails", "yes", "The message is still being said, or has no text: edit it when it has ended."),
    (
        "session_renewed",
        "requests of the old session end",
        "yes",
        "Nothing: it goes on over a new line ([Continuity](continuity.md)).",
    ),
)
"""Codes of the core's own: what it does, whether the same again may succeed, what is to be done."""

WARNINGS: tuple[tuple[str, str], ...] = (
    (
        "the session could not be renewed; it is tried again",
        "A second connection beside the present one failed, as `detail` says; the conversation goes on. If the server has room "
        "for one session alone, set `reconnect.renew` to False.",
    ),
    (
        "the session could not be renewed",
        "A second connection beside the present one was refused for good, as `detail` says with what to do. The session goes on "
        "until its server ends it.",
    ),
    (
        "say_end() is missing; what was said is taken as complete",
        "A program began to say something and never ended it: call `say_end()` when the last sound was given.",
    ),
    (
        "a server message could not be read",
        "The server is broken, or speaks another dialect: look at `event_type` and `detail`. One is harmless; many of one type "
        "mean that `connection.dialect` is wrong, or that its maker should see them.",
    ),
    (
        "the response cost audio tokens and no audio came: does the server speak another dialect?",
        "Connected, and silent: the audio has names that are not known here. Set `connection.dialect`, or leave it out.",
    ),
    (
        "too many events before the session was acknowledged",
        "The server talks before it has answered `session.update`; what was too much is lost. Check the dialect.",
    ),
    (
        "response.done is missing; the response is taken as done",
        "Nothing to do: the server forgot an end.",
    ),
    ("say_end() is missing; what was said is taken as complete", "End what `say_begin()` or `conversation.voice()` began."),
    (
        "the server did not say that its audio ended; it is taken as heard",
        "Nothing to do. On a call the server's own events are the clock, and one did not come.",
    ),
    (
        "an audio delta ends within a sample; the rest is carried to the next",
        "Nothing to do. If the sound is noise, the format is wrong: compare `Session.output_format` with your speaker's.",
    ),
    (
        "more unheard audio than playout.max_buffered_s allows; the response was cancelled",
        "The answer is longer than that, or the speaker has stopped: look for `ClockFault`, else raise it.",
    ),
    (
        "no answer to a flush in time; the heard position is estimated",
        "`ClockFault`: the speaker did not say where it stopped. See [Clocks](clocks.md); what was heard is a guess.",
    ),
    (
        "no position report in time; what was handed over is taken as heard",
        "`ClockFault`: the speaker reports nothing; see [Clocks](clocks.md).",
    ),
)
"""Reasons of ``ProtocolWarning`` and ``ClockFault``."""


def tables() -> str:
    """By the server's text, by the line's code, by the warning."""
    return "\n".join([*_texts(), "", *_codes(), "", *_warnings(), ""])


def _texts() -> Iterator[str]:
    yield "## By the server's text"
    yield ""
    yield "A program matches `code`: where a server sends none, it is filled in from the text. What is not told says"
    yield "only that what was wanted is so already."
    yield ""
    yield "| text | code | what had happened | what rtcore does | what to do |"
    yield "|---|---|---|---|---|"
    for code, text, meaning in [(None, text, meaning) for text, meaning in TEXTS] + list(CODED):
        told = problem(code, text)
        does = _LINE if told.code in ("session_expired", "session_limit_reached") else _DOES[classify(code, text)]
        yield f"| {text} | `{told.code}` | {meaning} | {does} | {told.remedy} |"


def _codes() -> Iterator[str]:
    yield "## By the code alone"
    yield ""
    yield "| code | what rtcore does | retry | what to do |"
    yield "|---|---|---|---|"
    named = {problem(None, text).code for text, _ in TEXTS} | {code for code, _, _ in CODED}
    for code, known in _KNOWN.items():
        if code not in named:
            does = _DOES[known.kind]
            if code.startswith(("handshake_", "connection_", "message_", "configuration_")):
                does = _LINE if known.retryable else "`SessionClosed`"
            yield f"| `{code}` | {does} | {'yes' if known.retryable else 'no'} | {known.remedy} |"
    for code, does, retry, remedy in OWN:
        yield f"| `{code}` | {does} | {retry} | {remedy} |"


def _warnings() -> Iterator[str]:
    yield "## By the warning"
    yield ""
    yield "| reason | what to do |"
    yield "|---|---|"
    for reason, remedy in WARNINGS:
        yield f"| {reason} | {remedy} |"


def main() -> None:
    """Write the page."""
    head = PAGE.read_text(encoding="utf-8").partition(MARK)[0]
    PAGE.write_text(head + MARK + "\n" + tables(), encoding="utf-8")


if __name__ == "__main__":
    main()
