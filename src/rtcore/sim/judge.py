"""A judge for any client of the protocol: reads along in both directions and says what the client got wrong.

It trusts neither the client nor this library's core: it sees the messages with their times, the audible signal if somebody brings
it, and the simulated server's truth if there is one. Pure: time is an argument, and nothing that comes in makes it raise.

    judge = Judge()
    judge.server(payload, now=0.1)                   # handed to the client
    judge.client(payload, now=0.2)                   # came from the client
    judge.sound(pcm, at=0.3)                         # what its speaker sounded, or:
    judge.position(at=0.4, samples=2400, item_id="item_1")
    verdict = judge.verdict()

Without a signal the verdict holds what the messages alone prove: nothing is heard before it was received, nor faster than real
time.
"""

from msgspec import Struct

from rtcore._formats import AudioFormat
from rtcore.sim._judge_findings import Findings
from rtcore.sim._judge_sound import Listener
from rtcore.sim._judge_tape import Part, Tape
from rtcore.sim._judge_verdict import FINDINGS as FINDINGS
from rtcore.sim._judge_verdict import AuditVerdict as AuditVerdict
from rtcore.sim._judge_verdict import Finding as Finding
from rtcore.sim._judge_verdict import InterruptionVerdict as InterruptionVerdict
from rtcore.sim._judge_verdict import PartVerdict as PartVerdict
from rtcore.sim._judge_verdict import RefusedEvent as RefusedEvent
from rtcore.sim._judge_verdict import Signal as Signal
from rtcore.sim.server import Server


class JudgeOptions(Struct, frozen=True):
    """What a client is allowed.

    ``tolerance_ms`` is by how much a truncate may miss what was heard, ``late_ms`` how long a speaker may sound on after an
    interruption (device buffers), ``grace_ms`` how long the client may take to tell the server of one, ``answer_ms`` how long a
    function call may stay without output. ``keep_audio`` keeps what the server sent, which ``Judge.sound`` needs.
    """

    tolerance_ms: int = 20
    late_ms: int = 250
    grace_ms: int = 500
    answer_ms: int = 5000
    keep_audio: bool = True


_DEFAULTS = JudgeOptions()


class Judge:
    """Judges one connection. Times are seconds of one clock that never goes back."""

    def __init__(self, options: JudgeOptions = _DEFAULTS) -> None:
        self._options = options
        self._tape = Tape(keep_audio=options.keep_audio)
        self._listener = Listener()
        self._failures: list[Finding] = []

    # -- what is read ---------------------------------------------------------------------------------------------------------

    def server(self, payload: bytes, *, now: float) -> None:
        """A server message, as it is handed to the client."""
        self._tape.server(payload, now)

    def client(self, payload: bytes, *, now: float) -> None:
        """A client message, as it came."""
        self._tape.client(payload, now)

    def sound(self, pcm: bytes, *, at: float) -> None:
        """What the speaker sounded from ``at`` on: whole samples in the session's output format, with or without silences."""
        form = self._tape.format
        self._listener.hear(self._tape.parts, form, pcm[: len(pcm) // form.sample_width * form.sample_width], at)

    def position(self, *, at: float, samples: int, item_id: str | None = None, content_index: int | None = None) -> bool:
        """The speaker's own count: by ``at``, ``samples`` of this item were audible. Tells whether there is such audio.

        Without ``item_id`` the samples are so many more, of what plays in order. Without ``content_index`` they count over the
        item's first audio part.
        """
        if item_id is None:
            return self._more(at, samples)
        item = self._tape.items.get(item_id)
        parts = [part for part in item.parts.values() if part.arrivals] if item is not None else []
        part = next((each for each in parts if content_index is None or each.index == content_index), None)
        if part is None:
            return False
        part.positions.append((at, min(samples, part.samples)))
        return True

    def _more(self, at: float, samples: int) -> bool:
        """Spread over the parts in order. What a newer response has begun to send was cut before that."""
        parts = self._tape.parts
        while samples > 0 and (part := next((each for each in parts if not self._past(each)), None)) is not None:
            known = part.positions[-1][1] if part.positions else 0
            step = min(samples, part.samples - known)
            if step <= 0:
                break
            part.positions.append((at, known + step))
            samples -= step
        return samples == 0

    def _past(self, part: Part) -> bool:
        known = part.positions[-1][1] if part.positions else 0
        response = part.item.response
        later = any(each.order > part.order for each in self._tape.parts)
        if known >= part.samples and (later or part.done_at is not None):
            return True
        ended = response is not None and response.status == "cancelled"
        return ended and any(each.item.response is not response and each.order > part.order for each in self._tape.parts)

    def failed(self, name: str, text: str, *, now: float) -> None:
        """Something that only the one who carries the messages can see, such as a client that hung up."""
        self._failures.append(Finding(name, now - (self._tape.began or 0.0), text))

    # -- what is known meanwhile ----------------------------------------------------------------------------------------------

    @property
    def updated_at(self) -> float | None:
        """When the client was last told which session is in force."""
        return self._tape.updated_at

    @property
    def format(self) -> AudioFormat:
        """The session's output format."""
        return self._tape.format

    def samples(self, ms: float) -> int:
        """Milliseconds as samples of the session's output format."""
        return int(ms * self._tape.format.rate / 1000)

    # -- the verdict ----------------------------------------------------------------------------------------------------------

    def verdict(self, truth: Server | None = None) -> AuditVerdict:
        """What the client got wrong until now. ``truth`` is the simulated server, if it was one: it knows every word's time."""
        tape, listener = self._tape, self._listener
        notes: list[str] = []
        signal: Signal = "messages"
        if listener.known_samples:
            signal = "samples"
        elif any(part.positions for part in tape.parts):
            signal = "positions"
        if listener.heard and not listener.known_samples:
            notes.append("nothing in the audible signal is the server's, sample by sample (another rate, or changed?): not used")
        elif listener.unknown_samples > listener.known_samples:
            notes.append(f"{tape.format.ms(listener.unknown_samples)} ms of the audible signal are no audio of the server's")
        found = Findings(tape, signal, self._options.tolerance_ms, self._options.late_ms, self._options.grace_ms, truth)
        interruptions = found.interruptions()
        found.calls(self._options.answer_ms)
        found.creations()
        refused = found.refusals()
        if not interruptions:
            notes.append("no interruption came up: nothing is proven about them")
        if not tape.detects:
            notes.append("the session has no turn detection: only the client itself can interrupt")
        began = tape.began or 0.0
        return AuditVerdict(
            signal=signal,
            duration_s=round(tape.now - began, 3),
            client_messages=tape.client_messages,
            server_messages=tape.server_messages,
            responses=len(tape.responses),
            calls=len(tape.calls),
            interruptions=interruptions,
            refused=refused,
            findings=tuple(sorted([*found.findings, *self._failures], key=lambda each: each.at)),
            notes=tuple(notes),
        )
