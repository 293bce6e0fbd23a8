"""The ladder of DESIGN section 5 in whole worlds, step by step: what the server remembers at the end, against what was audible.

What was audible is the sound of the simulated speaker, found again sample by sample in what the server sent; the core is not
asked. The steps: a truncate to the heard millisecond; the heard words in the place of a deleted message; a note of them; and
where not even that can be said, only cancels leave, and the history here alone knows.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from helpers.same_worlds import Lived
from msgspec import structs

from rtcore import MessageEnded
from rtcore.dialects import DIALECTS
from rtcore.sim._in_dialect import in_dialect
from rtcore.sim._server_dialects import DialectName
from rtcore.sim.network import NetworkOptions
from rtcore.sim.scenario import Scenario
from rtcore.sim.server import Rules, ServerItem, ServerOptions

_SERVER = ServerOptions(rules=Rules(), text_per_mille=0, two_parts_per_mille=0, call_per_mille=0, log=True)
WORLD = Scenario(interruptions=10, tools=False, stream=NetworkOptions(jitter_ms=20, stall_per_mille=4), server=_SERVER)
SEEDS = range(3)


class Cut(NamedTuple):
    """One spoken message: what the server has of it, what became of it here, and what was audible of it."""

    item: ServerItem
    end: MessageEnded
    samples: int

    @property
    def whole(self) -> bool:
        return self.end.told == "nothing" and self.samples == self.item.parts[0].sent_samples

    @property
    def fits(self) -> bool:
        """Whether the words that count as heard are those that sounded, by the recording's own times: a reckoned position is at
        most two words off (docs/fuzzing.md has the distribution)."""
        [part] = self.item.parts
        heard_ms = self.samples * 1000 / part.format.rate
        ends = [word.char for word in part.words[1:]] + [len(part.planned_text)]
        sounded = sum(word.end_ms <= heard_ms for word in part.words)
        said = sum(end <= len(self.end.text) + 1 for end in ends)
        return part.planned_text.startswith(self.end.text) and abs(said - sounded) <= 2


def cuts(world: Lived) -> Iterator[Cut]:
    """Every spoken message of the conversation, in order."""
    width = world.session.output_format.sample_width
    for end in (notice for notice in world.notices if isinstance(notice, MessageEnded)):
        item = world.server.items.get(end.item_id)
        if item is None or item.out_of_band or not item.parts:
            continue
        segment = world.auditor.ledger.matcher.find(item.id, 0)
        yield Cut(item, end, segment.heard // width if segment is not None else 0)


def lived(name: DialectName, seed: int) -> tuple[Lived, list[Cut]]:
    """That world in this dialect, in which everything was told by clocks that know."""
    scenario = in_dialect(WORLD, name)
    world = Lived(seed, structs.replace(scenario, server=structs.replace(scenario.server, dialect=name)))
    assert world.result.violations == () and world.result.turns_unanswered == 0
    found = list(cuts(world))
    assert not any(cut.end.estimated for cut in found)
    return world, found


def sent(world: Lived) -> set[str]:
    """The kinds of events that reached the server, beside the session's own and the microphone's."""
    usual = {"session.update", "input_audio_buffer.append", "input_audio_buffer.commit", "response.create"}
    return {entry.type for entry in world.server.log if entry.direction == "in"} - usual


def text_of(item: ServerItem) -> str:
    """What a created item says."""
    return "".join(part.get("text", "") for part in item.content)


def made(world: Lived, role: str) -> list[ServerItem]:
    """Items that the core created, the deleted ones left out."""
    return [item for item in world.server.items.values() if item.origin == "client" and item.role == role and not item.deleted]


@pytest.mark.parametrize("name", ["openai", "xai", "speech-to-speech"])
def test_the_first_step_is_a_truncate_to_the_heard_millisecond(name: DialectName) -> None:  # DESIGN 5, S04, B01, B03
    assert DIALECTS[name].capabilities.heard == "truncate"
    told: set[str] = set()
    for seed in SEEDS:
        _, found = lived(name, seed)
        for cut in found:
            [part] = cut.item.parts
            heard_ms = part.format.ms(cut.samples)
            told.add(cut.end.told)
            match cut.end.told:
                case "truncate":
                    assert not cut.item.deleted and part.truncated_ms == heard_ms > 0, cut
                    assert part.held_samples == part.format.samples(heard_ms) <= cut.samples
                case "delete":
                    assert cut.item.deleted and heard_ms == 0, cut
                case _:
                    assert cut.whole and not cut.item.deleted and not part.truncations, cut
    assert told == {"truncate", "delete", "nothing"}


def test_the_second_step_is_the_heard_words_in_the_place_of_the_message() -> None:  # DESIGN 5: delete and create the heard text
    name: DialectName = "glm"
    assert DIALECTS[name].capabilities.heard == "rewrite"
    told: set[str] = set()
    for seed in SEEDS:
        world, found = lived(name, seed)
        assert "conversation.item.truncate" not in sent(world)
        rewritten = [text_of(item) for item in made(world, "assistant")]
        for cut in found:
            told.add(cut.end.told)
            match cut.end.told:
                case "rewrite":
                    assert cut.item.deleted and cut.samples > 0
                    assert cut.end.text in rewritten and cut.fits, cut
                    rewritten.remove(cut.end.text)
                case "delete":
                    assert cut.item.deleted and not cut.end.text and cut.fits, cut
                case _:
                    assert cut.whole and not cut.item.deleted, cut
        assert not rewritten, "nothing else was written into the conversation"
    assert told == {"rewrite", "delete", "nothing"}


def test_the_third_step_is_a_note_of_the_heard_words() -> None:  # DESIGN 5: a note of what was heard
    name: DialectName = "inworld"
    assert DIALECTS[name].capabilities.heard == "note"
    told: set[str] = set()
    for seed in SEEDS:
        world, found = lived(name, seed)
        assert not sent(world) & {"conversation.item.truncate", "conversation.item.delete"}
        notes = [text_of(item) for item in made(world, "system") if text_of(item).startswith("The user interrupted")]
        assert len(notes) == sum(cut.end.told == "note" for cut in found)
        for cut in found:
            told.add(cut.end.told)
            assert not cut.item.deleted and not cut.item.parts[0].truncations
            if cut.end.told == "note":
                heard = f'heard only: "{cut.end.text}"' if cut.end.text else "heard "
                assert any(heard in note for note in notes) and cut.fits, cut
            else:
                assert cut.whole, cut
    assert told == {"note", "nothing"}


def test_the_last_step_sends_cancels_alone_and_only_the_history_here_knows() -> None:  # DESIGN 5: a local record
    name: DialectName = "qwen"
    assert DIALECTS[name].capabilities.heard == "record"
    told: set[str] = set()
    for seed in SEEDS:
        world, found = lived(name, seed)
        assert sent(world) <= {"response.cancel"}
        history: dict[str, Any] = {item.id: item for item in world.session.history}
        for cut in found:
            told.add(cut.end.told)
            [part] = cut.item.parts
            # The server remembers all that it said; what was heard of it stands here.
            assert not cut.item.deleted and part.held_samples == part.sent_samples
            if cut.end.told == "record":
                assert not cut.whole
                assert history[cut.item.id].text == cut.end.text and cut.fits, cut
                assert history[cut.item.id].heard_ms == part.format.ms(cut.samples)
            else:
                assert cut.whole, cut
    assert told == {"record", "nothing"}
