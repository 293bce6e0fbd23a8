"""Is this an interruption? A person's voice is put to the policy, and what the policy wants to wait for is waited for here.

    speech begins --> ask --> cut       silence, and what follows from it (``_interruption``)
                       |----> ignore    nothing; the turn is answered when the model has finished
                       |----> dismiss   nothing, and the turn is not answered: a cough, an "mhm"
                       '----> pause, defer: ask again when it ends, becomes a turn or words, or at a time that the policy named

While a decision is open the turn that it is about is not answered; cut or ignored, it is; dismissed, it is not. A dismissed
speech of which more is heard later (its commit or its words were slow) is asked about once more, so that nobody is left without
an answer.
"""

from typing import Literal

from msgspec import Struct, field

from rtcore._consult import consult
from rtcore._core import Core
from rtcore._interruption import Lost
from rtcore._items import Response
from rtcore._notices import Cause, EchoSuspected, FalseInterruption, InterruptionPending, Verdict
from rtcore._recent import keep_latest
from rtcore.policies import InterruptionAnswer, InterruptionOptions, InterruptionView, interruption

_TIMER = "decision about an interruption"
_LOST = "turn that may never come"
_LONGEST_S = 60.0
"""Speech whose end is never told (F127)."""
_EARLY_MS = 1_500
"""A voice so soon after the model began to be heard may be its own."""
_REPEATED = 3
"""So many of those in a row are told."""
_ITEMS = 16
"""So many items of one who speaks on and on are listened for."""


class _Speech(Struct):
    """One stretch of a person's speech, and what became of it."""

    cause: Cause
    started_at: float
    first_at: float
    """When the first of it began: who speaks on began before."""
    interrupts_since: float
    """The same, or when what was taken for nothing was heard to be more."""
    playout_ms: int
    in_a_row: int
    """How many cuts in a row there had been when it began: what is asked later is judged by the same guard."""
    heard_out: bool = False
    """What sounded when it began was heard to its end before it was known what it is."""
    silence_ms: int = 0
    stopped_at: float | None = None
    committed: bool = False
    words: dict[str, str] = field(default_factory=dict)
    """By item: the words so far."""
    spelt: dict[str, bool] = field(default_factory=dict)
    """By item: whether its words are complete; False: none are to be had."""
    fate: Literal["open", "cut", "ignore", "dismiss"] = "open"
    spared: bool = False
    """It interrupts nothing only because what sounded then was asked for as uninterruptible."""
    told: bool = False
    asked: bool = False
    after: int = 0
    """So many events had been issued when it began: a commit of the program's among them ends the turn before."""
    owed: frozenset[str] = frozenset()
    """The turns of it that are to be answered once it is known what it was: the items of those that the program told in words,
    "" for any other."""
    held_at: float | None = None
    held_s: float = 0.0

    @property
    def item_id(self) -> str | None:
        return next(reversed(self.words), None)

    def belongs(self, item_id: str) -> None:
        """This item is, or will be, part of it."""
        self.words.setdefault(item_id, "")
        keep_latest(self.words, _ITEMS)
        keep_latest(self.spelt, _ITEMS)


class BargeIn:
    """Owner of: is this an interruption?"""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._speech: _Speech | None = None
        self._lost: list[Response] = []
        self._lost_answer = False
        self._touched: int | None = None
        """So many events had been issued when a button was let go of that had been touched for nothing, while that counts."""
        self._pressed: Lost | None = None
        """What the button cut that is down."""
        self._in_a_row = 0

    @property
    def _options(self) -> InterruptionOptions:
        return self._core.config.interruptions()

    @property
    def pending(self) -> bool:
        """Whether it is still open what a person's speech is."""
        return self._speech is not None and self._speech.fate == "open"

    # -- what is heard of a person -----------------------------------------------------------------------------------------------

    def started(self, cause: Cause, item_id: str | None) -> None:
        """Speech begins, or another detector hears the same."""
        self._ask(self._begin(cause, item_id))

    def _begin(self, cause: Cause, item_id: str | None) -> _Speech:
        core = self._core
        speech = self._speech
        if speech is not None and speech.fate == "open":
            if speech.stopped_at is not None:
                # One who speaks on: what was said before counts with it.
                speech.started_at, speech.stopped_at, speech.committed = core.now, None, False
                if playout_ms := self._playout_ms():
                    speech.playout_ms, speech.heard_out = playout_ms, False
            speech.cause = cause if cause == "server" else speech.cause
        else:
            speech = self._speech = _Speech(cause, core.now, core.now, core.now, self._playout_ms(), self._in_a_row)
            speech.after = core.requests.issued
        if cause == "server":
            speech.silence_ms = core.acknowledged.silence_ms
        if item_id is not None:
            speech.belongs(item_id)
        return speech

    def _playout_ms(self) -> int:
        """For how long the model has been heard, or 0."""
        core = self._core
        return max(1, int((core.now - core.speech.since) * 1000)) if core.speech.speaking else 0

    def stopped(self, item_id: str | None) -> None:
        """It ends."""
        speech = self._about(item_id)
        if speech is not None and speech.stopped_at is None:
            speech.stopped_at = self._core.now
            self._again(speech)
            self._expect_turn()

    def committed(self, item_id: str, *, answer: bool, by_program: str = "") -> bool:
        """It became a turn. Gives whether it is up to this owner that it be answered; ``answer``: somebody should.

        ``by_program``: the event with which the program committed it, and so has said that it is one.
        """
        number = self._core.requests.event_number(by_program) if by_program else None
        if self._speech is not None and number is not None and number <= self._speech.after:
            return False
        if self._touched is None or number is None or number > self._touched:
            self._forget_lost()
        speech = self._about(item_id)
        if speech is None:
            return False
        speech.belongs(item_id)
        speech.committed = True
        speech.stopped_at = self._core.now if speech.stopped_at is None else speech.stopped_at
        if speech.fate in ("cut", "ignore"):
            return False
        if answer:
            speech.owed |= {""}
        if by_program and speech.fate == "open":
            self._core.timers.cancel(_TIMER)
            self._cut(speech, sparing=True)
        else:
            self._again(speech)
        return True

    def said(self, item_id: str, text: str, *, answer: bool) -> bool:
        """A recogniser of the program's own heard a turn; no detector need have told of its beginning. Gives what ``committed``
        gives.

        Its end, its commit and its words are one piece of news: asked about the first of them alone, the policy would judge
        without the words that are there.
        """
        self._forget_lost()
        speech = self._speech
        if speech is None or speech.committed:
            speech = self._begin("local", item_id)
        speech.belongs(item_id)
        speech.words[item_id], speech.spelt[item_id] = text, True
        speech.committed = True
        speech.stopped_at = self._core.now if speech.stopped_at is None else speech.stopped_at
        self._again(speech)
        up_to_here = speech.fate not in ("cut", "ignore")
        if answer and up_to_here:
            speech.owed |= {item_id}
        return up_to_here

    def turn_refused(self, item_id: str) -> None:
        """The server refused the turn that was told in words: there is nothing to be answered."""
        if self._speech is not None:
            self._speech.owed -= {item_id}

    def spoke(self, item_id: str, delta: str) -> None:
        """A piece of a person's words."""
        speech = self._about(item_id)
        if speech is not None and item_id in speech.words and item_id not in speech.spelt:
            speech.words[item_id] += delta
            self._again(speech)

    def spelt(self, item_id: str, text: str | None) -> None:
        """The words are complete; None: they could not be had."""
        speech = self._about(item_id)
        if speech is not None and item_id in speech.words and item_id not in speech.spelt:
            speech.spelt[item_id] = text is not None
            speech.words[item_id] = text if text is not None else speech.words[item_id]
            self._again(speech)

    def cleared(self) -> None:
        """What was being said was thrown away: it will be no turn."""
        speech = self._about(None)
        if speech is not None and not speech.committed and speech.stopped_at is None:
            speech.stopped_at = self._core.now
            self._again(speech)
        self._expect_turn()

    def _about(self, item_id: str | None) -> _Speech | None:
        """The latest speech, if the event is about it."""
        speech = self._speech
        known = speech is not None and (item_id is None or not speech.words or item_id in speech.words)
        return speech if known else None

    def _again(self, speech: _Speech) -> None:
        if speech.fate == "dismiss":
            speech.interrupts_since = self._core.now
        if speech.fate == "open" or (speech.fate == "dismiss" and speech.committed):
            self._ask(speech)

    def message_started(self, response: Response) -> None:
        """Another message begins to be heard: who still speaks, and had spoken over one that nobody interrupts, interrupts this
        one (F054)."""
        speech, now = self._speech, self._core.now
        if speech is None or not speech.spared or speech.stopped_at is not None or not response.interruptible:
            return
        speech.fate, speech.spared, speech.interrupts_since = "open", False, now
        self._core.timers.set(_TIMER, now)

    def overdue(self) -> None:
        """The time that the policy named."""
        if self._speech is not None and self._speech.fate == "open":
            self._ask(self._speech)

    # -- deciding ----------------------------------------------------------------------------------------------------------------

    def _ask(self, speech: _Speech) -> None:
        core = self._core
        core.timers.cancel(_TIMER)
        view = self._view(speech)
        speech.asked = True
        answer = consult(core, "interruption", core.policies.interruption, interruption, view, InterruptionAnswer)
        if answer.do == "cut":
            self._cut(speech, sparing=not view.uninterruptible)
        elif answer.do in ("ignore", "dismiss"):
            speech.spared = answer.do == "ignore" and view.uninterruptible and not speech.committed
            self._let_be(speech, answered=answer.do == "ignore")
        else:
            self._wait(speech, answer)

    def _view(self, speech: _Speech) -> InterruptionView:
        core = self._core
        segment = core.playout.head
        sounding = core.speech.speaking and (segment is not None or bool(core.remote.sounding))
        unspelt = [item for item in speech.words if item not in speech.spelt]
        complete = bool(speech.words) and not unspelt and all(speech.spelt.values())
        text = " ".join(filter(None, speech.words.values()))
        return InterruptionView(
            options=self._options,
            cause=speech.cause,
            now=core.now,
            started_at=speech.started_at,
            stopped_at=speech.stopped_at,
            silence_ms=speech.silence_ms,
            committed=speech.committed,
            transcribing=bool(unspelt) and core.acknowledged.writes_down,
            transcript=text if complete else None,
            text=text,
            active=core.interruption.anything,
            sounding=sounding,
            heard_ms=segment.heard_ms if segment is not None else 0,
            playout_ms=speech.playout_ms,
            uninterruptible=core.interruption.uninterruptible,
            held=speech.held_at is not None,
            again=speech.asked,
            cuts_in_a_row=speech.in_a_row,
        )

    def _wait(self, speech: _Speech, answer: InterruptionAnswer) -> None:
        core = self._core
        speech.fate = "open"
        if answer.do == "pause" and core.capabilities.playout == "client":
            if speech.held_at is None:
                speech.held_at = core.now
                core.pauses.hold("decision")
        else:
            self._release(speech)
        if not speech.told:
            speech.told = True
            core.news.append(InterruptionPending(speech.cause, speech.item_id, speech.held_at is not None))
        longest = max(core.now, speech.started_at) + _LONGEST_S
        # A policy that named no time, or one that has passed, is asked again when nothing was heard of a person for so long.
        until = answer.until if answer.until is not None and answer.until > core.now else longest
        core.timers.set(_TIMER, min(until, longest))

    def _release(self, speech: _Speech) -> None:
        if speech.held_at is not None:
            speech.held_s += self._core.now - speech.held_at
            speech.held_at = None
            self._core.pauses.release("decision")

    def _cut(self, speech: _Speech, *, sparing: bool, cancelled: Response | None = None) -> None:
        core = self._core
        speech.fate = "cut"
        self._count(speech)
        since, began_at = speech.first_at, speech.interrupts_since
        lost = core.interruption.barge_in(speech.cause, sparing=sparing, since=since, began_at=began_at, cancelled=cancelled)
        if not speech.committed:
            self._lose(lost.responses, answer=lost.answer)
        else:
            # Its own answer, perhaps, and another voice made the server cancel it.
            self._lose(tuple(response for response in lost.responses if response.asked_at > since), answer=False)
        self._release(speech)
        self._ask_answer(speech)
        core.creation.pump()

    def _ask_answer(self, speech: _Speech) -> None:
        """It is known what it was: its turn is answered now."""
        if speech.owed:
            self._core.creation.ask_answer(speech.owed)
            speech.owed = frozenset()

    def _let_be(self, speech: _Speech, *, answered: bool) -> None:
        core = self._core
        was_open = speech.told and speech.fate == "open"
        speech.fate = "ignore" if answered else "dismiss"
        self._release(speech)
        if was_open or (not answered and not speech.told):
            speech.told = True
            core.news.append(FalseInterruption(speech.cause, speech.item_id, int(speech.held_s * 1000), answered))
        if answered:
            self._ask_answer(speech)
        core.creation.pump()

    def ended_by(self, cause: Cause) -> None:
        """Something else interrupts: there is nothing left to decide. What the program does about the person's turn is its
        affair."""
        speech = self._speech
        if speech is not None and speech.fate == "open":
            self._core.timers.cancel(_TIMER)
            speech.fate = "ignore"
            self._release(speech)
            if cause != "program":
                self._ask_answer(speech)
            speech.owed = frozenset()
        if cause in ("program", "text"):
            self._forget_lost()
            self._in_a_row = 0

    def pressed(self) -> None:
        """The button is down: it interrupts as the program does, and it is a person who presses it."""
        touched = Lost(tuple(self._lost), self._lost_answer) if self._touched is not None else Lost()
        lost = self._core.interruption.barge_in("program")
        for response in lost.responses:
            response.by_button = True
        self._pressed = Lost(touched.responses + lost.responses, touched.answer or lost.answer)

    def released(self, *, turn: bool) -> None:
        """It is up. Where no turn was made, it was touched for nothing: what it cut unheard is missing, should it not be pressed
        again (F120, F125)."""
        lost, self._pressed = self._pressed, None
        if turn or lost is None:
            return
        self._touched = self._core.requests.issued
        self._lose(lost.responses, answer=lost.answer)

    def server_cancelled(self, cancelled: Response | None = None, *, unseen: bool = False) -> None:
        """The server's turn detection cancelled a response by itself: that is an interruption, whatever was being waited for.

        ``unseen``: it was to answer a turn, and nothing else was ever seen of it (facts 4.10).
        """
        core, speech = self._core, self._speech
        if self._options.mode == "ignore":
            return
        lost = Lost()
        if speech is not None and speech.fate == "open":
            core.timers.cancel(_TIMER)
            self._cut(speech, sparing=True, cancelled=cancelled)
        else:
            lost = core.interruption.barge_in("server", sparing=True)
        if speech is None or (speech.committed and speech.fate != "dismiss"):
            # Another voice than the latest, and its beginning is told behind what it led to (facts 4.9).
            self._speech = _Speech(
                "server", core.now, core.now, core.now, 0, self._in_a_row, fate="cut", after=core.requests.issued
            )
        self._lose(lost.responses, answer=lost.answer or unseen)

    def line_lost(self) -> None:
        """The server that heard the person is gone: no more of this speech will be told, and what is known decides, at once or
        when the person was not heard again for ``false_interruption_ms``. What cut an answer of which nothing had been heard may
        still become a turn: the next session's (``go_on``).
        """
        core, speech = self._core, self._speech
        core.timers.cancel(_LOST)
        if speech is not None:
            speech.stopped_at = core.now if speech.stopped_at is None else speech.stopped_at
        if speech is not None and speech.fate == "open":
            for item_id in speech.words:
                speech.spelt.setdefault(item_id, False)
            # Behind everything else that the loss of the line brings about.
            core.timers.set(_TIMER, core.now)

    def go_on(self) -> None:
        """Another server hears the person now."""
        self._expect_turn()

    # -- a model that hears itself -----------------------------------------------------------------------------------------------

    def _count(self, speech: _Speech) -> None:
        if speech.heard_out:
            return
        self._in_a_row = self._in_a_row + 1 if 0 < speech.playout_ms < _EARLY_MS else 0
        if self._in_a_row >= _REPEATED:
            guard_ms = self._options.echo_guard_ms << min(self._in_a_row, 4)
            self._core.news.append(EchoSuspected(self._in_a_row, guard_ms))

    def heard_out(self, response: Response) -> None:
        """A message was heard to its end: nothing in it was taken for speech, and no answer from before it is missing now, unless
        it was none: a clip of the program's that speaks none, a filler beside the conversation, what had an input of its own."""
        self._in_a_row = 0
        if self._speech is not None:
            self._speech.heard_out = True
        answer = response if response.speaks is None else response.speaks
        if not (answer.out_of_band or answer.own_input):
            self._forget_lost()

    # -- an answer that was cut for nothing --------------------------------------------------------------------------------------

    def _lose(self, responses: tuple[Response, ...], *, answer: bool) -> None:
        self._lost += responses
        self._lost_answer |= answer
        self._expect_turn()

    def _expect_turn(self) -> None:
        """Where an answer was cut of which nothing had been heard, a turn has to follow, or that answer is missing (F120)."""
        core, speech = self._core, self._speech
        if not (self._lost or self._lost_answer) or not (speech or self._touched is not None) or not core.ready:
            return
        speaks = speech is not None and speech.stopped_at is None
        wait = _LONGEST_S if speaks else self._options.false_interruption_ms / 1000
        core.timers.set(_LOST, core.now + wait)

    @property
    def _missing(self) -> bool:
        return self._lost_answer or any(_unheard(response) for response in self._lost)

    def answered(self, response: Response) -> None:
        """An answer of the conversation begins: whatever it was asked for, what was missing is said with it (C15), or is missing
        again should it be cut unheard."""
        response.for_user |= self._missing
        self._forget_lost()

    def _forget_lost(self) -> None:
        self._lost.clear()
        self._lost_answer, self._touched = False, None
        self._core.timers.cancel(_LOST)

    def missing(self, response: Response) -> None:
        """Nobody cut this response, and it is not heard all the same: what it answered is answered once more."""
        core = self._core
        if core.config.answer_turns and _unheard(response) and not core.creation.ask_again(response):
            core.creation.ask_answer()

    def turn_overdue(self) -> None:
        """No turn came of what cut the answer: the turn before it is answered after all."""
        core, missing = self._core, self._missing
        speech = None if self._touched is not None else self._speech
        self._forget_lost()
        # Without speech it was the button: what is missing is waited for because of the one or the other.
        if missing and core.config.answer_turns:
            cause, item_id = ("program", None) if speech is None else (speech.cause, speech.item_id)
            core.news.append(FalseInterruption(cause, item_id, 0, answered=False))
            core.creation.ask_answer()
            core.creation.pump()


def _unheard(response: Response) -> bool:
    """An answer to a turn or to function results, and nobody heard or read any of it. What the program asks for otherwise is its
    own affair: it is told of the cut, and knows what it wanted to have said. An answer in text that the program's own voice
    speaks is heard where that is, and not read: there the cut of the voice tells (B19)."""
    answer = response if response.speaks is None else response.speaks
    verdicts = {item.verdict for item in response.items.values() if item.type == "message"}
    owed = (answer.request is None or answer.for_user) and not answer.out_of_band
    return owed and not answer.spoken and verdicts <= {Verdict.SKIPPED, None}
