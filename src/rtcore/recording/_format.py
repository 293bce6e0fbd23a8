"""The file: one JSON object a line. A header, then the inputs in order, then a last line that says that it is whole.

    {"rtcore_recording":1,"rtcore":"0.1.0","config":{...},"clock":{...},"seed":7,"left_out":["audio","text"]}
    {"at":12.5,"do":"open","out":"5f3a...","what":["Connect(1)"]}
    {"at":12.625,"do":"receive","with":{"connection":1,"payload":"{...}"},"out":"..."}
    {"inputs":2}

``at`` is the exact float of ``now``. ``out`` and ``what`` are left out where an input gave nothing. Long runs of one character,
which is what silence looks like in base64, are written as [character, count] between the pieces of text around them.
"""

import re
from collections.abc import Iterable
from typing import Any, Literal

import msgspec
from msgspec import Struct

from rtcore._clock import Clock
from rtcore.config import Config

FORMAT = 1
"""Version of the file's format. A reader refuses a newer one."""
RTCORE = "0.1.0"
"""The rtcore that writes; a recording names it so that a difference can be laid to a version."""

Packed = str | list[str | tuple[str, int]]
"""A text, or its pieces: a pair is a character and how often it stands there."""

_RUN = re.compile("A{48,}|V{48,}|/{48,}")
_RUNS = ("A" * 48, "V" * 48, "/" * 48)


class RecordingError(ValueError):
    """A file that is no recording, is damaged, or was made by a newer rtcore. ``line`` counts from 1; 0: none is meant."""

    def __init__(self, line: int, what: str) -> None:
        super().__init__(f"line {line}: {what}" if line else what)
        self.line = line


class Header(Struct, omit_defaults=True):
    """What a session was made of, and what was left out of its recording."""

    rtcore_recording: int
    """The format's version."""
    rtcore: str
    """The version that recorded."""
    config: dict[str, Any]
    """The ``Config`` as data, without credentials."""
    clock: Clock
    seed: int
    left_out: tuple[str, ...] = ()
    """"audio", "text" or both."""
    world: dict[str, Any] | None = None
    """Of a simulated session: its world, so that it can be run again as one (``rtcore.sim.recorded``)."""
    policies: tuple[str, ...] = ()
    """Names of the decisions that the program made in its own way: without its functions, a replay may part from the
    recording."""

    def configuration(self) -> Config:
        """The configuration to replay with; where there was a credential, it holds a placeholder.

        Raises ``RecordingError`` where it is none.
        """
        try:
            return Config.model_validate(self.config)
        except ValueError as error:
            raise RecordingError(1, f"the configuration in the header cannot be used by this version: {error}") from None


class Input(Struct, omit_defaults=True, rename={"given": "with"}):
    """One call of a session: when, what, with which arguments, and in short what it gave."""

    at: float | Literal["nan", "inf", "-inf"]
    """``now``; what is no finite number is written as text."""
    do: str
    """The method's name."""
    given: dict[str, Any] = {}
    """Its other arguments."""
    out: str = ""
    """Digest of the effects, the request's number, and the deadline where it changed; empty where there was none of it."""
    what: tuple[str, ...] = ()
    """The same in words: ids and numbers, no content."""
    raised: str = ""
    """Name of the exception, where the call raised."""
    unlike: tuple[str, ...] | None = None
    """What the recorded session itself gave, where leaving something out made a difference (it should not)."""

    @property
    def now(self) -> float:
        """``at`` as the float that it was."""
        return float(self.at)


class Recording(Struct):
    """A file, read. ``inputs[n]`` stands on line ``n + 2``."""

    header: Header
    inputs: list[Input]
    complete: bool = True
    """Whether its last line says so; without, whoever wrote it was killed, or the file was cut."""
    stopped: str = ""
    """Why recording ended before the session did, where it did."""


class _Version(Struct):
    rtcore_recording: int
    rtcore: str = "?"


class _End(Struct, omit_defaults=True):
    inputs: int
    stopped: str = ""


_encoder = msgspec.json.Encoder()
_input = msgspec.json.Decoder(Input)


def encode_line(line: Header | Input) -> bytes:
    """A line of the file, with its line break."""
    return _encoder.encode(line) + b"\n"


def encode_end(inputs: int, stopped: str = "") -> bytes:
    """The last line."""
    return _encoder.encode(_End(inputs, stopped)) + b"\n"


def pack(text: str) -> Packed:
    """The text with its long runs of one character counted."""
    if not any(run in text for run in _RUNS):
        return text  # sound that is kept: a plain search costs a tenth of the expression's
    pieces: list[str | tuple[str, int]] = []
    done = 0
    for run in _RUN.finditer(text):
        if run.start() > done:
            pieces.append(text[done : run.start()])
        pieces.append((text[run.start()], run.end() - run.start()))
        done = run.end()
    return [*pieces, text[done:]] if done < len(text) else pieces


def unpack(packed: object) -> str:
    """The text again. Raises ``TypeError`` or ``ValueError`` for what ``pack`` does not make."""
    if isinstance(packed, str):
        return packed
    if not isinstance(packed, list):
        raise TypeError("a text is a string or a list of pieces")
    pieces: list[str] = []
    for piece in packed:
        if isinstance(piece, str):
            pieces.append(piece)
        else:
            character, count = piece
            if not isinstance(character, str) or not isinstance(count, int) or count > 1 << 28:
                raise TypeError("a run is a character and a count")
            pieces.append(character * count)
    return "".join(pieces)


def read(lines: Iterable[bytes], *, partial: bool = False) -> Recording:
    """A recording from its lines (an open binary file will do).

    ``partial``: of a file that breaks off, take the inputs before the break. Raises ``RecordingError`` naming the line for
    anything else than a whole recording that this version can read.
    """
    header: Header | None = None
    inputs: list[Input] = []
    number = 0
    for number, line in enumerate(lines, 1):
        if header is None:
            header = _header(line)
            continue
        if line.startswith(b'{"inputs":') and line.endswith(b"\n"):
            return Recording(header, inputs, stopped=_end(line, number, len(inputs)).stopped)
        try:
            found = _input.decode(line)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            if line.endswith(b"\n"):
                raise RecordingError(number, f"is damaged: {error}; the lines before it can be replayed") from None
            if partial:
                return Recording(header, inputs, complete=False)
            raise RecordingError(
                number, "breaks off: the file was cut, or its process killed. To replay what is before it, ask for a partial read"
            ) from None
        inputs.append(found)
    if header is None:
        raise RecordingError(0, "the file is empty")
    if not partial:
        raise RecordingError(
            number, "is the last, but not the end of the recording: the file was cut, or its process killed. "
            "To replay what is there, ask for a partial read"
        )  # fmt: skip
    return Recording(header, inputs, complete=False)


def _header(line: bytes) -> Header:
    try:
        version = msgspec.json.decode(line, type=_Version)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise RecordingError(1, "is no header of an rtcore recording") from None
    if version.rtcore_recording > FORMAT:
        raise RecordingError(
            1,
            f"the recording has format {version.rtcore_recording}, made by rtcore {version.rtcore}; this is rtcore {RTCORE}, "
            f"which reads up to format {FORMAT}: install rtcore {version.rtcore} or newer to replay it",
        )
    try:
        return msgspec.json.decode(line, type=Header)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise RecordingError(1, f"the header is damaged: {error}") from None


def _end(line: bytes, number: int, inputs: int) -> _End:
    try:
        end = msgspec.json.decode(line, type=_End)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise RecordingError(number, f"is damaged: {error}") from None
    if end.inputs != inputs:
        raise RecordingError(number, f"says that {end.inputs} inputs were recorded, but {inputs} are there: lines are missing")
    return end
