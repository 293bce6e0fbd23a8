"""Decisions that a program may make in its own way: each a pure function of a frozen view, each with a default.

    def mine(view: InterruptionView) -> InterruptionAnswer:
        return DISMISS if view.heard_ms < 500 else interruption(view)

    session = Session(config, policies=Policies(interruption=mine))

A policy gets everything that it may judge by in its view, and nothing else: it reads no clock, keeps nothing and waits for
nothing. So a recorded session replays with it. What it raises, and what is no answer, is told as ``PolicyFailed``, and the
default decides.

Times are ``now`` seconds of the session's clock; spans named ``*_ms`` are milliseconds.
"""

from collections.abc import Callable, Mapping
from typing import Literal
from unicodedata import category, normalize

from msgspec import Struct

from rtcore._context import ContextView as ContextView
from rtcore._context import CreationView as CreationView
from rtcore._context import Stale as Stale
from rtcore._context import Wanted as Wanted
from rtcore._context import context as context
from rtcore._context import creation as creation
from rtcore._notices import Cause, Problem
from rtcore._script import SPACELESS

# -- is this an interruption? ------------------------------------------------------------------------------------------------

BACKCHANNELS: Mapping[str, tuple[str, ...]] = {
    "de": ("mhm", "hm", "hmm", "aha", "ach so", "genau", "okay", "ok"),
    "en": ("mhm", "mm", "mm hmm", "hm", "hmm", "uh huh", "aha", "yeah", "right", "okay", "ok", "i see"),
    "es": ("mhm", "hm", "ajá", "ya", "vale", "ok"),
    "fr": ("mhm", "hm", "ah", "ouais", "d'accord", "ok"),
    "it": ("mhm", "hm", "ah", "ok"),
}
"""What people say while they go on listening, by language (ISO 639-1): the default of ``BargeIn.backchannels``. A plain
yes is not among them: it may be the answer to a question."""
_LONGEST_S = 60.0
"""Speech whose end is never told is an interruption after so long: somebody, or something, did not stop (F127)."""
_BACK_OFF = 4
"""The echo guard grows no further than to 2 to this power."""
_JOINERS = "\u200c\u200d"
"""They say how letters are joined, in the middle of a word."""


class InterruptionOptions(Struct, frozen=True):
    """What the configuration says about interruptions, as plain data (``Config.interruption``, ``Config.barge_in``)."""

    mode: Literal["cut", "ignore", "pause", "half_duplex"] = "cut"
    min_duration_ms: int | None = 500
    min_words: int = 0
    wait_for_turn: bool = False
    false_interruption_ms: int = 2_000
    backchannels: tuple[str, ...] = ()
    """Lower case, without punctuation, longest first."""
    echo_guard_ms: int = 0
    echo_guard: Literal["ignore", "defer"] = "defer"


class InterruptionView(Struct, frozen=True):
    """What is known at a moment in which a person's voice may interrupt the model.

    The policy is asked when the server's turn detection or a local detector hears speech begin; and then, as long as it wants to
    wait, whenever something about that speech becomes known, and at the time that it named.
    """

    options: InterruptionOptions
    cause: Cause
    """``server`` or ``local``: who heard it. Other causes are no matter of opinion and are not asked about."""
    now: float
    started_at: float
    """When the beginning of the speech was told."""
    stopped_at: float | None = None
    """When its end was told."""
    silence_ms: int = 0
    """So much silence a detector needs before it says that speech has ended: it counts in the time between the two."""
    committed: bool = False
    """The speech became a turn of the user's."""
    transcribing: bool = False
    """The session transcribes what the user says, and the words of this speech have not come to an end."""
    transcript: str | None = None
    """Its words, once they are complete; None before, and where there are none to be had."""
    text: str = ""
    """Its words so far."""
    active: bool = True
    """Whether anything is heard, generated or asked for that could be cut, or a function runs that an interruption cancels."""
    sounding: bool = False
    """Whether a message is being heard, or held in its middle."""
    heard_ms: int = 0
    """How much of that message was heard."""
    playout_ms: int = 0
    """For how long the model has been heard, when the speech began, without having fallen silent; 0 where it was not heard."""
    uninterruptible: bool = False
    """Whether that message, or what is heard next, was asked for as uninterruptible."""
    held: bool = False
    """Whether the sound is held because of this speech."""
    again: bool = False
    """Whether the policy was asked about this speech before."""
    cuts_in_a_row: int = 0
    """How often, just before, a voice cut the model right after it began to be heard, and no turn of the user's that began in
    silence came between: the mark of a model that hears itself."""

    @property
    def speech_ms(self) -> float:
        """How long the person is known to have spoken: a detector's silence at the end is none of it."""
        until = self.now if self.stopped_at is None else self.stopped_at
        return max(0.0, (until - self.started_at) * 1000 - self.silence_ms)

    @property
    def words(self) -> int:
        """How many words were said so far, without backchannels."""
        return count_words(self.text if self.transcript is None else self.transcript, self.options.backchannels)

    @property
    def guard_ms(self) -> int:
        """How long after its beginning the model's sound may be taken for speech: longer with each cut in a row."""
        return self.options.echo_guard_ms << min(self.cuts_in_a_row, _BACK_OFF)


class InterruptionAnswer(Struct, frozen=True):
    """What to do: ``CUT``, ``IGNORE`` or ``DISMISS``, or ``pause(until)`` or ``defer(until)`` to be asked again."""

    do: Literal["cut", "ignore", "dismiss", "pause", "defer"]
    until: float | None = None
    """Ask again at this time (``now`` seconds), if nothing new was heard before; None: only then."""


CUT = InterruptionAnswer("cut")
"""It is an interruption: silence, and what was not heard is taken back."""
IGNORE = InterruptionAnswer("ignore")
"""It interrupts nothing: the model goes on, and what the person said is answered when it has finished."""
DISMISS = InterruptionAnswer("dismiss")
"""It was nothing, such as a cough or an "mhm": the model goes on, and nothing of it is answered."""


def pause(until: float | None) -> InterruptionAnswer:
    """Hold the sound, without losing a sample, and ask again."""
    return InterruptionAnswer("pause", until)


def defer(until: float | None) -> InterruptionAnswer:
    """Let the model be heard meanwhile, and ask again."""
    return InterruptionAnswer("defer", until)


def plain_words(text: str) -> str:
    """The words of ``text`` in lower case, without punctuation, one space between. A mark on a letter is part of its word."""
    plain = normalize("NFC", text.lower()).replace("\u2019", "'")
    whole = "".join(each if _in_word(each) else " " for each in plain).replace("''", " ")
    return " ".join(word.strip("'") for word in whole.split() if any(map(str.isalnum, word)))


def _in_word(character: str) -> bool:
    return character.isalnum() or character == "'" or character in _JOINERS or category(character).startswith("M")


def count_words(text: str, backchannels: tuple[str, ...] = ()) -> int:
    """Words of ``text`` without those that only say that somebody listens; a script without spaces counts its letters."""
    plain = f" {plain_words(text)} "
    for phrase in backchannels:
        while f" {phrase} " in plain:
            plain = plain.replace(f" {phrase} ", " ")
    letters = sum(map(str.isalnum, SPACELESS.findall(plain)))
    return letters + sum(any(map(str.isalnum, word)) for word in SPACELESS.sub(" ", plain).split())


def interruption(view: InterruptionView) -> InterruptionAnswer:
    """The default: what is uninterruptible is not interrupted, echo is kept out, and the rest is as ``Config.interruption``
    says."""
    mode = view.options.mode
    if mode == "ignore" or view.uninterruptible:
        return IGNORE
    if mode == "half_duplex" and view.cause == "local" and view.sounding:
        return IGNORE  # whoever it was, the server does not hear them now
    if not view.active and not view.again:
        return CUT
    if view.playout_ms and view.playout_ms < view.guard_ms:
        # Each time from the same numbers: what is deferred is looked at again when the guard is over.
        over = view.started_at + (view.guard_ms - view.playout_ms) / 1000
        ended = view.now >= over and view.stopped_at is not None and view.stopped_at <= over
        if view.options.echo_guard == "ignore" or ended:
            return DISMISS
        if view.now < over:
            return defer(over)
    return pause_then_decide(view) if mode == "pause" else CUT


def pause_then_decide(view: InterruptionView) -> InterruptionAnswer:
    """Hold the sound at once; cut when it shows that the person means it, go on when it was nothing.

    Words decide where they can be had: none, or backchannels alone, are nothing; ``min_words`` of them are an interruption.
    Speech of ``min_duration_ms`` is one without waiting for its end. A committed turn is one if it was long enough, once its
    words are known or ``false_interruption_ms`` have passed since the person fell silent.
    """
    options, now = view.options, view.now
    least = options.min_duration_ms
    long_enough = least is None or view.speech_ms >= least - _ROUNDING_MS
    if view.transcript is not None and view.words < max(1, options.min_words):
        return DISMISS
    silent_since = view.stopped_at
    over = None if silent_since is None else silent_since + options.false_interruption_ms / 1000
    if view.committed:
        if view.transcript is not None:
            return CUT
        if view.transcribing and over is not None and now < over:
            return pause(over)
        return CUT if long_enough else DISMISS
    early = least is not None or options.min_words > 0
    if early and not options.wait_for_turn and long_enough and view.words >= options.min_words:
        return CUT
    if over is not None:
        return pause(over) if now < over else DISMISS
    longest = view.started_at + _LONGEST_S
    if now >= longest:
        return CUT
    if least is not None and not long_enough:
        return pause(min(longest, view.started_at + (least + view.silence_ms) / 1000))
    return pause(longest)


_ROUNDING_MS = 0.001
"""Spans are differences of floats: a microsecond is none."""


# -- is a lost connection dialled again? --------------------------------------------------------------------------------------


class ReconnectView(Struct, frozen=True):
    """What is known when a connection is lost and the session could go on over another one.

    Only losses that may pass are asked about: what credentials, quota or a wrong address end stays ended, whatever a policy says.
    """

    attempt: int
    """Which attempt the next one is, from 1, since a response was last completed. It begins anew only with that (B25)."""
    problem: Problem
    """Why the connection, or the attempt before, failed."""
    planned: bool
    """The server ended the session at its time (``session_expired``, close code 1001), rather than failing."""
    down_s: float
    """Seconds since the connection was lost; 0 at the first attempt."""
    chance: float
    """A number from 0 to 1, drawn from the session's seed: with it, many sessions that were lost together do not come back
    together."""
    attempts: int
    """``config.reconnect.attempts``"""
    first_s: float
    """``config.reconnect.first_ms``, in seconds."""
    cap_s: float
    """``config.reconnect.cap_ms``, in seconds."""
    jitter: float
    """``config.reconnect.jitter``"""
    renewal: bool = False
    """The second line of a renewal failed; the conversation goes on over the first. ``attempt`` counts the renewal's own, None
    ends it alone, and ``first_s`` and ``cap_s`` are no less than 5 s and 300 s, because nobody waits."""


def reconnect(view: ReconnectView) -> float | None:
    """Seconds until the next attempt, or None: no more of them, the session ends (of a renewal: it is not renewed).

    The delay doubles from ``first_s`` up to ``cap_s`` and is shortened by up to the share ``jitter`` of it. A session that the
    server ended at its time is dialled again at once the first time, because nothing is wrong.
    """
    if view.attempt > view.attempts:
        return None
    if view.planned and view.attempt == 1:
        return 0.0
    # 2 ** 30 times any delay is beyond any cap; a larger power would only be a larger number.
    delay = min(view.cap_s, view.first_s * 2.0 ** min(view.attempt - 1, 30))
    return delay * (1.0 - view.jitter * view.chance)


# -- how far ahead is handed over? --------------------------------------------------------------------------------------------


class LeadView(Struct, frozen=True):
    """What is known when it is decided how much audio the clock is given ahead of what was heard.

    It is decided when a generation begins, with each flush and each change of format, and when the clock ran dry.
    """

    generation: int
    """The generation that it is for, from 1."""
    lead_ms: int | None
    """``config.playout.lead_ms``"""
    report_ms: int
    """The longest time between two reports of the clock (``Clock.report_ms``)."""
    latency_ms: int
    """``Clock.latency_ms``"""
    underruns: int
    """How often the clock ran dry in this session while a response was under way."""
    ran_dry: bool
    """Whether it is asked because the clock has just run dry."""


def lead(view: LeadView) -> int | None:
    """How much is handed over and not heard, in ms, at least 20; None: all there is, for clocks that flush at once.

    The default: as configured. Never less than twice ``report_ms`` plus ``latency_ms`` counts, whatever is given: a clock would
    run dry before it says again where it stands.
    """
    return view.lead_ms


# -- all of them -------------------------------------------------------------------------------------------------------------


class Policies(Struct, frozen=True):
    """The decisions of a session. What is not given is the default, which needs no choice."""

    interruption: Callable[[InterruptionView], InterruptionAnswer] = interruption
    """Is this an interruption?"""
    context: Callable[[ContextView], Stale] = context
    """May an answer stand that the server began before our edits were acknowledged?"""
    creation: Callable[[CreationView], tuple[int, ...]] = creation
    """Which requests that wait are not asked for, because the answer to a later one is one to them too?"""
    reconnect: Callable[[ReconnectView], float | None] = reconnect
    """Is a lost connection dialled again, and in how many seconds?"""
    lead: Callable[[LeadView], int | None] = lead
    """How much audio is the clock given ahead of what was heard?"""

    @property
    def own(self) -> tuple[str, ...]:
        """The names of those that are not the defaults."""
        return tuple(name for name in self.__struct_fields__ if getattr(self, name) is not getattr(DEFAULT, name))


DEFAULT = Policies()
