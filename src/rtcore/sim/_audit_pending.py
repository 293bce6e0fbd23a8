"""A session that pauses first and decides then: is each speech of the user's taken for what it is, and at the right moment (B18,
B19, F121)?

It keeps its own account of what the client was told of the user's speech and works out by the table of docs/interruptions.md what
has to come of it. A false interruption changes nothing: no cancel, truncate or delete while it is open, no answer to its turn,
and not a sample lost or heard twice (which the matching of the sound holds). A real one is a cut like any other, at the moment in
which it shows: the place is that at which the sound was held.
"""

from collections.abc import Callable, Sequence
from typing import Literal
from unicodedata import category, name, normalize

from msgspec import Struct, field

from rtcore._effects import Effect, Send
from rtcore._notices import FalseInterruption, InterruptionPending
from rtcore.policies import InterruptionOptions
from rtcore.sim._audit_guard import GuardAudit
from rtcore.sim._ledger import ROUNDING, Ledger
from rtcore.sim._seen import ServerSeen, read_client
from rtcore.sim.speaker import MILLISECOND

_SECOND = 1_000_000_000
_LONGEST_S = 60.0
_TRANSCRIPT = "conversation.item.input_audio_transcription."
_KEPT_OUT = {"ignore": "ignored", "defer": "deferred"}
_UNSPACED = ("CJK ", "HIRAGANA ", "KATAKANA ", "THAI ", "LAO ", "KHMER ", "MYANMAR ")
"""How Unicode names the letters of scripts that put no spaces between words."""
_EDITS = frozenset({"response.cancel", "conversation.item.truncate", "conversation.item.delete"})


class _Speech(Struct):
    """One stretch of speech, as far as the client was told of it."""

    started_at: int
    first_at: int
    interrupts_since: int
    """The same, or when what was taken for nothing was heard to be more."""
    mark: int
    """How many commits of the program's had been sent when it began."""
    silence: int = 0
    """What the server hears before it says that speech has ended; a local detector says so at once."""
    stopped_at: int | None = None
    committed: bool = False
    words: dict[str, str] = field(default_factory=dict)
    """By item: its words, as far as they came ..."""
    whole: dict[str, bool] = field(default_factory=dict)
    """.. and whether they are all there; False: there are none to be had."""
    turns: set[str] = field(default_factory=set)
    """Items that were committed."""
    withheld: list[ServerSeen] = field(default_factory=list)
    """Commits whose answer waits for what it was ..."""
    understood: list[str] = field(default_factory=list)
    """.. and turns that came in words."""
    fate: Literal["open", "cut", "dismissed"] = "open"
    playout_ms: int = 0
    """For how long the model had been heard ..."""
    guard_ms: int = 0
    """.. and how long its echo was kept out, when it began ..."""
    heard_out: int = 0
    """.. and how many messages had been heard to their end."""
    held: bool = False
    judged: float = 0.0
    """When it was looked at last (seconds)."""


class PendingAudit:
    """Owner of: what is this speech?"""

    def __init__(
        self,
        ledger: Ledger,
        options: InterruptionOptions,
        *,
        silence_ms: int,
        transcribes: bool,
        manual: bool,
        active: Callable[[], bool | None],
        cut: Callable[[str, int, int], None],
        hold: Callable[[], None],
        go_on: Callable[[], None],
        keep: Callable[[], None],
        owed: Callable[[ServerSeen], None],
        recognised: Callable[[str], None],
    ) -> None:
        """``manual``: the program makes the turns. ``silence_ms``: what the server hears before it says that speech has ended.
        ``transcribes``: the session asks for words. ``active``: whether anything could be cut, None where that cannot be known.
        ``cut``, ``hold`` and ``go_on`` tell the rest of the auditor, ``owed`` that a commit is to be answered,
        ``recognised`` that a turn in words is.
        """
        self.dismissed: Callable[[], None] = lambda: None
        """Is told when a speech turned out to be nothing."""
        self._ledger = ledger
        self._options = options
        self.watches = options.mode == "pause"
        """Speech of the user is put to the test, and cuts only what it turns out to be meant for."""
        self._silence = silence_ms * MILLISECOND
        self._transcribes = transcribes
        self._manual = manual
        self._active, self._cut, self._hold, self._go_on, self._owed = active, cut, hold, go_on, owed
        self._keep, self._recognised = keep, recognised
        self._speech: _Speech | None = None
        self._guard = GuardAudit(ledger, options)
        self._guarded = options.echo_guard_ms > 0
        self._begins = self._ends = self._perhaps = False
        self._commits: dict[str, bool] = {}
        """The program's, by item: whether it had been sent before the speech began in which the answer to it came."""
        self._withheld: set[str] = set()
        """Commits that were ever withheld: told again, they ask for nothing, whatever speech it is by then."""

    @property
    def open(self) -> bool:
        """Whether it is still open what a speech is."""
        return self._speech is not None and self._speech.fate == "open"

    # -- what reaches the client ---------------------------------------------------------------------------------------------

    def voice(self, item_id: str | None) -> bool:
        """Speech begins. Gives whether it is decided here what it is."""
        if not self.watches:
            return False
        now, speech = self._ledger.now, self._speech
        if speech is not None and speech.fate == "open":
            if speech.stopped_at is not None:
                speech.started_at, speech.stopped_at, speech.committed = now, None, False
                if self._guard.playout_ms:
                    speech.playout_ms, speech.heard_out = self._guard.playout_ms, self._guard.heard_out
        else:
            active = self._active()
            guard = self._guard
            if active is False:
                self._speech = None
                guard.cuts(guard.playout_ms, guard.heard_out)
                return False
            mark = self._ledger.commits_sent
            speech = _Speech(now, now, now, mark, playout_ms=guard.playout_ms, guard_ms=guard.ms, heard_out=guard.heard_out)
            self._speech = speech
            self._perhaps = active is None
            if self._over(speech) is not None:
                self._ledger.saw(f"F118: a voice within the guard, {_KEPT_OUT[self._options.echo_guard]}")
            self._begins = self._over(speech) is None or self._options.echo_guard == "defer"
        if item_id is not None:
            speech.words.setdefault(item_id, "")
            speech.silence = self._silence
        self._judge(speech)
        return True

    def understood(self, text: str) -> bool:
        """A recogniser of the program's own has a turn in words. Gives whether its answer waits for what the voice was."""
        speech, now = self._speech, self._ledger.now
        if not self.watches or speech is None or speech.words:
            return False
        # Its end and its words are one piece of news.
        name = f"understood {now}"
        speech.words[name], speech.whole[name] = text, True
        speech.stopped_at = now if speech.stopped_at is None else speech.stopped_at
        speech.committed = True
        if speech.fate == "cut":
            return False
        speech.understood.append(text)
        self._again(speech)
        return True

    def silent(self) -> None:
        """A local detector hears the end of it: it names no item, and so it is the latest's."""
        if self._speech is not None and self._speech.stopped_at is None:
            self._speech.stopped_at = self._ledger.now
            self._again(self._speech)

    def arrived(self, message: ServerSeen) -> bool:
        """A message reaches the client. Gives whether the answer that it asks for waits."""
        speech, kind, item_id = self._speech, message.type, message.item_id or ""
        if kind == "input_audio_buffer.committed" and self._of_the_turn_before(item_id):
            return False
        if kind == "input_audio_buffer.committed" and item_id in self._withheld and not (speech and item_id in speech.turns):
            return True
        if speech is None or not (item_id in speech.words or not speech.words):
            return False
        if kind == "input_audio_buffer.speech_stopped" and speech.stopped_at is None:
            speech.stopped_at = self._ledger.now
            self._again(speech)
        elif kind == "input_audio_buffer.committed" and item_id in speech.turns:
            return speech.fate != "cut"  # told twice
        elif kind == "input_audio_buffer.committed":
            speech.turns.add(item_id)
            speech.committed = True
            speech.words.setdefault(item_id, "")
            speech.stopped_at = self._ledger.now if speech.stopped_at is None else speech.stopped_at
            if speech.fate == "cut":
                return False
            if self._manual and speech.fate == "open":
                # Whoever commits has said that it is a turn.
                self._decide(speech, "cut")
                return False
            speech.withheld.append(message)
            self._withheld.add(item_id)
            self._again(speech)
            return True
        elif kind.startswith(_TRANSCRIPT) and item_id in speech.words and item_id not in speech.whole:
            self._hears(speech, item_id, kind.removeprefix(_TRANSCRIPT), message)
        return False

    def _of_the_turn_before(self, item_id: str) -> bool:
        """Whether the program had sent this commit before the speech began: it says nothing about that."""
        if self._manual and item_id not in self._commits:
            number = self._ledger.commits.popleft() if self._ledger.commits else self._ledger.commits_sent
            self._commits[item_id] = self._speech is not None and number < self._speech.mark
        return self._commits.get(item_id, False)

    def _hears(self, speech: _Speech, item_id: str, kind: str, message: ServerSeen) -> None:
        if kind == "delta":
            speech.words[item_id] += message.delta or ""
        elif kind == "updated" and (message.transcript or "").startswith(speech.words[item_id]):
            speech.words[item_id] = message.transcript or ""
        elif kind in ("completed", "failed"):
            speech.whole[item_id] = kind == "completed"
            speech.words[item_id] = message.transcript or "" if kind == "completed" else speech.words[item_id]
        else:
            return
        self._again(speech)

    def _again(self, speech: _Speech) -> None:
        if speech.fate == "dismissed" and not speech.held:
            speech.interrupts_since = self._ledger.now
        if speech.fate == "open" or (speech.fate == "dismissed" and speech.committed):
            self._judge(speech)

    def time(self) -> None:
        """The session is about to be ticked."""
        speech, now = self._speech, self._ledger.now / _SECOND
        if speech is not None and speech.fate == "open" and any(speech.judged < at <= now for at in self._times(speech)):
            self._judge(speech)

    def _times(self, speech: _Speech) -> list[float]:
        """When nothing new has to be heard for it to be decided, in seconds as the session is told them. A microphone's frames
        come in those very instants, so that they have to be hit to the bit."""
        options, began = self._options, speech.started_at / _SECOND
        times = [began + _LONGEST_S]
        if options.min_duration_ms is not None:
            times.append(began + (options.min_duration_ms + speech.silence // MILLISECOND) / 1000)
        if speech.stopped_at is not None:
            times.append(speech.stopped_at / _SECOND + options.false_interruption_ms / 1000)
        over = self._over(speech)
        return times if over is None else [*times, over]

    def ended_by(self, cause: str) -> None:
        """Something else interrupts: nothing is left to decide. What the program says comes next, or a text, decides about the
        turn."""
        speech = self._speech
        if speech is not None and speech.fate == "open":
            if cause != "program":
                self._answer(speech)
            self._speech = None
            self._lets_go(speech)
        self._guard.ended_by(cause)

    # -- what it has to be ---------------------------------------------------------------------------------------------------

    def _judge(self, speech: _Speech) -> None:
        speech.judged = self._ledger.now / _SECOND
        over = self._over(speech)
        if over is None:
            echo = waits = False
        else:
            waits = speech.judged < over
            ended = speech.stopped_at is not None and speech.stopped_at / _SECOND <= over
            echo = self._options.echo_guard == "ignore" or (ended and not waits)
        verdict = "dismissed" if echo else None if waits else self._verdict(speech)
        if verdict is not None:
            self._decide(speech, verdict)
        elif waits:
            self._lets_go(speech)
        elif not speech.held:
            speech.held = True
            self._hold()

    def _over(self, speech: _Speech) -> float | None:
        """When the guard is, in seconds, as the session is told them: a deadline that is hit to the bit. None for a voice that it
        does not keep out."""
        if not 0 < speech.playout_ms < speech.guard_ms:
            return None
        return speech.started_at / _SECOND + (speech.guard_ms - speech.playout_ms) / 1000

    def _lets_go(self, speech: _Speech) -> None:
        if speech.held:
            speech.held = False
            self._go_on()

    def _decide(self, speech: _Speech, verdict: Literal["cut", "dismissed"]) -> None:
        was_open = speech.fate == "open"
        speech.fate = verdict
        if verdict == "cut":
            self._ledger.saw(self._why(speech) if was_open else "F121: a slow word interrupts after all")
            self._answer(speech)
            self._lets_go(speech)
            self._guard.cuts(speech.playout_ms, speech.heard_out)
            self._cut("server", speech.first_at, speech.interrupts_since)
        elif was_open:
            self._ends = True
            self._ledger.saw("B18: a false interruption")
            if any(speech.whole.values()):
                self._ledger.saw("B19: nothing but backchannels, or no word at all")
            self._lets_go(speech)
            self.dismissed()

    def _why(self, speech: _Speech) -> str:
        if speech.committed:
            return "B18: a turn was committed while the sound was held"
        return "B19: speech as long as the minimum, or with words enough"

    def _answer(self, speech: _Speech) -> None:
        for message in speech.withheld:
            self._owed(message)
        for text in speech.understood:
            self._recognised(text)
        speech.withheld.clear()
        speech.understood.clear()

    def _verdict(self, speech: _Speech) -> Literal["cut", "dismissed"] | None:
        """The table; None: it is still open."""
        options, now = self._options, self._ledger.now
        spoken = (now if speech.stopped_at is None else speech.stopped_at) - speech.started_at - speech.silence
        long_enough = options.min_duration_ms is None or spoken + ROUNDING >= options.min_duration_ms * MILLISECOND
        said = said_in(" ".join(speech.words.values()), self._options.backchannels)
        waits = self._transcribes and len(speech.whole) < len(speech.words)
        known = bool(speech.words) and len(speech.whole) == len(speech.words) and all(speech.whole.values())
        if known and said < max(1, options.min_words):
            return "dismissed"
        over = None if speech.stopped_at is None else speech.stopped_at / _SECOND + options.false_interruption_ms / 1000
        if speech.committed:
            if known:
                return "cut"
            if waits and over is not None and speech.judged < over:
                return None
            return "cut" if long_enough else "dismissed"
        counts = options.min_duration_ms is not None or options.min_words > 0
        if counts and not options.wait_for_turn and long_enough and said >= options.min_words:
            return "cut"
        if over is not None:
            return "dismissed" if speech.judged >= over else None
        return "cut" if speech.judged >= speech.started_at / _SECOND + _LONGEST_S else None

    # -- what the core does --------------------------------------------------------------------------------------------------

    def did(self, effects: Sequence[Effect]) -> None:
        """The session has answered: does it say the same?"""
        if not self.watches:
            return
        ledger = self._ledger
        begins = any(isinstance(effect, InterruptionPending) for effect in effects)
        ends = any(isinstance(effect, FalseInterruption) for effect in effects)
        if self._perhaps and not (begins or ends):
            self._speech, self._begins, self._ends = None, False, False
            self._guard.cuts(self._guard.playout_ms, self._guard.heard_out)
            self._go_on()
        self._perhaps = False
        # Both in one step: what was waited for was there already.
        if begins != self._begins and not (self._begins and not self.open):
            ledger.fail(
                7, "a speech is put to the test" if begins else "a speech was not put to the test, though something sounds"
            )
        if ends != self._ends:
            ledger.fail(7, "a speech was dismissed that may be one" if ends else "a speech that was nothing was not dismissed")
        self._begins = self._ends = False
        if self._guarded:
            self._guard.did(effects)
        if self.open:
            if self._speech is not None and self._speech.held:
                self._keep()  # one response may be cut meanwhile; the others are held
            for effect in effects:
                if isinstance(effect, Send):
                    self._changes_nothing(effect.payload)

    def _changes_nothing(self, payload: bytes) -> None:
        """While it is open, nothing of what the model says is taken back; what was cut before is settled all the same."""
        ledger = self._ledger
        message = read_client(payload, ledger.now, ledger.order)
        item = ledger.items.get(message.item_id or "")
        response = item.response if item is not None else ledger.responses.get(message.response_id or "")
        # A call that never became complete goes with its response, and a message without a sample; what is over is the program's.
        over = item is not None and item.ended is not None and item.ended_at != ledger.now
        silent = item is not None and not any(segment.received for segment in item.segments)
        by_itself = over or (item is not None and (item.type != "message" or silent))
        if message.type in _EDITS and response is not None and not (response.dead or by_itself):
            ledger.fail(5, f"{message.type} of {response.id} while it is open whether anything is interrupted")


def said_in(text: str, backchannels: tuple[str, ...]) -> int:
    """How many words were said, without those that only say that somebody listens."""
    words = _words(text)
    for phrase in backchannels:
        while f" {phrase} " in f" {words} ":
            words = f" {words} ".replace(f" {phrase} ", " ").strip()
    return len(_apart(words).split())


def _words(text: str) -> str:
    """Letters with the marks on them, and spaces for all else."""
    words = " "
    for each in normalize("NFC", text.lower()):
        on_it = category(each) in ("Mn", "Mc", "Me", "Cf") and words[-1] != " "
        words += each if each.isalnum() or each == "'" or on_it else " "
    return " ".join(words.split())


def _apart(words: str) -> str:
    """Where no spaces stand between words, each letter counts as one."""
    letters = "".join(each for each in words if each.isalnum() or each in " '")
    return "".join(f" {each} " if name(each, "").startswith(_UNSPACED) else each for each in letters)
