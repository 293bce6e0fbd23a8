"""Invariant 11 in words: what is told as heard, against the words that had begun to sound."""

import msgspec
import pytest

from rtcore import Effect, HeardText, HistoryItem, MessageEnded, Session, TextDelta, Verdict
from rtcore.sim import Scenario, ServerOptions, Word, World, WorldResult, synthetic_voices
from rtcore.sim._audit_text import words_off

VOICES = synthetic_voices(1)
SCENARIO = Scenario(interruptions=8, server=ServerOptions(audio_ms=(600, 2500), message_weights=(20, 60, 20)))
WORDS = (Word("one", 0, 0, 180, 200), Word("two", 4, 200, 380, 400), Word("three", 8, 400, 700, 720))


@pytest.mark.parametrize(
    ("text", "heard_ms", "off"),
    [
        ("", 0, 0),
        ("one two", 250, 0),
        ("one", 250, 0),
        ("one two three", 250, 1),
        ("one", 650, -1),
        ("", 650, -2),
        ("one two three", 401, 0),
        ("one two ", 200, 1),
    ],
)
def test_the_word_that_sounds_may_be_told_or_not_and_every_other_is_an_error(text: str, heard_ms: int, off: int) -> None:
    """B30, C24."""
    assert words_off(text, WORDS, heard_ms) == off


@pytest.mark.parametrize(("known", "off"), [(13, -2), (9, -2), (7, -1), (3, 0), (0, 0)])
def test_words_whose_text_had_not_come_are_not_missed(known: int, off: int) -> None:
    assert words_off("", WORDS, 650, known) == off


class Broken(Session):
    """A session whose messages pass through ``change`` on their way out."""

    def change(self, ended: MessageEnded) -> MessageEnded:
        return ended

    def flushed(self, generation: int, samples: int, *, now: float) -> list[Effect]:
        effects = super().flushed(generation, samples, now=now)
        return [self.change(effect) if isinstance(effect, MessageEnded) else effect for effect in effects]


class ClaimsEverything(Broken):
    """Tells the whole text of what was heard in part (F014)."""

    def change(self, ended: MessageEnded) -> MessageEnded:
        return msgspec.structs.replace(ended, text=ended.full_text)


class ClaimsNothingWell(Broken):
    """Shows a text of what nobody heard (S05)."""

    def change(self, ended: MessageEnded) -> MessageEnded:
        return msgspec.structs.replace(ended, text="Hello") if ended.verdict is Verdict.SKIPPED else ended


class ShortOfAPhrase(Broken):
    """Tells less than was heard."""

    def change(self, ended: MessageEnded) -> MessageEnded:
        return msgspec.structs.replace(ended, text=" ".join(ended.text.split()[:-6]))


class RunsAhead(Session):
    """Tells words as heard as they are generated (F014)."""

    def receive(self, connection: int, payload: bytes, *, now: float) -> list[Effect]:
        effects = super().receive(connection, payload, now=now)
        ahead = [HeardText(e.response_id, e.item_id, e.content_index, e.delta) for e in effects if isinstance(e, TextDelta)]
        return [e for e in effects if not isinstance(e, HeardText)] + list(ahead)

    def played(self, generation: int, samples: int, *, now: float) -> list[Effect]:
        return [e for e in super().played(generation, samples, now=now) if not isinstance(e, HeardText)]


class TellsAgain(Session):
    """Takes words back, to tell them once more."""

    def played(self, generation: int, samples: int, *, now: float) -> list[Effect]:
        effects = super().played(generation, samples, now=now)
        return [twice for e in effects for twice in ([e, e] if isinstance(e, HeardText) else [e])]


class OtherHistory(Session):
    """Its history keeps the full text."""

    @property
    def history(self) -> tuple[HistoryItem, ...]:
        return tuple(msgspec.structs.replace(item, text=item.full_text) for item in super().history)


def run(factory: type[Session], seed: int) -> WorldResult:
    return World(seed, VOICES, scenario=SCENARIO, session_factory=factory).run()


@pytest.mark.parametrize(
    "broken",
    [ClaimsEverything, ClaimsNothingWell, OtherHistory, ShortOfAPhrase, RunsAhead, TellsAgain],
    ids=lambda each: each.__name__,
)
def test_a_session_that_claims_too_much_or_too_little_is_caught(broken: type[Session]) -> None:  # B21, B30, C24, S05
    assert any(violation.invariant == 11 for seed in range(6) for violation in run(broken, seed).violations)


def test_the_figure_sees_an_overclaim() -> None:
    honest = [word for seed in range(4) for kind in run(Session, seed).kinds for word in kind.text_error_words]
    greedy = [word for seed in range(4) for kind in run(ClaimsEverything, seed).kinds for word in kind.text_error_words]
    assert honest and max(greedy) > max(honest)
