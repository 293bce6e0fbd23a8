"""Invariant 11 in words: what is told as heard, against the words that had begun to sound."""

import msgspec
import pytest

from rtcore import Effect, HistoryItem, MessageEnded, Session, Verdict
from rtcore.sim import Scenario, ServerOptions, Word, World, WorldResult, synthetic_voices
from rtcore.sim._audit_text import overclaimed

VOICES = synthetic_voices(1)
SCENARIO = Scenario(interruptions=8, server=ServerOptions(audio_ms=(600, 2500), message_weights=(20, 60, 20)))
WORDS = (Word("one", 0, 0, 180, 200), Word("two", 4, 200, 380, 400), Word("three", 8, 400, 700, 720))


@pytest.mark.parametrize(
    ("text", "heard_ms", "too_many"),
    [
        ("", 0, 0),
        ("one two", 250, 0),
        ("one two three", 250, 1),
        ("one", 650, -2),
        ("one two three", 401, 0),
        ("one two ", 200, 1),
    ],
)
def test_a_claim_beyond_the_word_in_progress_is_an_overclaim(text: str, heard_ms: int, too_many: int) -> None:  # B30, C24
    assert overclaimed(text, WORDS, heard_ms) == too_many


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


class OtherHistory(Session):
    """Its history keeps the full text."""

    @property
    def history(self) -> tuple[HistoryItem, ...]:
        return tuple(msgspec.structs.replace(item, text=item.full_text) for item in super().history)


def run(factory: type[Session], seed: int) -> WorldResult:
    return World(seed, VOICES, scenario=SCENARIO, session_factory=factory).run()


@pytest.mark.parametrize("broken", [ClaimsEverything, ClaimsNothingWell, OtherHistory], ids=lambda each: each.__name__)
def test_a_session_that_claims_too_much_is_caught(broken: type[Session]) -> None:  # B21, B30, C24, S05
    assert any(violation.invariant == 11 for seed in range(6) for violation in run(broken, seed).violations)


def test_the_figure_sees_an_overclaim() -> None:
    honest = [word for seed in range(4) for kind in run(Session, seed).kinds for word in kind.text_error_words]
    greedy = [word for seed in range(4) for kind in run(ClaimsEverything, seed).kinds for word in kind.text_error_words]
    assert honest and max(greedy) > max(honest)
