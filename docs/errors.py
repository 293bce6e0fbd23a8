"""Writes the tables of docs/errors.md from the core's own tables of errors: ``python docs/errors.py``. The tests compare."""

import runpy
from collections.abc import Iterable, Iterator
from pathlib import Path

from rtcore._errors import _KNOWN, ErrorKind, connection_problem
from rtcore.dialects import DIALECTS

PAGE = Path(__file__).with_name("errors.md")
MARK = "<!-- from here on written by docs/errors.py -->\n"

_OWN = runpy.run_path(str(Path(__file__).with_name("troubleshooting.py")))["OWN"]
_LINE = ("handshake_", "connection_", "message_", "configuration_")
_REFUSED, _AS_SENT = "`invalid_request_error`", "as sent"
_TYPES = {
    "server_error": "`server_error`",
    "internal_error": "`server_error`",
    "rate_limit_exceeded": "`rate_limit_error`",
    "inference_rate_limit_exceeded": "`rate_limit_error`",
    "DeploymentNotFound": _AS_SENT,
}
"""Where it is not that of a refused command (protocol facts 6). Of fatal ones no source says it."""


def tables() -> str:
    """By what they end, then the line's, the core's, and those of one dialect alone."""
    line = {code: known for code, known in _KNOWN.items() if code.startswith(_LINE)}
    server = {code: known for code, known in _KNOWN.items() if code not in line}
    fatal = [code for code, known in server.items() if known.kind is ErrorKind.FATAL]
    return "\n".join(
        [
            "## Fatal ones",
            "",
            'These end the session: `SessionClosed("fatal_error", problem)`, or `"expired"` for `session_expired`.',
            "",
            *_table((code, _AS_SENT, _KNOWN[code].retryable, _KNOWN[code].remedy) for code in fatal),
            "",
            "An unknown audio format (`unsupported_format`) ends it too: bytes of an unknown encoding are not played as if they",
            "were PCM.",
            "",
            "## The others",
            "",
            "One command failed; the session goes on.",
            "",
            *_table(
                (code, _TYPES.get(code, _REFUSED), known.retryable, known.remedy)
                for code, known in server.items()
                if code not in fatal
            ),
            "",
            "`truncate_too_long`, `truncate_no_audio`, `tool_call_not_found` and the two addresses are names for errors whose",
            "own code says little: where the server sent one (`invalid_value`, `unsupported_content_type`), it is kept, and the",
            "remedy is the one here.",
            "Any other code is passed on as it came, not to be retried; its remedy points to the field that the server names.",
            "",
            "## The line",
            "",
            '`SessionClosed("refused", ...)` before the handshake was accepted, `("lost", ...)` after it,',
            '`("not_acknowledged", ...)` where the server closed (code 1000, 1005 or 1008) instead of acknowledging the',
            "configuration.",
            "",
            *_table((code, f"`{connection_problem().type}`", known.retryable, known.remedy) for code, known in line.items()),
            "",
            "## The core's own",
            "",
            "`type` is empty. `input_audio_buffer_commit_empty` is the core's too, where `commit()` finds less than 100 ms of",
            "audio: it is cleared instead, and nothing is sent that the server would refuse.",
            "",
            "| code | retry | where | remedy |",
            "|---|---|---|---|",
            *(f"| `{code}` | {retry} | {does} | {remedy} |" for code, does, retry, remedy in _OWN),
            "",
            "## Of one dialect alone",
            "",
            "They are matched by its table, to the command that they answer where they do not say. What each leads to stands",
            "with the [dialect](dialects.md).",
            "",
            "| dialect | error | retry | remedy |",
            "|---|---|---|---|",
            *_dialects(),
            "",
        ]
    )


def _table(rows: Iterable[tuple[str, str, bool, str]]) -> Iterator[str]:
    yield "| code | type | retry | remedy |"
    yield "|---|---|---|---|"
    for code, kind, again, remedy in rows:
        yield f"| `{code}` | {kind} | {_yes(again)} | {remedy} |"


def _dialects() -> Iterator[str]:
    for name, table in DIALECTS.items():
        for error in table.errors:
            told = ", ".join([*([f"`{error.code}`"] if error.code else []), *([f'"{error.text}"'] if error.text else [])])
            yield f"| [{name}](dialects.md#{name}) | {told} | {_yes(error.retryable)} | {error.remedy} |"


def _yes(value: bool) -> str:
    return "yes" if value else "no"


if __name__ == "__main__":
    head = PAGE.read_text(encoding="utf-8").partition(MARK)[0]
    PAGE.write_text(head + MARK + "\n" + tables(), encoding="utf-8")
