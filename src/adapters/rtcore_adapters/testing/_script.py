"""The script of a conversation: what the model answers, and what the user and the line do, in the order in which it is written.

Everything that happens behind an answer waits until that answer was heard, or interrupts it; nothing needs a time.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec
from msgspec import Struct

from rtcore.sim.server import CallPlan, MessagePlan, PartPlan, ResponsePlan, Stall
from rtcore.sim.voices import Voice, Word
from rtcore_adapters.testing._voice import seconds, speak

Ends = Literal["completed", "failed", "incomplete"]
_DETAILS: dict[Ends, str | None] = {"completed": None, "failed": "server_error", "incomplete": "max_output_tokens"}

UNSCRIPTED = "This answer is not in the script."
"""What the model says when it is asked for more answers than were scripted."""


class Call(Struct, frozen=True):
    """A function call of the model's, as part of an answer: ``call("weather", city="Paris")``."""

    name: str
    arguments: Mapping[str, Any]


def call(name: str, /, **arguments: Any) -> Call:
    """A function call with these arguments, for ``RealtimeServer.answers``."""
    return Call(name, arguments)


class Written(Struct, frozen=True):
    """A message in text alone, although the session speaks, for ``RealtimeServer.answers``."""

    text: str


class Answer(Struct, frozen=True):
    """One scripted answer. ``number`` counts from 0; ``voices`` has the sound of each output that is spoken."""

    number: int
    said: tuple[str | Call | Written, ...]
    voices: tuple[Voice | None, ...]
    plan: ResponsePlan

    @property
    def words(self) -> tuple[Word, ...]:
        """Every spoken word, over all messages; times count from the beginning of its own message."""
        return tuple(word for voice in self.voices if voice is not None for word in voice.words)

    @property
    def seconds(self) -> float:
        """How long its sound is."""
        return sum(voice.samples for voice in self.voices if voice is not None) / 24_000

    def after_word(self, number: int) -> tuple[int, int]:
        """In which output, and at which millisecond of it, word ``number`` has been said and the next not begun."""
        output, word = self._find(number)
        return output, (word.sound_end_ms + word.end_ms) // 2

    def before_word(self, number: int) -> tuple[int, int]:
        """In which output, and at which millisecond of it, word ``number`` begins."""
        output, word = self._find(number)
        return output, word.start_ms

    def _find(self, number: int) -> tuple[int, Word]:
        left = number
        for output, voice in enumerate(self.voices):
            words = voice.words if voice is not None else ()
            if left <= len(words):
                return output, words[left - 1]
            left -= len(words)
        raise AssertionError(f"word {number} was checked")


class Cue(Struct):
    """Something that the script does. When: ``at`` seconds after the session was ready; else once word ``word`` of answer
    ``answer`` was said, or once that answer (None: nothing) has been heard to its end."""

    kind: Literal["speak", "drop", "send"]
    at: float | None = None
    answer: int | None = None
    word: int | None = None
    text: str = ""
    lasts: float = 0.0
    code: int | None = None
    event: bytes = b""

    def __str__(self) -> str:
        match self.kind:
            case "speak":
                return f"the user says {self.text!r}"
            case "drop":
                return "the line is dropped" if self.code is None else f"the server hangs up with {self.code}"
            case "send":
                return f"the server sends {self.event.decode()}"


class Refusing(Struct):
    """The next ``times`` client events of this type are refused."""

    type: str
    code: str
    message: str
    times: int


class Script:
    """What was written so far. Answers are taken in order; cues without a time wait for one another."""

    def __init__(self, name: str = "answer") -> None:
        self._name = name
        self.answers: list[Answer] = []
        self.cues: list[Cue] = []
        self.timed: list[Cue] = []
        self.refusing: list[Refusing] = []
        self.rejecting: list[int] = []
        """HTTP statuses with which the next handshakes are answered."""

    def answer(
        self,
        said: Sequence[str | Call | Written],
        *,
        pace: float,
        thinks: float,
        speed: float,
        stalls: Sequence[tuple[int, float]],
        ends: Ends,
        detail: str | None,
    ) -> Answer:
        """Append an answer; ``ValueError`` where it makes no sense."""
        _above("pace", pace)
        _above("speed", speed)
        _not_below("thinks", thinks)
        if ends not in _DETAILS:
            raise ValueError(f"ends: {ends!r} is none of {', '.join(_DETAILS)}")
        if not said:
            raise ValueError("answers: say something, or call a function: answers('Paris.', call('look_up', city='Paris'))")
        number = len(self.answers)
        voices, outputs = [], []
        for index, each in enumerate(said):
            voice, output = _output(f"{self._name} {number}.{index}", each, pace)
            voices.append(voice)
            outputs.append(output)
        plan = ResponsePlan(
            tuple(outputs),
            think_s=thinks,
            gap_s=0.0,
            rate_percent=max(1, round(100 * speed)),
            stragglers=0,
            ends=ends,
            detail=detail or _DETAILS[ends],
        )
        answer = Answer(number, tuple(said), tuple(voices), plan)
        standing = []
        for word, for_s in stalls:
            check_word("stalls", answer, word)
            _above("stalls", for_s)
            standing.append(Stall(*answer.before_word(word), for_s))
        answer = msgspec.structs.replace(answer, plan=msgspec.structs.replace(plan, stalls=tuple(standing)))
        self.answers.append(answer)
        return answer

    def cue(self, cue: Cue, at_word: int | None) -> None:
        """Append a cue: at its time, or behind the answer before it, or at a word of that."""
        if at_word is not None:
            if cue.at is not None:
                raise ValueError("at and at_word: give one of them")
            if not self.answers:
                raise ValueError("at_word: script the answer first, then what happens at its word")
            check_word("at_word", self.answers[-1], at_word)
            cue.word = at_word
        if cue.at is not None:
            _not_below("at", cue.at)
            self.timed.append(cue)
        else:
            cue.answer = len(self.answers) - 1 if self.answers else None
            self.cues.append(cue)


def speech(text: str, *, at: float | None, lasts: float | None) -> Cue:
    """The user says something. ``lasts`` (seconds) is otherwise as long as such words take."""
    if lasts is not None:
        _above("lasts", lasts)
    return Cue("speak", at=at, text=text, lasts=max(0.3, seconds(text)) if lasts is None else lasts)


def _output(name: str, said: str | Call | Written, pace: float) -> tuple[Voice | None, MessagePlan | CallPlan]:
    if isinstance(said, Call):
        return None, CallPlan(said.name, json.dumps(said.arguments, separators=(",", ":")))
    if isinstance(said, Written):
        return None, MessagePlan((PartPlan(kind="text", text=said.text),))
    if not isinstance(said, str):
        raise TypeError(f"answers: {said!r} is no text, call(...) or Written(...)")
    if not said.split():
        raise ValueError("answers: an answer needs at least one word; for silence there is Written(...) or an error")
    voice = speak(name, " ".join(said.split()), pace)
    return voice, MessagePlan((PartPlan(audio_ms=voice.samples // 24, voice=name, text=voice.text),))


def check_word(name: str, answer: Answer, word: int) -> None:
    """``ValueError`` where the answer has no such word."""
    if type(word) is not int or not 1 <= word <= len(answer.words):
        spoken = " ".join(each.text for each in answer.words)
        raise ValueError(
            f"{name}: word {word} of an answer with {len(answer.words)} spoken words ({spoken!r}); they count from 1"
        )


def _above(name: str, value: float) -> None:
    if not value > 0:
        raise ValueError(f"{name}: {value} is not above 0")


def _not_below(name: str, value: float) -> None:
    if not value >= 0:
        raise ValueError(f"{name}: {value} is below 0")
