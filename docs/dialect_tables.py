"""Writes the tables of docs/dialects.md from the dialects themselves: ``python docs/dialect_tables.py``. The tests compare."""

from collections.abc import Iterable
from pathlib import Path

from rtcore import AudioFormat, Dialect
from rtcore.dialects import DIALECTS, DialectError, ErrorKind, Secrets

PAGE = Path(__file__).with_name("dialects.md")
MARK = "<!-- from here on written by docs/dialect_tables.py -->\n"

_VERIFIED = {
    "facts": "written from facts only",
    "simulated": "against the simulated server",
    "peer": "against software of others, and the simulated server",
}
_IMAGES = {"item": "in items", "buffer": "beside the audio", "none": "no"}
_HEARD = {
    "server": "it knows",
    "truncate": "truncate",
    "rewrite": "delete, and the heard words in its place",
    "note": "a note to the model",
    "record": "not at all: only the history here knows",
}


def tables() -> str:
    """What all have in common side by side, then each with its address, credential, quirks and source."""
    return "\n".join([*_capabilities(), "", *(line for table in DIALECTS.values() for line in _section(table))])


def _capabilities() -> Iterable[str]:
    yield "## What each can do"
    yield ""
    yield "| dialect | session | a cut is told by | unheard messages | turn detection | out of band | lasts | tried |"
    yield "|---|---|---|---|---|---|---|---|"
    for table in DIALECTS.values():
        able = table.capabilities
        kinds = ", ".join(f"`{kind}`" for kind in able.turn_detection) or "none"
        unheard = "deleted" if able.delete else "told by a note" if able.create else "left"
        lasts = f"{able.session_s // 60} min" if able.session_s else "not known"
        heard = (_HEARD[able.heard] if able.answers else "only transcribes") + (
            "" if able.truncate_acknowledged or not able.truncate else ", not acknowledged"
        )
        cells = [
            f"[`{table.name}`](#{table.name})",
            table.shape,
            heard,
            unheard,
            kinds,
            _yes(able.out_of_band),
            lasts,
            table.tried,
        ]
        yield f"| {' | '.join(cells)} |"
    yield ""
    yield "| dialect | from the microphone | from the model | images | `reasoning.effort` |"
    yield "|---|---|---|---|---|"
    for table in DIALECTS.values():
        able = table.capabilities
        efforts = ", ".join(f"`{effort}`" for effort in able.reasoning) or "no"
        formats = f"{_formats(able.input_formats)} | {_formats(able.output_formats)}"
        yield f"| `{table.name}` | {formats} | {_IMAGES[able.images]} | {efforts} |"


def _section(table: Dialect) -> Iterable[str]:
    yield f"## {table.name}"
    yield ""
    yield f"{table.title}. Tried: {_VERIFIED[table.tried]}. Source: {table.source}."
    yield ""
    yield f"- address: `{table.address}`"
    if table.way.intents:
        yield "- a session that only transcribes: `intent=transcription` in the place of what names the model"
    sections = ", ".join(mark.reference for mark in table.verified if mark.kind == "facts")
    tests = ", ".join(f"`{mark.reference}`" for mark in table.verified if mark.kind != "facts")
    yield f"- verified by: sections {sections} of the protocol facts{f'; {tests}' if tests else ''}"
    yield f"- credential: {table.credential}{_offered(table)}"
    if table.secrets is not None:
        yield f"- client secrets: {_secrets(table.secrets)}"
    if not table.capabilities.create and table.capabilities.answers:
        images = "; images go beside the audio" if table.capabilities.images == "buffer" else ""
        yield f"- takes no items: no `send_text`, `create_item` and `tool_result`{images}"
    if table.sign is not None:
        yield f"- {'known' if table.sign.sure else 'suspected'}, where it was not told, by: {table.sign.words}"
    if table.ignored:
        yield f"- ignored: {', '.join(f'`{name}`' for name in sorted(table.ignored))}"
    for quirk in table.quirks:
        yield f"- {quirk}"
    yield ""
    if table.errors:
        yield "| error of its own | what it leads to | what to do |"
        yield "|---|---|---|"
        for error in table.errors:
            told = ", ".join([*([f"`{error.code}`"] if error.code else []), *([f'"{error.text}"'] if error.text else [])])
            yield f"| {told} | {_leads_to(error)} | {error.remedy} |"
        yield ""


def _offered(table: Dialect) -> str:
    way = table.subprotocol
    if way is None:
        return "; not by subprotocol"
    names = ", ".join(f"`{name}`" for name in (*way.before, f"{way.form}.{{api_key}}", *way.after))
    return f"; by subprotocol {names} ({way.source})"


def _secrets(way: Secrets) -> str:
    life = f"for {way.life_s[0]} to {way.life_s[1]} seconds" if way.life_s else "for a time that the server decides"
    session = "for any session" if way.body == "none" else "for the session that is given"
    apart = f"; `.../{way.transcribing}` for one that only transcribes" if way.transcribing not in (None, way.path) else ""
    none = "; none for one that only transcribes" if way.transcribing is None and way.body != "none" else ""
    return f"`POST .../{way.path}`, {session}, {life}{apart or none}"


def _leads_to(error: DialectError) -> str:
    match error.kind:
        case ErrorKind.FATAL:
            return "`SessionClosed`"
        case ErrorKind.TRUNCATE_REPEATED | ErrorKind.DELETE_NOT_FOUND:
            return "not told"
        case ErrorKind.ITEM_NOT_FOUND:
            return "as for the truncate, delete or retrieve that it answers"
        case _:
            return "the request fails" if error.command else "`ServerError`"


def _formats(formats: tuple[AudioFormat, ...]) -> str:
    if not formats:
        return "no sound"
    rates = [f"{form.rate / 1000:g}" for form in formats if form.type == "audio/pcm"]
    names = {"audio/pcmu": "mu-law", "audio/pcma": "A-law"}
    return ", ".join([f"PCM16 at {', '.join(rates)} kHz", *(names[form.type] for form in formats if form.type in names)])


def _yes(value: bool) -> str:
    return "yes" if value else "no"


if __name__ == "__main__":
    written = PAGE.read_text(encoding="utf-8").partition(MARK)[0]
    PAGE.write_text(f"{written}{MARK}\n{tables()}", encoding="utf-8")
